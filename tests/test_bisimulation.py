"""Rules as they are: relations of states that prove them the same, runs that refute them, and what holds both."""

import copy
import json
import random

import numpy as np
import pytest
import sympy
from easy_pairs import WAYS, easy_pair

from accelsim.elementary import first, maximum, sign, sqrt, where
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.rule import Hyperparameter, momentum, optimizer, positive, real, step_size
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.intervals import Interval, declared, enclosed
from accelsim.symbolic.certify.documents import of_refutation
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.check.bisimulation import Bisimulation, prove
from accelsim.symbolic.check.cases import Trial
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.find.relations import related
from accelsim.symbolic.refute.cases import FIRST, IMPULSES, refute_by_cases
from accelsim.symbolic.refute.replay import seen
from accelsim.symbolic.system.functions import Functions
from accelsim.symbolic.system.pair import Pair

ADAM = dict(lr=step_size(), b1=momentum(), b2=momentum(), eps=positive())
RATE = Hyperparameter(low=0.1, high=0.9)


def adam(name, step, memories="m v"):
    """A rule with both moments; `step` says what it divides by and what it keeps besides."""

    def run(s, t, h):
        g = yield s.w
        m, v = h.b1 * s.m + (1 - h.b1) * g, h.b2 * s.v + (1 - h.b2) * g * g
        below, more = step(s, t, h, v)
        return dict(w=s.w - h.lr * m / below, m=m, v=v, **more)

    run.__name__ = name
    return optimizer(positions="w", memories=memories, returns="w", **ADAM)(run)


def _before(s, t, h, v):
    top = maximum(s.top, v)
    return sqrt(top / (1 - h.b2 ** (t + 1))) + h.eps, {"top": top}


def _after(s, t, h, v):
    top = maximum(s.top, v / (1 - h.b2 ** (t + 1)))
    return sqrt(top) + h.eps, {"top": top}


beside = adam("beside", lambda s, t, h, v: (sqrt(v) + h.eps, {}))
inside = adam("inside", lambda s, t, h, v: (sqrt(v + h.eps), {}))
before = adam("before", _before, "m v top")
after = adam("after", _after, "m v top")


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), mu=momentum())
def masked(s, t, h):
    """Heavy ball that stays where buffer and gradient disagree."""
    g = yield s.w
    m = h.mu * s.m + g
    return dict(w=s.w - h.lr * m * (1 + sign(m * g)) / 2, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), mu=momentum())
def emptied(s, t, h):
    """Heavy ball whose buffer is emptied there."""
    g = yield s.w
    m = h.mu * s.m + g
    m = m * (1 + sign(m * g)) / 2
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), mu=RATE, damp=Hyperparameter(low=0, high=0.9))
def dampened(s, t, h):
    """PyTorch's momentum, of which dampening spares the first gradient."""
    g = yield s.w
    m = where(first(t), g, h.mu * s.m + (1 - h.damp) * g)
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", returns="w", b=real())
def squared(s, t, h):
    """A step of b squared."""
    g = yield s.w
    return dict(w=s.w - h.b**2 * g)


@optimizer(positions="w", returns="w", lr=real())
def of_any_sign(s, t, h):
    """A step of either sign."""
    g = yield s.w
    return dict(w=s.w - h.lr * g)


@optimizer(positions="w", memories="m", returns="w", a=real(), r=momentum())
def signed_unit(s, t, h):
    """The sign of a multiple of a buffer, of which nobody says that it is positive."""
    g = yield s.w
    m = h.r * s.m + g
    return dict(w=s.w - sign(h.a * m), m=m)


@optimizer(positions="w", memories="m", returns="w", a=real(), r=momentum())
def unit_signed(s, t, h):
    """The sign of a buffer, whatever a is."""
    g = yield s.w
    m = h.r * s.m + g
    return dict(w=s.w - sign(m) + 0 * h.a * m, m=m)


RULES = [beside, inside, before, after, masked, emptied, dampened, squared, of_any_sign, signed_unit, unit_signed]


def found(*more):
    """A finder of rules by name, those of pairs included."""
    known = {str(rule): rule for rule in (*RULES, *more)}
    return lambda name: known[name] if name in known else find(name)


def names(rule):
    """The map of each hyperparameter to that of the same name."""
    return {name: name for name in rule.hyperparameters}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("way", WAYS)
