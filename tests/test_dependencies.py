"""What the package uses of others: every import is declared, and what is no public interface of theirs is still there."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from functools import partial
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
import torch

import gwsurrogate_ml
from gwsurrogate_ml.inference.calibration import coverage

ROOT = Path(__file__).parents[1]


def imported(path: Path) -> set[str]:
    """Top names of the modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.slow
def test_every_import_of_the_package_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=;]", line)[0].strip().lower()) for line in lines}
    files = Path(gwsurrogate_ml.__file__).parent.rglob("*.py")
    names = {name for path in files for name in imported(path)} - set(sys.stdlib_module_names) - {"gwsurrogate_ml"}
    owners = packages_distributions()
    missing = [
        name
        for name in sorted(names)
        if name in owners and not declared & {re.sub(r"[-_.]+", "-", owner.lower()) for owner in owners[name]}
    ]
    assert not missing, f"imported and not declared in pyproject.toml: {', '.join(missing)}"


def test_mkl_is_reached_where_mkl_fft_is_installed() -> None:
    if importlib.util.find_spec("mkl_fft") is None:
        pytest.skip("mkl_fft is not installed")
    from gwsurrogate_ml.kernels import _mkl

    assert _mkl.library() is not None, "mkl_fft has no module _pydfti that is linked with MKL: mend kernels/_mkl.py"


def test_the_folders_of_bilby_hold_curves_and_detectors() -> None:
    from gwsurrogate_ml.strain.detectors import bilby_files

    for folder, pattern in (("noise_curves", "aLIGO*_asd.txt"), ("detectors", "*.interferometer")):
        assert bilby_files(folder, pattern), f"bilby keeps no {pattern} in {folder}: mend strain/detectors.bilby_files"


def test_gwsignal_looks_names_up_in_the_function_that_the_plugin_replaces() -> None:
    from lalsimulation import gwsignal

    for module in (gwsignal, gwsignal.models):
        assert callable(getattr(module, "gwsignal_get_waveform_generator", None)), "mend plugins/gwsignal.register"


def test_ranks_and_coverage_are_those_of_sbi(monkeypatch: pytest.MonkeyPatch) -> None:
    from sbi.diagnostics import sbc, tarp

    for module, name in ((sbc, "_run_sbc"), (tarp, "_run_tarp")):
        assert hasattr(module, name), f"sbi has renamed {name}: mend this test"
    rng = np.random.default_rng(0)
    draws, truth = rng.normal(size=(200, 120, 3)), rng.normal(size=(120, 3))
    monkeypatch.setattr(coverage, "sample_arrays", lambda *_: (draws, truth, ("a", "b", "c")))
    x, y = torch.from_numpy(draws).float(), torch.from_numpy(truth).float()
    torch.manual_seed(4)
    # sbi's bins begin at the least credibility found; ours at zero.
    with monkeypatch.context() as whole:
        whole.setattr(torch, "histogram", partial(torch.histogram, range=(0.0, 1.0)))
        ecp, alpha = tarp._run_tarp(x, y, tarp.get_tarp_references(y), num_bins=12, z_score_theta=True)
    ours = coverage.tarp([{}] * 120, raw=True, seed=4, n_references=1)
    np.testing.assert_allclose(ours["coverage"], ecp, atol=1e-4)
    np.testing.assert_allclose(ours["credibility"], alpha, atol=1e-4)
    ranks = sbc._run_sbc(y, y, x, show_progress_bar=False)
    ks = sbc.check_uniformity_frequentist(ranks, len(draws))
    assert list(coverage.sbc([], raw=True, classify=False)["ks_p"].values()) == pytest.approx(ks.tolist())
