"""What can be known of a signal before it is sampled: too loud, too near, or in one detector alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.inference.geometry import Network, amplitudes

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.priors import BinaryPrior
    from gwsurrogate_ml.inference.search import Found

LOUDEST = 1200.0
"""Network signal-to-noise ratio to which likelihoods, times and proposals were tried: GPS times in double precision, 0.2 microseconds
apart, are a tenth of the arrival time's error there.
"""
RARE = 1e-3
"""Share of binaries, each counted by the volume in which it is heard, below which the detectors' loudness is flagged."""
_BINARIES = 200_000


def require_resolved(found: Found, prior: BinaryPrior, power: np.ndarray) -> None:
    """Raise DomainError if a signal is louder than the analysis resolves, or nearer than the prior in all orientations.

    Parameters
    ----------
    found : Found
    prior : BinaryPrior
    power : (n_det,) <h|h> of the loudest template, face-on at 1 Mpc
    """
    snr = found.network_snr
    if snr > LOUDEST:
        raise DomainError(
            f"the loudest template reaches a network signal-to-noise ratio of {snr:.0f}, the analysis resolves posteriors up to "
            f"{LOUDEST:.0f}: if it is a glitch, cut it out (`strain.gating`); if the noise spectra are too low, give other ones"
        )
    farthest, nearest = float(np.sqrt(power.sum())) / snr, prior.luminosity_distance[0]
    if farthest < nearest * (1 - 5 / snr):
        raise too_near(farthest, nearest)


def too_near(farthest: float, nearest: float) -> DomainError:
    """The error for a signal that comes from `farthest` Mpc at most, in front of the prior's `nearest`."""
    return DomainError(
        f"the signal would come from within {farthest:.2g} Mpc, the prior on luminosity distance begins at {nearest:g} Mpc: check "
        "that the strain is not scaled; for a signal that near analyse it with a prior that holds it (`sample_event`, gwsml analyze "
        f"--from-scratch --prior luminosity_distance={0.1 * farthest:.1g},{100 * farthest:.1g})"
    )


def one_detector_flags(found: Found, network: Network, power: np.ndarray) -> list[str]:
    """A sentence if hardly any binary is as loud in one detector and as quiet in the others; else nothing.

    Parameters
    ----------
    found : Found
    network : Network
    power : (n_det,) <h|h> of the loudest template, face-on at 1 Mpc
    """
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(_BINARIES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    patterns = network.patterns(direction, rng.uniform(0, np.pi, _BINARIES))
    heard = np.abs(amplitudes(*patterns, rng.uniform(-1, 1, _BINARIES))) ** 2 * power
    total = heard.sum(axis=1)
    loudest = int(np.argmax(found.snr))
    others = np.sqrt(np.sum(np.delete(found.snr, loudest) ** 2))
    # Noise moves what the others see by about one.
    alike = 1 - heard[:, loudest] / total <= ((others + 1) / found.network_snr) ** 2
    share = float(np.sum(total[alike] ** 1.5) / np.sum(total**1.5))
    if share >= RARE:
        return []
    quiet = ", ".join(f"{n} {s:.1f}" for n, s in zip(network.names, found.snr, strict=True) if n != network.names[loudest])
    return [
        f"one detector: {network.names[loudest]} has a signal-to-noise ratio of {found.snr[loudest]:.1f}, {quiet}; of all binaries, "
        f"counted by the volume they are heard in, {max(100 * share, 1e-3):.1g} % look like this: probably a glitch in "
        f"{network.names[loudest]}"
    ]