def test_easy_pairs_are_the_same_at_equal_names_and_near_misses_are_not(way, seed):
    a, b = easy_pair(way, seed)
    relations = {}
    for one, other in ((a, b), (b, a)):
        claim = related(Bisimulation(one, other, names(other), {}), Clock(20))
        assert claim is not None
        assert prove(claim).holds
        relations[str(one)] = claim
    one, other = easy_pair(way, seed, wrong=True)
    claim = relations[str(one)]
    assert not prove(Bisimulation(one, other, claim.map, claim.relation, claim.since)).holds
    assert related(Bisimulation(one, other, names(other), {}), Clock(20), held=names(other)) is None


@pytest.mark.parametrize("way", WAYS)
def test_easy_pairs_are_decided_with_certificates_that_hold(way):
    a, b = easy_pair(way, 7)
    answer = equivalent(a, b)
    assert answer.status == "equivalent", answer.reason
    assert verify_certificate(json.loads(json.dumps(answer.certificate)), found(a, b)).holds


def test_first_steps_are_solved_for():
    answer = equivalent(dampened, find("accelerated_sgd"), {"mu": 0.6, "damp": 0.2})
    assert answer.status == "equivalent"
    assert answer.map["beta"] == "where(first(t-1), 3/4, 3/5)"
    assert verify_certificate(answer.certificate, found()).holds
    # 1 - damp may be less than mu, and beta then above 1
    assert equivalent(dampened, find("accelerated_sgd")).status == "equivalent outside ranges"
    held = equivalent(dampened, find("heavy_ball"), {"mu": 0.9, "damp": 0.5}, {"beta": 0.9})
    assert held.status == "refuted"  # what is given may not be another value at the first step


@pytest.mark.parametrize(
    ("a", "b", "given"),
    [
        (beside, inside, {}),
        (inside, beside, {}),
        (before, after, {}),
        (masked, emptied, {"mu": 0.9}),
        (emptied, masked, {}),
    ],
)
def test_functions_that_differ_are_refuted_by_runs(a, b, given):
    answer = equivalent(a, b, given)
    assert answer.status == "refuted"
    assert _holds(json.loads(json.dumps(answer.certificate)))
    pair = Pair(a, b, given)
    found = refute_by_cases(pair, Clock(20))
    document = json.loads(json.dumps(of_refutation(pair, found, seen(pair, found))))
    assert document["counterexample"]["kind"] == "cases"
    assert _holds(document)
    # the same equations about the rule itself, which does follow, refute nothing
    assert not _holds({**document, "b": document["a"], "set_b": {}})


def _holds(document, *rules):
    try:
        return verify_certificate(document, found(*rules)).holds
    except InputError:
        return False


def test_ranges_refute_where_a_square_would_have_to_be_negative():
    assert equivalent(of_any_sign, squared).status == "refuted"
    assert equivalent(squared, of_any_sign).status == "equivalent"


@pytest.mark.parametrize("way", WAYS)
def test_what_is_the_same_is_not_refuted(way):
    for one, other in (easy_pair(way, 3), easy_pair(way, 3)[::-1]):
        assert refute_by_cases(Pair(one, other), Clock(20), (FIRST, IMPULSES[0])) is None


def test_cases_that_ranges_exclude_are_not_looked_at_and_others_are():
    trial = Trial(masked, emptied, {"lr": "1", "mu": "1/2"}, {}, [(8, -1)], {})
    mu = sympy.Symbol("mu[1]", real=True)
    assert list(trial.open.values()) == [8 * mu - 1]
    for signs, impossible in (({8 * mu - 1: -1}, False), ({mu: -1}, True), ({mu: 0, 8 * mu - 1: 1}, True)):
        case = Trial(masked, emptied, {"lr": "1", "mu": "1/2"}, {}, [(8, -1)], signs)
        assert case.impossible == impossible


@pytest.mark.long
def test_with_several_memories_a_refutation_is_for_all_schedules():
    answer = equivalent(find("ademamix_sgd"), find("mars_sgd"))  # which has two memories where its schedules vary
    assert answer.status == "undecided"
    assert "whether schedules do is open" in answer.reason


def test_factors_of_unknown_sign_stay_inside():
    claim = Bisimulation(signed_unit, unit_signed, names(unit_signed), {"b[w]": "a[w]", "b[m]": "a[m]"})
    assert not prove(claim).holds
    assert equivalent(signed_unit, unit_signed).status != "equivalent"


