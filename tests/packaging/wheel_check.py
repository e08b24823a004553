"""Build wheel and sdist, install the wheel alone into clean environments, and use it as a new user would.

    python tests/packaging/wheel_check.py [--python 3.11 3.12 3.13] [--latest] [--keep FOLDER] [--out report.json]

Needs the standard library and an index of packages. For every interpreter found: install without extras (with constraints.txt, or
the newest versions with --latest), import every module, run `gwsml demo`, find the entry points by pycbc and gwsignal, and see
that each missing extra is named by an error. Prints a table; ends with status 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INSIDE = (
    "gwsurrogate_ml/cli/templates/analysis.html.j2",
    "gwsurrogate_ml/configs/bbh-h1l1.toml",
    "gwsurrogate_ml/models/nrhm/weights.safetensors",
    "gwsurrogate_ml/models/bbh-h1l1/card.json",
)
"""Files that are no code and that a wheel must have."""
TOO_LARGE = 40e6
"""Bytes of a wheel; shipped weights stay below 20 MB."""

IMPORTS = """
import importlib, pkgutil, gwsurrogate_ml
extras = {"fastapi", "uvicorn", "onnx", "onnxscript", "onnxruntime", "dask", "distributed", "ligo"}
bad = []
for module in pkgutil.walk_packages(gwsurrogate_ml.__path__, "gwsurrogate_ml."):
    if module.name == "gwsurrogate_ml.serve.routes":  # the one that is imported only with the extra
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        bad.append(f"{module.name}: {error}")
import sys
loaded = sorted(extras & {name.split(".")[0] for name in sys.modules})
assert not bad, bad
assert not loaded, loaded
"""
PYCBC = """
from pycbc.waveform import td_approximants, fd_approximants, get_td_waveform
for name in ("GWSML_NR22", "GWSML_NRHM", "GWSML_NRPHM"):
    assert name in td_approximants() and name in fd_approximants(), name
hp, hc = get_td_waveform(approximant="GWSML_NRHM", mass1=40, mass2=30, spin1z=0.2, delta_t=1/4096, f_lower=25, distance=400)
assert 1e-22 < abs(hp).max() < 1e-20, abs(hp).max()
"""
GWSIGNAL = """
import inspect
from importlib.metadata import entry_points
from lalsimulation.gwsignal import models
names = {point.name: point.load() for point in entry_points(group="gwsignal_models")}
assert {"GWSML_NR22", "GWSML_NRHM", "GWSML_NRPHM"} <= set(names)
if "entry_points" not in inspect.getsource(models):  # lalsimulation before it read entry points
    from gwsurrogate_ml.plugins.gwsignal import register
    register()
generator = models.gwsignal_get_waveform_generator("GWSML_NRHM")
assert type(generator) is names["GWSML_NRHM"]
from bilby.gw.waveform_generator import GWSignalWaveformGenerator
words = dict(waveform_approximant="GWSML_NRHM", reference_frequency=50.0, minimum_frequency=20.0)
bilbys = GWSignalWaveformGenerator(duration=4.0, sampling_frequency=2048.0, waveform_arguments=words)
h = bilbys.frequency_domain_strain(dict(mass_1=36.0, mass_2=29.0, a_1=0.3, a_2=0.1, tilt_1=0.0, tilt_2=0.0, phi_12=0.0,
    phi_jl=0.0, luminosity_distance=410.0, theta_jn=0.4, phase=1.2))
assert 1e-24 < abs(h["plus"]).max() < 1e-21
"""
SKYMAP = """
import numpy as np
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.result.skymap import from_draws
try:
    from_draws(np.zeros(100), np.zeros(100))
except ConfigError as error:
    assert "pip install gwsurrogate-ml[skymap]" in str(error)
else:
    raise AssertionError("no error")
