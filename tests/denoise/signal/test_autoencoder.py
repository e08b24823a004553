"""The learned denoiser: training that resumes exactly, files, ONNX and streams against torch, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gwpy.timeseries import TimeSeries
from typer.testing import CliRunner

import gwsurrogate_ml as gw
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.denoise.signal import glitches, train
from gwsurrogate_ml.denoise.signal.autoencoder import AutoencoderDenoiser
from gwsurrogate_ml.denoise.signal.bank_denoiser import BankDenoiser
from gwsurrogate_ml.denoise.signal.denoiser import REFERENCE
from gwsurrogate_ml.denoise.signal.examples import Examples, components, random_psds
from gwsurrogate_ml.denoise.signal.finish import train_denoiser
from gwsurrogate_ml.denoise.signal.network import RATE, Autoencoder
from gwsurrogate_ml.denoise.signal.noise import gaussian
from gwsurrogate_ml.denoise.signal.onnx import export_onnx
from gwsurrogate_ml.denoise.signal.onnx_stream import SignalStream
from gwsurrogate_ml.denoise.signal.projection import Projection, families, of_bank, project
from gwsurrogate_ml.denoise.signal.segment import DURATION, SEARCH, frequencies, to_series, to_spectrum
from gwsurrogate_ml.denoise.signal.settings import DataSettings
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError
from gwsurrogate_ml.strain.spectrum import load_psd
from gwsurrogate_ml.waveform.model import Grid, QuadrupoleModel

SLOW_FIXTURES = ("model", "guided", "onnx_file")

SMALL = {
    "name": "small",
    "data": {"n_waveforms": 40, "n_psds": 8, "reference": 60, "quiet": 20},
    "network": {"width": 8, "long": 8, "short": 64, "long_length": 512, "dilations": [1, 2]},
    "training": {"steps": 6, "batch": 8, "checkpoint_every": 3, "log_every": 3},
}


class Chirps(QuadrupoleModel):
    """A stand-in for the surrogate: Newtonian inspirals, cut off at a frequency that falls with mass."""

    name = "chirps"

    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        m_1, m_2 = binaries.mass_1, binaries.mass_2
        f = np.arange(grid.n_f) / grid.duration
        chirp = (m_1 * m_2) ** 0.6 / (m_1 + m_2) ** 0.2 * 4.9254909e-6
        x = np.maximum(np.pi * chirp[:, None] * np.maximum(f, 1.0), 1e-12)
        end = 4400.0 / (m_1 + m_2)[:, None] * 2.0
        phase = -3.0 / 128.0 * x ** (-5.0 / 3.0)
        h = np.maximum(f, 1.0) ** (-7.0 / 6.0) * np.exp(-((f / end) ** 4)) * np.exp(-1j * phase)
        return h * (f >= grid.f_min)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AutoencoderDenoiser:
    folder = train_denoiser(SMALL, tmp_path_factory.mktemp("model") / "small", Chirps())
    denoiser = gw.load_denoiser(folder)
    assert isinstance(denoiser, AutoencoderDenoiser)
    return denoiser


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> BankDenoiser:
    folder = tmp_path_factory.mktemp("bank") / "bank"
    BankDenoiser.build(Chirps(), 60, temperature=0.0, threshold=-1e3).save(folder)
    denoiser = gw.load_denoiser(folder)
    denoiser.folder = folder
    return denoiser


@pytest.fixture(scope="module")
def guided(bank: BankDenoiser, tmp_path_factory: pytest.TempPathFactory) -> AutoencoderDenoiser:
    folder = train_denoiser(_guided(bank), tmp_path_factory.mktemp("guided") / "small", Chirps())
    return gw.load_denoiser(folder)


def _guided(bank: BankDenoiser) -> dict:
    projection = {"bank": str(bank.folder), "heads": 12, "best": 20, "temperature": 0.0, "pool": 64}
    return SMALL | {"projection": projection, "data": SMALL["data"] | {"outside_fraction": 0.2}}


@pytest.fixture(scope="module")
def onnx_file(guided: AutoencoderDenoiser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(guided, tmp_path_factory.mktemp("onnx") / "small.onnx")


@pytest.mark.slow
def test_a_killed_training_goes_on_as_if_nothing_had_happened(
    model: AutoencoderDenoiser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    original = train.losses

    def dies(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(train, "losses", dies)
    with pytest.raises(KeyboardInterrupt):
        train_denoiser(SMALL, tmp_path / "small", Chirps())
    monkeypatch.setattr(train, "losses", original)
    with pytest.raises(ConfigError, match="another configuration"):
        train_denoiser(SMALL | {"seed": 2}, tmp_path / "small", Chirps())
    again = gw.load_denoiser(train_denoiser(SMALL, tmp_path / "small", Chirps()))
    assert again.card["weights_sha256"] == model.card["weights_sha256"]
    steps = [json.loads(line)["step"] for line in (tmp_path / "small.training" / "log.jsonl").read_text().splitlines()]
    assert steps == [3, 6]


def test_the_filters_begin_as_a_transform_that_is_undone_by_its_synthesis() -> None:
    network = Autoencoder()
    rng = np.random.default_rng(0)
    f = frequencies()
    white = to_series((rng.standard_normal((1, f.size)) + 1j * rng.standard_normal((1, f.size))), RATE)
    x = torch.from_numpy(white.astype(np.float32))
    with torch.no_grad():
        frames = network.short.frames(x)
        frames[:, 60:] = 0.0  # the tones alone
        again = network.short.series(frames)
    assert float(torch.linalg.norm(again - x) / torch.linalg.norm(x)) < 0.05  # the band's edges; observed 0.03


@pytest.mark.slow
def test_components_span_signals_about_their_peak() -> None:
    from gwsurrogate_ml.denoise.signal import waveform_bank as banks

    waveforms = banks.build(Chirps(), banks.draw_parameters(60, 1)).evaluate(frequencies())
    psds = random_psds(8, np.random.default_rng(0))
    axes = components(waveforms, psds, 64, 1024, 32, 128, RATE, 0)
    assert np.allclose(axes @ axes.T, np.eye(64), atol=1e-4)
    h = waveforms[:20] / np.sqrt(psds[0]) * np.exp(-2j * np.pi * frequencies() * (3.0 - 140 / RATE))
    series = to_series(h, RATE)[:, 3 * 2048 - 1024 : 3 * 2048]
    share = np.sum((series @ axes.T) ** 2, axis=1) / np.sum(series**2, axis=1)
    assert np.median(share) > 0.9


def test_examples_are_what_they_claim_to_be() -> None:
    rng = np.random.default_rng(0)
    waveforms = np.exp(-(((frequencies() - 100.0) / 40.0) ** 2))[None].astype(np.complex64)
    settings = DataSettings(window=4.0, noise_fraction=0.15, glitch_fraction=0.15)
    examples = Examples(waveforms, np.ones((1, frequencies().size)), [], settings)
    drawn = examples.spectra(200, rng, (10.0, 10.0))
    quiet = drawn.snr == 0
    assert 0.1 < quiet.mean() < 0.5
    assert drawn.glitch[quiet].any()
    assert not drawn.signal[quiet].any()
    assert np.allclose(4 / DURATION * np.sum(np.abs(drawn.signal[~quiet]) ** 2, axis=1), 100.0)
    noise = drawn.data[quiet & ~drawn.glitch]
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(0.5 * DURATION, rel=0.02)
    batch = examples.batch(64, np.random.default_rng(1), (10.0, 10.0))
    assert np.allclose(np.sum(batch.signal[batch.snr > 0] ** 2, axis=1), 100.0, rtol=1e-3)  # unit variance of the noise


@pytest.mark.parametrize("kind", glitches.KINDS)
def test_glitches_are_short_and_in_the_band(kind: str) -> None:
    h = glitches.spectrum(kind, frequencies(), np.random.default_rng(3))
    series = np.roll(to_series(h[None], RATE)[0], RATE)
    energy = np.cumsum(series**2) / np.sum(series**2)
    length = (np.searchsorted(energy, 0.95) - np.searchsorted(energy, 0.05)) / RATE
    assert length < 0.5
    with pytest.raises(ConfigError, match="no glitch 'koi'"):
        glitches.spectrum("koi", frequencies(), np.random.default_rng(0))


def _injection(snr: float, time: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Data and signal (n_f,), whitened, and the PSD (n_f,) of Gaussian noise."""
    f = frequencies()
    psd = np.interp(f, *load_psd(REFERENCE))
    h = Chirps().quadrupole(Binaries.aligned(40.0, 30.0, 0.0, 0.0), Grid(DURATION, 2048.0, 20.0))[0]
    h = h[np.round(f * DURATION).astype(int)] / np.sqrt(psd)
    signal = h * snr / np.sqrt(4 / DURATION * np.sum(np.abs(h) ** 2)) * np.exp(-2j * np.pi * f * time)
    return gaussian(psd, np.random.default_rng(seed)).white + signal, signal, psd


