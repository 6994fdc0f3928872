"""Every derivation is proved and its near miss refuted; the coefficients it claims are those the normal form finds."""

import itertools
import json
import random
import re
from fractions import Fraction

import pytest
import sympy
from conftest import seed_of
from sympy.core.function import AppliedUndef

from accelsim.elementary import sign
from accelsim.errors import InputError
from accelsim.language import evaluated
from accelsim.optimizers import find, shipped
from accelsim.program import exact
from accelsim.rule import optimizer, step
from accelsim.symbolic.algebra.field import reduced
from accelsim.symbolic.algebra.language import expression
from accelsim.symbolic.check import memories
from accelsim.symbolic.check.equivalence import Equivalence, _Proof, check
from accelsim.symbolic.coq.equivalence import Same
from accelsim.symbolic.latex.writer import (
    bibtex,
    canonical_latex,
    canonical_lines,
    expression_latex,
    rule_latex,
    rule_lines,
    tableau_latex,
)
from accelsim.symbolic.system.normal_form import canonical
from accelsim.symbolic.system.tableau import tableau, time
from accelsim.symbolic.verify import known, verify

DERIVATIONS = known()


@pytest.mark.parametrize("name", DERIVATIONS)
def test_claim_is_proved_and_near_miss_refuted(name):
    (verdict,) = verify([name])
    assert (verdict["status"], verdict["near_miss"]) == (verdict["expected"], "refuted"), verdict["reason"]
    assert verdict["holds"]
    assert verdict["near_miss_counterexample"]["values"][0] != verdict["near_miss_counterexample"]["values"][1]
    assert json.loads(json.dumps(verdict))["assumptions"]


def _read(text):
    """A divisor of a claim, its sequences' latest values being those at t."""
    called = set(re.findall(r"(\w+)\(", text))
    words = set(re.findall(r"[A-Za-z]\w*", text)) - {"t"}
    names = {word: (sympy.Function if word in called else sympy.Symbol)(word) for word in words} | {"t": time()}
    found = expression(text, names)
    latest = max((call.args[0] - time() for call in found.atoms(AppliedUndef)), default=0)
    return found.subs(time(), time() - latest)


@pytest.mark.parametrize("name", DERIVATIONS)
def test_every_hypothesis_of_a_proof_is_a_condition(name):
    """What the proof in Coq supposes is not zero, before any cancellation, the checker lists."""
    claim = DERIVATIONS[name].certificate()
    if isinstance(claim, memories.Memories):
        pytest.skip("its hypotheses are of another kind")
    listed = [_read(text.partition(" != 0")[0]) for text in check(claim).conditions]
    for hypothesis in map(_read, Same(claim).section.divisors.found):
        assert any(sympy.cancel(hypothesis / each).is_number for each in listed), hypothesis


def test_conditions_are_those_before_cancellation():
    conditions = check(DERIVATIONS["mars"].certificate()).conditions
    assert set(conditions) == {"1 - beta != 0", "1 - gamma != 0"}
    assert check(DERIVATIONS["jain"].certificate()).conditions == ()


def test_all_required_derivations_are_there():
    required = """
        schedule_free acsa acsa_nesterov polyak_averaging primal_averaging ema tail_averaging lookahead
        ademamix ademamix_memories ademamix_simplified simplified_ademamix schedule_free_simplified
        lion signum mars mars_exact nadam qhm qhadam adam adam_elementwise adam_laprop laprop
        nesterov nesterov_sequences nesterov_velocity triple_momentum aggmo aggmo_memories
        accsgd schedule_free_accsgd jain mass agnes dana adana
        schedule_free_adamw schedule_free_adamw_decay adamw_decay decoupled_decay
    """
    assert set(required.split()) <= set(DERIVATIONS)


@pytest.mark.parametrize("name", DERIVATIONS)
def test_a_derivation_is_one_sentence_with_a_source(name):
    module = DERIVATIONS[name]
    assert module.CLAIM.endswith(".")
    assert module.SOURCE
    assert module.certificate() != module.near_miss()


EQUIVALENCES = {n: m for n, m in DERIVATIONS.items() if isinstance(m.certificate(), Equivalence)}
CANONICAL = [n for n, m in EQUIVALENCES.items() if m.certificate().target.name == "accelerated_sgd"]


