"""Cleaning of remnant tables: bad runs are found, the bodies are ordered, near-duplicates share a cluster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep import remnants
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.surrogate.remnant_training import folds, load_runs, read_config


@pytest.fixture
def runs() -> dict[str, np.ndarray]:
    """Sixty good aligned runs: published fits with noise of 1e-4."""
    rng = np.random.default_rng(2)
    n = 60
    spins = rng.uniform(-0.7, 0.7, (2, n))
    chi1, chi2 = np.zeros((2, n, 3))
    chi1[:, 2], chi2[:, 2] = spins
    q = rng.uniform(1.1, 4, n)
    mass, spin = remnants.published_fits(q, chi1, chi2)
    return {
        "code": np.full(n, "SXS"),
        "q": q,
        "chi1": chi1,
        "chi2": chi2,
        "mass": mass + 1e-4 * rng.standard_normal(n),
        "spin": spin + 1e-4 * rng.standard_normal(n),
        "eccentricity": np.full(n, 1e-3),
        "aligned": np.full(n, True),
    }


def test_good_runs_are_kept(runs: dict[str, np.ndarray]) -> None:
    assert not any(remnants.quality(runs, remnants.RemnantConfig()))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("mass", 0.97, "mass off"),
        ("spin", 0.95, "spin off"),
        ("mass", np.nan, "missing"),
        ("mass", 2.16, "unphysical"),
        ("eccentricity", 0.3, "eccentricity 0.3"),
        ("eccentricity", -1e9, "eccentricity"),
    ],
)
def test_one_bad_run_is_dropped_alone(runs: dict[str, np.ndarray], key: str, value: float, says: str) -> None:
    runs[key][7] = value
    reasons = remnants.quality(runs, remnants.RemnantConfig())
    assert any(says in reason for reason in reasons[7])
    assert not any(reason for i, reason in enumerate(reasons) if i != 7)


def test_missing_eccentricity_alone_drops_nothing(runs: dict[str, np.ndarray]) -> None:
    runs["eccentricity"][:] = np.nan
    assert not any(remnants.quality(runs, remnants.RemnantConfig()))


def test_a_region_where_the_fits_fail_is_no_reason_to_drop_runs(runs: dict[str, np.ndarray]) -> None:
    corner = (runs["chi1"][:, 2] > 0.2) & (runs["q"] > 2)
    assert corner.sum() >= 8
    shifted = {key: value.copy() for key, value in runs.items()}
    shifted["spin"][corner] -= 2e-3
    dropped = [bool(reason) for reason in remnants.quality(shifted, remnants.RemnantConfig(neighbours=3))]
    assert np.sum(np.array(dropped) & corner) <= 0.3 * corner.sum()


def test_missing_table_and_column_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sxs_remnants\.csv is missing"):
        remnants.build(tmp_path, tmp_path / "out")
    (tmp_path / "remnants").mkdir()
    (tmp_path / "remnants" / "sxs_remnants.csv").write_text("waveform_id,mass1\nSXS:BBH:0001,0.5\n")
    with pytest.raises(DataError, match="no column"):
        remnants.build(tmp_path, tmp_path / "out")


def test_table_that_is_none_is_refused_by_training(tmp_path: Path) -> None:
    path = tmp_path / "remnants.npz"
    path.write_bytes(b"no table")
    with pytest.raises(DataError, match="data_prep remnants"):
        load_runs(path)
    np.savez(path, q=np.ones(3))
    with pytest.raises(DataError, match="no array"):
        load_runs(path)


def test_unknown_key_of_the_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match="widht"):
        read_config({"name": "a", "runs": "b", "widht": 3})


def test_folds_never_split_a_cluster() -> None:
    cluster = np.random.default_rng(0).integers(0, 40, 300)
    fold = folds(cluster, 8, seed=3)
    assert all(len(np.unique(fold[cluster == label])) == 1 for label in np.unique(cluster))
    assert set(fold) == set(range(8))
