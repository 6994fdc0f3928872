"""Rules whose preconditioners are different formulas of one thing: claims, certificates and answers about them."""

import json
from fractions import Fraction

import pytest
import sympy

from accelsim.elementary import first, maximum, sqrt, where
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.optimizers.adamw import debiased
from accelsim.rule import momentum, optimizer, positive, step, step_size
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.radicals import Roots
from accelsim.symbolic.certify.schema import FORMAT
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.check.equivalence import Equivalence, check
from accelsim.symbolic.check.preconditioners import Rule, nonlinear
from accelsim.symbolic.coq.coqc import exported
from accelsim.symbolic.find.answer import SAME
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.find.identities import KeptRoots, conditions, positive_root, without_powers
from accelsim.symbolic.find.preconditioner_ratios import Relating
from accelsim.symbolic.system.linear_part import linear_part
from accelsim.symbolic.system.pair import Question
from accelsim.symbolic.system.tableau import time

MEMORY = dict(lr=step_size(), beta=momentum(), eps=positive())


def rule(name, denominator, memories="v", square=lambda s, g, h: h.beta * s.v + (1 - h.beta) * g * g, **more):
    """Preconditioned SGD with a second moment and a denominator of one's own."""

    def run(s, t, h):
        g = yield s.w
        v = square(s, g, h)
        return dict(w=s.w - h.lr * g / denominator(v, t, h), v=v)

    run.__name__, run.__doc__ = name, "A rule of a test."
    return optimizer(positions="w", memories=memories, returns="w", **{**MEMORY, **more})(run)


plain = rule("plain", lambda v, t, h: sqrt(v) + h.eps)
tripled = rule("tripled", lambda v, t, h: sqrt(9 * v / 4) + h.eps)
inside = rule("inside", lambda v, t, h: sqrt(v + h.eps))
corrected = rule("corrected", lambda v, t, h: sqrt(debiased(v, h.beta, t)) + h.eps)
summed = rule("summed", lambda v, t, h: sqrt(v) + h.eps, square=lambda s, g, h: h.beta * s.v + g * g)
cut = rule("cut", lambda v, t, h: maximum(h.eps, sqrt(v)))
begun = rule("begun", lambda v, t, h: sqrt(v) + h.eps, memories={"v": 1})
late = rule("late", lambda v, t, h: where(first(t), 2 * sqrt(v), sqrt(v)) + h.eps)


@optimizer(positions="w", memories="u v", returns="w", lr=step_size(), a=momentum(), b=momentum(), eps=positive())
def two_states(s, t, h):
    """Two second moments under one root, and a root of a root."""
    g = yield s.w
    u, v = h.a * s.u + (1 - h.a) * g * g, h.b * s.v + (1 - h.b) * g * g
    return dict(w=s.w - h.lr * g / (sqrt(u + sqrt(v) * g * sqrt(g * g)) + h.eps), u=u, v=v)


@optimizer(positions="w", memories="x y", returns="w", lr=step_size(), a=momentum(), b=momentum(), eps=positive())
def renamed(s, t, h):
    """The same, its moments called otherwise and one of them twice as large, its denominator four times."""
    g = yield s.w
    y, x = h.a * s.y + (1 - h.a) * g * g, h.b * s.x + 2 * (1 - h.b) * g * g
    return dict(w=s.w - h.lr * g / (sqrt(16 * y + 16 * sqrt(x / 2) * g * sqrt(g * g)) + h.eps), x=x, y=y)


@optimizer(
    positions="w", memories="m v", returns="w", lr=step_size(), beta1=momentum(), beta=momentum(), eps=positive()
)
def before(s, t, h):
    """A preconditioner that acts before the momentum."""
    g = yield s.w
    v = h.beta * s.v + (1 - h.beta) * g * g
    m = h.beta1 * s.m + g / (sqrt(v) + h.eps)
    return dict(w=s.w - h.lr * m, m=m, v=v)


