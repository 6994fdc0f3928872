"""Rules and their tracer: what every rule keeps to, and what a wrong rule or a wrong value is told."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from conftest import seed_of
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import optimizers, program
from accelsim.elementary import first, maximum, sqrt, total, where
from accelsim.errors import InputError
from accelsim.rule import Hyperparameter, Optimizer, momentum, optimizer, real, step, step_size, switch, weight
from accelsim.schedules import Schedule, cosine, linear, parse, recurrence, warmup

WRAPPED = (
    "tail_average(jain)",
    "ema(tail_average(sgd))",
    "tail_average(mars_exact_sgd)",
    "lookahead(schedule_free)",
    "outer_momentum(jain)",
    "lawa(heavy_ball)",
)
RULES = {**optimizers.shipped(), **{n: optimizers.find(n) for n in WRAPPED}}
RATIONAL = {name: rule for name, rule in RULES.items() if "eps" not in rule.hyperparameters}
LENGTH = 6

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
every_rational_rule = pytest.mark.parametrize("rule", RATIONAL.values(), ids=RATIONAL.keys())
few = settings(max_examples=30, deadline=None, derandomize=True)


@st.composite
def values(draw: Any, rule: Optimizer, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Hyperparameters within their ranges, three decimals each; averaging weights stay the released ones."""
    drawn = {}
    for name, declared in rule.hyperparameters.items():
        if name == "rows":  # of a matrix of five coordinates
            drawn[name] = draw(st.sampled_from([1, 5]))
        elif declared.switch:
            drawn[name] = draw(st.integers(max(0, int(declared.low)), LENGTH))
        elif not callable(getattr(declared.default, "update", None)) and name not in without:
            low, high = max(declared.low, -1.0), min(declared.high, 2.0)
            drawn[name] = draw(st.integers(math.floor(1000 * low) + 1, math.ceil(1000 * high) - 1)) / 1000
    return drawn


def run(rule: Optimizer, point: Any, gradients: Any, number: Any = float, **given: Any) -> list[dict[str, Any]]:
    """States after each step of the rule itself; all gradients of a step are `gradients[t]` plus the point's tenth."""
    state, states = rule.start(point), []
    for (t, h), g in zip(rule.rows(number, **given), gradients, strict=False):

        def gradient(*points: Any, g: Any = g) -> Any:
            found = tuple(g + point / 10 for point in points)
            return found if len(found) > 1 else found[0]

        state = step(rule, state, t, h, gradient)
        states.append(state)
    return states


def whole(name: str, shape: tuple[int, ...] = (LENGTH, 2)) -> np.ndarray:
    """Whole numbers from -9 to 9, none of them zero."""
    draws = np.random.default_rng(seed_of(name)).integers(1, 10, (2, *shape))
    return draws[0] * np.where(draws[1] > 5, 1, -1)


# --- what every rule keeps to -----------------------------------------------------------------------------------------


@every_rule
@few
@given(data=st.data())
def test_traced_program_equals_the_rule_bit_for_bit(rule: Optimizer, data: Any) -> None:
    given_values = data.draw(values(rule))
    traced = rule.program(given_values)
    gradients = np.random.default_rng(seed_of(rule.name)).standard_normal((LENGTH, 5))
    state = rule.start(np.linspace(-1.0, 2.0, 5))
    for (t, h), g, plain in zip(
        rule.rows(**given_values), gradients, run(rule, state[rule.returns], gradients, **given_values), strict=False
    ):

        def gradient(points: tuple[Any, ...], g: Any = g) -> tuple[Any, ...]:
            return tuple(g + point / 10 for point in points)

        state = program.run(traced, state, t, h, gradient)
        assert state.keys() == plain.keys()
        for name in rule.states:
            assert np.array_equal(state[name], plain[name]), name


