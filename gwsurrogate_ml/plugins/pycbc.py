"""The shipped surrogates as time- and frequency-domain approximants of pycbc (entry points `pycbc.waveform.td`, `.fd`, `.length`).

    pycbc.waveform.get_td_waveform(approximant="GWSML_NR22", mass1=36, mass2=29, spin1z=0.3, delta_t=1 / 4096, f_lower=20)

Conventions are LAL's: masses in solar masses (detector frame, either order), distance in Mpc, h = h_plus - i h_cross, the peak
at t = 0. `coa_phase` is the orbital phase where the (2,2) mode's frequency is `f_ref`; with `f_ref` = 0, pycbc's default, it is
the orbital phase at the peak, as its name says (IMRPhenom models take `f_lower` instead). With the same `f_ref` it is that of
IMRPhenomT and THM; those of IMRPhenomXAS, XHM, D and HM differ by constants, which `conventions` gives.
`mode_array` chooses from the model's modes; t = 0 stays the peak of all of them.
`f_lower` is the frequency of the (2,2) mode at the start. In the frequency domain bins below `f_lower` and above `f_final` are
zero, the epoch is
``-1 / delta_f``, and a `delta_f` too coarse for the signal gives the samples of its transform all the same.

`GWSML_NRPHM` takes spins of any direction at `f_ref`, with z along the orbital angular momentum and x from the lighter to the
heavier body there: those of IMRPhenomTPHM with the same `f_ref`. Here `f_ref` = 0 means `f_lower`, as in LAL. Series begin a
cycle before the (2,2) mode passes `f_lower`, with a taper; transforms hold modes of higher m from `f_lower` on as far as
``1 / delta_f`` has room.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.errors import ConfigError

# pycbc imports this module with itself: what costs time (numba, scipy, weights) is imported in the functions.
if TYPE_CHECKING:
    from pycbc.types import FrequencySeries, TimeSeries

    from gwsurrogate_ml.plugins.common import Model

_IN_PLANE = ("spin1x", "spin1y", "spin2x", "spin2y")
_ECCENTRIC = ("eccentricity", "mean_per_ano")
_MATTER = ("lambda", "quadfmode", "octufmode", "dquad_mon", "lambda_octu")
_NO_MEANING = ("numrel_data", "modes_choice", "frame_axis", "side_bands")
_ORDERS = ("phase_order", "spin_order", "tidal_order", "amplitude_order", "eccentricity_order")
_NON_GR = ("dchi", "dalpha", "dbeta")


def _number(value: Any, name: str) -> float:
    """`value` as a float, which the model judges; words are refused here."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} is {value!r}: give a number") from None


def checked(p: dict[str, Any]) -> tuple[Model, dict[str, Any]]:
    """The surrogate, and its keywords but for those of the time or frequency grid."""
    from gwsurrogate_ml.plugins.common import keywords, model, refuse
    from gwsurrogate_ml.surrogate.model import Surrogate

    name = p["approximant"]
    surrogate = model(name)
    if isinstance(surrogate, Surrogate):
        refuse(p, _IN_PLANE, f"{name} has spins along the orbital angular momentum only, set it to 0 or take GWSML_NRPHM")
    refuse(p, _ECCENTRIC, f"{name} is for circular orbits, set it to 0")
    refuse(p, [k for k in p if k.startswith(_MATTER)], f"{name} is for black holes, leave it out")
    refuse(p, _NO_MEANING, f"{name} has no such choice, leave it out")
    refuse(p, [k for k in p if k.startswith(_NON_GR)], f"{name} is a model of general relativity, leave it out")
    for key in _ORDERS:
        if p.get(key, -1) not in (-1, None):
            raise ConfigError(f"{key} = {p[key]}: {name} has no post-Newtonian orders to choose, leave it at -1")
    m1, m2 = (_number(p.get(k) or 0.0, k) for k in ("mass1", "mass2"))
    spins = [tuple(_number(p.get(f"spin{i}{axis}") or 0.0, f"spin{i}{axis}") for axis in "xyz") for i in (1, 2)]
    f_ref, f_min = finite(p.get("f_ref") or 0.0, "f_ref", "Hz"), positive(p["f_lower"], "f_lower", "Hz")
    distance, inclination, phase = (_number(p[k], k) for k in ("distance", "inclination", "coa_phase"))
    place = (distance, inclination, phase)
    return surrogate, keywords(surrogate, (m1, m2), (spins[0], spins[1]), place, f_min, f_ref, p.get("mode_array"))


