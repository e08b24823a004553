"""Figures show the numbers they are given, with units, and refuse what they cannot show."""

from __future__ import annotations

import io

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries
from matplotlib.figure import Figure

from gwsurrogate_ml import plot
from gwsurrogate_ml.errors import ConfigError, DataError

GPS, RATE = 1126259462.4, 1024.0
rng = np.random.default_rng(3)


def noise(n: int = 16 * 1024, scale: float = 1e-21) -> TimeSeries:
    return TimeSeries(scale * rng.normal(size=n), t0=GPS - n / 2 / RATE, sample_rate=RATE)


def render(figure: Figure) -> None:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=40)
    assert stream.tell() > 1000


def labels(figure: Figure) -> str:
    return " ".join(axis.get_xlabel() + axis.get_ylabel() for axis in figure.axes)


def test_strain_has_units_and_marks_the_segment() -> None:
    figure = plot.strain({"H1": noise(), "L1": noise()}, GPS, (GPS - 2, GPS + 2))
    render(figure)
    assert "[s]" in labels(figure)
    assert "strain [$10^{-21}$]" in labels(figure)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["H1", "L1"]


def test_whitened_shows_the_window_around_the_event() -> None:
    figure = plot.whitened({"H1": noise(scale=1.0)}, GPS, window=(-0.2, 0.1))
    render(figure)
    times = figure.axes[0].lines[0].get_xdata()
    assert -0.2 <= times[0] < -0.198
    assert 0.098 < times[-1] <= 0.1
    assert r"[$\sigma$]" in labels(figure)


def test_q_transform_finds_a_burst_at_its_time_and_frequency() -> None:
    series = noise()
    times = series.times.value - GPS
    burst = 3e-21 * np.exp(-(((times + 0.1) / 0.03) ** 2)) * np.sin(2 * np.pi * 100 * times)
    figure = plot.q_transform({"H1": series + burst}, GPS, f_max=256.0)
    render(figure)
    mesh = figure.axes[0].collections[0]
    energy = mesh.get_array().reshape(mesh.get_coordinates().shape[0] - 1, -1)
    row, column = np.unravel_index(np.argmax(energy), energy.shape)
    time, frequency = mesh.get_coordinates()[row, column]
    assert abs(time + 0.1) < 0.03
    assert abs(frequency - 100) < 20
    assert "[Hz]" in labels(figure)


def test_snr_takes_complex_series_and_labels_the_peak() -> None:
    times = np.arange(-512, 512) / RATE
    series = TimeSeries(18.3 * np.exp(-((times - 0.01) ** 2) / 2e-5 + 5j * times), t0=GPS - 0.5, sample_rate=RATE)
    figure = plot.snr({"H1": series}, GPS, {"H1": (GPS + 0.01, 18.3)})
    render(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["SNR 18.3 at +10.0 ms"]


def test_waveform_band_draws_data_band_and_truth_in_distinct_styles() -> None:
    times = GPS + np.arange(-512, 512) / RATE
    wave = np.sin(100 * (times - GPS))
    band = np.array([wave - 0.5, wave, wave + 0.5])
    figure = plot.waveform_band(times, {"H1": wave}, {"H1": band}, GPS, truth={"H1": wave})
    render(figure)
    axis = figure.axes[0]
    assert {line.get_linestyle() for line in axis.lines} == {"-", "--"}
    edges = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.max() == pytest.approx(1.5, abs=0.01)
    assert edges.min() == pytest.approx(-1.5, abs=0.01)


def test_corner_shows_medians_and_true_values() -> None:
    posterior = {"chirp_mass": 30.4 + rng.normal(size=4000), "chi_1": rng.uniform(-0.9, 0.9, 4000)}
    figure = plot.corner(posterior, ("chirp_mass", "chi_1"), truths={"chirp_mass": 31.0})
    render(figure)
    assert "30.4" in figure.axes[0].get_title()
    assert any(np.allclose(line.get_xdata(), 31.0) for line in figure.axes[0].lines)
    assert r"$M_\odot$" in labels(figure)


def test_corner_names_a_parameter_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="kick"):
        plot.corner({"chirp_mass": np.ones(10)}, ("kick",))


def test_corner_shows_a_constant_parameter_at_its_value() -> None:
    posterior = {"chirp_mass": 30.4 + rng.normal(size=400), "chi_1": np.full(400, 0.25), "chi_2": np.zeros(400)}
    figure = plot.corner(posterior, tuple(posterior))
    render(figure)
    axes = np.array(figure.axes).reshape(3, 3)
    assert axes[1, 1].get_title() == r"$\chi_1$ = 0.25"
    assert axes[2, 2].get_title() == r"$\chi_2$ = 0"
    assert axes[1, 1].get_xlim()[0] < 0.25 < axes[1, 1].get_xlim()[1]


def test_corner_of_fewer_draws_than_parameters_is_refused_and_fewer_parameters_help() -> None:
    posterior = {name: rng.normal(size=5) for name in plot.posterior.DEFAULT_CORNER}
    with pytest.raises(ConfigError, match=r"5 samples of 6 parameters.*name fewer parameters"):
        plot.corner(posterior)
    figure = plot.corner(posterior, ("chi_1", "chi_2"))
    render(figure)
    assert (
        max(np.ptp(line.get_ydata()) for line in figure.axes[0].lines if len(line.get_xdata()) > 2) > 0.1
    )  # the five draws are seen


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_corner_names_a_parameter_with_samples_that_are_no_numbers(bad: float) -> None:
    posterior = {"chirp_mass": rng.normal(size=100), "chi_1": np.r_[bad, np.zeros(99)]}
    with pytest.raises(DataError, match="1 of the 100 samples of chi_1"):
        plot.corner(posterior, ("chirp_mass", "chi_1"))
    render(plot.corner(posterior, ("chirp_mass",)))


@pytest.mark.slow
@pytest.mark.parametrize("ra", [0.0, 2.0, 6.2])
def test_skymap_area_is_that_of_the_samples(ra: float) -> None:
    # A Gaussian blob of 8 degrees: the 90 % region has area 2 pi ln(10) sigma^2 = 926 deg^2; smoothing adds little.
    sigma = np.radians(8.0)
    dec = 0.2 + sigma * rng.normal(size=20000)
    figure = plot.skymap((ra + sigma * rng.normal(size=20000) / np.cos(dec)) % (2 * np.pi), dec, truth=(ra, 0.2))
    render(figure)
    title = figure.axes[0].get_title(loc="left") + figure.axes[0].get_title()
    area = float(title.split("90 % region ")[1].split()[0].replace(",", ""))
    assert 880 < area < 1100


def test_importance_weights_accept_zero_weights_and_report_shares() -> None:
    log_weights = np.where(np.arange(1000) < 500, 0.0, -np.inf)
    figure = plot.importance_weights(log_weights, 0.5, 0.1)
    render(figure)
    shares = figure.axes[1].lines[0]
    assert np.interp(25.0, shares.get_xdata(), shares.get_ydata()) == pytest.approx(50.0, abs=0.2)


def test_polarizations_have_two_line_styles() -> None:
    hp = noise(2048)
    figure = plot.polarizations(hp, noise(2048))
    render(figure)
    assert [line.get_linestyle() for line in figure.axes[0].lines] == ["-", "--"]
