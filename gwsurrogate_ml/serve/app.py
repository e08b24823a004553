"""The service as an application: models in, an ASGI application out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gwsurrogate_ml import onnx_file
from gwsurrogate_ml.serve.service import Limits, Service

if TYPE_CHECKING:
    from fastapi import FastAPI

    from gwsurrogate_ml.serve.base import ServedModel


def create_app(models: Sequence[ServedModel], limits: Limits | None = None) -> FastAPI:
    """The application, for uvicorn or another ASGI server.

    Parameters
    ----------
    models : sequence of ServedModel
        from `serve_model`
    limits : Limits, optional

    Raises
    ------
    ConfigError
        without the extra `serve`, or if two models have the same name

    Examples
    --------
    >>> from gwsurrogate_ml.serve import create_app, serve_model
    >>> app = create_app(serve_model("nr22"))
    """
    require()
    from gwsurrogate_ml.serve.routes import build

    return build(Service(models, limits or Limits()))


def require() -> None:
    """Raise ConfigError unless the extra `serve` is installed."""
    onnx_file.require("the service", "fastapi", "uvicorn")
