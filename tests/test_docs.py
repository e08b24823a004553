"""What the documentation shows works: Python blocks run, commands and options exist, configurations are accepted."""

from __future__ import annotations

import json
import re
import shlex
import socket
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = sorted(path for path in [*(ROOT / "docs").rglob("*.md"), CONTRIBUTING] if "```" in path.read_text())
DRAWS = re.compile(r"\bn=\d[\d_]{3,}")  # draws, not mirrors


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of one language; those after a comment ``<!-- not run: REASON -->`` are left out."""
    found = re.findall(rf"(<!-- not run: [^\n]+ -->\n+)?^( *)```{language}\n(.*?)^\2```", page.read_text(), re.S | re.M)
    return [body for skipped, _, body in found if not skipped]


def shell_lines() -> list[tuple[str, str]]:
    """Every `gwsml` command of the pages and the README, by page, comments and continuations joined."""
    lines = []
    for page in [*PAGES, ROOT / "README.md"]:
        for block in blocks(page, "sh") + blocks(page, ""):
            for line in block.replace("\\\n", " ").splitlines():
                if re.match(r"\s*(\.venv/bin/)?gwsml ", line):
                    lines.append((page.relative_to(ROOT).as_posix(), line.strip()))
    return lines


@pytest.fixture
def service() -> Iterator[str]:
    """Address of a running service with one surrogate."""
    import uvicorn

    from gwsurrogate_ml.serve import Limits, create_app, serve_model

    server = uvicorn.Server(uvicorn.Config(create_app(serve_model("nr22"), Limits()), log_level="critical"))
    sock = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"127.0.0.1:{sock.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.mark.slow
@pytest.mark.parametrize("page", [path for path in PAGES if blocks(path, "python")], ids=lambda path: path.stem)
def test_python_of_a_page_runs(
    page: Path, data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    body = "\n".join(blocks(page, "python"))
    if "127.0.0.1:8000" in body:
        body = body.replace("127.0.0.1:8000", request.getfixturevalue("service"))
    if ".hdf5" in body:
        for name in ("H", "L"):
            (tmp_path / f"{name}.hdf5").symlink_to(data_dir(f"strain/{name}-{name}1_LOSC_4_V2-1126259446-32.hdf5"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GWSML_DETECTORS", "")  # what a page sets ends with the test
    names: dict[str, object] = {"__name__": "docs"}
    body = body if page == CONTRIBUTING else DRAWS.sub("n=200", body)
    exec(compile(body, str(page), "exec"), names)


@pytest.mark.parametrize(("page", "line"), shell_lines())
def test_command_of_a_page_exists(page: str, line: str) -> None:
    from typer.main import get_command

    from gwsurrogate_ml.cli.main import app

    words = shlex.split(line, comments=True)[1:]
    command = get_command(app)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{page}: no command {words[0]!r} in {line!r}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
    given = [word.split("=")[0] for word in words if word.startswith("--")]
    assert set(given) <= known, f"{page}: {line!r} has unknown options"


@pytest.mark.parametrize("page", [path for path in PAGES if blocks(path, "toml")], ids=lambda path: path.stem)
def test_configuration_of_a_page_is_accepted(page: Path) -> None:
    from gwsurrogate_ml.control.plant import Suspension
    from gwsurrogate_ml.inference.config import read_config

    for text in blocks(page, "toml"):
        settings = tomllib.loads(text)
        if "prior" in settings:
            assert read_config(settings).name == settings["name"]
        elif page.stem == "control":
            # Files it names are not there: all else is read.
            Suspension(**{key: value for key, value in settings.items() if not str(value).endswith(".txt")})
            assert set(settings) <= set(Suspension.model_fields)
        else:
            assert {"name", "eob", "nr"} <= set(settings)  # read in full by tests/data_prep/test_chain.py


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_is_kept_with_its_outputs(path: Path) -> None:
    """The site shows what is committed: all cells have run, in order, without an error, and the file is small."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
    figures = sum(any("image/png" in output.get("data", {}) for output in cell["outputs"]) for cell in cells)
    assert figures >= len(cells) / 2
    assert path.stat().st_size < 700_000


def test_the_alert_to_try_is_one(tmp_path: Path) -> None:
    from gwsurrogate_ml.inference.result.alert import read_alert

    (text,) = blocks(ROOT / "docs/how-to/event-file.md", "json")
    (tmp_path / "S150914ab.json").write_text(text)
    found = read_alert(tmp_path / "S150914ab.json")
    assert (found.superevent_id, found.detectors, found.sky) == ("S150914ab", ("H1", "L1"), None)
    assert found.gps == pytest.approx(1126259462.4, abs=1e-6)
