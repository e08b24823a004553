"""Files of results: JSON and HDF5, read back whole and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

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


def _stored_json(path: Path) -> _Stored:
    stored = json.loads(path.read_text())
    tables = {name: pd.DataFrame(stored[name]) for name in ("posterior", "weighted")}
    return tables, {name: stored[name] for name in _SCALARS}, dict(stored["meta"])


def _stored_hdf5(path: Path) -> _Stored:
    import h5py

    with h5py.File(path) as file:
        tables = {name: pd.DataFrame({key: value[:] for key, value in file[name].items()}) for name in ("posterior", "weighted")}
        return tables, {name: file.attrs[name].item() for name in _SCALARS}, dict(json.loads(file.attrs["meta"]))


def _plain(value: Any) -> Any:
    """JSON-serialisable copy."""
    return json.loads(json.dumps(value, default=lambda x: x.item() if hasattr(x, "item") else str(x)))
