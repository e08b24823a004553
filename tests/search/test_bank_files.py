"""Banks both ways between this package and pycbc, and pycbc's own filter of a bank of ours on GW150914."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from pycbc.io import WaveformArray
from pycbc.waveform.bank import FilterBank
from pycbc.waveform.bank import TemplateBank as PycbcBank
from typer.testing import CliRunner

import gwsurrogate_ml as gw
from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.errors import ConfigError, DataError, DomainError
from gwsurrogate_ml.search.bank import BankConfig, PlacedElsewhere, TemplateBank, segment_duration

pytestmark = pytest.mark.peer

PARAMETERS = np.array([[0.55 * m, 0.45 * m, chi, chi] for m in (66.0, 72.0, 78.0) for chi in (-0.3, 0.0, 0.3)])
MINE = BankConfig(mass_min=28.0, mass_max=45.0, f_min=25.0)
NAMES = ("mass1", "mass2", "spin1z", "spin2z")
FILES = ("bank.hdf5", "bank.hdf", "bank.xml", "bank.xml.gz")


@pytest.fixture
def bank() -> TemplateBank:
    return TemplateBank(PARAMETERS, MINE, {"coverage": {"matched": 0.97}})


@pytest.mark.parametrize("name", FILES)
@pytest.mark.exchange("template banks", "HDF5", "PyCBC", "round trip")
@pytest.mark.exchange("template banks", "LIGO_LW XML", "igwn-ligolw", "round trip")
def test_our_banks_are_read_by_pycbc_and_come_back(bank: TemplateBank, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    bank.save(path, "GWSML_NR22")
    theirs = PycbcBank(str(path), approximant="GWSML_NR22" if "xml" in name else None)
    for field, column in zip(NAMES, PARAMETERS.T, strict=True):
        np.testing.assert_allclose(theirs.table[field], column, rtol=1e-7 if "xml" in name else 0)
    assert set(theirs.table["f_lower"]) == {25.0}
    assert theirs.approximant(0) == "GWSML_NR22"
    back = TemplateBank.load(path)
    np.testing.assert_allclose(back.parameters, PARAMETERS, rtol=1e-7)
    if "xml" in name:
        assert isinstance(back.config, PlacedElsewhere)
        assert (
            segment_duration(back.config) >= segment_duration(MINE) / 2
        )  # by the lightest template, not the lightest mass allowed
    else:
        assert (back.config, back.info) == (MINE, bank.info)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("suffix", ["hdf5", "xml.gz"])
@pytest.mark.parametrize("approximant", ["GWSML_NR22", "GWSML_NRHM", "GWSML_NRPHM"])
def test_pycbcs_filter_bank_makes_templates_of_our_banks(tmp_path: Path, suffix: str, approximant: str) -> None:
    from pycbc.types import zeros
    from pycbc.waveform import get_fd_waveform, get_waveform_end_frequency

    path, memory = tmp_path / f"bank.{suffix}", zeros(8 * 1024 + 1, dtype=np.complex64)
    TemplateBank(PARAMETERS[3:5], MINE).save(path, approximant)
    theirs = FilterBank(str(path), len(memory), 1 / 8, np.complex64, out=memory, low_frequency_cutoff=25.0, approximant=approximant)
    for i, (m_1, m_2, chi, _) in enumerate(PARAMETERS[3:5]):
        template = theirs[i]
        binary = {"mass1": m_1, "mass2": m_2, "spin1z": chi, "spin2z": chi, "f_lower": 25.0, "approximant": approximant}
        direct = get_fd_waveform(**binary, delta_f=1 / 8, f_final=1024.0, distance=1.0)[0].numpy()
        found = template.numpy()[: direct.size]
        overlap = np.vdot(found, direct[: found.size]) / np.linalg.norm(found) / np.linalg.norm(direct)
        assert abs(overlap) > 0.9999
        assert template.end_frequency >= min(1024.0, get_waveform_end_frequency(**binary))  # nothing is cut off


def pycbcs_file(path: Path, columns: dict[str, object], parameters: list[str] | None = None) -> Path:
    """A bank as pycbc writes it, but for columns that its own class would refuse."""
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = values
        if parameters is not None:
            file.attrs["parameters"] = parameters
    return path


@pytest.mark.exchange("template banks", "HDF5", "PyCBC", "read")
def test_pycbcs_banks_are_read(tmp_path: Path) -> None:
    table = WaveformArray(3, names=["mass1", "mass2", "spin1z", "spin2z"])
    table["mass1"], table["mass2"], table["spin1z"], table["spin2z"] = [20, 60, 40], [30, 40, 35], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    first = pycbcs_file(tmp_path / "first.hdf", {name: table[name] for name in NAMES} | {"f_lower": np.full(3, 30, np.float32)})
    theirs = PycbcBank(str(first), approximant="IMRPhenomD")
    theirs.write_to_hdf(str(tmp_path / "second.hdf")).close()  # with hashes and approximants
    found = TemplateBank.load(tmp_path / "second.hdf")
    # The heavier body comes first here, and takes its spin along.
    np.testing.assert_allclose(found.parameters, [[30, 20, 0.4, 0.1], [60, 40, 0.2, 0.5], [40, 35, 0.3, 0.6]])
    assert found.config.f_min == 30.0
    assert TemplateBank.load(tmp_path / "second.hdf", 35.0).config.f_min == 35.0


@pytest.mark.process
def test_pycbcs_converter_from_xml_takes_ours(bank: TemplateBank, tmp_path: Path) -> None:
    bank.save(tmp_path / "bank.xml.gz")
    words = ["--bank-file", tmp_path / "bank.xml.gz", "--output-file", tmp_path / "converted.hdf"]
    pycbc_program("pycbc_coinc_bank2hdf", *words)
    found = TemplateBank.load(tmp_path / "converted.hdf")
    np.testing.assert_allclose(found.parameters, PARAMETERS, rtol=1e-7)
    assert found.config.f_min == 25.0


def test_banks_by_other_names_are_read(tmp_path: Path) -> None:
    m_1, m_2, chi_1, chi_2 = PARAMETERS.T
    mchirp, eta = (m_1 * m_2) ** 0.6 / (m_1 + m_2) ** 0.2, m_1 * m_2 / (m_1 + m_2) ** 2
    spins = {"spin_1z": chi_1, "spin_2z": chi_2}
    for masses in ({"mass_1": m_1, "mass_2": m_2}, {"mchirp": mchirp, "q": m_1 / m_2}, {"mchirp": mchirp, "eta": eta}):
        pycbcs_file(tmp_path / "bank.hdf", {f"bank/{name}": column for name, column in (masses | spins).items()})
        np.testing.assert_allclose(TemplateBank.load(tmp_path / "bank.hdf", 20.0).parameters, PARAMETERS, rtol=1e-7)
    unlike = PARAMETERS * [1, 1, 1, 0.5]
    columns = {"mchirp": mchirp, "spin1z": unlike[:, 2], "spin2z": unlike[:, 3]}
    for q in (m_1 / m_2, m_2 / m_1):  # whichever way round, body 1 is the heavier
        with h5py.File(pycbcs_file(tmp_path / "bank.hdf", columns | {"q": q}), "a") as file:
            file.attrs["f_lower"] = 22.0
        found = TemplateBank.load(tmp_path / "bank.hdf")
        np.testing.assert_allclose(found.parameters, unlike, rtol=1e-7)
        assert found.config.f_min == 22.0
    pycbcs_file(tmp_path / "bank.hdf", {"mass1": m_1, "mass2": m_2, "chi_eff": chi_1})
    with pytest.raises(DataError, match="says spins by chi_eff alone"):
        TemplateBank.load(tmp_path / "bank.hdf", 20.0)


def test_banks_of_the_first_format_are_still_read(tmp_path: Path) -> None:
    import json
    from dataclasses import asdict

    path = tmp_path / "bank.hdf5"
    pycbcs_file(path, dict(zip(("mass_1", "mass_2", "chi_1", "chi_2"), PARAMETERS.T, strict=True)))
    with h5py.File(path, "a") as file:
        file.attrs.update({"format_version": 1, "config": json.dumps(asdict(MINE)), "info": "{}"})
    found = TemplateBank.load(path)
    np.testing.assert_array_equal(found.parameters, PARAMETERS)
    assert found.config == MINE


def test_a_bank_that_is_to_begin_elsewhere_is_no_longer_the_one_that_was_placed(bank: TemplateBank, tmp_path: Path) -> None:
    bank.save(tmp_path / "bank.hdf5")
    assert TemplateBank.load(tmp_path / "bank.hdf5", 25.0).config == MINE
    other = TemplateBank.load(tmp_path / "bank.hdf5", 30.0)
    assert other.config == PlacedElsewhere(30.0, pytest.approx(66 * (0.55 * 0.45) ** 0.6 * 2**0.2, rel=1e-9), "bank.hdf5")


PAIR = {"mass1": [36.0, 40.0], "mass2": [29.0, 30.0], "f_lower": [20.0, 20.0]}


@pytest.mark.parametrize(
    ("columns", "kind", "said"),
    [
        ({"mchirp": [30.0]}, DataError, "no mass1 and mass2.*give the masses of both bodies"),
        (PAIR | {"spin1x": [0.0, 0.3]}, DataError, "template 1 has spin1x = 0.3, 1 have such; .* take precessing ones out"),
        (PAIR | {"lambda2": [400.0, 0.0]}, DataError, "lambda2 = 400.* tidal"),
        (PAIR | {"eccentricity": [0.1, 0.1]}, DataError, "eccentricity = 0.1, 2 have such.*eccentric"),
        (PAIR | {"mass1": [36.0]}, DataError, "different lengths"),
        (PAIR | {"mass1": [36.0, np.nan]}, DataError, "mass1 that are not finite"),
        (PAIR | {"mass1": [36.0, -1.0]}, DataError, "not above zero"),
        (PAIR | {"f_lower": [20.0, 30.0]}, ConfigError, "from f_lower = 20 to 30 Hz.*--f-min"),
        ({key: PAIR[key] for key in ("mass1", "mass2")}, ConfigError, "does not say where its templates begin.*--f-min"),
        (PAIR | {"mass1": [b"a", b"b"]}, DataError, "no template bank"),
        ({"mchirp": [30.0, 30.0], "q": [0.5, 2.0], "spin1z": [0.1, 0.1]}, DataError, "from 0.5 to 2, .* give the masses of both"),
        ({"mchirp": [30.0, 30.0], "eta": [0.2, 0.26]}, DataError, "symmetric mass ratio of 0.26, above 1/4"),
    ],
)
def test_banks_that_are_none_for_aligned_models_are_refused_in_words(
    tmp_path: Path, columns: dict[str, object], kind: type[Exception], said: str
) -> None:
    path = pycbcs_file(tmp_path / "bank.hdf", columns)
    with pytest.raises(kind, match=said) as caught:
        TemplateBank.load(path)
    assert "bank.hdf" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<LIGO_LW>", b'<?xml version="1.0"?><LIGO_LW></LIGO_LW>', b"\x1f\x8bno gzip"])
def test_damaged_xml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bank.xml"
    path.write_bytes(content)
    with pytest.raises(DataError, match="give LIGO_LW XML with a table sngl_inspiral"):
        TemplateBank.load(path)


def test_templates_beyond_the_model_are_named_before_any_work(tmp_path: Path) -> None:
    light = TemplateBank(np.array([[36.0, 29.0, 0, 0], [12.0, 8.0, 0, 0], [3.0, 2.0, 0, 0]]), PlacedElsewhere(20.0, 2.0, "b"))
    with pytest.raises(DomainError, match=r"1 of 3 templates are too light for nr22 .* number 2 \(3 \+ 2 Msun.* raise --f-min to"):
        light.require_waveforms(gw.load_surrogate("nr22"))
    heavy = TemplateBank(np.array([[36.0, 29.0, 0, 0], [800.0, 700.0, 0, 0], [1500, 600, 0, 0]]), PlacedElsewhere(20.0, 28.0, "b"))
    with pytest.raises(
        DomainError, match=r"2 of 3 templates are too heavy for nr22 .* number 2 \(1500 \+ 600 .* lower --f-min to"
    ) as said:
        heavy.require_waveforms(gw.load_surrogate("nr22"))
    start = float(str(said.value).rpartition(" ")[2])
    TemplateBank(heavy.parameters, PlacedElsewhere(start, 28.0, "b")).require_waveforms(gw.load_surrogate("nr22"))
    for total in (3.1, 3.7, 4.1, 900.0, 1100.0, 1300.0):
        pair = np.array([[0.6 * total, 0.4 * total, 0, 0]])
        with pytest.raises(DomainError) as said:
            TemplateBank(pair, PlacedElsewhere(20.0, 28.0, "b")).require_waveforms(gw.load_surrogate("nr22"))
        start = float(str(said.value).rpartition(" ")[2])
        TemplateBank(pair, PlacedElsewhere(start, 28.0, "b")).require_waveforms(gw.load_surrogate("nr22"))
    light.save(tmp_path / "light.hdf5")
    strain = [word for name in ("H1", "L1") for word in ("--strain", f"{name}={tmp_path / 'no.hdf5'}")]
    out = tmp_path / "out"
    wrong = pycbcs_file(tmp_path / "wrong.hdf", PAIR | {"spin2y": [0.1, 0.1]})
    done = CliRunner().invoke(app, ["search", *strain, "--bank", str(wrong), "--out", str(out)])
    assert done.exit_code == 2
    assert not out.exists()
    done = CliRunner().invoke(app, ["search", *strain, "--bank", str(wrong), "--q-max", "3", "--out", str(out)])
    assert done.exit_code == 2
    assert "--q-max says how a bank is placed" in done.stderr


GW150914 = 1126259462.42
TRIGGERS = {"H1": 19.0, "L1": 13.0}
"""SNR to be had of it: 19.3 and 13.6 by this package's search."""


