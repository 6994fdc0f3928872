"""Strategies hand on what they learn, pairs know what claims know, and counterexamples are what their documents say."""

import json

import pytest

from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.certify.schema import read
from accelsim.symbolic.check.counterexample import Shown
from accelsim.symbolic.check.equivalence import Equivalence
from accelsim.symbolic.find.answer import UNDECIDED, Answer
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.find.outcome import Findings, Outcome, Task, decide
from accelsim.symbolic.find.unknowns import substituted
from accelsim.symbolic.system.pair import Pair, Question
from accelsim.symbolic.system.tableau import time

REFUTED = {
    "minor": ("sgd", "heavy_ball", {}),
    "identity": ("heavy_ball", "nesterov", {}),
    "scale": ("sgd", "signum", {}),
    "itself": ("heavy_ball", "laprop", {}),
}


@pytest.fixture
def question():
    return Question(find("sgd"), find("heavy_ball"))


def answer_of(question, reason):
    return Answer(question.a, question.b, UNDECIDED, reason=reason)


def test_the_first_strategy_that_answers_is_the_last_that_is_tried(question):
    def learns(task, known):
        return Outcome(None, Findings(stuck=("here",), doubt="first"))

    def doubts(task, known):
        assert known.stuck == ("here",)  # what was learnt before is known
        return Outcome(None, Findings(doubt="second"))

    def answers(task, known):
        return Outcome(answer_of(task.question, known.doubt))

    def never(task, known):
        raise AssertionError

    outcome = decide(Task(question, Clock(60), (learns, doubts, answers, never)))
    assert (outcome.answer.reason, outcome.learnt.stuck) == ("second", ("here",))
    assert decide(Task(question, Clock(60), (learns, doubts))).answer is None


def test_of_answers_outside_of_ranges_the_first_is_kept_and_of_doubts_the_last(question):
    answers = [answer_of(question, reason) for reason in ("one", "two")]
    one, two = (Findings(outside=answer, doubt=answer.reason) for answer in answers)
    assert (one | two) == Findings(outside=answers[0], doubt="two")
    assert (two | one) == Findings(outside=answers[1], doubt="one")
    assert (one | Findings()) == one == (Findings() | one)


@pytest.mark.parametrize("kind", REFUTED)
def test_a_counterexample_is_what_is_read_of_its_document(kind):
    a, b, settings = REFUTED[kind]
    answer = equivalent(find(a), find(b), **settings)
    document = json.loads(json.dumps(answer.counterexample))
    shown = document.pop("shown")
    assert document["kind"] == kind
    assert json.loads(json.dumps(read(document).document())) == document
    assert json.loads(json.dumps(Shown.read(shown).document())) == shown
    other = {**document, "values": [*document["values"][:-1], "7/3"]}
    assert read(other) != read(document)


@pytest.mark.parametrize(
    ("a", "b", "free", "set_b"),
    [("schedule_free", "accelerated_sgd", (), {}), ("nesterov", "acsa", ("beta",), {}), ("nesterov", "nadam", (), {})],
)
def test_a_pair_knows_of_recurrences_what_a_claim_about_it_does(a, b, free, set_b):
    pair = Pair(find(a), find(b), set_b=set_b, free=free)
    claim = Equivalence(pair.a, pair.b, {}, {}, free=free, replaced=pair.replaced)
    assert (pair.derived, pair.anything, pair.functions) == (claim.derived, claim.anything, claim.open)


def test_what_is_given_for_a_recurrence_replaces_it():
    pair = Pair(find("sgd"), find("acsa"), set_b={"beta": "1/2"})
    assert pair.replaced == ("beta",)
    assert "beta" not in pair.derived
    assert "beta" in Pair(find("sgd"), find("acsa")).derived
    with pytest.raises(InputError, match="recurrence"):
        Pair(find("sgd"), find("acsa"), free=("lr",))


def test_functions_are_replaced_at_each_of_their_shifts():
    import sympy

    t, f, g, x = time(), sympy.Function("f", real=True), sympy.Function("g", real=True), sympy.Symbol("x", real=True)
    expression = f(t + 1) + x * f(t) + g(t)
    assert substituted(expression, {f: t**2, x: f(t)}) == (t + 1) ** 2 + f(t) * t**2 + g(t)
    assert substituted(expression, {f(t): g(t)}) == g(t + 1) + x * g(t) + g(t)
    assert substituted(expression, {}) == expression