@pytest.mark.long
def test_no_change_of_a_certificate_of_cases_goes_unnoticed():
    document = json.loads(json.dumps(equivalent(before, after).certificate))
    assert _holds(document)
    changes = []
    for i, case in enumerate(document["counterexample"]["cases"]):
        changes.append(lambda d, i=i: d["cases"].pop(i))
        changes.append(lambda d, i=i: d["cases"][i]["lines"].pop(0))
        changes.append(lambda d, i=i: d["cases"][i]["signs"][0].update({"is": 1 - 2 * d["cases"][i]["signs"][0]["is"]}))
        changes.append(lambda d, i=i: d["cases"][i]["lines"][-1].update({"is": "2"}))
        assert case["signs"]
    changes.append(lambda d: d["values"].__setitem__(0, "7"))
    changes.append(lambda d: d["gradients"][0].__setitem__(0, "3"))
    changes.append(lambda d: d["hyperparameters"].update(b2="1/3"))
    changes.append(lambda d: d["hyperparameters"].update(b2="2"))
    changes.append(lambda d: d.update(unknown="constant"))
    for change in changes:
        forged = copy.deepcopy(document)
        change(forged["counterexample"])
        assert not _holds(forged)


def test_no_change_of_a_relation_goes_unnoticed():
    a, b = easy_pair("folded", 1)
    document = json.loads(json.dumps(equivalent(a, b).certificate))
    assert document["kind"] == "bisimulation"
    assert _holds(document, a, b)
    relation = document["relation"]
    others = [
        {"relation": {**relation, "b[v]": f"2*({relation['b[v]']})"}},
        {"relation": {k: v for k, v in relation.items() if k != "b[v]"}},
        {"relation": {**relation, "b[w]": "b[v]"}},
        {"since": 0},
        {"map": {**document["map"], "eps": "2*eps"}},
        {"map": {k: v for k, v in document["map"].items() if k != "eps"}},
        {"conditions": ["lr != 0"]},
        {"given": {"r": "1/2"}, "map": {**document["map"], "r": "1/3"}},
    ]
    for other in others:
        assert not _holds({**document, **other}, a, b), other


def test_a_number_that_is_given_as_text_is_that_number():
    a, b = easy_pair("folded", 1)
    number, text, schedule = (equivalent(a, b, set_a={"lr": lr}) for lr in (0.5, "0.5", "0.5/(t + 1)"))
    assert (text.map["lr"], schedule.map["lr"]) == (number.map["lr"], "lr(t)")
    assert number.map["lr"] != "lr(t)"
    for answer in (number, text, schedule):
        assert _holds(json.loads(json.dumps(answer.certificate)), a, b)


def test_a_relation_that_begins_where_a_step_is_special_is_refused():
    claim = Bisimulation(dampened, dampened, names(dampened), {"b[w]": "a[w]", "b[m]": "a[m]"})
    with pytest.raises(InputError, match="from step 1 on"):
        prove(claim)


def test_intervals_enclose_what_expressions_take():
    chance = random.Random(5)
    x, y, z = sympy.symbols("x y z", real=True)
    within = {x: declared(momentum()), y: declared(positive()), z: Interval()}
    bounded = [1 - x, 1 - x ** (y + 1), x**2 - x + 1, x * (1 - x)]
    for expression in (*bounded, x * y - x, (x - 2) * y, z**2 + y, (x - y) ** 3 / (1 - x), 1 / y):
        interval = enclosed(expression, within.__getitem__)
        for _ in range(50):
            values = {x: chance.randint(0, 99) / 100, y: chance.randint(1, 99) / 20, z: chance.gauss(0, 3)}
            value = float(expression.subs(values))
            assert float(interval.low) - 1e-12 <= value <= float(interval.high) + 1e-12
            assert not interval.positive or value > 0
    assert [enclosed(e, within.__getitem__).positive for e in (1 - x, y, x, z)] == [True, True, False, False]
    assert [enclosed(e, within.__getitem__).nonnegative for e in (z**2, x, z)] == [True, True, False]


