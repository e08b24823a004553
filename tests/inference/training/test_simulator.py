"""The compressed simulator against full-length data; PSD ensemble; alignment; compression."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gwsurrogate_ml.conventions import PARAMETERS
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference import psds
from gwsurrogate_ml.inference.config import EstimatorConfig, read_config
from gwsurrogate_ml.inference.likelihood import alignment
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork, amplitudes, earth_direction
from gwsurrogate_ml.inference.likelihood.injections import random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.proposal import compression
from gwsurrogate_ml.inference.proposal.summaries import features, loudness, seen_templates, streams
from gwsurrogate_ml.inference.training import simulator
from gwsurrogate_ml.inference.training.sources import Sources, band_frequencies
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.lal import LalModel

SMALL = {
    "surrogate": "lal:IMRPhenomD",
    "segment": {"f_max": 512.0},
    "simulator": {
        "bank_size": 400,
        "basis_size": 90,
        "network_basis_size": 32,
        "templates": 16,
        "psds": 9,
        "groups": 2,
        "pool": 4,
    },
    "training": {"steps": 24, "batch": 64, "checkpoint_every": 8, "log_every": 8, "warm_up": 4},
}


@pytest.fixture(scope="module")
def config() -> EstimatorConfig:
    return read_config(SMALL)


@pytest.fixture(scope="module")
def sources(config: EstimatorConfig) -> Sources:
    return Sources(config, LalModel())


@pytest.fixture(scope="module")
def sim(sources: Sources) -> simulator.Simulator:
    bank = simulator.build_bank(sources, np.random.default_rng(0))
    return simulator.Simulator(sources, bank, np.random.default_rng(1), holdout=100)


@pytest.fixture(scope="module")
def precessing() -> simulator.Simulator:
    """Of both polarizations, at phases drawn, of binaries whose spins have any direction."""
    settings = SMALL | {"surrogate": "nrphm", "prior": {"mass_ratio": [0.2, 1.0], "chi": [-0.8, 0.8]}}
    settings["simulator"] = SMALL["simulator"] | {"bank_size": 300, "basis_size": 120}
    sources = Sources(read_config(settings), load_model("nrphm"))
    bank = simulator.build_bank(sources, np.random.default_rng(0))
    return simulator.Simulator(sources, bank, np.random.default_rng(1), holdout=100)


@pytest.mark.slow
def test_bank_and_network_basis_hold_the_power(sim: simulator.Simulator) -> None:
    assert sim.bank.captured > 1 - 1e-6  # observed 1 - 1e-8
    # The basis carries the lines of each PSD: hardly anything is lost.
    assert sim.captured > 0.999  # observed 0.9999


def test_compressed_waveforms_equal_the_model_shifted_and_whitened(
    sim: simulator.Simulator, sources: Sources, config: EstimatorConfig
) -> None:
    bank, df = sim.bank, 1 / config.segment.duration
    index = np.array([3, 50, 399])
    delay = np.array([-3e-3, 1e-4, 2e-3])
    psd = psds.random_psd(bank.frequencies, np.random.default_rng(4))
    h = sources.templates(bank.theta[index])
    expected = h * np.exp(-2j * np.pi * bank.frequencies * delay[:, None]) * np.sqrt(4 * df / psd)
    got = bank.whitened(bank.coefficients[index, 0], delay, psd, df)
    lost = np.sum(np.abs(got - expected) ** 2, axis=1) / np.sum(np.abs(expected) ** 2, axis=1)
    assert lost.max() < 1e-5  # observed 1e-7


def test_alignment_undoes_a_shift_and_a_turn(sources: Sources) -> None:
    f, reference = sources.frequencies, sources.reference
    moved = reference * np.exp(-2j * np.pi * f * 0.0123 + 0.7j)
    delay, phase = alignment.alignment(moved[None], reference, f)
    assert delay[0] == pytest.approx(0.0123, abs=1e-9)
    assert np.mod(phase[0], 2 * np.pi) == pytest.approx(0.7, abs=1e-6)


def test_alignment_is_smooth_in_the_parameters(sources: Sources) -> None:
    f, reference = sources.frequencies, sources.reference
    chirp_mass = np.linspace(20, 45, 101)
    theta = np.column_stack([chirp_mass, np.full((101, 3), [0.6, 0.3, -0.2])])
    delay, _ = alignment.alignment(sources._face_on(theta), reference, f)
    # A jump by a cycle would be some 10 ms; from one step to the next the delay moves by less than 2 ms.
    assert np.abs(np.diff(delay)).max() < 2e-3
    assert np.abs(np.diff(delay, 2)).max() < 2e-4


def test_features_of_full_length_data_equal_the_simulators(sim: simulator.Simulator, config: EstimatorConfig) -> None:
    """The way of the event (full strain, whitened and projected) and the way of the training give the same network input."""
    rng = np.random.default_rng(7)
    model, bank, df = LalModel(), sim.bank, 1 / config.segment.duration
    prior = config.prior.to_bilby(1187008882.4)
    parameters = {name: float(value) for name, value in prior.sample().items()} | {"luminosity_distance": 400.0}
    parameters |= dict(zip(PARAMETERS[:4], bank.theta[17], strict=True))
    psd = random_psds(config.segment, rng)
    segment = simulate_segment(parameters, model, psd, config.segment, None)
    likelihood = SegmentLikelihood(segment, model)
    band, f = band_frequencies(config)

    direction = earth_direction(*(np.array([parameters[k]]) for k in ("ra", "dec", "geocent_time")))
    network = DetectorNetwork.of(config.segment.detectors)
    a = amplitudes(*network.patterns(direction, np.array([parameters["psi"]])), np.cos([parameters["theta_jn"]]))[0]
    a = a * np.exp(2j * parameters["phase"]) / parameters["luminosity_distance"]
    error = np.array([5e-4, -8e-4])
    lag, _ = alignment.alignment(likelihood.waveforms(bank.theta[17:18])[:, band], bank.reference, f)
    arrival = parameters["geocent_time"] - segment.start_time + network.delays(direction)[0]
    aligned = arrival + lag[0] - error

    turns = np.exp(2j * np.pi * f * aligned[:, None])
    whitening = np.sqrt(likelihood.weight[:, band])
    bases = [compression.orthonormal(sim.functions, row) for row in whitening]
    project = compression.Projections(bank, sim.functions, sim.templates)
    projectors, _ = zip(*(project(np.sqrt(4 * df / psd[d, band])) for d in range(2)), strict=True)
    data = whitening * segment.strain[:, band] * turns
    projected = np.stack([row @ np.conj(vectors) for row, vectors in zip(data, bases, strict=True)])
    simulated = np.stack(
        [projectors[d] @ (a[d] * bank.coefficients[17, 0] * np.exp(-2j * np.pi * bank.tones * error[d])) for d in range(2)]
    )
    # The simulator drops the common phase, which the features rotate out.
    phase = np.sum(np.conj(simulated) * projected, axis=1)
    turned = projected * np.conj(phase / np.abs(phase))[:, None]
    assert np.abs(turned - simulated).max() < 2e-3 * np.abs(simulated).max()

    templates = torch.from_numpy(
        np.stack(
            [seen_templates(sim.functions, vectors, row, sim.templates) for vectors, row in zip(bases, whitening, strict=True)]
        )
    )
    bands = torch.from_numpy(psds.band_ratios(psd[:, band], f))
    delay = torch.tensor([[(aligned[0] - aligned[1]) / 0.01]])
    ours = features(torch.from_numpy(projected)[None], templates, delay, bands)
    theirs = features(torch.from_numpy(simulated)[None], templates, delay, bands)
    assert ours.shape == (1, simulator.n_features(config))
    assert torch.allclose(ours, theirs, atol=5e-3 * float(theirs.abs().max()))


def test_projections_are_those_of_the_whitened_functions(sim: simulator.Simulator) -> None:
    """By inner products alone they are what the functions themselves, whitened and made orthonormal, give."""
    bank, df = sim.bank, 1 / sim.config.segment.duration
    whitening = np.sqrt(4 * df / psds.random_psd(bank.frequencies, np.random.default_rng(4)))
    basis = compression.orthonormal(sim.functions, whitening)
    projector, templates = compression.Projections(bank, sim.functions, sim.templates)(whitening)
    expected = np.conj(basis).T @ (bank.basis * (whitening / bank.whitening)[:, None])
    assert np.abs(projector - expected).max() < 1e-6 * np.abs(expected).max()
    assert np.abs(templates - seen_templates(sim.functions, basis, whitening, sim.templates)).max() < 1e-6


def test_streams_keep_power_and_put_the_signal_first() -> None:
    rng = np.random.default_rng(3)
    share = torch.from_numpy(np.abs(rng.normal(size=(5, 3))))
    share /= torch.linalg.vector_norm(share, dim=1, keepdim=True)
    data = torch.from_numpy(rng.normal(size=(5, 3, 7)) + 1j * rng.normal(size=(5, 3, 7)))
    mixed = streams(data, share)
    assert torch.allclose(torch.linalg.vector_norm(mixed, dim=(1, 2)), torch.linalg.vector_norm(data, dim=(1, 2)))
    assert torch.allclose(mixed[:, 0], (share[:, :, None] * data).sum(dim=1))
    signal = share[:, :, None] * data[:, :1]
    assert torch.allclose(streams(signal, share)[:, 1:], torch.zeros((), dtype=data.dtype), atol=1e-12)


def test_polynomials_for_the_norm_follow_the_waveforms(sim: simulator.Simulator) -> None:
    """They decide which candidates are kept, not how loud these are."""
    exact = torch.linalg.vector_norm(sim.coefficients[:, 0] @ sim.projectors[1].T, dim=1).numpy()
    norm = np.sqrt(sim.gram[:, 0, 0].real)
    assert np.std(np.log(norm * sim.sigma(sim.terms, [1])[:, 0] / exact)) < 0.05


@pytest.mark.slow
def test_new_binaries_take_the_place_of_old_ones(sources: Sources, config: EstimatorConfig) -> None:
    rng = np.random.default_rng(5)
    bank = simulator.build_bank(sources, np.random.default_rng(0))
    sim = simulator.Simulator(sources, bank, np.random.default_rng(1), holdout=100)
    theta = config.prior.sample_intrinsic(30, rng)
    sim.replace(200, theta, simulator.compress(sources, bank, theta, sources.phases(30, rng)))
    assert np.array_equal(sim.bank.theta[200:230], theta)
    back = config.prior.from_normal(sim.z[200:230].double().numpy())
    assert np.allclose(back, theta, rtol=1e-5, atol=1e-5)
    h = sources.templates(theta[:3])
    got = bank.whitened(bank.coefficients[200:203, 0], np.zeros(3), psds.reference_psd(bank.frequencies), 0.25)
    expected = h * np.sqrt(1 / psds.reference_psd(bank.frequencies))
    assert np.max(np.sum(np.abs(got - expected) ** 2, axis=1) / np.sum(np.abs(expected) ** 2, axis=1)) < 1e-5


def test_projected_noise_is_unit_normal(sim: simulator.Simulator, config: EstimatorConfig) -> None:
    rng = np.random.default_rng(9)
    band, _ = band_frequencies(config)
    values = []
    for _ in range(40):
        psd = random_psds(config.segment, rng)
        segment = simulate_segment(None, LalModel(), psd, config.segment, rng)
        whitening = np.sqrt(4 / config.segment.duration / psd[:, band])
        for row, strain in zip(whitening, segment.strain[:, band], strict=True):
            values.append(row * strain @ np.conj(compression.orthonormal(sim.functions, row)))
    values = np.array(values).ravel()
    assert np.std(values.real) == pytest.approx(1, abs=0.05)
    assert np.std(values.imag) == pytest.approx(1, abs=0.05)


def test_signals_have_the_loudness_asked_for_and_lie_within_the_prior(sim: simulator.Simulator, config: EstimatorConfig) -> None:
    batch = sim.batch(256, np.random.default_rng(0))
    low, high = config.simulator.snr
    assert 200 < len(batch.features) <= 256
    assert batch.features.shape[1] == simulator.n_features(config)
    heard = loudness(batch.features, 2, config.simulator.network_basis_size)
    assert float(heard.min()) >= config.simulator.heard
    assert torch.all(torch.isfinite(batch.features))
    assert float(batch.snr.min()) >= low - 1e-3
    assert float(batch.snr.max()) <= high + 1e-3
    assert int(batch.index.min()) >= 100  # the first 100 are held out
    held_out = sim.batch(256, np.random.default_rng(0), rows=(0, 100))
    assert int(held_out.index.max()) < 100


def test_quiet_signals_are_as_frequent_as_volume_has_them(sim: simulator.Simulator) -> None:
    snr = sim._draw_snr(200_000, np.random.default_rng(3))
    edges = np.array([4.5, 5, 6, 8, 12, 20, 42])
    mass = lambda x: -(x**-3) / 3 + np.log(x) / 10**3  # noqa: E731
    expected = np.diff(mass(edges)) / (mass(42.0) - mass(4.5))
    assert np.allclose(np.histogram(snr, edges)[0] / len(snr), expected, rtol=0.03)


def test_ensemble_of_psds_holds_the_first_run_and_the_design(data_dir) -> None:
    f = np.arange(80, 4097) / 4
    rng = np.random.default_rng(0)
    ensemble = psds.band_ratios(np.array([psds.random_psd(f, rng) for _ in range(200)]), f)
    low, high = np.quantile(ensemble, (0.005, 0.995), axis=0)
    for name in ("GWTC1_GW150914_PSD_H1.dat", "GWTC1_GW150914_PSD_L1.dat"):
        table = np.loadtxt(data_dir(f"psd/{name}"))
        psd = np.exp(np.interp(np.log(f), np.log(table[:, 0]), np.log(table[:, 1])))
        ratios = psds.band_ratios(psd, f)
        assert np.all((ratios > low) & (ratios < high)), name
    design = psds.band_ratios(psds.design_psd("aLIGO_ZERO_DET_high_P_asd", f), f)
    assert np.all((design > low) & (design < high))


def test_bands_beyond_the_data_look_like_the_last_that_is_known() -> None:
    f = np.arange(80, 4097) / 4
    psd = psds.random_psd(f, np.random.default_rng(4))
    cut = np.where(f > 480.0, np.inf, psd)
    whole, some = psds.band_ratios(psd, f), psds.band_ratios(cut, f)
    assert np.array_equal(some[:-2], whole[:-2])
    assert some[-2] == pytest.approx(whole[-2], abs=0.2)
    assert some[-1] == some[-2]


def test_configuration_names_what_is_wrong(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"training\.step"):
        read_config({"training": {"step": 3}})
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = [")
    with pytest.raises(ConfigError, match="neither TOML nor JSON"):
        read_config(broken)


def test_features_of_precessing_signals_equal_the_simulators(precessing: simulator.Simulator) -> None:
    """Antenna patterns, polarisation angle, inclination and phase of full-length strain mean what they mean in training."""
    sim, sources, config = precessing, precessing.sources, precessing.config
    bank, df, model = sim.bank, 1 / config.segment.duration, precessing.sources.model
    rng = np.random.default_rng(7)
    theta, phase = bank.theta[[17]], np.random.default_rng(3).uniform(0, 2 * np.pi, 1)[0]
    coefficients = simulator.compress(sources, bank, theta, np.array([phase]))[0]
    parameters = {name: float(value) for name, value in sources.prior.to_bilby(1187008882.4).sample().items()}
    parameters |= dict(zip(sources.proposed.names, theta[0], strict=True)) | {"luminosity_distance": 400.0, "phase": phase}
    psd = random_psds(config.segment, rng)
    segment = simulate_segment(parameters, model, psd, config.segment, None)
    whitening = np.sqrt(SegmentLikelihood(segment, model).weight[:, band_frequencies(config)[0]])
    direction = earth_direction(*(np.array([parameters[k]]) for k in ("ra", "dec", "geocent_time")))
    network = DetectorNetwork.of(config.segment.detectors)
    factors = sources.seen(*network.patterns(direction, np.array([parameters["psi"]])), rng)[0] / parameters["luminosity_distance"]
    error = np.array([5e-4, -8e-4])
    plain = sources._face_on(theta)
    h = model.transforms(model.space.binaries(theta[:, :-1]), sources._grid, theta[:, -1], np.array([phase]), np.ones(1))[
        :, :, sources._band
    ]
    lag = alignment.alignment(plain, sources.reference, sources.frequencies)[0] + sources._later(plain, h)
    arrival = parameters["geocent_time"] - segment.start_time + network.delays(direction)[0]
    turns = np.exp(2j * np.pi * sources.frequencies * (arrival + lag[0] - error)[:, None])
    for d in range(2):
        basis = compression.orthonormal(sim.functions, whitening[d])
        real = (whitening[d] * segment.strain[d, sources._band] * turns[d]) @ np.conj(basis)
        ours = (factors[d] @ coefficients) * np.exp(-2j * np.pi * bank.tones * error[d])
        projector, _ = compression.Projections(bank, sim.functions, sim.templates)(np.sqrt(4 * df / psd[d, sources._band]))
        simulated = projector @ ours
        assert np.abs(real - simulated).max() < 2e-3 * np.abs(simulated).max()


def test_precessing_signals_have_the_loudness_asked_for(precessing: simulator.Simulator) -> None:
    batch = precessing.batch(200, np.random.default_rng(0))
    assert batch.z.shape[1] == 9
    assert torch.all(torch.isfinite(batch.features))
    rng = np.random.default_rng(2)
    index, factor, snr, _, rho = precessing._candidates(100, [0, 1], rng, (0, 300))
    signals = np.einsum("ndp,npk->ndk", factor, precessing.coefficients[index].numpy())
    exact = np.stack([np.linalg.norm(signals[:, d] @ precessing.projectors[d].numpy().T, axis=1) for d in range(2)], axis=1)
    assert np.median(np.abs(np.log(rho / exact))) < 0.1
    # Nearer ones are heard the louder, and all lie within the prior.
    nearest, _ = precessing.config.prior.luminosity_distance
    assert np.abs(factor).max() < 1 / nearest
    assert np.median(np.linalg.norm(exact, axis=1) / snr) == pytest.approx(1, abs=0.05)
    index, *_ = precessing._candidates(2000, [0, 1], rng, (0, 300))
    heard = np.sqrt(np.trace(precessing.gram, axis1=1, axis2=2).real)
    assert np.mean(heard[index] ** 3) > 1.3 * np.mean(heard**3)  # volume grows as the cube of the reach
