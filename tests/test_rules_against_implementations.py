"""Each rule does what real implementations do on the same gradients, or else what its paper says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from oracles.cases import ADAMW, CASES, IMPLEMENTATIONS, LION, MOMENTUM, Case
from oracles.common import TOLERANCE, by_rule, distance, trajectory
from oracles.record import LIBRARIES, RECORDED

from accelsim import optimizers

DEVIATING = [case for case in CASES.values() if case.nominal is not None]


def stepped(case: Case) -> np.ndarray:
    """What the case's implementation did: recorded, or computed where it is a recursion of our own."""
    return trajectory(case.run, case.scale) if case.oracle == "paper" else np.load(RECORDED)[case.name]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_query_and_returned_iterate_agree_for_a_hundred_steps(case: Case) -> None:
    assert distance(trajectory(by_rule(case.rule, **case.hyperparameters), case.scale), stepped(case)) <= TOLERANCE


@pytest.mark.parametrize("case", DEVIATING, ids=lambda case: case.name)
def test_deviation_of_an_implementation_from_its_paper_has_the_size_recorded(case: Case) -> None:
    assert case.why
    assert case.nominal is not None
    nominal = trajectory(by_rule(case.rule, **case.nominal), case.scale)
    assert distance(nominal, stepped(case)) == pytest.approx(case.size, rel=0.05)


def test_every_shipped_rule_has_an_oracle() -> None:
    assert {case.rule for case in CASES.values()} >= set(optimizers.shipped())


def test_recording_covers_every_implementation_and_names_its_versions() -> None:
    with np.load(RECORDED) as recorded:
        assert set(recorded.files) == {"versions"} | {case.name for case in IMPLEMENTATIONS}
        assert set(json.loads(str(recorded["versions"]))) == {"python", *LIBRARIES}


@pytest.mark.parametrize(
    ("rule", "hyperparameters", "other"),
    [
        ("heavy_ball", MOMENTUM, "nesterov-torch.optim.SGD"),
        ("nesterov", MOMENTUM, "heavy_ball-torch.optim.SGD"),
        # epsilon outside the root but before the bias correction, as in the efficient form of Adam's paper
        ("adamw", ADAMW | dict(eps="0.01/(1 - 0.99**(t+1))**0.5"), "adamw-torch.optim.AdamW"),
        ("adamw", ADAMW | dict(weight_decay=0.0999), "adamw-torch.optim.AdamW"),
        ("lion", LION | dict(beta1=0.99, beta2=0.9), "lion-optax.lion"),
        ("signum", dict(lr=0.01, beta=0.8), "signum-optax.signum"),
        ("schedule_free", dict(lr=0.5, beta=0.9, c="1/(t+2)"), "schedule_free-schedulefree.SGDScheduleFree"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_rule_is_caught(rule: str, hyperparameters: dict, other: str) -> None:
    assert distance(trajectory(by_rule(rule, **hyperparameters)), stepped(CASES[other])) > 1e4 * TOLERANCE