def test_pycbcs_own_filter_of_our_bank_finds_gw150914(data_dir, bank: TemplateBank, tmp_path: Path) -> None:
    from gwpy.timeseries import TimeSeries
    from pycbc.filter import MatchedFilterControl, highpass, resample_to_delta_t
    from pycbc.psd import interpolate, inverse_spectrum_truncation, welch
    from pycbc.strain import StrainSegments
    from pycbc.types import zeros

    bank.save(tmp_path / "bank.hdf5", "GWSML_NR22")
    for detector, least in TRIGGERS.items():
        file = data_dir(f"strain/{detector[0]}-{detector}_LOSC_4_V2-1126259446-32.hdf5")
        strain = TimeSeries.read(file, format="hdf5.gwosc").to_pycbc()
        strain = resample_to_delta_t(highpass(strain, 15.0), 1 / 2048).crop(1, 1) * 5.9e20
        (segment,) = StrainSegments(strain.astype(np.float32), 30, segment_start_pad=4, segment_end_pad=2).fourier_segments()
        psd = interpolate(welch(strain, seg_len=4 * 2048, seg_stride=2 * 2048), segment.delta_f)
        segment.psd = inverse_spectrum_truncation(psd, 4 * 2048, low_frequency_cutoff=20.0).astype(np.float32)
        segment /= segment.psd
        memory = zeros(len(segment), dtype=np.complex64)
        size = 2 * (len(segment) - 1)
        control = MatchedFilterControl(25.0, None, 5.0, size, segment.delta_f, np.complex64, [segment], memory, True)
        templates = FilterBank(
            str(tmp_path / "bank.hdf5"), len(segment), segment.delta_f, np.complex64, out=memory, low_frequency_cutoff=25.0
        )
        found = []
        for i in range(len(templates)):
            template = templates[i]
            _, norm, _, index, values = control.matched_filter_and_cluster(0, template.sigmasq(segment.psd), 4096)
            for at, value in zip(index, values, strict=True):
                time = float(strain.start_time) + (at + segment.analyze.start) / 2048
                found.append((abs(value) * norm, time, i))
        snr, time, i = max(found)
        assert least < snr < least + 1.5, (detector, snr)
        assert time == pytest.approx(GW150914, abs=0.03)
        assert PARAMETERS[i, :2].sum() == pytest.approx(70, abs=5)


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.exchange("template banks", "HDF5 and XML, by pycbc_inspiral", "PyCBC", "written")
def test_pycbc_inspiral_finds_gw150914_with_our_bank(data_dir, bank: TemplateBank, tmp_path: Path) -> None:
    """The offline program itself, on both files of the bank."""
    from gwpy.timeseries import TimeSeries

    strain = TimeSeries.read(data_dir("strain/H-H1_LOSC_4_V2-1126259446-32.hdf5"), format="hdf5.gwosc")
    strain.name = strain.channel = "H1:STRAIN"
    strain.write(str(tmp_path / "H1.gwf"), format="gwf")
    snr = {}
    for name in ("bank.hdf5", "bank.xml.gz"):
        bank.save(tmp_path / name, "GWSML_NR22")
        pycbc_program(
            "pycbc_inspiral",
            *("--frame-files", tmp_path / "H1.gwf", "--channel-name", "H1:STRAIN"),
            *("--gps-start-time", 1126259447, "--gps-end-time", 1126259477, "--pad-data", 1, "--sample-rate", 2048),
            *("--strain-high-pass", 15, "--segment-length", 30, "--segment-start-pad", 4, "--segment-end-pad", 2),
            *("--psd-estimation", "median", "--psd-segment-length", 4, "--psd-segment-stride", 2, "--psd-inverse-length", 4),
            *("--psd-low-frequency-cutoff", 20, "--low-frequency-cutoff", 25, "--bank-file", tmp_path / name),
            *(("--approximant", "GWSML_NR22") if "xml" in name else ()),
            *("--snr-threshold", 5, "--cluster-window", 1, "--chisq-bins", 16, "--output", tmp_path / "triggers.hdf"),
        )
        with h5py.File(tmp_path / "triggers.hdf") as file:
            loudest = int(np.argmax(file["H1/snr"]))
            snr[name] = file["H1/snr"][loudest]
            assert file["H1/end_time"][loudest] == pytest.approx(GW150914, abs=0.03)
            assert file["H1/chisq"][loudest] / (2 * file["H1/chisq_dof"][loudest] - 2) < 2
    assert 19.0 < snr["bank.hdf5"] < 20.5
    assert snr["bank.xml.gz"] == pytest.approx(snr["bank.hdf5"], rel=1e-4)


