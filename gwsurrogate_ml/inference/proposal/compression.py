"""Waveforms aligned to a reference and compressed, once for all PSDs.

A bank of waveforms is shifted in time so that it best resembles a reference, and projected on the
leading directions of the ensemble, whitened by a curve more sensitive at low frequency than most. In that space a
small shift in time is a diagonal matrix (the basis is rotated to diagonalise frequency), whitening by any PSD
followed by projection on the network's basis is one small matrix, and noise is N(0, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.inference.psds import design_psd, reference_psd

MAX_SHIFT = 6e-3
"""Largest time shift in s the compressed waveforms are built to bear."""


def leading_directions(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The `size` leading right singular directions of complex `rows` (N, n) as columns (n, size): ``rows ~ (rows
    conj(V)) V^T``.

    By the randomised range finder with one power iteration (Halko et al. 2011).
    """
    n_rows = len(rows)
    probe = rng.normal(size=(n_rows, size + 20)) + 1j * rng.normal(size=(n_rows, size + 20))
    q, _ = np.linalg.qr(np.conj(rows).T @ probe.astype(rows.dtype))
    q, _ = np.linalg.qr(np.conj(rows).T @ (rows @ q))
    small = rows @ q
    _, _, vectors = np.linalg.svd(np.linalg.qr(small)[1], full_matrices=False)
    # rows = U S W^H with W = q @ vectors^H: what spans the rows is conj(W).
    return np.conj(q @ np.conj(vectors[:size]).T)


@dataclass(frozen=True)
class CompressedBank:
    """Aligned waveforms as coefficients in a basis in which frequency is diagonal.

    Parameters
    ----------
    theta : (N, n_z) float64, what the network proposes
    coefficients : (N, P, K) complex64
        of each binary's P waveforms, see `training.sources`
    templates : (n, K) complex64
        of what the search takes for the first n binaries
    basis : (n_b, K) complex128
        whitened waveform = basis @ coefficients
    whitening : (n_b,) float64
        what waveforms (1/Hz, 1 Mpc) were multiplied with
    tones : (K,) float64, Hz
        a delay t multiplies coefficients by exp(-2 pi i tones t)
    frequencies : (n_b,) float64, Hz
    reference : (n_b,) complex128, 1/Hz
    captured : float
        mean share of whitened power the basis holds
    """

    theta: np.ndarray
    coefficients: np.ndarray
    templates: np.ndarray
    basis: np.ndarray
    whitening: np.ndarray
    tones: np.ndarray
    frequencies: np.ndarray
    reference: np.ndarray
    captured: float

    def whitened(self, coefficients: np.ndarray, delay: np.ndarray, psd: np.ndarray, df: float) -> np.ndarray:
        """Waveforms (N, n_b) of `coefficients` (N, K), delayed by `delay` s and whitened by `psd` (n_b,) or (N, n_b)."""
        shifted = coefficients * np.exp(-2j * np.pi * self.tones * delay[:, None])
        return (shifted @ self.basis.T) * (np.sqrt(4 * df / psd) / self.whitening)


def whitening_curve(frequencies: np.ndarray, df: float) -> np.ndarray:
    """Factor (n_b,) that whitens by the design sensitivity: sqrt(4 df / S)."""
    return np.sqrt(4 * df / design_psd("aLIGO_ZERO_DET_high_P_asd", frequencies))


def build_basis(
    examples: np.ndarray, frequencies: np.ndarray, df: float, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Basis and tones of aligned waveforms and their small delays.

    Parameters
    ----------
    examples : (N, n_b) complex128, aligned
    size : int
        number K of basis vectors

    Returns
    -------
    basis : (n_b, K) complex128; tones : (K,) float64, Hz
    """
    white = examples * whitening_curve(frequencies, df)
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    white = white * np.exp(-2j * np.pi * frequencies * rng.uniform(-MAX_SHIFT, MAX_SHIFT, len(white))[:, None])
    v = leading_directions(white, size, rng)
    tones, rotation = np.linalg.eigh((np.conj(v).T * frequencies) @ v)
    return v @ rotation, tones


def network_functions(
    bank: CompressedBank, coefficients: np.ndarray, df: float, size: int, rng: np.random.Generator, jitter: float = 2.5e-3
) -> np.ndarray:
    """Functions (n_b, size) complex128, 1/Hz, that span waveforms of `coefficients` (N, K) and their delays up to `jitter` s.

    They are not whitened: `orthonormal` makes them the network's basis for any PSD. Whitened like the waveforms, they
    carry every line and notch of that PSD, and a signal has nearly the same coefficients under all PSDs.
    """
    f = bank.frequencies
    white = bank.whitened(coefficients, rng.uniform(-jitter, jitter, len(coefficients)), reference_psd(f), df)
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    functions = leading_directions(white, size, rng) / np.sqrt(4 * df / reference_psd(f))[:, None]
    return functions / np.abs(functions).max()


def orthonormal(functions: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    """The orthonormal set closest to `functions` (n_b, K) times `whitening` (n_b,): W (W^H W)^(-1/2), Loewdin's.

    Examples
    --------
    >>> v = orthonormal(np.array([[1.0, 1], [0, 1], [0, 1]]), np.array([1.0, 2, 3]))
    >>> bool(np.allclose(v.T @ v, np.eye(2)))
    True
    """
    white = functions * whitening[:, None]
    return white @ orthonormalising(np.conj(white).T @ white)


def orthonormalising(gram: np.ndarray) -> np.ndarray:
    """Matrix (K, K) by which functions with these inner products (K, K) become `orthonormal`."""
    norms = np.sqrt(np.diag(gram).real)
    values, vectors = np.linalg.eigh(gram / np.outer(norms, norms))
    # Directions a narrow band cannot tell apart would only carry noise blown up.
    inverse_root = np.where(values > 1e-10 * values[-1], 1 / np.sqrt(np.maximum(values, 1e-300)), 0.0)
    return ((vectors * inverse_root) @ np.conj(vectors).T) / norms[:, None]


class Projections:
    """What the network sees under any spectrum of waveforms that a bank holds, and of templates.

    Parameters
    ----------
    bank : CompressedBank
    functions : (n_b, K_net) complex128, `network_functions`
    templates : (K_net, R) complex128, coefficients over them
    """

    def __init__(self, bank: CompressedBank, functions: np.ndarray, templates: np.ndarray) -> None:
        self._mirrored, self._templates = np.conj(functions).T, templates
        self._both = np.concatenate([functions, bank.basis / bank.whitening[:, None]], axis=1)

    def __call__(self, whitening: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Under the spectrum that `whitening` (n_b,), sqrt(4 df / S), stands for.

        Returns
        -------
        projector : (K_net, K) complex128
            from the bank's coefficients to those in the network's basis, the functions made `orthonormal`
        templates : (R, K_net) complex128
            in that basis, unit norm
        """
        products = (self._mirrored * whitening**2) @ self._both
        size = len(self._mirrored)
        gram = products[:, :size]
        turned = np.conj(orthonormalising(gram)).T
        seen = (turned @ gram @ self._templates).T
        return turned @ products[:, size:], seen / np.linalg.norm(seen, axis=1, keepdims=True)
