"""Control at a laser power that is not told: filters side by side, and fixed controllers tuned on the mean cost."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.control_power import BANK, START, Bank, Gate, bayes, mean_cost, mixture, tuned
from gwsurrogate_ml.control.linear import lqg, optimal_cost
from gwsurrogate_ml.control.plant import make_plant
from gwsurrogate_ml.control.simulation import Estimating, simulate


def test_a_bank_of_one_filter_is_lqg() -> None:
    plant = make_plant(power=START)
    alone, bank = (simulate(plant, made, 0.5, 3, 1) for made in (Estimating(plant, 3), Bank(3, bayes, (START,))))
    np.testing.assert_allclose(bank.each, alone.each, rtol=1e-9)


@pytest.mark.slow
def test_the_filter_of_the_right_power_is_trusted_most() -> None:
    bank = Bank(16, bayes)
    simulate(make_plant(power=BANK[1]), bank, 15.0, 16, 2)
    assert bayes(bank.evidence).mean(axis=0).argmax() == 1
    untrained = Gate(len(BANK)).numpy()(bank.evidence)
    np.testing.assert_allclose(untrained, 1 / len(BANK))


@pytest.mark.slow
def test_a_fixed_controller_tuned_on_the_mean_cost_lies_between_lqg_and_the_bound() -> None:
    plants, share = mixture(0.5, 8.0, 5)
    loop = lqg(make_plant(power=START))
    told = share @ [optimal_cost(plant) for plant in plants]
    assert told < mean_cost(plants, share, tuned(loop, 0.5, 8.0)) < 0.995 * mean_cost(plants, share, loop)
