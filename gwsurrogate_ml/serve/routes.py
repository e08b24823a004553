"""The addresses of the KServe v2 protocol (HTTP), as a FastAPI application; imported only where the extra `serve` is installed."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from gwsurrogate_ml.artifacts import package_versions
from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.serve import protocol
from gwsurrogate_ml.serve.protocol import HEADER_LENGTH, RequestError
from gwsurrogate_ml.serve.service import Limits, Service

logger = logging.getLogger(__name__)
EXTENSIONS = ["binary_tensor_data", "sequence", "statistics"]


SMALL = 2**20
"""Bytes of an answer that is put together before it is sent."""


async def _one_by_one(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body, refused (413) as soon as it is too long, and (408) when it takes too long to come."""
    told = protocol.whole(request.headers.get("content-length", "0"))
    too_long = RequestError(
        413, f"the body is longer than {limits.request_bytes} bytes: send less at a time, or raise the service's limit"
    )
    if told is None:
        raise RequestError(400, "Content-Length is no number: send the length of the body in bytes")
    if told > limits.request_bytes:
        raise too_long
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.read_timeout):
            async for part in request.stream():
                size += len(part)
                if size > limits.request_bytes:
                    raise too_long
                parts.append(part)
    except TimeoutError:
        raise RequestError(408, f"the body did not arrive within {limits.read_timeout:g} s") from None
    return b"".join(parts)


def build(service: Service) -> FastAPI:
    """The application of a service."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="gwsurrogate_ml", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.service = service

    def failure(status: int, message: str) -> Response:
        headers = {"Retry-After": "1"} if status == 503 else {}
        # Escaped: a client's own words may hold what UTF-8 cannot.
        return Response(json.dumps({"error": message}), status, headers, "application/json")

    @app.exception_handler(RequestError)
    async def _refused(_: Request, error: RequestError) -> Response:
        return failure(error.status, str(error))

    @app.exception_handler(GwsmlError)
    async def _unfit(_: Request, error: GwsmlError) -> Response:
        return failure(400, str(error))

    @app.exception_handler(HTTPException)
    async def _unknown(request: Request, error: HTTPException) -> Response:
        return failure(error.status_code, f"{request.method} {request.url.path}: {error.detail}; see the KServe v2 protocol")

    @app.exception_handler(Exception)
    async def _broken(request: Request, error: Exception) -> Response:
        logger.error("%s failed", request.url.path, exc_info=error)
        return failure(500, f"internal error ({type(error).__name__}): see the service's log")

    @app.get("/v2")
    async def _server() -> dict[str, Any]:
        version = package_versions()["gwsurrogate-ml"]
        return {"name": "gwsurrogate_ml", "version": version, "extensions": EXTENSIONS}

    # KServe's own client reads the bodies, Triton's the status alone.
    @app.get("/v2/health/live")
    async def _live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready")
    async def _server_ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/v2/repository/index")
    async def _index() -> list[dict[str, str]]:
        return [{"name": m.name, "version": m.version, "state": "READY", "reason": ""} for m in service.models.values()]

    @app.get("/v2/models/stats")
    @app.get("/v2/models/{name}/stats")
    @app.get("/v2/models/{name}/versions/{version}/stats")
    async def _statistics(name: str | None = None, version: str | None = None) -> dict[str, Any]:
        chosen = service.models.values() if name is None else [service.model(name, version)]
        return {"model_stats": [service.statistics[m.name].metadata(m.name, m.version) for m in chosen]}

    @app.get("/v2/models/{name}")
    @app.get("/v2/models/{name}/versions/{version}")
    async def _metadata(name: str, version: str | None = None) -> dict[str, Any]:
        return service.model(name, version).metadata()

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{version}/ready")
    async def _ready(name: str, version: str | None = None) -> dict[str, Any]:
        return {"name": service.model(name, version).name, "ready": True}

    @app.post("/v2/models/{name}/infer")
    @app.post("/v2/models/{name}/versions/{version}/infer")
    async def _infer(request: Request, name: str, version: str | None = None) -> Response:
        headers = request.headers
        parts, answered = await service.infer(
            name,
            version,
            functools.partial(read_body, request, service.limits),
            headers.get("content-encoding", ""),
            headers.get(HEADER_LENGTH),
        )
        length = sum(map(len, parts))
        if length < SMALL:
            return Response(b"".join(parts), headers=answered)
        return StreamingResponse(_one_by_one(parts), headers=answered | {"Content-Length": str(length)})

    return app
