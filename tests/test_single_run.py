"""A rule that has nothing left to choose is refuted by one run in which it queries other points."""

import json

import pytest

from accelsim.elementary import sign
from accelsim.optimizers import find
from accelsim.rule import momentum, optimizer, step_size
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.check.apart import left_to_choose
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.refute.single_run import refute_by_a_run
from accelsim.symbolic.system.pair import Pair

BALL = {"lr": "1", "beta": "1/2"}


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum())
def signed(s, t, h):
    """The sign of heavy ball's momentum."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * sign(m), m=m)


def verified(document, *rules):
    named = {str(rule): rule for rule in rules}
    return verify_certificate(json.loads(json.dumps(document)), named.__getitem__)


CASES = {
    "signed": (signed, {"beta": "3/5"}),  # only gradients that turn the momentum round tell
    "heavy_ball": (find("heavy_ball"), {"beta": "500001/1000000"}),
    "adamw": (find("adamw"), {"beta2": "1/3"}),
    "nadam": (find("nadam"), {"momentum_decay": "2"}),
}


@pytest.mark.parametrize("case", CASES)
def test_other_numbers_are_another_method(case):
    rule, other = CASES[case]
    whole = {"momentum_decay": "1"}
    known = {name: whole.get(name, "1/2") for name in left_to_choose(Pair(rule, rule))}
    answer = equivalent(rule, rule, known, {**known, **other})
    assert answer.status == "refuted"
    assert answer.certificate["counterexample"]["kind"] == "apart"
    assert verified(answer.certificate, rule).holds


def test_what_is_left_to_choose_is_not_refuted_by_one_run():
    assert refute_by_a_run(Pair(signed, signed, BALL, {"lr": "1"})) is None
    assert left_to_choose(Pair(signed, signed, BALL, {"lr": "1"})) == ["beta"]
    assert refute_by_a_run(Pair(signed, signed, BALL, BALL)) is None  # nor is what is the same
    schedule_free = find("schedule_free")
    known = dict(lr="1", beta="9/10", r="0", weight_lr_power="2")
    assert left_to_choose(Pair(schedule_free, schedule_free, {}, known)) == []
    assert left_to_choose(Pair(schedule_free, schedule_free, {}, known, free=("c",))) == ["c"]


def test_a_certificate_of_another_run_does_not_hold():
    answer = equivalent(signed, signed, BALL, {"lr": "1", "beta": "3/5"})
    document = answer.certificate
    assert verified(document, signed).holds
    found = document["counterexample"]
    alike = {**found, "gradients": [["1", "1"]]}  # on which both query the same
    assert not verified({**document, "counterexample": alike}, signed).holds
    with_choice = {**document, "set_b": {"lr": "1"}}
    assert not verified(with_choice, signed).holds
    early = {**found, "answers": [{"gradients": 0, "step": 1}]}
    assert not verified({**document, "counterexample": early}, signed).holds
