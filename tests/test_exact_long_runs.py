"""Rounding must not grow where moments decay."""

import numpy as np
import pytest

import accelsim
from accelsim.optimizers import find
from accelsim.problems import make

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("batch", [1, 16, 4096])
def test_risk_on_a_table_stays_positive_and_falls_for_a_thousand_steps(batch):
    problem = make("dataset", data="diabetes", batch=batch)
    bias = accelsim.risk(find("sgd"), problem, 1000, lr=0.05).bias
    assert (np.diff(bias) < 0).all()
    assert bias[-1] > 0


def test_the_slowest_direction_decays_at_its_own_rate_in_the_end():
    problem = make("dataset", data="diabetes", batch=10**9)  # as good as no sampling noise
    found = accelsim.risk(find("sgd"), problem, 4000, lr=0.2)
    late = found.steps > 2000
    slope = np.polyfit(found.steps[late], np.log(found.bias[late]), 1)[0]
    assert slope == pytest.approx(2 * np.log1p(-0.2 * problem.spectrum.min()), rel=1e-4)
