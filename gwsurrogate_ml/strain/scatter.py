"""What the scatter of a median noise spectrum does to a likelihood that divides by it.

With x = S / S_hat, the true spectrum over the estimate, independent noise divided by S_hat has the mean power E[x] > 1
(Jensen), so every chi-squared, likelihood ratio and squared SNR comes out too large by that factor: 1.22 for 11
half-overlapping periodograms. Multiplying the estimate by E[x] mends the mean: E|n|^2 / S is 1 and <h|h> is unbiased.
It does not mend the scatter of the weights: the score's variance exceeds the Fisher information by E[x^2] / E[x]^2, which
no single factor can undo together with the mean. `excess_sharpness` says how much that is; more data remove it, and most of it
smoothing (`smooth`).

The median of n exponential variates is an order statistic (n odd), or the mean of two neighbours whose difference is an
independent exponential (n even; Renyi's representation): both expectations are one-dimensional integrals. Overlap:
periodograms that overlap are correlated by r = (sum w(t) w(t + stride))^2 / (sum w^2)^2 (Welch 1967), which widens the
median's distribution by 1 + r P / n to leading order, P of the n periodograms being followed by an overlapping one;
half of that remains in E[x], as the median's mean rises too. Simulations agree to 1 % from four periodograms on.
"""

from __future__ import annotations

from functools import lru_cache
from math import lgamma

import numpy as np

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.kernels.psd import median_bias


@lru_cache(maxsize=256)
def median_moments(n: int) -> tuple[float, float]:
    """E[x] and E[x^2] of x = S / S_hat for the bias-free median S_hat of `n` independent periodograms.

    Parameters
    ----------
    n : int, >= 4
        with fewer the second moment is infinite or nearly so

    Returns
    -------
    first, second : float, dimensionless; both tend to 1

    Raises
    ------
    ConfigError
        if `n` < 4

    Examples
    --------
    >>> [round(moment, 3) for moment in median_moments(11)]
    [1.208, 1.834]
    """
    if n < 4:
        raise ConfigError(f"a median of {n} periodograms: at least 4 are needed")
    from scipy.integrate import quad
    from scipy.special import exp1

    # The lower middle value is the m-th of n: its probability integral transform is Beta(m, n - m + 1).
    m = (n + 1) // 2
    log_norm = lgamma(n + 1) - lgamma(m) - lgamma(n - m + 1)

    def inverse(x: float, power: int) -> float:
        """E[(x + y / n)^-power], y exponential: the median is half a gap, of rate n / 2, above the lower middle."""
        if n % 2:
            return x**-power
        z = n * x
        if z > 300.0:  # exp(z) E1(z) in its asymptotic series
            scaled = (1 - 1 / z + 2 / z**2 - 6 / z**3) / z
        else:
            scaled = float(np.exp(z) * exp1(z))
        return n * scaled if power == 1 else n**2 * (1 / z - scaled)

    def integrand(u: float, power: int) -> float:
        density = np.exp(log_norm + (m - 1) * np.log(u) + (n - m) * np.log1p(-u))
        return float(density) * inverse(float(-np.log1p(-u)), power)

    middle, width = m / (n + 1), 12.0 / np.sqrt(n + 2.0)
    points = (max(middle - width / 2, 0.0), min(middle + width / 2, 1.0))
    moments = [quad(integrand, *points, args=(power,), limit=200)[0] for power in (1, 2)]
    bias = median_bias(n)
    return float(bias * moments[0]), float(bias**2 * moments[1])


def overlap_correlation(window: np.ndarray, stride: int) -> float:
    """Correlation of the periodograms of white noise in two windows (n,) that start `stride` samples apart.

    Examples
    --------
    >>> overlap_correlation(np.ones(8), 4)
    0.25
    """
    w = np.asarray(window, np.float64)
    return float((np.sum(w[stride:] * w[: w.size - stride]) / np.sum(w**2)) ** 2)


def inverse_bias(n: int, correlation: float = 0.0, overlaps: int = 0) -> float:
    """E[S / S_hat]: multiply a bias-free median of `n` periodograms by it, and its inverse is 1/S on average.

    Parameters
    ----------
    n : int, >= 4
    correlation : float
        of two overlapping periodograms, see `overlap_correlation`
    overlaps : int
        how many pairs overlap

    Examples
    --------
    >>> round(inverse_bias(11), 3), round(inverse_bias(11, 0.2085, 9), 3), round(inverse_bias(1001), 3)
    (1.208, 1.225, 1.001)
    """
    return 1.0 + (median_moments(n)[0] - 1.0) * (1.0 + 0.5 * correlation * overlaps / n)


def excess_sharpness(n: int, correlation: float = 0.0, overlaps: int = 0) -> float:
    """Variance of an estimate under a PSD from `n` periodograms, over the variance its likelihood claims, minus one.

    This is E[x^2] / E[x]^2 - 1, and the same whether or not the mean is corrected for. Intervals are too narrow by about
    half of it. Arguments as for `inverse_bias`.

    Examples
    --------
    >>> [round(excess_sharpness(n, 0.2085, n - 2), 2) for n in (11, 28, 124)]
    [0.3, 0.1, 0.02]
    """
    first, second = median_moments(n)
    return (second / first**2 - 1.0) * (1.0 + correlation * overlaps / n)
