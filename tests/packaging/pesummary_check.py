"""Give results of this package to bilby's and PESummary's own programs, in an environment that knows nothing of this package.

    python tests/packaging/pesummary_check.py [--keep FOLDER] [--env FOLDER] [--made FOLDER]

Run by `make pesummary-check` with the interpreter of the project; downloads some 500 MB. A short analysis of simulated data (30 Hz,
8 s, a prior with a Constraint that cuts) is saved as JSON and HDF5, and turned into HDF5 by `bilby_result`. `summarypages` then
makes its pages; what its meta file says is compared with the result. Pickles are not tried: they are bound to the versions of scipy
and pandas that wrote them. Prints a line for each check; ends with status 1 if one fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PINS = ("pesummary==1.8.1", "bilby[gw]==2.8.2")
F_MIN, DURATION = 30.0, 8.0

MAKE = """
import json, sys
import numpy as np
from bilby.core.prior import Constraint, Uniform
from gwsurrogate_ml.inference import BinaryPrior, SamplingOptions, sample_event
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import GPS, random_psds, simulate_segment
from gwsurrogate_ml.surrogate.load import load_model

folder, f_min, duration = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
config = SegmentConfig(f_min=f_min, f_max=512.0, duration=duration)
rng, model = np.random.default_rng(1), load_model("nr22")
truth = dict(chirp_mass=30.0, mass_ratio=0.8, chi_1=0.1, chi_2=0.0, luminosity_distance=900.0, theta_jn=0.5, phase=1.0, psi=0.4,
             ra=1.9, dec=0.3, geocent_time=GPS + 0.01)
segment = simulate_segment(truth, model, random_psds(config, rng), config, rng)
prior = dict(BinaryPrior(chirp_mass=(26.0, 36.0), mass_ratio=(0.4, 1.0), chi=(-0.4, 0.4)).to_bilby(segment.gps))
prior |= dict(chirp_mass=Uniform(26, 36, name="chirp_mass", latex_label="$M, c$"), mass_2=Constraint(24, 50, name="mass_2"))
options = SamplingOptions(n_sets=2, n_points=512, pilot=600, refine_steps=100, max_rounds=2, on_edge="warn", centre_time=False)
result = sample_event(segment, prior, model=model, n=1500, options=options)
theirs = result.to_bilby("check")
for extension in ("json", "hdf5"):
    theirs.save_to_file(filename=f"{folder}/check.{extension}", extension=extension)
p = theirs.posterior
names = theirs.search_parameter_keys
json.dump({"draws": {name: p[name].tolist() for name in names}, "log_evidence": result.log_evidence,
           "ln_prior": theirs.priors.ln_prob({n: p[n].to_numpy() for n in names}, axis=0).tolist(),
           "constraints": theirs.constraint_parameter_keys}, open(f"{folder}/expected.json", "w"))
"""

BILBY = """
import json, sys
import numpy as np
from bilby.core.result import read_in_result
path, expected, whole = sys.argv[1], json.load(open(sys.argv[2])), sys.argv[3] == "whole"
result = read_in_result(path)
data = {"draws": all(np.array_equal(result.posterior[n], x) for n, x in expected["draws"].items())}
data["evidence"] = result.log_evidence == expected["log_evidence"]
said = result.meta_data["likelihood"]  # of bilby_result's HDF5, a plain Result's, which has no `interferometers`
data["detectors"] = list(said["interferometers"]) == ["H1", "L1"]
f_ref = said["waveform_arguments"]["reference_frequency"]
data["settings"] = (said["sampling_frequency"], said["duration"], f_ref) == (1024.0, 8.0, 30.0)
data["start time"] = said["start_time"] > 1e9
data["approximant"] = said["waveform_arguments"]["waveform_approximant"] == "GWSML_NR22"
if whole:
    table = {n: np.array(x) for n, x in expected["draws"].items()}
    ln_prior = result.priors.ln_prob(table, axis=0)
    data["prior"] = np.allclose(ln_prior, expected["ln_prior"], atol=0.05)  # bilby normalises Constraints by chance
    data["class of the prior"] = type(result.priors).__name__ == "BBHPriorDict"
    table |= {"chirp_mass": np.full(len(ln_prior), 30.0), "mass_ratio": np.full(len(ln_prior), 0.4)}  # a mass_2 of 22, below 24
    data["Constraint"] = bool(np.all(np.isinf(result.priors.ln_prob(table, axis=0))))
