"""Rules whose linear parts are the same are told apart by runs of the rules as they are, roots and all."""

import copy
import json
import math
from contextlib import suppress
from fractions import Fraction

import pytest

from accelsim.elementary import first, sqrt, where
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.optimizers.qhm import mean
from accelsim.rule import momentum, optimizer, positive, program_hash, real, step, step_size
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra.budget import Clock, OutOfTime
from accelsim.symbolic.certify import nonlinear as own_runs
from accelsim.symbolic.certify.documents import of_refutation
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.refute.nonlinear import refute_itself
from accelsim.symbolic.refute.replay import seen
from accelsim.symbolic.system.pair import Pair


@optimizer(positions="w", memories="v", returns="w", lr=step_size(), beta=momentum(0.9), eps=positive(1))
def averaging(s, t, h):
    """The root of a moving average of squares."""
    g = yield s.w
    v = mean(s.v, g * g, h.beta)
    return dict(w=s.w - h.lr * g / (sqrt(v) + h.eps), v=v)


@optimizer(positions="w", memories="v", returns="w", lr=step_size(), eps=positive(1))
def summing(s, t, h):
    """The root of a sum of squares."""
    g = yield s.w
    v = s.v + g * g
    return dict(w=s.w - h.lr * g / (sqrt(v) + h.eps), v=v)


@optimizer(positions="w", memories="v", returns="w", lr=step_size(), beta=momentum(0.9), eps=positive(1))
def within(s, t, h):
    """What is added is added under the root."""
    g = yield s.w
    v = mean(s.v, g * g, h.beta)
    return dict(w=s.w - h.lr * g / sqrt(v + h.eps), v=v)


@optimizer(positions="w", memories="v", returns="w", lr=step_size(), beta=momentum(0.9), eps=positive(1))
def thirds(s, t, h):
    """`averaging` in other units."""
    g = yield s.w
    v = mean(s.v, g * g, h.beta)
    return dict(w=s.w - h.lr * g / (3 * sqrt(v) + h.eps), v=v)


@optimizer(positions="w", memories="v", returns="w", lr=step_size(), beta=momentum(0.9), eps=positive(1))
def sized(s, t, h):
    """`averaging`, with what no run in fractions follows."""
    g = yield s.w
    v = mean(s.v, g * g, h.beta)
    return dict(w=s.w - h.lr * g / (abs(sqrt(v)) + h.eps), v=v)


@optimizer(positions="w", memories="v", returns="w", lr=step_size())
def vanishing(s, t, h):
    """Divides by what is zero for one sign of the root alone."""
    g = yield s.w
    v = s.v + g * g
    return dict(w=s.w - h.lr * g / (v + sqrt(v) - 6), v=v)


def divided(name, denominator):
    """`averaging` with another denominator, in which delta may be any number."""

    def run(s, t, h):
        g = yield s.w
        v = mean(s.v, g * g, h.beta)
        return dict(w=s.w - h.lr * g / denominator(sqrt(v) + h.eps, v, t, h), v=v)

    run.__name__, run.__doc__ = name, "A rule of a test."
    declared = dict(lr=step_size(), beta=momentum(0.9), eps=positive(1), delta=real())
    return optimizer(positions="w", memories="v", returns="w", **declared)(run)


def unused(root, v, t, h):
    v / h.delta
    return root + h.delta * v


elsewhere = divided("elsewhere", lambda root, v, t, h: where(first(t), root + h.delta * v, root / h.delta))
idle = divided("idle", unused)
used = divided("used", lambda root, v, t, h: root + h.delta * v + (h.delta / h.delta - 1))


def searched(a, b, seconds=8.0):
    """What runs of the rules themselves find, without weight decay."""
    without = [{"weight_decay": 0} if "weight_decay" in rule.hyperparameters else {} for rule in (a, b)]
    varying = tuple(name for name, h in a.hyperparameters.items() if isinstance(h.default, Recurrence))
    clock, pair = Clock(seconds), Pair(a, b, *without, varying=tuple(varying))
    with clock.enforced():
        found = refute_itself(pair, clock)
    if found is None:
        return None
    return json.loads(json.dumps(of_refutation(pair, found, seen(pair, found))))


def named(name):
    own = {rule.name: rule for rule in (averaging, summing, within, thirds, sized, vanishing, elsewhere, idle, used)}
    return own.get(name) or find(name)


