"""Higher modes in the co-orbital frame: h_lm exp(i m phase22 / 2), smooth where the modes themselves oscillate.

Each mode, in units of the leading-order (2,2) amplitude, is expanded in its own SVD basis of real and imaginary parts. Under
exchange of the bodies modes with even m are even; modes with odd m change sign, and are written as
``delta f + chi_a g`` with f and g even, so that they vanish exactly for equal bodies, whatever the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.surrogate.aligned import baseline, correction
from gwsurrogate_ml.surrogate.aligned.coordinates import features, split
from gwsurrogate_ml.surrogate.aligned.predictor import chebyshev_terms, networks
from gwsurrogate_ml.surrogate.domain import EOB_MODES
from gwsurrogate_ml.surrogate.fits.ensemble import Ensemble, Progress

Array = Any


def in_lal_frame(modes: tuple[ModeKey, ...]) -> np.ndarray:
    """Factors (n_modes,) complex128 that take the training set's co-orbital modes to the package's (and LAL's) frame.

    In the set all leading-order modes are real and positive. LAL's polarizations have the other sign, and h22 = A exp(-2 i phi)
    with A > 0 is then measured from an axis a quarter turn away: ``-(-i)^m``, 1 for m = 2.

    Examples
    --------
    >>> in_lal_frame(((3, 2), (2, 1), (4, 4))).tolist()
    [(1+0j), 1j, (-1+0j)]
    """
    return np.array([(-1, 1j, 1, -1j)[m % 4] for _, m in modes], dtype=np.complex128)


def combination(parameters: Array, modes: tuple[ModeKey, ...], n_basis: int, xp: Any = np) -> tuple[Array, Array]:
    """Factors (N, n_modes n_basis) of f and of g: (1, 0) for even m, (delta, chi_a) for odd m."""
    _, _, delta, chi1, chi2 = split(parameters)
    chi_a = 0.5 * (chi1 - chi2)
    one, zero = xp.ones_like(delta), xp.zeros_like(delta)
    pick = [(delta, chi_a) if m % 2 else (one, zero) for _, m in modes for _ in range(n_basis)]
    join = np.concatenate if xp is np else xp.cat
    return join([f for f, _ in pick], 1), join([g for _, g in pick], 1)


def coefficients(parameters: Array, tensors: dict[str, Any], degree: int, modes: tuple[ModeKey, ...], xp: Any = np) -> Array:
    """Coefficients (N, n_modes, n_basis) of the modes' `basis`; arguments as for `coorbital`."""
    x = features(parameters, xp)
    n_modes, n_basis, _ = tensors["higher.basis"].shape
    both = chebyshev_terms(x, degree, xp) @ tensors["higher.polynomial"] + networks(x, tensors, xp, "higher").mean(0)
    half = n_modes * n_basis
    f, g = combination(parameters, modes, n_basis, xp)
    own = (both[:, :half] * f + both[:, half:] * g).reshape(-1, n_modes, n_basis)
    if "stage3.basis" not in tensors:
        return own
    more = correction.coefficients(parameters, tensors, xp)
    return np.concatenate([own, more], 2) if xp is np else xp.cat([own, more], 2)


def basis(tensors: dict[str, Any], xp: Any = np) -> Array:
    """Basis vectors (n_modes, n_basis, 2 n_knots) of the modes, in the order of `coefficients`: their own, then stage 3's."""
    own = tensors["higher.basis"]
    if "stage3.basis" not in tensors:
        return own
    return np.concatenate([own, tensors["stage3.basis"]], 1) if xp is np else xp.cat([own, tensors["stage3.basis"]], 1)


def coorbital(parameters: Array, tensors: dict[str, Any], degree: int, modes: tuple[ModeKey, ...], xp: Any = np) -> Array:
    """Real and imaginary parts (N, n_modes, 2, n_knots) of the co-orbital modes at the knots, r h / M.

    Parameters
    ----------
    parameters : (N, 3), q, chi1, chi2
    tensors : dict
        with the `higher.*` tensors written by `train`, and those of `stage3`, if any
    degree : int
        of the Chebyshev part
    modes : tuple of (l, m)
        in the tensors' order
    """
    eta = split(parameters)[0]
    found = coefficients(parameters, tensors, degree, modes, xp)
    pieces = xp.swapaxes(xp.swapaxes(found, 0, 1) @ basis(tensors, xp), 0, 1)
    scaled = pieces.reshape(-1, len(modes), 2, pieces.shape[-1] // 2)  # len() would fix the size of an exported graph
    return scaled * baseline.amplitude(tensors["knots"], eta)[:, None, None, :]


def spread(parameters: np.ndarray, tensors: dict[str, np.ndarray], modes: tuple[ModeKey, ...]) -> np.ndarray:
    """Spread (N, n_modes) of the ensemble's members in each higher mode, in units of the norm of (2,2).

    Norms are root mean squares over the knots in units of the leading-order (2,2) amplitude, in which (2,2) has one close to 1: a
    mode that vanishes for equal bodies has no error there.
    """
    n_modes, n_basis, length = tensors["higher.basis"].shape
    f, g = combination(parameters, modes, n_basis)
    x = features(parameters)
    members = networks(x, tensors, prefix="higher")
    half = n_modes * n_basis
    coefficients = members[..., :half] * f + members[..., half:] * g
    coefficients = coefficients.reshape(len(members), len(parameters), n_modes, n_basis)
    return np.sqrt(coefficients.var(0, ddof=1).sum(2) / (length // 2))


def targets(data: dict[str, np.ndarray], modes: tuple[ModeKey, ...]) -> np.ndarray:
    """Co-orbital modes (n, n_modes, 2 n_t) of a training set in units of the leading-order (2,2) amplitude, in LAL's frame."""
    rows = [EOB_MODES.index(mode) for mode in modes]
    eta = split(data["parameters"])[0]
    h = data["coorbital"][:, rows] * in_lal_frame(modes)[:, None]
    h /= baseline.amplitude(data["times"], eta)[:, None, :]
    return np.concatenate([h.real, h.imag], axis=2).astype(np.float64)


def project(y: np.ndarray, n_basis: int) -> tuple[np.ndarray, np.ndarray]:
    """SVD bases (n_modes, n_basis, 2 n_t) of `y` (n, n_modes, 2 n_t) and the coefficients (n, n_modes n_basis).

    The basis comes from the eigenvectors of the second-moment matrix: the rows are many, the times few.
    """
    bases, coefficients = [], []
    for k in range(y.shape[1]):
        _, vectors = np.linalg.eigh(y[:, k].T @ y[:, k])
        basis = vectors[:, ::-1][:, :n_basis].T
        bases.append(basis)
        coefficients.append(y[:, k] @ basis.T)
    return np.stack(bases), np.concatenate(coefficients, axis=1)


def polynomial(terms: np.ndarray, f: np.ndarray, g: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Least-squares Chebyshev coefficients (n_terms, 2 n_c) of f and g for all `coefficients` (n, n_c)."""
    n_terms, n_c = terms.shape[1], coefficients.shape[1]
    out = np.zeros((n_terms, 2 * n_c))
    for c in range(n_c):
        design = np.concatenate([terms * f[:, c : c + 1], terms * g[:, c : c + 1]], axis=1)
        solution = np.linalg.lstsq(design, coefficients[:, c], rcond=1e-10)[0]
        out[:, c], out[:, n_c + c] = solution[:n_terms], solution[n_terms:]
    return out


def train(
    data: dict[str, np.ndarray],
    modes: tuple[ModeKey, ...],
    config: Any,
    checkpoints: Path,
    progress: Progress | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Fit the higher modes' bases, polynomials and networks (the `higher.*` tensors); arguments as for `stage1.train`."""
    rng = np.random.default_rng(config.seed)
    held = rng.random(len(data["parameters"])) < config.validation_fraction
    y = targets(data, modes)
    basis, coefficients = project(y[~held], config.higher_basis)
    f, g = combination(data["parameters"], modes, config.higher_basis)
    x = features(data["parameters"])
    terms = chebyshev_terms(x, config.degree)
    fitted = polynomial(terms[~held], f[~held], g[~held], coefficients)
    both = terms @ fitted
    n = coefficients.shape[1]
    rest = coefficients - (both[:, :n] * f + both[:, n:] * g)[~held]
    scale = rest.std(0)
    tensors: dict[str, np.ndarray] = {
        "knots": data["times"],
        "higher.basis": basis.astype(np.float32),  # rounding is 1e-7 of a mode, a thousandth of the networks' error
        "higher.polynomial": fitted,
        "higher.input_mean": x[~held].mean(0),
        "higher.input_scale": x[~held].std(0),
        "higher.output_scale": np.concatenate([scale, scale]),
    }
    inputs = (x - tensors["higher.input_mean"]) / tensors["higher.input_scale"]
    members = Ensemble("higher", "higher modes", config, checkpoints, progress)
    tensors |= members.train(inputs[~held], rest / scale, scale, (f[~held], g[~held]))
    return tensors, assess(data["parameters"][held], y[held], tensors, config.degree, modes)


def assess(
    parameters: np.ndarray, y: np.ndarray, tensors: dict[str, np.ndarray], degree: int, modes: tuple[ModeKey, ...]
) -> dict[str, Any]:
    """Errors on waveforms that training did not see, and the factors that make bounds of the ensemble's spread.

    Parameters
    ----------
    parameters : (n, 3)
    y : (n, n_modes, 2 n_knots)
        from `targets`
    tensors, degree, modes : as for `coorbital`
    """
    amplitude = baseline.amplitude(tensors["knots"], split(parameters)[0])[:, None, None]
    predicted = coorbital(parameters, tensors, degree, modes) / amplitude
    true = y.reshape(predicted.shape)
    squares = ((predicted - true) ** 2).sum((2, 3))
    relative = np.sqrt(squares / (true**2).sum((2, 3)))
    against_22 = np.sqrt(squares / len(tensors["knots"]))
    ratio = against_22 / spread(parameters, tensors, modes)
    return {
        "how": "validation points of the EOB set, relative L2 error of the co-orbital mode over the knots; error_factor_90: of the "
        "ensemble's spread, bounds nine in ten errors",
        "n": len(parameters),
        "error_factor_90": {f"{l}{m}": float(np.quantile(ratio[:, k], 0.9)) for k, (l, m) in enumerate(modes)},
    } | {f"{l}{m}": {str(p): float(np.percentile(relative[:, k], p)) for p in (50, 90, 99)} for k, (l, m) in enumerate(modes)}
