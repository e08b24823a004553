"""Killed with SIGKILL at random moments and before every change to the disk, then run again: nothing lost, nothing half written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile import interruption
from tests.hostile.interruption import Zygote

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as found:
        yield found


def test_a_replaced_folder_is_the_old_or_the_new_one_whenever_it_is_killed(zygote: Zygote, tmp_path: Path) -> None:
    assert interruption.killed_before_every_change(zygote, tmp_path) >= 8


def test_surrogate_training_resumes_to_the_same_weights(zygote: Zygote, tmp_path: Path) -> None:
    assert interruption.killed_in_surrogate_training(zygote, tmp_path) >= 1


def test_estimator_training_resumes_to_the_same_weights(zygote: Zygote, tmp_path: Path) -> None:
    assert interruption.killed_in_estimator_training(zygote, tmp_path) >= 1


def test_a_validation_neither_loses_nor_doubles_events(zygote: Zygote, tmp_path: Path) -> None:
    assert interruption.killed_in_validation(zygote, tmp_path) >= 4