PAIRS = [
    ("nadam", "adana"),  # one rate of two averages is not two
    ("qhadam", "adana"),
    ("qhadam", "nadam"),  # the newest square weighs more than in any average
    ("qhadam", "simplified_ademamix"),
    ("adan", "ademamix"),  # squares of sums have products
    ("averaging", "summing"),  # no sum forgets
    ("within", "averaging"),  # where three lengths tell
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_rules_as_they_are_differ_whatever_schedules_there_are(one, other):
    document = searched(named(one), named(other))
    assert document is not None
    assert verify_certificate(document, named).holds


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("nadam", "simplified_ademamix"),
        ("adana", "simplified_ademamix"),
        ("adana", "nadam"),
        ("nadam", "qhadam"),
        ("adana", "qhadam"),
        ("averaging", "averaging"),
        ("averaging", "thirds"),
        ("summing", "averaging"),  # a sum is an average of t/(t + 1) in units that change
        ("averaging", "sized"),
    ],
)
@pytest.mark.long
def test_rules_that_are_others_in_other_units_are_not_told_apart(one, other):
    with suppress(OutOfTime):
        assert searched(named(one), named(other), seconds=1.2) is None


def test_the_answer_says_that_schedules_do_not_help_and_shows_what_both_query():
    answer = equivalent(find("qhadam"), find("simplified_ademamix"))
    assert answer.status == "refuted"
    assert "whatever schedules its hyperparameters are: p(t) is another formula" in answer.reason
    assert not any("given positive sequence" in note for note in answer.assumptions)
    assert any(note.startswith("weight_decay = 0 in simplified_ademamix") for note in answer.assumptions)
    verified = verify_certificate(json.loads(json.dumps(answer.certificate)))
    assert verified.holds
    assert "may vary from step to step" in verified.reason
    lines = answer.to_text()["counterexample"]
    assert lines[0].startswith("qhadam at beta1 = ")
    told = [line for line in lines if line.startswith(("after a gradient of ", "on the gradients "))]
    assert told
    assert all(", qhadam queries 0, " in line and ", simplified_ademamix 0, " in line for line in told)
    assert lines[-1].startswith("simplified_ademamix cannot answer so, whatever schedules its hyperparameters are")


def test_the_rules_of_a_user_are_told_apart():
    answer = equivalent(averaging, summing)
    assert answer.status == "refuted"
    assert answer.counterexample["kind"] == "itself"
    assert equivalent(summing, averaging, budget=3).status != "refuted"


# -- what is not shown is not believed --


@pytest.fixture(scope="module")
def shown():
    return searched(averaging, summing)


def changed(document, place, value):
    """The document with another thing at a place of its counterexample."""
    document = copy.deepcopy(document)
    part = document["counterexample"]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return document


def held(document):
    return verify_certificate(document, named).holds


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("lengths", 1), "3"),
        (("hyperparameters", "lr"), "1/7"),
        (("values", 0), "0"),
        (("lines", 0, "is"), "1"),
        (("lines", 0, "terms", 0, "times"), "0"),
        (("lines", -1, "is"), "0"),
        (("lines", -1, "is"), "2"),
        (("answers", 0, "length"), 1),
    ],
)
def test_a_changed_certificate_does_not_hold(shown, place, value):
    assert held(shown)
    try:
        assert not held(changed(shown, place, value))
    except InputError:
        assert place[0] == "answers"  # which are then two of one kind


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("hyperparameters", "beta"), "1"),
        (("hyperparameters", "eps"), "0"),
        (("hyperparameters", "lr"), ["1", "1", "1", "1"]),
        (("hyperparameters", "other"), "1"),
        (("gradients", 0), ["1"]),
        (("gradients",), [["1", "2"]] * 6),
        (("gradients", -1, 0), "1/2"),  # no answer is one to it
        (("lengths", 1), "1"),
        (("gradients", 0, 0), "sqrt(2)"),
        (("lengths", 0), "-1"),
        (("values",), []),
        (("answers", 0, "gradients"), 99),
        (("answers", 0, "step"), -1),
        (("lines", 0, "terms", 0, "of"), 999),
        (("lines", 0, "terms", 0, "of"), -1),
        (("lines", 0, "terms", 0, "times"), "unknown[0]"),
        (("lines", 0, "terms", 0, "times"), "1/0"),
        (("lines", 0, "terms", 0, "times"), "eps[0]**(1/2)"),
        (("lines", 0, "more"), "1"),
        (("unknown",), "two a step"),
        (("given",), {}),
    ],
)
def test_what_does_not_fit_together_is_no_certificate(shown, place, value):
    with pytest.raises(InputError):
        held(changed(shown, place, value))


