"""The service: surrogate, denoisers and estimator over the KServe v2 protocol, and export to ONNX."""

from gwsurrogate_ml.serve.app import create_app
from gwsurrogate_ml.serve.base import ServedModel
from gwsurrogate_ml.serve.registry import serve_model
from gwsurrogate_ml.serve.service import Limits

__all__ = ["Limits", "ServedModel", "create_app", "serve_model"]
