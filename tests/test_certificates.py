"""Certificates hold as they are, and no longer once anything in them is changed."""

import copy
import json
from contextlib import suppress
from fractions import Fraction

import pytest

from accelsim.errors import InputError
from accelsim.optimizer import optimizer, step
from accelsim.optimizers import find
from accelsim.symbolic.certificate import program_hash, verify_certificate
from accelsim.symbolic.finder import equivalent

FOUND = {
    "equivalence": ("qhm", "accelerated_sgd"),
    "minor": ("ademamix_sgd", "heavy_ball"),
    "unless": ("sgd", "heavy_ball"),
    "identity": ("heavy_ball", "nesterov"),
}


@pytest.fixture(scope="module")
def certificates():
    made = {kind: equivalent(find(a), find(b), budget=60).certificate for kind, (a, b) in FOUND.items()}
    return json.loads(json.dumps(made))


@pytest.mark.parametrize("kind", FOUND)
def test_a_certificate_holds(certificates, kind):
    assert verify_certificate(certificates[kind]).holds


CHANGES = [
    ("equivalence", ("map", "eta"), "lr*nu"),
    ("equivalence", ("transform", "m"), "m"),
    ("equivalence", ("identities",), []),
    ("equivalence", ("source", "program"), "0"),
    ("equivalence", ("target", "name"), "heavy_ball"),
    ("minor", ("counterexample", "determinant"), "1"),
    ("minor", ("counterexample", "hyperparameters", "lr"), "1"),
    ("minor", ("counterexample", "values", 0), "1"),
    ("minor", ("counterexample", "since"), [3]),
    ("minor", ("a", "program"), "0"),
    ("unless", ("counterexample", "unless"), ["lr"]),
    ("unless", ("counterexample", "unless"), []),
    ("identity", ("counterexample", "cofactors", 0), "0"),
    ("identity", ("counterexample", "unknown"), "constant"),
    ("identity", ("counterexample", "answers", 0, "step"), 2),
]


@pytest.mark.parametrize(("kind", "path", "value"), CHANGES, ids=[f"{k} {p[-1]}" for k, p, _ in CHANGES])
def test_a_changed_certificate_does_not_hold(certificates, kind, path, value):
    document = copy.deepcopy(certificates[kind])
    place = document
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] != value
    place[path[-1]] = value
    with suppress(InputError):  # what it now says cannot even be read
        assert not verify_certificate(document).holds


def test_a_cofactor_may_not_divide_by_what_might_be_zero(certificates):
    document = copy.deepcopy(certificates["identity"])
    found = document["counterexample"]
    rate = found["hyperparameters"]["lr"]
    found["answers"] = [{"step": 1, "query": 0, "impulse": 0, "gradient": 0, "coordinate": 0}]
    found["values"], found["cofactors"] = [f"-{rate}"], [f"1/({rate} - lr_0*(1 + beta_0))"]
    verified = verify_certificate(document)
    assert not verified.holds
    assert "might be zero" in verified.reason


def test_texts_in_a_certificate_are_never_run(certificates):
    document = copy.deepcopy(certificates["identity"])
    document["counterexample"]["cofactors"][0] = "__import__('os').getcwd()"
    with pytest.raises(InputError):
        verify_certificate(document)


@pytest.mark.parametrize("document", [{}, {"format": "accelsim certificate 1"}, {"kind": "equivalence"}])
def test_what_is_no_certificate_is_told(document):
    with pytest.raises(InputError, match="no certificate"):
        verify_certificate(document)


def test_the_numbers_of_a_refutation_are_those_of_a_run(certificates):
    """The plain rule, in fractions, on the impulses of the document: no tracer, no matrices."""
    found = certificates["minor"]["counterexample"]
    rule = find("ademamix_sgd")
    h = {name: Fraction(value) for name, value in found["hyperparameters"].items()}
    for key, value in zip(found["answers"], found["values"], strict=True):
        state = rule.start(Fraction(0))
        for t in range(key["step"]):
            state = step(rule, state, t, h, lambda w, t=t, s=key["impulse"]: Fraction(int(t == s)))
        assert state["w"] == Fraction(value)


@optimizer(positions="w", memories="m", returns="w")
def one(s, t, h):
    g = yield s.w
    return dict(w=s.w - h.lr * g, m=h.beta * s.m + g)


@optimizer(positions="w", memories="m", returns="w")
def other(s, t, h):
    g = yield s.w
    return dict(w=s.w - h.lr * g, m=h.beta * s.m - g)


def test_programs_that_differ_have_other_hashes():
    assert program_hash(one) == program_hash(one)
    assert program_hash(one) != program_hash(other)