def _random(chance, depth, leaves):
    """A random expression, as a function of an arithmetic and of its leaves' values."""
    if depth == 0 or chance.random() < 0.15:
        i = chance.randrange(leaves)
        return lambda f, values: values[i]
    op = chance.choice(["add", "sub", "mul", "div", "sqrt", "abs", "sign", "maximum"])
    one, other = (_random(chance, depth - 1, leaves) for _ in range(2))
    if op in ("add", "sub", "mul"):
        act = {"add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b}[op]
        return lambda f, values: act(one(f, values), other(f, values))
    if op == "div":
        return lambda f, values: f.div(one(f, values), f.abs(other(f, values)) + values[0] + 1)
    if op == "sqrt":
        return lambda f, values: f.sqrt(one(f, values) ** 2 * values[0])
    if op == "maximum":
        return lambda f, values: f.maximum(one(f, values), other(f, values))
    return lambda f, values: getattr(f, op)(one(f, values))


class _Floats:
    """The same functions of floats."""

    div = staticmethod(lambda a, b: a / b)
    sqrt, abs, sign, maximum = map(staticmethod, (np.sqrt, np.abs, np.sign, np.maximum))


def test_normal_forms_have_the_values_of_what_they_are_of():
    chance = random.Random(11)
    p, x, y = sympy.symbols("p x y", real=True)
    for _ in range(40):
        made = _random(chance, 3, 3)
        functions = Functions([x, y], lambda s: declared(positive()))
        value = functions.written(functions.normal(made(functions, (p, x, y))))
        for _ in range(4):
            here = [abs(chance.gauss(0, 1)) + 0.1, chance.gauss(0, 1), chance.gauss(0, 1)]
            exactly = float(made(_Floats, tuple(map(np.float64, here))))
            found_ = float(value.subs(dict(zip((p, x, y), here, strict=True))))
            assert found_ == pytest.approx(exactly, rel=1e-7, abs=1e-9)


def test_what_is_said_to_vanish_does_and_what_differs_does_not():
    x, y, p = sympy.symbols("x y p", real=True)
    f = Functions([x, y], lambda s: declared(positive()))
    zero = [
        f.sign(p * x) - f.sign(x),
        f.sqrt(p * x * x) - f.sqrt(p) * f.abs(x),
        f.div(x, f.abs(x)) - f.sign(x),
        f.maximum(p * x, p * y) - p * f.maximum(x, y),
        f.sign(x * y) - f.sign(x) * f.sign(y),
        f.total(p * x * x) - p * f.total(x * x),
        f.abs(x) ** 2 - x**2,
        f.minimum(x, y) + f.maximum(x, y) - x - y,
        f.sqrt(sympy.Integer(6)) - f.sqrt(sympy.Integer(2)) * f.sqrt(sympy.Integer(3)),
    ]
    other = [
        f.sign(x + p) - f.sign(x),
        f.sign(x) ** 2 - 1,
        f.abs(x) - x,
        f.maximum(x, y) - x,
        f.sqrt(x + p) - f.sqrt(x),
        f.total(x * x) - x * x,
        f.abs(x + y) - f.abs(x) - f.abs(y),
    ]
    assert all(map(f.vanishes, zero))
    assert not any(map(f.vanishes, other))


@pytest.mark.parametrize(
    ("move", "conditions"),
    [
        (lambda m, v: m * m * m**-1, {"beta*m + g != 0"}),
        (lambda m, v: sqrt(m + 10) ** 2 - 10, {"beta*m + g + 10 >= 0"}),
        (lambda m, v: (m + 10) ** 0.5 * (m + 10) ** 0.5 - 10, {"beta*m + g + 10 >= 0"}),
        (lambda m, v: m + 0 * sqrt(v), set()),  # of squares, which need no condition
        (lambda m, v: m + 0 * sqrt(v - 1), {"beta*v + g*g - 1 >= 0"}),
    ],
    ids=["negative power", "root", "half powers", "root of squares", "root of squares less one"],
)
def test_what_states_must_be_for_a_rule_to_have_a_value_is_a_condition(move, conditions):
    @optimizer(positions="w", memories="m v", returns="w", lr=step_size(), beta=momentum())
    def written(s, t, h):
        g = yield s.w
        m, v = h.beta * s.m + g, h.beta * s.v + g * g
        return dict(w=s.w - h.lr * move(m, v), m=m, v=v)

    relation = {"b[w]": "a[w]", "b[m]": "a[m]"}
    proved = prove(Bisimulation(find("heavy_ball"), written, {"lr": "lr", "beta": "beta"}, relation))
    assert proved.holds, proved.reason
    assert set(proved.conditions) == {f"{text} in written" for text in conditions}
