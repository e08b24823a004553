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
from gwsurrogate_ml.trigger.fixed import Format
from gwsurrogate_ml.trigger.integer import IntegerLayer, IntegerNetwork
from gwsurrogate_ml.trigger.load import load_trigger
from gwsurrogate_ml.trigger.network import LayerSettings, TriggerNetwork

pytest.importorskip("da4ml", reason="da4ml is not installed: pip install gwsurrogate-ml[trigger]")

SMALL = (LayerSettings(channels=2, kernel=3), LayerSettings(channels=2, kernel=2, dilation=3), LayerSettings(channels=1, kernel=1))


def small(bits: int = 4, seed: int = 0) -> IntegerNetwork:
    torch.manual_seed(seed)
    x = 1.5 * torch.randn(4, 2, 200)
    return TriggerNetwork(SMALL).quantised(bits, x).integers()


@pytest.fixture(scope="session")
def shipped() -> verilog.Design:
    return verilog.design(load_trigger().network)


def need(simulator: str) -> None:
    if lack := rtl.missing(simulator):
        pytest.skip(lack)


@pytest.mark.slow
def test_emulation_of_the_shipped_network_is_exact(shipped: verilog.Design) -> None:
    made, network = shipped, shipped.network
    x = rtl.stimulus(network, 10_000)
    assert x.min() == network.input.low
    assert x.max() == network.input.high
    np.testing.assert_array_equal(made.emulate(x), network(x))


@pytest.mark.parametrize(("bits", "seed"), [(3, 1), (8, 2)])
def test_emulation_of_others_is_exact(bits: int, seed: int) -> None:
    network = small(bits, seed)
    x = rtl.stimulus(network, 2000, seed)
    np.testing.assert_array_equal(verilog.design(network, depth=1 + seed).emulate(x), network(x))


EXACT = {"every clock": 0, "gaps": 0, "resets": 0}


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("simulator", rtl.SIMULATORS)
def test_verilog_of_a_small_network_is_exact_with_gaps_and_resets(simulator: str) -> None:
    need(simulator)
    found = rtl.mismatches(verilog.design(small(), 2), rtl.stimulus(small(), 10_000), [simulator])
    assert found == {"emulation": 0} | {f"{simulator}, {case}": count for case, count in EXACT.items()}


@pytest.mark.slow
@pytest.mark.process
def test_verilog_of_the_shipped_network_is_exact(shipped: verilog.Design) -> None:
    need("verilator")  # CXXRTL compiles it for a minute
    made = rtl.cases(shipped.network, rtl.stimulus(shipped.network, 4000), shipped.latency)
    found = rtl.simulated(shipped.text, shipped.score_bits, made, ["verilator"])
    assert found == {f"verilator, {case}": count for case, count in EXACT.items()}


def test_cases_have_gaps_longer_than_the_latency_and_resets_with_scores_on_their_way() -> None:
    network = small()
    x = rtl.stimulus(network, 2000)
    made = rtl.cases(network, x, 7)
    assert {name: int(case.valid.sum()) for name, case in made.items()}["every clock"] == 2000
    assert np.flatnonzero(made["every clock"].valid)[0] == 7  # after a reset of one clock, the first sample's at clock 1
    assert np.diff(np.flatnonzero(made["gaps"].control == 1)).max() > 8
    resets = np.flatnonzero(made["resets"].control == 2)
    assert resets.size == 3
    assert (made["resets"].control[resets[1:] - 1] == 1).all()
    assert made["resets"].valid.sum() < 1000
    wide = IntegerNetwork(
        [IntegerLayer("l", np.ones((1, 5, 1), int), np.zeros(1, int), 1, np.zeros(1, int), None)], Format(8, 2, True), 2
    )
    with pytest.raises(ConfigError, match="5 inputs of 8 bits has 40"):
        rtl.cases(wide, np.zeros((5, 100), int), 3)


