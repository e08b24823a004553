"""Options that several commands share, and how ``H1=FILE`` is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from gwsurrogate_ml.errors import ConfigError, GwsmlError

RANGES = ("chirp_mass", "mass_ratio", "chi", "luminosity_distance")
"""What ``--prior`` can give as NAME=LOW,HIGH."""
BAND = ("duration", "f_min", "f_max")

Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON on stdout.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**62, help="Seed of all random numbers.")]
Draws = Annotated[int, typer.Option("--n-draws", min=100, help="Draws from the network, each weighted exactly.")]
Estimator = Annotated[str, typer.Option("--estimator", help="A shipped estimator's name, or a folder.")]
Duration = Annotated[
    float | None, typer.Option("--duration", help="Length of the analysed segment in s; default: as the signal needs.")
]
FMin = Annotated[float | None, typer.Option("--f-min", help="Lower end of the band in Hz; default: 20, or as the signal needs.")]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", help="local, condor, slurm, or the address of a Dask scheduler; default: this process."),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes or jobs, with --cluster.")]
FMax = Annotated[
    float | None, typer.Option("--f-max", help="Upper end of the band in Hz; default: 1024, or as far as the data go.")
]


def command_words(values: Mapping[str, Any]) -> list[str]:
    """Options and their values as words of a command line: numbers with all their digits, so that the command repeats the run; None
    stands for an option that was left out.

    Examples
    --------
    >>> command_words({"f_max": 1023.99999, "n_draws": 500})
    ['--f-max', '1023.99999', '--n-draws', '500']
    """
    return [word for name, value in values.items() if value is not None for word in (f"--{name.replace('_', '-')}", str(value))]


def require_capitals(where: str, detector: str) -> None:
    """Refuse a detector's name in lower case, naming the right one.

    Raises
    ------
    ConfigError
        the message starts with `where`

    Examples
    --------
    >>> require_capitals("--strain", "H1")
    """
    if re.fullmatch(r"[a-z]\d", detector):
        raise ConfigError(f"{where}: no detector {detector!r}: did you mean {detector.upper()}?")


@contextmanager
def options_named() -> Iterator[None]:
    """Errors that name arguments of Python get the options that stand for them."""
    try:
        yield
    except GwsmlError as error:
        named = [word for word in BAND if re.search(rf"\b{word}\b", str(error))]
        if not named:
            raise
        options = ", ".join(f"--{word.replace('_', '-')}" for word in named)
        error.args = (f"{error} (options: {options}; an estimator takes those of its training, --from-scratch takes others)",)
        raise


def parse_detectors(option: str, pairs: Sequence[str]) -> dict[str, str]:
    """Values by detector from the ``DETECTOR=VALUE`` words of `option`.

    Raises
    ------
    ConfigError
        if a word has no ``=`` or a detector comes twice

    Examples
    --------
    >>> parse_detectors("--strain", ["H1=a.hdf5"])
    {'H1': 'a.hdf5'}
    """
    values: dict[str, str] = {}
    for pair in pairs:
        detector, equals, value = pair.partition("=")
        if not equals or not detector or not value:
            raise ConfigError(f"{option} {pair!r}: write DETECTOR=FILE, such as H1=file")
        require_capitals(option, detector)
        if detector in values:
            raise ConfigError(f"{option} names {detector} twice: give one file a detector")
        values[detector] = value
    return values


def parse_waveform_error(text: str | None) -> str | tuple[float, float] | None:
    """What `--waveform-error` asks for: "surrogate", or amplitude and phase.

    Raises
    ------
    ConfigError
        if it is neither

    Examples
    --------
    >>> parse_waveform_error("0.02,0.01")
    (0.02, 0.01)
    """
    if text in (None, "", "surrogate"):
        return text or None
    try:
        amplitude, phase = (float(word) for word in str(text).split(","))
    except ValueError:
        raise ConfigError(
            f"--waveform-error {text!r}: write 'surrogate', for the model's own estimate, or AMPLITUDE,PHASE, such as 0.02,0.01 "
            "for 2 % and 0.01 rad"
        ) from None
    return amplitude, phase


def parse_glitch(words: Sequence[str]) -> dict[str, float | None]:
    """GPS time of each detector's glitch, None where it is not given, from the words of `--glitch`.

    Raises
    ------
    ConfigError
        if a time is no number, or a detector comes twice

    Examples
    --------
    >>> parse_glitch(["H1", "L1=1126259462.3"])
    {'H1': None, 'L1': 1126259462.3}
    """
    out: dict[str, float | None] = {}
    for word in words:
        detector, equals, text = word.partition("=")
        require_capitals("--glitch", detector)
        if detector in out:
            raise ConfigError(f"--glitch names {detector} twice: one glitch a detector is integrated")
        try:
            out[detector] = float(text) if equals else None
        except ValueError:
            raise ConfigError(f"--glitch {word!r}: write DETECTOR, or DETECTOR=TIME with a GPS time in s") from None
    return out


def parse_prior(words: Sequence[str]) -> dict[str, Any]:
    """Fields of `BinaryPrior` from ``NAME=LOW,HIGH`` words, ``spins=KIND``, and bilby's prior files; later words win.

    A file is named under "file", for `prior.binary.of_file`.

    Raises
    ------
    ConfigError
        if a word is not of that form, or a range is impossible; see `as_prior`

    Examples
    --------
    >>> parse_prior(["chirp_mass=7,10"])
    {'chirp_mass': (7.0, 10.0)}
    """
    from gwsurrogate_ml.inference.prior.binary import as_prior, validated

    ranges: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        if word.endswith(".prior"):
            as_prior(word)  # or its error, now
            ranges = {"file": word}
            continue
        if name in ("spins", "time_half_width"):
            ranges[name] = text
            continue
        if name not in RANGES:
            raise ConfigError(f"--prior {word!r}: no range is called {name!r}: there are {', '.join(RANGES)}; files end in .prior")
        try:
            low, high = (float(value) for value in text.split(","))
        except ValueError:
            raise ConfigError(f"--prior {word!r}: write NAME=LOW,HIGH, such as chirp_mass=7,10") from None
        ranges[name] = (low, high)
    file = {name: ranges.pop(name) for name in ("file",) if name in ranges}
    try:
        fields = validated(ranges)
    except ConfigError as error:
        raise ConfigError(f"--prior: {error}") from error
    return file | {name: getattr(fields, name) for name in ranges}
