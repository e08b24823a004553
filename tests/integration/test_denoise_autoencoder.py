"""The learned denoiser: training that resumes exactly, files, ONNX and streams against torch, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import gwsurrogate_ml as gw
from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.denoise import autoencoder_training, glitches
from gwsurrogate_ml.denoise.autoencoder import AutoencoderDenoiser
from gwsurrogate_ml.denoise.autoencoder_finish import train_denoiser
from gwsurrogate_ml.denoise.examples import Examples, components, random_psds
from gwsurrogate_ml.denoise.export import export_onnx, graph
from gwsurrogate_ml.denoise.grid import DURATION, frequencies, to_series
from gwsurrogate_ml.denoise.network import RATE, Autoencoder
from gwsurrogate_ml.denoise.noise import gaussian
from gwsurrogate_ml.denoise.signal_stream import SignalStream
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError

SMALL = {
    "name": "small",
    "data": {"n_waveforms": 40, "n_psds": 8, "reference": 60, "quiet": 20},
    "network": {"width": 8, "long": 8, "short": 64, "long_length": 512, "dilations": [1, 2]},
    "training": {"steps": 6, "batch": 8, "checkpoint_every": 3, "log_every": 3},
}


class Chirps:
    """A stand-in for the surrogate: Newtonian inspirals, cut off at a frequency that falls with mass."""

    def frequency_domain(
        self, m_1: np.ndarray, m_2: np.ndarray, chi_1: np.ndarray, chi_2: np.ndarray, *,
        duration: float, sampling_frequency: float, f_min: float,
    ) -> np.ndarray:  # fmt: skip
        f = np.arange(round(duration * sampling_frequency / 2) + 1) / duration
        chirp = (m_1 * m_2) ** 0.6 / (m_1 + m_2) ** 0.2 * 4.9254909e-6
        x = np.maximum(np.pi * chirp[:, None] * np.maximum(f, 1.0), 1e-12)
        end = 4400.0 / (m_1 + m_2)[:, None] * 2.0
        phase = -3.0 / 128.0 * x ** (-5.0 / 3.0)
        h = np.maximum(f, 1.0) ** (-7.0 / 6.0) * np.exp(-((f / end) ** 4)) * np.exp(-1j * phase)
        return h * (f >= f_min)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> AutoencoderDenoiser:
    folder = train_denoiser(SMALL, tmp_path_factory.mktemp("model") / "small", Chirps())
    denoiser = gw.load_denoiser(folder)
    assert isinstance(denoiser, AutoencoderDenoiser)
    return denoiser


@pytest.fixture(scope="module")
def onnx_file(model: AutoencoderDenoiser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(model, tmp_path_factory.mktemp("onnx") / "small.onnx")


def test_a_killed_training_goes_on_as_if_nothing_had_happened(
    model: AutoencoderDenoiser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    original = autoencoder_training.losses

    def dies(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(autoencoder_training, "losses", dies)
    with pytest.raises(KeyboardInterrupt):
        train_denoiser(SMALL, tmp_path / "small", Chirps())
    monkeypatch.setattr(autoencoder_training, "losses", original)
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


def test_components_span_signals_about_their_peak() -> None:
    from gwsurrogate_ml.denoise import bank as banks

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
    examples = Examples(waveforms, np.ones((1, frequencies().size)), [], window=4.0)
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


def test_the_graph_says_what_torch_says(model: AutoencoderDenoiser, onnx_file: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx_file))
    for batch, n in ((1, 2048), (3, 3200)):
        x = np.random.default_rng(n).standard_normal((batch, n)).astype(np.float32)
        with torch.no_grad():
            expected = graph(model)(torch.from_numpy(x))
        for ours, theirs in zip(session.run(None, {"white": x}), expected, strict=True):
            assert np.abs(ours - theirs.numpy()).max() < 1e-5


def test_a_stream_equals_the_whole_series_however_it_is_cut(model: AutoencoderDenoiser, onnx_file: Path) -> None:
    stream = SignalStream(onnx_file)
    white = np.random.default_rng(1).standard_normal(6 * 2048).astype(np.float32)
    with torch.no_grad():
        whole = graph(model)(torch.from_numpy(white[None]))[0][0].numpy()
    for size in (2048, 128):
        state, frames = stream.start(100.0), []
        for first in range(0, white.size, size):
            state, frame = stream.step(state, white[first : first + size], 100.0 + first / 2048)
            frames.append(frame)
        signal, valid = (np.concatenate([getattr(frame, key) for frame in frames]) for key in ("signal", "valid"))
        at = np.flatnonzero(valid)
        assert at.size == white.size - 2 * stream.delay
        assert np.abs(signal[at] - whole[at - stream.delay]).max() < 1e-5
        assert frames[0].start_time == pytest.approx(100.0 - stream.delay / 2048)
        assert np.isnan(signal[~valid]).all()


def test_gaps_and_dropped_frames_pass_through_flagged(onnx_file: Path) -> None:
    stream = SignalStream(onnx_file)
    rng = np.random.default_rng(2)
    state = stream.start(0.0)
    for second in range(6):
        state, _ = stream.step(state, rng.standard_normal(2048), float(second))
    broken = rng.standard_normal(2048)
    broken[100:110] = np.nan
    state, _ = stream.step(state, broken, 6.0)
    state, frame = stream.step(state, rng.standard_normal(2048), 7.0)
    at = np.arange(2048) + 7 * 2048 - stream.delay
    near = np.abs(at - (6 * 2048 + 104.5)) < 5 + stream.delay
    assert near.any()
    assert np.array_equal(frame.valid, ~near)
    assert np.isfinite(frame.white).sum() >= 2038
    before = state
    state, frame = stream.step(state, rng.standard_normal(2048), 20.0)  # twelve seconds are missing
    assert not frame.valid.any()
    assert state.next_time == pytest.approx(21.0)
    assert before.next_time == pytest.approx(8.0)  # a step leaves its state as it is
    with pytest.raises(DataError, match="frames come in order"):
        stream.step(state, rng.standard_normal(2048), 20.0)
    with pytest.raises(DataError, match="multiple of 32"):
        stream.step(state, rng.standard_normal(2000))


def test_what_cannot_be_exported_or_loaded(tmp_path: Path, model: AutoencoderDenoiser) -> None:
    with pytest.raises(ConfigError, match="is no network"):
        export_onnx(gw.load_denoiser("bbh-signal"), tmp_path / "x.onnx")
    with pytest.raises(ConfigError, match=r"name a \.onnx file"):
        export_onnx(model, tmp_path / "x.bin")
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match="no denoiser exported"):
        SignalStream(tmp_path / "bad.onnx")


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