@optimizer(
    positions="w", memories="m v", returns="w", lr=step_size(), beta1=momentum(), beta=momentum(), eps=positive()
)
def before_corrected(s, t, h):
    """The same, its second moment without a bias."""
    g = yield s.w
    v = h.beta * s.v + (1 - h.beta) * g * g
    m = h.beta1 * s.m + g / (sqrt(debiased(v, h.beta, t)) + h.eps)
    return dict(w=s.w - h.lr * m, m=m, v=v)


RULES = {
    r.name: r
    for r in (
        plain,
        tripled,
        inside,
        corrected,
        summed,
        cut,
        begun,
        late,
        two_states,
        renamed,
        before,
        before_corrected,
    )
}


def found(name):
    return RULES[name] if name in RULES else find(name)


# -- claims ------------------------------------------------------------------------------------------------------------

SCALED = dict(
    map=dict(lr="3*lr/2", beta="beta", eps="3*eps/2"), transform=dict(w="w"), preconditioners=dict(p="2*p(t)/3")
)


def claimed(source=plain, target=tripled, **changed):
    return Equivalence(source, target, **{**SCALED, **changed})


def test_a_multiple_of_a_formula_is_proved():
    verdict = check(claimed())
    assert verdict.status == "proved"
    assert {"initial memory in v", "update of v", "given sequence p"} <= verdict.residuals.keys()
    assert "p(t) of tripled is 2*p(t)/3 of plain" in verdict.assumptions
    assert not any("one formula" in note for note in verdict.assumptions)


@pytest.mark.parametrize(
    "wrong",
    [
        dict(preconditioners=dict(p="p(t)*3/2")),
        dict(map={**SCALED["map"], "lr": "lr"}),
        dict(map={**SCALED["map"], "eps": "eps"}),
        dict(map={**SCALED["map"], "beta": "beta/2"}),
    ],
)
def test_a_wrong_factor_or_parameter_is_refuted_by_the_rules_themselves(wrong):
    right = wrong.get("preconditioners")
    verdict = check(claimed(**wrong))
    assert verdict.status == ("failed" if right else "refuted")  # the map is right, what is said of p alone is not
    assert any(left != "0" for left in verdict.residuals.values())
    if not right:
        counterexample = verdict.counterexample
        one, other = (float(value.split(",")[0]) for value in counterexample["values"])
        h = [{k: float(Fraction(v)) for k, v in counterexample[end].items()} for end in ("source", "target")]
        gradients = [float(Fraction(g)) for g in counterexample["gradients"]]
        assert [followed(r, row, gradients) for r, row in zip((plain, tripled), h, strict=True)] == pytest.approx(
            [one, other]
        )


def followed(r, h, gradients):
    """Where a rule queries after some gradients; hyperparameters that do not vary."""
    state, asked = r.start(1.0), []
    for t, g in enumerate(gradients):
        state = step(r, state, t, h, lambda point, g=g: asked.append(point) or g)
    return state["w"]


def test_a_state_is_what_is_said_of_it_in_the_other_rule():
    said = dict(
        map=dict(lr="lr/sqrt(1 - beta)", beta="beta", eps="eps/sqrt(1 - beta)"),
        preconditioners=dict(p="p(t)*sqrt(1 - beta)"),
        nonlinear=dict(v="v/(1 - beta)"),
    )
    verdict = check(claimed(target=summed, **said))
    assert verdict.status == "proved"
    assert "v of summed is v/(1 - beta)" in verdict.assumptions
    assert "1 - beta != 0" in verdict.conditions
    for wrong in ("v", "2*v/(1 - beta)", "v/(1 - beta) + 1"):
        verdict = check(claimed(target=summed, **{**said, "nonlinear": {"v": wrong}}))
        assert verdict.status == "failed"
        assert verdict.counterexample is None