def test_bit_for_bit_would_notice_a_reordered_sum() -> None:
    def reordered(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        m = h.beta * s.m + g
        return dict(w=s.w - h.alpha * g - h.eta * m, m=m)

    given_values = dict(eta=0.3, alpha=0.1, beta=0.9)
    gradients = np.random.default_rng(seed_of("reordered")).standard_normal((LENGTH, 5))
    one, other = (
        run(rule, np.ones(5), gradients, **given_values)[-1]["w"]
        for rule in (made(reordered, memories="m"), RULES["accelerated_sgd"])
    )
    assert np.allclose(one, other)
    assert not np.array_equal(one, other)


@every_rational_rule
@few
@given(data=st.data())
def test_rational_run_equals_float_run(rule: Optimizer, data: Any) -> None:
    # r and weight_lr_power are exponents: rational only where they are whole
    given_values = data.draw(values(rule, without=("r", "weight_lr_power")))
    gradients = whole(rule.name)[:, 0].tolist()
    exact = run(rule, Fraction(3, 2), map(Fraction, gradients), program.exact, **given_values)
    rounded = run(rule, 1.5, map(float, gradients), **given_values)
    for one, other in zip(exact, rounded, strict=True):
        for name in rule.states:
            assert isinstance(one[name], Fraction | int), name
            assert float(one[name]) == pytest.approx(other[name], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("rule", [r for r in RULES.values() if r.name not in RATIONAL], ids=str)
def test_an_irrational_root_in_a_rational_run_is_said(rule: Optimizer) -> None:
    whole_powers = {"kappa": 1} if "kappa" in rule.hyperparameters else {}
    with pytest.raises(InputError, match="not rational"):
        run(rule, Fraction(1), map(Fraction, (0.125, 0.25, 0.375)), program.exact, **whole_powers)  # too short to clip


@every_rule
def test_without_weight_decay_a_moved_start_and_problem_move_the_run(rule: Optimizer) -> None:
    decay = {"weight_decay": 0} if "weight_decay" in rule.hyperparameters else {}
    given_values = {k: 0.25 for k, v in rule.hyperparameters.items() if v.default is None} | decay
    gradients = whole(rule.name).astype(float)
    shift = 8.0  # moves the quadratic too: its gradient at a moved point is shift / 10 larger, taken off here
    here = run(rule, np.array([1.0, -2.0]), gradients, **given_values)
    there = run(rule, np.array([1.0, -2.0]) + shift, gradients - shift / 10, **given_values)
    for one, other in zip(here, there, strict=True):
        for name in rule.states:
            moved = shift if name in rule.positions else 0.0
            np.testing.assert_allclose(other[name] - moved, one[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [n for n, r in RULES.items() if "weight_decay" in r.hyperparameters])
def test_with_weight_decay_a_moved_start_does_not_move_the_run(name: str) -> None:
    rule, gradients = RULES[name], whole(name).astype(float)
    here, there = (run(rule, 1.0 + c, gradients[:, 0] - c / 10, lr=0.1, weight_decay=0.5)[-1] for c in (0.0, 8.0))
    assert abs(there[rule.returns] - 8 - here[rule.returns]) > 0.1


@every_rule
def test_single_precision_stays_single(rule: Optimizer) -> None:
    given_values = {k: 0.25 for k, v in rule.hyperparameters.items() if v.default is None}
    for state in run(rule, np.ones(3, np.float32), whole(rule.name, (LENGTH, 3)).astype(np.float32), **given_values):
        assert {value.dtype for value in state.values()} == {np.dtype(np.float32)}


@every_rule
def test_summary_and_source_are_there_and_returned_state_is_a_position(rule: Optimizer) -> None:
    assert rule.doc.endswith(".")
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|doi:10\.|openreview:\w", rule.source)
    assert rule.returns in rule.positions


def test_shared_cores_are_shared() -> None:
    """With a flat preconditioner, epsilon far above the gradients, each Adam-type rule is its plain variant."""
    flat = dict(eps=1e9, weight_decay=0)
    gradients = whole("shared").astype(float)[:, 0]
    pairs = [
        (dict(rule="simplified_ademamix", beta1=0.9, alpha=2), dict(rule="simplified_ademamix_sgd", beta=0.9, alpha=2)),
        (dict(rule="schedule_free_adamw", beta1=0.9), dict(rule="schedule_free", beta=0.9)),
        (dict(rule="ademamix", beta1=0, beta3=0.9, alpha=2), dict(rule="ademamix_sgd", beta1=0, beta3=0.9, alpha=2)),
    ]
    for adaptive, plain in pairs:
        one = run(RULES[str(adaptive.pop("rule"))], 1.0, gradients, lr=1e8, **adaptive, **flat)
        other = run(RULES[str(plain.pop("rule"))], 1.0, gradients, lr=0.1, **plain)
        returned = "x" if "x" in one[0] else "w"
        assert one[-1][returned] == pytest.approx(other[-1][returned], rel=1e-6)


# --- averages of any rule ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sgd", "jain", "schedule_free", "lion"])
@pytest.mark.parametrize("start", [0, 1, 3, LENGTH])
def test_tail_average_is_the_mean_after_its_start_and_leaves_the_rule_alone(name: str, start: int) -> None:
    base, averaged = optimizers.find(name), optimizers.find(f"tail_average({name})")
    given_values = {k: 0.3 for k, v in base.hyperparameters.items() if v.default is None}
    gradients = whole(name).astype(float)
    plain = run(base, np.ones(2), gradients, **given_values)
    wrapped = run(averaged, np.ones(2), gradients, start=start, **given_values)
    iterates = [state[base.returns] for state in plain]
    for t, state in enumerate(wrapped):
        np.testing.assert_array_equal(state[base.returns], iterates[t])
        expected = np.mean(iterates[start : t + 1], axis=0) if t >= start else iterates[t]
        np.testing.assert_allclose(state[averaged.returns], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "heavy_ball", "jain"])
def test_lookahead_goes_on_from_its_slow_iterate_at_the_end_of_each_period(name: str) -> None:
    base, wrapped = optimizers.find(name), optimizers.find(f"lookahead({name})")
    given_values = {k: 0.3 for k, v in base.hyperparameters.items() if v.default is None}
    gradients = whole(name).astype(float)
    states = run(wrapped, np.ones(2), gradients, period=3, slow=0.25, **given_values)
    plain = run(base, np.ones(2), gradients, **given_values)
    for state, alone in zip(states[:2], plain, strict=False):
        np.testing.assert_array_equal(state[base.returns], alone[base.returns])
        np.testing.assert_array_equal(state["lookahead"], np.ones(2))
    end = plain[2][base.returns]
    for k, value in states[2].items():
        back = 0.75 * (1 - end) if k in base.positions else 0  # all positions move alike
        expected = 0.75 + 0.25 * end if k == "lookahead" else plain[2][k] + back
        np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_lookahead_that_goes_all_the_way_is_the_rule_itself() -> None:
    gradients = whole("all the way").astype(float)
    kept = run(optimizers.find("lookahead(heavy_ball)"), np.ones(2), gradients, lr=0.1, beta=0.5, slow=1, period=2)
    plain = run(optimizers.find("heavy_ball"), np.ones(2), gradients, lr=0.1, beta=0.5)
    np.testing.assert_allclose([s["w"] for s in kept], [s["w"] for s in plain], rtol=1e-12)


def test_mars_clips_what_is_longer_than_1_and_nothing_else() -> None:
    gradients = whole("mars").astype(float)
    short, long = (
        [run(RULES["mars"], np.ones(2), scale * gradients, lr=0.1, clip=clip)[-1] for clip in (0, 1)]
        for scale in (0.01, 1.0)
    )
    assert np.linalg.norm(0.1 * np.ones(2) + 0.01 * gradients[0]) * (1 + 0.025 * 19) < 1  # corrected, it is not longer
    np.testing.assert_array_equal(short[0]["v"], short[1]["v"])
    assert np.all(long[0]["v"] > 2 * long[1]["v"])
    assert long[1]["v"].sum() <= LENGTH * 0.01  # squares of gradients of length 1, each with weight 1 - beta2


def test_polyak_average_of_sgd_is_schedule_free_without_momentum() -> None:
    gradients = map(Fraction, whole("polyak")[:, 0].tolist())
    one, two = itertools.tee(gradients)
    average = run(optimizers.find("tail_average(sgd)"), Fraction(1), one, program.exact, lr=0.1)[-1]
    free = run(optimizers.find("schedule_free"), Fraction(1), two, program.exact, lr=0.1, beta=0)[-1]
    assert average["tail_average"] == free["x"]


def test_a_wrapped_rule_is_one_object_and_says_what_it_is() -> None:
    wrapped = optimizers.find("tail_average(sgd)")
    assert wrapped is optimizers.find("tail_average(sgd)")
    assert str(wrapped) == "tail_average(sgd)"
    assert wrapped.doc == "Mean of what sgd returns."
    assert set(wrapped.hyperparameters) == {"lr", "start"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ema(ema(sgd))", "ema cannot wrap ema(sgd): both have a hyperparameter or state of the same name"),
        ("emma(sgd)", "unknown combinator 'emma'; did you mean 'ema'?"),
        ("ema(sgdd)", "unknown optimizer 'sgdd'; did you mean 'sgd'?"),
        ("nesterow", "unknown optimizer 'nesterow'; did you mean 'nesterov'?"),
        ("ema(sgd", "unknown optimizer 'ema(sgd'"),
    ],
)
def test_a_wrong_name_is_told_the_nearest(name: str, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        optimizers.find(name)


# --- what a wrong rule is told ----------------------------------------------------------------------------------------


def made(rule: Any, positions: str = "w", **rest: Any) -> Optimizer:
    return optimizer(positions=positions, returns="w", **rest)(rule)


def branches_on_state(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=s.w - g if s.w > 0 else s.w)


def branches_on_gradient(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=s.w - g if g else s.w)


def branches_on_step(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=s.w if t == 0 else s.w - g)


def branches_on_hyperparameter(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=s.w - max(h.lr, 1) * g)


def never_yields(s: Any, t: Any, h: Any) -> Any:
    return dict(w=s.w)


def yields_too_late(s: Any, t: Any, h: Any) -> Any:
    if not isinstance(s, object):
        yield s.w
    return dict(w=s.w)


def wrong_names(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(v=s.w - g)


def returns_a_tuple(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return (s.w - g,)


def divides_by_zero(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=s.w - g / 0)


def is_beyond_floats(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=s.w - 10**400 * g)


class Ending(BaseException):
    """An exception that is none of Python's ordinary ones."""


def ends(s: Any, t: Any, h: Any) -> Any:
    yield s.w
    raise Ending


def remembers(s: Any, t: Any, h: Any, calls: list[int] = []) -> Any:  # noqa: B006, that is what is wrong with it
    calls.append(1)
    g = yield s.w
    return dict(w=s.w - len(calls) * g)


def raises(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=s.velocity - g)


def computes_with_text(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=s.w - "0.1" * g)


def wrong_condition(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=where(h.lr, s.w, g))


def first_of_something_else(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=where(first(t + 1), s.w, g))


def adds_up_a_number(s: Any, t: Any, h: Any) -> Any:
    g = yield s.w
    return dict(w=s.w - g / total(total(g * g)))


def unpacks_one_gradient(s: Any, t: Any, h: Any) -> Any:
    a, b = yield s.w
    return dict(w=a + b)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            branches_on_state,
            "may not compare w, but the step with whole numbers, as where(t < 10, a, b): minimum, maximum",
        ),
        (branches_on_gradient, "may not branch on a traced value: use where(first(t), a, b)"),
        (branches_on_step, "may not branch on a condition: write where(t < 10, a, b)"),
        (branches_on_hyperparameter, "declare lr as a switch"),
        (never_yields, "rule 'never_yields' never asks for a gradient: it must `yield`"),
        (yields_too_late, "rule 'yields_too_late' never asks for a gradient: it must `yield`"),
        (wrong_names, "rule 'wrong_names' must return dict(w=...), not v"),
        (returns_a_tuple, "rule 'returns_a_tuple' must return dict(w=...), not (w - g,)"),
        (raises, "rule 'raises' raised AttributeError"),
        (divides_by_zero, "rule 'divides_by_zero': a rule may not divide by the number 0"),
        (is_beyond_floats, "rule 'is_beyond_floats': a rule may not compute with numbers above 1.8e308"),
        (ends, "rule 'ends' raised Ending"),
        (remembers, "rule 'remembers' is not a function of s, t and h alone"),
        (computes_with_text, "computes with numbers, states, gradients and hyperparameters, not with '0.1'"),
        (wrong_condition, "the condition of where() must be about the step, as first(t) or t < 10, not lr"),
        (first_of_something_else, "first() takes the step t itself"),
        (adds_up_a_number, "total() adds up a vector over its coordinates, and total(g*g) is one number"),
        (unpacks_one_gradient, "rule 'unpacks_one_gradient'"),
    ],
)
def test_a_wrong_rule_is_told_so_in_one_line_when_it_is_made(rule: Any, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)) as error:
        made(rule)
    assert "\n" not in str(error.value)


