"""Many events, clusters, printing, kept steps and quantisation, asked for in ways that make no sense."""
# ruff: noqa: E501 (a case is a row of a table)

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError
from tests.hostile.command_cases import command, strain
from tests.hostile.material import GPS, hdf5, write
from tests.hostile.table import CommandError, Room, gwsml, refuses, survives


def table(room: Room, text: str | bytes, name: str = "events.csv") -> list[object]:
    """`--events` with a file of that content."""
    return ["--events", write(room.inside / name, text)]


HEAD = "name,gps,H1,L1\n"
MANY: list[tuple[str, Callable[[Room], list[object]], tuple[str, ...]]] = [
    ("a table and files", lambda r: [*table(r, HEAD + "a,1,b,c\n"), *strain(r), "--gps", GPS], ("only one of these",)),
    ("a table and an event", lambda r: ["GW150914", *table(r, HEAD + "a,1,b,c\n")], ("only one of these",)),
    ("a table and --gps", lambda r: [*table(r, HEAD + "a,1,b,c\n"), "--gps", GPS], ("--gps",)),
    ("a table that is not there", lambda r: ["--events", r.inside / "no.csv"], ("no.csv", "cannot be read")),
    ("a table that is a folder", lambda r: ["--events", r.inside], ("--events", "cannot be read")),
    ("a table that is no text", lambda r: table(r, b"\xff\xfe\x00\x80" * 99), ("events.csv", "CSV")),
    ("an empty table", lambda r: table(r, ""), ("no event",)),
    ("a table of heads alone", lambda r: table(r, HEAD), ("no event", "name, gps")),
    ("an event without a name", lambda r: table(r, HEAD + ",1,b,c\n"), ("line 2", "name")),
    ("a table without names", lambda r: table(r, "gps,H1\n1,b\n"), ("line 1", "no column `name`")),
    ("a name that leads elsewhere", lambda r: table(r, HEAD + "../../etc,1,b,c\n"), ("cannot name a folder",)),
    ("a name that hides", lambda r: table(r, HEAD + ".hidden,1,b,c\n"), ("cannot name a folder",)),
    ("a time in words", lambda r: table(r, HEAD + "a,noon,b,c\n"), ("line 2", "'noon'")),
    ("a time that is NaN", lambda r: table(r, HEAD + "a,nan,b,c\n"), ("line 2", "gps")),
    ("an endless time", lambda r: table(r, HEAD + "a,1e999,b,c\n"), ("line 2", "gps")),
    ("an event without files", lambda r: table(r, "name,gps\na,1\n"), ("no strain file",)),
    ("a line too short", lambda r: table(r, HEAD + "a,1\n"), ("line 2", "as many fields")),
    ("a line too long", lambda r: table(r, HEAD + "a,1,b,c,d,e\n"), ("line 2", "as many fields")),
    ("a name twice", lambda r: table(r, HEAD + "a,1,b,c\na,2,d,e\n"), ("line 3", "'a' is given twice")),
    ("an event twice", lambda r: ["GW150914", "GW150914"], ("'GW150914' is given twice",)),
    ("a cluster for one event", lambda r: [*strain(r), "--gps", GPS, "--cluster", "local"], ("--cluster", "many events")),
    ("an unknown cluster", lambda r: [*table(r, HEAD + "a,1,b,c\n"), "--cluster", "cloud"], ("'cloud'", "local, condor, slurm")),
    ("no workers", lambda r: [*table(r, HEAD + "a,1,b,c\n"), "--cluster", "local", "--workers", "0"], ("workers",)),
    ("many events into a file", lambda r: [*table(r, HEAD + "a,1,b,c\n"), "--out", write(r.inside / "f", "x")], ("--out", "cannot be")),
]  # fmt: skip
for name, words, said in MANY:
    command("gwsml analyze", name, words, *said)


def without_browser(room: Room) -> Any:
    with mock.patch.dict(os.environ, {"GWSML_BROWSER": "no-such-browser"}):
        return gwsml("analyze", *strain(room), "--gps", GPS, "--pdf", "--out", room.out)


refuses("gwsml analyze", "--pdf without a browser", without_browser, CommandError, "--pdf", "no-such-browser")