def test_states_start_alike_or_nothing_is_proved():
    same = dict(map=dict(lr="lr", beta="beta", eps="eps"), preconditioners=dict(p="p(t)"))
    verdict = check(claimed(target=begun, **same))
    assert verdict.residuals["initial memory in v"] == "-1"
    assert verdict.status == "refuted"


def test_the_first_step_may_be_another():
    same = dict(lr="lr*where(first(t), 2, 1)", beta="beta", eps="eps*where(first(t), 2, 1)")
    other = dict(p="p(t)/where(first(t), 2, 1)")
    assert check(claimed(target=late, map=same, preconditioners=other)).status == "proved"
    assert check(claimed(target=late, map={**same, "eps": "eps"}, preconditioners=other)).status == "refuted"


def test_other_functions_are_the_same_of_the_same_alone():
    same = dict(map=dict(lr="lr", beta="beta", eps="eps"), preconditioners=dict(p="p(t)"))
    assert check(claimed(cut, cut, **same)).status == "proved"
    scaled = dict(map=dict(lr="lr", beta="beta", eps="2*eps"), preconditioners=dict(p="p(t)"))
    assert check(claimed(cut, cut, **scaled)).status == "refuted"


@pytest.mark.parametrize(
    "wrong",
    [
        dict(preconditioners=dict(q="p(t)")),
        dict(nonlinear=dict(u="v")),
        dict(nonlinear=dict(v="w")),
        dict(map=dict(lr="3*lr/2", eps="3*eps/2")),
        dict(preconditioners=dict(p="p")),
    ],
)
def test_what_a_claim_says_must_have_a_meaning(wrong):
    with pytest.raises(InputError):
        check(claimed(**wrong))


def test_the_next_value_of_a_sequence_is_not_this_one():
    verdict = check(claimed(preconditioners=dict(p="2*p(t+1)/3")))
    assert verdict.residuals["given sequence p"] != "0"


def test_a_relation_of_formulas_is_told_to_be_unchecked_by_coq():
    (unchecked,) = exported(claimed()).unchecked
    assert "p" in unchecked


# -- roots -------------------------------------------------------------------------------------------------------------


def test_roots_are_taken_of_factors():
    b, v, g = sympy.Symbol("b", real=True), sympy.Dummy("v"), sympy.Dummy("g")
    roots, square = Roots([v, g]), b * v + (1 - b) * g**2
    assert roots.left(roots.root(b * square) - sympy.sqrt(b) * roots.root(square)) == 0
    assert roots.left(roots.root(8 * square) - 2 * roots.root(2) * roots.root(square)) == 0
    assert roots.positive == []
    assert roots.left(roots.root(square) * roots.root(b * square) - sympy.sqrt(b) * square) == 0
    assert len(roots.positive) == 1


def test_roots_of_other_numbers_are_others():
    v, g = sympy.Dummy("v"), sympy.Dummy("g")
    roots = Roots([v, g])
    assert roots.left(roots.root(v) - roots.root(v + g)) != 0
    assert roots.left(roots.root(v + g) - roots.root(v) - roots.root(g)) != 0
    assert roots.left(roots.root(g**2) - g) != 0  # it is the absolute value
    assert roots.left(roots.root(2 * v) - 2 * roots.root(v)) != 0
    assert roots.left(1 / (roots.root(v) ** 2 - v)) is sympy.nan


# -- formulas as they are read -----------------------------------------------------------------------------------------


def read(source):
    """A rule's formulas, its hyperparameters being symbols."""
    return Rule(linear_part(source), {}, {k: sympy.Symbol(k, real=True) for k in source.hyperparameters})


def test_a_formula_divides_by_what_its_correction_does_and_by_nothing_else():
    beta = sympy.Symbol("beta", real=True)
    (divisor,) = read(corrected).divided_by(["p"])
    assert sympy.simplify(divisor - (1 - beta ** (time() + 1))) == 0
    assert list(read(plain).divided_by(["p"])) == []
    assert set(read(plain).factors) == {"p"}