@pytest.mark.parametrize("name", CANONICAL)
def test_claimed_coefficients_are_the_found_ones(name):
    # The claim is the published map; the normal form knows only the rule.
    claim = DERIVATIONS[name].certificate()
    found = canonical(claim.source, (*claim.varying, *claim.free), **claim.given)
    proof = _Proof(claim)
    left = {k: getattr(found, k) - proof._written(claim.map[k]) for k in ("beta", "eta", "alpha")}
    if not any(value.atoms(sympy.Piecewise) for value in left.values()):
        assert all(reduced(value) == 0 for value in left.values())
        return
    # Where a first step is special, of it only eta + alpha is determined.
    assert reduced((left["eta"] + left["alpha"]).subs(time(), 0)) == 0
    assert all(reduced(value.subs(time(), step)) == 0 for value in left.values() for step in (1, 2, 3))


@pytest.mark.parametrize("name", [n for n in CANONICAL if DERIVATIONS[n].near_miss().target.name == "accelerated_sgd"])
def test_missed_coefficients_are_not_the_found_ones(name):
    missed = DERIVATIONS[name].near_miss()
    found = canonical(missed.source, (*missed.varying, *missed.free), **missed.given)
    texts = [_Proof(missed)._written(missed.map[c]) for c in ("beta", "eta", "alpha")]
    values = [found.beta, found.eta, found.alpha]
    assert not found.canonical or any(reduced(a - b) != 0 for a, b in zip(values, texts, strict=True))


def test_mars_and_its_target_have_one_canonical_form():
    claim = DERIVATIONS["mars"].certificate()
    mars, qhm = canonical(claim.source), canonical(claim.target)
    import sympy

    nu, gamma = sympy.Symbol("nu", real=True), sympy.Symbol("gamma", real=True)
    for coefficient in ("beta", "eta", "alpha"):
        assert reduced(getattr(mars, coefficient) - getattr(qhm, coefficient).subs(nu, 1 - gamma)) == 0


def test_lion_itself_steps_along_the_sign_of_the_accelerated_direction():
    # The proof sets the sign aside; here the rule runs with it, gradients depending on where it is.
    claim = DERIVATIONS["lion"].certificate()
    lion = claim.source
    values = {"lr": Fraction(1, 10), "beta1": Fraction(9, 10), "beta2": Fraction(99, 100), "weight_decay": Fraction(0)}
    mapped = {k: evaluated(text, {**values, "t": Fraction(0)}) for k, text in claim.map.items()}
    chance = random.Random(seed_of("lion"))
    state, m = lion.start(Fraction(1)), Fraction(0)
    signs = set()
    for t in range(30):
        g = 3 * state["w"] + chance.randint(-4, 4)
        new = step(lion, state, t, values, lambda w, g=g: g)
        m = mapped["beta"] * m + g
        direction = mapped["eta"] * m + mapped["alpha"] * g
        assert new["w"] - state["w"] == -values["lr"] * sign(direction)
        signs.add(sign(direction))
        state = new
    assert signs == {-1, 1}


def test_ademamix_with_both_averages_is_refuted_for_its_two_memories():
    claim = DERIVATIONS["ademamix"].near_miss()
    assert check(claim).status == "refuted"
    assert canonical(claim.source).memory == 2
    assert canonical(claim.source, beta1=0).memory == 1


def test_the_minor_says_when_two_averages_are_two_memories():
    found = memories.check(DERIVATIONS["ademamix_memories"].certificate())
    assert found.status == "proved"
    nonzero = {condition.partition(" != ")[0] for condition in found.conditions}
    assert nonzero == {"alpha", "beta1", "beta3", "lr", "beta1 - beta3", "1 - beta3", "beta1 - 1"}


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        ("sgd", 0),
        ("accelerated_sgd", 1),
        ("schedule_free", 1),
        ("mars_sgd", 1),
        ("aggmo", 2),
        ("adan", 2),
        ("ema_mixture_sgd", 3),
    ],
)
def test_memories_are_those_of_the_normal_form_and_no_more(rule, count):
    # Two routes: a minor of what gradients do to later moves, and the reduction of the rule's matrices.
    given = {"weight_decay": 0} if "weight_decay" in find(rule).hyperparameters else {}
    assert canonical(find(rule), **given).memory == count
    assert memories.check(memories.Memories(find(rule), count, given=given)).status == "proved"
    assert memories.check(memories.Memories(find(rule), count + 1, given=given)).status == "refuted"


