#!/usr/bin/env bash
# PESummary 1.8.1: the band of a bilby result is not looked for where bilby keeps it. Of an analysis from 30 Hz on, in 8 s, PESummary makes one
# from 20 Hz on in steps of 1/256 Hz: `minimum_frequency` and `duration` stand in the file (meta data of the likelihood, as
# GravitationalWaveTransient writes them), and what is derived from them (SNR of precession and of multipoles, spins evolved) starts from
# the default. The reference frequency, which stands beside it, is read.
# A good engineer would believe the `f_low` in the meta file: it is listed like what was read.
#
# Output seen: "in the file: minimum_frequency 30.0, reference_frequency 50.0, duration 8.0; PESummary: f_ref 50.0, f_low 20.0, delta_f 0.00390625".
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install --quiet "pesummary==1.8.1" "bilby[gw]==2.8.2" "lalsuite==7.26.16" "numpy==2.3.5" "pandas==3.1.1"
cat > "$here/look.py" <<'PYTHON'
import logging
import sys

import pandas as pd
from bilby.gw.conversion import convert_to_lal_binary_black_hole_parameters
from bilby.gw.detector import InterferometerList
from bilby.gw.likelihood import GravitationalWaveTransient
from bilby.gw.prior import BBHPriorDict
from bilby.gw.result import CBCResult
from bilby.gw.source import lal_binary_black_hole
from bilby.gw.waveform_generator import WaveformGenerator
from pesummary.io import read

logging.getLogger("bilby").setLevel(logging.ERROR)
said = {"minimum_frequency": 30.0, "reference_frequency": 50.0, "waveform_approximant": "IMRPhenomXPHM"}
detectors = InterferometerList(["H1", "L1"])
detectors.set_strain_data_from_zero_noise(1024.0, 8.0)
generator = WaveformGenerator(8.0, 1024.0, frequency_domain_source_model=lal_binary_black_hole, waveform_arguments=said,
                              parameter_conversion=convert_to_lal_binary_black_hole_parameters)
likelihood = GravitationalWaveTransient(detectors, generator)
prior = BBHPriorDict()
del prior["mass_1"], prior["mass_2"]
draws = pd.DataFrame(prior.sample(20)).assign(geocent_time=0.0, log_likelihood=0.0)
names = list(prior)
path = f"{sys.argv[1]}/r.json"
CBCResult(label="r", outdir=sys.argv[1], search_parameter_keys=names, priors=prior, posterior=draws, samples=draws[names].to_numpy(),
          log_evidence=0.0, log_noise_evidence=0.0, log_bayes_factor=0.0, log_evidence_err=0.1,
          meta_data={"likelihood": likelihood.meta_data}).save_to_file(filename=path)
kept = CBCResult.from_json(path)
found = read(path, package="gw")
found.generate_all_posterior_samples(disable_remnant=True)
meta = found.extra_kwargs["meta_data"]
print(f"in the file: minimum_frequency {kept.waveform_arguments['minimum_frequency']}, reference_frequency {kept.reference_frequency}, "
      f"duration {kept.duration}; PESummary: f_ref {meta['f_ref']}, f_low {meta['f_low']}, delta_f {meta['delta_f']}")
assert kept.waveform_arguments["minimum_frequency"] == 30.0 and kept.duration == 8.0
assert float(meta["f_ref"]) == 50.0 and float(meta["f_low"]) == 20.0 and float(meta["delta_f"]) == 1 / 256
PYTHON
"$here/env/bin/python" -W ignore "$here/look.py" "$here" 2> "$here/log" || { tail -5 "$here/log"; exit 1; }
