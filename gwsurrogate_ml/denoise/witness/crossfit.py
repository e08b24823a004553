"""Cleaning the very span that the filters are fitted to, without touching signals in it: each half with the other's fit.

Filters fitted to data take, by chance, a fraction `leverage` (features over averages) of any signal in those data. Here a
signal never meets a filter that was fitted to it. Source: cross-fitting (Chernozhukov et al. 2018, arXiv:1608.00060).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.denoise.witness.channels import Aligned, align
from gwsurrogate_ml.denoise.witness.cleaner import DEFAULT_BANDS, WitnessCleaner
from gwsurrogate_ml.denoise.witness.stream import CleanFrame

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

BLEND = 1.0
"""The two halves pass into one another over this many s."""


def clean_own_span(
    strain: TimeSeries,
    witnesses: Mapping[str, TimeSeries],
    bands: Sequence[tuple[float, float]] = DEFAULT_BANDS,
    **options: Any,
) -> tuple[CleanFrame, tuple[WitnessCleaner, WitnessCleaner]]:
    """Strain cleaned with filters from its own span, but never from its own half.

    Parameters
    ----------
    strain, witnesses, bands, **options
        as for `WitnessCleaner.fit`

    Returns
    -------
    CleanFrame
        of the whole strain; 1 s in the middle is a blend of both
    the cleaners fitted to the first and to the second half

    Raises
    ------
    DataError, ConfigError
        as `WitnessCleaner.fit`; half the data must suffice for it

    Examples
    --------
    >>> from gwsurrogate_ml.denoise.witness.bench.mock import preset
    >>> data = preset("sidebands_only", sampling_frequency=512).draw(256.0, seed=1)
    >>> frame, pair = clean_own_span(data.strain, data.witnesses, [(45.0, 75.0)])
    >>> bool(frame.strain.std() < data.strain.value.std()), frame.model
    (True, 'witness-cleaner 1 (cross-fitted)')
    """
    return clean_aligned(align(strain, witnesses), bands, **options)


def clean_aligned(
    data: Aligned,
    bands: Sequence[tuple[float, float]] = DEFAULT_BANDS,
    *,
    name: str = "witness-cleaner",
    **options: Any,
) -> tuple[CleanFrame, tuple[WitnessCleaner, WitnessCleaner]]:
    """As `clean_own_span`, of what `channels.align` made of strain and witnesses."""
    raw, n, middle = data.strain, data.strain.size, data.strain.size // 2
    spans = ((0, middle), (middle, n))
    fits = [WitnessCleaner.fit_aligned(data.part(*span), bands, name=name, **options) for span in spans]
    first, second = (fit.apply_aligned(data) for fit in fits)
    t = (np.arange(n) - middle) / data.sampling_frequency
    late = 0.5 + 0.5 * np.sin(np.pi * np.clip(t / BLEND, -0.5, 0.5))  # weight of the fit to the first half
    clean = raw - late * (raw - first.strain) - (1.0 - late) * (raw - second.strain)  # exactly raw where nothing was taken
    weight = late * first.weight + (1.0 - late) * second.weight
    weight = np.where(weight > 1.0 - 1e-9, 1.0, weight)
    model = f"{name} {fits[0].card['version']} (cross-fitted)"
    refused = (first.refused & (late > 0)) | (second.refused & (late < 1))
    frame = CleanFrame(np.where(np.isfinite(raw), clean, np.nan), weight, first.start_time, model, refused)
    return frame, (fits[0], fits[1])
