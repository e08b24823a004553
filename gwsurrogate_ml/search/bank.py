"""Stochastic placement of a bank of (2, 2) templates: random binaries are kept unless a template already matches them.

Harry, Allen and Sathyaprakash 2009 (arXiv:0908.2090). The match is the noise-weighted overlap maximised over time and
phase; the distance between neighbours is therefore that of the filter itself, whatever the coordinates.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.arguments import at_least, at_most
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.conventions import chirp_mass_from_components
from gwsurrogate_ml.errors import ConfigError, DataError, DomainError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.search import bank_files
from gwsurrogate_ml.strain.spectrum import load_psd
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

FORMAT_VERSION = 2
"""1 had our names of the columns, 2 has pycbc's."""
_RATE = 2048.0
"""Hz, of the waveforms while the bank is placed."""
_F_MAX = 512.0
"""Hz; binaries above 30 solar masses have less than 1e-3 of their squared SNR beyond."""
_BATCH = 16
"""Neighbours compared at once: most proposals already match one of the nearest."""


@dataclass(frozen=True)
class BankConfig:
    """What fixes a bank, with its seed exactly.

    Attributes
    ----------
    mass_min, mass_max : float, Msun (detector frame), of each component
    q_max : float, largest m1 / m2
    chi_max : float, largest aligned spin; both components of a template have the same
    min_match : float, in (0.5, 1)
        a proposal is kept if no template matches it so well
    f_min : float, Hz
    psd : str, curve under which templates are compared, see `spectrum.load_psd`
    patience : int
        placement ends when the last that many proposals brought no more than one template in fifty
    max_templates : int
    seed : int
    """

    mass_min: float = 16.0
    mass_max: float = 70.0
    q_max: float = 4.0
    chi_max: float = 0.7
    min_match: float = 0.97
    f_min: float = 20.0
    psd: str = "aLIGO"
    patience: int = 500
    max_templates: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.mass_min < self.mass_max < np.inf:
            raise ConfigError(f"masses from {self.mass_min:g} to {self.mass_max:g} Msun: need 0 < mass_min < mass_max")
        if not 1 <= self.q_max < np.inf:
            raise ConfigError(f"q_max is {self.q_max:g}: the largest m1/m2 is at least 1")
        if not 0 <= self.chi_max < 1:
            raise ConfigError(f"chi_max is {self.chi_max:g}: need 0 <= chi_max < 1")
        if not 0.5 < self.min_match < 1:
            raise ConfigError(f"min_match is {self.min_match:g}: need 0.5 < min_match < 1, such as 0.97")
        if not 0 < self.f_min < _F_MAX:
            raise ConfigError(f"f_min is {self.f_min:g} Hz: need 0 < f_min < {_F_MAX:g}")
        if self.patience < 1 or self.max_templates < 1:
            raise ConfigError("patience and max_templates must be at least 1")

    def draw(self, n: int, rng: np.random.Generator, *, common_spin: bool = True) -> np.ndarray:
        """`n` binaries (n, 4) mass_1 >= mass_2, chi_1, chi_2: uniform in the logarithms of the masses, and in spin."""
        kept = np.empty((0, 2))
        while len(kept) < n:
            pairs = np.exp(rng.uniform(np.log(self.mass_min), np.log(self.mass_max), (2 * n, 2)))
            pairs = np.sort(pairs, axis=1)[:, ::-1]
            kept = np.concatenate([kept, pairs[pairs[:, 0] <= self.q_max * pairs[:, 1]]])
        spins = rng.uniform(-self.chi_max, self.chi_max, (n, 1 if common_spin else 2))
        return np.column_stack([kept[:n], np.broadcast_to(spins, (n, 2))])

    def key(self, model: str) -> str:
        """Short name of this configuration for the model with that checksum: the same means the same bank."""
        text = json.dumps({"format": FORMAT_VERSION, "model": model, **asdict(self)}, sort_keys=True)
        found = hashlib.sha256(text.encode())
        for values in load_psd(self.psd):  # a file by that name may hold another curve today
            found.update(np.ascontiguousarray(values, np.float64).tobytes())
        return found.hexdigest()[:16]


@dataclass(frozen=True)
class PlacedElsewhere:
    """What is known of a bank that another program placed, or that begins elsewhere than it was placed for.

    Attributes
    ----------
    f_min : float, Hz
    mass_min : float, Msun
        of both bodies of the equal-mass binary that is as light as the lightest template: of the same chirp mass
    source : str, the file's name
    """

    f_min: float
    mass_min: float
    source: str


