"""`gwsml serve`: surrogate, denoisers and estimator over the KServe v2 protocol (HTTP)."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsurrogate_ml.cli.console import ProgressReport, complain, stdout
from gwsurrogate_ml.errors import ConfigError

if TYPE_CHECKING:
    from gwsurrogate_ml.serve.base import ServedModel

DEFAULT_MODELS = ("nrhm", "bbh-signal", "bbh-h1l1")


def _is_loopback(host: str) -> bool:
    """Does `host` name this machine alone?

    Examples
    --------
    >>> _is_loopback("127.0.0.1"), _is_loopback("0.0.0.0")
    (True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name_and_path(word: str) -> tuple[str | None, str]:
    """What follows ``--model``: a name of one's own, if one is given, and the model's name or folder.

    Examples
    --------
    >>> _name_and_path("mine=nr22"), _name_and_path("nr22")
    (('mine', 'nr22'), (None, 'nr22'))
    """
    name, given, path = word.partition("=")
    return (name, path) if given and not Path(word).exists() else (None, word)


def _require_new_names(models: list[ServedModel], path: str, taken: dict[str, str]) -> None:
    """Raise if one of `models`, from `path`, has a name that is `taken`, a mapping to the path of the model that has it."""
    for served in models:
        if served.name in taken:
            raise ConfigError(
                f"two models would be served as {served.name!r}, {taken[served.name]} and {path}: leave one out, or give it a name "
                f"of its own, such as --model {served.name}-2={path}"
            )


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="[NAME=]MODEL",
            help="A shipped model's name or a folder, with a name to serve it as; may be repeated. Default: nrhm, bbh-signal, "
            "bbh-h1l1.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; others than this machine's own need care.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0: any that is free.")] = 8000,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Threads for quick models.")] = 2,
    request_mb: Annotated[float, typer.Option("--request-mb", min=0.001, help="Largest body in MB.")] = 64.0,
    timeout: Annotated[float, typer.Option("--timeout", min=0.001, help="Seconds to answer a quick request.")] = 30.0,
    slow_timeout: Annotated[float, typer.Option("--slow-timeout", min=0.001, help="Seconds to draw a posterior.")] = 900.0,
    queue: Annotated[int, typer.Option("--queue", min=1, help="Requests at work or waiting; more are refused.")] = 32,
    sequences: Annotated[int, typer.Option("--sequences", min=1, help="Streams open at a time.")] = 64,
    idle: Annotated[float, typer.Option("--idle", min=0.001, help="Seconds after which an idle stream is forgotten.")] = 120.0,
) -> None:
    """Serve models over the KServe v2 protocol until stopped (Ctrl-C); any v2 client will do, such as tritonclient."""
    from gwsurrogate_ml.serve.app import create_app, require
    from gwsurrogate_ml.serve.service import Limits

    require()
    limits = Limits(
        request_bytes=round(1e6 * request_mb), timeout=timeout, slow_timeout=slow_timeout, read_timeout=timeout,
        queue=queue, sequences=sequences, idle=idle, workers=workers,
    )  # fmt: skip
    if not _is_loopback(host):
        complain("warning", f"--host {host} is reached from other machines, and the service asks nobody who they are")
    from gwsurrogate_ml.serve.registry import serve_model

    with ProgressReport() as progress:
        loaded: list[ServedModel] = []
        taken: dict[str, str] = {}
        for name, path in map(_name_and_path, model or DEFAULT_MODELS):
            with progress.stage(f"loading {path}"):
                found = serve_model(path, name)
            _require_new_names(found, path, taken)
            taken |= {served.name: path for served in found}
            loaded += found
    app = create_app(loaded, limits)
    import uvicorn

    # Connections are bounded too: each may wait with a body half sent.
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=75,
            limit_concurrency=4 * queue + 4,
            timeout_graceful_shutdown=10,
        )
    )
    try:
        sock = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        # Accepted connections inherit it; asyncio sets it only where a socket names its protocol, and this one names none.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise ConfigError(f"--host {host} --port {port} cannot be had ({error.strerror or error}): name another port") from error
    with sock:
        address = f"http://{f'[{host}]' if ':' in host else host}:{sock.getsockname()[1]}/v2"
        stdout().print(f"serving {', '.join(m.name for m in loaded)} at {address}", soft_wrap=True)
        server.run(sockets=[sock])
