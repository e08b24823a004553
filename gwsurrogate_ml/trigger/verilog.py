"""The integer network as Verilog: every layer's constant matrix by da4ml, and a streaming top with line buffers around them.

da4ml (Sun et al. 2025, arXiv:2507.04535) turns a product with a constant matrix into shifts and additions and cuts it into pipeline
stages. A layer takes its newest sample and the line buffer's taps when `valid` is high; its pipeline runs on every clock, and
`valid` is delayed by as many, so that samples may come on every clock or with gaps. Rounding is part of the bias; rectifier and
saturation are two comparisons of the sum's upper bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.trigger.integer import IntegerLayer, IntegerNetwork, require_chain

TOP = "trigger"
WIDEST = 24
"""Bits of a sum: float32, in which torch and da4ml compute, holds no wider integers exactly."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One layer in da4ml's hands.

    Parameters
    ----------
    layer : IntegerLayer
    comb : da4ml CombLogic, from taps, channel by channel, oldest first, to sums without the bits that `layer.shift` drops
    pipeline : da4ml Pipeline, the same in stages
    low, high : int, of the layer's input
    """

    layer: IntegerLayer
    comb: Any
    pipeline: Any
    low: int
    high: int

    @property
    def latency(self) -> int:
        """Clocks from taps to sums."""
        return len(self.pipeline.solutions) + 1

    @property
    def fields(self) -> list[tuple[int, int, int, bool]]:
        """For each sum: where it begins in the pipeline's output, its bits, how far it is to be shifted left, and its sign."""
        found, first = [], 0
        for (k, i, f), shift in zip(zip(*self.pipeline_kifs, strict=True), self.layer.shift, strict=True):
            width = int(k) + int(i) + int(f)
            found.append((first, max(width, 0), int(-f - shift) if width > 0 else 0, bool(k)))
            first += max(width, 0)
        return found

    @property
    def pipeline_kifs(self) -> tuple[list[int], list[int], list[int]]:
        """Signs, integer and fraction bits of the sums."""
        from da4ml.types import minimal_kif

        k, i, f = zip(*(minimal_kif(one) for one in self.pipeline.out_qint), strict=True)
        return list(k), list(i), list(f)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Outputs (n_out, n) int64 of x (n_in, n) by da4ml's emulation of the sums."""
        layer, n = self.layer, x.shape[1]
        padded = np.concatenate([np.zeros((x.shape[0], layer.span - 1), np.int64), x], axis=1)
        taps = [padded[:, i * layer.dilation : i * layer.dilation + n] for i in range(layer.weight.shape[2])]
        sums = self.comb.predict(np.stack(taps, axis=1).reshape(-1, n).T.astype(np.float64), n_threads=1)
        shifted = np.floor(sums.T * 2.0 ** -layer.shift[:, None]).astype(np.int64)
        return shifted if layer.bits is None else np.clip(shifted, 0, 2**layer.bits - 1)


@dataclass(frozen=True, eq=False)
class Design:
    """A network as Verilog.

    Parameters
    ----------
    network : IntegerNetwork
    stages : list of Stage
    text : str
        Verilog with the module `TOP`: clk, rst, valid, strain (the first detector's sample in the lowest bits), score_valid, score
    score_bits : int, of the score, signed
    """

    network: IntegerNetwork
    stages: list[Stage]
    text: str
    score_bits: int

    @property
    def latency(self) -> int:
        """Clocks from a sample to its score."""
        return sum(stage.latency for stage in self.stages)

    def emulate(self, x: np.ndarray) -> np.ndarray:
        """Scores (n,) int64 of quantised strain (n_detectors, n) by da4ml's emulation."""
        self.network.input.require(x)
        h = np.asarray(x, np.int64)
        for stage in self.stages:
            h = stage(h)
        return h[0]


def require_da4ml() -> None:
    """Raise ConfigError unless da4ml is installed."""
    if find_spec("da4ml") is None:
        raise ConfigError("exporting to Verilog needs da4ml: pip install gwsurrogate-ml[trigger]")


