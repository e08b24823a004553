"""Names, refusals and the frequency grid of the plug-ins; what importing them costs."""

from __future__ import annotations

import pickle
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest

from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError, NoWaveformError
from gwsurrogate_ml.plugins import common

GROUPS = ("pycbc.waveform.td", "pycbc.waveform.fd", "pycbc.waveform.length", "pycbc.waveform.end_freq", "gwsignal_models")


def ours(group: str) -> dict[str, object]:
    return {e.name: e.load() for e in entry_points(group=group) if e.value.startswith("gwsurrogate_ml")}


@pytest.mark.parametrize("group", GROUPS)
def test_every_name_registered_with_a_peer_loads_a_shipped_surrogate(group: str) -> None:
    names = ours(group)
    assert set(names) == {"GWSML_NR22", "GWSML_NRHM", "GWSML_NRPHM"}
    for name, target in names.items():
        assert callable(target)
        assert common.model(name).info["name"] == name.removeprefix("GWSML_").lower()


def test_generators_are_what_the_entry_points_name() -> None:
    from gwsurrogate_ml.plugins.gwsignal import GENERATORS

    assert ours("gwsignal_models") == GENERATORS


@pytest.mark.process
def test_pycbc_loads_the_plugin_without_torch_numba_or_gwpy() -> None:
    code = (
        "import sys, pycbc.waveform.waveform; before = set(sys.modules)\n"
        "import pycbc.waveform as w; assert 'GWSML_NR22' in w.td_approximants()\n"
        "import gwsurrogate_ml.plugins.pycbc\n"
        "new = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "assert not new & {'torch', 'numba', 'gwpy', 'bilby', 'safetensors'}, new\n"
        "w.get_td_waveform(approximant='GWSML_NR22', mass1=40, mass2=30, delta_t=1/2048, f_lower=30)\n"
        "assert 'torch' not in sys.modules and 'gwpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_foreign_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="GWSML_"):
        common.model("IMRPhenomT")
    with pytest.raises(ArtifactError, match="nr22"):
        common.model("GWSML_NOSUCH")


@pytest.mark.parametrize(("name", "value"), [("spin1x", 0.1), ("lambda1", 400.0), ("frame_axis", "J"), ("modes", [1])])
def test_what_a_model_cannot_do_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} = .*leave it out"):
        common.refuse({name: value}, [name], "leave it out")
    common.refuse({name: None, "other": 0.0, "empty": ""}, [name, "other", "empty", "absent"], "leave it out")


def test_only_a_binary_beyond_the_model_counts_as_one_without_a_waveform() -> None:
    with pytest.raises(NoWaveformError, match=r"^Input domain error: q = 99"), common.no_waveform():
        raise DomainError("q = 99")
    for fault in (ConfigError("modes"), ArtifactError("nr22"), KeyError("mass1")):
        with pytest.raises(type(fault)) as caught, common.no_waveform():
            raise fault
        assert caught.value is fault
    assert issubclass(NoWaveformError, DomainError)
    again = pickle.loads(pickle.dumps(NoWaveformError("Input domain error: q")))  # a pool sends it
    assert (type(again), str(again)) == (NoWaveformError, "Input domain error: q")


def test_a_spin_in_the_plane_that_is_nan_is_not_taken_for_none() -> None:
    with pytest.raises(DomainError, match="spin1x is nan"):
        common.refuse({"spin1x": float("nan")}, ["spin1x"], "set it to 0")


def test_a_mass_that_is_nan_is_named_whichever_it_is() -> None:
    nan = float("nan")
    spins = (0.0, 0.0, 0.1), (0.0, 0.0, -0.2)
    assert common.heavier_first(nan, 30.0, *spins)[1:] == (30.0, *spins)
    assert common.heavier_first(30.0, nan, *spins)[:1] == (30.0,)


@pytest.mark.parametrize("delta_f", [1 / 64, 0.25, 0.3, 2.0])
@pytest.mark.parametrize("f_max", [0.0, 300.0, 1024.0, 3000.0])
def test_the_grid_holds_the_signal_the_band_and_every_multiple_of_delta_f(delta_f: float, f_max: float) -> None:
    signal = 1.3
    rate, thinning, duration = common.fourier_grid(delta_f, max(f_max, 812.0), signal)
    assert duration >= signal
    assert rate / 2 >= max(f_max, 812.0) * (1 - 1e-8)
    assert duration * delta_f == pytest.approx(thinning)
    samples = duration * rate
    assert samples == pytest.approx(2 ** round(np.log2(samples)))


