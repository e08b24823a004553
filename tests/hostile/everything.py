"""All hostile calls, from every module of cases."""

from __future__ import annotations

from tests.hostile import (
    command_cases,
    disk_cases,
    many_cases,
    model_cases,
    peer_cases,
    precessing_cases,
    reader_cases,
    strain_cases,
    surrogate_cases,
    witness_cases,
)
from tests.hostile.table import CASES, Case

MODULES = (
    surrogate_cases,
    strain_cases,
    model_cases,
    command_cases,
    many_cases,
    peer_cases,
    disk_cases,
    reader_cases,
    precessing_cases,
    witness_cases,
)


def cases() -> list[Case]:
    """The table, in the order in which the modules add to it."""
    return CASES