def test_the_projection_finds_what_the_whole_bank_finds(bank: BankDenoiser) -> None:
    f = frequencies()
    waveforms = bank.bank.evaluate(f)
    some = families(waveforms, np.interp(f, *load_psd(REFERENCE)), 12)
    assert np.array_equal(some.family[some.heads], np.arange(12))  # every head is of its own family
    layer = Projection(waveforms, some.family, some.heads, 0.0, 20)
    for seed, time in enumerate((2.2, 2.9, 3.5)):
        data, _, psd = _injection(15.0, time, seed)
        found = to_series(project(layer, data, psd)[None], 1024.0)[0]
        whole = bank.reconstruct(data, psd, 1024.0, n_draws=2).signal
        assert found @ whole / np.linalg.norm(found) / np.linalg.norm(whole) > 0.995  # observed 0.9998
        assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(whole), rel=0.02)


def test_a_guided_network_begins_as_the_projection() -> None:
    torch.manual_seed(0)
    network = Autoencoder(width=8, long=8, short=64, long_length=512, dilations=(1, 2), guided=True)
    data, signal, _ = _injection(20.0, 3.0, 0)
    white, guide = (torch.from_numpy(to_series(x[None], RATE).astype(np.float32)) for x in (data, signal))
    with torch.no_grad():
        out = network(white, guide).signal
    assert float(torch.linalg.norm(out - guide) / torch.linalg.norm(guide)) < 0.1


