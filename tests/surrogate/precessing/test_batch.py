"""Many precessing binaries at once are the same ones by one; their derivatives are those of differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import gwsurrogate_ml as gw
from gwsurrogate_ml.binaries import PRECESSING
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.surrogate.precessing import wigner_torch
from gwsurrogate_ml.surrogate.precessing.model import PrecessingSurrogate
from gwsurrogate_ml.waveform.model import Grid

PLAIN = [1.5, 0.3, 0.4, 0.2, 0.1, -0.3, 0.5]
NEARLY_ALIGNED = [1.2, 0.05, 0.04, 0.2, 0.1, -0.03, 0.5]
NOT_SPINNING = [1.9, 0.0, 0.0, 0.0, 0.2, 0.3, -0.2]
ROWS = [PLAIN, NEARLY_ALIGNED, NOT_SPINNING]
TIMES = np.array([-900.0, -350.5, -20.0, 3.3, 40.0])


@pytest.fixture(scope="module")
def sur() -> PrecessingSurrogate:
    model = gw.load_surrogate("nrphm")
    assert isinstance(model, PrecessingSurrogate)
    return model


def one_by_one(sur: PrecessingSurrogate, rows: list[list[float]], times: np.ndarray, **reference: Any) -> np.ndarray:
    found = [sur(row[0], row[1:4], row[4:], times=times, **reference) for row in rows]
    return np.array([[modes[mode] for mode in sur.inertial_modes] for modes in found])


def with_gradients(sur: PrecessingSurrogate, rows: list[list[float]], times: np.ndarray, **reference: Any) -> np.ndarray:
    p = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    found: np.ndarray = sur.batch(p, torch.tensor(times), **reference).detach().numpy()
    return found


@pytest.mark.parametrize(
    ("times", "reference"),
    [
        (TIMES, {"t_ref": -1000.0}),
        (TIMES, {"omega_ref": 0.02}),
        pytest.param(np.append(-9000.0, TIMES), {"t_ref": -5000.0}, marks=pytest.mark.slow),
        pytest.param(np.append(-9000.0, TIMES), {"f_ref": 10.0, "total_mass": 60.0}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("path", ["compiled", "torch"])
def test_a_batch_is_its_binaries_one_by_one(sur, times: np.ndarray, reference: dict[str, float], path: str) -> None:
    expected = one_by_one(sur, ROWS, times, **reference)
    if path == "torch":
        found = with_gradients(sur, ROWS, times, **reference)
        # References differ, and a batch shares the first node that its splines see: with t_ref they are the same.
        tolerance = 1e-9 if "t_ref" in reference else 1e-6
    else:
        found, tolerance = sur.batch(torch.tensor(ROWS, dtype=torch.float64), torch.tensor(times), **reference).numpy(), 1e-9
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize("path", ["compiled", "torch"])
def test_rows_do_not_depend_on_their_neighbours(sur, path: str) -> None:
    rows, t_ref = [*ROWS, NEARLY_ALIGNED], np.array([-1000.0, -100.0, -5000.0, -4300.0])
    expected = np.concatenate([one_by_one(sur, [row], TIMES, t_ref=float(t)) for row, t in zip(rows, t_ref, strict=True)])
    p = torch.tensor(rows, dtype=torch.float64, requires_grad=path == "torch")
    found = sur.batch(p, torch.tensor(TIMES), torch.tensor(t_ref)).detach().numpy()
    assert np.abs(found - expected).max() < 1e-8 * np.abs(expected).max()


def weighted(sur: PrecessingSurrogate, n: int, **reference: float) -> Any:
    """A number of each binary that every mode at every time is in."""
    weights = torch.randn(32, n, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    return lambda p, t: (sur.batch(p, t, **reference) * weights).real.sum((1, 2))


@pytest.mark.slow
def test_derivatives_are_those_of_differences(sur) -> None:
    p = torch.tensor([PLAIN], dtype=torch.float64, requires_grad=True)
    t = torch.tensor([-300.0, 3.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(weighted(sur, 2, t_ref=-300.0), (p, t), eps=1e-6, atol=1e-6, fast_mode=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "times", "reference"),
    [
        (PLAIN, [-1000.0, -100.2, 3.3], {"t_ref": -1000.0}),
        (NEARLY_ALIGNED, [-1000.0, -100.2, 3.3], {"t_ref": -2000.0}),
        (NEARLY_ALIGNED, [-1000.0, 3.3], {"omega_ref": 0.015}),
        (PLAIN, [-9000.0, -3000.5, 3.3], {"t_ref": -5000.0}),
        (PLAIN, [-9000.0, 3.3], {"f_ref": 10.0, "total_mass": 60.0}),
    ],
)
def test_all_derivatives_are_those_of_differences(sur, row: list[float], times: list[float], reference: dict[str, float]) -> None:
    function = weighted(sur, len(times), **reference)
    p = torch.tensor([row], dtype=torch.float64, requires_grad=True)
    t = torch.tensor([times], dtype=torch.float64, requires_grad=True)
    function(p, t).sum().backward()
    derivatives = torch.cat([p.grad[0], t.grad[0]])
    # All steps at once, and by the compiled path, which knows of no derivatives.
    step = 1e-6 * torch.eye(len(derivatives), dtype=torch.float64)
    low, high = (torch.cat([p, t], 1).detach() + sign * step for sign in (-1, 1))
    differences = (function(high[:, :7], high[:, 7:]) - function(low[:, :7], low[:, 7:])) / 2e-6
    torch.testing.assert_close(derivatives, differences, rtol=1e-3, atol=1e-6)


def test_derivatives_are_finite_where_a_spin_vanishes(sur) -> None:
    p = torch.tensor([NOT_SPINNING], dtype=torch.float64, requires_grad=True)
    sur.batch(p, torch.tensor(TIMES), t_ref=-1000.0).abs().sum().backward()
    assert p.grad is not None
    assert torch.isfinite(p.grad).all()


@pytest.mark.slow
def test_turning_modes_has_its_derivatives_of_all_orders_also_where_nothing_turns() -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(1, 2, 4, dtype=torch.float64, generator=generator)
    frames[0, 0] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    modes = torch.randn(1, 32, 2, dtype=torch.complex128, generator=generator)
    inputs = (frames.requires_grad_(), modes.requires_grad_())
    turned = lambda f, h: torch.view_as_real(wigner_torch.turn(f, h))  # noqa: E731
    assert torch.autograd.gradcheck(turned, inputs, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(turned, inputs, fast_mode=True)
    elsewhere = wigner_torch._elsewhere(frames.detach(), modes.detach())
    torch.testing.assert_close(elsewhere, wigner_torch.turn(frames, modes).detach(), rtol=0, atol=1e-13)


NAMES = ("a_1", "a_2", "tilt_1", "tilt_2", "phi_12", "phi_jl")
SPINS = np.array([[0.6, 0.4, 1.0, 0.7, 0.3, 1.0], [0.1, 0.1, 0.5, 0.4, 2.0, 0.1], [0.7, 0.0, 2.0, 0.3, 1.0, 2.0]])


def test_pairs_of_a_batch_are_those_of_one(sur) -> None:
    spins = dict(zip(NAMES, SPINS.T, strict=True))
    place = {"luminosity_distance": np.array([400.0, 500.0, 600.0]), "theta_jn": np.array([0.8, 0.1, 2.0]), "phase": 1.0}
    masses = {"mass_1": np.array([39.0, 40.0, 38.0]), "mass_2": np.array([26.0, 25.0, 33.0])}
    found = sur.batch_polarizations(**masses, **spins, **place, f_ref=20.0, start=-0.3, samples=1300, sampling_frequency=4096.0)
    for i in range(3):
        single = {name: float(np.broadcast_to(x, 3)[i]) for name, x in (masses | spins | place).items()}
        hp, hc = sur.polarizations(**single, f_min=20.0, f_ref=20.0, sampling_frequency=4096.0)
        first = round((-0.3 - float(hp.t0.value)) * 4096)
        grid = np.arange(1300) / 4096 - 0.3
        for row, h in zip(found[i], (hp, hc), strict=True):
            t = h.times.value
            near = np.interp(grid, t, h.value)
            assert first > 0
            assert np.abs(row - near).max() < 0.02 * np.abs(h.value).max()


def test_transforms_of_many_are_those_of_one(sur) -> None:
    columns = np.column_stack([[28.0, 27.0, 30.0], [0.7, 0.6, 0.9], SPINS])
    binaries, grid = PRECESSING.binaries(columns), Grid(4.0, 1024.0, 20.0)
    place = np.array([0.4, 0.9, 2.0]), np.array([0.0, 1.0, 2.0]), np.array([100.0, 200.0, 300.0])
    together = sur.transforms(binaries, grid, *place)
    for i in range(3):
        alone = sur.transforms(binaries[i : i + 1], grid, *(x[i : i + 1] for x in place))[0]
        np.testing.assert_allclose(together[i], alone, atol=1e-10 * np.abs(alone).max())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda sur, p, t: sur.batch(p[:, :3], t, t_ref=-100.0), ConfigError, "parameters have shape"),
        (lambda sur, p, t: sur.batch(p.numpy(), t, t_ref=-100.0), ConfigError, "parameters is a ndarray"),
        (lambda sur, p, t: sur.batch(p, t), ConfigError, "no reference"),
        (lambda sur, p, t: sur.batch(p, t, f_ref=20.0), ConfigError, "total_mass"),
        (lambda sur, p, t: sur.batch(p, t, t_ref=torch.zeros(7)), ConfigError, "t_ref has shape"),
        (lambda sur, p, t: sur.batch(p, t, t_ref=5.0), DomainError, "t_ref"),
        (lambda sur, p, t: sur.batch(p, t, omega_ref=3.0), DomainError, "is not passed"),
        (lambda sur, p, t: sur.batch(p, t, omega_ref=0.0), ConfigError, "omega_ref is 0.0"),
        (lambda sur, p, t: sur.batch(p, t, f_ref=0.0, total_mass=60.0), ConfigError, "f_ref is 0.0"),
        (lambda sur, p, t: sur.batch(p, t, fref=20.0), ConfigError, "give f_ref in place of fref"),
        (lambda sur, p, t: sur.batch(p * 2, t, t_ref=-100.0), DomainError, "outside"),
        (lambda sur, p, t: sur.batch(p * torch.nan, t, t_ref=-100.0), DomainError, "not finite"),
        (lambda sur, p, t: sur.batch(p, t - 1e6, t_ref=-100.0), DomainError, "times"),
    ],
)
def test_bad_batches_are_refused(sur, call: Any, error: type[Exception], message: str) -> None:
    p = torch.tensor([PLAIN], dtype=torch.float64)
    with pytest.raises(error, match=message):
        call(sur, p, torch.tensor(TIMES))


def test_no_binaries_give_no_modes(sur) -> None:
    assert sur.batch(torch.zeros(0, 7, dtype=torch.float64), torch.tensor(TIMES), t_ref=-100.0).shape == (0, 32, 5)


def test_one_binary_may_be_seen_from_many_places(sur) -> None:
    binary = {"mass_1": 39.0, "mass_2": 26.0} | dict(zip(NAMES, SPINS[0].tolist(), strict=True))
    place = {"luminosity_distance": 400.0, "theta_jn": np.array([0.1, 1.0, 2.0]), "phase": 1.0}
    grid = {"f_ref": 20.0, "start": -0.1, "samples": 400, "sampling_frequency": 4096.0}
    found = sur.batch_polarizations(**binary, **place, **grid)
    for row, theta in zip(found, place["theta_jn"], strict=True):
        one = sur.batch_polarizations(**binary, **place | {"theta_jn": theta}, **grid)[0]
        np.testing.assert_allclose(row, one, atol=1e-9 * np.abs(one).max())
