"""All that a pool of processes sends, under each way of starting them: it arrives, and is worth there what it is here."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.conventions import PARAMETERS
from gwsurrogate_ml.inference import BinaryPrior, LalModel, SegmentLikelihood
from gwsurrogate_ml.inference.extrinsic.distance import DistanceTable
from gwsurrogate_ml.plugins.gwsignal import NRHM
from gwsurrogate_ml.strain.simulate import simulate
from tests.hostile import material

BINARY = {"mass_1": 36.0, "mass_2": 29.0, "chi_1": 0.3, "chi_2": -0.1}
ROW = {name: (material.BINARY | material.SKY | {"chirp_mass": 28.1, "mass_ratio": 0.8})[name] for name in PARAMETERS}


def plus(surrogate: gw.Surrogate) -> np.ndarray:
    return surrogate.polarizations(**material.BINARY, f_min=20.0, sampling_frequency=2048.0)[0].value


def power(estimator: gw.Estimator) -> np.ndarray:
    grid = {"duration": 4.0, "sampling_frequency": 2048.0, "f_min": 20.0}
    return np.abs(estimator.model.frequency_domain(*([value] for value in BINARY.values()), **grid))


def log_ratio(likelihood: SegmentLikelihood) -> np.ndarray:
    return likelihood.log_likelihood_ratio({name: np.array([ROW[name]]) for name in PARAMETERS})


def strain(data: gw.StrainData) -> np.ndarray:
    return np.concatenate([series.value for series in data.series.values()])


def likelihood(model: Any) -> SegmentLikelihood:
    return SegmentLikelihood(material.segment(), model)


def denoised(denoiser: Any) -> np.ndarray:
    white = material.data().whiten()["H1"].crop(material.GPS - 4, material.GPS + 4)
    return denoiser(white)[0].value


def filtered() -> Any:
    return gw.matched_filter(material.data(), gw.load_surrogate("nr22"), BINARY)


SENT: dict[str, tuple[Callable[[], Any], Callable[[Any], np.ndarray]]] = {
    "surrogate": (partial(gw.load_surrogate, "nr22"), plus),
    "surrogate of several modes": (gw.load_surrogate, plus),
    "estimator": (gw.load_estimator, power),
    "remnant": (gw.load_remnant, lambda r: np.array(r(q=1.5, chi1=0.3, chi2=-0.1).mass)),
    "denoiser": (gw.load_denoiser, denoised),
    "autoencoder": (partial(gw.load_denoiser, "bbh-autoencoder"), denoised),
    "strain data": (material.data, strain),
    "strain data, simulated": (partial(simulate, None, duration=16, sampling_frequency=1024.0), strain),
    "analysis segment": (material.segment, lambda s: s.strain.view(float)),
    "likelihood": (lambda: likelihood(gw.load_surrogate("nr22")), log_ratio),
    "likelihood of a LAL model": (lambda: likelihood(LalModel()), log_ratio),
    "prior": (BinaryPrior, lambda p: p.sample_intrinsic(5, np.random.default_rng(1))),
    "bilby prior": (lambda: BinaryPrior().to_bilby(material.GPS), lambda p: np.array(p.ln_prob(ROW))),
    "result": (material.result, lambda r: r.posterior.to_numpy()),
    "gwsignal's generator": (NRHM, lambda g: np.array(len(g.metadata))),
    "matched filter": (filtered, lambda m: m.detectors["H1"].snr.value.view(float)),
    "distance table": (lambda: DistanceTable.build((10.0, 3000.0), 40.0), lambda t: t.values),
}  # fmt: skip


def worth(name: str, what: Any) -> np.ndarray:
    return SENT[name][1](what)


@cache
def made(name: str) -> tuple[bytes, Any, np.ndarray]:
    """Pickled before its use, then itself, and what it is worth."""
    what = SENT[name][0]()
    return pickle.dumps(what), what, worth(name, what)


@pytest.mark.slow
@pytest.mark.parametrize("name", SENT)
def test_it_is_pickled_before_and_after_use(name: str) -> None:
    fresh, what, value = made(name)
    for again in (pickle.loads(fresh), pickle.loads(pickle.dumps(what))):
        np.testing.assert_array_equal(worth(name, again), value)


@pytest.mark.process
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_another_process_finds_it_worth_the_same(method: str) -> None:
    sent = {name: pickle.loads(made(name)[0]) for name in SENT}
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.starmap(worth, list(sent.items()))
    for name, value in zip(sent, found, strict=True):
        np.testing.assert_allclose(value, made(name)[2], rtol=1e-12, err_msg=name)