def test_the_square_of_a_root_is_what_the_run_has_under_it(shown):
    name = next(iter(shown["counterexample"]["roots"]))
    assert not held(changed(shown, ("roots", name), "1/3"))
    roots = shown["counterexample"]["roots"]
    assert not held(changed(shown, ("roots",), {"a[9][9][9]" if k == name else k: v for k, v in roots.items()}))


def test_no_line_divides_by_what_might_be_zero(shown):
    lines = shown["counterexample"]["lines"]
    known = len(shown["counterexample"]["answers"]) + len(shown["counterexample"]["roots"])
    cheat = {"is": "1", "terms": [{"of": known, "times": f"1/({lines[0]['is']})"}]}
    verified = verify_certificate(changed(shown, ("lines",), [lines[0], cheat]), named)
    assert not verified.holds
    assert "might be zero" in verified.reason


def test_lines_must_end_in_one(shown):
    lines = shown["counterexample"]["lines"]
    assert not held(changed(shown, ("lines",), lines[:-1]))
    assert not held(changed(shown, ("lines",), []))


def test_equal_rules_have_no_certificate(shown):
    document = {**shown, "b": shown["a"]}
    assert not held(document)


def test_hyperparameters_that_are_given_are_those_of_the_run():
    document = searched(averaging, summing)
    assert held(document)
    with pytest.raises(InputError):
        held({**document, "set_a": {"lr": "1/5"}})
    with pytest.raises(InputError):
        held({**document, "set_b": {"eps": "-1"}})


def test_a_rule_that_may_divide_by_zero_for_one_sign_of_a_root_refutes_nothing():
    squares = {"a": (sympy_symbol("a"), 2)}
    assert own_runs._may_vanish(sympy_symbol("a") ** 2 - 2, squares)
    assert not own_runs._may_vanish(sympy_symbol("a") - 2, squares)
    assert own_runs._may_vanish(sympy_symbol("a") - 2, {"a": (sympy_symbol("a"), 4)})


def sympy_symbol(name):
    import sympy

    return sympy.Symbol(name)


@pytest.mark.parametrize("name", ["averaging", "within", "qhadam", "adana"])
def test_runs_in_exact_expressions_are_runs_of_the_rule(name):
    rule, gradients = named(name), [Fraction(2), Fraction(-1), Fraction(3)]
    sought = {(k, t): sympy_symbol(f"{k}[{t}]") for k in rule.hyperparameters for t in range(4)}
    ground = own_runs._ground(rule, rule, lambda k, t: sought[k, t], 3, 0, 1)
    exact = own_runs._Run(ground, "b").queries(rule, lambda k, t: sought[k, t], gradients, None)
    at = {s: Fraction(10 + 2 * i, 100) for i, s in enumerate(sorted(sought.values(), key=str))}
    numbers = {str(s): float(value) for s, value in at.items()}
    for root, square in ground.roots.values():
        numbers[str(root)] = math.sqrt(number(square, numbers))
    state, shown = rule.start(0.0), []
    switches = {k: h.default for k, h in rule.hyperparameters.items() if h.switch}
    for t, g in enumerate([*gradients, 0]):
        h = {k: numbers[f"{k}[{t}]"] for k in rule.hyperparameters if k not in switches}
        shown.append(state["w"])
        state = step(rule, state, t, h | switches, lambda w, g=g: float(g))
    assert [number(x, numbers) for x in exact] == pytest.approx(shown)


def number(element, numbers):
    """An element of a field at numbers."""
    expression = element.as_expr()
    return float(expression.subs({s: numbers[str(s)] for s in expression.free_symbols}))


def test_what_is_not_computed_divides_by_nothing():
    assert searched(averaging, elsewhere) is None  # delta = 0 at the first step and 1 at all others makes them one
    assert equivalent(averaging, idle).map["delta"] == "0"
    document = searched(averaging, used)  # which divides by delta
    assert verify_certificate(document, named).holds
    document["b"] |= {"name": "idle", "program": program_hash(idle)}
    found = verify_certificate(document, named)
    assert not found.holds
    assert "delta[0], which might be zero" in found.reason


@pytest.mark.parametrize(
    ("part", "text"),
    [("lengths", "1/0"), ("is", "first(0)"), ("times", "sqrt"), ("times", "(" * 3000 + "1" + ")" * 3000)],
)
def test_what_cannot_be_read_is_no_certificate(part, text):
    document = searched(averaging, used)
    found = document["counterexample"]
    if part == "lengths":
        found["lengths"][-1] = text
    elif part == "is":
        found["lines"][-1]["is"] = text
    else:
        found["lines"][-1]["terms"][0]["times"] = text
    with pytest.raises(InputError):
        verify_certificate(document, named)
