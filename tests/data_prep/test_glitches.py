"""The prior on glitches that is shipped comes from the table that its recipe reads, and follows it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_prep.glitches import KINDS, TABLE, build, rayleigh_mixture
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.inference.nuisances.glitch_prior import FILE, GlitchPrior


@pytest.mark.data
@pytest.mark.slow
def test_the_shipped_prior_is_what_the_recipe_makes(data_dir, tmp_path: Path) -> None:
    table = data_dir(TABLE)
    made, shipped = build(table.parents[1], tmp_path / "prior.json"), json.loads(FILE.read_text())
    assert made["table_sha256"] == shipped["table_sha256"]
    for kind in KINDS:
        for key in ("share", "shape_shares", "means", "amplitude_variances"):
            assert np.allclose(made["kinds"][kind][key], shipped["kinds"][kind][key], rtol=1e-2, atol=1e-3)


@pytest.mark.data
def test_the_shipped_prior_has_the_quantiles_of_the_table(data_dir) -> None:
    table = pd.read_csv(data_dir(TABLE))
    prior, rng = GlitchPrior.shipped(), np.random.default_rng(1)
    drawn = prior.draw(40_000, rng)
    for column, x in zip(("f0", "gbw"), np.exp(drawn.T), strict=True):
        for q in (0.1, 0.5, 0.9):
            assert np.mean(x < table[column].quantile(q)) == pytest.approx(q, abs=0.04)
    of_kind = np.array([prior.shares[prior.kind == k].sum() for k in range(len(KINDS))])
    shares = (of_kind[:, None] * prior.amplitude_shares).ravel()
    snr = rng.rayleigh(np.sqrt(rng.choice(prior.variances.ravel(), 40_000, p=shares / shares.sum())))
    for q in (0.5, 0.9):
        assert np.mean(snr < table["snr"].quantile(q)) == pytest.approx(q, abs=0.08)


def test_a_rayleigh_mixture_is_found_again() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.rayleigh(3.0, 12_000), rng.rayleigh(20.0, 4_000)])
    shares, variances = rayleigh_mixture(x, 2)
    assert np.allclose(shares, [0.75, 0.25], atol=0.02)
    assert np.allclose(np.sqrt(variances), [3.0, 20.0], rtol=0.03)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"antiglitch_o3\.csv is missing"):
        build(tmp_path, tmp_path / "prior.json")
