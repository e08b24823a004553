"""Results as bilby's, in files that bilby and PESummary read whole: JSON, HDF5 and pickle hold the same draws, prior and settings.

bilby's HDF5 drops empty dictionaries, takes no list of dictionaries, and forgets the class of the prior, and with it the
Constraints. Meta data are therefore one string of JSON, detectors are never empty, and HDF5 files are written here.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bilby.core.result import EXTENSIONS, read_in_result, result_file_name
from bilby.core.result import Result as BilbyResult
from bilby.core.utils import BilbyJsonEncoder, move_old_file
from bilby.gw.result import CBCResult

from gwsurrogate_ml.artifacts import available
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.files import refusal
from gwsurrogate_ml.inference.prior.constraints import log_density
from gwsurrogate_ml.inference.result.draws import parameters_of, plain, prior_in
from gwsurrogate_ml.inference.result.nuisances import nuisances_in, nuisances_of, with_bilby

if TYPE_CHECKING:
    from bilby.core.prior import PriorDict

    from gwsurrogate_ml.inference.result.result import Result

OURS = "gwsurrogate_ml"
"""Key of what only results of this package have among bilby's meta data."""


class SavedResult(CBCResult):
    """A bilby `CBCResult` whose files are whole or not there, and keep the prior's class and Constraints in HDF5 too.

    Its files name bilby's own class, so that they are read where this package is not installed.
    """

    def save_to_file(
        self,
        filename: Any = None,
        overwrite: bool = False,
        outdir: Any = None,
        extension: Any = None,
        gzip: bool = False,
    ) -> None:
        """As bilby's.

        Raises
        ------
        ConfigError
            where it cannot be written
        """
        if extension not in (None, True, *EXTENSIONS):
            raise ConfigError(f"extension is {extension!r}: give one of {', '.join(EXTENSIONS)}")
        if self._priors is None:
            raise ConfigError(
                "the result does not say under which prior it was made, without which bilby reads none: use Result.save"
            )
        folder, name = (None, None) if filename is None else os.path.split(filename)
        suffix = Path(name or "").suffix[1:]
        kind = extension if extension in EXTENSIONS else suffix if suffix in EXTENSIONS and extension is None else "json"
        name = name or result_file_name("", self.label, {"h5": "hdf5", "pickle": "pkl"}.get(kind, kind), gzip)
        path = Path(outdir or folder or self.outdir) / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=path.parent) as room:
                temporary = Path(room) / name
                same, plain_json = _of_binaries(self), kind == "json" and not gzip
                if plain_json:
                    same.posterior, same.samples = self.posterior.iloc[:0], self.samples[:0]
                same.save_to_file(filename=str(temporary), extension=kind, gzip=gzip)
                if os.listdir(room) != [name]:  # bilby leaves a pickle where it fails
                    raise ConfigError(f"{path} cannot be written: bilby cannot save this result as {kind}; give another format")
                if kind in ("hdf5", "h5"):
                    _mend_prior(temporary, self.priors)
                if plain_json:
                    _fill_tables(temporary, self)
                move_old_file(str(path), overwrite)
                os.replace(temporary, path)
        except OSError as error:
            raise refusal(path, error) from error


def _of_binaries(result: BilbyResult) -> CBCResult:
    """The same as an object of bilby's own class."""
    same = CBCResult.__new__(CBCResult)
    same.__dict__.update(result.__dict__)
    return same


def _mend_prior(path: Path, prior: PriorDict) -> None:
    """Write the prior of a HDF5 file so that bilby gives it back with its class: it undoes a marked dictionary twice."""
    import h5py

    content = json.loads(json.dumps(dict(prior), cls=BilbyJsonEncoder))
    content |= {"__module__": type(prior).__module__, "__name__": type(prior).__name__}
    with h5py.File(path, "r+") as file:
        del file["priors"]
        file["priors"] = json.dumps(content)


