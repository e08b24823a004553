"""Quality control on a small made-up catalogue with planted faults: each must be found, and nothing else dropped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_prep.nr import NRWaveform
from data_prep.quality import clusters, judge
from gwsurrogate_ml.errors import DataError

T = np.arange(-430.0, 120.0)


def family(q, chi, t, error=0.0):
    """A smooth family of merger-like h22; `error` is a smooth deviation such as a model's from the truth."""
    f = 0.28 + 0.03 * chi + 0.02 * np.log(q)
    sweep = f * t + (3.5 + error) * np.log(np.cosh(t / (25 + error)))
    amplitude = 0.39 / q * np.where(t < 0, (1 + (t / 60) ** 2) ** -0.25, 1 / np.cosh(np.maximum(t, 0) / 12))
    return amplitude * np.exp(-1j * sweep)


def run(name, q, chi=0.0, code="GOOD", eccentricity=0.001, h=None, chi_x=0.0, **meta):
    spin = np.array([chi_x, 0.0, chi])
    h22 = family(q, chi, T) if h is None else h
    return NRWaveform(name, code, q, spin, np.zeros(3), eccentricity, T, {(2, 2): h22}, meta)


def reference(run, times):
    return family(run.q, run.chi1[2], times, error=0.01)


@pytest.fixture(scope="module")
def verdicts():
    rng = np.random.default_rng(1)
    catalogue = [run(f"good{i}", q, chi) for i, (q, chi) in enumerate([(q, c) for q in (1, 1.5, 2, 3) for c in (-0.4, 0, 0.4)])]
    noisy = [family(q, 0.0, T) * np.exp(0.05j * np.sin(T / 30 + q)) for q in (1.2, 1.8, 2.5)]
    catalogue += [run(f"rough{i}", q, code="ROUGH", h=h) for i, (q, h) in enumerate(zip((1.2, 1.8, 2.5), noisy, strict=True))]
    wobble = 1 + 0.05 * np.sin(T / 9)
    catalogue += [
        run("mislabelled", 2.0, 0.4, h=family(2.0, -0.4, T)),
        run("eccentric", 1.5, eccentricity=0.05, h=family(1.5, 0.0, T) * np.exp(0.3j * np.sin(T / 25))),
        run("sentinel-good", 1.5, 0.1, eccentricity=None),
        run("sentinel-bad", 1.5, 0.0, eccentricity=None, h=family(1.5, 0, T) * np.exp(0.3j * np.sin(T / 25))),
        run("label-in-doubt", 3.0, 0.0, eccentricity=0.2),
        run("precessing", 2.0, chi_x=0.3),
        run("wobbling", 2.0, h=family(2.0, 0.0, T) * wobble),
        run("heavy", 2.0, mass_sum=0.98),
        replace(run("short", 2.0, h=family(2.0, 0.0, T)), t=T[100:], modes={(2, 2): family(2.0, 0.0, T)[100:]}),
        run("noise", 1.0, h=rng.normal(size=T.size) * family(1.0, 0.0, T)),
        run("twin", 1.0005, 0.4),
    ]
    return {v.name: v for v in judge(catalogue, reference)}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mislabelled", "mismatch"),
        ("eccentric", "eccentricity 0.05"),
        ("sentinel-bad", "eccentricity missing"),
        ("label-in-doubt", "eccentricity 0.2"),
        ("precessing", "in-plane spin 0.300"),
        ("wobbling", "amplitude falls"),
        ("heavy", "m1 \\+ m2 = 0.98"),
        ("short", "does not cover"),
        ("noise", "not monotonic"),
    ],
)
def test_a_planted_fault_is_found_and_named(verdicts, name, reason):
    verdict = verdicts[name]
    assert not verdict.kept
    assert verdict.weight == 0
    assert any(np.char.find(r, reason.replace("\\", "")) >= 0 for r in verdict.reasons), verdict.reasons


def test_no_good_run_is_dropped(verdicts):
    kept = {name for name, v in verdicts.items() if v.kept}
    assert kept == {f"good{i}" for i in range(12)} | {"rough0", "rough1", "rough2", "sentinel-good", "twin"}


def test_weights_follow_the_error_of_the_code(verdicts):
    good, rough = verdicts["good4"], verdicts["rough1"]
    assert 0 < rough.weight < 0.1 * good.weight <= 0.1
    # the phase noise put in has rms 0.035 rad, a mismatch of half its variance (less what time and phase absorb)
    assert 2e-4 < rough.sigma < 7e-4


def test_the_neighbour_test_removes_the_smooth_error_of_the_reference(verdicts):
    good = verdicts["good4"]
    assert good.neighbour_mismatch < 0.2 * good.reference_mismatch


def test_duplicates_share_a_cluster_and_contradicted_labels_are_noted(verdicts):
    assert verdicts["twin"].cluster == verdicts["good2"].cluster != verdicts["good1"].cluster
    assert any("label in doubt" in note for note in verdicts["label-in-doubt"].notes)
    assert any("kept, since" in note for note in verdicts["sentinel-good"].notes)


def test_clusters_know_that_equal_bodies_can_be_exchanged():
    a = [0.25, 0.1, 0.0, 0.3, 0.0, 0.2, -0.5]
    exchanged = [0.25, 0.0, -0.2, -0.5, -0.1, 0.0, 0.3]
    unequal = [0.24, *a[1:]], [0.24, *exchanged[1:]]
    near = [0.2496, 0.1005, *a[2:]]
    assert clusters(np.array([a, exchanged, *unequal, near])).tolist() == [0, 0, 1, 2, 0]


def test_nothing_to_compare_with_is_an_error():
    with pytest.raises(DataError, match="no run is good enough"):
        judge([run("a", 1.0)], lambda run, times: np.exp(-0.9j * times) * family(1.0, 0.0, times))
