"""Claims that are false must not be proved, true ones not refuted by rounding, and nonsense not printed."""

import json

import pytest

from accelsim.elementary import first, sign, sqrt, where
from accelsim.errors import InputError
from accelsim.optimizer import momentum, optimizer, step_size
from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.adamw import adamw
from accelsim.optimizers.ademamix import ademamix_sgd
from accelsim.optimizers.laprop import laprop
from accelsim.optimizers.qhm import mean
from accelsim.optimizers.schedule_free import schedule_free
from accelsim.optimizers.sgd import sgd
from accelsim.optimizers.signum import signum
from accelsim.symbolic.certificate import verify_certificate
from accelsim.symbolic.equivalence import Equivalence, check
from accelsim.symbolic.finder import equivalent
from accelsim.symbolic.normal_form import canonical


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum(0.9))
def sign_first(s, t, h):
    """The sign before the average."""
    g = yield s.w
    m = mean(s.m, sign(g), h.beta)
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum(0.9))
def averaged(s, t, h):
    """No sign at all."""
    g = yield s.w
    m = mean(s.m, g, h.beta)
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="v", returns="w", lr=step_size())
def root(s, t, h):
    """Divides by the root of the sum of squares."""
    g = yield s.w
    v = s.v + g * g
    return dict(w=s.w - h.lr * g / (sqrt(v) + 1), v=v)


@optimizer(positions="w", memories="v", returns="w", lr=step_size())
def weird(s, t, h):
    """Multiplies by a sum of sizes."""
    g = yield s.w
    v = s.v + abs(g)
    return dict(w=s.w - h.lr * g * (v + 7), v=v)


@optimizer(positions="w", memories="m", returns="w", lr=step_size())
def remembers_the_first(s, t, h):
    """Steps along the first gradient forever."""
    g = yield s.w
    m = s.m + where(first(t), g, 0 * g)
    return dict(w=s.w - h.lr * (g + m), m=m)


SAME = dict(map=dict(lr="lr", beta="beta"), transform=dict(w="w", m="m"), returned=True)


def test_adam_is_not_laprop_by_a_step_size_that_knows_the_preconditioner():
    rates = dict(lr="lr*p(t)", beta1="beta1")
    without = dict(weight_decay=0)
    claim = Equivalence(adamw, laprop, map=rates, transform=dict(w="w", m="m"), given=without, returned=True)
    assert check(claim).status == "refuted"


def test_a_sign_before_the_momentum_is_not_one_after_it():
    with pytest.raises(InputError, match="sign before the momentum"):
        check(Equivalence(signum, sign_first, **SAME))
    with pytest.raises(InputError, match="sign after the momentum"):
        check(Equivalence(averaged, signum, **SAME))


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum(0.9))
def summed(s, t, h):
    """Signum with the sum of decayed gradients: its sign knows no scale."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * sign(m), m=m)


def test_what_stands_before_a_sign_must_agree_and_the_scale_within_need_not():
    shared = dict(transform=dict(w="w", m="m/(1 - beta)"), returned=True)
    halved = Equivalence(signum, summed, map=dict(lr="lr*(1 - beta)", beta="beta"), **shared)
    assert check(halved).status == "failed"  # the linear parts agree, and the rules do not
    true = Equivalence(signum, summed, map=dict(lr="lr", beta="beta"), **shared)
    assert check(true).status == "failed"  # the rules agree, and the linear parts do not: nothing is refuted


def test_a_proof_of_what_the_sign_is_applied_to_says_so():
    verdict = check(Equivalence(signum, averaged, **SAME))
    assert verdict.status == "proved"
    assert verdict.reason.endswith("modulo sign")


def test_sequences_of_one_name_and_two_formulas_prove_nothing():
    verdict = check(Equivalence(root, weird, map=dict(lr="lr"), transform=dict(w="w"), returned=True))
    assert verdict.status == "failed"
    assert "sqrt" in verdict.reason


def test_sequences_of_one_formula_may_be_compared():
    verdict = check(Equivalence(root, root, map=dict(lr="lr"), transform=dict(w="w"), returned=True))
    assert verdict.status == "proved"


def test_rounding_refutes_nothing():
    doubled = Equivalence(sgd, sgd, map=dict(lr="lr*(2*cos(t)**2 - cos(2*t))"), transform=dict(w="w"))
    assert check(doubled).status == "failed"  # true, and beyond what rational functions can prove
    irrational = Equivalence(sgd, sgd, map=dict(lr="lr(t)"), transform=dict(w="w"), given=dict(lr="1/sqrt(t+1)"))
    assert check(irrational).status == "proved"
    false = Equivalence(sgd, sgd, map=dict(lr="lr*cos(t)"), transform=dict(w="w"))
    assert check(false).status == "refuted"


def test_a_memory_that_the_first_gradient_alone_writes_has_no_canonical_form():
    found = canonical(remembers_the_first).to_json()
    assert "block" in found
    assert "first gradient alone" in found["conditions"][0]
    assert not any(word in str(found) for word in ("zoo", "nan"))


def test_conditions_at_special_steps_are_listed():
    plain = Equivalence(averaged, averaged, map=dict(lr="lr", beta="beta"), transform=dict(w="w", m="m"))
    assert check(plain).conditions == ()
    late = "lr*where(first(t), 1/(1 - beta), 1)"
    claim = Equivalence(averaged, averaged, map=dict(lr=late, beta="beta"), transform=dict(w="w", m="m"))
    assert "1 - beta != 0 (at t = 0)" in check(claim).conditions


@optimizer(positions="w", memories="v", returns="w", lr=step_size())
def halved(s, t, h):
    """Half of what `root` multiplies by."""
    g = yield s.w
    v = s.v + g * g
    return dict(w=s.w - h.lr * g / (2 * sqrt(v) + 2), v=v)


@pytest.mark.parametrize(
    ("one", "other", "set_a", "set_b"),
    [
        (root, halved, dict(lr=0.1), dict(lr=0.2)),  # the same method
        (summed, signum, dict(lr=0.1), dict(lr=0.1)),  # the same method
        (schedule_free, accelerated_sgd, dict(c="1/(t+1)"), {}),  # the same method, by a schedule
    ],
    ids=str,
)
def test_what_linear_parts_or_constants_cannot_tell_is_not_refuted(one, other, set_a, set_b):
    assert equivalent(one, other, set_a=set_a, set_b=set_b, budget=60).status != "refuted"


def test_a_determinant_of_sums_of_answers_certifies_nothing():
    found = equivalent(ademamix_sgd, accelerated_sgd, budget=60)
    assert found.status == "refuted"
    document = json.loads(json.dumps(found.certificate))
    assert verify_certificate(document).holds
    since = document["counterexample"]["since"]
    document["counterexample"]["since"] = [*since, *(since or [3])] if since else [3, 4]
    assert not verify_certificate(document).holds
