"""The witness cleaner's arithmetic as an ONNX graph: channels and state in, predictions and state out, by ONNX Runtime.

The graph makes the features of `features` and filters them with the taps of all bands, in single precision. What is no
arithmetic, such as gaps, ramps, and whether subtraction helps, stays in `stream.Filter`, whose `predict` it takes the place of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml import onnx_file
from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
from gwsurrogate_ml.denoise.witness.features import Feature
from gwsurrogate_ml.denoise.witness.stream import Filter
from gwsurrogate_ml.errors import ArtifactError, ConfigError

IR = 10
KIND = "witness_stream"


@dataclass(frozen=True)
class OnnxFilter(Filter):
    """A cleaner's arithmetic, its predictions by ONNX Runtime on one thread; make one with `load_witness_onnx`.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    scales : (n_channels,) float64
        size of each channel, by which it is divided before it becomes single precision
    unit : float, strain that a prediction of 1 means
    """

    session: Any = field(default=None, repr=False, compare=False)
    scales: np.ndarray = field(default_factory=lambda: np.ones(0))
    unit: float = 1.0

    def predict(self, channels: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `Filter.predict`."""
        feeds = {
            "channels": (channels / self.scales[:, None]).astype(np.float32),
            "features": features.astype(np.float32),
        }
        kept, fresh = self.session.run(None, feeds)
        return kept, fresh.astype(np.float64) * self.unit


def export_witness_onnx(cleaner: WitnessCleaner, path: str | Path) -> Path:
    """Write a fitted cleaner as an ONNX file.

    Inputs `channels` (n_channels, s - 1 + m), each divided by its `scales` of the metadata, and `features`
    (n_features, n_taps - 1) of the step before, zero at first; outputs `kept`, the features for the next step, and
    `predictions` (n_bands, m) in units of `unit`. m is free.

    Parameters
    ----------
    cleaner : WitnessCleaner
    path : str or Path, .onnx

    Raises
    ------
    ConfigError
        if the cleaner subtracts nothing, without the package onnx, or for another suffix
    """
    plan = cleaner.plan
    if not plan.features:
        raise ConfigError(f"{plan.model} subtracts nothing: there is nothing to export")
    path = onnx_file.target(path)
    onnx_file.require("export to ONNX", "onnx")
    import onnx

    # Limits are multiples of the largest samples in training: their sizes, whatever the channels' units.
    scales, unit = plan.limits.copy(), float(np.max(np.abs(plan.taps)))
    if not (np.isfinite(scales).all() and (scales > 0).all() and unit > 0):
        raise ConfigError(f"{plan.model} has limits or taps that are zero or infinite: fit it on channels that move")
    model = onnx.helper.make_model(
        _graph(plan, scales, unit), opset_imports=[onnx.helper.make_opsetid("", onnx_file.OPSET)], ir_version=IR
    )
    about = {
        "kind": KIND,
        "model": plan.model,
        "channels": list(plan.channels),
        "features": [feature.card() for feature in plan.features],
        "limits": plan.limits.tolist(),
        "stuck_after": plan.stuck_after.tolist(),
        "sampling_frequency": plan.sampling_frequency,
        "watched": plan.watched,
        "followed": plan.followed,
        "taps": plan.taps.shape,
        "smoothing": plan.smoothing.size,
        "scales": scales.tolist(),
        "unit": unit,
    }
    return onnx_file.write(model, path, about)