def pycbc_call(**changes: object) -> dict[str, object]:
    p = {"approximant": "GWSML_NR22", "mass1": 36.0, "mass2": 29.0, "delta_t": 1 / 2048, "f_lower": 20.0}
    return p | changes


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"spin2y": 0.2}, ConfigError, "spin2y = 0.2.*GWSML_NRPHM"),
        ({"eccentricity": 0.1}, ConfigError, "eccentricity"),
        ({"lambda2": 300.0}, ConfigError, "lambda2"),
        ({"dchi2": 0.5}, ConfigError, "dchi2"),
        ({"phase_order": 4}, ConfigError, "phase_order"),
        ({"mode_array": [(3, 3)]}, ConfigError, "modes"),
        ({"mode_array": [(2, -2), (2, 2), (2, -1)]}, ConfigError, "modes"),
        ({"f_ref": -3.0}, ConfigError, "f_ref"),
        ({"f_ref": 900.0}, DomainError, "f_ref"),
        ({"f_lower": 3.0}, DomainError, "smallest total mass"),
        ({"mass1": 2000.0, "f_lower": 1.0}, DomainError, "q"),
        ({"spin1z": 1.5}, DomainError, "chi1"),
        ({"mass1": float("nan")}, DomainError, "mass"),
        ({"mass1": 0.0, "mass2": 0.0}, DomainError, "mass_1 is 0.0"),
        ({"mass1": 36.0, "mass2": -36.0}, DomainError, "mass_2 is -36.0"),
        ({"f_lower": 0.0}, ConfigError, "f_lower"),
        ({"long_asc_nodes": float("nan")}, DomainError, "ascending nodes is nan"),
        ({"approximant": "GWSML_NRPHM", "mass2": 5.0}, DomainError, r"q = .* \[1, 6\]"),
        ({"approximant": "GWSML_NRPHM", "spin1x": 0.6, "spin1y": 0.7}, DomainError, r"chi1 = .* \[0, 0.9\]"),
        ({"approximant": "GWSML_NRPHM", "f_lower": 2.0}, DomainError, "total masses of .* and this one has 65"),
        ({"approximant": "GWSML_NRPHM", "f_ref": 900.0}, DomainError, "f_ref = 900"),
        ({"approximant": "GWSML_NRPHM", "mode_array": [(2, 2)]}, ConfigError, "all its modes"),
        ({"approximant": "GWSML_NRPHM", "lambda1": 400.0}, ConfigError, "lambda1"),
        ({"approximant": "GWSML_NRPHM", "delta_t": 1 / 256}, ConfigError, "sampling_frequency"),
    ],
)
def test_pycbc_td_refuses_bad_input_with_the_parameter_named(
    changes: dict[str, object], error: type[Exception], message: str
) -> None:
    from pycbc.waveform import get_td_waveform

    with pytest.raises(error, match=message):
        get_td_waveform(**pycbc_call(**changes))


@pytest.mark.parametrize("changes", [{"f_final": 15.0}, {"delta_f": 0.0}, {"delta_f": -1.0}, {"f_lower": 0.0}])
def test_pycbc_fd_refuses_an_impossible_grid(changes: dict[str, float]) -> None:
    from pycbc.waveform import get_fd_waveform

    with pytest.raises(ConfigError):
        get_fd_waveform(**pycbc_call(**({"delta_f": 0.25} | changes)))


@pytest.mark.parametrize("changes", [{"mass1": 0.0, "mass2": 0.0}, {"mass1": -36.0, "mass2": 36.0}])
def test_pycbc_fd_refuses_masses_that_no_binary_has(changes: dict[str, float]) -> None:
    from pycbc.waveform import get_fd_waveform

    with pytest.raises(DomainError, match="give a positive number of solar masses"):
        get_fd_waveform(**pycbc_call(**({"delta_f": 0.25} | changes)))