def design(network: IntegerNetwork, depth: int = 4) -> Design:
    """Verilog of `network`.

    Parameters
    ----------
    network : IntegerNetwork
    depth : int
        additions between registers: fewer give a faster clock and more of them

    Raises
    ------
    ConfigError
        without da4ml; for a network that cannot be expressed, naming the layer
    """
    require_da4ml()
    require_chain(network)
    if depth < 1:
        raise ConfigError(f"depth is {depth}: at least one addition lies between registers")
    low, high = network.input.low, network.input.high
    stages = []
    for layer in network.layers:
        stages.append(_stage(layer, low, high, depth))
        low, high = 0, 2 ** (layer.bits or 1) - 1
    text, score_bits = _text(network, stages)
    return Design(network, stages, text, score_bits)


def _stage(layer: IntegerLayer, low: int, high: int, depth: int) -> Stage:
    """One layer's constant matrix by da4ml."""
    from da4ml.trace import FixedVariableArray, HWConfig, comb_trace, to_pipeline

    n_out, n_in, kernel = layer.weight.shape
    most = np.abs(layer.weight).sum(axis=(1, 2)) * max(-low, high) + np.abs(layer.bias)
    if most.max() >= 2 ** (WIDEST - 1):
        raise ConfigError(f"layer {layer.name!r} sums to {most.max()}, more than {WIDEST} bits: give it fewer taps or bits")
    if (layer.shift < 0).any() and layer.bits is None:
        raise ConfigError(f"layer {layer.name!r} scales its sum up: the last layer's sum is the score")
    size = n_in * kernel
    if not np.any(layer.weight):
        raise ConfigError(f"layer {layer.name!r} has no weight but zero: its output is constant, train the network anew")
    x = FixedVariableArray.from_lhs(np.full(size, low), np.full(size, high), np.ones(size), hwconf=HWConfig(1, -1, -1))
    half = np.where(layer.shift > 0, 1 << np.maximum(layer.shift - 1, 0), 0)
    y = x @ layer.weight.reshape(n_out, size).T.astype(np.float64) + (layer.bias + half).astype(np.float64)
    y = y.quantize(np.ones(n_out, int), np.full(n_out, WIDEST), -np.maximum(layer.shift, 0))
    comb = comb_trace(x, y, keep_dead_inputs=True)
    return Stage(layer, comb, to_pipeline(comb, depth, verbose=False), low, high)


def _text(network: IntegerNetwork, stages: list[Stage]) -> tuple[str, int]:
    """Verilog of all modules, and the bits of the score."""
    import da4ml.codegen.rtl as rtl
    from da4ml.codegen.rtl.verilog import pipeline_logic_gen

    parts = []
    width = network.input.bits
    for stage in stages:
        name = f"{TOP}_{stage.layer.name}"
        made = pipeline_logic_gen(stage.pipeline, f"{name}_sums", timescale=None)
        parts += list(made.values())
        parts.append(_layer(stage, name, width))
        width = stage.layer.bits or _score_bits(stage)
    parts.append(_top(network, stages, width))
    text = "\n".join(parts)
    library = Path(rtl.__file__).parent / "verilog" / "source"
    used = [path for path in sorted(library.glob("*.v")) if f"{path.stem} #(" in text]
    helpers = [path.read_text().replace("`timescale 1ns / 1ps", "").strip() for path in used]
    head = (
        f"// {network.n_parameters} parameters, {network.input.bits} bits. Sums and what is below the line, by da4ml (LGPL-3.0).\n"
    )
    return head + text + "\n// ----\n" + "\n\n".join(helpers) + "\n", width


def _score_bits(stage: Stage) -> int:
    (_, width, left, signed) = stage.fields[0]
    return width + left + (not signed)


