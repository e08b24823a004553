"""What is integrated: curves of amplitude and phase, each a spline with Gaussian nodes, of a detector or common to all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.nuisances.envelope import Calibration, CalibrationEnvelope, envelopes
from gwsurrogate_ml.inference.nuisances.splines import Splines

WAVEFORM = "waveform"
"""The name of the curves that all detectors share."""
KINDS = ("amplitude", "phase")


@dataclass(frozen=True, eq=False)
class Nuisances:
    """Factors ``(1 + a(f)) (2 + i phi(f)) / (2 - i phi(f))`` on the signal, bilby's, of splines whose nodes are Gaussian.

    Parameters
    ----------
    detectors : tuple of str
        of the data
    splines : Splines
    owners : tuple of str
        whose curves they are: a detector each, and `WAVEFORM` for those that all share
    mean, sigma : (n_owners, 2, n_nodes) float64
        of the nodes of amplitude and phase (rad)
    sources : mapping from owner to where its numbers come from
    """

    detectors: tuple[str, ...]
    splines: Splines
    owners: tuple[str, ...]
    mean: np.ndarray
    sigma: np.ndarray
    sources: Mapping[str, str]

    @classmethod
    def of(
        cls,
        detectors: Sequence[str],
        band: tuple[float, float],
        calibration: Mapping[str, CalibrationEnvelope] | None = None,
        waveform: tuple[float, float, str] | None = None,
    ) -> Nuisances:
        """Curves over a band.

        Parameters
        ----------
        detectors : sequence of str
        band : (f_min, f_max), Hz
        calibration : mapping from each detector to its envelope, optional
        waveform : (amplitude, phase, source), optional
            standard deviations of the waveform's error, of the phase in rad, and where they come from

        Raises
        ------
        DataError
            if an envelope does not cover the band
        """
        splines = Splines(float(band[0]), float(band[1]))
        owners, means, sigmas, sources = [], [], [], {}
        for name, envelope in (calibration or {}).items():
            amplitude, amplitude_sigma, phase, phase_sigma = envelope.at(splines.nodes)
            owners.append(name)
            means.append([amplitude, phase])
            sigmas.append([amplitude_sigma, phase_sigma])
            sources[name] = envelope.source
        if waveform is not None:
            zero = np.zeros(splines.n_nodes)
            owners.append(WAVEFORM)
            means.append([zero, zero])
            sigmas.append([zero + waveform[0], zero + waveform[1]])
            sources[WAVEFORM] = waveform[2]
        return cls(tuple(detectors), splines, tuple(owners), np.array(means), np.array(sigmas), sources)

    @property
    def owner_of(self) -> np.ndarray:
        """Index among `owners` of each detector's own curves, and of those it shares, -1 for none: (n_det, 2) int64."""
        find = {name: k for k, name in enumerate(self.owners)}
        return np.array([[find.get(name, -1), find.get(WAVEFORM, -1)] for name in self.detectors], dtype=np.int64)

    @property
    def columns(self) -> list[str]:
        """Names of all nodes in the order of ``mean.ravel()``: bilby's for those of detectors."""
        return [column(owner, kind, k) for owner in self.owners for kind in KINDS for k in range(self.splines.n_nodes)]

    def factor(self, nodes: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
        """The factor (n_det, n) on each detector's signal at `frequencies` (n,) Hz, for nodes of the shape of `mean`."""
        curves = nodes @ self.splines.basis(frequencies)
        own = (1 + curves[:, 0]) * (2 + 1j * curves[:, 1]) / (2 - 1j * curves[:, 1])
        out = np.ones((len(self.detectors), len(frequencies)), np.complex128)
        for d, owners in enumerate(self.owner_of):
            for k in owners[owners >= 0]:
                out[d] *= own[k]
        return out

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Nodes from their prior, of the shape of `mean`."""
        return self.mean + self.sigma * rng.normal(size=self.mean.shape)

    def record(self) -> dict[str, Any]:
        """All of it as plain numbers, for a result."""
        return {
            "detectors": list(self.detectors),
            "nodes": self.splines.nodes.tolist(),
            "owners": list(self.owners),
            "mean": self.mean.tolist(),
            "sigma": self.sigma.tolist(),
            "sources": dict(self.sources),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Nuisances:
        """The inverse of `record`."""
        nodes = record["nodes"]
        splines = Splines(float(nodes[0]), float(nodes[-1]), len(nodes))
        mean, sigma = np.array(record["mean"]), np.array(record["sigma"])
        return cls(tuple(record["detectors"]), splines, tuple(record["owners"]), mean, sigma, dict(record["sources"]))


def column(owner: str, kind: str, k: int) -> str:
    """The name of a node in tables of draws.

    Examples
    --------
    >>> column("H1", "amplitude", 0), column("waveform", "phase", 3)
    ('recalib_H1_amplitude_0', 'waveform_error_phase_3')
    """
    return f"waveform_error_{kind}_{k}" if owner == WAVEFORM else f"recalib_{owner}_{kind}_{k}"


@dataclass(frozen=True)
class Requested:
    """What an analysis is asked to integrate, read and checked before it begins.

    Parameters
    ----------
    calibration : mapping from detector to envelope; empty: none
    waveform : "surrogate", (amplitude, phase) or None
    """

    calibration: Mapping[str, CalibrationEnvelope]
    waveform: str | tuple[float, float] | None

    def __bool__(self) -> bool:
        return bool(self.calibration) or self.waveform is not None


SURROGATE = "surrogate"


def requested(
    detectors: Sequence[str], band: tuple[float, float] | None, calibration: Calibration | None, waveform_error: Any
) -> Requested:
    """Read and check what is to be integrated.

    Parameters
    ----------
    detectors, band : of the data that will be analysed; None, not known yet: envelopes are read, and may not cover it
    calibration : mapping from detector to envelope or file, optional
    waveform_error : "surrogate" or True, (amplitude, phase) or None

    Raises
    ------
    ConfigError, DataError
        see `envelope.envelopes`; a `waveform_error` that is neither
    """
    found = envelopes(calibration, detectors) if calibration is not None else {}
    asked = Requested(found, _waveform(waveform_error))
    if found and band is not None:
        Nuisances.of(detectors, band, found)  # raises where an envelope does not cover the band
    return asked


def _waveform(given: Any) -> str | tuple[float, float] | None:
    if given is None or given is False:
        return None
    if given is True or (isinstance(given, str) and given == SURROGATE):
        return SURROGATE
    if not isinstance(given, str):
        try:
            amplitude, phase = (float(x) for x in given)
        except (TypeError, ValueError):
            amplitude = phase = np.nan
        if 0 <= amplitude < 1 and 0 <= phase < np.pi:
            return amplitude, phase
    raise ConfigError(
        f"waveform_error is {given!r}: give 'surrogate', for the model's own estimate, or the standard deviations of its "
        "amplitude, relative, and of its phase, in rad: (0.02, 0.01)"
    )
