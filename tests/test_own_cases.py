"""Verdicts derived by hand are those that are given, or none is; and what looks for false ones finds them."""

import importlib
from dataclasses import replace

import pytest
from own_cases import simulation
from own_cases.asking import RIGHT, fits, judged, numbers
from own_cases.chance import Pair
from own_cases.questions import KINDS, NO, QUESTIONS, ROOMS, UNDECIDED, YES

from accelsim.optimizers import find
from accelsim.rule import Optimizer
from accelsim.symbolic.find.finder import equivalent

LEAST = 8  # questions of a kind
QUICK = [question for question in QUESTIONS if not question.slow]


def marked(question):
    """A question as a test's parameter; one whose answer is wrong today fails until it is right."""
    marks = [pytest.mark.xfail(strict=True, reason=question.wrong)] if question.wrong else []
    return pytest.param(question, id=str(question), marks=marks)


@pytest.mark.parametrize("question", [marked(question) for question in QUICK])
def test_a_verdict_is_the_one_that_was_derived(question):
    said = judged(question, certified=False)
    assert said == RIGHT or (question.undecided and said.startswith(UNDECIDED)), said


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_questions_and_near_misses(kind):
    asked = [question for question in QUESTIONS if question.kind == kind]
    assert len(asked) >= LEAST
    assert {YES, NO} <= {question.expect for question in asked}


def test_every_rule_here_is_asked_about():
    asked = {end for question in QUESTIONS for end in (question.a, question.b)}
    rooms = {room: vars(importlib.import_module(f"own_cases.{room}")) for room in ROOMS}
    rules = {f"{room}.{name}" for room, held in rooms.items() for name, x in held.items() if isinstance(x, Optimizer)}
    assert rules == {name for name in asked if "." in name}


def test_a_false_verdict_is_told():
    """Each part of a judgement, shown something that is not so."""
    question = next(q for q in QUESTIONS if (q.a, q.b) == ("momenta.average", "heavy_ball") and q.at)
    answer = equivalent(*question.rules)
    assert fits(question, answer)
    assert judged(replace(question, expect=NO)).startswith(YES)
    assert "constant" in judged(replace(question, constant="lr"))
    assert "lr is" in judged(replace(question, at=question.at.replace(": lr=1", ": lr=2")))
    assert numbers(question, answer)["lr"] == (1, 1)
    with pytest.raises(AssertionError, match="queries"):
        simulation.reproduces(replace(answer, map={**answer.map, "lr": "lr"}), {}, {}, (), 0)


def test_a_value_out_of_range_and_conditions_that_never_hold_are_told():
    answer = equivalent(find("sgd"), find("sgd"))
    outside = equivalent(find("heavy_ball"), find("heavy_ball"), set_a={"beta": "1/2"})
    with pytest.raises(AssertionError, match="out of range"):
        simulation.reproduces(replace(outside, map={"lr": "lr", "beta": "beta+1/2"}), {"beta": "1/2"}, {}, (), 0)
    with pytest.raises(simulation.Vacuous):
        simulation.reproduces(replace(answer, conditions=("t - 5 != 0",)), {}, {}, (), 0)


@pytest.mark.parametrize("seed", range(20))
def test_pairs_composed_by_chance_are_the_same_or_not(seed):
    """What the slow step asks about, on other gradients than those that an altered pair is chosen by."""
    assert Pair(seed, altered=False).apart(seed + 1) < simulation.TOLERANCE
    assert Pair(seed, altered=True).apart(seed + 1) > simulation.TOLERANCE
