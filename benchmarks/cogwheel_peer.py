"""The part of cogwheel.py that runs in cogwheel-pe's own environment: its marginalised likelihoods of given binaries.

    python -I benchmarks/cogwheel_peer.py GIVEN.npz FOUND.npz

Nothing of the package is imported here, and nothing of cogwheel there: arrays go by files. GIVEN holds `frequencies` (n_f,) from 0
on, `strain` and `weight` (n_det, n_f), the latter one over the noise's amplitude and 0 outside the band, `detectors`, `gps`,
`tcoarse` (s from the data's start to gps), `far` (Mpc), `f_ref` (Hz), `phase_tolerance`, `n_effective`, `repeats`, `skies`, and
`binaries` (N, 9): masses, inclination of the orbit, spins at the phase 0, in LAL's axes. FOUND holds `log` and `n_effective`, each
(N, repeats), `off` (N,), the log likelihood of a drawn point less that of cogwheel's own `lnlike_fft` there, and `seconds` of CPU
time.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from cogwheel.data import EventData
from cogwheel.likelihood import CoherentScoreHM, LookupTable, MarginalizedExtrinsicLikelihood, SkyDictionary
from cogwheel.waveform import WaveformGenerator

NAMES = ("m1", "m2", "iota", "s1x_n", "s1y_n", "s1z", "s2x_n", "s2y_n", "s2z")
DRAWN = ("d_luminosity", "phi_ref", "psi", "ra", "dec", "t_geocenter")
NEXT_TO_NONE = 1e-6
TIMES = (-0.07, 0.07)
"""Of the lowest frequency's weight; arrivals about gps (s) at which the data are filtered."""


class AsGiven(MarginalizedExtrinsicLikelihood):
    """The noise spectrum is taken as it is given: cogwheel would scale it by what a few seconds about the event look like."""

    def compute_asd_drift(self, *arguments: object, **options: object) -> np.ndarray:
        """No drift."""
        return np.ones(len(self.event_data.detector_names))


def main() -> None:
    given, path = np.load(sys.argv[1]), sys.argv[2]
    names = tuple(str(name)[0] for name in given["detectors"])
    tcoarse, weight = float(given["tcoarse"]), given["weight"].copy()
    # Relative binning leaves out the lowest frequency that has any weight: it is given one more, below, of next to none.
    first = int(np.argmax(weight.any(axis=0)))
    weight[:, first - 1] = NEXT_TO_NONE * weight[:, first]
    data = EventData("given", given["frequencies"], given["strain"], weight, names, float(given["gps"]), tcoarse)
    generator = WaveformGenerator.from_event_data(data, "IMRPhenomXPHM")
    fixed = {"f_ref": float(given["f_ref"]), "l1": 0.0, "l2": 0.0}
    binaries = [dict(zip(NAMES, map(float, row), strict=True)) | fixed for row in given["binaries"]]
    reference = binaries[0] | {"d_luminosity": 1.0, "phi_ref": 0.0, "t_geocenter": 0.0}
    table = LookupTable(d_luminosity_max=float(given["far"]))
    repeats, skies = int(given["repeats"]), int(given["skies"])
    each = repeats // skies
    options = {"lookup_table": table, "n_qmc_sequences": each, "min_n_effective": float(given["n_effective"])}
    rate = SkyDictionary.choose_f_sampling(data.frequencies[-1])

    def score(seed: int) -> CoherentScoreHM:
        return CoherentScoreHM(SkyDictionary(names, f_sampling=rate, seed=seed), generator.m_arr, seed=seed, **options)

    tolerance = float(given["phase_tolerance"])
    likelihood = AsGiven(data, generator, reference, pn_phase_tol=tolerance, t_range=TIMES, coherent_score=score(0))
    temper = likelihood.coherent_score.beta_temperature
    log, effective = np.empty((len(binaries), repeats)), np.empty((len(binaries), repeats))
    off, seconds = np.empty(len(binaries)), 0.0
    for sky in range(skies):
        if sky:
            likelihood.coherent_score = score(sky)
            likelihood.coherent_score.beta_temperature = temper
        for i, binary in enumerate(binaries):
            for k in range(sky * each, (sky + 1) * each):
                generator.n_cached_waveforms = 1
                begin = time.process_time()
                log[i, k], info = likelihood.lnlike_and_metadata(binary)
                seconds += time.process_time() - begin
                effective[i, k] = info.n_effective
            drawn = likelihood.get_blob(info)
            off[i] = drawn["lnl"] - likelihood.lnlike_fft(binary | {name: float(drawn[name]) for name in DRAWN})
    np.savez(path, log=log, n_effective=effective, off=off, seconds=seconds)


if __name__ == "__main__":
    main()