def test_a_nonlinear_state_is_the_one_of_its_name_unless_a_claim_says_otherwise():
    symbols = {"v": sympy.Symbol("v")}

    def written(text, **names):
        return sympy.sympify(str(text), names)

    rules = read(plain), read(summed)
    assert nonlinear({}, rules, written, symbols) == symbols
    assert nonlinear({"v": "2*v"}, rules, written, symbols) == {"v": 2 * symbols["v"]}
    assert nonlinear({}, rules, written, {}) == {}


X, Y, V = sympy.symbols("x y v", positive=True)


def test_coefficients_vanish_where_an_expression_does_whatever_states_are():
    vanishing, divisors = conditions((X - 1) * V**2 / (1 + X) + (Y - X) * V / (1 + X), [V])
    assert {sympy.factor(c) for c in vanishing} in ({X - 1, Y - X}, {X - 1, X - Y})
    assert {sympy.expand(d) for d in divisors} <= {X + 1, -X - 1}
    assert divisors
    assert conditions(sympy.Integer(0), [V]) == ([], [])
    assert conditions(sympy.Integer(3), [V])[0] == [3]


def test_powers_that_are_the_same_everywhere_are_symbols_and_others_stay():
    hidden = {}
    found = without_powers(X ** sympy.Rational(1, 3) * V + sympy.sqrt(Y) + sympy.sqrt(V), [Y], [V], hidden)
    assert list(hidden) == [X ** sympy.Rational(1, 3)]
    assert found.xreplace({symbol: e for e, symbol in hidden.items()}).has(sympy.sqrt(Y), sympy.sqrt(V))


def test_roots_of_states_are_symbols_one_for_each_square():
    kept = KeptRoots([V])
    assert kept.root(4 * X) == 2 * sympy.sqrt(X)
    assert kept.root(V + X) == kept.root(V + X) != kept.root(V)
    assert set(kept.squares.values()) == {V + X, V}
    assert sympy.expand(positive_root(9 * X**3) ** 2 - 9 * X**3) == 0


def related(a, b):
    question = Question(a, b)
    return Relating(question, (linear_part(a), linear_part(b, b.hyperparameters)), ["p"], Clock(60))


def test_multiples_of_formulas_are_solved_for_and_what_is_none_has_obstructions():
    found = next(iter(related(plain, tripled).relations()))
    assert found.scales == {"p": sympy.Rational(2, 3)}
    assert found.values["eps"] == 3 * sympy.Symbol("eps", real=True) / 2
    v, eps = 2.0, 0.1  # 3/2 of the denominator: p is its inverse
    assert (9 * v / 4) ** 0.5 + 1.5 * eps == pytest.approx(1.5 * (v**0.5 + eps))
    apart = related(plain, inside)
    assert list(apart.relations()) == []
    assert apart.obstructions


# -- answers -----------------------------------------------------------------------------------------------------------

PAIRS = {
    ("nadam", "simplified_ademamix"): "sqrt(beta2)*p(t)",
    ("adana", "simplified_ademamix"): "sqrt(1 - (t/(delta + t))**(t + 1))*p(t)",
    ("plain", "tripled"): "2*p(t)/3",
    ("plain", "summed"): "sqrt(1 - beta)*p(t)",
    ("summed", "plain"): "p(t)/sqrt(1 - beta)",
    ("plain", "corrected"): "sqrt(1 - beta**(t + 1))*p(t)",
    ("corrected", "plain"): "p(t)/sqrt(1 - beta**(t + 1))",
    ("two_states", "renamed"): "p(t)/4",
    ("before", "before_corrected"): "sqrt(1 - beta**(t + 1))*p(t)",
}


@pytest.fixture(scope="module")
def answers():
    return {pair: equivalent(*map(found, pair), budget=60) for pair in PAIRS}