def a_failing_browser(room: Room) -> None:
    """A browser that breaks off leaves no half PDF, and says what it said."""
    from gwsurrogate_ml.cli.printing import print_page

    browser = write(room.inside / "browser", "#!/bin/sh\necho out of paper >&2\nexit 3\n")
    browser.chmod(0o755)
    with mock.patch.dict(os.environ, {"GWSML_BROWSER": str(browser)}):
        print_page(write(room.inside / "a.html", "<p>"), room.path / "a.pdf")


refuses("gwsml analyze", "a browser that fails", a_failing_browser, ConfigError, "--pdf", "out of paper")


def failures_apart(room: Room) -> None:
    """Events that cannot be analysed are lines of the table, each with its reason, and take no other along."""
    from typer.testing import CliRunner

    from gwsurrogate_ml.cli.main import app

    good = {d: hdf5(room.inside / f"{d}.hdf5", seed) for seed, d in enumerate(("H1", "L1"))}
    rows = f"quiet,{GPS},{good['H1']},{good['L1']}\nlost,{GPS},{room.inside / 'no.hdf5'},{good['L1']}\n"
    words = ["analyze", *table(room, HEAD + rows), "--out", room.out, "--n-draws", "200"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 2, result.output
    assert "2 of 2 events could not be analysed" in result.stderr
    lines = list(csv.DictReader((room.out / "events.csv").open()))
    assert [line["outcome"] for line in lines] == ["failed", "failed"]
    assert "no signal" in lines[0]["message"]
    assert "no.hdf5" in lines[1]["message"]
    assert sorted(path.name for path in room.out.iterdir()) == ["events.csv", "events.json"]


survives("gwsml analyze", "events that fail are told apart", failures_apart)

for name, more, said in (
    ("an unknown cluster", ["--cluster", "cloud"], ("'cloud'", "local, condor, slurm")),
    ("no workers", ["--cluster", "local", "--workers", "0"], ("workers",)),
):
    command("gwsml search", name, lambda room, more=more: [*strain(room), *more], *said)


def foreign_step(content: bytes) -> Callable[[Room], Any]:
    def call(room: Room) -> Any:
        from gwsurrogate_ml.inference.sampling.checkpoint import load

        return load(write(room.inside / "001.step", content), "key", "pilot")

    return call


def header(text: str) -> bytes:
    """A file of safetensors with this header and no data."""
    return len(text).to_bytes(8, "little") + text.encode()


for name, content in (
    ("text", b"no tensors"),
    ("nothing", b""),
    ("a zip file", b"PK\x05\x06" + bytes(18)),
    ("a header that is no JSON", header("{")),
    ("a header of no analysis", header("{}")),
    ("a tensor beyond the file", header('{"a":{"dtype":"F64","shape":[9],"data_offsets":[0,72]}}')),
    ("a tensor of an unknown kind", header('{"a":{"dtype":"OBJECT","shape":[1],"data_offsets":[0,8]}}') + bytes(8)),
    ("another analysis's", header('{"__metadata__":{"key":"other","name":"pilot","seconds":"1"}}')),
):
    refuses("steps of an analysis", name, foreign_step(content), ArtifactError, "001.step")
PICKLE = b"cos\nsystem\n(S'touch hacked'\ntR."
refuses("steps of an analysis", "a pickle that runs a command", foreign_step(PICKLE), ArtifactError, "001.step")


def a_file_for_steps(room: Room) -> Any:
    from gwsurrogate_ml.inference.sampling.checkpoint import KeptSteps

    return KeptSteps(write(room.inside / "f", "x"), "key")


refuses("steps of an analysis", "a file in place of the folder", a_file_for_steps, ConfigError, "cannot be made")


def no_room_for_steps(room: Room) -> None:
    """Where no step can be kept, the analysis goes on."""
    from gwsurrogate_ml.inference.sampling.checkpoint import Arrays, KeptSteps
    from tests.hostile.material import small_files

    steps = KeptSteps(room.inside / "steps", "key")
    with small_files():
        assert steps("a", lambda: Arrays(x=np.zeros(100_000)), Arrays)["x"].size == 100_000
    assert steps("b", lambda: Arrays(x=np.array(3)), Arrays)["x"] == 3
    assert not list((room.inside / "steps").iterdir())


survives("steps of an analysis", "a full disk", no_room_for_steps)


def steps_of_others(room: Room) -> None:
    """Steps of another analysis, of another name, or damaged are done anew."""
    from gwsurrogate_ml.inference.sampling.checkpoint import Arrays, KeptSteps

    folder = room.inside / "steps"

    def done(key: str, name: str, value: int) -> int:
        return int(KeptSteps(folder, key)(name, lambda: Arrays(x=np.array(value)), Arrays)["x"])

    assert done("one", "a", 1) == 1
    assert done("one", "a", 2) == 1
    assert done("one", "b", 2) == 2
    assert done("two", "b", 3) == 3
    (path,) = folder.glob("two-*")
    path.write_bytes(path.read_bytes()[:-3])
    assert done("two", "b", 4) == 4


survives("steps of an analysis", "steps of another analysis, and damaged ones", steps_of_others)


def quantised(examples: list[dict[str, Any]], source: str = "f.onnx", target: str = "t.onnx") -> Callable[[Room], Any]:
    def call(room: Room) -> Any:
        import onnx

        from gwsurrogate_ml.serve.quantise import quantise

        make = onnx.helper
        ends = [make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [4]) for n in ("x", "y")]
        graph = make.make_graph([make.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
        onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9), room.inside / "f.onnx")
        write(room.inside / "text.onnx", "no network")
        return quantise(room.inside / source, room.path / target, examples)

    return call


