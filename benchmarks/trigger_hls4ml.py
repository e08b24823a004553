"""The trigger by hls4ml, a second and independent implementation: its C simulation against the network, score by score.

    python benchmarks/trigger_hls4ml.py --python ENVIRONMENT/bin/python [--model bbh-trigger] [--n 10000]

ENVIRONMENT holds hls4ml and torch: python -m venv ENVIRONMENT; ENVIRONMENT/bin/pip install hls4ml==1.3.0 torch. It stands apart
because hls4ml's own extra wants another da4ml. g++ compiles the C simulation.

hls4ml has no stream of scores, and takes the dilation of a convolution for 1: each window of the receptive field is one input,
and kernels are filled up with zeros between their taps. The samples are like those of `gwsml trigger verify`, in one stream;
its first windows, before which there is nothing, are left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.trigger.integer import IntegerNetwork
from gwsurrogate_ml.trigger.load import load_trigger
from gwsurrogate_ml.trigger.rtl import stimulus

WIDE = 32
"""Bits of a sum, which is exact."""
PACKAGES = "pip install hls4ml==1.3.0 torch"

PEER = f"""
import json, sys
try:
    import numpy as np, torch, hls4ml
except ImportError as error:
    sys.exit(f"{{error.name}} is missing in {{sys.prefix}}: {PACKAGES}")
from collections import OrderedDict

about, data = json.load(open("about.json")), np.load("data.npz")
layers, x = OrderedDict(), data["x"]
for k in range(about["layers"]):
    w = torch.from_numpy(data[f"weight{{k}}"])
    layers[f"conv{{k}}"] = conv = torch.nn.Conv1d(w.shape[1], w.shape[0], w.shape[2])
    conv.weight.data, conv.bias.data = w, torch.from_numpy(data[f"bias{{k}}"])
    if f"relu{{k}}" in about["precision"]:
        layers[f"relu{{k}}"] = torch.nn.ReLU()
model = torch.nn.Sequential(layers).eval()
config = hls4ml.utils.config_from_pytorch_model(
    model, x.shape[:0:-1], granularity="name", backend="Vitis", channels_last_conversion="internal", transpose_outputs=False
)
for name, types in about["precision"].items():
    config["LayerName"][name]["Precision"].update(types)
made = hls4ml.converters.convert_from_pytorch_model(
    model, hls_config=config, output_dir="made", backend="Vitis", io_type="io_parallel"
)
made.compile()
np.savez("found.npz", scores=np.asarray(made.predict(x), np.float64).ravel(), version=hls4ml.__version__)
"""


def layers_for(network: IntegerNetwork) -> tuple[dict[str, np.ndarray], dict[str, dict[str, str]]]:
    """Float weights and biases of plain convolutions, of which sums are in units of the outputs; the fixed-point types of all."""
    tensors, bits = {}, network.input.bits
    precision = {"input_1": {"result": f"ap_fixed<{bits},{bits}>"}}
    for k, layer in enumerate(network.layers):
        n_out, n_in, _ = layer.weight.shape
        scale, low, high = 2.0**-layer.shift, int(layer.shift.min()), max(int(layer.shift.max()), 0)
        filled = np.zeros((n_out, n_in, layer.span), np.float32)
        filled[:, :, :: layer.dilation] = layer.weight * scale[:, None, None]
        tensors |= {f"weight{k}": filled, f"bias{k}": (layer.bias * scale).astype(np.float32)}
        whole = 1 + int(np.ceil(np.log2(np.abs(layer.weight).max() + 1))) - low
        wide = f"ap_fixed<{WIDE},{WIDE - high}>"
        precision[f"conv{k}"] = {"weight": f"ap_fixed<{whole + high},{whole}>", "bias": wide, "accum": wide, "result": wide}
        if layer.bits is not None:
            precision[f"relu{k}"] = {"result": f"ap_ufixed<{layer.bits},{layer.bits},AP_RND,AP_SAT>"}
    return tensors, precision


def simulated(network: IntegerNetwork, x: np.ndarray, python: Path) -> tuple[np.ndarray, str]:
    """Scores (n - receptive_field + 1,) of quantised strain (n_detectors, n) by hls4ml's C simulation, and hls4ml's version.

    Raises
    ------
    ConfigError
        without g++, or with what the other environment said where it fails
    """
    if shutil.which("g++") is None:
        raise ConfigError("hls4ml's C simulation needs g++: apt-get install g++")
    windows = np.lib.stride_tricks.sliding_window_view(x, network.receptive_field, axis=1)
    tensors, precision = layers_for(network)
    with tempfile.TemporaryDirectory() as place:
        np.savez(Path(place) / "data.npz", x=np.ascontiguousarray(windows.transpose(1, 2, 0), np.float32), **tensors)  # type: ignore[arg-type]
        (Path(place) / "about.json").write_text(json.dumps({"layers": len(network.layers), "precision": precision}))
        done = subprocess.run([str(python.absolute()), "-c", PEER], cwd=place, capture_output=True, text=True)
        if done.returncode:
            raise ConfigError(f"hls4ml failed: {(done.stderr or done.stdout).strip()[-400:]}")
        with np.load(Path(place) / "found.npz") as found:
            return found["scores"], str(found["version"])


def main() -> None:
    from trigger import store

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--model", default="bbh-trigger")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    trigger = load_trigger(a.model)
    first = trigger.network.receptive_field - 1
    x = stimulus(trigger.network, a.n + first, a.seed)
    scores, version = simulated(trigger.network, x, a.python)
    wrong = int(np.count_nonzero(scores != trigger.network(x)[first:]))
    print(f"hls4ml {version}: {wrong} of {a.n} scores differ")
    store("hls4ml", {"version": version, "n": a.n, "mismatches": wrong, "model_sha256": trigger.card["weights_sha256"]})
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