def pycbc_program(name: str, *words: object) -> None:
    script = Path(sys.executable).with_name(name)
    if not script.is_file():
        pytest.skip(f"{name} is not beside {sys.executable}")
    done = subprocess.run([sys.executable, str(script), *map(str, words)], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_bank_of_pycbc_serves_our_search_and_ours_comes_out_in_both_formats(data_dir, tmp_path: Path) -> None:
    theirs = pycbcs_file(
        tmp_path / "theirs.hdf", dict(zip(NAMES, PARAMETERS[:, [1, 0, 3, 2]].T, strict=True)) | {"f_lower": [25.0] * 9}
    )
    files = [f"{name}={data_dir(f'strain/{name[0]}-{name}_LOSC_4_V2-1126259446-32.hdf5')}" for name in TRIGGERS]
    words = ["search", "--strain", files[0], "--strain", files[1], "--bank", str(theirs), "--out", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    import json

    event = json.loads((tmp_path / "out" / "summary.json").read_text())["events"][0]
    assert event["time"] == pytest.approx(GW150914, abs=0.03)
    assert event["louder_in_background"] == 0
    assert event["H1_snr"] > 18
    for name in ("bank.hdf5", "bank.xml.gz"):
        np.testing.assert_allclose(
            PycbcBank(str(tmp_path / "out" / name), approximant="GWSML_NR22").table["mass1"], PARAMETERS[:, 0]
        )
