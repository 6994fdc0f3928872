"""The normal form is found, does not depend on how a rule is written, and is the rule: run, they agree exactly."""

import json
import random
import subprocess
import sys
from fractions import Fraction

import pytest
from conftest import seed_of

from accelsim import optimizers
from accelsim.elementary import first, where
from accelsim.errors import InputError
from accelsim.program import exact, run
from accelsim.rule import optimizer
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra.field import Field, reduced
from accelsim.symbolic.algebra.language import expression
from accelsim.symbolic.system.normal_form import canonical
from accelsim.symbolic.system.tableau import tableau, time

STEPS = 7


def written(text, varying=()):
    """An expression in SymPy, with `varying` names as functions of t."""
    import sympy

    names = {name: sympy.Function(name, real=True) for name in (*varying, "c", "w", "m", "n")}
    names["p"] = sympy.Function("p", positive=True)
    plain = {"lr", "beta", "beta1", "beta2", "beta3", "alpha", "gamma", "delta", "kappa", "xi", "e", "nu", "eta"}
    symbols = {name: sympy.Symbol(name, real=True) for name in plain}
    known = {**symbols, **names, "t": time()}
    return expression(text, known)


def same(found, text, varying=()):
    return reduced(found - written(text, varying)) == 0


PUBLISHED = {
    "sgd": dict(beta="0", eta="0", alpha="lr"),
    "heavy_ball": dict(beta="beta", eta="lr", alpha="0"),
    "nesterov": dict(beta="beta", eta="lr*beta", alpha="lr"),
    "accelerated_sgd": dict(beta="beta", eta="eta", alpha="alpha"),
    "jain": dict(beta="alpha*(1 - beta)", eta="(1 - alpha)*(gamma - delta)", alpha="delta"),
    "accsgd": dict(beta="(kappa - e**2*xi)/(kappa + e*xi)", eta="lr*e*xi*(e*xi - 1)/(kappa + e*xi)", alpha="lr"),
    "qhm": dict(beta="beta", eta="lr*nu*(1 - beta)", alpha="lr*(1 - nu)"),
    "schedule_free": dict(beta="1 - c(t-1)", eta="beta*lr*c(t)", alpha="(1 - beta)*lr"),
    "simplified_ademamix_sgd": dict(beta="beta", eta="lr", alpha="lr*alpha"),
    "mars_sgd": dict(beta="beta", eta="lr*(1 - gamma)*(1 - beta)", alpha="lr*gamma"),
    "lion": dict(beta="beta2", eta="lr*(1 - beta2)*beta1/beta2", alpha="lr*(1 - beta1/beta2)"),
    "signum": dict(beta="beta", eta="lr*(1 - beta)", alpha="0"),
    "adamw": dict(beta="beta1", eta="lr*(1 - beta1)/(1 - beta1**(t+1))*p(t)", alpha="0"),
    "simplified_ademamix": dict(beta="beta1", eta="lr*p(t)", alpha="lr*alpha*p(t)"),
    "schedule_free_adamw": dict(beta="1 - c(t-1)", eta="beta1*lr*c(t)", alpha="(1 - beta1)*lr"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_found_coefficients_are_the_published_ones(name):
    found = canonical(optimizers.find(name))
    assert found.memory == (0 if name == "sgd" else 1)
    for coefficient, text in PUBLISHED[name].items():
        assert same(getattr(found, coefficient), text), coefficient


def test_the_comparison_with_published_coefficients_can_fail():
    found = canonical(optimizers.find("schedule_free"))
    assert not same(found.beta, "1 - c(t)")
    assert not same(found.eta, "beta*lr*c(t-1)")


def _open(rule):
    """The hyperparameters that may vary: all but switches and what only a recurrence reads."""
    reads = rule.program().reads
    return tuple(k for k, v in rule.hyperparameters.items() if k in reads and not v.switch)


def _rational_run(rule, values, gradients):
    """The query points of the rule's own program, and the returned states before each step, from 1."""
    state = {k: exact(v) for k, v in rule.start(Fraction(1)).items()}
    points, returned = [], []
    switches = {k: v.default for k, v in rule.hyperparameters.items() if v.switch}
    for t, g in enumerate(gradients):
        returned.append(state[rule.returns])

        def answer(asked, g=g):
            points.append(asked[0])
            return (g,)

        h = switches | {name: value(t) for name, value in values.items()}
        state = run(rule.program(), state, Fraction(t), h, answer, exact)
    return points, returned


def _sequences(rule, seed):
    """Unknown functions of t, at rational values that no range of a hyperparameter excludes."""
    chance = random.Random(seed)
    table = {(k, t): Fraction(chance.randint(1, 96), 97) for k in _open(rule) for t in range(-2, STEPS + 3)}
    return {k: lambda t, k=k: table[k, int(t)] for k in _open(rule)}


def _number(expression, values, t, memory=Fraction(0), position=Fraction(0)):
    """An expression at step t, evaluated in fractions."""
    import sympy
    from sympy.core.function import AppliedUndef

    here = sympy.sympify(expression).subs(time(), t)
    known = {"m": lambda _: memory, "w": lambda _: position, **values}
    calls = {f: sympy.Rational(str(known[f.func.__name__](f.args[0]))) for f in here.atoms(AppliedUndef)}
    number = here.xreplace(calls)
    return Fraction(int(number.p), int(number.q))


ONE_MEMORY = [
    name
    for name, rule in optimizers.shipped().items()
    if name in PUBLISHED and "eps" not in rule.hyperparameters and name not in ("lion", "signum")
]


@pytest.mark.parametrize("name", ONE_MEMORY)
def test_canonical_run_is_the_rule_run_whatever_the_schedules(name):
    rule = optimizers.find(name)
    found = canonical(rule, _open(rule))
    values = _sequences(rule, seed_of(name))
    chance = random.Random(seed_of(name))
    gradients = [Fraction(chance.randint(-5, 5)) for _ in range(STEPS)]
    points, returned = _rational_run(rule, values, gradients)
    w, m = Fraction(1), Fraction(0)
    for t, g in enumerate(gradients):
        assert points[t] == w
        assert returned[t] == _number(found.returned, values, t, m, w)
        m = _number(found.beta, values, t) * m + g
        w -= _number(found.eta, values, t) * m + _number(found.alpha, values, t) * g


@pytest.mark.parametrize("name", ONE_MEMORY)
def test_coefficients_are_what_impulses_show(name):
    # A second route: how far one gradient moves the next three query points gives the same numbers, from outside.
    rule = optimizers.find(name)
    found = canonical(rule, _open(rule))
    values = _sequences(rule, seed_of(f"impulses {name}"))
    still, _ = _rational_run(rule, values, [Fraction(0)] * STEPS)
    moves = {}
    for k in range(STEPS):
        points, _ = _rational_run(rule, values, [Fraction(int(k == t)) for t in range(STEPS)])
        path = [a - b for a, b in zip(points, still, strict=True)]
        moves[k] = [b - a for a, b in zip(path[k:], path[k + 1 :], strict=False)]
    for t in range(1, STEPS - 3):
        beta, eta, alpha = (_number(getattr(found, c), values, t) for c in ("beta", "eta", "alpha"))
        assert moves[t][0] == -(eta + alpha)
        assert moves[t - 1][1] == -eta * beta
        assert moves[t - 1][2] * eta == moves[t - 1][1] * _number(found.beta, values, t + 1) * _number(
            found.eta, values, t + 1
        )


def _optimizer(positions, memories, returns, rule):
    return optimizer(positions=positions, memories=memories, returns=returns)(rule)


def _query_and_base(s, t, h):
    """Schedule-Free in its query point and base iterate, with a copy that nobody needs."""
    g = yield s.y
    z = s.z - h.lr * g
    x = (s.y - (1 - h.beta) * s.z) / h.beta
    x = x + h.c * (z - x)
    return dict(z=z, y=h.beta * x + (1 - h.beta) * z, idle=s.idle + g)


def _scaled_momentum(s, t, h):
    """Heavy ball with the step size inside the momentum, negative, and the last gradient kept for nothing."""
    g = yield s.w
    m = h.beta * s.m - h.lr * g
    return dict(w=s.w + m, m=m, last=g)


def test_the_form_does_not_depend_on_how_a_rule_is_written():
    one = canonical(_optimizer("y z", "idle", "y", _query_and_base), ("lr", "c"))
    other = canonical(optimizers.find("schedule_free"), ("lr", "c"))
    assert [str(getattr(one, k)) for k in ("memory", "beta", "eta", "alpha")] == [
        str(getattr(other, k)) for k in ("memory", "beta", "eta", "alpha")
    ]
    scaled = canonical(_optimizer("w", "m last", "w", _scaled_momentum))
    assert scaled.memory == 1
    assert all(same(getattr(scaled, k), v) for k, v in PUBLISHED["heavy_ball"].items())


def test_a_varying_step_size_inside_the_momentum_is_another_method():
    inside = canonical(_optimizer("w", "m last", "w", _scaled_momentum), ("lr",))
    outside = canonical(optimizers.find("heavy_ball"), ("lr",))
    assert same(inside.beta, "beta*lr(t-1)/lr(t)", ("lr",))
    assert same(outside.beta, "beta", ("lr",))


def test_stored_gradient_of_mars_drops_out():
    rule = optimizers.find("mars_sgd")
    assert len(rule.states) == 3
    assert canonical(rule).memory == 1
    assert canonical(rule, gamma=1).memory == 0  # plain SGD: the momentum cancels


def test_two_averages_are_two_memories_until_one_goes():
    rule = optimizers.find("ademamix_sgd")
    two = canonical(rule)
    assert two.memory == 2
    assert not two.canonical
    assert "2 memories" in two.conditions[0]
    assert two.to_json()["block"]["memories"] == ["m1", "m2"]
    assert canonical(rule, beta1=0.9, beta3=0.9).memory == 1
    assert canonical(rule, alpha=0).memory == 1
    single = canonical(rule, ("lr", "beta3", "alpha"), beta1=0)
    assert single.memory == 1
    names = ("lr", "beta3", "alpha")
    assert same(single.beta, "beta3(t)*(1 - beta3(t-1))/(1 - beta3(t))", names)
    assert same(single.eta, "lr(t)*alpha(t)*(1 - beta3(t))", names)
    assert same(single.alpha, "lr(t)", names)


def _optimistic(s, t, h):
    """Optimistic gradient: the change of the gradient counts once more."""
    g = yield s.w
    return dict(w=s.w - 2 * h.lr * g + h.lr * s.last, last=g)


def _first_alone(s, t, h):
    """A memory that the first gradient alone writes."""
    g = yield s.w
    return dict(w=s.w - h.lr * (g + s.m), m=where(first(t), g, s.m))


def test_memory_that_the_first_gradient_alone_writes_is_not_canonical():
    found = canonical(_optimizer("w", "m", "w", _first_alone))
    assert not found.canonical
    assert "first gradient alone" in found.conditions[0]


def test_optimistic_gradient_has_one_memory_and_is_not_canonical():
    found = canonical(_optimizer("w", "last", "w", _optimistic))
    assert found.memory == 1
    assert not found.canonical
    assert found.beta is None
    assert "one step only" in found.conditions[0]


def _first_differs(s, t, h):
    """Momentum whose first gradient enters in full."""
    g = yield s.w
    m = where(first(t), g, h.beta * s.m + (1 - h.beta) * g)
    return dict(w=s.w - h.lr * m, m=m)


def test_a_special_first_step_shows_in_the_coefficients():
    rule = _optimizer("w", "m", "w", _first_differs)
    found = canonical(rule)
    assert found.memory == 1
    values = {"lr": lambda t: Fraction(1, 3), "beta": lambda t: Fraction(3, 4)}
    gradients = [Fraction(g) for g in (2, -1, 3, 1, 0, 4, -2)]
    points, _ = _rational_run(rule, values, gradients)

    def coefficients(t):
        plain = {"lr": Fraction(1, 3), "beta": Fraction(3, 4)}
        return [_at(getattr(found, c), plain, t) for c in ("beta", "eta", "alpha")]

    w, m = Fraction(1), Fraction(0)
    for t, g in enumerate(gradients):
        assert points[t] == w
        beta, eta, alpha = coefficients(t)
        m = beta * m + g
        w -= eta * m + alpha * g
    assert coefficients(1)[0] != coefficients(2)[0]


def _at(expression, values, t):
    import sympy

    known = {sympy.Symbol(k, real=True): sympy.Rational(str(v)) for k, v in values.items()}
    number = expression.subs(time(), t).subs(known)
    return Fraction(int(number.p), int(number.q))


def test_weight_decay_is_assumed_away_openly():
    for name in ("lion", "adamw", "schedule_free_adamw"):
        found = canonical(optimizers.find(name))
        assert any(a.startswith("weight_decay = 0") for a in found.assumptions)
        assert found.canonical
        assert found.decay is not None
    without = canonical(optimizers.find("lion"), weight_decay=0)
    assert without.decay is None
    assert not any("weight_decay" in a for a in without.assumptions)


def _linear_run(rule, values, gradients, start):
    """The query points of the rule's linear part from a start, the given sequences at their values."""
    table = tableau(rule)
    state = [start * e + exact(s) for e, s in zip(table.translation, table.start, strict=True)]
    switches = {k: v.default for k, v in rule.hyperparameters.items() if v.switch}
    points = []
    for t, g in enumerate(gradients):
        h = switches | {k: v(t) for k, v in values.items()}
        given = {f.symbol: values[f.symbol](t) for f in table.factors.values()}
        m = table.at(Fraction(t), h, exact, given)
        points.append(m.C.dot(state)[0])
        state = list(m.A.dot(state) + m.B[:, 0] * g)
    return points


DECAYING = [
    name
    for name, rule in optimizers.shipped().items()
    if rule.program().gradients == 1 and "weight_decay" in rule.hyperparameters
]


@pytest.mark.parametrize("name", DECAYING)
def test_recurrence_with_decay_is_the_run_with_decay(name):
    rule = optimizers.find(name)
    names = [k for k in _open(rule) if k != "weight_decay"]
    found = canonical(rule, names).decay
    if any("first step" in c for c in found.conditions):
        pytest.skip("the form holds from the second step on")
    values = _sequences(rule, seed_of(f"decay {name}"))
    values |= {f: (lambda t, k=f: Fraction(int(t) + 2, len(k) + 3)) for f in ("p", "p1", "p2")}
    decay = Fraction(2, 7)
    values["weight_decay"] = lambda t: decay
    chance = random.Random(seed_of(name))
    gradients = [Fraction(chance.randint(-5, 5)) for _ in range(STEPS)]
    points = _linear_run(rule, values, gradients, Fraction(3))
    absorbed = any("g is the preconditioned" in a for a in canonical(rule).assumptions)

    def number(expression, t):
        import sympy

        return _number(expression.subs(sympy.Symbol("weight_decay", real=True), sympy.Rational(2, 7)), values, t)

    w, m, n = Fraction(3), Fraction(0), [Fraction(0)] * found.memory
    for t, g in enumerate(gradients):
        assert points[t] == w
        seen = g * values["p"](t) if absorbed else g
        if found.mu is not None:
            m = number(found.beta, t) * m + seen + number(found.mu, t) * w
            w = (1 - number(found.kappa, t)) * w - number(found.eta, t) * m - number(found.alpha, t) * seen
        else:
            (a, b, p, q), y = found.block, w
            w = (1 - number(found.pull, t)) * w + number(q[0], t) * seen
            w += sum((number(p[i], t) * n[i] for i in range(found.memory)), Fraction(0))
            n = [
                sum((number(a[i, j], t) * n[j] for j in range(found.memory)), number(b[i], t) * seen)
                + number(found.feed[i], t) * y
                for i in range(found.memory)
            ]


def test_decay_in_the_gradient_and_beside_it_are_told_apart():
    coupled = canonical(optimizers.find("schedule_free_adamw")).decay
    beside = canonical(optimizers.find("lion")).decay
    assert coupled.in_gradient
    assert str(coupled.mu) == "weight_decay"
    assert not beside.in_gradient
    assert (str(beside.kappa), beside.mu) == ("lr*weight_decay", 0)
    for decay in (coupled, beside):
        assert json.loads(json.dumps(decay.to_json()))["law"] == decay.law


def _shrinking(s, t, h):
    """SGD on a norm penalty that nobody declared."""
    g = yield s.w
    return dict(w=0.99 * s.w - h.lr * g)


def _shrinking_momentum(s, t, h):
    """Heavy ball whose momentum remembers where it was, a step too late for the gradient."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * m, m=m + s.w / 8)


def test_what_no_zero_makes_equivariant_is_a_recurrence_with_decay():
    sgd = canonical(_optimizer("w", "", "w", _shrinking))
    assert not sgd.canonical
    assert "translation" in sgd.conditions[0]
    assert sgd.decay.in_gradient
    assert str(sgd.decay.kappa) == "1/100"
    momentum = canonical(_optimizer("w", "m", "w", _shrinking_momentum)).decay
    assert momentum.in_gradient is False
    assert (str(momentum.mu), str(momentum.kappa)) == ("1/8", "-lr/8")
    assert "(1 - kappa)*w(t)" in momentum.law
    assert "mu*w(t)" in momentum.law
    resting = canonical(_optimizer("w", "", "w", _shrinking), lr=0).decay
    assert (str(resting.kappa), resting.mu, resting.alpha) == ("1/100", 0, 0)
    given = canonical(optimizers.find("lion"), weight_decay=0.1)
    assert not given.canonical
    assert str(given.decay.kappa) == "lr/10"
    assert given.average.weight == 1


# Jain's iterate is a gradient step from the query point, which is no running average.
AVERAGED = [*(name for name in ONE_MEMORY if name != "jain"), "tail_average(sgd)", "ema(heavy_ball)"]


@pytest.mark.parametrize("name", AVERAGED)
def test_returned_iterate_is_the_running_average_it_is_said_to_be(name):
    rule = optimizers.find(name)
    values = _sequences(rule, seed_of(f"average {name}"))
    found = canonical(rule, _open(rule)).average
    chance = random.Random(seed_of(name))
    gradients = [Fraction(chance.randint(-5, 5)) for _ in range(STEPS)]
    points, returned = _rational_run(rule, values, gradients)
    assert returned[0] == points[0]
    for t in range(STEPS - 1):
        weight = _number(found.weight, values, t)
        assert returned[t + 1] == (1 - weight) * returned[t] + weight * points[t + 1]


def test_weights_of_schedule_free_are_the_published_ones():
    found = canonical(optimizers.find("schedule_free")).average
    assert same(found.weight, "c(t)/(1 - beta + beta*c(t))")
    assert found.conditions == ("beta*c(t) - beta + 1 != 0",)
    assert found.to_json()["weight"] == str(found.weight)


def _base_returned(s, t, h):
    """Schedule-Free that hands out its base iterate."""
    g = yield h.beta * s.x + (1 - h.beta) * s.z
    z = s.z - h.lr * g
    return dict(z=z, x=s.x + h.c * (z - s.x))


def test_base_iterate_of_schedule_free_is_no_running_average():
    assert canonical(optimizers.find("jain")).average is None
    rule = _optimizer("x z", "", "z", _base_returned)
    found = canonical(rule, ("lr", "beta", "c"))
    assert found.average is None
    assert found.to_json()["average"]["weight"] is None
    assert found.returned is not None
    # A second route: the weight that one sequence of gradients asks for is not that of another.
    values = _sequences(rule, seed_of("base"))
    asked = set()
    for gradients in ([1, 2, 0, 0, 0, 0, 0], [1, -1, 0, 0, 0, 0, 0]):
        points, z = _rational_run(rule, values, [Fraction(g) for g in gradients])
        asked.add((z[2] - z[1]) / (points[2] - z[1]))
    assert len(asked) == 2


def test_special_first_step_has_its_own_weight():
    def rule(s, t, h):
        g = yield s.z
        z = s.z - h.lr * g
        return dict(z=z, x=where(first(t), s.x, s.x + h.c * (z - s.x)))

    made = _optimizer("x z", "", "x", rule)
    found = canonical(made).average.weight
    assert found.subs(time(), 0) == 0
    assert str(found.subs(time(), 3)) == "c"


def _random_system(order, dead, chance):
    """A block form of some order as functions of t, and a rule of more states that does the same.

    The rule has a position more for each second memory, states that no gradient reaches and that nothing shows, and
    its memories mixed by an invertible matrix.
    """
    import sympy

    def draw(rows, columns, scale=4):
        while True:
            matrix = sympy.Matrix(rows, columns, lambda i, j: sympy.Rational(chance.randint(-9, 9), scale))
            if rows != columns or rows == 0 or matrix.det() != 0:
                return matrix

    size = 1 + order + 2 * dead

    def step(scale):
        a = sympy.zeros(size, size)
        a[: order + 1, 1 : order + 1] = draw(order + 1, order, scale)
        for i in range(dead):  # the first is never reached, the second never shown
            a[0, order + 1 + 2 * i] = chance.randint(1, 3)
            a[order + 1 + 2 * i, order + 1 + 2 * i] = 1
            a[order + 2 + 2 * i, :] = draw(1, size, scale)
            a[order + 2 + 2 * i, 0] = 0
        b = draw(order + 1, 1, scale).col_join(sympy.zeros(2 * dead, 1))
        for i in range(dead):
            b[order + 2 + 2 * i] = 1
        return a, b

    (a0, b0), (a1, b1) = step(4), step(16)
    a0[0, 0] = 1
    positions = 1 + order // 2
    mix = sympy.eye(size)
    if size > 1:
        mix[1:, 1:] = draw(size - 1, size - 1)
    mix[:positions, 0] = sympy.ones(positions, 1)
    back = mix.inv()
    a, b = [[mix * m * back for m in (a0, a1)], [mix * m for m in (b0, b1)]]
    names = [f"x{i}" if i < positions else f"m{i}" for i in range(size)]

    def rule(s, t, h):
        state = [getattr(s, name) for name in names]

        def entry(pair, i, j):
            slow, fast = (Fraction(int(m[i, j].p), int(m[i, j].q)) for m in pair)
            return slow + fast / (t + 2)

        weights = [Fraction(int(x.p), int(x.q)) for x in back[0, :]]
        g = yield sum(w * x for w, x in zip(weights, state, strict=True))
        new = [sum(entry(a, i, j) * x for j, x in enumerate(state)) + entry(b, i, 0) * g for i in range(size)]
        return dict(zip(names, new, strict=True))

    blocks = [sympy.Matrix(x[: order + 1, :]) + y[: order + 1, :] / (time() + 2) for x, y in ((a0, a1), (b0, b1))]
    made = _optimizer(" ".join(names[:positions]), " ".join(names[positions:]), names[0], rule)
    return made, blocks


def _moves(made, k, steps):
    """How far a gradient of 1 at step k moves the query point in each of the steps after it."""
    points, _ = _rational_run(made, {}, [Fraction(int(t == k)) for t in range(steps)])
    return [b - a for a, b in zip(points[k:], points[k + 1 :], strict=False)]


@pytest.mark.parametrize(("order", "dead"), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (0, 1), (1, 1), (2, 1), (1, 2)])
def test_a_random_system_of_any_order_reduces_to_its_query_point_and_memories(order, dead):
    import sympy

    for round_ in range(4 if order + 2 * dead < 4 else 1):
        made, (a, b) = _random_system(order, dead, random.Random(seed_of(f"{order} {dead} {round_}")))
        found = canonical(made)
        assert found.memory == order
        assert found.canonical == (order < 2)
        # Another route to the order: the rank of the moves that gradients before step n make from step n on.
        n = order + 1
        runs = [_moves(made, k, 2 * n + 1)[n - k :] for k in range(n)]
        assert sympy.Matrix([[_rational(x) for x in run[:n]] for run in runs]).rank() == order
        for k in (1, 3):
            state, moves = None, []
            for t in range(k, k + order + 4):
                block = [_at_step(m, t) for m in found.block]
                moves.append(block[3][0] if t == k else (block[2] * state)[0])
                state = block[1] if t == k else block[0] * state
            assert moves == [_rational(x) for x in _moves(made, k, k + order + 5)]
        if order == 1:
            t = time()
            expected = {
                "beta": a[1, 1] * b[1].subs(t, t - 1) / b[1],
                "eta": -a[0, 1] * b[1] / a[1, 1],
                "alpha": -b[0] + a[0, 1] * b[1] / a[1, 1],
            }
            for name, formula in expected.items():
                assert reduced(getattr(found, name) - formula) == 0


def _rational(x):
    import sympy

    return sympy.Rational(x.numerator, x.denominator)


def _at_step(matrix, t):
    return matrix.subs(time(), t)


def test_a_perturbed_block_is_no_form_of_the_rule():
    made, _ = _random_system(1, 0, random.Random(seed_of("perturbed")))
    found = canonical(made)
    moved = _moves(made, 2, 5)
    eta, beta = (getattr(found, c).subs(time(), 3) for c in ("eta", "beta"))
    assert _rational(moved[1]) == -eta * beta
    assert _rational(moved[1]) != -eta * (beta + 1)


def test_what_is_set_aside_is_said():
    said = {name: " ".join(canonical(optimizers.find(name)).assumptions) for name in ("lion", "adamw")}
    assert "sign acts after the momentum" in said["lion"]
    assert "p(t) is a given positive sequence, acting after" in said["adamw"]
    before = " ".join(canonical(optimizers.find("schedule_free_adamw")).assumptions)
    assert "g is the preconditioned gradient" in before


def test_two_gradients_a_step_have_no_canonical_form():
    with pytest.raises(InputError, match="takes 2 gradients a step, on the same sample: it is no recurrence"):
        canonical(optimizers.find("mars_exact_sgd"))


def test_conditions_name_what_must_not_be_zero():
    found = canonical(optimizers.find("schedule_free"), ("lr", "beta"))
    assert "lr(t) != 0" in found.conditions
    assert any("t = 0" in c for c in found.conditions)
    assert not any("!=" in c for c in canonical(optimizers.find("heavy_ball")).conditions)


def test_averages_are_not_seen_by_the_gradient():
    found = canonical(optimizers.find("tail_average(jain)"))
    plain = canonical(optimizers.find("jain"))
    assert (found.memory, found.beta, found.eta, found.alpha) == (1, plain.beta, plain.eta, plain.alpha)
    assert found.returned is None
    assert plain.returned is not None


def test_known_values_and_schedules_go_in():
    import sympy

    found = canonical(optimizers.find("schedule_free"), lr="0.5", beta=0.9, c="1/(t+1)")
    t = time()
    assert reduced(found.beta - (1 - 1 / t)) == 0
    assert reduced(found.eta - sympy.Rational(9, 20) / (t + 1)) == 0
    assert found.alpha == sympy.Rational(1, 20)


def test_unknown_names_are_told_the_nearest():
    with pytest.raises(InputError, match="did you mean 'beta'"):
        canonical(optimizers.find("heavy_ball"), varying=("betta",))
    with pytest.raises(InputError, match="did you mean 'lr'"):
        canonical(optimizers.find("heavy_ball"), l_r=1)


@pytest.mark.parametrize("name", optimizers.shipped())
def test_every_single_gradient_rule_has_a_form_that_json_can_hold(name):
    rule = optimizers.find(name)
    if sum(map(len, rule.program().queries)) > 1:
        return
    found = json.loads(json.dumps(canonical(rule).to_json()))
    assert {"memory", "returned", "conditions", "assumptions"} <= set(found)
    assert ("block" in found) != ("beta" in found)


def test_recurrences_are_unknown_functions():
    rule = optimizers.find("schedule_free")
    assert isinstance(rule.hyperparameters["c"].default, Recurrence)
    assert "c(t - 1)" in str(canonical(rule).beta)


def test_field_knows_powers_of_t_apart():
    import sympy

    t, b = time(), sympy.Symbol("b", real=True)
    assert reduced(b ** (t + 1) - b * b**t) == 0
    assert reduced((1 - b ** (2 * t)) / (1 - b**t) - 1 - b**t) == 0
    assert reduced(b**t - b ** (t + 2)) != 0
    assert Field([sympy.Integer(2)]).element(sympy.Rational(1, 2)) * 2 == 1


def test_importing_the_symbolic_rooms_does_not_load_sympy():
    rooms = ("system.tableau", "algebra.field", "system.normal_form", "check.equivalence", "latex.writer")
    names = [*rooms, "verify"]
    lines = [f"import accelsim.symbolic.{name}" for name in names]
    code = "\n".join([*lines, "import sys", "sys.exit('sympy' in sys.modules)"])
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missed_memory_is_said():
    from accelsim.symbolic.system.linear_part import linear_part
    from accelsim.symbolic.system.minimal_realization import Reduction

    system = Reduction(linear_part(optimizers.find("ademamix_sgd")))
    system.block()
    del system.rows[1]
    with pytest.raises(ArithmeticError, match="not all there are"):
        system.block()