def _fill_tables(path: Path, result: BilbyResult) -> None:
    """Put the draws into a JSON file that bilby wrote without any: it indents, which takes seconds where there are many numbers."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["posterior"]["content"] = {name: result.posterior[name].tolist() for name in result.posterior}
    content["samples"]["content"] = np.asarray(result.samples).tolist()
    path.write_text(json.dumps(content, cls=BilbyJsonEncoder), encoding="utf-8")


def to_bilby(result: Result, label: str) -> SavedResult:
    """See `Result.to_bilby`."""
    posterior, keys = result.posterior.copy(), list(parameters_of(result.posterior))
    prior = prior_in(result.meta) if {"prior", "bilby_prior"} & result.meta.keys() else None
    if (errors := nuisances_of(result)) is not None:
        prior, posterior = with_bilby(prior, posterior, errors)
        keys += errors.columns
    if prior is not None:
        # Their own prior's density, by which bilby's `reweight` divides.
        posterior["log_prior"] = log_density(prior, {name: posterior[name].to_numpy() for name in prior.non_fixed_keys})
    scalars, meta = {name: getattr(result, name) for name in result.scalars}, result.meta | {"flags": result.flags}
    return SavedResult(
        label=label,
        outdir=".",
        sampler=OURS,
        search_parameter_keys=keys,
        fixed_parameter_keys=[] if prior is None else list(prior.fixed_keys),
        constraint_parameter_keys=[] if prior is None else list(prior.constraint_keys),
        priors=prior,
        posterior=posterior,
        samples=posterior[keys].to_numpy(),
        log_evidence=result.log_evidence,
        log_evidence_err=result.log_evidence_error,
        log_noise_evidence=result.log_noise_evidence,
        log_bayes_factor=result.log_bayes_factor,
        num_likelihood_evaluations=result.n_draws,
        sampling_time=result.seconds,
        meta_data={"likelihood": _likelihood(result.meta), OURS: scalars | {"meta": json.dumps(plain(meta))}},
    )


def _likelihood(meta: dict[str, Any]) -> dict[str, Any]:
    """Data and waveform as bilby has them among its meta data, and under the names that PESummary looks for."""
    waveform: dict[str, Any] = {"waveform_approximant": approximant(meta)}
    likelihood: dict[str, Any] = {
        "type": "GravitationalWaveTransient",
        "phase_marginalization": False,
        "distance_marginalization": False,
        "time_marginalization": False,
        "calibration_marginalization": False,
        "time_reference": "geocent",
        "reference_frame": "sky",
        "waveform_arguments": waveform,
    }
    segment = meta.get("segment", {})
    if "f_min" in segment:
        waveform |= {
            "minimum_frequency": segment["f_min"],
            "reference_frequency": meta.get("reference_frequency", segment["f_min"]),
        }
        likelihood |= {"f_low": segment["f_min"], "f_start": segment["f_min"]}
    band = {"minimum_frequency": segment.get("f_min")}
    if "f_max" in segment:
        waveform["maximum_frequency"] = band["maximum_frequency"] = segment["f_max"]
        likelihood |= {"f_final": segment["f_max"], "sampling_frequency": 2 * segment["f_max"]}
    if "duration" in segment:
        likelihood |= {"duration": segment["duration"], "delta_f": 1 / segment["duration"]}
    if "start_time" in segment:
        likelihood["start_time"] = segment["start_time"]
    return likelihood | {"interferometers": {name: {"name": name, **band} for name in segment.get("detectors", [])}}


def approximant(meta: dict[str, Any]) -> str:
    """The waveform model by the name that LAL, gwsignal and pycbc know it by: GWSML_... of the models of this package.

    Examples
    --------
    >>> approximant({"surrogate": {"name": "nrphm"}}), approximant({"surrogate": {"name": "lal:IMRPhenomXPHM"}})
    ('GWSML_NRPHM', 'IMRPhenomXPHM')
    """
    name = str(meta.get("waveform", meta.get("surrogate", {}).get("name", "unknown")))
    return f"GWSML_{name.upper()}" if name in available() else name.removeprefix("lal:")


def settings_of(result: CBCResult) -> dict[str, Any]:
    """The meta data of an analysis (`Result.meta`, with all its flags), of a bilby result that was made from it.

    Raises
    ------
    DataError
        if it was made by another program
    """
    try:
        meta: dict[str, Any] = json.loads(result.meta_data[OURS]["meta"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("the bilby result was not made by this package: it holds no settings of an analysis") from error
    return meta


def read(path: str | Path) -> CBCResult:
    """A file that `SavedResult` wrote, or that bilby made of one, with the prior's class and Constraints.

    Parameters
    ----------
    path : path
        .json, .hdf5 or .pkl, which is bound to the versions of scipy and pandas that wrote it; `bilby_result --extension hdf5`
        loses the prior's class and the result's, and this brings them back

    Raises
    ------
    DataError
        if the file is missing, damaged, or another program's
    """
    from bilby.core.result import FileLoadError

    try:
        result = _of_binaries(read_in_result(filename=str(path), result_class=CBCResult))
    except (OSError, ValueError, FileLoadError) as error:
        raise DataError(f"{path} is no bilby result ({error}): give a file of `Result.to_bilby().save_to_file`") from error
    meta = settings_of(result)
    if {"prior", "bilby_prior"} & meta.keys():
        prior = prior_in(meta)
        if (errors := nuisances_in(meta)) is not None:
            prior, _ = with_bilby(prior, result.posterior, errors)
        result.priors = prior
    return result