@dataclass(frozen=True)
class TemplateBank:
    """Binaries whose waveforms are the templates.

    Attributes
    ----------
    parameters : float64 (n, 4), mass_1 >= mass_2 (Msun, detector frame), chi_1, chi_2
    config : BankConfig, or PlacedElsewhere
    info : dict, how it was made: proposals, and the matches of binaries drawn afterwards (`coverage`)
    """

    parameters: np.ndarray
    config: BankConfig | PlacedElsewhere
    info: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.parameters)

    def save(self, path: Path, approximant: str = "") -> None:
        """Write a bank that pycbc reads, whole or not at all: in its HDF5, or for a name .xml or .xml.gz in LIGO_LW.

        Parameters
        ----------
        path : Path
            LIGO_LW keeps neither `config` nor `info`, and pycbc reads its numbers in single precision
        approximant : str
            pycbc's name of the model, such as GWSML_NR22, which HDF5 files can hold
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        if bank_files.is_xml(path):
            bank_files.write_ligolw(path, self.parameters, self.config.f_min)
            return
        ours = {"format_version": FORMAT_VERSION, "info": json.dumps(self.info)}
        if isinstance(self.config, BankConfig):
            ours["config"] = json.dumps(asdict(self.config))
        bank_files.write_hdf5(path, self.parameters, self.config.f_min, approximant, ours)

    @classmethod
    def load(cls, path: Path, f_min: float | None = None) -> TemplateBank:
        """Read a bank of this or another program, in pycbc's HDF5 or in LIGO_LW.

        Parameters
        ----------
        path : Path
        f_min : float, Hz, optional
            where templates are to begin; where left out, where the bank says

        Raises
        ------
        DataError
            if the file is missing or no bank of aligned spins
        ConfigError
            if neither the bank nor `f_min` says where templates begin, or that is not below 512 Hz
        """
        columns, attributes = bank_files.read(path)
        parameters = bank_files.binaries(columns, str(path))
        config, info = None, {}
        try:
            if "format_version" in attributes:
                if int(attributes["format_version"]) not in (1, FORMAT_VERSION):
                    raise DataError(f"{path.name} has bank format {attributes['format_version']}: place the bank anew")
                info = json.loads(attributes["info"])
                if "config" in attributes:
                    config = BankConfig(**json.loads(attributes["config"]))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} is no template bank ({error}): give a file that `gwsml search` or pycbc wrote") from error
        if config is None or f_min not in (None, config.f_min):
            info = {key: value for key, value in info.items() if key != "coverage"}  # of another band
        if config is not None and f_min in (None, config.f_min):
            return cls(parameters, config, info)
        start = bank_files.lower_end(columns, f_min, str(path))
        if not 0 < start < _F_MAX:
            raise ConfigError(f"{path}: templates from {start:g} Hz: give --f-min above 0 and below {_F_MAX:g} Hz")
        lightest = float(chirp_mass_from_components(parameters[:, 0], parameters[:, 1]).min())
        return cls(parameters, PlacedElsewhere(start, lightest * 2**0.2, path.name), info)

    def require_waveforms(self, model: WaveformModel) -> None:
        """Raise unless `model` has a waveform for each template.

        Raises
        ------
        DomainError
            naming what lies outside its domain: of templates too light or too heavy to begin at `f_min`, the lightest or heaviest
        """
        m_1, m_2, chi_1, chi_2 = self.parameters.T
        total, f_min = m_1 + m_2, self.config.f_min
        smallest, largest = model.total_mass_range(m_1 / m_2, chi_1, chi_2, f_min)
        for kind, bound, excess, limit, change in (
            ("light", smallest, smallest / total, "smallest", "raise"),
            ("heavy", largest, total / largest, "largest", "lower"),
        ):
            if not (beyond := excess > 1).any():
                continue
            i, factor = int(np.argmax(excess)), float(excess.max())
            start, said = (f_min * factor, at_least) if change == "raise" else (f_min / factor, at_most)
            raise DomainError(
                f"{beyond.sum()} of {len(self)} templates are too {kind} for {model.name} from {f_min:g} Hz on, such as "
                f"number {i} ({m_1[i]:g} + {m_2[i]:g} Msun; the {limit} total mass there is {said(bound[i])}): take them out of "
                f"the bank, or {change} --f-min to {said(start)}"
            )


class Matcher:
    """Normalised whitened waveforms of one model, and their matches.

    Parameters
    ----------
    model : waveform model, whose (2, 2) mode is the template
    config : BankConfig

    Raises
    ------
    DomainError, ConfigError
        if the model does not reach `f_min` for the lightest binaries, or a curve is unknown
    """

    def __init__(self, model: WaveformModel, config: BankConfig) -> None:
        self.model, self.f_min = model, config.f_min
        self.duration = segment_duration(config)
        grid = np.arange(round(_RATE * self.duration / 2) + 1) / self.duration
        self._band = slice(int(config.f_min * self.duration), int(_F_MAX * self.duration))
        frequencies, psd = load_psd(config.psd)
        inside = grid[self._band]
        if frequencies[0] > inside[0] or frequencies[-1] < inside[-1]:
            raise DataError(
                f"{config.psd} covers {frequencies[0]:g} to {frequencies[-1]:g} Hz, the bank needs {inside[0]:g} to "
                f"{inside[-1]:g} Hz: choose another curve or raise f_min"
            )
        self._weight = 1.0 / np.sqrt(np.interp(inside, frequencies, psd))
        # The lightest binaries reach down least far: whether the model holds them is known before work starts.
        light = np.full((2, 2), config.mass_min)
        self.whitened(np.column_stack([light, np.repeat([[-config.chi_max], [config.chi_max]], 2, axis=1)]))
        # Twice the band's bandwidth: a peak lies at most an eighth of a period of its highest frequency off a sample.
        self._n = fft.next_fast_length(2 * inside.size)

    def whitened(self, parameters: np.ndarray) -> np.ndarray:
        """Waveforms (n, n_band) complex64 of unit norm."""
        h = self.model.quadrupole(Binaries.aligned(*parameters.T), Grid(self.duration, _RATE, self.f_min))[:, self._band]
        h = h * self._weight
        return (h / np.linalg.norm(h, axis=1, keepdims=True)).astype(np.complex64)

    def matches(self, waveform: np.ndarray, templates: np.ndarray) -> np.ndarray:
        """Match (n,) of one whitened waveform (n_band,) with several (n, n_band): in [0, 1], maximal over time and phase."""
        padded = np.zeros((len(templates), self._n), np.complex64)
        padded[:, : waveform.size] = templates.conj() * waveform
        z = fft.ifft(padded, norm="forward")
        power = z.real**2 + z.imag**2
        best = np.argmax(power, axis=1)
        rows = np.arange(len(best))
        middle = power[rows, best]
        left, right = power[rows, best - 1], power[rows, (best + 1) % self._n]
        # The vertex of the parabola through the three samples at the top.
        curvature = left - 2 * middle + right
        top = middle - (right - left) ** 2 / np.where(curvature < 0, 8 * curvature, -np.inf)
        return np.minimum(np.sqrt(top), 1.0)


def segment_duration(config: BankConfig | PlacedElsewhere) -> float:
    """Seconds, a power of two, that hold the lightest binary's waveform from `f_min` on, by its Newtonian length.

    Examples
    --------
    >>> segment_duration(BankConfig(mass_min=30.0))
    4.0
    """
    return float(2 ** np.ceil(np.log2(longest(config) + 1.0)))


def longest(config: BankConfig | PlacedElsewhere) -> float:
    """Seconds before the peak that the lightest binary's waveform takes from `f_min` on: its Newtonian length and a fifth, and half
    a second for the taper."""
    chirp = float(chirp_mass_from_components(config.mass_min, config.mass_min)) * 4.925490947641267e-06
    return 1.2 * 5 / 256 * (np.pi * config.f_min) ** (-8 / 3) * chirp ** (-5 / 3) + 0.5


def place(model: WaveformModel, config: BankConfig, progress: Progress | None = None, n_test: int = 200) -> TemplateBank:
    """A bank for `config`, deterministic for its seed.

    Parameters
    ----------
    model : WaveformModel, whose (2, 2) mode is the template
    config : BankConfig
    progress : callable (stage, done, total), optional
    n_test : int
        binaries, with unequal spins, drawn afterwards to measure what the bank really covers

    Returns
    -------
    TemplateBank
        `info["coverage"]` gives the fractions of test binaries matched by `min_match` and by `min_match` - 0.03, and the
        median and worst best match

    Raises
    ------
    ConfigError
        if the range needs more than `max_templates`
    """
    report = progress or (lambda *_: None)
    matcher = Matcher(model, config)
    rng = np.random.default_rng(config.seed)
    keeper = _Keeper(matcher, config.min_match)
    recent = np.zeros(config.patience, bool)
    n = 0
    while n < config.patience or recent.mean() > 0.02:
        proposals = config.draw(64, rng)
        for row, waveform in zip(proposals, matcher.whitened(proposals), strict=True):
            recent[n % config.patience] = keeper.offer(row, waveform)
            n += 1
        if len(keeper) > config.max_templates:
            raise ConfigError(
                f"more than {config.max_templates} templates: narrow the masses or spins, lower min_match "
                f"({config.min_match:g}), raise f_min, or raise max_templates"
            )
        # The end is not known beforehand; the share of proposals that are already matched tells how near it is.
        report("placing templates", min(99, int(100 * (1 - recent.mean()) / 0.98)), 100)
    report("placing templates", 100, 100)
    test = config.draw(n_test, rng, common_spin=False)
    best = np.array([keeper.best(row, h) for row, h in zip(test, matcher.whitened(test), strict=True)])
    coverage = {
        "tested": n_test,
        "matched": float(np.mean(best >= config.min_match)),
        "matched_0.03_lower": float(np.mean(best >= config.min_match - 0.03)),
        "median": float(np.median(best)),
        "worst": float(best.min()),
    }
    return TemplateBank(keeper.parameters, config, {"proposals": n, "coverage": coverage})


class _Keeper:
    """The templates kept so far, searched from the nearest in chirp time outward."""

    def __init__(self, matcher: Matcher, min_match: float) -> None:
        self._matcher, self._min_match = matcher, min_match
        self._rows: list[np.ndarray] = []
        self._waveforms = np.empty((0, 0), np.complex64)
        self._place = np.empty(0)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def parameters(self) -> np.ndarray:
        return np.array(self._rows)

    @staticmethod
    def _coordinate(row: np.ndarray) -> float:
        """Leading term of the inspiral's length with the leading effect of spin: neighbours in match are near in it."""
        m_1, m_2, chi_1, chi_2 = row
        chi = (m_1 * chi_1 + m_2 * chi_2) / (m_1 + m_2)
        return float(chirp_mass_from_components(m_1, m_2) ** (-5 / 3) * (1 + 0.4 * chi))

    def _batches(self, row: np.ndarray) -> list[np.ndarray]:
        order = np.argsort(np.abs(self._place[: len(self)] - self._coordinate(row)))
        return [order[i : i + _BATCH] for i in range(0, len(order), _BATCH)]

    def best(self, row: np.ndarray, waveform: np.ndarray) -> float:
        """Best match with any template."""
        return max(float(self._matcher.matches(waveform, self._waveforms[some]).max()) for some in self._batches(row))

    def offer(self, row: np.ndarray, waveform: np.ndarray) -> bool:
        """Keep the binary unless a template matches it; whether it was kept."""
        for some in self._batches(row):
            if self._matcher.matches(waveform, self._waveforms[some]).max() >= self._min_match:
                return False
        n = len(self)
        if n == len(self._waveforms):
            grown = np.empty((max(64, 2 * n), waveform.size), np.complex64)
            grown[:n] = self._waveforms.reshape(n, -1) if n else 0
            self._waveforms, self._place = grown, np.resize(self._place, len(grown))
        self._waveforms[n], self._place[n] = waveform, self._coordinate(row)
        self._rows.append(row)
        return True


def cached(
    model: WaveformModel,
    checksum: str,
    config: BankConfig,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> TemplateBank:
    """The bank of `config`, from the cache where it was placed before.

    Parameters
    ----------
    model, config, progress
        as for `place`
    checksum : str
        of the model's weights: another model has another bank
    folder : path, optional
        ``$GWSML_CACHE/banks``, else the user's cache folder of this package, where left out; a bank that cannot be kept there is
        placed all the same, and a warning logged
    """
    import pooch

    if folder is None:
        folder = Path(os.environ.get("GWSML_CACHE") or pooch.os_cache("gwsurrogate_ml")) / "banks"
    path = folder / f"{config.key(checksum)}.hdf5"
    if path.is_file():
        return TemplateBank.load(path)
    bank = place(model, config, progress)
    try:
        bank.save(path)
    except (OSError, ConfigError) as error:
        logger.warning(
            "the bank is not kept, and is placed anew each time (%s): name a folder that can be written by GWSML_CACHE",
            error,
        )
    return bank