@pytest.mark.slow
def test_a_killed_guided_training_goes_on_with_the_pool_it_has(
    guided: AutoencoderDenoiser, bank: BankDenoiser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*args: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "losses", dies)
    with pytest.raises(KeyboardInterrupt):
        train_denoiser(_guided(bank), tmp_path / "small", Chirps())
    monkeypatch.undo()
    assert list((tmp_path / "small.training").glob("pool-*.npz"))
    again = gw.load_denoiser(train_denoiser(_guided(bank), tmp_path / "small", Chirps()))
    assert again.card["weights_sha256"] == guided.card["weights_sha256"]
    assert not list((tmp_path / "small.training").glob("pool-*"))


@pytest.mark.slow
def test_another_bank_than_the_trained_one_is_refused(guided: AutoencoderDenoiser) -> None:
    other = AutoencoderDenoiser(guided.card, guided.network, guided.reference, guided.families)
    other.card["projection"] = guided.card["projection"] | {"bank_sha256": "0" * 64}
    with pytest.raises(ConfigError, match="another bank"):
        _ = other.layer
    with pytest.raises(ConfigError, match="name one by a bank"):
        of_bank("bbh-autoencoder")


def test_signals_that_peak_outside_the_search_interval_are_not_to_be_recovered() -> None:
    waveforms = np.ones((1, frequencies().size), np.complex64)
    settings = DataSettings(noise_fraction=0.0, glitch_fraction=0.0, outside_fraction=0.5)
    examples = Examples(waveforms, np.ones((1, frequencies().size)), [], settings)
    drawn = examples.spectra(60, np.random.default_rng(0), (30.0, 30.0))
    peak = np.argmax(np.abs(to_series(drawn.data, 2048.0)), axis=1) / 2048.0
    inside = (peak > SEARCH[0] - 0.01) & (peak < SEARCH[1] + 0.01)
    assert np.array_equal(inside, drawn.snr > 0)
    assert not drawn.signal[~inside].any()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "guided"])
