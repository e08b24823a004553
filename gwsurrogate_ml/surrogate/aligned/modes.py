"""The surrogate in geometric units: modes of one binary in numpy, of many in torch, and the error estimate."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import ModeKey, require_q
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError
from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.surrogate.aligned import compiled, correction, higher, predictor
from gwsurrogate_ml.surrogate.aligned.compiled import Knots
from gwsurrogate_ml.surrogate.aligned.coordinates import features
from gwsurrogate_ml.surrogate.aligned.inspiral import Inspiral
from gwsurrogate_ml.surrogate.aligned.predictor import chebyshev_exponents
from gwsurrogate_ml.surrogate.aligned.uncertainty import ErrorEstimate, Factor, expected_mismatch, factors
from gwsurrogate_ml.surrogate.domain import NAMES, check_parameters
from gwsurrogate_ml.surrogate.names import meant
from gwsurrogate_ml.waveform.modes import Modes

if TYPE_CHECKING:
    import torch

    from gwsurrogate_ml.surrogate.aligned.batch import BatchKnots


def _check_card(card: dict[str, Any]) -> None:
    """Raise ArtifactError where the card does not say what every call needs."""
    artifacts.require(card, modes=list, degree=int, ranges=dict)
    limits = ("min", "max", "hard_min", "hard_max")
    for name in NAMES:
        given = card["ranges"].get(name)
        if not (isinstance(given, dict) and all(isinstance(given.get(key), int | float) for key in limits)):
            raise ArtifactError(
                f"the card of {card.get('name')!r} has ranges without {name} from {', '.join(limits)}: restore the card that came "
                "with the weights"
            )


def _check_tensors(tensors: dict[str, np.ndarray], degree: int, modes: tuple[ModeKey, ...]) -> None:
    """Raise ArtifactError where weights and card do not belong together: the numbers would be wrong without a word."""
    needed = {"knots", "stage1.mean", "stage1.basis", "stage1.polynomial"} | ({"higher.basis"} if len(modes) > 1 else set())
    if missing := sorted(needed - set(tensors)):
        raise ArtifactError(f"the weights lack {missing[0]!r}: they are not those of a surrogate, install or train it anew")
    for key, value in tensors.items():
        if not np.isfinite(value).all():
            raise ArtifactError(f"{key!r} of the weights holds numbers that are not finite: install or train the model anew")
    knots = tensors["knots"]
    if knots.ndim != 1 or len(knots) < 16 or not (np.diff(knots) > 0).all():
        raise ArtifactError("the weights' knots do not ascend: install or train the model anew")
    for key, value in tensors.items():
        if key.endswith("stage1.basis") and value.shape[-1] != 2 * len(knots):
            raise ArtifactError(f"{key!r} of the weights has shape {value.shape}: it does not fit the {len(knots)} knots")
    if len(tensors["stage1.polynomial"]) != len(chebyshev_exponents(degree)):
        raise ArtifactError(f"the card's degree {degree} does not fit the weights: restore the card that came with them")
    if "stage3.basis" in tensors and tensors["stage3.polynomial"].shape[1] != np.prod(tensors["stage3.basis"].shape[:2]):
        raise ArtifactError("'stage3.polynomial' of the weights does not fit 'stage3.basis': install or train the model anew")
    if len(modes) > 1 and len(tensors["higher.basis"]) != len(modes) - 1:
        raise ArtifactError(
            f"the card names {len(modes)} modes, the weights hold {len(tensors['higher.basis']) + 1}: restore the card that came "
            "with them"
        )


class AlignedModes:
    """The mode model of aligned spins: modes in units of the total mass, in numpy for one binary and in torch for many.

    Parameters
    ----------
    card : dict
        parameter ranges, modes, training data, metrics: `info`
    tensors : dict of arrays
        knots, bases, networks
    inspiral : card and tensors, optional
        of the early inspiral before the first knot; without it the model begins there

    Attributes
    ----------
    knots : (n,) float64, M
        of the model itself
    t_join : float, M
        from here on the model itself holds, before it the early inspiral
    t_min, t_max : float, M
        from where to where the whole holds
    """

    def __init__(
        self,
        card: dict[str, Any],
        tensors: dict[str, np.ndarray],
        inspiral: tuple[dict[str, Any], dict[str, np.ndarray]] | None = None,
    ) -> None:
        _check_card(card)
        self.info = card
        self.modes: tuple[ModeKey, ...] = tuple((int(l), int(m)) for l, m in card["modes"])
        self.tensors = {key: np.array(value, dtype=np.float64, order="C") for key, value in tensors.items()}
        self.degree = int(card["degree"])
        _check_tensors(self.tensors, self.degree, self.modes)
        self.knots = self.tensors["knots"]
        self.inspiral = Inspiral(*inspiral, self.modes) if inspiral else None
        self.all_knots = self.knots
        early_basis = None
        if self.inspiral:
            self.inspiral.require_knots(self.knots)
            self.all_knots = np.concatenate([self.inspiral.knots[: self.inspiral.n_early], self.knots])
            early_basis = self.inspiral.tables.higher_basis
        self.tables = compiled.tables(self.tensors, self.degree, self.modes, early_basis)
        # The peak moves by a fraction of an M when stage 2 is added: keep a margin to both ends of the knots.
        self.t_min, self.t_join, self.t_max = (
            float(t) for t in (self.all_knots[0] + 5.0, self.knots[0] + 5.0, self.knots[-1] - 5.0)
        )

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Hard limits by bilby's names."""
        ranges = {name: (float(x["hard_min"]), float(x["hard_max"])) for name, x in self.info["ranges"].items()}
        return {"mass_ratio": (1.0 / ranges["q"][1], 1.0), "chi_1": ranges["chi1"], "chi_2": ranges["chi2"]}

    def __call__(self, q: float, chi1: float, chi2: float, times: np.ndarray | None = None, **unknown: object) -> Modes:
        """Modes of one binary, r h / M in geometric units.

        Parameters
        ----------
        q : float, m1 / m2 >= 1
        chi1, chi2 : float, dimensionless spin components along the orbital angular momentum
        times : (n,) array, optional
            in M, 0 at the peak; by default every 1 M from `t_join` on

        Returns
        -------
        Modes
            `t` in M; `modes[l, m]` complex128 (n,)

        Raises
        ------
        DomainError
            parameters beyond the hard limit, or times outside the model's range
        ConfigError
            unknown keyword, wrong shape of `times`
        """
        parameters = self.one(q, chi1, chi2, unknown)
        try:
            times = np.arange(np.ceil(self.t_join), self.t_max) if times is None else np.array(times, dtype=np.float64)
        except (TypeError, ValueError):
            raise ConfigError("times are no numbers: give an array (n,) in M") from None
        self.check_times(times)
        k = self.at_knots(parameters, times.min(initial=0.0))
        out = np.empty((1, len(self.modes), len(times)), dtype=np.complex128)
        compiled.modes(self.tables, k, compiled.NOTHING, times[None], out)
        return Modes(times, dict(zip(self.modes, out[0], strict=True)))

    def batch(self, parameters: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Modes of many binaries in torch, on the device of `parameters`, differentiable in parameters and times.

        On a CPU, where no gradient is asked for, compiled code gives the same numbers to rounding in a fraction of the time.

        Parameters
        ----------
        parameters : (N, 3) float64 tensor
            columns q >= 1, chi1, chi2
        times : (n,) or (N, n) float64 tensor
            in M, 0 at each binary's peak

        Returns
        -------
        (N, n_modes, n) complex128 tensor, r h_lm / M

        Raises
        ------
        DomainError, ConfigError
            as for a single waveform
        """
        import torch

        from gwsurrogate_ml.waveform import spline_torch

        for name, tensor in (("parameters", parameters), ("times", times)):
            if not isinstance(tensor, torch.Tensor) or tensor.is_complex():
                raise ConfigError(f"{name} is a {type(tensor).__name__}: give a real torch tensor, torch.as_tensor(...)")
        check_parameters(parameters.detach().cpu().numpy(), self.info["ranges"])
        if times.ndim not in (1, 2) or (times.ndim == 2 and len(times) != len(parameters)):
            raise ConfigError(f"times have shape {tuple(times.shape)}: give (n,) or (N, n) with N = {len(parameters)}")
        self.check_times(times.detach().cpu().numpy(), ndim=times.ndim)
        if not len(parameters):
            return torch.zeros(0, len(self.modes), times.shape[-1], dtype=torch.complex128, device=parameters.device)
        dtype = torch.float64
        inputs = (parameters, times)
        wanted = spline_torch.is_dual(*inputs) or (torch.is_grad_enabled() and any(x.requires_grad for x in inputs))
        if parameters.device.type == "cpu" and not wanted:
            return torch.from_numpy(self._compiled_batch(parameters.detach().to(dtype).numpy(), times.to(dtype).numpy()))
        return self.on(parameters.device).modes(parameters.to(dtype), times.to(dtype))

    def error_estimate(self, q: float, chi1: float, chi2: float, **unknown: object) -> ErrorEstimate:
        """What the model expects its own error to be for one binary; see `uncertainty`.

        Parameters
        ----------
        q, chi1, chi2 : float, as for a waveform

        Returns
        -------
        ErrorEstimate
            expected mismatch to numerical relativity, its 90 % bound, and such a bound for each higher mode

        Raises
        ------
        ConfigError
            if the model was trained without numerical relativity, or before it kept what the estimate needs
        DomainError
            as for a waveform
        """
        parameters = self.one(q, chi1, chi2, unknown)
        factor = self.info.get("error_factor_90")
        if factor is None:
            raise ConfigError(
                f"the model {self.info['name']!r} carries no error estimate: train it anew with an NR table (--set nr=FILE)"
            )
        expected = float(expected_mismatch(parameters, self.tensors, self._factors)[0])
        calibrated = self.info["metrics"].get("higher_modes_validation", {}).get("error_factor_90", {})
        bounds = {}
        if calibrated:
            spread = higher.spread(parameters, self.tensors, self.modes[1:])[0].tolist()
            bounds = {(l, m): calibrated[f"{l}{m}"] * x for (l, m), x in zip(self.modes[1:], spread, strict=True)}
        corrected = self.info["metrics"].get("nrsur7dq2_held_out", {}).get("error_factor_90", {})
        weight = float(correction.variables(*parameters[0])[3])
        for key, size in corrected.items():
            mode = int(key[0]), int(key[1])
            bound = size * float(correction.sizes(parameters, mode[1])[0])
            bounds[mode] += weight * (bound - bounds[mode])
        return ErrorEstimate(expected, factor * expected, bounds)

    @cached_property
    def _factors(self) -> list[Factor]:
        return factors(self.tensors)

    def one(self, q: float, chi1: float, chi2: float, unknown: dict[str, object]) -> np.ndarray:
        """Parameters (1, 3) of one binary, checked."""
        for name in unknown:
            if name != "mass_ratio" and (remedy := meant(name, NAMES)):
                raise ConfigError(f"unknown parameter {name!r}: {remedy}")
        given: tuple[tuple[str, Any], ...] = (("q", require_q(q, unknown)), ("chi1", chi1), ("chi2", chi2))
        values = []
        for name, value in given:
            try:
                values.append(float(value))
            except (TypeError, ValueError):
                if name != "q" and (isinstance(value, list | tuple) or np.ndim(value) == 1) and len(value) == 3:
                    raise ConfigError(
                        f"{name} is {value!r}, three components: {self.info.get('name', 'this model')} takes one number, the spin "
                        "along the orbital angular momentum; load_surrogate('nrphm') takes spins with components"
                    ) from None
                raise ConfigError(f"{name} is {value!r}: this call takes one binary, a number; `batch` takes many") from None
        parameters = np.array([values])
        check_parameters(parameters, self.info["ranges"])
        return parameters

    def _compiled_batch(self, parameters: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Modes (N, n_modes, n) complex128 for `parameters` (N, 3) at `times` (n,) or (N, n)."""
        times = np.ascontiguousarray(np.atleast_2d(times))
        out = np.empty((len(parameters), len(self.modes), times.shape[1]), dtype=np.complex128)

        def work(part: slice) -> None:
            at = times if len(times) == 1 else times[part]
            k = self.at_knots(parameters[part], at.min(initial=0.0))
            compiled.modes(self.tables, k, compiled.at_all_knots(self.tables, k), at, out[part])

        in_threads(work, len(parameters))
        return out

    def at_knots(self, parameters: np.ndarray, since: float = 0.0) -> Knots:
        """The waveforms of `parameters` (N, 3) at the knots; at those of the early inspiral too, if there is one, where `since` (M
        from the peak) lies there."""
        if len(parameters) == 1:
            found = compiled.coefficients(self.tables, *parameters[0])
        else:
            leading = predictor.coefficients(features(parameters), self.tensors, self.degree)
            more = np.zeros((len(parameters), 0, 1))
            if len(self.modes) > 1:
                more = higher.coefficients(parameters, self.tensors, self.degree, self.modes[1:])
            found = leading, more
        k = compiled.at_knots(self.tables, parameters, *found)
        return self.with_early(k, parameters) if (since + k.shift < self.knots[0]).any() else k

    def with_early(self, k: Knots, parameters: np.ndarray) -> Knots:
        """The waveforms `k` of `parameters` (N, 3) with their early inspirals before them, if there are any."""
        return compiled.extended(k, self.all_knots, self.inspiral.at_knots(parameters)) if self.inspiral else k

    @staticmethod
    def lowest_omega(k: Knots) -> np.ndarray:
        """Angular frequency (rad / M) of the (2,2) mode at the earliest usable knot, (N,)."""
        return k.phase_slope[:, 1]

    def check_times(self, times: np.ndarray, ndim: int = 1) -> None:
        """Raise unless `times` are finite, of `ndim` dimensions, and within the model's range."""
        if times.ndim != ndim or not np.all(np.isfinite(times)):
            raise ConfigError("times must be a one-dimensional array of finite numbers, in M")
        if times.size and (times.min() < self.t_min or times.max() > self.t_max):
            raise DomainError(
                f"times run from {times.min():g} to {times.max():g} M: this model covers {self.t_min:g} to {self.t_max:g} M"
            )

    @cached_property
    def _devices(self) -> dict[Any, BatchKnots]:
        return {}

    def on(self, device: torch.device) -> BatchKnots:
        """The model in torch on a `device`, kept."""
        from gwsurrogate_ml.surrogate.aligned.batch import BatchKnots

        if device not in self._devices:
            self._devices[device] = BatchKnots(self, device)
        return self._devices[device]
