"""What can be known of a signal before it is sampled: too loud, too near, in one detector alone, cut by the segment's window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork, amplitudes

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
    from gwsurrogate_ml.inference.likelihood.trigger import Trigger
    from gwsurrogate_ml.inference.prior.composition import Prior

LOUDEST = 1200.0
"""Network signal-to-noise ratio to which likelihoods, times and proposals were tried: GPS times in double precision, 0.2
microseconds apart, are a tenth of the arrival time's error there.
"""
RARE = 1e-3
"""Share of binaries, each counted by the volume in which it is heard, below which the detectors' loudness is flagged."""
CUT = 1.0
"""Signal-to-noise ratio of what the window takes from the signal, above which it is flagged: a bias of one sigma at most."""
_BINARIES = 200_000


def require_resolved(found: Trigger, prior: Prior, power: np.ndarray) -> None:
    """Raise DomainError if a signal is louder than the analysis resolves, or nearer than the prior in all orientations.

    Parameters
    ----------
    found : Trigger
    prior : Prior
    power : (n_det,) <h|h> of the loudest template, face-on at 1 Mpc
    """
    snr = found.network_snr
    if snr > LOUDEST:
        raise DomainError(
            f"the loudest template reaches a network signal-to-noise ratio of {snr:.0f}, the analysis resolves posteriors up to "
            f"{LOUDEST:.0f}: no binary was ever as loud, look at the data for a glitch; where noise spectra were given that are "
            "too low, leave them out, they are then measured; place a simulated signal farther away"
        )
    if _farthest(found, power) < prior.luminosity_distance[0] * (1 - 5 / snr):
        raise too_near(found, prior, power)


def _farthest(found: Trigger, power: np.ndarray) -> float:
    """Mpc: overhead of all detectors and face-on."""
    return float(np.sqrt(power.sum())) / found.network_snr


def too_near(found: Trigger, prior: Prior, power: np.ndarray) -> DomainError:
    """The error for a signal from nearer than the prior; `power` as for `require_resolved`."""
    farthest = _farthest(found, power)
    return DomainError(
        f"the signal comes from nearer than {prior.luminosity_distance[0]:g} Mpc, where the prior on luminosity distance begins: "
        f"overhead and face-on it would be {farthest:.2g} Mpc away, as the detectors see it it is nearer; check that the strain is "
        "not scaled; for a signal that near analyse it with a prior that holds it (`sample_event`, gwsml analyze --from-scratch "
        f"--prior luminosity_distance={0.01 * farthest:.1g},{20 * farthest:.1g})"
    )


def unlike(found: Trigger, network: DetectorNetwork) -> DomainError:
    """The error for amplitudes and arrival times that no direction and orientation gives."""
    seen = ", ".join(f"{name} {snr:.1f}" for name, snr in zip(network.names, found.snr, strict=True))
    return DomainError(
        f"no direction, orientation and distance of the prior gives what the detectors saw (signal-to-noise ratios: {seen}): "
        "look for a glitch in the loudest"
    )


def one_detector_flags(found: Trigger, network: DetectorNetwork, power: np.ndarray) -> list[str]:
    """A sentence if hardly any binary is as loud in one detector and as quiet in the others; else nothing.

    Parameters
    ----------
    found : Trigger
    network : DetectorNetwork
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
        f"one detector: {network.names[loudest]} has a signal-to-noise ratio of {found.snr[loudest]:.1f}, {quiet}; "
        f"of all binaries, counted by the volume they are heard in, {max(100 * share, 1e-3):.1g} % look like this: "
        f"probably a glitch in {network.names[loudest]}"
    ]


def window_flags(found: Trigger, likelihood: SegmentLikelihood, power: np.ndarray) -> list[str]:
    """A sentence if the segment's window takes more from the signal's start than noise hides; else nothing.

    Parameters
    ----------
    found : Trigger
    likelihood : SegmentLikelihood
    power : (n_det,) <h|h> of the loudest template, face-on at 1 Mpc
    """
    from scipy.signal.windows import tukey

    segment, n = likelihood.segment, 2 * (len(likelihood.frequencies) - 1)
    at = found.times[np.argmax(found.snr)]
    h = found.waveform * np.exp(-2j * np.pi * likelihood.frequencies * at)
    windowed = np.fft.irfft(h, n) * tukey(n, 2 * segment.roll_off / segment.duration)
    taken = likelihood.power((h - np.fft.rfft(windowed))[None])[0]
    lost = float(np.sqrt(np.sum(taken / power * found.snr**2)))
    if lost <= CUT:
        return []
    return [
        f"cut by the window: the signal begins where the segment is faded in, in its first {segment.roll_off:g} s; what that takes "
        f"has a signal-to-noise ratio of {lost:.1f} and may bias the result by as many sigma: analyse a longer segment "
        f"(`sample_event`, gwsml analyze --from-scratch --duration {2 * segment.duration:g})"
    ]
