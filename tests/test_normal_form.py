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
from accelsim.optimizer import optimizer
from accelsim.program import exact, run
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra import Field, evaluated, reduced
from accelsim.symbolic.normal_form import canonical
from accelsim.symbolic.tableau import sympy_functions, time

STEPS = 7


def written(text, varying=()):
    """An expression in SymPy, with `varying` names as functions of t."""
    import sympy

    names = {name: sympy.Function(name, real=True) for name in (*varying, "c", "w", "m", "n")}
    names["p"] = sympy.Function("p", positive=True)
    plain = {"lr", "beta", "beta1", "beta2", "beta3", "alpha", "gamma", "delta", "kappa", "xi", "e", "nu", "eta"}
    symbols = {name: sympy.Symbol(name, real=True) for name in plain}
    known = {**sympy_functions(), **symbols, **names, "t": time()}
    return sympy.sympify(evaluated(text, known, lambda x: sympy.Rational(str(exact(x)))))


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


def test_weight_decay_is_assumed_away_openly_and_refused_when_given():
    for name in ("lion", "adamw", "schedule_free_adamw"):
        assert any(a.startswith("weight_decay = 0") for a in canonical(optimizers.find(name)).assumptions)
    with pytest.raises(InputError, match="does not move along with a translation"):
        canonical(optimizers.find("lion"), weight_decay=0.1)
    assert not any("weight_decay" in a for a in canonical(optimizers.find("lion"), weight_decay=0).assumptions)


def test_what_is_set_aside_is_said():
    said = {name: " ".join(canonical(optimizers.find(name)).assumptions) for name in ("lion", "adamw")}
    assert "sign acts after the momentum" in said["lion"]
    assert "p(t) is a given positive sequence, acting after" in said["adamw"]
    before = " ".join(canonical(optimizers.find("schedule_free_adamw")).assumptions)
    assert "g is the preconditioned gradient" in before


def test_two_gradients_a_step_have_no_canonical_form():
    with pytest.raises(InputError, match="takes 2 gradients a step"):
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
    assert reduced((1 - b ** (2 * t)) / (1 - b**t) - 1 - b**t) != 1
    assert reduced(b**t - b ** (t + 2)) != 0
    assert Field([sympy.Integer(2)]).element(sympy.Rational(1, 2)) * 2 == 1


def test_importing_the_symbolic_rooms_does_not_load_sympy():
    names = ["tableau", "algebra", "normal_form", "equivalence", "latex", "verify"]
    lines = [f"import accelsim.symbolic.{name}" for name in names]
    code = "\n".join([*lines, "import sys", "sys.exit('sympy' in sys.modules)"])
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
