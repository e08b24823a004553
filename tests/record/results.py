"""What the record holds: numbers of today's public calls, each group made by a function of its own with fixed seeds.

Everything is asked for by the names that users import; what has no public name yet is imported in `deep` alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml.inference import BinaryPrior, LalModel, SamplingOptions, SegmentLikelihood, sample_event

Numbers = dict[str, Any]


def deep() -> SimpleNamespace:
    """Deep imports, all of them: names without a public home. Where a move changes one, change it here and nowhere else."""
    from gwsurrogate_ml.binaries import Binaries
    from gwsurrogate_ml.denoise.witness.bench.mock import preset
    from gwsurrogate_ml.kernels import chisq, matched_filter, psd, streaming, truncation, whiten
    from gwsurrogate_ml.search.bank import BankConfig, place
    from gwsurrogate_ml.search.pipeline import SearchConfig, search
    from gwsurrogate_ml.strain.simulate import simulate
    from gwsurrogate_ml.waveform.model import Grid

    return SimpleNamespace(
        Binaries=Binaries,
        Grid=Grid,
        simulate=simulate,
        welch=psd.welch,
        truncation=truncation.inverse_spectrum_truncation,
        whiten=whiten.whiten,
        StreamingWhitener=streaming.StreamingWhitener,
        filter=matched_filter.matched_filter,
        power_chisq=chisq.power_chisq,
        mock=preset,
        BankConfig=BankConfig,
        place=place,
        SearchConfig=SearchConfig,
        search=search,
    )


@dataclass(frozen=True)
class Group:
    """Entries made together: `make` gives arrays by name; `close` is `comparison.differences`'."""

    make: Callable[[], Numbers]
    close: float | None

    def __call__(self) -> Numbers:
        """The numbers, on one thread: more threads divide batches elsewhere, and BLAS rounds a batch of two unlike two of one."""
        import numba
        import torch

        torch.set_num_threads(1)
        # Read whenever work is divided; numba.set_num_threads would change its own loops alone.
        with mock.patch.object(numba.config, "NUMBA_NUM_THREADS", 1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a result warns of is not the record's concern
            return self.make()


GROUPS: dict[str, Group] = {}


def group(close: float | None = 1e-9) -> Callable[[Callable[[], Numbers]], Callable[[], Numbers]]:
    """Enter a function into `GROUPS` by its name."""

    def enter(make: Callable[[], Numbers]) -> Callable[[], Numbers]:
        GROUPS[make.__name__] = Group(make, close)
        return make

    return enter


SHAPE = {"mass_1": 38.0, "mass_2": 30.0, "chi_1": 0.3, "chi_2": -0.1}
ORIENTED = SHAPE | {"luminosity_distance": 900.0, "theta_jn": 0.6, "phase": 1.2}
EVENT = ORIENTED | {"psi": 0.4, "ra": 1.9, "dec": -0.7, "geocent_time": 1126259462.41}
ON_SEGMENT = {"duration": 4.0, "sampling_frequency": 2048.0, "f_min": 20.0}
QUICK = SamplingOptions(n_sets=2, n_points=512, pilot=600, refine_steps=100, max_rounds=2, on_edge="warn")


def binaries(n: int, seed: int) -> dict[str, np.ndarray]:
    """The four intrinsic parameters of `n` binaries that both surrogates hold from 20 Hz on."""
    rng = np.random.default_rng(seed)
    mass_1 = rng.uniform(35.0, 60.0, n)
    spins = {"chi_1": rng.uniform(-0.7, 0.7, n), "chi_2": rng.uniform(-0.7, 0.7, n)}
    return {"mass_1": mass_1, "mass_2": mass_1 / rng.uniform(1.0, 3.0, n), **spins}


@lru_cache
def event() -> gw.StrainData:
    """Half a minute of noise of H1 and L1 with a binary whose signal has all modes."""
    return deep().simulate(EVENT, gw.load_surrogate("nrhm"), sampling_frequency=2048.0, duration=32.0, seed=5)


@lru_cache
def posterior() -> Any:
    """Of `event`, by the shipped estimator."""
    return gw.load_estimator().sample(event(), n=5000, seed=1)


def fields(label: str, state: Any) -> Numbers:
    """The numbers among the attributes of an object, by `label` and name."""
    return {f"{label}/{name}": value for name, value in vars(state).items() if isinstance(value, float | int | np.ndarray)}


def columns(label: str, table: Any) -> Numbers:
    """The columns of a table."""
    return {f"{label}/{name}": np.asarray(table[name]) for name in table}


def evidence(result: Any) -> Numbers:
    """What a result says of itself in numbers, but for the time it took."""
    names = ["n_draws", "sample_efficiency", "pareto_k", "extrinsic_ess"]
    names += ["log_evidence", "log_evidence_error", "log_noise_evidence"]
    return {name: getattr(result, name) for name in names}


@group()
def dimensionless() -> Numbers:
    """Modes of single binaries and of a batch, with a gradient, and the expected errors."""
    import torch

    out: Numbers = {}
    for name in ("nrhm", "nr22"):
        surrogate = gw.load_surrogate(name)
        modes = surrogate(q=1.5, chi1=0.3, chi2=-0.1)
        out[f"{name}/t"] = modes.t
        out |= {f"{name}/{l}{m}": modes[l, m] for l, m in modes}
        times = np.linspace(-4000.0, 80.0, 1500)
        unequal = surrogate(q=6.3, chi1=-0.5, chi2=0.6, times=times)
        out |= {f"{name}/unequal/{l}{m}": unequal[l, m] for l, m in unequal}
        parameters = torch.tensor([[1.0, 0.0, 0.0], [1.7, 0.6, -0.3], [3.9, -0.6, 0.2], [8.5, 0.1, 0.4]], dtype=torch.float64)
        grid = torch.linspace(-1500.0, 90.0, 700, dtype=torch.float64)
        out[f"{name}/batch"] = surrogate.batch(parameters, grid).numpy()
        parameters.requires_grad_()
        traced = surrogate.batch(parameters, grid)
        (traced.abs() ** 2).sum().backward()
        out |= {f"{name}/batch_traced": traced.detach().numpy(), f"{name}/gradient": parameters.grad.numpy()}
        error = surrogate.error_estimate(q=1.5, chi1=0.3, chi2=-0.1)
        out |= {f"{name}/mismatch": error.mismatch, f"{name}/mismatch_90": error.mismatch_90}
        out[f"{name}/mode_errors"] = np.array(list(error.modes.values()))
    return out


@group()
def frequency_domain() -> Numbers:
    """Transforms in physical units: one binary and several, polarizations with all modes, orders of the phase."""
    out: Numbers = {}
    for name in ("nrhm", "nr22"):
        surrogate = gw.load_surrogate(name)
        out[f"{name}/one"] = surrogate.frequency_domain(*np.array([list(SHAPE.values())]).T, **ON_SEGMENT)
        out[f"{name}/batch"] = surrogate.frequency_domain(*binaries(70, 2).values(), **ON_SEGMENT)
        pair = surrogate.frequency_domain_polarizations(**ORIENTED, **ON_SEGMENT)
        out |= {f"{name}/plus": pair[0], f"{name}/cross": pair[1]}
        at_20 = surrogate.frequency_domain_polarizations(**ORIENTED, **ON_SEGMENT, f_ref=20.0)
        out |= {f"{name}/plus_f_ref": at_20[0], f"{name}/cross_f_ref": at_20[1]}
    surrogate = gw.load_surrogate("nrhm")
    orders, spectra = surrogate.frequency_domain_orders(**SHAPE, theta_jn=0.6, **ON_SEGMENT)
    chosen = surrogate.frequency_domain_polarizations(**ORIENTED, **ON_SEGMENT, modes=[(2, 2), (3, 3)])
    return out | {"nrhm/orders": orders, "nrhm/order_spectra": spectra, "nrhm/chosen": np.stack(chosen)}


@group()
def time_domain() -> Numbers:
    """Polarizations as series, one pair and many."""
    out: Numbers = {}
    for name in ("nrhm", "nr22"):
        surrogate = gw.load_surrogate(name)
        for label, options in {"peak": {}, "f_ref": {"f_ref": 25.0}}.items():
            plus, cross = surrogate.polarizations(**ORIENTED, f_min=20.0, sampling_frequency=4096.0, **options)
            out |= {
                f"{name}/{label}/plus": plus.value,
                f"{name}/{label}/cross": cross.value,
                f"{name}/{label}/t0": plus.t0.value,
            }
        start, plus, cross = surrogate.strain(**ORIENTED, f_min=20.0, sampling_frequency=2048.0, taper=True)
        out |= {f"{name}/tapered/start": start, f"{name}/tapered": np.stack([plus, cross])}
        angles = {
            "luminosity_distance": 500.0,
            "theta_jn": np.linspace(0.1, 3.0, 70),
            "phase": np.linspace(0.0, 6.0, 70),
        }
        grid = {"start": -0.5, "samples": 1040, "sampling_frequency": 2048.0}
        out[f"{name}/many"] = surrogate.batch_polarizations(**binaries(70, 3), **angles, **grid)
    return out


@group()
def likelihood() -> Numbers:
    """The analysis segment and log likelihood ratios on it, with the surrogate and with LAL's IMRPhenomD."""
    segment = event().segment()
    lal_model = LalModel("IMRPhenomD")
    out: Numbers = {
        "segment/strain": segment.strain,
        "segment/psd": segment.psd,
        "segment/start_time": segment.start_time,
    }
    out["noise"] = segment.noise_log_likelihood()
    out["whitened"] = segment.whitened()
    out["lal/waveforms"] = lal_model.quadrupole(deep().Binaries.aligned(*binaries(4, 4).values()), deep().Grid(**ON_SEGMENT))
    rng = np.random.default_rng(6)
    around = {
        "chirp_mass": 29.34, "mass_ratio": 0.79, "chi_1": 0.3, "chi_2": -0.1, "luminosity_distance": 900.0, "theta_jn": 0.6,
        "phase": 1.2, "psi": 0.4, "ra": 1.9, "dec": -0.7,
    }  # fmt: skip
    draws = {name: value * (1 + 0.05 * rng.standard_normal(12)) for name, value in around.items()}
    draws["geocent_time"] = EVENT["geocent_time"] + 0.002 * rng.standard_normal(12)
    for name, model in {"nr22": gw.load_surrogate("nr22"), "lal": lal_model}.items():
        likelihood = SegmentLikelihood(segment, model)
        out[f"{name}/log_likelihood_ratio"] = likelihood.log_likelihood_ratio(draws)
        out[f"{name}/signals"] = likelihood.signals({key: value[:2] for key, value in draws.items()})
    return out


@group()
def prior() -> Numbers:
    """Draws of the prior, from a stream of random numbers and from quantiles."""
    default = BinaryPrior()
    theta = default.sample_intrinsic(100, np.random.default_rng(7))
    quantiles = default.from_uniform(np.random.default_rng(8).random((100, 4)))
    return {
        "draws": theta,
        "quantiles": quantiles,
        "normal": default.to_normal(theta),
        "uniform": default.to_uniform(theta),
    }


@group(close=None)
def estimated() -> Numbers:
    """A posterior by the shipped estimator."""
    result = posterior()
    return evidence(result) | columns("posterior", result.posterior) | columns("weighted", result.weighted)


@group(close=None)
def from_scratch() -> Numbers:
    """A posterior without a trained network."""
    chirp = BinaryPrior(chirp_mass=(24.0, 36.0), mass_ratio=(0.4, 1.0), chi=(-0.6, 0.6))
    segment = event().segment(f_max=512.0)
    result = sample_event(segment, chirp, n=2000, seed=2, options=QUICK)
    return evidence(result) | columns("posterior", result.posterior) | columns("weighted", result.weighted)


@group(close=None)
def reweighted() -> Numbers:
    """The estimator's posterior under another prior, with higher modes, under another waveform, with remnants, pooled."""
    from bilby.core.prior import PowerLaw, Uniform

    result, segment = posterior(), event().segment()
    chirp, distance = Uniform(22.0, 40.0, name="chirp_mass"), PowerLaw(1.0, 50.0, 2500.0, name="luminosity_distance")
    others = {
        "prior": result.with_prior(dict(result.to_bilby().priors) | {"chirp_mass": chirp, "luminosity_distance": distance}, seed=3),
        "higher_modes": result.with_higher_modes(segment, n=200, seed=4),
        # Not IMRPhenomXAS: its last digits depend on what the process has done before.
        "lal": result.with_waveform(segment, "IMRPhenomD", n=60, seed=5),
        "surrogate": result.with_waveform(segment, gw.load_surrogate("nrhm"), n=60, seed=6),
        "combined": result.combine(result),
    }
    remnants = result.with_remnant().posterior
    out = columns("remnant", remnants.drop(columns=list(result.posterior)))
    for label, other in others.items():
        out |= {f"{label}/{name}": value for name, value in evidence(other).items()}
        out |= columns(f"{label}/posterior", other.posterior)
        out[f"{label}/log_weight"] = other.log_weights
    return out


@group()
def conditioned() -> Numbers:
    """Spectra and whitened series: of strain data, and of the kernels, offline and streamed."""
    d, data = deep(), event()
    out: Numbers = {f"data/{name}": series.value for name, series in data.whiten().items()}
    out |= {f"data/{name}/short": series.value for name, series in data.whiten(fduration=1.0, highpass=18.0, span=16.0).items()}
    x, rate = data.series["H1"].value, 2048.0
    for average in ("median", "mean", "median-mean"):
        out[f"welch/{average}"] = d.welch(x, rate, 2.0, average=average)[1]
    out["welch/blackman"] = d.welch(x, rate, 4.0, window="blackman")[1]
    out["whiten"] = d.whiten(x, rate)
    asd = np.sqrt(d.welch(x, rate, 4.0)[1])
    for phase in ("linear", "minimum"):
        stream = d.StreamingWhitener(asd, rate, highpass=15.0, phase=phase)
        state, pieces = stream.initial_state(), []
        for chunk in np.split(x[: 8 * 2048], 16):
            state, piece = stream.step(state, chunk)
            pieces.append(piece)
        out |= {f"stream/{phase}": np.concatenate(pieces), f"stream/{phase}/taps": stream.taps}
    curve, _ = data.off_source_psd("L1", (data.gps - 2, data.gps + 2))
    return out | {"off_source": curve[1]}


@group(close=1e-4)
def single_precision() -> Numbers:
    """A spectrum and a whitened series of the kernels, of numbers in single precision."""
    d, noise = deep(), np.random.default_rng(9).standard_normal(16 * 1024).astype(np.float32)
    return {"welch": d.welch(noise, 1024.0, 1.0)[1], "whiten": d.whiten(noise, 1024.0)}


@group(close=1e-6)  # peaks between samples are refined to 1e-6 of a sample
def filtered() -> Numbers:
    """Matched filters of the event, chi-squared, and the kernels' own."""
    d, data = deep(), event()
    found = gw.matched_filter(data, gw.load_surrogate("nr22"), SHAPE)
    out: Numbers = {"network_snr": found.network_snr}
    for name, snr in found.detectors.items():
        out |= {f"{name}/series": snr.snr.value} | fields(name, snr)
    segment = data.segment()
    template = gw.load_surrogate("nr22").frequency_domain(*np.array([list(SHAPE.values())]).T, **ON_SEGMENT)[0]
    arguments = (template, segment.strain[0], segment.psd[0], 0.25, 20.0)
    for decimate in (1, 2):
        series = d.filter(*arguments, 900.0, decimate=decimate)
        out |= {f"kernel/{decimate}/snr": series.snr, f"kernel/{decimate}/sigma": series.sigma}
    out["kernel/chisq"] = d.power_chisq(*arguments, 16, np.arange(0, 8192, 128), f_high=900.0)[0]
    out["kernel/truncated"] = d.truncation(np.where(np.isfinite(segment.psd[0]), segment.psd[0], 1e-40), 0.25, 2.0, 20.0)
    return out


@group(close=1e-6)
def searched() -> Numbers:
    """A small bank, and a search of the event's data with it: triggers, events, background."""
    d, model = deep(), gw.load_surrogate("nr22")
    limits = {"mass_min": 28.0, "mass_max": 45.0, "q_max": 1.6, "chi_max": 0.3}
    bank = d.place(model, d.BankConfig(**limits, min_match=0.94, patience=60, seed=1), n_test=20)
    found = d.search(event().series, bank, model, d.SearchConfig(f_max=512.0))
    out: Numbers = {"bank": bank.parameters, "spans": np.array(found.spans)}
    for label, rows in {
        "events": found.events,
        **{f"triggers/{name}": t for name, t in found.triggers.items()},
    }.items():
        out |= {f"{label}/{name}": np.ascontiguousarray(rows[name]) for name in rows.dtype.names}
    for label, background in {"all": found.background, "exclusive": found.background_exclusive}.items():
        out |= {f"background/{label}/rankings": background.rankings, f"background/{label}/time": background.time}
    return out


@group(close=1e-6)  # the filters solve systems that are not well conditioned
def cleaned() -> Numbers:
    """Witnessed noise subtracted, from a file's worth of data and as a stream."""
    detector = deep().mock("o3_like", sampling_frequency=512)
    past, now = detector.draw(128.0, seed=1), detector.draw(24.0, seed=2)
    cleaner = gw.WitnessCleaner.fit(past.strain, past.witnesses)
    out: Numbers = {"mock/strain": now.strain.value, "mock/best": now.best}
    out |= {f"mock/{name}": series.value for name, series in now.witnesses.items()}
    out["held_back_power"] = np.array([band["held_back_power"] for band in cleaner.card["bands"]])
    out["cleaned"] = cleaner(now.strain, now.witnesses).value
    start = float(now.strain.t0.value)
    state, pieces = cleaner.start(start), []
    for second in range(4, 24, 4):
        cut = (start + second - 4, start + second)
        frames = {name: series.crop(*cut) for name, series in now.witnesses.items()}
        state, frame = cleaner.step(state, now.strain.crop(*cut), frames)
        pieces.append(frame.strain)
    return out | {"stream": np.concatenate(pieces)}


@group(close=1e-4)  # the learned one computes in single precision
def denoised() -> Numbers:
    """A signal recovered from whitened strain by both shipped denoisers."""
    data = event()
    white = data.whiten(fduration=2.0)["H1"].crop(data.gps - 4, data.gps + 4)
    out: Numbers = {}
    for name in ("bbh-signal", "bbh-autoencoder"):
        signal, sigma, segments = gw.load_denoiser(name).denoise(white, seed=3)
        out |= {f"{name}/signal": signal.value, f"{name}/sigma": sigma.value}
        for key in ("probability", "snr", "time", "log_bayes", "ood", "best", "ood_latent"):
            out[f"{name}/{key}"] = np.array([getattr(found, key) for found in segments])
    return out


@group(close=1e-6)  # an error is a small difference of large numbers
def remnants() -> Numbers:
    """Final mass, spin and kick with their errors, for aligned and for general spins."""
    rng = np.random.default_rng(10)
    q = rng.uniform(1.0, 4.0, 20)
    aligned = gw.load_remnant()(q=q, chi1=rng.uniform(-0.8, 0.8, 20), chi2=rng.uniform(-0.8, 0.8, 20))
    general = gw.load_remnant()(q=q, chi1=rng.uniform(-0.45, 0.45, (20, 3)), chi2=rng.uniform(-0.45, 0.45, (20, 3)))
    return fields("aligned", aligned) | fields("general", general) | fields("one", gw.load_remnant()(q=1.5, chi1=0.3, chi2=-0.1))
