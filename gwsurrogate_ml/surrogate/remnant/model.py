"""Mass, spin and recoil velocity of the black hole that a merger leaves, with calibrated errors, in numpy.

The test-particle limit is built in (`remnant_physics`), Gaussian processes learn the rest from the SXS and RIT catalogues
(`remnant_training`); exchange of the bodies is exact in the code.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.binaries import PRECESSING
from gwsurrogate_ml.conventions import require_q
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError, DomainWarning
from gwsurrogate_ml.surrogate.domain import check_parameters
from gwsurrogate_ml.surrogate.names import named
from gwsurrogate_ml.surrogate.remnant.fits import Parts, RemnantState, Value, predict

DEFAULT = "remnant"


class Remnant:
    """A trained remnant model.

    Parameters
    ----------
    card : dict
        ranges, training data, metrics: `info`
    tensors : dict of float64 arrays

    Examples
    --------
    >>> remnant = load_remnant()(q=1.0, chi1=0.0, chi2=0.0)
    >>> round(remnant.mass, 3), round(remnant.spin, 3), round(remnant.kick, 6)
    (0.952, 0.686, 0.0)
    """

    space = PRECESSING

    def __init__(self, card: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        artifacts.require(card, ranges=dict, error_scales=dict, q_max_plane=(int, float))
        self.info = card
        try:
            self._parts = Parts.from_tensors(tensors)
        except (KeyError, ValueError, IndexError) as error:
            raise ArtifactError(f"the weights of {card.get('name')!r} are not a remnant model's ({error}): get it again") from error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.info.get('name')}: mass, spin and kick of the final black hole>"

    @named
    def __call__(self, q: Value, chi1: Value, chi2: Value, **unknown: object) -> RemnantState:
        """Remnants of one or many binaries.

        Parameters
        ----------
        q : float or array
            m1 / m2 >= 1
        chi1, chi2 : float, array of q's shape, or (..., 3) array
            dimensionless spins of the heavier and of the lighter body: numbers are components along the orbital
            angular momentum L (aligned spins); 3-vectors have z along L and any x in the orbital plane, at a reference time
            10 to 30 orbits before merger, where the catalogues give them. Both may differ in kind.

        Returns
        -------
        RemnantState of floats where q is a number, else of arrays with q's shape

        Raises
        ------
        ConfigError
            if `mass_ratio` or another unknown name is passed, or shapes do not fit
        DomainError
            if q < 1, |chi| > 1, or a value is not finite

        Warns
        -----
        DomainWarning
            outside the trained range, where the answer tends to the test-particle limit

        Notes
        -----
        What general spins cost: the angles of in-plane spins at merger are not resolved from so early a time. Against aligned
        spins, held-out errors are about ten times larger in mass and spin, and the kick of an
        in-plane spin is known as a distribution over that angle alone. `kick` and `kick_error` are its mean and spread.
        Rotations about L and exchange of the bodies change nothing.
        """
        ratio = require_q(q, unknown)
        shape = ratio.shape
        flat = ratio.reshape(-1)
        first, second = _spin("chi1", chi1, shape), _spin("chi2", chi2, shape)
        self._check(flat, first, second)
        result = vars(predict(self._parts, flat, first, second))
        bent = np.any(first[:, :2] != 0, axis=1) | np.any(second[:, :2] != 0, axis=1)
        scales = self.info["error_scales"]
        out = {}
        for key, value in result.items():
            quantity = key.removesuffix("_error")
            if quantity != key:
                value = value * np.where(bent, scales["general"][quantity], scales["aligned"][quantity])
            out[key] = value.reshape(shape) if shape else float(value[0])
        return RemnantState(**out)

    def _check(self, q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray) -> None:
        """Refuse unphysical spins, warn outside the trained range; vectors count by their length."""
        sizes = []
        for name, chi in (("chi1", chi1), ("chi2", chi2)):
            size = np.linalg.norm(chi, axis=1)
            if not np.all(np.isfinite(size)):
                raise DomainError(f"{name} is not a finite number: check the values passed")
            if np.any(size > 1):
                raise DomainError(
                    f"|{name}| = {size.max():g} is above 1, which no black hole has: pass the dimensionless spin S / m^2"
                )
            sizes.append(size)
        check_parameters(np.stack([q, *sizes], axis=1), self.info["ranges"])
        plane = np.any(chi1[:, :2] != 0, axis=1) | np.any(chi2[:, :2] != 0, axis=1)
        limit = float(self.info["q_max_plane"])
        if np.any(q[plane] > limit):
            warnings.warn(
                f"q = {q[plane].max():g} with in-plane spins is outside the trained range [1, {limit:g}]: extrapolated",
                DomainWarning,
                stacklevel=4,
            )


def _spin(name: str, value: Value, shape: tuple[int, ...]) -> np.ndarray:
    """Spins (N, 3) from a number, from components along L of q's shape, or from vectors (..., 3)."""
    try:
        chi = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} is {value!r}: give a number, an array of q's shape, or 3-vectors") from error
    n = int(np.prod(shape))
    if chi.ndim == 0 or chi.shape == shape:
        out = np.zeros((n, 3))
        out[:, 2] = np.broadcast_to(chi, shape).reshape(-1)
        return out
    if chi.shape in ((*shape, 3), (3,)):
        return np.broadcast_to(chi, (*shape, 3)).reshape(n, 3).copy()
    raise ConfigError(
        f"{name} has shape {chi.shape} and q has {shape}: give a number, an array of q's shape, or 3-vectors {(*shape, 3)}; "
        "to vary the spins alone, repeat q"
    )


def load_remnant(name_or_path: str | Path = DEFAULT) -> Remnant:
    """A trained remnant model, by name or folder; the same folder is read once.

    Raises
    ------
    ArtifactError
        if there is none, or it is damaged or of another kind

    Examples
    --------
    >>> load_remnant().info["kind"]
    'remnant'
    """
    folder = artifacts.resolve(name_or_path, "remnant").resolve()
    return _load(folder, (folder / "card.json").stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _load(folder: Path, stamp: int) -> Remnant:
    """The model in `folder`, read again when its card's time `stamp` changes."""
    return Remnant(*artifacts.load(folder, "remnant"))
