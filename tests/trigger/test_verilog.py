"""The exported Verilog computes what the network does, to the bit: by da4ml's emulation and clock by clock in simulators."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.trigger import export, gates, rtl, verilog
from gwsurrogate_ml.trigger.integer import IntegerLayer, IntegerNetwork
from gwsurrogate_ml.trigger.load import load_trigger
from gwsurrogate_ml.trigger.network import LayerSettings, TriggerNetwork

pytest.importorskip("da4ml", reason="da4ml is not installed: pip install gwsurrogate-ml[trigger]")

SMALL = (LayerSettings(channels=2, kernel=3), LayerSettings(channels=2, kernel=2, dilation=3), LayerSettings(channels=1, kernel=1))


def small(bits: int = 4, seed: int = 0) -> IntegerNetwork:
    torch.manual_seed(seed)
    x = 1.5 * torch.randn(4, 2, 200)
    return TriggerNetwork(SMALL).quantised(bits, x).integers()


def need(simulator: str) -> None:
    if lack := rtl.missing(simulator):
        pytest.skip(lack)


def test_emulation_of_the_shipped_network_is_exact() -> None:
    network = load_trigger().network
    made = verilog.design(network)
    x = rtl.stimulus(network, 10_000)
    assert x.min() == network.input.low
    assert x.max() == network.input.high
    np.testing.assert_array_equal(made.emulate(x), network(x))


@pytest.mark.parametrize("bits", [3, 6, 8])
@pytest.mark.parametrize("seed", [1, 2])
def test_emulation_of_others_is_exact(bits: int, seed: int) -> None:
    network = small(bits, seed)
    x = rtl.stimulus(network, 2000, seed)
    np.testing.assert_array_equal(verilog.design(network, depth=1 + seed).emulate(x), network(x))


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("simulator", rtl.SIMULATORS)
def test_verilog_of_a_small_network_is_exact_with_and_without_gaps(simulator: str) -> None:
    need(simulator)
    network = small()
    found = rtl.mismatches(verilog.design(network, 2), rtl.stimulus(network, 10_000), [simulator])
    assert found == {"emulation": 0, simulator: 0, f"{simulator}, gaps": 0}


@pytest.mark.slow
@pytest.mark.process
def test_verilog_of_the_shipped_network_is_exact() -> None:
    if not (simulators := rtl.present()):
        pytest.skip("; or ".join(rtl.missing(name) for name in rtl.SIMULATORS))
    network = load_trigger().network
    found = rtl.mismatches(verilog.design(network), rtl.stimulus(network), simulators[:1])
    assert set(found.values()) == {0}


@pytest.mark.slow
@pytest.mark.process
def test_wrong_verilog_is_noticed(tmp_path: Path) -> None:
    need("cxxrtl")
    network = small()
    made = verilog.design(network, 2)
    right = "line0[3:0]"
    assert right in made.text
    text = made.text.replace(right, "x[3:0]", 1)
    wrong = rtl.mismatches(dataclasses.replace(made, text=text), rtl.stimulus(network, 1000), ["cxxrtl"])
    assert wrong["cxxrtl"] > 100
    with pytest.raises(ConfigError, match="nothing is written"):
        export.require_exact(wrong, 1000)


@pytest.mark.slow
@pytest.mark.process
def test_synthesis_counts_cells_and_no_multipliers(tmp_path: Path) -> None:
    pytest.importorskip("pyosys", reason="yosys is missing: pip install gwsurrogate-ml[trigger]")
    area = gates.synthesise(verilog.design(small(), 2).text, tmp_path)
    assert 50 < area["lut"] < 2000
    assert area["ff"] > 50
    assert area["dsp"] == area["bram"] == 0


def test_a_layer_that_cannot_be_expressed_is_named() -> None:
    network = small()
    first, *rest = network.layers
    huge = dataclasses.replace(first, weight=first.weight * 2**22)
    with pytest.raises(ConfigError, match="'layer1' sums to"):
        verilog.design(dataclasses.replace(network, layers=[huge, *rest]))
    dead = dataclasses.replace(first, weight=first.weight * 0)
    with pytest.raises(ConfigError, match="'layer1' has no weight"):
        verilog.design(dataclasses.replace(network, layers=[dead, *rest]))
    narrow = IntegerLayer("odd", np.ones((1, 5, 1), int), np.zeros(1, int), 1, np.zeros(1, int), None)
    with pytest.raises(ConfigError, match="'odd' takes"):
        verilog.design(dataclasses.replace(network, layers=[first, narrow]))
    with pytest.raises(ConfigError, match="depth is 0"):
        verilog.design(network, 0)


def test_a_dead_channel_is_expressed() -> None:
    network = small()
    first, *rest = network.layers
    weight, bias = first.weight.copy(), first.bias.copy()
    weight[0], bias[0] = 0, -5
    network = dataclasses.replace(network, layers=[dataclasses.replace(first, weight=weight, bias=bias), *rest])
    x = rtl.stimulus(network, 1000)
    np.testing.assert_array_equal(verilog.design(network).emulate(x), network(x))


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl.shutil, "which", lambda name: None if name == "verilator" else f"/bin/{name}")
    assert "apt-get install verilator" in rtl.missing("verilator")
    monkeypatch.setattr(rtl, "find_spec", lambda name: None)
    assert "gwsurrogate-ml[trigger]" in rtl.missing("cxxrtl")
    assert rtl.present() == []
    monkeypatch.setattr(verilog, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install gwsurrogate-ml\[trigger\]"):
        verilog.design(small())
    monkeypatch.setattr(gates, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="yosys is missing"):
        gates.require_yosys()
    monkeypatch.setattr(gates.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="trigger-route"):
        gates.nextpnr()


def test_export_is_written_only_when_exact_and_verified_by_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl, "present", lambda: [])
    trigger: Any = dataclasses.replace(load_trigger(), network=small())
    about = export.write(trigger, tmp_path, n=500)
    assert about["mismatches"] == {"emulation": 0}
    assert "module trigger (" in (tmp_path / "trigger.v").read_text()
    monkeypatch.setattr(rtl, "missing", lambda name: f"{name}: apt-get install it")
    with pytest.raises(ConfigError, match="apt-get install it"):
        export.verify(trigger, tmp_path)
    other = dataclasses.replace(trigger, card=trigger.card | {"weights_sha256": "0"})
    with pytest.raises(DataError, match="other weights"):
        export.verify(other, tmp_path)
    with pytest.raises(DataError, match="holds no export"):
        export.verify(trigger, tmp_path / "nowhere")
    monkeypatch.setattr(rtl, "mismatches", lambda *_: {"emulation": 3})
    with pytest.raises(ConfigError, match="emulation differs from the network in 3 of 500"):
        export.checked(trigger.network, n=500)