def _layer(stage: Stage, name: str, width: int) -> str:
    """One layer: line buffers, the pipeline of its sums, the delay of `valid`, rectifier and saturation."""
    layer = stage.layer
    n_out, n_in, kernel = layer.weight.shape
    held = layer.span - 1
    lines, taps = [], []
    for c in range(n_in):
        new = f"x[{(c + 1) * width - 1}:{c * width}]"
        if held:
            lines.append(f"    reg [{held * width - 1}:0] line{c};")
            older = f"{{line{c}[{(held - 1) * width - 1}:0], {new}}}" if held > 1 else new
            lines.append(f"    always @(posedge clk) if (rst) line{c} <= 0; else if (valid) line{c} <= {older};")
        # The newest sample is the last tap; sample j before it lies at place j - 1 of the line.
        for i in range(kernel):
            back = (kernel - 1 - i) * layer.dilation
            taps.append(new if back == 0 else f"line{c}[{back * width - 1}:{(back - 1) * width}]")
    fields = stage.fields
    total = sum(bits for _, bits, _, _ in fields)
    out = layer.bits or _score_bits(stage)
    outputs = [_activation(o, *field, layer.bits, out) for o, field in enumerate(fields)]
    sep = ",\n        "
    body = "\n".join(lines)
    delay = stage.latency
    return f"""module {name} (
    input clk, input rst, input valid, input [{n_in * width - 1}:0] x,
    output y_valid, output [{n_out * out - 1}:0] y
);
{body}
    wire [{n_in * kernel * width - 1}:0] taps = {{
        {sep.join(reversed(taps))}}};
    wire [{max(total, 1) - 1}:0] sums;
    {name}_sums sums_of (.clk(clk), .model_inp(taps), .model_out(sums));
    reg [{delay - 1}:0] waiting = 0;
    always @(posedge clk) waiting <= rst ? {delay}'d0 : {f"{{waiting[{delay - 2}:0], valid}}" if delay > 1 else "valid"};
    assign y_valid = waiting[{delay - 1}];
{chr(10).join(outputs)}
endmodule
"""


def _activation(o: int, first: int, bits: int, left: int, signed: bool, limit: int | None, out: int) -> str:
    """Output `o`: the sum as it is for the last layer, else without its negative part and saturated."""
    target = f"y[{(o + 1) * out - 1}:{o * out}]"
    if bits == 0:
        return f"    assign {target} = {out}'d0;"
    value = f"sums[{first + bits - 1}:{first}]" + (f", {left}'d0" if left else "")
    wide = bits + left
    if limit is None:
        pad = "" if signed else "1'b0, "
        return f"    assign {target} = {{{pad}{value}}};"
    name = f"s{o}"
    lines = [f"    wire [{wide - 1}:0] {name} = {{{value}}};"]
    digits = wide - signed  # without the sign
    low = f"{name}[{min(digits, limit) - 1}:0]" if digits else "1'b0"
    if digits < limit and digits:
        low = f"{{{limit - digits}'d0, {low}}}"
    over = f"|{name}[{digits - 1}:{limit}] ? {{{limit}{{1'b1}}}} : " if digits > limit else ""
    negative = f"{name}[{wide - 1}] ? {limit}'d0 : " if signed else ""
    lines.append(f"    assign {target} = {negative}{over}{low};")
    return "\n".join(lines)


def _top(network: IntegerNetwork, stages: list[Stage], score_bits: int) -> str:
    """The chain of layers."""
    lines = []
    valid, data, width = "valid", "strain", network.input.bits
    for stage in stages:
        layer = stage.layer
        out, name = layer.bits or score_bits, f"the_{layer.name}"  # a layer may be called as a port is
        lines.append(f"    wire {name}_valid; wire [{layer.weight.shape[0] * out - 1}:0] {name}_y;")
        ports = f".clk(clk), .rst(rst), .valid({valid}), .x({data}), .y_valid({name}_valid), .y({name}_y)"
        lines.append(f"    {TOP}_{layer.name} {name} ({ports});")
        valid, data = f"{name}_valid", f"{name}_y"
    body = "\n".join(lines)
    return f"""module {TOP} (
    input clk, input rst, input valid, input [{network.n_inputs * width - 1}:0] strain,
    output score_valid, output signed [{score_bits - 1}:0] score
);
{body}
    assign score_valid = {valid};
    assign score = {data};
endmodule
"""
