"""Rules to which the length of gradients is all the same are told from those to which it is not."""

import json
from contextlib import suppress

import pytest

from accelsim.elementary import maximum, sqrt, total
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.rule import momentum, optimizer, positive, step_size
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.system.homogeneity import long_alike, scale_free


@optimizer(positions="w", returns="w", lr=step_size())
def cut(s, t, h):
    """Gradients longer than 1 are cut to 1."""
    g = yield s.w
    return dict(w=s.w - h.lr * g / maximum(1, sqrt(total(g * g))))


@optimizer(positions="w", returns="w", lr=step_size())
def cut_at_two(s, t, h):
    """Gradients longer than 2 are cut to 2."""
    g = yield s.w
    return dict(w=s.w - h.lr * g / maximum(1, sqrt(total(g * g)) / 2))


@optimizer(positions="w", returns="w", lr=step_size(), scale=positive())
def cut_somewhere(s, t, h):
    """Gradients are cut at a length that may be above 1."""
    g = yield s.w
    return dict(w=s.w - h.lr * g / maximum(1, h.scale * sqrt(total(g * g))))


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum(0.9))
def cut_momentum(s, t, h):
    """Momenta longer than 1 are cut to 1."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * m / maximum(1, sqrt(total(m * m))), m=m)


@pytest.mark.parametrize("rule", [cut, cut_momentum, find("mars"), find("lion"), find("signum")], ids=str)
def test_a_first_gradient_of_at_least_one_may_be_of_any_length(rule):
    assert long_alike(rule)


@pytest.mark.parametrize("rule", [cut_at_two, cut_somewhere, find("adamw"), find("sgd"), find("mars_sgd")], ids=str)
def test_the_length_of_a_long_gradient_matters_to_others(rule):
    assert not long_alike(rule)
    assert not scale_free(rule)


@pytest.mark.parametrize("name", ["adamw", "nadam", "qhadam", "laprop"])
def test_what_is_never_cut_is_not_mars(name):
    answer = equivalent(find(name), find("mars"))
    assert answer.status == "refuted"
    document = json.loads(json.dumps(answer.certificate))
    assert verify_certificate(document).holds
    short = {**document["counterexample"], "lengths": ["1/4", "1/2"]}
    assert not verify_certificate({**document, "counterexample": short}).holds
    wrong = {**document["counterexample"], "values": ["1", "2"]}
    assert not verify_certificate({**document, "counterexample": wrong}).holds
    longer = {**document["counterexample"], "answers": [{**document["counterexample"]["answers"][0], "step": 2}]}
    with suppress(InputError):
        assert not verify_certificate({**document, "counterexample": longer}).holds


def test_a_cut_of_gradients_alone_is_set_aside_and_one_of_a_momentum_is_not():
    assert equivalent(cut, find("sgd")).status == "equivalent up to a sign or preconditioner"
    assert equivalent(find("sgd"), cut).counterexample["kind"] == "scale"
    answer = equivalent(find("heavy_ball"), cut_momentum)
    assert answer.counterexample["kind"] == "scale"
    assert equivalent(cut_momentum, cut_momentum).status == "equivalent"


@pytest.mark.parametrize("name", ["lion", "signum"])
def test_a_root_that_is_irrational_by_chance_is_drawn_again(name):
    answer = equivalent(find("nadam"), find(name))
    assert answer.counterexample["kind"] == "scale"
    assert verify_certificate(json.loads(json.dumps(answer.certificate))).holds
