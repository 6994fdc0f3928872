"""Five hundred pairs found and five hundred refuted, and python-control's transfer functions beside them."""

import json
import random
from contextlib import suppress
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from conftest import seed_of
from pairs import pair

from accelsim.language import evaluated
from accelsim.optimizers import find
from accelsim.symbolic.algebra.budget import Clock, OutOfTime
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.find.answer import EQUIVALENT, OUTSIDE, REFUTED
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.system.tableau import tableau

HOW_MANY = {1: 346, 2: 130, 3: 24}  # pairs by number of memories
BUDGET = 60  # units of work
SPOILT = 5  # units for a look at a certificate that is spoilt
CASES = [(seed, memories) for memories, count in HOW_MANY.items() for seed in range(1000, 1000 + count)]


@pytest.mark.parametrize(("seed", "memories"), CASES)
@pytest.mark.parametrize("perturbed", [False, True], ids=["found", "refuted"])
def test_pairs_made_by_chance_are_decided(seed, memories, perturbed):
    one, two = pair(seed, memories, perturbed)
    answer = equivalent(one, two, budget=BUDGET)
    assert answer.status == ("refuted" if perturbed else "equivalent"), answer.reason
    verified = verify_certificate(json.loads(json.dumps(answer.certificate)), {"one": one, "two": two}.__getitem__)
    assert verified.holds, verified.reason
    assert bool(answer.counterexample) == perturbed


def test_there_are_five_hundred_pairs_each_way():
    assert len(set(CASES)) == sum(HOW_MANY.values()) >= 500
    assert HOW_MANY[1] + HOW_MANY[2] > 0.9 * len(CASES)


@pytest.mark.parametrize(("a", "b"), [("nadam", "qhadam"), ("adana", "qhadam")])
def test_preconditioners_that_are_multiples_beside_a_recursion_are_found(a, b):
    answer = equivalent(find(a), find(b), budget=BUDGET)
    assert answer.status in (EQUIVALENT, OUTSIDE), answer.reason
    assert answer.map["nu2"] == "1"
    assert any(note.startswith(f"p(t) of {b} is sqrt(") for note in answer.assumptions)
    assert not any("one formula" in note for note in answer.assumptions)
    document = json.loads(json.dumps(answer.certificate))
    assert verify_certificate(document).holds
    document["preconditioners"]["p"] += "*2"
    holds = False
    with suppress(OutOfTime), Clock(SPOILT).enforced():  # what is left of a false identity may be large
        holds = verify_certificate(document).holds
    assert not holds


def test_what_only_equal_preconditioners_would_refute_is_undecided():
    """Their linear parts differ at constants; that the rules do, where each has its own p(t), no runs show so far."""
    answer = equivalent(find("schedule_free_adamw"), find("adan"), budget=BUDGET)
    assert (answer.status, answer.counterexample) == ("undecided", None)


@pytest.mark.parametrize(
    ("a", "b", "free", "special"),
    [
        ("qhadam", "nadam", (), set()),  # as they are, where squares weigh otherwise
        ("qhadam", "nadam", ("mu", "fresh", "past"), {"nu2 = 1"}),  # whose momentum warms up unless it is free
        ("ademamix", "adan", (), set()),
        ("adan", "ademamix", (), set()),
        ("lion", "schedule_free_adamw", (), set()),
        ("mars", "schedule_free_adamw", (), set()),
        ("heavy_ball", "accsgd", (), set()),  # the short step would have to be zero
        ("laprop", "accsgd", (), set()),
    ],
)
def test_what_takes_long_among_shipped_rules_is_refuted(a, b, free, special):
    answer = equivalent(find(a), find(b), free=free, budget=BUDGET)
    assert (answer.status, answer.to_json()["equivalent"]) == ("refuted", False), answer.reason
    assert answer.counterexample["unknown"] == "one a step"
    cases = {case["when"]: case["map"] for case in answer.special}
    assert cases.keys() == special
    if special:
        assert cases["nu2 = 1"]["eps"] == "sqrt(beta2)*eps"
    document = json.loads(json.dumps(answer.certificate))
    verified = verify_certificate(document)
    assert verified.holds, verified.reason
    document["counterexample"]["values"][0] += "+1"
    assert not verify_certificate(document).holds


# -- python-control ---------------------------------------------------------------------------------------------------

CONSTANT = ["accelerated_sgd", "accsgd", "agnes", "heavy_ball", "jain", "mass", "mars_sgd", "nesterov", "qhm"]
CONSTANT += ["triple_momentum", "ademamix_sgd", "simplified_ademamix_sgd", "aggmo", "sgd"]
PAIRS = [ends[:: 1 - 2 * (i % 2)] for i, ends in enumerate(combinations(CONSTANT, 2))]  # in either direction


def transfer(rule, values):
    """Numerator and denominator of what the moves of the query point show of gradients, after cancellation."""
    import control

    h = {name: Fraction(value) for name, value in values.items()}
    m = tableau(rule).at(Fraction(0), h, Fraction)
    a, b, c, d = (np.array(x, dtype=float) for x in (m.A, m.B, m.C, m.D))
    system = control.ss(a, b, c, d, dt=1) * control.tf([1, -1], [1, 0], dt=1)
    return control.minreal(control.ss2tf(system), tol=1e-6, verbose=False)


def agree(one, other):
    points = np.exp(1j * np.linspace(0.3, 3.0, 23)) * 1.7
    left, right = (np.array([system(z) for z in points]) for system in (one, other))
    return np.allclose(left, right, rtol=1e-7, atol=1e-9)


def drawn(rule, name):
    declared = rule.hyperparameters[name]
    low, high = Fraction(max(declared.low, 0)), Fraction(min(declared.high, 2))
    return low + (high - low) * Fraction(random.Random(seed_of(f"{rule} {name}")).randint(10, 90), 101)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_python_control_agrees(a, b):
    """Where a rule is found, the transfer functions are one; where it is not found, no map of names makes them so."""
    one, other = find(a), find(b)
    answer = equivalent(one, other, budget=BUDGET)
    values = {name: drawn(one, name) for name in one.program().reads}
    assert answer.status in (EQUIVALENT, OUTSIDE, REFUTED)
    if answer.status != REFUTED:
        mapped = {name: evaluated(text, values) for name, text in answer.map.items()}
        assert agree(transfer(one, values), transfer(other, mapped))
        name = next(name for name, text in answer.map.items() if not text.isdigit())
        wrong = {k: v * Fraction(11, 10) + Fraction(1, 50) if k == name else v for k, v in mapped.items()}
        assert not agree(transfer(one, values), transfer(other, wrong))
    else:
        same = {name: values.get(name, drawn(other, name)) for name in other.program().reads}
        assert not agree(transfer(one, values), transfer(other, same))