def td(**p: Any) -> tuple[TimeSeries, TimeSeries]:
    """Plus and cross polarization for `pycbc.waveform.get_td_waveform`; see the module for the conventions.

    Returns
    -------
    pair of pycbc TimeSeries, float64 strain, peak at t = 0

    Raises
    ------
    NoWaveformError
        a DomainError: parameters beyond the model's domain, or `f_lower` below what it reaches; pycbc's models catch it where their
        `ignore_failed_waveforms` is set
    ConfigError
        spins in the plane of a model of aligned ones, eccentricity, tides, post-Newtonian orders, or modes that the model lacks
    """
    from pycbc.types import TimeSeries

    from gwsurrogate_ml.plugins.common import no_waveform, series, turned

    rate = 1.0 / positive(p["delta_t"], "delta_t", "s")
    with no_waveform():
        start, plus, cross = series(*checked(p), rate)
        plus, cross = turned(plus, cross, _number(p.get("long_asc_nodes") or 0.0, "long_asc_nodes"))
    return tuple(TimeSeries(h, delta_t=p["delta_t"], epoch=start) for h in (plus, cross))


def fd(**p: Any) -> tuple[FrequencySeries, FrequencySeries]:
    """Fourier transforms of the polarizations for `pycbc.waveform.get_fd_waveform`; see the module for the conventions.

    Returns
    -------
    pair of pycbc FrequencySeries, complex128 in 1/Hz; ``2^k + 1`` bins that hold `f_final` (by default the ringdown)

    Raises
    ------
    NoWaveformError, ConfigError
        as for `td`
    """
    from pycbc.types import FrequencySeries

    from gwsurrogate_ml.plugins.common import no_waveform, transforms, turned

    delta_f, f_final = positive(p["delta_f"], "delta_f", "Hz"), finite(p.get("f_final") or 0.0, "f_final", "Hz")
    with no_waveform():
        surrogate, keywords = checked(p)
        if 0 < f_final <= keywords["f_min"]:
            raise ConfigError(f"f_final = {f_final:g} Hz does not lie above f_lower = {keywords['f_min']:g} Hz")
        plus, cross = transforms(surrogate, keywords, delta_f, f_final)
        plus, cross = turned(plus, cross, _number(p.get("long_asc_nodes") or 0.0, "long_asc_nodes"))
    return tuple(FrequencySeries(h, delta_f=delta_f, epoch=-1.0 / delta_f) for h in (plus, cross))


def length(approximant: str, /, **p: Any) -> float:
    """Length in s of a waveform for `pycbc.waveform.get_waveform_filter_length_in_time`, from its taper to the end of its ringdown.

    `td` gives none that is longer; `fd` of several modes holds what their earlier parts have above `f_lower`, too, as far as
    1 / delta_f has room for it. pycbc asks without the approximant's name: it is in the function, one of `lengths`.

    Raises
    ------
    NoWaveformError, ConfigError
        as for `td`
    """
    from gwsurrogate_ml.plugins.common import length, no_waveform

    with no_waveform():
        return length(*checked(p | {"approximant": approximant}))


lengths = SimpleNamespace(**{name: partial(length, name) for name in ("GWSML_NR22", "GWSML_NRHM", "GWSML_NRPHM")})