def test_the_graph_says_what_the_denoiser_says(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    import onnxruntime

    denoiser = request.getfixturevalue(kind)
    path = request.getfixturevalue("onnx_file") if kind == "guided" else export_onnx(denoiser, tmp_path / "small.onnx")
    session = onnxruntime.InferenceSession(str(path))
    for snr in (6.0, 20.0):
        data, _, psd = _injection(snr, 3.0, round(snr))
        white = to_series(data[None], RATE)[0].astype(np.float32)
        expected = denoiser.reconstruct(to_spectrum(white.astype(np.float64), RATE), psd, RATE)
        feeds = {"white": white, "weight": np.sqrt(psd.min() / psd).astype(np.float32)}
        wanted = {node.name for node in session.get_inputs()}
        signal, sigma, probability, found = session.run(None, {key: feeds[key] for key in wanted})
        assert np.abs(signal - expected.signal).max() < 1e-4 * max(1.0, np.abs(expected.signal).max())
        assert np.abs(sigma - expected.sigma).max() < 1e-3 * expected.sigma.max()
        assert probability[0] == pytest.approx(expected.probability, abs=1e-5)
        assert found[0] == pytest.approx(expected.snr, rel=1e-3)


@pytest.mark.slow
def test_a_stream_equals_the_whole_series_however_it_is_cut(guided: AutoencoderDenoiser, onnx_file: Path) -> None:
    stream = SignalStream(onnx_file)
    white = np.random.default_rng(1).standard_normal(12 * 2048).astype(np.float32)
    whole, sigma, found = guided.denoise(TimeSeries(white, sample_rate=2048.0, t0=100.0))
    for size in (2048, 128, 12 * 2048):
        state, frames = stream.start(100.0), []
        for first in range(0, white.size, size):
            last = first + size >= white.size
            state, frame = stream.step(state, white[first : first + size], 100.0 + first / 2048, end=last)
            frames.append(frame)
        signal, spread, valid = (np.concatenate([getattr(x, key) for x in frames]) for key in ("signal", "sigma", "valid"))
        at = np.flatnonzero(valid)
        assert at[-1] == signal.size - 1 == stream.delay + white.size - 1
        assert at.size > 8 * 2048
        assert np.abs(signal[at] - whole.value[at - stream.delay]).max() < 1e-4
        assert np.abs(spread[at] - sigma.value[at - stream.delay]).max() < 1e-4
        assert frames[0].start_time == pytest.approx(100.0 - stream.delay / 2048)
        assert np.isnan(signal[~valid]).all()
        seen = [one for frame in frames for one in frame.found]
        first = round((seen[0].start_time - 100.0 + SEARCH[0]) / (SEARCH[1] - SEARCH[0]))
        assert [one.probability for one in seen] == pytest.approx(
            [one.probability for one in found[first : first + len(seen)]], abs=1e-5
        )


def test_gaps_and_dropped_frames_pass_through_flagged(onnx_file: Path) -> None:
    stream = SignalStream(onnx_file)
    rng = np.random.default_rng(2)
    state, flags = stream.start(0.0), []
    for second in range(24):
        values = rng.standard_normal(2048)
        if second == 10:
            values[100:110] = np.nan
        state, frame = stream.step(state, values, float(second))
        flags.append(frame.valid)
        broken = np.isnan(frame.white)
        assert np.isnan(frame.signal[broken]).all()
    valid = np.concatenate(flags)
    at = np.arange(valid.size) / 2048 - stream.delay / 2048
    gap = 10.0 + 105 / 2048
    assert not valid[np.abs(at - gap) < 0.1].any()
    # A segment that holds the gap, or time before the stream, reaches no farther than this.
    assert valid[(np.abs(at - gap) > 4.0) & (at > 4.0) & (at < 20.0)].all()
    before = state
    for missing in (1.0, 12.0):
        state, frame = stream.step(before, rng.standard_normal(2048), 24.0 + missing)
        # Nothing that was held is lost: the output goes on where it ended, over the gap.
        assert frame.start_time == pytest.approx(20.0)
        assert frame.white.size == frame.signal.size == frame.valid.size == round((missing + 1) * 2048)
        assert np.array_equal(frame.white[:2048], before.white[:2048])
        assert np.flatnonzero(~frame.valid)[0] == pytest.approx(0.2 * 2048, abs=13)  # the first segment not whole begins at 20.2
        assert np.isnan(frame.white[4 * 2048 : round((4 + missing) * 2048)]).all()
    assert state.next_time == pytest.approx(37.0)
    with pytest.raises(DataError, match=r"61\.0 s of the stream were lost .* begin anew"):
        stream.step(state, rng.standard_normal(2048), 98.0)
    assert before.next_time == pytest.approx(24.0)  # a step leaves its state as it is
    state, frame = stream.step(state, rng.standard_normal(2048), 38.0)  # and one
    assert state.next_time == pytest.approx(39.0)
    with pytest.raises(DataError, match="frames come in order"):
        stream.step(state, rng.standard_normal(2048), 20.0)
    with pytest.raises(DataError, match="row of samples"):
        stream.step(state, np.zeros((2, 10)))
    with pytest.raises(DataError, match="the PSD covers"):
        stream.start(0.0, (np.arange(30.0, 300.0), np.full(270, 1e-46)))


@pytest.mark.slow
def test_what_cannot_be_exported_or_loaded(tmp_path: Path, model: AutoencoderDenoiser) -> None:
    with pytest.raises(ConfigError, match="is no network"):
        export_onnx(gw.load_denoiser("bbh-signal"), tmp_path / "x.onnx")
    with pytest.raises(ConfigError, match=r"name a \.onnx file"):
        export_onnx(model, tmp_path / "x.bin")
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match="no denoiser exported"):
        SignalStream(tmp_path / "bad.onnx")


