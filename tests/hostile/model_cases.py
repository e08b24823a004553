"""Hostile models, results and sky maps: damaged, foreign, or written where nothing can be written."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError, DomainError, GwsmlError
from gwsurrogate_ml.inference import Result
from tests.hostile.material import (
    INF,
    NAN,
    NOWHERE,
    cut,
    denoiser,
    estimator,
    model_copy,
    result,
    retensored,
    segment,
    surrogate,
    write,
)  # fmt: skip
from tests.hostile.table import Room, refuses, survives

Load = Callable[[Any], Any]
LOADERS: dict[str, tuple[Load, str]] = {
    "load_surrogate": (gw.load_surrogate, "nr22"),
    "load_estimator": (gw.load_estimator, "bbh-h1l1"),
    "load_remnant": (gw.load_remnant, "remnant"),
    "load_denoiser": (gw.load_denoiser, "bbh-signal"),
    "WitnessCleaner.load": (gw.WitnessCleaner.load, ""),
}


def spoilt(load: Load, model: str, spoil: Callable[[Path], Any]) -> Callable[[Room], Any]:
    """Load a copy of a model after `spoil` has had its folder."""

    def call(room: Room) -> Any:
        folder = model_copy(room.inside / "model", model)
        spoil(folder)
        return load(folder)

    return call


def replace_weights(folder: Path, content: Callable[[bytes], bytes]) -> None:
    weights = folder / "weights.safetensors"
    data = content(weights.read_bytes())
    weights.unlink()
    weights.write_bytes(data)


def card(folder: Path, content: str) -> None:
    (folder / "card.json").write_text(content)


for entry, (load, model) in LOADERS.items():
    refuses(entry, "an unknown name", lambda room, load=load: load("nonsense"), ArtifactError, "nonsense", "one of")
    refuses(entry, "an empty folder", lambda room, load=load: load(room.inside), ArtifactError, "card.json")
    other = "remnant" if model != "remnant" else "nr22"
    refuses(entry, "a model of another kind", lambda room, load=load, other=other: load(other), ArtifactError, "kind")
    if not model:
        continue
    for name, spoil, error, said in (
        (
            "weights cut in half",
            lambda f: replace_weights(f, lambda b: b[: len(b) // 2]),
            ArtifactError,
            ("checksum", "again"),
        ),
        (
            "weights with one bit turned",
            lambda f: replace_weights(f, lambda b: b[:-1] + bytes([b[-1] ^ 1])),
            ArtifactError,
            ("checksum",),
        ),
        ("no weights", lambda f: (f / "weights.safetensors").unlink(), ArtifactError, ("missing", "again")),
        (
            "a card cut short",
            lambda f: card(f, (f / "card.json").read_text()[:99]),
            ArtifactError,
            ("card.json", "not a model card"),
        ),
        (
            "a card that is bytes",
            lambda f: (f / "card.json").write_bytes(bytes(range(128, 256))),
            ArtifactError,
            ("card.json",),
        ),
        ("a card that is a list", lambda f: card(f, "[]"), ArtifactError, ("format version",)),
    ):
        refuses(entry, name, spoilt(load, model, spoil), error, *said)

CHANGED: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
    ("load_surrogate", "a format of the future", {"format_version": 99}, ("format version 99", "update")),
    ("load_surrogate", "a card without modes", {"modes": None}, ("modes",)),
    ("load_surrogate", "a card without ranges", {"ranges": None}, ("ranges",)),
    ("load_surrogate", "a card whose ranges are words", {"ranges": {"q": "1 to 10"}}, ("ranges",)),
    ("load_surrogate", "a card of another degree", {"degree": 7}, ("degree 7",)),
    ("load_surrogate", "a card whose degree is a word", {"degree": "four"}, ("degree",)),
    ("load_surrogate", "a card that claims more modes", {"modes": [[2, 2], [3, 3]]}, ("higher.basis",)),
    ("load_estimator", "a card without its configuration", {"config": None}, ("config",)),
    ("load_estimator", "a card with an unknown key", {"config": {"nonsense": 1}}, ("nonsense",)),
    ("load_estimator", "a card without ranges", {"ranges": None}, ("ranges",)),
    ("load_estimator", "a card without training data", {"training_data": None}, ("training_data",)),
    ("load_remnant", "a card without ranges", {"ranges": None}, ("ranges",)),
    ("load_remnant", "a card without error scales", {"error_scales": None}, ("error_scales",)),
    ("load_denoiser", "a card without its threshold", {"threshold": None}, ("threshold",)),
]  # fmt: skip
for entry, name, changes, said in CHANGED:
    load, model = LOADERS[entry]
    refuses(
        entry, name,
        lambda room, load=load, model=model, changes=changes: load(model_copy(room.inside / "model", model, **changes)),
        ArtifactError, *said,
    )  # fmt: skip

TENSORS: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
    ("load_surrogate", "weights without knots", {"knots": None}, ("knots",)),
    ("load_surrogate", "weights that are NaN", {"stage1__mean": lambda x: x * NAN}, ("stage1.mean", "finite")),
    ("load_surrogate", "weights of another shape", {"stage1__basis": lambda x: x[:, :-3]}, ("stage1.basis",)),
    ("load_surrogate", "knots that fall", {"knots": lambda x: x[::-1]}, ("knots",)),
    ("load_estimator", "weights without functions", {"functions__real": None}, ("functions.real",)),
    ("load_estimator", "a template of another length", {"reference__real": lambda x: x[:-5]}, ("belong together",)),
    ("load_remnant", "weights that are NaN", {"*": lambda x: x * NAN}, ("finite",)),
    ("load_denoiser", "weights that are NaN", {"*": lambda x: x * NAN}, ("finite",)),
]  # fmt: skip


def retensored_first(folder: Path, model: str, changes: dict[str, Any]) -> Path:
    """As `retensored`, where "*" stands for the first tensor of floats."""
    if "*" in changes:
        _, tensors = artifacts.load(model, json.loads((artifacts.SHIPPED / model / "card.json").read_text())["kind"])
        first = next(key for key, value in sorted(tensors.items()) if value.dtype.kind == "f" and value.size > 1)
        changes = {first.replace(".", "__"): changes["*"]}
    return retensored(folder, model, **changes)


for entry, name, changes, said in TENSORS:
    load, model = LOADERS[entry]
    refuses(
        entry, name,
        lambda room, load=load, model=model, changes=changes: load(retensored_first(room.inside / "m", model, changes)),
        ArtifactError, *said,
    )  # fmt: skip

SMALL = ({"name": "x", "kind": "surrogate"}, {"a": np.zeros(3)})
for name, call, said in (
    ("no name on the card", lambda room: artifacts.save(room.out, {"kind": "x"}, SMALL[1]), ("name",)),
    ("a folder below a file", lambda room: artifacts.save(write(room.inside / "f", "x") / "m", *SMALL), ("written",)),
    (
        "a file in the folder's place",
        lambda room: artifacts.save(write(room.inside / "f", "x"), *SMALL),
        ("is a file",),
    ),
    ("a folder where nobody may write", lambda room: artifacts.save(NOWHERE, *SMALL), ("written",)),
    (
        "a card that is no JSON",
        lambda room: artifacts.save(room.out, SMALL[0] | {"a": {1, 2}}, SMALL[1]),
        ("card", "JSON"),
    ),
    ("objects among the tensors", lambda room: artifacts.save(room.out, SMALL[0], {"a": np.array([{}])}), ("'a'",)),
):
    refuses("artifacts.save", name, call, ArtifactError, *said)


def saved(room: Room, name: str) -> Path:
    return result().save(room.inside / name)


def reread(room: Room, change: Callable[[dict[str, Any]], Any]) -> Any:
    path = saved(room, "r.json")
    content = json.loads(path.read_text())
    change(content)
    return Result.load(write(path, json.dumps(content)))


for name, call, error, said in (
    ("no such file", lambda room: Result.load(room.inside / "no.json"), DataError, ("no.json",)),
    ("half a JSON file", lambda room: Result.load(cut(saved(room, "r.json"))), DataError, ("r.json", "truncated")),
    ("half an HDF5 file", lambda room: Result.load(cut(saved(room, "r.hdf5"))), DataError, ("r.hdf5", "truncated")),
    ("a list", lambda room: Result.load(write(room.inside / "r.json", "[1]")), DataError, ("r.json",)),
    ("bilby's own result", lambda room: Result.load(bilbys(room)), DataError, ("bilby",)),
    ("an unknown suffix", lambda room: Result.load(write(room.inside / "r.pkl", "x")), ConfigError, (".json",)),
    ("a folder", lambda room: Result.load(room.inside), ConfigError, (".json",)),
    ("no weights", lambda room: reread(room, lambda c: c.pop("weighted")), DataError, ("weighted",)),
    ("a missing parameter", lambda room: reread(room, lambda c: c["posterior"].pop("ra")), DataError, ("ra",)),
    ("columns of two lengths", lambda room: reread(room, lambda c: c["posterior"]["ra"].pop()), DataError, ("length",)),
    (
        "an evidence in words",
        lambda room: reread(room, lambda c: c.update(log_evidence="large")),
        DataError,
        ("log_evidence",),
    ),
    (
        "a posterior in words",
        lambda room: reread(room, lambda c: c["posterior"].update(ra=["a"] * 200)),
        DataError,
        ("ra",),
    ),
):
    refuses("Result.load", name, call, error, *said)


def bilbys(room: Room) -> Path:
    path = room.inside / "result.json"
    result().to_bilby().save_to_file(filename=str(path))
    return path


for name, call, error, said in (
    ("an unknown suffix", lambda room: result().save(room.path / "r.pkl"), ConfigError, (".json",)),
    (
        "a folder that is not there",
        lambda room: result().save(room.path / "no" / "r.json"),
        ConfigError,
        ("no folder",),
    ),
    (
        "a file in the place of the folder",
        lambda room: result().save(write(room.inside / "f", "x") / "r.hdf5"),
        ConfigError,
        ("folder",),
    ),
    (
        "a folder where nobody may write",
        lambda room: result().save(NOWHERE.with_name("r.json")),
        ConfigError,
        ("cannot be written",),
    ),
    (
        "a folder called r.json",
        lambda room: result().save((room.inside / "r.json").mkdir() or room.inside / "r.json"),
        ConfigError,
        ("folder",),
    ),
):
    refuses("Result.save", name, call, error, *said)

PRIOR = lambda: __import__("gwsurrogate_ml.inference.result.reweight", fromlist=["prior_of"]).prior_of(result())  # noqa: E731


def changed_prior(**changes: Any) -> Any:
    prior = dict(PRIOR())
    for name, value in changes.items():
        prior.pop(name) if value is None else prior.update({name: value})
    return result().with_prior(prior)


def drawn(posterior: Any) -> None:
    from gwsurrogate_ml import plot

    plot.corner(posterior).savefig(io.BytesIO())


def lal(name: str) -> Any:
    from gwsurrogate_ml.inference import LalModel

    return LalModel(name)


def uniform(low: float, high: float) -> Any:
    from bilby.core.prior import Uniform

    return Uniform(low, high)


for name, call, error, said in (
    ("a prior without the spins", lambda room: changed_prior(chi_1=None), ConfigError, ("chi_1",)),
    ("a parameter that nobody knows", lambda room: changed_prior(lambda_1=uniform(0, 1)), ConfigError, ("lambda_1",)),
    ("a wider prior", lambda room: changed_prior(chirp_mass=uniform(5, 90)), DomainError, ("chirp_mass", "wider")),
    (
        "a prior that excludes all draws",
        lambda room: changed_prior(chirp_mass=uniform(40, 44)),
        DomainError,
        ("no draw",),
    ),
    ("a number in place of a prior", lambda room: changed_prior(chirp_mass=44.5), DomainError, ("no draw",)),
    (
        "a fixed spin",
        lambda room: changed_prior(chi_1=0.0),
        DomainError,
        ("chi_1", "single value 0", "density", "Uniform"),
    ),
    (
        "a list in place of a prior",
        lambda room: changed_prior(chi_1=[0, 1]),
        ConfigError,
        ("chi_1", "Uniform(low, high)"),
    ),
    (
        "a result that does not know its prior",
        lambda room: replace(result(), meta={}).with_prior({}),
        ConfigError,
        ("prior",),
    ),
):
    refuses("Result.with_prior", name, call, error, *said)
for name, call, error, said in (
    ("draws of five", lambda room: drawn(result().posterior[:5]), ConfigError, ("5 samples", "fewer parameters")),
    ("a draw that is NaN", lambda room: drawn(result().posterior.assign(chi_1=NAN)), DataError, ("chi_1", "NaN")),
):
    refuses("plot.corner", name, call, error, *said)
survives("plot.corner", "a parameter that is constant", lambda room: drawn(result().posterior.assign(chi_1=0.0)))
refuses(
    "load_estimator", "a waveform model of seven modes",
    lambda room: gw.load_estimator(model=surrogate("nrhm")), ConfigError, "(2,2), (2,1)", "load_surrogate('nr22')",
)  # fmt: skip
refuses(
    "load_estimator",
    "a model of LAL of several modes",
    lambda room: gw.load_estimator(model=lal("IMRPhenomXHM")),
    ConfigError,
    "lal:IMRPhenomXHM",
    "load_surrogate('nr22')",
)
for name, call, error, said in (
    (
        "an unknown waveform",
        lambda room: result().with_waveform(segment(), "IMRNonsense"),
        ConfigError,
        ("IMRNonsense",),
    ),
    ("no segment", lambda room: result().with_waveform(None, "IMRPhenomD"), ConfigError, ("segment",)),
):
    refuses("Result.with_waveform", name, call, error, *said)
for name, call, error, said in (
    ("a word", lambda room: result().combine("another"), ConfigError, ("Result",)),
    (
        "a result of other data",
        lambda room: result().combine(replace(result(), log_noise_evidence=-1.0)),
        ConfigError,
        ("data",),
    ),
):
    refuses("Result.combine", name, call, error, *said)

SKY = lambda n=200, **c: replace(result(), posterior=result().posterior.iloc[:n].assign(**c))  # noqa: E731
for name, call, error, said in (
    ("a suffix that is no map's", lambda room: result().save_skymap(room.path / "sky.png"), ConfigError, (".fits",)),
    ("too few draws", lambda room: SKY(20).save_skymap(room.path / "sky.fits"), DataError, ("20 different",)),
    (
        "one direction over and over",
        lambda room: SKY(ra=1.0, dec=0.0).save_skymap(room.path / "sky.fits"),
        DataError,
        ("1 different",),
    ),
    ("draws that are NaN", lambda room: SKY(ra=NAN).save_skymap(room.path / "sky.fits"), DataError, ("finite",)),
    (
        "declinations in degrees",
        lambda room: SKY(dec=np.linspace(-60, 60, 200)).save_skymap(room.path / "s.fits"),
        DataError,
        ("dec", "rad"),
    ),
    (
        "a folder that is not there",
        lambda room: result().save_skymap(room.path / "no" / "sky.fits"),
        ConfigError,
        ("no folder",),
    ),
    (
        "a seed in words",
        lambda room: result().save_skymap(room.path / "sky.fits", seed="lucky"),
        ConfigError,
        ("seed",),
    ),
):
    refuses("Result.save_skymap", name, call, error, *said)
for name, content, error, said in (
    ("text", b"no map", DataError, ("no sky map",)),
    ("nothing", b"", DataError, ("no sky map",)),
    ("half a FITS header", b"SIMPLE  =                    T" + b" " * 200, DataError, ("no sky map",)),
):
    refuses(
        "SkyMap.load", name,
        lambda room, content=content: _skymap().load(write(room.inside / "s.fits", content)), error, *said,
    )  # fmt: skip
refuses("SkyMap.load", "no such file", lambda room: _skymap().load(room.inside / "s.fits"), DataError, "s.fits")


def _skymap() -> Any:
    from gwsurrogate_ml.inference.result.skymap import SkyMap

    return SkyMap


def sampled(change: Callable[[Any], Any], **options: Any) -> Any:
    return estimator().sample(change(segment()), **{"n": 200} | options)


for name, call, error, said in (
    ("strain that is NaN", lambda s: replace(s, strain=s.strain * NAN), DataError, ("finite",)),
    ("a PSD that is infinite", lambda s: replace(s, psd=s.psd * INF), ConfigError, ("up to 0 Hz",)),
    ("a PSD of zeros", lambda s: replace(s, psd=s.psd * 0), DataError, ("H1", "PSD")),
    ("a PSD that is negative", lambda s: replace(s, psd=-s.psd), DataError, ("H1", "PSD")),
    ("another duration", lambda s: replace(s, duration=8.0), ConfigError, ("duration",)),
    (
        "one detector",
        lambda s: replace(s, detectors=("H1",), strain=s.strain[:1], psd=s.psd[:1]),
        DomainError,
        ("trained for H1, L1",),
    ),
    ("pure noise", lambda s: s, DomainError, ("no signal",)),
    ("a word", lambda s: "GW150914", ConfigError, ("StrainData",)),
    ("arrays cut short", lambda s: replace(s, strain=s.strain[:, :99]), DataError, ("strain", "shape")),
):
    refuses("Estimator.sample", name, lambda room, call=call: sampled(call), error, *said)
for name, options, said in (
    ("ten draws", {"n": 10}, ("at least 100",)),
    ("draws in words", {"n": "many"}, ("n is", "many")),
    ("half a draw", {"n": 1000.5}, ("n is",)),
    ("a seed that is negative", {"seed": -1}, ("seed",)),
):
    refuses("Estimator.sample", name, lambda room, o=options: sampled(lambda s: s, **o), ConfigError, *said)


def other_order(room: Room) -> Any:
    return estimator().sample(gw.StrainData({"L1": None, "H1": None}, gps=0.0))


WHITE = lambda **o: __import__("tests.hostile.material", fromlist=["data"]).data(**o).whiten()["H1"]  # noqa: E731
for name, call, error, said in (
    ("an array without times", lambda room: denoiser()(np.zeros(4096)), DataError, ("TimeSeries",)),
    ("strain that is not whitened", lambda room: denoiser()(WHITE() * 1e-21), DataError, ("whiten",)),
    ("a gap", lambda room: denoiser()(_holed(WHITE())), DataError, ("NaN", "gaps")),
    ("a rate too low", lambda room: denoiser()(WHITE().resample(512)), DataError, ("512 Hz",)),
    ("an unknown curve", lambda room: denoiser()(WHITE(), psd="nonsense"), ConfigError, ("nonsense",)),
    (
        "a PSD that ends early",
        lambda room: denoiser()(WHITE(), psd=(np.linspace(20, 90, 9), np.full(9, 1e-46))),
        DataError,
        ("PSD", "90"),
    ),
    ("a dict of series", lambda room: denoiser()({"H1": WHITE()}), DataError, ("TimeSeries",)),
):
    refuses("SignalDenoiser.__call__", name, call, error, *said)


def _holed(white: Any) -> Any:
    white.value[100:200] = NAN
    return white


def names_are_not_paths(room: Room) -> None:
    """A shipped name wins over a folder of the same name: what is loaded does not depend on where one stands."""
    assert surrogate("nr22").info["name"] == "nr22"


survives("load_surrogate", "a shipped name is not looked up in the working folder first", names_are_not_paths)
_: type[GwsmlError] = GwsmlError
