"""The service: surrogate, denoisers and estimator over the KServe v2 protocol, and export to ONNX."""

from gwsurrogate_ml.serve.models import ServedModel, serve_model
from gwsurrogate_ml.serve.service import Limits, create_app

__all__ = ["Limits", "ServedModel", "create_app", "serve_model"]
