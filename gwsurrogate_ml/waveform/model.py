"""The one interface of waveform models: ours, LALSimulation's and a user's own class are the same to all that uses them.

With ``h = h_plus - i h_cross`` and the direction (theta_jn, pi/2 - phase) of `conventions`, the orbital phase turns a waveform
order by order: ``h_pol(f; phase) = sum_m exp(i m phase) S_m,pol(f)`` for f > 0. A model gives these spectra, `orders`; all else
follows. Of the (2, +-2) modes alone, with the transform h(f) of h_plus face-on at phase 0, ``S_2,plus = (1 + c^2)/2 h`` and
``S_2,cross = -i c h``, c = cos(theta_jn): such a model gives h(f), as a `QuadrupoleModel`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gwsurrogate_ml.binaries import ALIGNED, PRECESSING, Binaries, Space
from gwsurrogate_ml.conventions import MTSUN_SI, ModeKey, chirp_mass_from_components, component_masses, require_tilts
from gwsurrogate_ml.errors import ConfigError

_FEW = 8
"""Binaries whose orders are made together where few of their frequencies are wanted."""


class Grid(NamedTuple):
    """The frequencies of an analysis segment.

    Parameters
    ----------
    duration : float, s
    sampling_frequency : float, Hz
    f_min : float, Hz
        lowest frequency that will be used
    """

    duration: float
    sampling_frequency: float
    f_min: float

    @property
    def n_f(self) -> int:
        """Number of frequencies, 0 to half the sampling frequency."""
        return round(self.duration * self.sampling_frequency / 2) + 1


class WaveformModel(ABC):
    """A waveform model; derive from it, or from `QuadrupoleModel`, to bring your own.

    Attributes
    ----------
    name : str
    space : Space
        the parameters it depends on
    modes : tuple of (l, m), m > 0
        what it sums, for whoever reads results
    limits : mapping from a parameter of `space` to (low, high)
        its range; parameters that are not named are not limited
    has_samples : bool
        whether it gives `samples`
    """

    name: str
    space: Space = ALIGNED
    modes: tuple[ModeKey, ...] = ((2, 2),)
    limits: Mapping[str, tuple[float, float]] = {}
    has_samples: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """What tells the model from all others, as results keep it."""
        return {"name": self.name}

    @property
    def quadrupole_only(self) -> bool:
        """Whether spins are aligned and (2, +-2) is all there is: then phase and orientation are integrated in closed form."""
        return self.space == ALIGNED and self.modes == ((2, 2),)

    @abstractmethod
    def orders(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Transforms of both polarizations, order by order in the orbital phase, peak at t = 0 of the periodic segment.

        Parameters
        ----------
        binaries : Binaries, N of them
        grid : Grid
        theta_jn : (N,) float64, rad

        Returns
        -------
        orders : (n_m,) int
            m; negative ones where the spectra at positive frequencies hold them
        spectra : (N, n_m, 2, n_f) complex128, 1/Hz
            plus and cross at 1 Mpc
        """

    def orders_at(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, wanted: np.ndarray, lost: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """`orders` at the frequencies numbered `wanted` (n,) int, ascending, alone: spectra (N, n_m, 2, n).

        A model that can save time may lose the share `lost` of most waveforms' power, and more of some, which changes log
        likelihoods by some signal-to-noise ratio times its root.
        """
        # A few at a time: of all frequencies not all are kept.
        starts = range(0, max(len(binaries), 1), _FEW)
        parts = [self.orders(binaries[i : i + _FEW], grid, theta_jn[i : i + _FEW]) for i in starts]
        return parts[0][0], np.concatenate([spectra[..., wanted] for _, spectra in parts])

    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        """h_plus of the order m = 2 face-on at phase 0 and 1 Mpc: (N, n_f) complex128, 1/Hz; what templates are made of."""
        orders, spectra = self.orders(binaries, grid, np.zeros(len(binaries)))
        return spectra[:, list(orders).index(2), 0]

    def transforms(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, phase: np.ndarray, luminosity_distance: np.ndarray
    ) -> np.ndarray:
        """h_plus and h_cross (N, 2, n_f) complex128, 1/Hz; `theta_jn`, `phase` rad, `luminosity_distance` Mpc, each (N,)."""
        require_places(len(binaries), theta_jn, phase, luminosity_distance)
        orders, spectra = self.orders(binaries, grid, theta_jn)
        turns = np.exp(1j * np.outer(phase, orders)) / np.asarray(luminosity_distance)[:, None]
        return np.einsum("nm,nmpf->npf", turns, spectra)

    def samples(self, binaries: Binaries, grid: Grid, times: np.ndarray) -> np.ndarray:
        """The series that `quadrupole` transforms at a few `times` (n,), s from the peak, ascending: (N, n) float64."""
        raise NotImplementedError(f"{self.name} transforms whole waveforms alone")

    def total_mass_range(self, q: Any, chi1: Any, chi2: Any, f_min: float) -> tuple[np.ndarray, np.ndarray]:
        """Total masses (solar masses, detector frame) between which waveforms begin at or below `f_min` (Hz) and peak above it."""
        none = np.zeros(np.broadcast(q, chi1, chi2).shape)
        return none, none + np.inf

    def time_before_peak(self, *, mass_1: float, mass_2: float, chi_1: float, chi_2: float, f_min: float) -> float:
        """Seconds of data that the waveform from `f_min` (Hz) on needs before its peak; 0 for models that end where the data do."""
        return 0.0

    def ringdown(self, total_mass: float) -> float:
        """Seconds that it needs after the peak."""
        return 0.0

    def expected_mismatch(self, binaries: Binaries) -> np.ndarray | None:
        """Mismatch (N,) of (2,2) to numerical relativity in white noise that the model expects of itself; None: it does not say."""
        return None


def require_places(n: int, theta_jn: np.ndarray, phase: np.ndarray, luminosity_distance: np.ndarray) -> None:
    """Raise ConfigError for angles (n,) in rad or distances (n,) in Mpc that no binary has, or that are not one for each of `n`."""
    for name, values in (("theta_jn", theta_jn), ("phase", phase), ("luminosity_distance", luminosity_distance)):
        if np.shape(values) != (n,):
            raise ConfigError(f"{name} has the shape {np.shape(values)}: give ({n},), one number for each binary")
        if not np.isfinite(values).all():
            raise ConfigError(f"{name} is not finite everywhere: check the values passed")
    if not (np.asarray(luminosity_distance) > 0).all():
        raise ConfigError("luminosity_distance is not positive everywhere: give Mpc")


def oriented(h: np.ndarray, theta_jn: np.ndarray, phase: np.ndarray, luminosity_distance: np.ndarray) -> np.ndarray:
    """h_plus and h_cross (N, 2, n_f) of (2, +-2) modes from h_plus (N, n_f) face-on at phase 0 and 1 Mpc; angles (N,) rad."""
    require_places(len(h), theta_jn, phase, luminosity_distance)
    c = np.cos(theta_jn)[:, None]
    turned = h * (np.exp(2j * phase) / luminosity_distance)[:, None]
    return np.stack([0.5 * (1 + c**2) * turned, -1j * c * turned], axis=1)


class QuadrupoleModel(WaveformModel):
    """A model of aligned spins and the (2, +-2) modes alone."""

    @abstractmethod
    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        """h_plus face-on at phase 0 and 1 Mpc, peak at t = 0 of the periodic segment: (N, n_f) complex128, 1/Hz."""

    def orders(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Order 2, see `WaveformModel.orders`."""
        c = np.cos(np.asarray(theta_jn))[:, None]
        h = self.quadrupole(binaries, grid)
        return np.array([2]), np.stack([0.5 * (1 + c**2) * h, -1j * c * h], axis=1)[:, None]

    def transforms(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, phase: np.ndarray, luminosity_distance: np.ndarray
    ) -> np.ndarray:
        """As `WaveformModel.transforms`."""
        return oriented(self.quadrupole(binaries, grid), theta_jn, phase, luminosity_distance)


class Quadrupole(QuadrupoleModel):
    """The (2, +-2) modes of a model of several, as a model of its own: for whoever means them, and says so.

    Parameters
    ----------
    model : WaveformModel
    """

    def __init__(self, model: WaveformModel) -> None:
        self.model, self.name, self.limits, self.has_samples = model, model.name, model.limits, model.has_samples

    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        """That of the model."""
        return self.model.quadrupole(binaries, grid)

    def samples(self, binaries: Binaries, grid: Grid, times: np.ndarray) -> np.ndarray:
        """Those of the model."""
        return self.model.samples(binaries, grid, times)

    def expected_mismatch(self, binaries: Binaries) -> np.ndarray | None:
        """That of the model."""
        return self.model.expected_mismatch(binaries)


def _is_model(model: Any) -> WaveformModel:
    if not isinstance(model, WaveformModel):
        raise ConfigError(
            f"{type(model).__name__} is no waveform model: give a name, or an object of a class derived from "
            "gwsurrogate_ml.waveform.model.WaveformModel"
        )
    return model


def require_model(model: Any) -> WaveformModel:
    """`model`, once it has given a waveform that keeps what the interface promises.

    Raises
    ------
    ConfigError
        saying what is no waveform model, or what it breaks: shapes, orders, numbers that are not finite, a name
    """
    model = _is_model(model)
    what = f"the waveform model {type(model).__name__}"
    if not isinstance(getattr(model, "name", None), str) or not isinstance(model.space, Space):
        raise ConfigError(f"{what} has no `name`, or a `space` that is no Space: set both on the class")
    middle = {name: 0.5 * (low + high) for name, (low, high) in model.limits.items()}
    usual = {"chirp_mass": 30.0, "mass_ratio": 0.8, "phi_12": 1.0, "phi_jl": 0.5}
    theta = np.array([[usual.get(name, middle.get(name, 0.1)) for name in model.space.names]] * 2)
    grid = Grid(4.0, 1024.0, 32.0)
    orders, spectra = (np.asarray(x) for x in model.orders(model.space.binaries(theta), grid, np.array([0.4, 0.9])))
    wanted = (2, len(orders), 2, grid.n_f)
    if orders.ndim != 1 or orders.dtype.kind not in "iu" or len(set(orders.tolist())) != len(orders):
        raise ConfigError(f"{what} gives orders {orders.tolist()}: give different whole numbers (n_m,)")
    if 2 not in orders:
        raise ConfigError(f"{what} gives orders {orders.tolist()}, without m = 2, which templates are made of")
    if spectra.shape != wanted or not np.iscomplexobj(spectra):
        raise ConfigError(f"{what} gives spectra of shape {spectra.shape}, {spectra.dtype}: two binaries ask for {wanted}, complex")
    if not np.all(np.isfinite(spectra)):
        raise ConfigError(f"{what} gives spectra that are not finite everywhere")
    return model


def require_quadrupole(model: WaveformModel) -> WaveformModel:
    """`model`, if its phase and orientation are integrated in closed form.

    Raises
    ------
    ConfigError
    """
    if not model.quadrupole_only:
        listed = ", ".join(f"({l},{m})" for l, m in model.modes)
        raise ConfigError(
            f"the waveform model {model.name} has the modes {listed} of the space {', '.join(model.space.names)}; the integral "
            "over orientation and phase holds for (2,2) with aligned spins alone: give load_surrogate('nr22'), and let "
            "result.with_higher_modes(segment) bring in the others"
        )
    return model


def intrinsic(parameters: Mapping[str, float]) -> tuple[float, float, float, float]:
    """mass_1, mass_2 (Msun, as given), chi_1, chi_2 of a mapping with bilby's names; left-out spins are zero.

    Raises
    ------
    ConfigError
        if neither mass_1 and mass_2 nor chirp_mass and mass_ratio are there

    Examples
    --------
    >>> intrinsic({"mass_1": 36, "mass_2": 29, "chi_1": 0.3})
    (36.0, 29.0, 0.3, 0.0)
    """
    if "mass_1" in parameters and "mass_2" in parameters:
        mass_1, mass_2 = float(parameters["mass_1"]), float(parameters["mass_2"])
    elif "chirp_mass" in parameters and "mass_ratio" in parameters:
        masses = component_masses(np.asarray(parameters["chirp_mass"]), np.asarray(parameters["mass_ratio"]))
        mass_1, mass_2 = (float(m) for m in masses)
    else:
        raise ConfigError(f"masses missing: give mass_1 and mass_2, or chirp_mass and mass_ratio (got {sorted(parameters)})")
    return mass_1, mass_2, float(parameters.get("chi_1", 0.0)), float(parameters.get("chi_2", 0.0))


def binary_of(parameters: Mapping[str, float], space: Space = ALIGNED) -> Binaries:
    """One binary of a mapping with bilby's names: masses in either way, spins of the space; left-out aligned spins are zero."""
    mass_1, mass_2, chi_1, chi_2 = intrinsic(parameters)
    if space == ALIGNED:
        general = [name for name in PRECESSING.names if name in parameters and name not in ALIGNED.names]
        if general and not {"chi_1", "chi_2"} & set(parameters):
            raise ConfigError(
                f"the spins are given as {', '.join(general)}, the model knows chi_1 and chi_2 along the orbit alone: give these, "
                "or take a precessing model, such as 'lal:IMRPhenomXPHM'"
            )
        return Binaries.aligned(mass_1, mass_2, chi_1, chi_2)
    require_tilts(float(parameters.get("tilt_1", 0.0)), float(parameters.get("tilt_2", 0.0)))
    chirp = {"chirp_mass": float(chirp_mass_from_components(mass_1, mass_2)), "mass_ratio": mass_2 / mass_1}
    return space.binaries(space.theta(dict(parameters) | chirp))


def evaluate(model: WaveformModel, parameters: Mapping[str, float], grid: Grid) -> np.ndarray:
    """Transform (n_f,) complex128, 1/Hz, of the model's (2, 2) h_plus at 1 Mpc, face-on, phase 0, peak at t = 0."""
    model = _is_model(model)
    h = np.asarray(model.quadrupole(binary_of(parameters, model.space), grid), np.complex128)
    if h.shape != (1, grid.n_f):
        raise ConfigError(f"the waveform model returned shape {h.shape}, expected (1, {grid.n_f}): is it a Surrogate?")
    return h[0]


def transforms(model: WaveformModel, parameters: Mapping[str, float], grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """h_plus and h_cross (n_f,), 1/Hz, of all the modes that the model has; peak at t = 0 of the periodic segment.

    Parameters
    ----------
    model : WaveformModel
    parameters : mapping
        by bilby's names: masses, spins, luminosity_distance (Mpc), theta_jn, phase (rad)
    grid : Grid
    """
    place = (np.array([float(parameters[name])]) for name in ("theta_jn", "phase", "luminosity_distance"))
    model = _is_model(model)
    both = np.asarray(model.transforms(binary_of(parameters, model.space), grid, *place), np.complex128)
    if both.shape != (1, 2, grid.n_f):
        raise ConfigError(f"the waveform model returned shape {both.shape}, expected (1, 2, {grid.n_f}): see waveform.model")
    plus, cross = both[0]
    return plus, cross


def inspiral_time(parameters: Mapping[str, float], f_min: float) -> float:
    """Leading-order time (s) from a (2,2) frequency of `f_min` (Hz) to the merger: how much data the signal fills.

    Examples
    --------
    >>> round(inspiral_time({"mass_1": 36, "mass_2": 29}, 20.0), 2)
    0.85
    """
    mass_1, mass_2, _, _ = intrinsic(parameters)
    chirp = MTSUN_SI * float(chirp_mass_from_components(np.asarray(mass_1), np.asarray(mass_2)))
    return 5.0 / 256.0 * (np.pi * f_min) ** (-8.0 / 3.0) * chirp ** (-5.0 / 3.0)
