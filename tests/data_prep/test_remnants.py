"""Cleaning of remnant tables: bad runs are found, the bodies are ordered, near-duplicates share a cluster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep import remnants
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.surrogate.remnant.train import folds, load_runs, read_config


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
        ("eccentricity", -1e9, "a sentinel"),
    ],
)
def test_one_bad_run_is_dropped_alone(runs: dict[str, np.ndarray], key: str, value: float, says: str) -> None:
    runs[key][7] = value
    reasons = remnants.quality(runs, remnants.RemnantConfig())
    assert any(says in reason for reason in reasons[7])
    assert not any(reason for i, reason in enumerate(reasons) if i != 7)


def test_a_missing_eccentricity_is_kept_or_dropped_as_the_configuration_says(runs: dict[str, np.ndarray]) -> None:
    runs["eccentricity"][:5] = np.nan
    assert not any(remnants.quality(runs, remnants.RemnantConfig()))
    dropped = remnants.quality(runs, remnants.RemnantConfig(missing_eccentricity="drop"))
    assert dropped[:5] == [["eccentricity missing"]] * 5
    assert not any(dropped[5:])
    with pytest.raises(ConfigError, match="missing_eccentricity = 'zero'"):
        remnants.RemnantConfig(missing_eccentricity="zero")


def test_a_run_without_eccentricity_must_pass_all_other_tests(runs: dict[str, np.ndarray]) -> None:
    runs["eccentricity"][7] = np.nan
    runs["spin"][7] = 0.95
    assert remnants.quality(runs, remnants.RemnantConfig())[7]


@pytest.mark.slow
def test_the_report_counts_what_is_not_known(data_dir, tmp_path: Path) -> None:
    source = data_dir("remnants/sxs_remnants.csv").parent.parent
    counts = {}
    for choice in remnants.MISSING:
        path = remnants.build(source, tmp_path / choice, remnants.RemnantConfig(missing_eccentricity=choice))
        with np.load(path) as table:
            counts[choice] = len(table["q"])
            assert not np.any(table["eccentricity"] < 0)
            unknown = int(np.isnan(table["eccentricity"]).sum())
        text = (tmp_path / choice / "report.md").read_text()
        assert f"`missing_eccentricity = {choice}`): {unknown} runs kept" in text
    assert unknown == 0
    assert counts == {"keep": 2423, "drop": counts["drop"]}  # 2423: what the shipped remnant model was trained on
    assert counts["drop"] == pytest.approx(2423 - 311, abs=10)  # the neighbours of the rest change a little


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
