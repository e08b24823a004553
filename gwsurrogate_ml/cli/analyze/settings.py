"""How `gwsml analyze` and `gwsml demo` analyse, as options of a command line and as what fixes a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.cli.options import command_words

SPECIAL = ("psd", "prior", "from_scratch", "higher_modes", "surrogate", "calibration", "waveform_error", "glitch")
"""Fields that are no plain option."""


@dataclass(frozen=True)
class Settings:
    """How to analyse: with the data and the versions, all that fixes the result.

    Attributes
    ----------
    estimator : str
        shipped name or folder; empty: what fits the event, or none
    n_draws : int
    seed : int
    duration : float, s; f_min, f_max : float, Hz
        None: the estimator's, or what suits the event
    psd : mapping from detector to a PSD file or the name of a curve; empty: measured from the strain
    prior : mapping, some fields of a `BinaryPrior`, or "file", bilby's, and fields in its place; the others: as the event has it
        given, the posterior is learned from scratch, without an estimator
    higher_modes : bool
        re-weigh the posterior with all modes of `nrhm`
    surrogate : str
        waveform model where there is no estimator: a name, a folder, or "lal:APPROXIMANT"; empty: nr22
    calibration : mapping from detector to an envelope file, perhaps after "template:"; empty: perfectly calibrated
    waveform_error : str
        "surrogate", or its amplitude and phase (rad), "0.02,0.01"; empty: none
    glitch : tuple of str
        detectors whose glitch near the merger is integrated, "H1", or "H1=TIME" with its GPS time
    from_scratch : bool
        no estimator, whatever fits
    """

    estimator: str = ""
    n_draws: int = 50_000
    seed: int = 0
    duration: float | None = None
    f_min: float | None = None
    f_max: float | None = None
    psd: Mapping[str, str] = field(default_factory=dict)
    prior: Mapping[str, Any] = field(default_factory=dict)
    higher_modes: bool = False
    surrogate: str = ""
    calibration: Mapping[str, str] = field(default_factory=dict)
    waveform_error: str = ""
    glitch: tuple[str, ...] = ()
    from_scratch: bool = False

    def options(self) -> list[str]:
        """The settings as command-line options.

        Examples
        --------
        >>> Settings().options()[:4]
        ['--n-draws', '50000', '--seed', '0']
        """
        plain = {key: value for key, value in asdict(self).items() if key not in SPECIAL and value != ""}
        words = command_words(plain)
        for option, sources in (("--psd", self.psd), ("--calibration", self.calibration)):
            words += [word for name, source in sources.items() for word in (option, f"{name}={source}")]
        if self.waveform_error:
            words += ["--waveform-error", self.waveform_error]
        words += [word for text in self.glitch for word in ("--glitch", text)]
        if self.from_scratch:
            words.append("--from-scratch")
        if self.surrogate:
            words += ["--surrogate", self.surrogate]
        if self.higher_modes:
            words.append("--higher-modes")
        for name, value in self.prior.items():
            text = ",".join(map(str, value)) if isinstance(value, tuple) else value
            words += ["--prior", str(value) if name == "file" else f"{name}={text}"]
        return words

    def absolute(self) -> Settings:
        """The same with absolute paths, for processes elsewhere.

        Raises
        ------
        ArtifactError
            if there is no such estimator

        Examples
        --------
        >>> Settings(psd={"H1": "aLIGO"}).absolute().psd
        {'H1': 'aLIGO'}
        """
        from gwsurrogate_ml.inference.nuisances.envelope import split_correction
        from gwsurrogate_ml.strain.spectrum_given import split_source

        estimator, surrogate, psd = self.estimator, self.surrogate, dict(self.psd)
        if surrogate and not surrogate.startswith("lal:"):
            folder = artifacts.resolve(surrogate, "surrogate")
            surrogate = surrogate if folder.parent == artifacts.SHIPPED else str(folder.absolute())
        if estimator:
            folder = artifacts.resolve(estimator, "estimator")
            estimator = estimator if folder.parent == artifacts.SHIPPED else str(folder.absolute())
        for name, source in self.psd.items():
            kind, path, place = split_source(source)
            if path.is_file():
                psd[name] = f"{kind}:" * bool(kind) + str(path.absolute()) + f"#{place}" * bool(place)
        calibration = {}
        for name, source in self.calibration.items():
            kind, path = split_correction(source)
            calibration[name] = f"{kind}:{path.absolute()}"
        prior = {name: str(Path(value).absolute()) if name == "file" else value for name, value in self.prior.items()}
        return replace(self, estimator=estimator, surrogate=surrogate, psd=psd, prior=prior, calibration=calibration)

    def sha256(self) -> dict[str, str]:
        """SHA-256 of the files behind the settings: PSDs, a prior, and the cards of the models, which hold that of their weights.

        Raises
        ------
        ArtifactError
            if a model is not there

        Examples
        --------
        >>> sorted(Settings("bbh-h1l1", higher_modes=True).sha256())
        ['bbh-h1l1', 'nr22', 'nrhm', 'remnant']
        """
        from gwsurrogate_ml.inference.nuisances.envelope import split_correction
        from gwsurrogate_ml.strain.spectrum_given import split_source

        files = {name: path for name, source in self.psd.items() if (path := split_source(source).path).is_file()}
        for name, source in self.calibration.items():
            if (path := split_correction(source)[1]).is_file():
                files[f"calibration {name}"] = path
        if "file" in self.prior:
            files["prior"] = Path(self.prior["file"])
        models = ["remnant", *(["nrhm"] if self.higher_modes else [])]
        if self.estimator:
            from gwsurrogate_ml.inference.analysis.choice import settings_of

            models += [self.estimator, settings_of(self.estimator).surrogate]
        else:
            from gwsurrogate_ml.inference.analysis.choice import SURROGATE, estimators

            models += [SURROGATE, *([self.surrogate] if self.surrogate else []), *(config.name for config in estimators())]
        for name in models:
            if not name.startswith("lal:"):  # fixed by the version of lalsuite
                files[name] = artifacts.resolve(name, "model") / "card.json"
        return {name: artifacts.sha256(path) for name, path in files.items()}
