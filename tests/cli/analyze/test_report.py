"""The HTML report says what summary.json says, is self-contained, and reads its diagnostics honestly."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gwsurrogate_ml.cli.analyze.pipeline import announce, waveforms
from gwsurrogate_ml.cli.analyze.report import Report, read_efficiency, read_pareto_k, render
from gwsurrogate_ml.cli.page import Picture
from gwsurrogate_ml.cli.witness import report as witness
from gwsurrogate_ml.surrogate.load import load_model

SUMMARY: dict[str, Any] = {
    "matched_filter": {
        "H1": {"snr": 19.51, "time": 1126259462.4241, "chisq_per_dof": 1.07},
        "L1": {"snr": 13.22, "time": 1126259462.4172, "chisq_per_dof": 3.4},
        "network_snr": 23.57,
    },
    "posterior": {
        "chirp_mass": {"median": 30.52, "lower_90": 28.9, "upper_90": 32.1},
        "chi_eff": {"median": -0.012, "lower_90": -0.14, "upper_90": 0.1},
        "kick": {"median": 1.0, "lower_90": 0.5, "upper_90": 2.0},
    },
    "inference": {
        "n_draws": 50000, "sample_efficiency": 0.812, "pareto_k": 0.21, "log_evidence": -8000.25,
        "log_evidence_error": 0.002, "log_bayes_factor": 283.44, "seconds": 12.3,
    },
}  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\nnot really"


def make(**changes: Any) -> str:
    given: dict[str, Any] = {
        "title": "GW<150914>",
        "gps": 1126259462.4,
        "detectors": ("H1", "L1"),
        "summary": SUMMARY,
        "pictures": [Picture("snr", PNG, "SNR & time", "signal")],
        "command": "gwsml analyze --strain 'H1=a b.hdf5'",
        "provenance": {"seed": "0"},
        "version": "0.1.0",
        "date": "2026-01-01",
    }
    return render(Report(**(given | changes)))


class Checker(HTMLParser):
    """Collects texts and outside references, and insists that tags are balanced."""

    void = frozenset({"meta", "img", "link", "br", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parse(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    return checker


def test_page_is_balanced_escaped_and_self_contained() -> None:
    checker = parse(make())
    assert checker.open == []
    assert all(reference.startswith("data:image/png;base64,") for reference in checker.references)
    assert len(checker.references) == 1
    assert "GW<150914>" in "".join(checker.text)
    assert "gwsml analyze --strain 'H1=a b.hdf5'" in "".join(checker.text)
    assert "$" not in make()


def test_page_of_witness_subtraction_is_balanced_escaped_and_self_contained() -> None:
    band = {"low": 10.0, "high": 50.0, "features": ["A<B"], "held_back_power": 0.812, "resolution": 4.0}
    summary = {
        "model": "cleaner <1>",
        "bands": [band | {"subtracted": True, "leverage": 0.0123}, band | {"subtracted": False, "features": []}],
        "samples": {"subtracted": 0.8764, "passed_through": 0.1, "missing": 0.0235},
        "handed_back_as_it_was": False,
        "nulls": {"worst": 0.01, "shift": 0.01},
    }
    page = witness.render(summary, {"asd": PNG}, {"strain": "H1=a&b.hdf5", "versions": {"gwsurrogate-ml": "0.1.0"}})
    checker = parse(page)
    assert checker.open == []
    assert [reference[:22] for reference in checker.references] == ["data:image/png;base64,"]
    text = re.sub(r"\s+", " ", "".join(checker.text))
    for shown in ("H1=a&b.hdf5 · cleaner <1>", "A<B", "87.6% of", "10 to 50 Hz", "0.0123", "fails", "does not help"):
        assert shown in text, shown
    assert "handed back" not in page


def test_numbers_are_those_of_the_summary() -> None:
    text = re.sub(r"\s+", " ", " ".join(parse(make()).text))
    for shown in ("30.5", "28.9 to 32.1", "19.51", "13.22", "23.57", "81.2 %", "283.4", "-0.01", "-0.14 to 0.10"):
        assert shown in text, shown


def test_parameters_without_description_are_shown_too() -> None:
    assert "kick" in make()


def test_truths_add_columns_that_say_inside_or_not() -> None:
    assert "<th>inside</th>" not in make()
    text = " ".join(parse(make(truths={"chirp_mass": 33.0, "chi_eff": 0.05})).text).split()
    assert "<th>inside</th>" in make(truths={"chirp_mass": 33.0})
    row = text[text.index("Parameters") :]
    assert row.index("no") < row.index("yes")  # chirp mass outside comes before chi_eff inside


@pytest.mark.parametrize(("k", "grade"), [(0.2, "good"), (0.65, "fair"), (0.71, "bad"), (float("inf"), "bad")])
def test_pareto_k_is_graded_by_the_published_thresholds(k: float, grade: str) -> None:
    assert read_pareto_k(k)[0] == grade


def test_low_efficiency_is_called_bad_and_counted() -> None:
    grade, text = read_efficiency(0.01, 50_000)
    assert grade == "bad"
    assert "500 independent" in text


def test_bad_pareto_k_shows_in_the_page() -> None:
    worse = SUMMARY | {"inference": SUMMARY["inference"] | {"pareto_k": 0.9}}
    assert "heavier than a finite sample" in make(summary=worse)
    assert "heavier than a finite sample" not in make()


def test_diagnostics_that_are_not_finite_are_bad_not_an_error() -> None:
    worse = SUMMARY | {"inference": SUMMARY["inference"] | {"pareto_k": float("inf"), "log_evidence_error": float("nan")}}
    assert "heavier than a finite sample" in make(summary=worse)


def test_bad_chi_squared_shows_in_the_page() -> None:
    assert "Not consistent with" in make()
    assert "Some tension" not in make()
    filtered = SUMMARY["matched_filter"] | {"H1": SUMMARY["matched_filter"]["H1"] | {"chisq_per_dof": 1.73}}
    assert "Some tension with" in make(summary=SUMMARY | {"matched_filter": filtered})  # p = 0.8 %


def test_a_spectrum_from_a_short_stretch_is_said_to_narrow_the_intervals() -> None:
    assert "about 11.6 % too narrow. Give a longer file" in make(psd_segments=4)
    assert "about 3.6 % too narrow." in make(psd_segments=11)
    assert "about 0.3 % too narrow." in make(psd_segments=124)
    assert "periodograms" not in make()


@pytest.mark.parametrize(
    ("spectrum", "said"),
    [
        ({"periodograms": 11, "grade": "bad", "reading": "A short stretch of noise."}, "11 periodograms, bad. A short stretch"),
        ({"periodograms": 124, "grade": "good", "reading": "Fine."}, "124 periodograms, good.\n"),
        (None, ""),
    ],
)
def test_the_grade_of_the_spectrum_is_printed_at_the_end(
    spectrum: dict[str, Any] | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = {"flags": [], "time": {"given": 1.0, "centre": 1.0}, "sky": {"area_50": 60.0, "area_90": 180.0, "file": None}}
    announce(tmp_path, SUMMARY | rest | {"noise_spectrum": spectrum}, False)
    printed = capsys.readouterr().out
    assert said in printed
    assert ("noise spectrum" in printed) is (spectrum is not None)


def test_a_report_names_the_spins_modes_and_integral_of_its_waveforms() -> None:
    assumed = {
        name: re.sub(r"\s+", " ", make(extrinsic_ess=200.0, **waveforms(load_model(name)))) for name in ("nr22", "nrhm", "nrphm")
    }
    for name, said, not_said in [
        ("nr22", ("spins aligned with the orbit", "dominant (2,2) mode only", "time, inclination and pol"), "of nr22"),
        ("nrhm", ("spins aligned with the orbit", "(5,5) of nrhm", "polarization and phase"), "inclination and pol"),
        ("nrphm", ("spins in any direction", "(4,1)", "of nrphm", "polarization and phase"), "spins aligned"),
    ]:
        assert all(words in assumed[name] for words in said), name
        assert not_said not in assumed[name]
    again = re.sub(r"\s+", " ", make(extrinsic_ess=200.0, **waveforms(load_model("nrhm"), reweighted=True)))
    assert "(5,5) of nrhm" in again
    assert "time, inclination and pol" in again


def test_flags_stand_first_and_are_escaped() -> None:
    page = make(summary=SUMMARY | {"flags": ["poor residual: p < 1e-5 & a glitch"]})
    assert "p &lt; 1e-5 &amp; a glitch" in page
    assert page.index("Read this first") < page.index("Parameters</h2>")
    assert "Read this first" not in make()
    assert "Something is left" in make(residual_p=1e-4)
    assert "looks like the noise elsewhere" in make(residual_p=0.5)