GOOD = [{"x": np.zeros(4, np.float32)}]
refuses("serve.quantise", "no examples", quantised([]), DataError, "no examples")
refuses("serve.quantise", "examples of another network", quantised([{"z": np.zeros(4)}]), DataError, "'z'", "'x'")
refuses("serve.quantise", "text in place of a network", quantised(GOOD, "text.onnx"), ConfigError, "text.onnx", "no ONNX")
refuses("serve.quantise", "a file that is not there", quantised(GOOD, "no.onnx"), ConfigError, "no.onnx")
refuses("serve.quantise", "a target of another kind", quantised(GOOD, target="t.bin"), ConfigError, ".onnx")


def events_json_is_json(room: Room) -> None:
    """Numbers that are not finite do not spoil the table of events."""
    from gwsurrogate_ml.cli.analyze.campaign import write_table

    row = {"event": "a", "outcome": "analysed", "folder": "a", "inference": {"pareto_k": float("nan")}}
    write_table(room.inside, [row])
    assert json.loads((room.inside / "events.json").read_text())[0]["inference"]["pareto_k"] is None
    assert "NaN" not in Path(room.inside / "events.json").read_text()


survives("gwsml analyze", "numbers that are not finite in the table of events", events_json_is_json)


def broken(**changes: Any) -> Callable[[Room], Any]:
    """Load a waveform model that breaks its interface."""

    def call(room: Room) -> Any:
        from gwsurrogate_ml.surrogate.load import load_model
        from gwsurrogate_ml.waveform.model import WaveformModel

        def orders(self: Any, binaries: Any, grid: Any, theta_jn: Any) -> Any:
            return changes.get("orders", np.array([2])), changes.get("spectra", np.ones((2, 1, 2, grid.n_f), complex))

        kind = type("Mine", (WaveformModel,), {"name": changes.get("name", "mine"), "orders": orders})
        return load_model(kind())

    return call


for name, changes, said in (
    ("without a name", {"name": None}, ("Mine", "name")),
    ("without the order of templates", {"orders": np.array([1])}, ("Mine", "m = 2")),
    ("with spectra of another shape", {"spectra": np.ones((2, 2, 7), complex)}, ("Mine", "shape")),
    ("with spectra that are not complex", {"spectra": np.ones((2, 1, 2, 2049))}, ("Mine", "complex")),
    ("with spectra that are not finite", {"spectra": np.full((2, 1, 2, 2049), np.nan + 0j)}, ("Mine", "not finite")),
):
    refuses("a waveform model of one's own", name, broken(**changes), ConfigError, *said)
