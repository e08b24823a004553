"""Today's results to the last digit: what is moved or renamed changes no number (`make_record` writes the record)."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import pytest

from tests.record import results
from tests.record.comparison import Entry, differences, load, this_platform
from tests.record.make_record import RECORD


@lru_cache
def record() -> tuple[bool, dict[str, Entry]]:
    """Whether this is the platform of the record, and its entries; says so where it is not."""
    made_on, entries = load(RECORD)
    here = this_platform()
    other = [f"{name} {here.get(name)} (recorded {value})" for name, value in made_on.items() if here.get(name) != value]
    if other:
        warnings.warn(f"numbers are compared closely, not to the last digit, as here is {', '.join(other)}", stacklevel=2)
    return not other, entries


@pytest.mark.slow
@pytest.mark.parametrize("label", results.GROUPS)
def test_no_number_moves(label: str) -> None:
    """Every number is the recorded one: on the record's platform to the last digit.

    Another processor or another version of a library rounds otherwise. What is computed in one go must then agree to 1e-9, or to
    what the group says where it refines, inverts or computes in single precision. Draws cannot: a flow is fitted to weights, and
    draws are kept or not by comparing numbers, so that a last digit leads to other draws of the same distribution. Of these the log
    evidence is compared, within five times its error.
    """
    same, entries = record()
    group = results.GROUPS[label]
    found = {f"{label}/{name}": Entry.of(value) for name, value in group().items()}
    recorded = {name: entry for name, entry in entries.items() if name.startswith(f"{label}/")}
    said = differences(found, recorded, group.close, same)
    assert not said, f"{len(said)} of {len(recorded)} entries moved\n" + "\n".join(said)


def test_every_entry_of_the_record_belongs_to_a_group() -> None:
    assert {name.split("/")[0] for name in record()[1]} == set(results.GROUPS)


def test_one_last_digit_is_seen_and_named() -> None:
    whole, long = np.linspace(1.0, 2.0, 10), np.linspace(1.0, 2.0, 1000)
    recorded = {"whole": Entry.of(whole), "long": Entry.of(long)}
    assert differences(recorded, recorded, 1e-9, True) == []
    for name, values, place in (("whole", whole, 3), ("long", long, 501)):
        moved = values.copy()
        moved[place] = np.nextafter(moved[place], 3.0)
        (said,) = differences({**recorded, name: Entry.of(moved)}, recorded, 1e-9, True)
        assert said.startswith(name)
        assert ("1 of 10 numbers differ, in the worst 15 digits agree" in said) == (name == "whole")
        assert differences({**recorded, name: Entry.of(moved)}, recorded, 1e-9, False) == []
        (said,) = differences({**recorded, name: Entry.of(values * (1 + 1e-8))}, recorded, 1e-9, False)
        assert "largest relative difference 1.0e-08" in said
    (said,) = differences({"whole": recorded["whole"]}, recorded, 1e-9, True)
    assert said == "long: recorded, but not computed any more"
    (said,) = differences({**recorded, "whole": Entry.of(whole.astype(np.float32))}, recorded, 1e-9, True)
    assert "<f4" in said


def test_elsewhere_draws_are_judged_by_their_evidence() -> None:
    def entries(evidence: float, draw: float) -> dict[str, Entry]:
        numbers = {"log_evidence": evidence, "log_evidence_error": 0.01, "draw": draw}
        return {name: Entry.of(value) for name, value in numbers.items()}

    recorded = entries(-100.0, 1.0)
    assert len(differences(entries(-100.0, 2.0), recorded, None, True)) == 1
    assert differences(entries(-100.05, 2.0), recorded, None, False) == []
    (said,) = differences(entries(-100.5, 1.0), recorded, None, False)
    assert "by 35.4 errors" in said
