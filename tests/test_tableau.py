"""The matrices of a rule are the rule: stepped they agree exactly, and what is not linear is said not to be."""

import math
import random
from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import optimizers
from accelsim.elementary import first, minimum, sqrt, total, where
from accelsim.errors import InputError
from accelsim.program import exact, run
from accelsim.rule import optimizer, step
from accelsim.symbolic.system.tableau import linear_tableau, tableau, time

RULES = optimizers.shipped() | {n: optimizers.find(n) for n in ("tail_average(jain)", "ema(schedule_free)")}


def superposes(rule):
    """Whether a run on the sum of two gradient sequences is the sum of the runs: linearity, seen from outside."""
    given = {k: 0.5 for k, v in rule.hyperparameters.items() if v.default is None}
    chance = random.Random(rule.name)
    one, other = ([chance.gauss(0, 1) for _ in range(6)] for _ in range(2))
    paths = []
    for gradients in (one, other, [a + b for a, b in zip(one, other, strict=True)]):
        state, path = rule.start(0.0), []
        for (t, h), g in zip(rule.rows(**given), gradients, strict=False):
            state = step(rule, state, t, h, lambda *points, g=g: (g,) * len(points) if len(points) > 1 else g)
            path.append(state[rule.returns])
        paths.append(path)
    return all(math.isclose(a + b, both, rel_tol=1e-9, abs_tol=1e-12) for a, b, both in zip(*paths, strict=True))


LINEAR = {name: rule for name, rule in RULES.items() if superposes(rule)}
NONLINEAR = sorted(set(RULES) - set(LINEAR))
STEPS = 5


def rationals(low, high):
    low, high = max(low, -3), min(high, 3)
    return st.integers(1, 11).map(lambda i: exact(low) + (exact(high) - exact(low)) * Fraction(i, 12))


@st.composite
def runs(draw, rules):
    """A rule, rational hyperparameters within their ranges, gradients and an initial point."""
    rule = rules[draw(st.sampled_from(sorted(rules)))]
    values = {}
    for name, declared in rule.hyperparameters.items():
        if declared.switch:
            values[name] = draw(st.integers(0, 3))
        elif name in ("r", "weight_lr_power"):  # powers: a rational power of a rational is not rational
            values[name] = draw(st.integers(0, 2))
        elif name != "c":
            values[name] = draw(rationals(declared.low, declared.high))
    number = st.fractions(-3, 3, max_denominator=7)
    gradients = draw(st.lists(st.tuples(number, number), min_size=STEPS, max_size=STEPS))
    return rule, values, gradients, draw(number)


def stepped(rule, values, gradients, point, shift=0):
    """Run the rule itself: its states and query points, step by step."""
    state = rule.start(point) | dict.fromkeys(rule.positions, point + shift)
    history = []
    for (t, h), pair in zip(rule.rows(exact, **values), gradients, strict=False):
        asked = []

        def gradient(*points, pair=pair, asked=asked):
            asked.extend(points)
            return pair[: len(points)] if len(points) > 1 else pair[0]

        state = step(rule, state, t, h, gradient)
        history.append((list(asked), state))
    return history


@settings(max_examples=120, deadline=None, derandomize=True)
@given(runs(LINEAR))
def test_tableau_stepped_equals_rule_stepped(case):
    rule, values, gradients, point = case
    table = linear_tableau(rule, **values)
    s = [exact(v) for v in rule.start(point).values()]
    rows = table.rows(exact, **values)
    for (asked, state), m, pair in zip(stepped(rule, values, gradients, point), rows, gradients, strict=False):
        g = pair[: table.gradients]
        assert list(m.C.dot(s) + m.D.dot(g)) == asked
        s = list(m.A.dot(s) + m.B.dot(g))
        assert s == [state[name] for name in table.states]
        assert list(m.F.dot(s)) == [state[rule.returns]]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(runs(LINEAR), st.fractions(-3, 3, max_denominator=5))
def test_shifted_start_shifts_the_whole_run(case, shift):
    rule, values, gradients, point = case
    plain = stepped(rule, values, gradients, point)
    moved = stepped(rule, values, gradients, point, shift)
    for (points, state), (others, other) in zip(plain, moved, strict=True):
        assert [p + shift for p in points] == others
        assert {k: v + shift * (k in rule.positions) for k, v in state.items()} == other


def test_weight_decay_does_not_shift_along():
    decayed = tableau(optimizers.find("adamw"))
    e = list(decayed.translation)
    shrunk, still = (decayed.symbolic(weight_decay=value).A * _column(e) for value in (0.1, 0))
    assert list(still) == e
    assert list(shrunk) != e


def _column(entries):
    import sympy

    return sympy.Matrix(entries)