def test_a_returned_state_that_does_not_exist_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'weights'"):
        optimizer(positions="weights", returns="weight")(raises)


def test_a_rule_kept_between_traces_is_told_so() -> None:
    kept: list[Any] = []

    def hoards(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        kept.append(g)
        return dict(w=s.w - (kept[0] if h.n else kept[-1]))

    rule = made(hoards, n=switch(0))
    with pytest.raises(InputError, match="a rule may not keep nodes between runs"):
        rule.program(dict(n=1))


# --- the tracer -------------------------------------------------------------------------------------------------------


def test_nodes_are_uniform_vector_or_total_and_equal_ones_are_one() -> None:
    def clipped(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        norm = sqrt(total(g * g))
        return dict(w=s.w - h.lr / (t + 1) * (g / maximum(1, norm) + g / maximum(1, norm)))

    nodes = made(clipped).program().nodes
    kinds = {repr(node): node.kind for node in nodes}
    assert kinds["lr/(t + 1)"] == "uniform"
    assert kinds["total(g*g)"] == "total"
    assert kinds["maximum(1, sqrt(total(g*g)))"] == "total"
    assert kinds["g/maximum(1, sqrt(total(g*g)))"] == "vector"
    assert len(kinds) == len(nodes)  # nothing is there twice
    assert all(arg.index < node.index for node in nodes for arg in node.args)


def test_two_yields_are_two_queries_and_a_pair_is_two_gradients_on_one_sample() -> None:
    def extragradient(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        half = yield s.w - h.lr * g
        return dict(w=s.w - h.lr * half)

    assert list(map(len, made(extragradient).program().queries)) == [1, 1]
    assert list(map(len, RULES["mars_exact_sgd"].program().queries)) == [2]
    rule = made(extragradient)
    state = step(rule, rule.start(1.0), 0.0, dict(lr=0.5), lambda point: point)
    assert state == dict(w=1 - 0.5 * (1 - 0.5 * 1))


def test_the_first_step_may_differ_and_memories_start_as_declared() -> None:
    def remembers(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        last = where(first(t), g, s.last)
        return dict(w=s.w - h.lr * (2 * g - last), last=g)

    rule = made(remembers, memories=dict(last=7))
    assert rule.start(Fraction(1)) == dict(w=1, last=7)
    states = run(rule, Fraction(0), map(Fraction, (1, 2)), program.exact, lr=1)
    assert states[0]["w"] == -1
    assert states[1]["w"] == -1 - (2 * Fraction(19, 10) - 1)


def test_literals_of_a_rule_stay_exact_in_a_program() -> None:
    def literal(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        return dict(w=s.w - 0.1 * g)

    rule = made(literal)
    state = program.run(rule.program(), dict(w=Fraction(1)), Fraction(0), {}, lambda p: p, program.exact)
    assert state == dict(w=Fraction(9, 10))


def test_a_switch_chooses_the_program_and_stays_a_number() -> None:
    def switched(s: Any, t: Any, h: Any) -> Any:
        g = yield s.w
        return dict(w=s.w - (h.lr * g if h.wait > 2 else g))

    rule = made(switched, lr=step_size(), wait=switch(0))
    assert repr(rule.program().updates["w"]) == "w - g"
    assert repr(rule.program(dict(wait=3)).updates["w"]) == "w - lr*g"


# --- hyperparameters --------------------------------------------------------------------------------------------------


def declared(s: Any, t: Any, h: Any) -> Iterator[Any]:
    g = yield s.w
    return dict(w=s.w - h.lr * h.beta * h.c * h.free * g * (h.n or 1))  # type: ignore[return-value]


DECLARED = made(declared, lr=step_size(0.5), beta=momentum(), c=weight("unused"), n=switch(0))


@pytest.mark.parametrize(
    ("given_values", "told"),
    [
        (dict(betta=0.5), "unknown hyperparameter of declared: 'betta'; did you mean 'beta'?"),
        (dict(c=0.5, free=1), "declared needs beta, a number in [0, 1): set beta=..."),
        (dict(lr=-0.1), "lr = -0.1 is out of range for declared: it must be in [0, inf)"),
        (dict(beta=1), "beta = 1 is out of range for declared: it must be in [0, 1)"),
        (dict(c=1.5), "c = 1.5 is out of range for declared: it must be in [0, 1]"),
        (dict(lr=math.nan), "lr = nan is out of range"),
        (dict(free=math.inf), "free = inf is out of range"),
        (dict(n=1.5), "n = 1.5 is out of range for declared: it must be a whole number of at least 0"),
        (dict(n=-1), "n = -1 is out of range"),
        (dict(n="t"), "n of declared must be a whole number of at least 0, not t"),
        (dict(lr=True), "lr of declared must be in [0, inf), not True"),
        (dict(lr=[0.1]), "lr of declared must be in [0, inf), not [0.1]"),
        (dict(lr="0.1 +"), "cannot read '0.1 +' as an expression"),
        (dict(lr="nan"), "'nan' is not a finite number"),
        (dict(lr="cosin(t, 5)"), "unknown name in an expression 'cosin'; did you mean 'cosine'?"),
        (dict(lr="1/0"), "cannot evaluate '1/0'"),
        (dict(lr="__import__('os')"), "cannot read"),
        (dict(lr="(lambda: 1)()"), "cannot read"),
        (dict(lr="t.real"), "cannot read"),
    ],
)
def test_a_wrong_hyperparameter_is_told_so_in_one_line(given_values: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)) as error:
        DECLARED.resolve(**given_values)
    assert "\n" not in str(error.value)


def test_what_a_rule_reads_undeclared_may_be_any_finite_number() -> None:
    resolved = DECLARED.resolve(beta=0.5, c=1, free=-3)
    assert resolved == dict(lr=0.5, beta=0.5, c=1, n=0, free=-3)


def test_numbers_and_schedules_may_be_typed_as_text() -> None:
    resolved = DECLARED.resolve(beta="0.5", c="1/(t+1)", free="-3", n="4")
    assert (resolved["beta"], resolved["free"], resolved["n"]) == (0.5, -3, 4)
    assert [resolved["c"].at(t) for t in range(3)] == [1, 1 / 2, 1 / 3]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0.5 + t/4", "beta = 1.0 at step 2 is out of range"),
        ("1/(2-t)/4", "beta = 1/(2-t)/4 cannot be evaluated at step 2"),
        ("exp(400*t)/1e200", "beta = "),
    ],
)
def test_a_schedule_is_checked_when_it_is_given(text: str, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        RULES["heavy_ball"].resolve(lr=1, beta=text)


def test_a_schedule_is_checked_at_every_step_of_a_run() -> None:
    rows = RULES["heavy_ball"].rows(lr=1, beta="t/100")
    with pytest.raises(InputError, match=re.escape("beta = 1.0 at step 100 is out of range")):
        list(itertools.islice(rows, 101))


# --- schedules and recurrences ----------------------------------------------------------------------------------------


def test_schedules_begin_and_end_where_they_say() -> None:
    assert [warmup(t, 4) for t in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert warmup(0, 0) == 1
    assert [linear(t, 4) for t in (0, 1, 4, 9)] == [1, 0.75, 0, 0]
    assert [cosine(t, 4) for t in (0, 2, 4, 9)] == pytest.approx([1, 0.5, 0, 0], abs=1e-15)


def test_a_schedule_is_exact_where_exactness_is_asked_for() -> None:
    assert parse("0.1/(t+3)").at(4, program.exact) == Fraction(1, 70)
    assert Schedule(lambda t: where(first(t), 1, 0.7)).at(2, program.exact) == Fraction(7, 10)


@given(r=st.integers(-2, 3), power=st.integers(0, 3), steps=st.integers(0, 5))
@few
def test_averaging_weights_are_the_released_ones_and_start_anew_in_every_run(r: int, power: int, steps: int) -> None:
    rule = RULES["schedule_free"]
    lr = [Fraction(3, 10) * min(Fraction(t + 1, steps or 1), Fraction(1)) for t in range(8)]
    weights = [Fraction(t + 1) ** r * max(lr[: t + 1]) ** power for t in range(8)]
    expected = [weights[t] / sum(weights[: t + 1]) for t in range(8)]
    for _ in range(2):
        rows = rule.rows(program.exact, lr=0.3, r=r, weight_lr_power=power, warmup_steps=steps)
        assert [h["c"] for _, h in itertools.islice(rows, 8)] == expected


def test_averaging_weights_are_zero_while_the_step_size_is() -> None:
    rows = RULES["schedule_free"].rows(lr="1 - where(first(t), 1, 0)")
    assert [h["c"] for _, h in itertools.islice(rows, 3)] == [0, 1, 0.5]


def test_a_recurrence_sees_the_other_hyperparameters_of_its_step() -> None:
    @recurrence(product=1)
    def products(memory: Any, t: Any, h: Any) -> Any:
        return memory.product * h.lr, dict(product=memory.product * h.lr)

    rows = DECLARED.rows(program.exact, lr="1/(t+2)", beta=0, c=products, free=0)
    assert [h["c"] for _, h in itertools.islice(rows, 3)] == [Fraction(1, 2), Fraction(1, 6), Fraction(1, 24)]


@pytest.mark.parametrize(("start", "end"), [(0.9, 0.9999), (0.0, 0.99), (0.5, 0.9)])
def test_warm_up_of_a_rate_is_linear_in_half_life(start: float, end: float) -> None:
    from accelsim.optimizers.ademamix import SMALLEST, half_life

    lives = [math.log(0.5) / math.log(half_life(t, start, end, 8)) for t in range(10)]
    first_life, last_life = (math.log(0.5) / math.log(max(rate, SMALLEST)) for rate in (start, end))
    expected = [first_life + (last_life - first_life) * min((t + 1) / 8, 1) for t in range(10)]
    assert lives == pytest.approx(expected, rel=1e-9)
    assert half_life(3, start, end, 0) == end


# --- a user's own file ------------------------------------------------------------------------------------------------

OWN = """
from accelsim import optimizer

@optimizer(positions="w", returns="w")
def my_own(s, t, h):
    g = yield s.w
    return dict(w=s.w - h.lr * g)
"""


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "_own", {})


@pytest.mark.usefixtures("forgotten")
def test_the_rules_of_a_users_file_are_known_by_name(tmp_path: Any) -> None:
    file = tmp_path / "my_rules.py"
    file.write_text(OWN)
    assert list(optimizers.add(str(file))) == ["my_own"]
    assert optimizers.find("tail_average(my_own)").states == ("w", "tail_average")
    assert "my_own" in optimizers.known()


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no Python file at"),
        ("x = 1", "defines no optimizer; decorate a rule with accelsim.optimizer"),
        ("1/0", "raised ZeroDivisionError"),
        ("def f(:", "raised SyntaxError"),
        (OWN.replace("yield s.w", "s.w"), "rule 'my_own' never asks for a gradient"),
        ("class Mute(Exception):\n    __str__ = lambda self: 3\nraise Mute", "raised Mute"),
        ("from accelsim import Hyperparameter\nHyperparameter(low='a')", "range must be given by two numbers, not 'a'"),
        ("from accelsim import step_size\nstep_size(1j)", "default must be a real number"),
    ],
)
def test_a_users_file_that_cannot_be_used_is_told_why_in_one_line(tmp_path: Any, content: Any, told: str) -> None:
    file = tmp_path / "my_rules.py"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=re.escape(told)) as error:
        optimizers.add(str(file))
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("forgotten")
def test_a_number_in_the_decorator_is_a_default(tmp_path: Any) -> None:
    file = tmp_path / "my_rules.py"
    file.write_text(OWN.replace('returns="w"', 'returns="w", lr=0.1'))
    rule = optimizers.add(str(file))["my_own"]
    assert rule.resolve() == {"lr": 0.1}
    assert rule.resolve(lr=-3) == {"lr": -3}
    for wrong in ("True", "'0.1'", "float('nan')", "[0.1]", "1j"):
        file.write_text(OWN.replace('returns="w"', f'returns="w", lr={wrong}'))
        with pytest.raises(InputError, match="lr of rule 'my_own' must be a number or declared"):
            optimizers.add(str(file))


