"""Conditions on the step: `where(t < 10, a, b)` and remainders of the step, in every reader of a rule."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from conftest import seed_of

import accelsim
from accelsim import first, minimum, momentum, optimizer, optimizers, problems, risk, simulate, step_size, switch, where
from accelsim.errors import InputError
from accelsim.program import exact, run
from accelsim.rule import Optimizer
from accelsim.schedules import parse
from accelsim.stats import z_scores
from accelsim.symbolic.algebra.field import vanishes
from accelsim.symbolic.algebra.intervals import Interval, enclosed
from accelsim.symbolic.algebra.time import time
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.latex.writer import rule_latex

CONDITIONS = [
    *("t < 10", "t <= 3", "t > 4", "t >= 5", "t == 7", "t != 7", "t == 0", "t > 0", "t % 5 == 4", "t % 5 == 0"),
    *("(t + 2) % 3 != 1", "t % 4 < 2", "t % 4 >= 3", "2*t > 9", "3 < t", "t % 7 == 9", "t*t - 6*t < -4"),
]


def made(body: Any, **declared: Any) -> Optimizer:
    return optimizer(positions="w", memories="m", returns="w", lr=step_size(0.1), beta=momentum(0.9), **declared)(body)


def chosen(condition: str) -> Optimizer:
    """Heavy ball that forgets its momentum where a condition does not hold."""

    def rule(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        m = where(eval(condition), h.beta * s.m, 0) + g
        return dict(w=s.w - h.lr * m, m=m)

    return made(rule)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_traced_condition_is_the_one_that_python_knows(condition: str) -> None:
    rule = chosen(condition)
    state: dict[str, Any] = {"w": 1.0, "m": 0.0}
    plain = dict(state)
    for t in range(40):
        state = run(rule.program(), state, t, dict(lr=0.5, beta=0.75), lambda points, t=t: (points[0] + t,))
        plain["m"] = (0.75 * plain["m"] if eval(condition) else 0) + (plain["w"] + t)
        plain["w"] -= 0.5 * plain["m"]
        assert state == plain


@pytest.mark.parametrize("condition", CONDITIONS)
def test_exact_risk_is_that_of_the_schedule_that_says_the_same(condition: str) -> None:
    problem = problems.make("linear_regression", dim=4, batch=2, label_noise=0.1)
    found = risk(chosen(condition), problem, 40)
    said = risk("heavy_ball", problem, 40, lr=0.1, beta=lambda t: 0.9 if eval(condition) else 0.0)
    assert found.risk == pytest.approx(said.risk, rel=1e-12)
    if condition not in ("t > 0",):  # at t = 0 there is no momentum
        assert found.risk[-1] != pytest.approx(risk("heavy_ball", problem, 40, lr=0.1, beta=0.9).risk[-1], rel=1e-6)


def test_simulation_agrees_with_exact_risk() -> None:
    problem = problems.make("quadratic", dim=4, grad_noise=1.0)
    found = simulate(chosen("t % 5 == 4"), problem, 30, 4000, seed=seed_of("conditions"))
    exact = [risk(chosen(condition), problem, 30).risk for condition in ("t % 5 == 4", "t % 5 == 3")]
    assert max(abs(z_scores(found, exact[0]))) < 5
    assert max(abs(z_scores(found, exact[1]))) > 10


@pytest.mark.parametrize("condition", ["t*t*t*t*t % 7 < 3", "(t*t*t*t*t - t*t*t*t*(t - 1)) % 7 == 1"])
def test_remainders_of_numbers_that_no_float_holds_are_exact(condition: str) -> None:
    problem = problems.make("quadratic", dim=2, spectrum="geometric:10", grad_noise=1.0)
    found = risk(chosen(condition), problem, 12_000).risk[-1]
    said = risk("heavy_ball", problem, 12_000, lr=0.1, beta=lambda t: 0.9 if eval(condition) else 0.0).risk[-1]
    assert found == pytest.approx(said, rel=1e-9)
    written = risk("sgd", problem, 12_000, lr="0.1*(t*t*t*t % 10)/9").risk[-1]
    assert written == pytest.approx(risk("sgd", problem, 12_000, lr=lambda t: 0.1 * (t**4 % 10) / 9).risk[-1], rel=1e-9)


def looking_ahead(last: int) -> Optimizer:
    """Lookahead on SGD as people write it, with the synchronization in step `last` of five."""

    @optimizer(positions="w slow", returns="slow", lr=step_size(0.1))
    def rule(s: Any, t: Any, h: Any) -> Any:
        w = s.w - h.lr * (yield s.w)
        slow = where(t % 5 == last, s.slow + 0.5 * (w - s.slow), s.slow)
        return dict(w=where(t % 5 == last, slow, w), slow=slow)

    return rule


def test_lookahead_written_with_a_remainder_is_the_shipped_one() -> None:
    shipped = optimizers.find("lookahead(sgd)")
    answer = equivalent(looking_ahead(4), shipped)
    assert answer.status == "equivalent"
    assert equivalent(looking_ahead(3), shipped).status == "refuted"


@pytest.mark.parametrize(
    ("one", "other", "status"),
    [
        ("t < 10", "t <= 9", "equivalent"),
        ("t < 5", "t < 4", "refuted"),
        ("t % 3 == 2", "(t + 1) % 3 == 0", "equivalent"),
        ("t % 3 == 2", "t % 3 == 1", "refuted"),
        ("t != 4", "t == 4", "refuted"),
        ("t > 0", "t >= 1", "equivalent"),
    ],
)
def test_rules_that_differ_in_a_condition_alone(one: str, other: str, status: str) -> None:
    assert equivalent(chosen(one), chosen(other)).status == status


def test_a_proof_with_remainders_is_checked_by_its_certificate() -> None:
    sgd, cycle = optimizers.find("sgd"), dict(lr="0.1*(t%4)")
    answer = equivalent(sgd, sgd, set_a=cycle, set_b=dict(lr="0.1*((t+8)%4)"))
    assert answer.status == "equivalent"
    assert verify_certificate(answer.certificate).holds
    refuted = equivalent(sgd, sgd, set_a=cycle, set_b=dict(lr="0.1*(t%3)"))
    assert refuted.status == "refuted"
    assert verify_certificate(refuted.certificate).holds
    assert not verify_certificate(spoilt(answer.certificate)).holds


def spoilt(document: Any) -> Any:
    """A certificate with another period."""
    return json.loads(json.dumps(document).replace("% 4)", "% 3)").replace("%4)", "%3)"))


def test_zeros_and_ones_are_their_own_squares_and_nothing_else_is() -> None:
    t = time()
    bits = sympy.Min(1, sympy.Mod(t, 5)), sympy.Min(1, sympy.Max(0, 10 - t)), sympy.Min(1, abs(t - 4))
    for bit in bits:
        assert vanishes(bit**3 - bit)
        assert vanishes(bit * (1 - bit))
        assert not vanishes(bit**2 - 1)
    assert not vanishes(bits[0] ** 2 - bits[1])
    half = sympy.Min(1, t / 2)
    assert not vanishes(half**2 - half)
    free = sympy.Min(1, sympy.Symbol("x", real=True) ** 2)
    assert not vanishes(free**2 - free)


def test_a_condition_is_written_in_iversons_bracket() -> None:
    text = rule_latex(chosen("t % 5 == 4"))
    assert r"\bmod 5" in text
    assert "max" not in text


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("s.m > 0", "minimum, maximum and sign"),
        ("t < h.beta", "declare beta as a switch"),
        ("t < 2.5", "not compare 2.5"),
        ("t % h.beta == 0", "by a whole number above 0"),
        ("t % 0 == 0", "by a whole number above 0"),
        ("s.m % 2 == 0", "by a whole number above 0"),
        ("t > 2 and t < 5", "where(t < 10, a, b)"),
        ("not t > 2", "where(t < 10, a, b)"),
    ],
)
def test_what_is_no_condition_on_the_step_is_told_so(condition: str, told: str) -> None:
    def rule(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        m = where(eval(condition), h.beta * s.m, 0) + g
        return dict(w=s.w - h.lr * m, m=m)

    with pytest.raises(InputError, match=re.escape(told)):
        made(rule)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda g, t: np.mean(g), "NumPy's mean() is not for the values of a rule: write mean(x)"),
        (lambda g, t: np.dot(g, g) * g, "write total(x*y)"),
        (lambda g, t: g / np.linalg.norm(g), "write sqrt(total(x*x))"),
        (lambda g, t: np.where(t < 5, g, 0), "write where(t < 10, a, b)"),
        (lambda g, t: where((t < 5) == (t > 2), g, 0), "may not branch on a condition"),
        (lambda g, t: (t < 5) * g, "where(condition, 1, 0) makes one of it"),
        (lambda g, t: g - (t < 5), "where(condition, 1, 0) makes one of it"),
        (lambda g, t: first(t) * g, "where(first(t), 1, 0) makes one of it"),
        (lambda g, t: minimum(1, first(t)) * g, "where(first(t), 1, 0) makes one of it"),
    ],
)
def test_what_would_be_another_rule_is_refused(wrong: Any, told: str) -> None:
    def rule(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        m = h.beta * s.m + wrong(g, t)
        return dict(w=s.w - h.lr * m, m=m)

    with pytest.raises(InputError, match=re.escape(told)):
        made(rule)


def test_a_switch_is_a_whole_number_to_compare_with() -> None:
    def rule(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        m = where(t < h.warm, 0, h.beta * s.m) + g
        return dict(w=s.w - h.lr * m, m=m)

    warmed = made(rule, warm=switch(3))
    problem = problems.make("quadratic", dim=3, grad_noise=1.0)
    for warm in (0, 3, 8):
        said = risk("heavy_ball", problem, 20, lr=0.1, beta=lambda t, warm=warm: 0.0 if t < warm else 0.9)
        assert risk(warmed, problem, 20, warm=warm).risk == pytest.approx(said.risk, rel=1e-12)


def test_the_average_over_coordinates_is_that_of_numpy() -> None:
    values = np.random.default_rng(seed_of("mean")).standard_normal((3, 7))
    assert accelsim.mean(values) == pytest.approx(values.mean(axis=-1, keepdims=True), rel=1e-15)


def test_whole_numbers_are_divided_without_rest() -> None:
    halving = made(halved)
    problem = problems.make("quadratic", dim=3, grad_noise=1.0)
    said = risk("heavy_ball", problem, 20, lr=lambda t: 0.1 * 0.5 ** (t // 5), beta=0.9)
    assert risk(halving, problem, 20).risk == pytest.approx(said.risk, rel=1e-12)


def halved(s: Any, t: Any, h: Any) -> Any:
    """Heavy ball, its step halved every five steps."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * 0.5 ** (t // 5) * m, m=m)