def _graph(plan: Filter, scales: np.ndarray, unit: float) -> Any:
    """Features one by one, joined to those before, and one convolution with the taps of all bands."""
    from onnx import TensorProto, helper, numpy_helper

    reach, n_taps = plan.smoothing.size // 2, plan.taps.shape[-1]
    constants = {
        "zero": np.array([0]), "one": np.array([1]), "reach": np.array([reach]), "end": np.array([-reach or 2**31]),
        "keep": np.array([-(n_taps - 1)]), "far": np.array([2**31]),
        "smoothing": plan.smoothing[::-1].astype(np.float32)[None, None],
        "size": np.array([float(plan.smoothing.sum())], np.float32),
    }  # fmt: skip
    gain = np.empty(len(plan.features))
    nodes = []

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def row(name: str) -> str:
        if f"row {name}" not in made:
            constants[f"index {name}"] = np.array([plan.channels.index(name)])
            made[f"row {name}"] = node("Gather", ["channels", f"index {name}"], f"row {name}", axis=0)
        return made[f"row {name}"]

    def inner(name: str) -> str:
        if f"inner {name}" not in made:
            made[f"inner {name}"] = node("Slice", [row(name), "reach", "end", "one"], f"inner {name}")
        return made[f"inner {name}"]

    def motion(name: str) -> str:
        """The smoothed channel: about its mean, lest it is rounded at the mean's size."""
        if f"motion {name}" not in made:
            mean = node("ReduceMean", [row(name), "one"], f"mean {name}")
            about = node("Unsqueeze", [node("Sub", [row(name), mean], f"about {name}"), "zero"], f"series {name}")
            smooth = node("Squeeze", [node("Conv", [about, "smoothing"], f"conv {name}"), "zero"], f"smooth {name}")
            made[f"motion {name}"] = node("Add", [smooth, node("Mul", [mean, "size"], f"level {name}")], f"motion {name}")
        return made[f"motion {name}"]

    def phase(feature: Feature) -> str:
        """The smoothed motion in radians."""
        name = feature.channels[0]
        label = f"{name} {feature.wavenumber!r} {feature.phase!r}"
        if f"phase {label}" not in made:
            constants[f"wavenumber {label}"] = np.array([feature.wavenumber * size[name]], np.float32)
            constants[f"offset {label}"] = np.array([feature.phase], np.float32)
            turned = node("Mul", [motion(name), f"wavenumber {label}"], f"turned {label}")
            made[f"phase {label}"] = node("Add", [turned, f"offset {label}"], f"phase {label}")
        return made[f"phase {label}"]

    made: dict[str, str] = {}
    rows = []
    size = dict(zip(plan.channels, scales, strict=True))
    for k, feature in enumerate(plan.features):
        gain[k] = 1.0
        if feature.kind in ("sine", "cosine"):
            rows.append(node("Sin" if feature.kind == "sine" else "Cos", [phase(feature)], f"feature {k}"))
            continue
        gain[k] = np.prod([size[name] for name in feature.channels])
        if feature.kind == "product":
            rows.append(node("Mul", [inner(name) for name in feature.channels], f"feature {k}"))
        else:
            rows.append(inner(feature.channels[0]))
    node("Concat", rows, "new", axis=0)
    node("Concat", ["features", "new"], "all", axis=1)
    node("Slice", ["all", "keep", "far", "one"], "kept")
    # A convolution of ONNX is a correlation: the taps are turned round.
    constants["taps"] = (plan.taps * gain[:, None] / unit)[..., ::-1].astype(np.float32)
    node("Squeeze", [node("Conv", [node("Unsqueeze", ["all", "zero"], "batch"), "taps"], "sums"), "zero"], "predictions")
    floats, shape = TensorProto.FLOAT, helper.make_tensor_value_info
    return helper.make_graph(
        nodes,
        "witness",
        [
            shape("channels", floats, [len(plan.channels), "n"]),
            shape("features", floats, [len(plan.features), n_taps - 1]),
        ],
        [
            shape("kept", floats, [len(plan.features), n_taps - 1]),
            shape("predictions", floats, [len(plan.taps), "m"]),
        ],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )


def load_witness_onnx(path: str | Path) -> OnnxFilter:
    """A cleaner that `export_witness_onnx` wrote, to be run with `start` and `step` as `WitnessCleaner.plan`.

    Raises
    ------
    ConfigError
        without ONNX Runtime
    ArtifactError
        if the file is no exported cleaner
    """
    session, about = onnx_file.session(path, "cleaner exported by export_witness_onnx", "kind", "taps", "unit")
    if about["kind"] != KIND:
        raise ArtifactError(f"{path} is no cleaner exported by export_witness_onnx: it holds a {about['kind']}")
    return OnnxFilter(
        tuple(about["channels"]),
        tuple(Feature.of_card(entry) for entry in about["features"]),
        np.broadcast_to(0.0, about["smoothing"]),
        np.broadcast_to(0.0, about["taps"]),
        np.array(about["limits"]),
        float(about["sampling_frequency"]),
        about["model"],
        np.array(about["stuck_after"], int),
        tuple((float(low), float(high)) for low, high in about["watched"]),
        tuple(about["followed"]),
        session=session,
        scales=np.array(about["scales"]),
        unit=float(about["unit"]),
    )
