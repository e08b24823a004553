"""End frequencies of the approximants of pycbc (entry points `pycbc.waveform.end_freq`), which pycbc reads last of all plug-ins.

To an approximant with a length and transforms of its own, pycbc makes series by transforming those back: it puts them, without a
word, in the place of the plug-in in time. Once it has read all lengths, importing this module puts ours back.
"""

from __future__ import annotations

from typing import Any

from gwsurrogate_ml.plugins import pycbc


def end_frequency(**p: Any) -> float:
    """Frequency in Hz above which a waveform has nothing, for `pycbc.waveform.get_waveform_end_frequency`.

    Raises
    ------
    NoWaveformError, ConfigError
        as for `pycbc.td`
    """
    from gwsurrogate_ml.plugins.common import highest_frequency, no_waveform

    with no_waveform():
        return highest_frequency(*pycbc.checked(p))


def _own_series_again() -> None:
    from pycbc.waveform.waveform import _filter_time_lengths, cpu_fd, cpu_td

    for name, function in cpu_fd.items():
        if function is pycbc.fd and name in _filter_time_lengths:
            cpu_td[name] = pycbc.td


_own_series_again()