@pytest.mark.parametrize("first", [True, False], ids=["first step", "later"])
@pytest.mark.parametrize("name", sorted(LINEAR))
def test_derivatives_of_the_program_are_the_matrices(name, first):
    # A second route to linearity: the whole program in SymPy, differentiated, knows nothing of affine forms.
    import sympy

    rule = LINEAR[name]
    table = tableau(rule)
    matrices = table.symbolic(tuple(k for k, v in rule.hyperparameters.items() if not v.switch))
    state = {s: sympy.Symbol(f"s_{s}") for s in rule.states}
    gradients = sympy.symbols(f"g:{table.gradients}")
    t = sympy.Integer(0) if first else sympy.Symbol("t", integer=True, positive=True)
    h = {k: v.default if v.switch else sympy.Function(k, real=True)(t) for k, v in rule.hyperparameters.items()}
    asked = []

    def answer(points):
        asked.extend(points)
        return tuple(gradients[len(asked) - len(points) : len(asked)])

    new = run(rule.program(), state, t, h, answer, lambda x: sympy.Rational(str(exact(x))))
    values = sympy.Matrix([*new.values(), *asked])
    inputs = [*state.values(), *gradients]
    jacobian = values.jacobian(inputs)
    assert not jacobian.free_symbols & set(inputs)
    expected = sympy.Matrix(sympy.BlockMatrix([[matrices.A, matrices.B], [matrices.C, matrices.D]])).subs(time(), t)
    assert (jacobian - expected).applyfunc(sympy.simplify).is_zero_matrix
    assert (values.subs(dict.fromkeys(inputs, 0))).applyfunc(sympy.simplify).is_zero_matrix


def test_adam_applies_its_preconditioner_after_the_momentum_and_schedule_free_before():
    found = {name: tableau(optimizers.find(name)) for name in ("adamw", "ademamix", "schedule_free_adamw")}
    assert {name: [f.when for f in t.factors.values()] for name, t in found.items()} == {
        "adamw": ["after"],
        "ademamix": ["after"],
        "schedule_free_adamw": ["before"],
    }
    assert all(t.dropped.keys() == {"v"} for t in found.values())
    assert found["adamw"].states == ("w", "m")


def test_signs_act_after_the_momentum():
    for name in ("lion", "signum"):
        found = tableau(optimizers.find(name))
        assert found.maps == {("sign", "after")}
        assert not found.factors
        assert not found.dropped


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear_rules_are_no_linear_rules(name):
    with pytest.raises(InputError, match=f"{name} is not linear"):
        linear_tableau(optimizers.find(name))


def test_there_are_rules_of_both_kinds():
    assert {"sgd", "schedule_free", "mars_exact_sgd"} <= set(LINEAR)
    assert {"adamw", "lion", "schedule_free_adamw"} <= set(NONLINEAR)


def _rule(update, memories=""):
    def rule(s, t, h):
        g = yield s.w
        return update(s, t, h, g)

    return optimizer(positions="w", memories=memories, returns="w")(rule)


@pytest.mark.parametrize(
    "update",
    [
        lambda s, t, h, g: s.w - h.lr * g * g,
        lambda s, t, h, g: s.w - h.lr * s.w * g,
        lambda s, t, h, g: s.w - h.lr * abs(g),
        lambda s, t, h, g: s.w - h.lr * total(g),
        lambda s, t, h, g: s.w - h.lr * g * minimum(1, 1 / sqrt(total(g * g))),
        lambda s, t, h, g: s.w - h.lr * g + 1,
        lambda s, t, h, g: s.w - h.lr / g,
        lambda s, t, h, g: where(first(t), s.w, s.w - h.lr * g * g),
    ],
    ids=["square", "product", "absolute", "total", "clipping", "constant", "reciprocal", "where"],
)
def test_what_is_not_linear_is_said_not_to_be(update):
    with pytest.raises(InputError, match="linear"):
        linear_tableau(_rule(lambda *a: dict(w=update(*a))))


def test_linear_parts_survive_where_and_division():
    rule = _rule(lambda s, t, h, g: dict(w=where(first(t), s.w - g, s.w - s.m / h.k), m=-(g - s.m)), memories="m")
    rows = linear_tableau(rule).rows(exact, k=4)
    begin, later = next(rows), next(rows)
    assert begin.A.tolist() == [[1, 0], [0, 1]]
    assert begin.B.tolist() == [[-1], [-1]]
    assert later.A.tolist() == [[1, Fraction(-1, 4)], [0, 1]]
    assert later.B.tolist() == [[0], [-1]]


def test_constant_coefficients_are_known_as_such():
    rule = optimizers.find("schedule_free")
    assert tableau(rule).constant(c=0.1)
    assert not tableau(rule).constant()
    assert not tableau(rule).constant(c=0.1, lr="1/(t+1)")


def test_float_rows_are_the_rounded_exact_rows():
    rule = optimizers.find("jain")
    values = dict(alpha=0.3, beta=0.7, gamma=1.25, delta="0.5/(t+1)")
    table = linear_tableau(rule)
    for rough, fine, _ in zip(table.rows(**values), table.rows(exact, **values), range(4), strict=False):
        for a, b in zip(rough, fine, strict=True):
            assert a == pytest.approx(b.astype(float), rel=1e-15, abs=1e-16)


def test_second_stage_of_a_step_knows_the_gradient_of_the_first():
    @optimizer(positions="w", returns="w")
    def extragradient(s, t, h):
        g = yield s.w
        late = yield s.w - h.lr * g
        return dict(w=s.w - h.lr * late)

    table = tableau(extragradient)
    assert table.stages == (1, 1)
    matrices = next(table.rows(lr=0.5))
    assert matrices.D.tolist() == [[0, 0], [-0.5, 0]]
    assert matrices.B.tolist() == [[0, -0.5]]
    assert SimpleNamespace(**table.shapes()).d == (2, 2)