"""
EXPORT = SKYMAP.replace("from gwsurrogate_ml.inference.result.skymap import from_draws", "import gwsurrogate_ml as gw\n"
    "from gwsurrogate_ml.serve.export import export_surrogate").replace(
    "from_draws(np.zeros(100), np.zeros(100))", "export_surrogate(gw.load_surrogate('nr22'), 'a.onnx')").replace(
    "[skymap]", "[serve]")  # fmt: skip


def run(words: list[str], folder: Path, limit: float = 3600) -> subprocess.CompletedProcess[str]:
    """A command in `folder`, away from the source tree; its output is kept."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(words, cwd=folder, text=True, capture_output=True, timeout=limit, env=clean)


def need(done: subprocess.CompletedProcess[str]) -> str:
    """Standard output of a command that must have succeeded."""
    if done.returncode:
        raise RuntimeError(f"{' '.join(done.args)[:200]}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
    return done.stdout


def venv(python: str, folder: Path) -> Path:
    """A new environment, in place of one that is there; the path of its interpreter."""
    need(run([python, "-m", "venv", "--clear", str(folder)], folder.parent))
    return folder / "bin" / "python"


def install(python: Path, words: list[str], folder: Path) -> None:
    """Install into the environment of `python`: by uv where it is found (much faster), else by pip."""
    if uv := shutil.which("uv"):
        # As pip does with several sources: the best version of all of them.
        by = [uv, "pip", "install", "--quiet", "--python", str(python), "--index-strategy", "unsafe-best-match"]
    else:
        by = [str(python), "-m", "pip", "install", "--quiet"]
    need(run([*by, *words], folder))


def build(folder: Path) -> tuple[Path, Path, dict[str, Any]]:
    """Wheel and sdist, the wheel built from the sdist, both from a clean copy; what is in them."""
    python = venv(sys.executable, folder / "build-env")
    install(python, ["build"], folder)
    need(run([str(python), "-m", "build", "--outdir", str(folder / "dist"), str(ROOT)], folder))
    (wheel,), (sdist,) = (list((folder / "dist").glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
    names = set(zipfile.ZipFile(wheel).namelist())
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    missing = [name for name in INSIDE if name not in names] + [name for name in INSIDE if name not in packed]
    foreign = sorted({name.split("/")[0] for name in names} - {"gwsurrogate_ml"})
    problems = [f"missing: {name}" for name in missing]
    problems += [f"foreign: {name}" for name in foreign if not name.endswith(".dist-info")]
    problems += [f"missing from the sdist: {name}" for name in ("tests/conftest.py", "Makefile") if name not in packed]
    if wheel.stat().st_size > TOO_LARGE:
        problems.append(f"the wheel has {wheel.stat().st_size / 1e6:.0f} MB")
    sizes = {"wheel_mb": wheel.stat().st_size / 1e6, "sdist_mb": sdist.stat().st_size / 1e6, "files": len(names)}
    return wheel, sdist, sizes | {"problems": problems}


def refuses(python: Path, words: list[str], said: str, folder: Path) -> str:
    """Empty if `gwsml words` ends with one line that says `said`, else what it said."""
    done = run([str(python.parent / "gwsml"), *words], folder, 600)
    lines = [line for line in done.stderr.splitlines() if "error:" in line]
    fine = done.returncode == 2 and len(lines) == 1 and said in done.stderr and "Traceback" not in done.stderr
    return "" if fine else (done.stdout + done.stderr)[-800:]


def use(python: str, wheel: Path, folder: Path, constraints: bool) -> dict[str, Any]:
    """Install and use the wheel with one interpreter; every step is "ok" or what went wrong."""
    found: dict[str, Any] = {}
    start = time.monotonic()
    inside = venv(python, folder / "env")
    pins = ["-c", str(ROOT / "constraints.txt")] if constraints else []
    try:
        install(inside, [*pins, str(wheel)], folder)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return {"install": str(error)[-2000:]}
    found["install"] = "ok"
    found["install_s"] = round(time.monotonic() - start)
    found["versions"] = json.loads(need(run([str(inside), "-m", "pip", "list", "--format", "json"], folder)))
    found["versions"] = {
        row["name"]: row["version"]
        for row in found["versions"]
        if row["name"] in ("numpy", "scipy", "numba", "torch", "gwpy", "pycbc", "lalsuite", "bilby", "sbi")
    }
    steps = {
        "imports without extras": [str(inside), "-c", IMPORTS],
        "gwsml --version": [str(inside.parent / "gwsml"), "--version"],
        "pycbc finds it": [str(inside), "-c", PYCBC],
        "gwsignal finds it": [str(inside), "-c", GWSIGNAL],
        "error names [skymap]": [str(inside), "-c", SKYMAP],
        "error names [serve] (export)": [str(inside), "-c", EXPORT],
        "gwsml demo": [str(inside.parent / "gwsml"), "demo", "--n-draws", "2000", "--json", "--out", "demo"],
    }
    for name, words in steps.items():
        begin = time.monotonic()
        try:
            need(run(words, folder))
            found[name] = "ok"
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            found[name] = str(error)[-2000:]
        found[f"{name}, s"] = round(time.monotonic() - begin)
    found["error names [serve]"] = refuses(inside, ["serve", "--port", "0"], "gwsurrogate-ml[serve]", folder) or "ok"
    campaign = ["validate", "estimator", "--injections", "20", "--cluster", "local", "--out", "v"]
    found["error names [cluster]"] = refuses(inside, campaign, "gwsurrogate-ml[cluster]", folder) or "ok"
    if found["gwsml demo"] == "ok":
        summary = json.loads((folder / "demo" / "summary.json").read_text())
        truths = json.loads((folder / "demo" / "config.json").read_text())["truths"]
        row = summary["posterior"]["chirp_mass"]
        inside_90 = row["lower_90"] <= truths["chirp_mass"] <= row["upper_90"]
        found["demo holds the true chirp mass"] = "ok" if inside_90 else str(row)
        found["demo without sky map"] = "ok" if not (folder / "demo" / "skymap.fits").exists() else "skymap.fits is there"
        found["sample_efficiency"] = summary["inference"]["sample_efficiency"]
    return found


def interpreter(version: str) -> str | None:
    """A Python of that version: on the path, or one of pyenv's."""
    candidates = [shutil.which(f"python{version}")]
    candidates += [str(p) for p in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))[::-1]]
    for candidate in candidates:
        words = [candidate or "", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if candidate and subprocess.run(words, text=True, capture_output=True).stdout.strip() == version:
            return candidate
    return None


def main() -> None:
    """Build, install, use, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", nargs="*", default=["3.11", "3.12", "3.13"])
    parser.add_argument("--latest", action="store_true", help="newest versions in place of constraints.txt")
    parser.add_argument("--keep", type=Path, help="folder that stays; default: a temporary one")
    parser.add_argument("--out", type=Path, help="JSON file for the report")
    given = parser.parse_args()
    temporary = None if given.keep else tempfile.TemporaryDirectory()
    folder = given.keep or Path(temporary.name)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    wheel, sdist, contents = build(folder)
    print(f"built {wheel.name} ({contents['wheel_mb']:.1f} MB), {sdist.name} ({contents['sdist_mb']:.1f} MB)")
    report: dict[str, Any] = {"contents": contents, "python": {}}
    failed = bool(contents["problems"])
    for problem in contents["problems"]:
        print(f"  {problem}")
    for version in given.python:
        python = interpreter(version)
        if python is None:
            print(f"Python {version}: not on this machine")
            report["python"][version] = {"interpreter": None}
            continue
        place = folder / version
        place.mkdir(exist_ok=True)
        found = use(python, wheel, place, not given.latest)
        report["python"][version] = found
        print(f"Python {version}")
        for name, value in found.items():
            if name == "versions":
                print("  " + ", ".join(f"{key} {text}" for key, text in value.items()))
            elif not name.endswith((", s", "_s", "efficiency")):
                failed |= value != "ok"
                seconds = found.get(f"{name}, s")
                print(f"  {name}: {value}" + (f" ({seconds} s)" if seconds is not None else ""))
        shutil.rmtree(place / "env", ignore_errors=True)
        if given.out:
            given.out.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