@pytest.mark.usefixtures("forgotten")
def test_an_object_that_will_not_say_its_class_hides_no_rule_beside_it(tmp_path: Any) -> None:
    file = tmp_path / "my_rules.py"
    file.write_text(OWN + "class Unbound:\n    __class__ = property(lambda self: 1 / 0)\nunbound = Unbound()\n")
    assert list(optimizers.add(str(file))) == ["my_own"]


# --- rules that would go wrong later are told so at once --------------------------------------------------------------


def _unpacked(s, t, h):
    (g,) = yield (s.w,)
    return dict(w=s.w - h.lr * g)


def test_one_point_in_a_tuple_gets_its_gradient_in_a_tuple() -> None:
    rule = optimizer(positions="w", returns="w", lr=real(1))(_unpacked)
    stepped = step(rule, rule.start(3.0), 0, {"lr": 1.0}, lambda w: 2 * w)
    traced = program.run(rule.program(), rule.start(3.0), 0, {"lr": 1.0}, lambda points: tuple(2 * w for w in points))
    assert stepped == traced == {"w": -3.0}


def _in_place(s, t, h):
    g = yield s.w
    s.w -= h.lr * g
    return dict(w=s.w)


def _endless(s, t, h):
    while True:
        yield s.w


def _nothing(s, t, h):
    yield ()
    return dict(w=s.w)