def branches() -> IntegerNetwork:
    """Every kind of sum: none, constants, a sign alone, no sign, even, scaled up, short, exact and saturating."""
    weight = np.array([[0, 0], [0, 0], [0, 0], [0, 0], [2, -4], [1, -1], [1, 0], [7, 5], [1, 1]])[:, None, :].repeat(2, axis=1)
    bias = np.array([0, 5, 8, -1, 2, 0, 1, -3, 0])
    shift = np.array([0, 0, 0, 0, 0, -2, 2, 0, 1])
    second = np.array([[1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 1, 0, 0], [-1, 2, 1, 1, 3, -2, 1, 1, -1]])[:, :, None]
    return IntegerNetwork(
        [
            IntegerLayer("first", weight, bias, 2, shift, 4),
            IntegerLayer("second", second, np.array([0, 0, 1]), 1, np.array([2, 0, 1]), 5),
            IntegerLayer("score", np.array([[[2], [4], [8]]]), np.zeros(1, int), 1, np.zeros(1, int), None),
        ],
        Format(4, 1, True),
        1,
    )


@pytest.mark.slow
@pytest.mark.process
def test_every_kind_of_activation_is_simulated() -> None:
    network = branches()
    made = verilog.design(network, 2)
    hidden = [
        (bits + left - sign, left, sign, bits, stage.layer.bits)
        for stage in made.stages[:-1]
        for _, bits, left, sign in stage.fields
    ]
    assert any(bits == 0 for *_, bits, _ in hidden)
    assert {left > 0 for _, left, *_ in hidden} == {sign for _, _, sign, bits, _ in hidden if bits} == {True, False}
    live = [(digits, limit) for digits, *_, bits, limit in hidden if bits]
    assert any(digits == 0 for digits, _ in live)
    assert {np.sign(digits - (limit or 0)) for digits, limit in live if digits} == {-1, 0, 1}
    (_, _, left, sign) = made.stages[-1].fields[0]
    assert left > 0
    assert not sign
    need("cxxrtl")
    found = rtl.mismatches(made, rtl.stimulus(network, 2000), ["cxxrtl"])
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
    assert wrong["cxxrtl, every clock"] > 100
    slow = rtl.cases(network, rtl.stimulus(network, 200), made.latency + 1)
    assert min(rtl.simulated(made.text, made.score_bits, slow, ["cxxrtl"]).values()) > 10  # a wrong latency is noticed too
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
    halves = dataclasses.replace(first, weight=0.5 * first.weight)
    with pytest.raises(ConfigError, match="'layer1' has weights that are no whole numbers"):
        verilog.design(dataclasses.replace(network, layers=[halves, *rest]))
    still = dataclasses.replace(first, dilation=0)
    with pytest.raises(ConfigError, match="'layer1' has a dilation of 0"):
        verilog.design(dataclasses.replace(network, layers=[still, *rest]))
    with pytest.raises(ConfigError, match="no layers"):
        verilog.design(dataclasses.replace(network, layers=[]))
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
    with pytest.raises(ConfigError, match=r"apt-get install verilator.*gwsurrogate-ml\[trigger\]"):
        rtl.present()
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
    trigger: Any = dataclasses.replace(load_trigger(), network=small())
    monkeypatch.setattr(rtl, "missing", lambda name: f"{name}: apt-get install it")
    with pytest.raises(ConfigError, match="apt-get install it"):
        export.write(trigger, tmp_path, n=500)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(rtl, "present", lambda: ["one"])
    monkeypatch.setattr(rtl, "simulated", lambda *_: {"one, gaps": 0})
    about = export.write(trigger, tmp_path, n=500)
    assert about["mismatches"] == {"emulation": 0, "one, gaps": 0}
    text = (tmp_path / "trigger.v").read_text()
    assert "module trigger (" in text
    assert "output score_valid" in text
    other = dataclasses.replace(trigger, card=trigger.card | {"weights_sha256": "0"})
    with pytest.raises(DataError, match="other weights"):
        export.verify(other, tmp_path)
    with pytest.raises(DataError, match="holds no export"):
        export.verify(trigger, tmp_path / "nowhere")
    monkeypatch.setattr(rtl, "simulated", lambda *_: {"one, gaps": 3})
    with pytest.raises(ConfigError, match="3} of 500 scores differ"):
        export.verify(trigger, tmp_path, n=500)
    with pytest.raises(ConfigError, match="one, gaps differs from the network in 3 of 500"):
        export.checked(trigger.network, n=500)
