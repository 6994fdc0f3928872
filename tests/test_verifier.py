"""The verifier's parts on counterexamples made by hand: what they show is accepted, and nothing beside it."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
import sympy

from accelsim.elementary import sign
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.rule import optimizer, step_size
from accelsim.symbolic.certify import cases, impulses
from accelsim.symbolic.certify.enclosed import Enclosed
from accelsim.symbolic.certify.refutations import refutation_holds
from accelsim.symbolic.certify.responses import refuted_by_responses
from accelsim.symbolic.certify.verdict import Verified
from accelsim.symbolic.check.contradictions import AtLength, Case, Cases, Itself, Line, OnSequence, Sign, Term
from accelsim.symbolic.check.counterexample import CONSTANT, SCHEDULED, Run
from accelsim.symbolic.check.responses import Identity, Minor, Response, Scale
from accelsim.symbolic.find.finder import equivalent

BALL, SGD = find("heavy_ball"), find("sgd")
HALF = Fraction(1, 2)
LR, BETA = sympy.Symbol("lr"), sympy.Symbol("beta")


def run_of(*gradients, start=0):
    return Run(Fraction(start), tuple((Fraction(g),) for g in gradients))


def halves(name, t):
    """lr = 1 and beta = 1/2 at each step."""
    return {"lr": sympy.Integer(1), "beta": sympy.Rational(1, 2)}[name]


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, 3])
def test_a_rule_as_it_is_queries_what_its_recursion_makes(start):
    """Heavy ball at lr = 1, beta = 1/2 on the gradients 1, 2: its steps are -1, -5/2, -5/4."""
    shown = impulses.itself(BALL, halves, run_of(1, 2, 0, 0, start=start))
    points = [start, start - 1, start - Fraction(7, 2), start - Fraction(19, 4)]
    assert [[x.fraction for x in row] for row in shown] == [[p, p] for p in points]
    other = impulses.itself(BALL, lambda name, t: halves("beta", t), run_of(1, 2, 0, 0, start=start))
    assert [row[0].fraction for row in other] != points


def test_gradients_of_one_sample_at_one_point_are_one():
    @optimizer(positions="w", memories="", returns="w", lr=step_size())
    def twice(s, t, h):
        """Both gradients are taken at one point, on one sample."""
        g, also = yield s.w, s.w
        return dict(w=s.w - h.lr * (g + also))

    def ran(*rows, other=False):
        given = tuple(tuple(map(Fraction, row)) for row in rows)
        return [row[0].fraction for row in impulses.itself(twice, halves, Run(Fraction(0), given), other)]

    assert ran((1, 1), (0, 0)) == [0, -2]
    with pytest.raises(InputError, match="one sample at one point"):
        ran((1, 2), (0, 0))
    assert ran((1, 2), (0, 0), other=True) == [0, -2]  # another rule's: the first of them counts


@pytest.mark.parametrize(("text", "value"), [("1/2", "1/2"), ("t/4", "3/4"), ("sqrt(t + 1)", "2")])
def test_a_number_may_be_written_in_the_step(text, value):
    assert impulses.read(text, 3) == sympy.sympify(value)


@pytest.mark.parametrize("text", ["1/(t - 3)", "sqrt(2 - t)", "lr"])
def test_what_is_no_real_number_is_not_read(text):
    with pytest.raises(InputError):
        impulses.read(text, 3)


def test_responses_of_a_linear_part_are_geometric_sums():
    """Heavy ball after a gradient of 1 at step s: -lr (1 + beta + ... + beta^(k - 1)) k steps later."""

    def unknown(name, t):
        return {"lr": LR, "beta": BETA}[name]

    keys = [Response(t, 0, s, 0, 0) for s in (0, 1) for t in range(1, 5)]
    found = impulses.answers(BALL, unknown, lambda *place: 0, keys, {}, False)
    sums = [-LR * sum((BETA**i for i in range(key.step - key.impulse)), sympy.Integer(0)) for key in keys]
    assert [sympy.expand(x - y) for x, y in zip(found, sums, strict=True)] == [0] * len(keys)
    assert sympy.expand(found[2] - sums[1]) != 0
    (started,) = impulses.answers(BALL, unknown, lambda *place: 0, [Response(2, 0, -1, 0, 0)], {}, False)
    assert started == 1  # a translation is followed


# -- counterexamples as data -------------------------------------------------------------------------------------------

ITSELF = Itself(
    hyperparameters={"lr": "1"},
    unknown=SCHEDULED,
    relaxed=(),
    gradients=[["1", "-2"]],
    lengths=["1", "3"],
    answers=[AtLength(1, 0, 0), AtLength(2, 0, 1)],
    values=["-1", "3"],
    roots={},
    lines=[],
)


def test_a_sequence_is_run_at_each_length_that_is_asked_for():
    runs = ITSELF.runs(1)
    assert runs == {(0, 0): run_of(1, -2, 0), (0, 1): run_of(3, -6, 0)}
    queries = {place: impulses.itself(SGD, halves, run) for place, run in runs.items()}
    assert [x.fraction for x in ITSELF.seen_in(queries)] == [-1, 3]
    assert (0, 1) not in replace(ITSELF, answers=ITSELF.answers[:1]).runs(1)


def test_the_sign_of_one_gradient_at_a_time_is_turned():
    found = identity(gradients=[[["1"], ["2"], ["0"]]], alike=[[[0], [0], [0]]], answers=[Response(2, 0, 1, 0, 0)])
    runs = found.runs(1)
    assert runs == {(0,): run_of(1, 2, 0), (0, 1, 0): run_of(1, -2, 0)}
    queries = {place: impulses.itself(SGD, halves, run) for place, run in runs.items()}
    assert [x.fraction for x in found.seen_in(queries)] == [-1]  # what one gradient does: ((-3) - 1)/(2*2)


# -- responses ---------------------------------------------------------------------------------------------------------


CLAIMED = dict(hyperparameters={"lr": "1", "beta": "1/2"}, unknown=CONSTANT, relaxed=(), gradients=[], alike=[])


def identity(**changed):
    """Heavy ball (lr = 1, beta = 1/2) moves on after a gradient, SGD does not: 2 (3/2 - lr) - 2 (1 - lr) = 1."""
    whole = dict(
        **CLAIMED,
        answers=[Response(1, 0, 0, 0, 0), Response(2, 0, 0, 0, 0)],
        values=["-1", "-3/2"],
        cofactors=["-2", "2"],
        left="1",
    )
    return Identity(**{**whole, **changed})


def minor(**changed):
    """The determinant of heavy ball's moves from t = 2 to t = 3 and 4 after impulses at t = 0 and 1, which is zero."""
    answers = [Response(t, 0, s, 0, 0) for t in (2, 3, 4) for s in (0, 1)]
    whole = dict(
        **CLAIMED,
        answers=answers,
        values=["-3/2", "-1", "-7/4", "-3/2", "-15/8", "-7/4"],
        since=[2],
        determinant="0",
        other="0",
        unless=[],
    )
    return Minor(**{**whole, **changed})