def _at_a_seam(shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Whitened strain at 2048 Hz, and the signal in it: SNR 15, `shift` (s) after two segments' search intervals meet, at 6.8 s."""
    f = frequencies()
    psd = np.interp(f, *load_psd(REFERENCE))
    h = gw.load_surrogate("nr22").frequency_domain(
        np.array([36.0]), np.array([29.0]), np.zeros(1), np.zeros(1), duration=16.0, sampling_frequency=2048.0, f_min=20.0
    )[0][np.round(f * 16).astype(int)] / np.sqrt(psd)  # fmt: skip
    h *= 15.0 / np.sqrt(4 / DURATION * np.sum(np.abs(h) ** 2))
    truth = np.zeros(10 * 2048)
    first = round((4 * (SEARCH[1] - SEARCH[0]) - 3.0) * 2048)
    truth[first : first + 4 * 2048] = to_series((h * np.exp(-2j * np.pi * f * (3.0 + shift)))[None], 2048)[0]
    return np.random.default_rng(seed).standard_normal(truth.size) + truth, truth


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bbh-autoencoder", "bbh-signal", "exported"])
def test_a_signal_at_the_border_of_two_segments_is_counted_once(name: str, tmp_path: Path) -> None:
    if name == "exported":
        stream = SignalStream(export_onnx(gw.load_denoiser("bbh-autoencoder"), tmp_path / "denoiser.onnx"))
    else:
        denoiser = gw.load_denoiser(name)
    for seed, shift in enumerate((-0.06, -0.0005, 0.06, 0.0005, 0.0, 0.005, 0.001, 0.02)):
        data, truth = _at_a_seam(shift, seed)
        if name == "exported":
            _, frame = stream.step(stream.start(0.0), data, end=True)
            signal, found = np.nan_to_num(frame.signal[stream.delay :]), frame.found
        else:
            series, _, found = denoiser.denoise(TimeSeries(data, sample_rate=2048))
            signal = series.value
        assert signal @ truth / np.linalg.norm(signal) / np.linalg.norm(truth) > 0.95
        assert 0.75 < np.linalg.norm(signal) / np.linalg.norm(truth) < 1.25
        assert sum(one.probability > 0.5 for one in found) == 1


def test_the_command_line_names_what_is_wrong(tmp_path: Path) -> None:
    def says(*words: str) -> str:
        result = CliRunner().invoke(app, ["train", "denoiser", *words])
        assert result.exit_code == 2
        return " ".join(result.output.split())

    assert "training.stepz" in says("bbh-autoencoder", "--set", "training.stepz=3", "--out", str(tmp_path / "a"))
    assert "no strain files" in says("bbh-autoencoder", "--set", f"noise={tmp_path}", "--out", str(tmp_path / "b"))
    assert "no configuration" in says("nothing")


def test_a_segment_of_noise_has_a_score_and_a_length(model: AutoencoderDenoiser) -> None:
    segment = gaussian(np.ones(frequencies().size), np.random.default_rng(0))
    for rate in (1024.0, 4096.0):
        r = model.reconstruct(segment.white, segment.psd, rate)
        assert r.signal.shape == r.sigma.shape == (round(DURATION * rate),)
        assert np.isfinite([r.ood, r.ood_latent, r.log_bayes, r.snr]).all()
        assert 0 <= r.probability <= 1
    energies = [np.sum(model.reconstruct(segment.white, segment.psd, rate).signal ** 2) for rate in (1024.0, 4096.0)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-6)


@pytest.mark.parametrize("damage", ["a NaN", "an infinite PSD"])
def test_a_segment_that_cannot_be_judged_is_refused(model: AutoencoderDenoiser, damage: str) -> None:
    white, psd = np.ones(frequencies().size, complex), np.ones(frequencies().size)
    if damage == "an infinite PSD":
        psd[:] = np.inf
        white[:] = np.nan  # what whitening by it gives
    else:
        white[50] = np.nan
    with np.errstate(all="ignore"), pytest.raises(DataError, match="not finite, or far too loud"):
        model.reconstruct(white, psd, 2048.0)