LARGE = ["0.1*((t*t*t*t)%10)/9", "((t**4)%7)/10", "where(first(t), 1, ((t*t*t*t)%10)/9)", "0.1+(-(t*t*t*t)%9)/100"]


@pytest.mark.parametrize("text", LARGE)
def test_a_schedule_takes_remainders_of_whole_numbers_that_no_float_holds(text: str) -> None:
    schedule = parse(text)
    for t in (1, 9742, 9743, 20001, 10**6 + 3, 10**9 + 7):
        true = float(eval(text.replace("first(t)", "t == 0"), {"where": where, "t": t}))
        assert schedule.at(t) == pytest.approx(true, abs=1e-15)
        assert float(schedule.at(t, exact)) == pytest.approx(true, abs=1e-15)
    assert float((9743.0**4) % 10) != 9743**4 % 10


@pytest.mark.parametrize("text", ["t%-3", "t%0.1", "7%(t+1)", "0.5*t%2", "t%0", "exp(t)%3", "t/2%3"])
def test_texts_take_remainders_where_rules_do(text: str) -> None:
    with pytest.raises(InputError, match="as t % 10"):
        parse(text)


def test_a_period_that_may_be_negative_bounds_no_remainder() -> None:
    step = Interval(Fraction(0), math.inf, False)
    t = sympy.Symbol("t", integer=True)
    for period, known in ((3, True), (-3, False)):
        found = enclosed(sympy.Mod(t, period, evaluate=False), lambda _: step)
        assert (found.low == 0) == known