def judged(found, a=BALL, b=SGD, seen=None):
    def symbol(name, t):
        return sympy.Symbol(name)

    seen = seen or [Enclosed(Fraction(value)) for value in found.values]
    return refuted_by_responses(found, a, b, halves, symbol, lambda: seen)


def test_cofactors_with_which_differences_make_one_refute():
    assert judged(identity()).holds
    assert identity().otherwise() == "-1 at t = 2 after a gradient of 1 at t = 0 alone, not at -3/2"


@pytest.mark.parametrize(
    "changed",
    [
        dict(cofactors=["-2", "3"]),
        dict(cofactors=["-2/lr", "2/lr"], left="1/lr"),  # where lr is zero they say nothing
        dict(left="2"),
        dict(cofactors=["-2"]),
        dict(cofactors=["0", "0"], left="0"),
    ],
)
def test_other_cofactors_do_not_refute(changed):
    verdict = judged(identity(**changed))
    assert isinstance(verdict, Verified)
    assert not verdict.holds


def test_answers_that_the_rule_does_not_give_refute_nothing():
    found = identity(values=["-1", "-2"], cofactors=["-1", "1"])
    assert not judged(found, seen=[Enclosed(Fraction(-1)), Enclosed(Fraction(-3, 2))]).holds


@pytest.mark.parametrize(
    "changed",
    [
        dict(answers=[Response(1, 0, 0, 1, 0), Response(2, 0, 0, 0, 0)]),
        dict(answers=[Response(1, 0, 0, 0, 0)]),
        dict(gradients=[[["0"], ["0"], ["0"]]], alike=[[[0]] * 3]),
    ],
)
def test_answers_that_do_not_fit_together_are_said_to(changed):
    with pytest.raises(InputError):
        judged(identity(**changed), seen=[Enclosed(Fraction(-1)), Enclosed(Fraction(-3, 2))])


def test_a_determinant_that_a_rule_of_fewer_memories_cannot_have_refutes():
    single = [Response(2, 0, 0, 0, 0), Response(1, 0, 0, 0, 0)]
    found = minor(answers=single, values=["-3/2", "-1"], since=[1], determinant="-1/2")
    assert judged(found).holds  # SGD does not move on
    assert not judged(replace(found, determinant="-1/3")).holds
    assert not judged(found, b=BALL).holds
    assert not judged(minor()).holds  # heavy ball has one memory, and a determinant of two rows is 0
    assert not judged(replace(minor(), answers=minor().answers[:4], values=minor().values[:4], since=[])).holds