@pytest.mark.parametrize("pair", PAIRS)
def test_multiples_are_found_and_certified(answers, pair):
    answer = answers[pair]
    assert answer.status in SAME, answer.reason
    assert f"p(t) of {pair[1]} is {PAIRS[pair]} of {pair[0]}" in answer.assumptions
    assert not any("one formula" in note for note in answer.assumptions)
    document = json.loads(json.dumps(answer.certificate))
    assert document["format"] == FORMAT
    assert verify_certificate(document, found).holds


@pytest.mark.long
def test_a_second_moment_may_be_a_multiple_that_follows_a_recursion():
    answer = equivalent(find("adana"), find("nadam"), budget=60, free=("mu", "fresh", "past"))
    assert answer.status in SAME, answer.reason
    document = answer.certificate
    ((name, multiple),) = document["nonlinear"].items()
    (sequence,) = (k for k in document["sequences"] if k in multiple)
    assert name == "v"
    assert document["map"]["beta2"].startswith("where(first(t), 1/2, ")  # it would be 0, and nothing of v would be seen
    assert verify_certificate(document).holds
    start, following = document["sequences"][sequence].values()
    for wrong in (following.replace("1/2", "1/3"), following.replace("delta", "2*delta")):
        other = {**document["sequences"], sequence: {"start": start, "next": wrong}}
        assert not verify_certificate({**document, "sequences": other}).holds


@pytest.mark.parametrize(
    ("one", "other"),
    [("plain", "inside"), ("inside", "plain"), ("plain", "cut"), ("plain", "begun")],
)
@pytest.mark.long
def test_what_is_no_multiple_is_not_related(one, other):
    answer = equivalent(found(one), found(other))
    assert answer.status != "equivalent"


def test_a_denominator_that_is_another_one_at_the_first_step_is_so_with_other_hyperparameters_there():
    answer = equivalent(found("plain"), found("late"))
    assert answer.status == "equivalent"
    assert answer.map == {"beta": "beta", "eps": "where(first(t), 2*eps, eps)", "lr": "where(first(t), 2*lr, lr)"}
    assert verify_certificate(answer.certificate, found).holds


def test_a_certificate_with_another_relation_does_not_hold(answers):
    document = json.loads(json.dumps(answers["plain", "summed"].certificate))
    others = [
        {"preconditioners": {"p": "2*sqrt(1 - beta)*p(t)"}},
        {"preconditioners": {}},
        {"nonlinear": {}},
        {"nonlinear": {"v": "2*v/(1 - beta)"}},
        {"map": {**document["map"], "eps": "eps"}},
        {"map": {k: v for k, v in document["map"].items() if k != "eps"}},
    ]
    for other in others:
        assert not verify_certificate({**document, **other}, found).holds
    for other in ({"preconditioners": ["p"]}, {"nonlinear": {"v": 1}}, {"format": "accelsim certificate 6"}):
        with pytest.raises(InputError):
            verify_certificate({**document, **other}, found)
    with pytest.raises(InputError, match="misses"):
        verify_certificate({k: v for k, v in document.items() if k != "nonlinear"}, found)


less = rule("less", lambda v, t, h: (Fraction(1, 2) - h.beta) * sqrt(v) + h.eps + v)
squared = rule("squared", lambda v, t, h: sqrt((Fraction(1, 2) - h.beta) ** 2 * v) + h.eps + v)
twice = rule("twice", lambda v, t, h: v / v * sqrt(v) + h.eps)
nested = rule("nested", lambda v, t, h: sqrt(v + sqrt(v)) + h.eps)


def test_signs_that_roots_assume_and_what_may_vanish_are_conditions():
    signed = equivalent(less, squared)
    assert (signed.status, signed.conditions) == ("equivalent", ("1 - 2*beta > 0",))
    assert equivalent(plain, twice).conditions == ("beta*v + (1 - beta)*g*g != 0 in twice",)
    assert equivalent(plain, tripled).conditions == ()


def test_a_root_in_a_root_is_looked_at():
    assert equivalent(plain, nested).status == "refuted"