def _infinite(s, t, h):
    g = yield s.w
    return dict(w=s.w - float("inf") * g)


def _hidden(s, t, h):
    g = yield s.w
    return dict(w=s.w - (h.extra if h.warm else 1) * g)


def _reserved(s, t, h):
    g = yield s.w
    return dict(w=s.w - g)


@pytest.mark.parametrize(
    ("rule", "declared", "told"),
    [
        (_in_place, {}, "in place"),
        (_endless, {}, "from 1 to 64 gradients"),
        (_nothing, {}, "at least one"),
        (_infinite, {}, "inf"),
        (_reserved, {"seed": real(1)}, "the name is taken"),
        (_reserved, {"memories": {"w": 0}}, "both as a position and as a memory"),
        (_reserved, {"memories": {"m": math.nan}}, "finite number"),
    ],
)
def test_a_rule_that_cannot_work_is_told_so_when_it_is_made(rule, declared, told) -> None:
    with pytest.raises(InputError, match=told):
        optimizer(positions="w", returns="w", **declared)(rule)


def test_a_rule_that_is_wrong_for_a_switch_is_told_so_when_it_is_set() -> None:
    rule = optimizer(positions="w", returns="w", warm=switch(0))(_hidden)
    assert rule.resolve() == {"warm": 0}
    with pytest.raises(InputError, match="reads extra only where a switch is set"):
        rule.resolve(warm=1)


@pytest.mark.parametrize(
    "text",
    ["9**9**9", "10**400", "1e999999999", "(" * 3000 + "1", "t(3)", "cosine(t, 0)", "1/(t*0)", "'a'", "[1]"],
    ids=lambda text: text[:9],
)
def test_expressions_that_have_no_value_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as told:
        RULES["sgd"].resolve(lr=text)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 200


def test_ends_of_ranges_are_numbers_as_they_are_written():
    declared = Hyperparameter(low=0.1, high=0.3, open_high=True)
    assert all(declared.holds(value) for value in (0.1, Fraction(1, 10), Fraction(2, 7)))
    assert not any(declared.holds(value) for value in (0.3, Fraction(3, 10), Fraction(1, 11)))
    assert Hyperparameter(low=0.1, open_low=True).holds(Fraction(1, 9))
    assert not Hyperparameter(low=0.1, open_low=True).holds(Fraction(1, 10))
