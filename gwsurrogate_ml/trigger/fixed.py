"""Fixed-point numbers: rounding half up, saturation, and the integers that hardware computes with.

A format of n bits with fraction f holds the numbers ``i / 2^f`` for n-bit integers i. Rounding is ``floor(x + 1/2)``: half goes up,
which in hardware is an addition that a layer's bias absorbs; numpy's and torch's own rounding is half to even and differs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.errors import DataError


class Format(NamedTuple):
    """A fixed-point format.

    Parameters
    ----------
    bits : int
        all bits, with the sign's
    fraction : int
        binary digits after the point; may be negative
    signed : bool
    """

    bits: int
    fraction: int
    signed: bool

    @property
    def low(self) -> int:
        """Smallest integer."""
        return -(2 ** (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest integer."""
        return int(2 ** (self.bits - self.signed) - 1)

    def integers(self, values: np.ndarray) -> np.ndarray:
        """Integers int64 of real `values`, rounded half up and saturated.

        Raises
        ------
        DataError
            for values that are not finite

        Examples
        --------
        >>> Format(4, 1, True).integers(np.array([0.25, -0.25, 9.0, -9.0]))
        array([ 1,  0,  7, -8])
        """
        if not np.isfinite(values).all():
            raise DataError("the trigger's input holds NaN or infinity: leave gaps out of what is scored")
        scaled = np.floor(np.asarray(values, np.float64) * 2.0**self.fraction + 0.5)
        return np.clip(scaled, self.low, self.high).astype(np.int64)

    def values(self, integers: np.ndarray) -> np.ndarray:
        """The numbers, float64, that `integers` stand for."""
        return np.asarray(integers, np.float64) * 2.0**-self.fraction

    def require(self, integers: np.ndarray) -> None:
        """Raise DataError unless all `integers` are of this format: hardware would wrap them in silence.

        Examples
        --------
        >>> Format(4, 1, True).require(np.array([8]))
        Traceback (most recent call last):
        gwsurrogate_ml.errors.DataError: the input holds 8, beyond the -8 to 7 of 4 bits: quantise strain by `Format.integers`
        """
        integers = np.asarray(integers)
        if integers.dtype.kind not in "iu":
            raise DataError(f"the input is {integers.dtype}, not whole numbers: quantise strain by `Format.integers`")
        outside = integers[(integers < self.low) | (integers > self.high)]
        if outside.size:
            raise DataError(
                f"the input holds {outside.flat[0]}, beyond the {self.low} to {self.high} of {self.bits} bits: "
                "quantise strain by `Format.integers`"
            )