def test_outer_momentum_of_any_fixed_period_has_two_memories_but_one_at_each_return():
    # The claim's minor is that of returns that are not evenly spaced; here are the ranks where they are.
    rule, period, steps = find("outer_momentum(sgd)"), 2, 12

    def moves(pushed):
        state, points = rule.start(Fraction(0)), []
        for (t, h), at in zip(rule.rows(exact, lr=0.1, period=period), range(steps), strict=False):
            points.append(state["w"])
            state = step(rule, state, t, h, lambda w, g=Fraction(at == pushed): g)
        return [b - a for a, b in itertools.pairwise(points)]

    past = [moves(k) for k in range(3 * period)]
    ranks = {s: sympy.Matrix([row[s:] for row in past[:s]]).rank() for s in (2 * period, 2 * period + 1)}
    assert ranks == {2 * period: 1, 2 * period + 1: 2}


def test_memories_of_a_rule_that_stands_still_are_not_counted():
    with pytest.raises(InputError, match="no weight decay: adamw"):
        memories.check(memories.Memories(find("adamw"), 1))


def test_a_minor_that_runs_do_not_confirm_proves_nothing(monkeypatch):
    monkeypatch.setattr(memories, "_impulses", lambda *_: Fraction(0))
    assert memories.check(memories.Memories(find("aggmo"), 2)).status == "failed"
    monkeypatch.setattr(memories, "_impulses", lambda *_: Fraction(1))
    assert memories.check(memories.Memories(find("aggmo"), 3)).status == "failed"


def test_unknown_derivation_is_told_the_nearest():
    with pytest.raises(InputError, match="did you mean 'nesterov'"):
        verify(["nesterow"])


def _parse(text):
    from matplotlib.mathtext import MathTextParser

    MathTextParser("path").parse(f"${text}$")


def _parse_all(text):
    """A line, and each case of one that is by cases, which Matplotlib's parser does not know."""
    for place, part in enumerate(re.split(r"\\begin{cases}(.*?)\\end{cases}", text)):
        for piece in part.split(r"\\") if place % 2 else [part]:
            _parse(piece or "0")


@pytest.mark.parametrize("name", shipped())
def test_latex_of_a_rule_can_be_read(name):
    rule = find(name)
    lines = rule_lines(rule)
    for line in lines:
        left, right = line.split(" &= ")
        _parse(left)
        _parse(right)
    for state in rule.states:
        assert sum(line.startswith(state[0]) or state in line.split(" &= ")[0] for line in lines)
    assert rule_latex(rule).count("\n") == len(lines) + 1
    assert tableau_latex(tableau(rule)).startswith(r"\begin{aligned}")
    if rule.program().gradients == 1:
        form = canonical(rule)
        assert canonical_latex(form) in form._repr_latex_()
        for line in canonical_lines(form):
            if "pmatrix" not in line:
                _parse_all(line.replace("&", ""))


def test_latex_of_a_broken_formula_cannot_be_read():
    with pytest.raises(ValueError, match="Expected"):
        _parse(r"\frac{1}{")


def test_latex_reads_as_the_paper_prints_it():
    assert rule_lines(find("schedule_free")) == [
        r"y_{t} &= \beta\,x_{t} + \left(1 - \beta\right)\,z_{t}",
        r"g_{t} &= \nabla f_t(y_{t})",
        r"z_{t+1} &= z_{t} - \eta\,g_{t}",
        r"x_{t+1} &= x_{t} + c_{t}\,\left(z_{t+1} - x_{t}\right)",
    ]
    assert expression_latex(canonical(find("schedule_free")).eta) == r"\beta \eta c_{t}"


@pytest.mark.parametrize("name", shipped())
def test_every_source_can_be_cited(name):
    entry = bibtex(find(name))
    assert entry.startswith("@misc{")
    assert "eprint" in entry or "doi" in entry or "howpublished" in entry
    assert entry.count("{") == entry.count("}")


def test_bibtex_names_authors_year_and_number():
    assert bibtex(find("sgd")).splitlines() == [
        "@misc{robbins1951,",
        "  author = {Robbins and Monro},",
        "  year = {1951},",
        "  doi = {10.1214/aoms/1177729586},",
        "}",
    ]
    assert "author = {Kidambi and Netrapalli and Jain and Kakade}" in bibtex(find("accsgd"))
    assert "author = {Defazio and others}" in bibtex(find("schedule_free"))


def test_rule_without_a_source_has_no_citation():
    @optimizer(positions="w", returns="w")
    def own(s, t, h):
        g = yield s.w
        return dict(w=s.w - h.lr * g)

    assert bibtex(own) == ""
