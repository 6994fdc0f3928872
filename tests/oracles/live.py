"""The rules against the implementations themselves, and the recording against both; needs torch, jax and the rest."""

from __future__ import annotations

import numpy as np
import pytest

from oracles.cases import IMPLEMENTATIONS, Case
from oracles.common import TOLERANCE, by_rule, distance, trajectory
from oracles.record import RECORDED

pytestmark = pytest.mark.filterwarnings("default")  # what other people's packages warn of is not ours


@pytest.mark.parametrize("case", IMPLEMENTATIONS, ids=lambda case: case.name)
def test_rule_and_recording_agree_with_the_implementation(case: Case) -> None:
    live = trajectory(case.run, case.scale)
    rule = trajectory(by_rule(case.rule, **case.hyperparameters), case.scale)
    assert distance(rule, live) <= TOLERANCE
    assert distance(np.load(RECORDED)[case.name], live) <= TOLERANCE
