"""What an analysis returns: draws, weights, evidence and how far to trust them; conversion to bilby, files, figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from gwsurrogate_ml.conventions import PARAMETERS
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.files import whole_file, whole_hdf5
from gwsurrogate_ml.inference.result.draws import model_of, parameters_of, plain, whitened_bands

if TYPE_CHECKING:
    from bilby.gw.result import CBCResult
    from matplotlib.figure import Figure

    from gwsurrogate_ml.inference.result.skymap import SkyMap
    from gwsurrogate_ml.strain.segment import AnalysisSegment
    from gwsurrogate_ml.waveform.model import WaveformModel

_SCALARS = (
    "n_draws",
    "sample_efficiency",
    "pareto_k",
    "log_evidence",
    "log_evidence_error",
    "log_noise_evidence",
    "extrinsic_ess",
    "seconds",
)
SUFFIXES = (".json", ".h5", ".hdf5")
_Stored = tuple[dict[str, pd.DataFrame], dict[str, Any], dict[str, Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Posterior of one event.

    Parameters
    ----------
    posterior : DataFrame
        equally weighted draws: the parameters of the model's space and `conventions.EXTRINSIC` (bilby's names and units, masses
        detector-frame), eleven, or fifteen with precession; mass_1, mass_2, total_mass, chi_eff, chirp_mass_source,
        mass_1_source, mass_2_source, total_mass_source, redshift (Planck15), network_snr (optimal), log_likelihood (with the
        noise term, as bilby reports it) and log_likelihood_ratio; where calibration or waveform errors were integrated, a column
        for each node of theirs, and where a glitch was, columns such as glitch_H1_snr: the likelihoods are taken there
    weighted : DataFrame
        draws of what was proposed, intrinsic parameters and for models of several modes theta_jn, with `log_weight`,
        `log_likelihood_ratio` (marginal over the others) and `extrinsic_ess`: all of them, or, re-weighted, the equally
        weighted ones that were
    n_draws : int
        of the analysis; of a re-weighted result those weighed anew
    sample_efficiency : float, effective draws / `n_draws`
    pareto_k : float, tail of the weights, the heaviest of all steps of a re-weighted result: < 0.5 good, > 0.7 not to be trusted
    log_evidence, log_evidence_error, log_noise_evidence : float
        the error is the larger of the weights' and of the scatter between extrinsic sets; of models of several modes, whose
        sets have many points in common, the root of the sum of their squares
    extrinsic_ess : float
        effective extrinsic points behind one draw, posterior mean
    seconds : float, wall time
    meta : dict
        versions, seeds, checksums, settings, rounds
    """

    posterior: pd.DataFrame
    weighted: pd.DataFrame
    n_draws: int
    sample_efficiency: float
    pareto_k: float
    log_evidence: float
    log_evidence_error: float
    log_noise_evidence: float
    extrinsic_ess: float
    seconds: float
    meta: dict[str, Any] = field(default_factory=dict)
    scalars: ClassVar[tuple[str, ...]] = _SCALARS

    def __repr__(self) -> str:
        shown = [name for name in ("chirp_mass", "mass_ratio", "chi_eff", "chi_p", "luminosity_distance") if name in self.posterior]
        rows = self.posterior[shown].quantile([0.5, 0.05, 0.95])
        said = [f"{name} {rows[name].iloc[0]:.4g} ({rows[name].iloc[1]:.4g} to {rows[name].iloc[2]:.4g})" for name in shown]
        flags = "".join(f"; {flag.partition(':')[0]}" for flag in self.flags)
        return (
            f"Result({', '.join(said)}; {len(self.posterior):,} equally weighted of {self.n_draws:,} draws, efficiency "
            f"{self.sample_efficiency:.0%}, Pareto k {self.pareto_k:.2f}; log Bayes factor {self.log_bayes_factor:.2f} ± "
            f"{self.log_evidence_error:.2f}{flags})"
        )

    @property
    def log_bayes_factor(self) -> float:
        """Log evidence of a signal against noise."""
        return self.log_evidence - self.log_noise_evidence

    @property
    def log_weights(self) -> np.ndarray:
        """Log importance weights, (n,), of the rows of `weighted`."""
        return self.weighted["log_weight"].to_numpy()

    @property
    def flags(self) -> list[str]:
        """What speaks against the result, one sentence each: weights, evidence, residual, a second signal."""
        from gwsurrogate_ml.inference.result.flags import flags

        return flags(self)

    def with_prior(self, prior: Mapping[str, Any] | str | Path, seed: int = 0) -> Result:
        """The result under another bilby prior inside its own: `reweight.with_prior`."""
        from gwsurrogate_ml.inference.result.reweight import with_prior

        return with_prior(self, prior, seed)

    def with_waveform(self, segment: AnalysisSegment, waveform: Any, **options: Any) -> Result:
        """The result under another waveform model, such as "IMRPhenomXHM": `reweight.with_waveform`."""
        from gwsurrogate_ml.inference.result.reweight import with_waveform

        return with_waveform(self, segment, waveform, **options)

    def with_higher_modes(self, segment: AnalysisSegment, surrogate: Any = "nrhm", **options: Any) -> Result:
        """The result with higher modes in the likelihood: `higher_modes.with_higher_modes`."""
        from gwsurrogate_ml.inference.result.higher_modes import with_higher_modes

        return with_higher_modes(self, segment, surrogate, **options)

    def with_remnant(self) -> Result:
        """The result with the final mass and spin of every draw: `reweight.with_remnant`."""
        from gwsurrogate_ml.inference.result.reweight import with_remnant

        return with_remnant(self)

    def combine(self, *others: Result) -> Result:
        """This and other results of the same data as one: `combine.combine`."""
        from gwsurrogate_ml.inference.result.combine import combine

        return combine([self, *others])

    def summary(self) -> dict[str, dict[str, Any]]:
        """The parts "posterior" and "inference" of summary.json: medians and 90 % intervals; diagnostics."""
        from gwsurrogate_ml.inference.result.glitches import columns_of
        from gwsurrogate_ml.inference.result.nuisances import nuisances_of

        errors = nuisances_of(self)
        shown = self.posterior.drop(columns=[*columns_of(self), *(errors.columns if errors else [])])
        quantiles = shown.quantile([0.5, 0.05, 0.95])
        posterior = {
            name: dict(zip(("median", "lower_90", "upper_90"), map(float, quantiles[name]), strict=True)) for name in shown.columns
        }
        inference = {name: getattr(self, name) for name in _SCALARS} | {"log_bayes_factor": self.log_bayes_factor}
        return {"posterior": posterior, "inference": inference}

    def to_bilby(self, label: str = "gwsurrogate_ml") -> CBCResult:
        """The same as a bilby `CBCResult`, with prior and meta data.

        Its `save_to_file` writes JSON, HDF5 and pickle whole or not at all, for bilby, PESummary and `result.bilby.read`. Spins
        belong to its reference frequency, the lower end of the band; so does `phase`, but for the surrogates of aligned spins,
        where it belongs to the peak.
        """
        from gwsurrogate_ml.inference.result.bilby import to_bilby

        return to_bilby(self, label)

    def save(self, path: str | Path) -> Path:
        """Write to a .json or .h5/.hdf5 file, whole or not at all; `Result.load` reads it.

        Raises
        ------
        ConfigError
            for another suffix, or where it cannot be written
        """
        path = Path(path)
        if path.suffix not in SUFFIXES:
            raise ConfigError(f"{path}: name a .json, .h5 or .hdf5 file")
        scalars = {name: getattr(self, name) for name in _SCALARS}
        if path.suffix == ".json":
            with whole_file(path) as temporary:
                tables = {k: {c: t[c].tolist() for c in t} for k, t in (("posterior", self.posterior), ("weighted", self.weighted))}
                temporary.write_text(json.dumps({**scalars, "meta": plain(self.meta), **tables}))
        else:
            with whole_hdf5(path) as file:
                for table, frame in (("posterior", self.posterior), ("weighted", self.weighted)):
                    group = file.create_group(table)
                    for column in frame:
                        group.create_dataset(str(column), data=frame[column].to_numpy(), compression="gzip")
                file.attrs.update(scalars | {"meta": json.dumps(plain(self.meta))})
        return path

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read what `save` wrote.

        Raises
        ------
        ConfigError
            for another suffix
        DataError
            if the file is missing, truncated, or no result
        """
        path = Path(path)
        if path.suffix not in SUFFIXES:
            raise ConfigError(f"{path}: name a .json, .h5 or .hdf5 file")
        try:
            tables, scalars, meta = _stored_json(path) if path.suffix == ".json" else _stored_hdf5(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} is missing, truncated, or no result of this package ({type(error).__name__}: {error}): give a file "
                "that Result.save wrote (result.json of `gwsml analyze` is bilby's)"
            ) from error
        missing = sorted(set(PARAMETERS) - set(tables["posterior"]))
        with suppress(ConfigError):
            missing = [name for name in parameters_of(tables["posterior"]) if name not in tables["posterior"]]
        if missing:
            raise DataError(f"{path}: the posterior has no column {missing[0]!r}: give a file that Result.save wrote")
        words = [f"{name}: {column}" for name, t in tables.items() for column in t if t[column].dtype.kind not in "fiu"]
        words += [name for name, value in scalars.items() if not isinstance(value, int | float)]
        if words:
            raise DataError(f"{path}: {words[0]} holds no numbers: give a file that Result.save wrote")
        return cls(**tables, **scalars, meta=meta)

    def plot_corner(self, **options: Any) -> Figure:
        """Corner plot of the posterior: `plot.corner`."""
        from gwsurrogate_ml import plot

        return plot.corner(self.posterior, **options)

    def plot_waveform(self, segment: AnalysisSegment, model: WaveformModel | None = None, n: int = 200) -> Figure:
        """Whitened data with the posterior's 90 % band: `plot.waveform_band`.

        Parameters
        ----------
        segment : AnalysisSegment
            the data analysed
        model : WaveformModel, optional
            by default that of the analysis, or what the result was re-weighted to, by its name
        n : int
            posterior draws behind the band
        """
        from gwsurrogate_ml import plot

        model = model_of(self) if model is None else model
        bands, times = whitened_bands(self.posterior.iloc[: min(n, len(self.posterior))], segment, model)
        data = dict(zip(segment.detectors, segment.whitened(), strict=True))
        return plot.waveform_band(times, data, bands, segment.gps)

    def plot_residual(self, segment: AnalysisSegment, model: WaveformModel | None = None) -> Figure:
        """Whitened data less the waveform of highest likelihood, around the merger: `plot.residual`.

        Parameters
        ----------
        segment : AnalysisSegment
            the data analysed
        model : WaveformModel, optional
            by default that of the analysis, or what the result was re-weighted to, by its name
        """
        from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
        from gwsurrogate_ml.inference.nuisances.softened import recalibrated
        from gwsurrogate_ml.inference.result.glitches import without_glitch
        from gwsurrogate_ml.inference.result.nuisances import nodes_of, nuisances_of
        from gwsurrogate_ml.inference.result.residual import best_signal
        from gwsurrogate_ml.plot.residual import residual

        model = model_of(self) if model is None else model
        row = self.posterior.iloc[int(np.argmax(self.posterior["log_likelihood_ratio"]))]
        segment = without_glitch(self, segment, model, row.to_frame().T)
        likelihood = SegmentLikelihood(segment, model)
        if (errors := nuisances_of(self)) is not None:  # what the best draw says of the calibration
            likelihood = recalibrated(likelihood, errors, nodes_of(row.to_frame().T, errors)[0])
            segment = likelihood.segment
        signal, merger = best_signal(likelihood, {name: float(row[name]) for name in parameters_of(self.posterior)})
        left, taken = segment.whitened(likelihood.strain - signal), segment.whitened(signal)
        times = np.arange(left.shape[1]) * segment.duration / left.shape[1]
        names = segment.detectors
        return residual(
            times,
            dict(zip(names, left, strict=True)),
            dict(zip(names, taken, strict=True)),
            dict(zip(names, map(float, merger), strict=True)),
            self.meta.get("checks", {}).get("residual"),
        )

    def curves(self) -> dict[str, dict[str, Any]]:
        """Posterior and prior of the calibration and waveform errors that were integrated: `nuisances.curves`."""
        from gwsurrogate_ml.inference.result.nuisances import curves

        return curves(self)

    def plot_curves(self) -> Figure:
        """The same as a figure: `plot.calibration.curves`."""
        from gwsurrogate_ml.plot.calibration import curves

        return curves(self.curves())

    def plot_weights(self) -> Figure:
        """How evenly the importance weights are spread: `plot.importance_weights`."""
        from gwsurrogate_ml import plot

        return plot.importance_weights(self.log_weights, self.sample_efficiency, self.pareto_k)

    def skymap(self, distances: bool = False, seed: int = 0) -> SkyMap:
        """Posterior of the sky position as a multi-order HEALPix map: `skymap.from_draws`; some seconds.

        Parameters
        ----------
        distances : bool
            with the distance along every line of sight, as alerts have it
        seed : int

        Raises
        ------
        ConfigError
            without the extra `skymap`
        DataError
            if there are too few different draws
        """
        from gwsurrogate_ml.inference.result.skymap import from_draws

        segment = self.meta.get("segment", {})
        header: dict[str, Any] = {"log_bsn": self.log_bayes_factor}
        if "gps" in segment:
            header |= {"instruments": set(segment["detectors"]), "gps_time": float(segment["gps"])}
        ra, dec, distance = (self.posterior[name].to_numpy() for name in ("ra", "dec", "luminosity_distance"))
        return from_draws(ra, dec, distance if distances else None, seed=seed, meta=header)

    def save_skymap(self, path: str | Path, distances: bool = False, seed: int = 0) -> Path:
        """Write the sky map as a FITS file (.fits or .fits.gz); see `skymap`."""
        return self.skymap(distances, seed).save(path)

    def plot_skymap(self) -> Figure:
        """Posterior of the sky position: `plot.skymap`, which needs no extra and smooths by 2 degrees.

        `result.skymap().plot()` draws the map that is saved.
        """
        from gwsurrogate_ml import plot

        return plot.skymap(self.posterior["ra"].to_numpy(), self.posterior["dec"].to_numpy())


def _stored_json(path: Path) -> _Stored:
    stored = json.loads(path.read_text())
    tables = {name: pd.DataFrame(stored[name]) for name in ("posterior", "weighted")}
    return tables, {name: stored[name] for name in _SCALARS}, dict(stored["meta"])


def _stored_hdf5(path: Path) -> _Stored:
    import h5py

    with h5py.File(path) as file:
        tables = {name: pd.DataFrame({key: value[:] for key, value in file[name].items()}) for name in ("posterior", "weighted")}
        return tables, {name: file.attrs[name].item() for name in _SCALARS}, dict(json.loads(file.attrs["meta"]))