print(json.dumps({k: bool(v) for k, v in data.items()}))
"""

PESUMMARY = """
import json, sys
import numpy as np
from pesummary.io import read
expected, found = json.load(open(sys.argv[2])), {}
named = {"chi_1": "spin_1z", "chi_2": "spin_2z"}  # PESummary's names
draws = {named.get(n, n): x for n, x in expected["draws"].items()}
f = read(sys.argv[1])
for i, label in enumerate(f.labels):
    samples, said = f.samples_dict[label], f.extra_kwargs[i]["meta_data"]
    same = all(n in samples and np.allclose(np.sort(samples[n]), np.sort(x), rtol=1e-12) for n, x in draws.items())
    found[label] = {
        "draws": same,
        "approximant": said["approximant"] == "GWSML_NR22",
        "f_low": float(said["f_low"]) == 30.0,
        "f_ref": float(said["f_ref"]) == 30.0,
        "f_final": float(said["f_final"]) == 512.0,
        "delta_f": float(said["delta_f"]) == 1 / 8,
        "detectors": said["IFOs"] == "H1 L1",
        "evidence": abs(f.extra_kwargs[i]["sampler"]["ln_evidence"] - expected["log_evidence"]) < 0.01,
        "draws of the prior": {"chirp_mass", "mass_ratio", "luminosity_distance", "ra"} <= set(f.priors["samples"][label]),
    }
    prior = f.priors["samples"][label]
    found[label]["range of the prior"] = 26 <= np.min(prior["chirp_mass"]) and np.max(prior["chirp_mass"]) <= 36
print(json.dumps({label: {k: bool(v) for k, v in row.items()} for label, row in found.items()}))
"""


def run(words: list[str], folder: Path, limit: float = 3600) -> str:
    """Standard output of a command that must succeed, away from the source tree."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(words, cwd=folder, text=True, capture_output=True, timeout=limit, env=clean)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)[:300]}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def make(folder: Path) -> None:
    """The result in all formats, by this package."""
    words = [sys.executable, "-W", "ignore", "-c", MAKE, str(folder), str(F_MIN), str(DURATION)]
    subprocess.run(words, cwd=folder, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=3600)


def checked(output: str) -> dict[str, Any]:
    """The last line of a program as JSON."""
    found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return found


def check(folder: Path, env: Path, made: Path) -> dict[str, dict[str, bool]]:
    """Every check by the name of the file that it is about."""
    python, expected = env / "bin" / "python", made / "expected.json"
    turn = ["-r", str(made / "check.json"), "-s", "-e", "hdf5", "-o", str(folder), "-l", "turned"]
    run([str(env / "bin" / "bilby_result"), *turn], folder)
    turned = folder / "turned_result.hdf5"
    files = {"JSON": made / "check.json", "HDF5": made / "check.hdf5", "HDF5 by bilby_result": turned}
    found = {}
    for name, path in files.items():
        whole = "without the prior's class" if path == turned else "whole"
        found[f"bilby, {name}"] = checked(run([str(python), "-W", "ignore", "-c", BILBY, str(path), str(expected), whole], folder))
    pages = ["--webdir", str(folder / "pages"), "--gw", "--no_ligo_skymap"]
    samples = ["--samples", str(files["JSON"]), str(files["HDF5"]), str(turned), "--labels", "json", "hdf5", "turned"]
    quick = [f"--disable_{what}" for what in ("interactive", "expert", "corner", "comparison", "remnant")]
    quick += ["--no_conversion"]  # to parameters of its own, of which there would be some six hundred figures
    run([str(env / "bin" / "summarypages"), *pages, *quick, *samples], folder)
    assert (folder / "pages" / "home.html").is_file()
    meta = folder / "pages" / "samples" / "posterior_samples.h5"
    by_label = checked(run([str(python), "-W", "ignore", "-c", PESUMMARY, str(meta), str(expected)], folder))
    return found | {f"summarypages, {label}": row for label, row in by_label.items()}


def main() -> None:
    """Make, install, check, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="folder that stays; default: a temporary one")
    parser.add_argument("--env", type=Path, help="an environment that has PESummary and bilby; default: a new one")
    parser.add_argument("--made", type=Path, help="folder of an earlier run's result")
    given = parser.parse_args()
    temporary = None if given.keep else tempfile.TemporaryDirectory()
    folder = (given.keep or Path(temporary.name)).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    env, made = given.env or folder / "env", given.made or folder
    if given.env is None:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(env)], check=True)
        run([str(env / "bin" / "python"), "-m", "pip", "install", "--quiet", *PINS], folder)
    if given.made is None:
        make(folder)
    failed = False
    for name, row in check(folder, env, made.resolve()).items():
        wrong = [what for what, fine in row.items() if not fine]
        failed |= bool(wrong)
        print(f"{name}: WRONG: {', '.join(wrong)}" if wrong else f"{name}: {len(row)} checks ok ({', '.join(row)})")
    sys.exit(failed)


if __name__ == "__main__":
    main()
