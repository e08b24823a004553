"""The exceptions and warnings users can catch; every message names the culprit and the remedy."""

from __future__ import annotations


class GwsmlError(Exception):
    """Base of all errors this package raises on purpose; the command line prints it as one message, without a traceback."""


class DomainError(GwsmlError, ValueError):
    """A parameter lies beyond the hard limit of what a model was trained for, or is not a number."""


class CutOffError(DomainError):
    """A posterior that its prior on chirp mass cuts off.

    Parameters
    ----------
    message : str
    bound : float, solar masses
        the end of the prior at which it does
    """

    def __init__(self, message: str, bound: float) -> None:
        super().__init__(message)
        self.bound = bound


class NoWaveformError(DomainError, RuntimeError):
    """A binary for which a plug-in has no waveform, in the kind and the words by which bilby and pycbc tell it from a fault."""


class DataError(GwsmlError, ValueError):
    """Strain, a PSD or a file cannot be used: missing, truncated, not finite, or inconsistent with the rest."""


class ConfigError(GwsmlError, ValueError):
    """A configuration or an argument is wrong: unknown key, impossible value, or arguments that exclude one another."""


class MissingExtraError(ConfigError, ImportError):
    """A part of the package that needs an extra which is not installed."""


class ArtifactError(GwsmlError):
    """A trained model cannot be loaded or saved: unknown name, foreign format, wrong checksum."""


class DomainWarning(UserWarning):
    """A parameter lies in the soft margin outside the trained domain: the result is extrapolated."""
