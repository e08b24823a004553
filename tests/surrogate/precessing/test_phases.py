"""More phases the more spin lies in the plane and the less may be lost, and what is lost stays within that."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.surrogate.precessing.orders import LOST, PHASES, needed
from tests.surrogate.precessing.test_orders import GRID, error, some


def test_phases_rise_with_the_spin_in_the_plane_and_fall_with_what_may_be_lost() -> None:
    flat = np.linspace(0.0, 0.8, 50)
    chi = np.column_stack([flat, 0 * flat, np.full(50, 0.1)])
    counts = np.array([needed(np.full(50, 1.5), chi, chi, lost) for lost in (LOST, 1e-5, 1e-4, 1e-3, 1.0)])
    assert np.all(np.diff(counts, axis=1) >= 0)
    assert np.all(np.diff(counts, axis=0) <= 0)
    assert set(counts.ravel()) <= set(PHASES)
    assert counts[0, -1] == max(PHASES)
    assert np.all(counts[-1] == min(PHASES))
    np.testing.assert_array_equal(needed(np.full(50, 1.5), chi, chi), counts[0])


def test_three_in_four_lose_less_power_than_may_be_lost() -> None:
    model = load_model("nrphm")
    binaries, theta_jn, phase = some(16, 7)
    wanted = np.arange(80, GRID.n_f, 5)

    def summed(lost: float) -> np.ndarray:
        orders, spectra = model.orders_at(binaries, GRID, theta_jn, wanted, lost)
        out = np.zeros((16, 2, GRID.n_f), np.complex128)
        out[:, :, wanted] = np.einsum("nm,nmpf->npf", np.exp(1j * np.outer(phase, orders)), spectra)
        return out

    best = summed(0.0)
    for lost in (3e-6, 1e-5):  # above these early parts of higher orders are left out, too
        lacking = [error(a, b, 20.0) for a, b in zip(summed(lost), best, strict=True)]
        assert np.quantile(lacking, 0.75) < lost
    # And that makes a difference: three phases would not do for all.
    assert max(error(a, b, 20.0) for a, b in zip(summed(1.0), best, strict=True)) > 1e-3
