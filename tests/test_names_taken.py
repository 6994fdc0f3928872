"""A state of the second rule that is called what a hyperparameter of the first one is."""

import pytest

from accelsim.elementary import sqrt
from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.rule import momentum, optimizer, positive, step_size
from accelsim.symbolic.certify.documents import claim_of
from accelsim.symbolic.certify.verifier import verify_certificate
from accelsim.symbolic.coq import coqc as coq
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.find.statement import document
from accelsim.symbolic.latex.document import document as derivation
from accelsim.symbolic.system.normal_form import canonical
from accelsim.symbolic.system.tableau import tableau


@optimizer(positions="w", returns="w", memories="m", lr=step_size(), beta=momentum())
def heavy_ball(s, t, h):
    """Heavy ball."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="x", returns="x", memories="p q", m=step_size(), w=momentum())
def in_halves(s, t, h):
    """Heavy ball whose momentum is kept twice: a state is only known from the other's in this direction."""
    g = yield s.x
    p, q = h.w * s.p + h.m * g / 2, h.w * s.q + h.m * g / 2
    return dict(x=s.x - p - q, p=p, q=q)


RULES = {rule.name: rule for rule in (heavy_ball, in_halves)}


def test_the_transform_tells_the_state_from_the_hyperparameter():
    answer = equivalent(in_halves, heavy_ball)
    assert (answer.status, answer.backward) == ("equivalent", True)
    assert answer.map == {"lr": "m", "beta": "w"}
    assert answer.transform == {"x": "b[w]", "p": "m*b[m]/2", "q": "m*b[m]/2"}
    assert answer.sided_transform == {"a.x": "b.w", "a.p": "a.m*b.m/2", "a.q": "a.m*b.m/2"}
    assert verify_certificate(answer.certificate, RULES.__getitem__).holds
    assert r"\mathtt{p}_{t} &= \frac{\hat{m}_{t} m}{2}" in document(answer)
    assert coq.export(claim_of(answer.certificate, in_halves, heavy_ball))


def test_in_a_claim_the_bare_name_is_the_hyperparameter():
    told = equivalent(in_halves, heavy_ball).certificate
    told = {**told, "transform": {"x": "b[w]", "p": "m*m/2", "q": "m*b[m]/2"}}
    with pytest.raises(InputError, match="not linear in the states: m"):
        verify_certificate(told, RULES.__getitem__)


@optimizer(positions="p", memories="q v", returns="p", lr=step_size(), b=momentum(), eps=positive())
def parameters(s, t, h):
    """A preconditioned step of what is called p, as parameters are in training code, along momentum and gradient."""
    g = yield s.p
    q, v = h.b * s.q + g, s.v + g * g
    root = sqrt(v) + h.eps
    return dict(p=s.p - h.lr * g / root - h.lr * q / root, q=q, v=v)


def test_a_state_may_be_called_what_a_given_sequence_is():
    form = canonical(parameters)
    assert (str(form.eta), str(form.alpha)) == ("lr*p(t)", "lr*p(t)")
    told = derivation(parameters)
    assert r"\mathtt{p}_{t+1} &= \mathtt{p}_{t} - " in told
    assert "The sequence \\[P_{t} = " in told
    answer = equivalent(parameters, find("accelerated_sgd"))
    assert answer.map == {"beta": "b", "eta": "lr*p(t)", "alpha": "lr*p(t)"}
    told = document(answer)
    assert r"\mathtt{p}_{0} = w_0" in told or r"\mathtt{p}_{t}" in told
    assert r"P_{t}" in told
    held = {rule.name: rule for rule in (parameters, find("accelerated_sgd"))}
    assert verify_certificate(answer.certificate, held.__getitem__).holds


def test_a_given_sequence_that_acts_at_two_places_is_one():
    (factor,) = tableau(parameters).factors.values()
    assert (factor.symbol, factor.when) == ("p", "before and after")