def test_lengths_refute_only_a_rule_to_which_they_are_all_the_same():
    @optimizer(positions="w", memories="", returns="w", lr=step_size())
    def signs(s, t, h):
        """A step along the sign."""
        g = yield s.w
        return dict(w=s.w - h.lr * sign(g))

    found = Scale(
        hyperparameters={"lr": "1"},
        unknown=SCHEDULED,
        relaxed=(),
        gradients=[],
        alike=[],
        answers=[Response(1, 0, 0, 0, 0)],
        lengths=["1", "2"],
        values=["-1", "-2"],
    )
    assert [run.gradients[0][0] for run in found.runs(1).values()] == [1, 2]
    assert judged(found, a=SGD, b=signs).holds
    assert not judged(found, a=SGD, b=BALL).holds
    assert not judged(replace(found, values=["-1", "-1"]), a=SGD, b=signs).holds


# -- cases -------------------------------------------------------------------------------------------------------------


@optimizer(positions="w", memories="", returns="w", lr=step_size())
def along_sign(s, t, h):
    """A step along the sign."""
    g = yield s.w
    return dict(w=s.w - h.lr * sign(g))


def in_cases(**changed):
    """SGD (lr = 1) on the gradients 1 and 2; a step along the sign would be (1 - lr) - (2 - lr) = -1 apart."""
    whole = dict(
        hyperparameters={"lr": "1"},
        unknown=SCHEDULED,
        relaxed=(),
        gradients=[["1"], ["2"]],
        answers=[OnSequence(0, 1), OnSequence(1, 1)],
        values=["-1", "-2"],
        cases=[Case(signs=[], lines=[Line("1", [Term(0, "-1"), Term(1, "1")])])],
    )
    return Cases(**{**whole, **changed})


def test_a_contradiction_in_the_only_case_refutes():
    found = in_cases()
    assert cases.refuted(found, SGD, along_sign, {}) is None
    assert found.runs(1) == {(0,): run_of(1, 0), (1,): run_of(2, 0)}


@pytest.mark.parametrize(
    "changed",
    [
        dict(cases=[]),
        dict(cases=[Case([Sign("lr[0] - 1", 1)], in_cases().cases[0].lines)]),  # what if it is not positive?
        dict(cases=[Case([], [Line("1", [Term(0, "1"), Term(1, "1")])])]),
        dict(cases=[Case([], [Line("2", [Term(0, "-1"), Term(1, "1")])])]),
        dict(cases=[Case([], [])]),
        dict(values=["-1", "-3"]),
        dict(answers=[OnSequence(0, 1)]),
    ],
)
def test_other_cases_do_not(changed):
    assert cases.refuted(in_cases(**changed), SGD, along_sign, {})


def test_all_signs_of_a_polynomial_are_all_cases():
    (line,) = in_cases().cases
    whole = [Case([Sign("lr[0] - 1", value)], line.lines) for value in (1, 0, -1)]
    assert cases.refuted(in_cases(cases=whole), SGD, along_sign, {}) is None
    assert cases.refuted(in_cases(cases=whole[:2]), SGD, along_sign, {})


@pytest.mark.parametrize(
    "changed", [dict(gradients=[]), dict(gradients=[["1"] * 6]), dict(cases=[Case([Sign("sign(lr[0])", 1)], [])])]
)
def test_cases_that_make_no_sense_are_said_to(changed):
    with pytest.raises(InputError):
        cases.refuted(in_cases(**changed), SGD, along_sign, {})


# -- whole documents ---------------------------------------------------------------------------------------------------


def test_a_refutation_holds_for_its_rules_and_with_its_numbers_alone():
    document = json.loads(json.dumps(equivalent(BALL, SGD).certificate))
    assert refutation_holds(document, BALL, SGD).holds
    assert not refutation_holds(document, BALL, BALL).holds
    found = document["counterexample"]
    for key in ("values", "gradients" if found["gradients"] else "answers"):
        others = {**document, "counterexample": {**found, key: found[key][:-1]}}
        with pytest.raises(InputError):
            refutation_holds(others, BALL, SGD)
    told = found["shown"]["runs"][0]
    spoilt = {**found["shown"], "runs": [{**told, "a": told["b"]}, *found["shown"]["runs"][1:]]}
    assert not refutation_holds({**document, "counterexample": {**found, "shown": spoilt}}, BALL, SGD).holds
