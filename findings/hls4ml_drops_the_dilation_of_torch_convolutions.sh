#!/usr/bin/env bash
# hls4ml 1.3.0: `convert_from_pytorch_model` with io_type="io_stream" takes a `torch.nn.Conv1d` of dilation 4, computes the length of
# its output with the dilation, and compiles a convolution whose taps lie next to each other: scores of the right shape, of
# another network. No error and no word of dilation; the C simulation warns of data left over in a stream, a sample for each
# that the taps are too close. The same taps written out with zeros between them, without dilation, come out exact.
# A good engineer would trust the conversion, since the shapes agree. (io_type="io_parallel" with a dilation fails in numpy's split,
# or writes beyond its output.) For Keras' front end this is issue 1508 of fastmachinelearning/hls4ml; here it is PyTorch's.
#
# Output seen: "with dilation 4: 0 of 264 outputs are those of torch, 264 those of plain taps; zeros between taps: 264 of 264".
# Needs g++.
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "hls4ml==1.3.0" "torch==2.14.1" "numpy==2.4.6"
cat > "$here/look.py" <<'PYTHON'
import sys
import warnings

import numpy as np
import torch

import hls4ml

N, KERNEL, DILATION = 32, 3, 4
rng = np.random.default_rng(1)
weight = torch.from_numpy(rng.integers(-8, 8, (1, 2, KERNEL)).astype(np.float32))
x = rng.integers(-16, 16, (11, N, 2)).astype(np.float32)


def convolution(weight, dilation):
    layer = torch.nn.Conv1d(2, 1, weight.shape[2], dilation=dilation)
    layer.weight.data, layer.bias.data = weight, torch.zeros(1)
    return torch.nn.Sequential(layer).eval()


def by_torch(model, x):
    with torch.no_grad():
        return model(torch.from_numpy(x).transpose(1, 2)).numpy().reshape(len(x), -1)


def by_hls4ml(model, folder):
    config = hls4ml.utils.config_from_pytorch_model(
        model, (2, N), default_precision="ap_fixed<24,20>", backend="Vitis", channels_last_conversion="internal", transpose_outputs=False
    )
    made = hls4ml.converters.convert_from_pytorch_model(
        model, hls_config=config, output_dir=folder, backend="Vitis", io_type="io_stream"
    )
    made.compile()
    return np.asarray(made.predict(x), np.float64).reshape(len(x), -1)


wide = torch.zeros(1, 2, (KERNEL - 1) * DILATION + 1)
wide[:, :, ::DILATION] = weight
expected = by_torch(convolution(weight, DILATION), x)
plain = by_torch(convolution(weight, 1), x)[:, : expected.shape[1]]
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    dilated = by_hls4ml(convolution(weight, DILATION), f"{sys.argv[1]}/dilated")
written_out = by_hls4ml(convolution(wide, 1), f"{sys.argv[1]}/wide")
said = [str(one.message) for one in heard if "dilation" in str(one.message)]
n = expected.size
assert dilated.shape == written_out.shape == expected.shape, (dilated.shape, expected.shape)
print(
    f"with dilation {DILATION}: {np.sum(dilated == expected)} of {n} outputs are those of torch, {np.sum(dilated == plain)} those of plain "
    f"taps; zeros between taps: {np.sum(written_out == expected)} of {n}"
)
assert np.all(written_out == expected)
assert not said and np.all(dilated == plain) and np.mean(dilated != expected) > 0.5, "the behaviour has changed"
PYTHON
(cd "$here" && "$here/env/bin/python" "$here/look.py" "$here" > "$here/said" 2>&1) || { cat "$here/said"; exit 1; }
grep "^with dilation" "$here/said"
