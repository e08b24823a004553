"""hls4ml's C simulation, which owes nothing to our exporter, computes the trigger to the bit."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.trigger_hls4ml import layers_for, simulated
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.trigger.load import load_trigger
from gwsurrogate_ml.trigger.network import LayerSettings, TriggerNetwork
from gwsurrogate_ml.trigger.rtl import stimulus

ENVIRONMENT = os.environ.get("GWSML_HLS4ML")
SMALL = (LayerSettings(channels=2, kernel=3), LayerSettings(channels=2, kernel=2, dilation=3), LayerSettings(channels=1, kernel=1))


def test_its_convolutions_compute_the_network_in_types_that_hold_them() -> None:
    network = load_trigger().network
    tensors, precision = layers_for(network)
    x = stimulus(network, 500)
    h = torch.from_numpy(x.astype(np.float64))
    for k, layer in enumerate(network.layers):
        weight, bias = (torch.from_numpy(tensors[f"{name}{k}"].astype(np.float64)) for name in ("weight", "bias"))
        width, whole = map(int, precision[f"conv{k}"]["weight"][9:-1].split(","))
        assert torch.equal(torch.round(weight * 2.0 ** (width - whole)), weight * 2.0 ** (width - whole))
        assert float(weight.min()) >= -(2.0 ** (whole - 1))
        assert float(weight.max()) < 2.0 ** (whole - 1)
        h = torch.nn.functional.conv1d(h[None], weight, bias)[0]
        if layer.bits is not None:
            h = torch.floor(h + 0.5).clamp(0, 2**layer.bits - 1)
    np.testing.assert_array_equal(h[0].numpy(), network(x)[network.receptive_field - 1 :])


@pytest.mark.process
def test_an_environment_without_hls4ml_says_what_to_install() -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is missing: apt-get install g++")
    network = load_trigger().network
    with pytest.raises(ConfigError, match=r"hls4ml is missing in .*: pip install hls4ml"):
        simulated(network, stimulus(network, 200), Path(sys.executable))


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(ENVIRONMENT is None, reason="hls4ml stands in an environment of its own: name its python by GWSML_HLS4ML")
def test_its_c_simulation_of_a_small_network_is_exact() -> None:
    torch.manual_seed(0)
    network = TriggerNetwork(SMALL).quantised(4, 1.5 * torch.randn(4, 2, 200)).integers()
    x = stimulus(network, 2000)
    scores, _ = simulated(network, x, Path(str(ENVIRONMENT)))
    np.testing.assert_array_equal(scores, network(x)[network.receptive_field - 1 :])
