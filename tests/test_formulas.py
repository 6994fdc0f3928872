"""A given sequence is its formula: equal ones are equal however they are named, and unlike ones are told."""

from accelsim.elementary import sqrt
from accelsim.optimizers import find
from accelsim.rule import momentum, optimizer, positive, step_size
from accelsim.symbolic.system.formulas import formulas, traced_factors
from accelsim.symbolic.system.given_sequences import unlike
from accelsim.symbolic.system.linear_part import linear_part


def preconditioned(square, root=sqrt, early=False):
    """A rule that divides by a root of a moving average of some function of gradients."""

    @optimizer(
        positions="w", memories="m v", returns="w", lr=step_size(), beta=momentum(), rho=momentum(), eps=positive()
    )
    def rule(s, t, h):
        """Momentum of preconditioned gradients."""
        g = yield s.w
        step = h.lr * h.beta if early else None  # a node that is made before those of the formula
        v = h.rho * s.v + (1 - h.rho) * square(g)
        m = h.beta * s.m + g / (root(v) + h.eps)
        return dict(w=s.w - (step / h.beta if early else h.lr) * m, m=m, v=v)

    return rule


def formula(rule):
    (found,) = formulas(linear_part(rule), {}).values()
    return found


def test_one_formula_is_one_in_whatever_order_it_is_traced():
    assert formula(preconditioned(lambda g: g**2)) == formula(preconditioned(lambda g: g**2, early=True))
    assert formula(preconditioned(lambda g: g**2)) != formula(preconditioned(abs))
    assert formula(preconditioned(lambda g: g**2)) != formula(preconditioned(lambda g: g**2, lambda v: sqrt(sqrt(v))))


def test_a_formula_says_what_it_reads():
    found = formula(preconditioned(lambda g: g**2))
    assert found.hyperparameters == ("eps", "rho")
    assert found.states == ()  # v is part of it, and w stands in no formula
    assert "sqrt" in str(found)
    assert "v <- " in str(found)
    assert "from 0" in str(found)


def test_states_of_a_formula_are_followed_into_their_updates():
    ((operation, _, updates),) = traced_factors(linear_part(find("adamw")), {}).values()
    assert operation == "div"
    assert set(updates) == {"v"}


def test_sequences_of_the_second_rule_are_unlike_where_formula_or_numbers_are():
    one, other = (linear_part(preconditioned(lambda g: g**2)) for _ in range(2))
    assert unlike(one, other, {}, {}) == []
    (symbol,) = formulas(other, {})
    assert unlike(one, linear_part(preconditioned(abs)), {}, {}) == [symbol]
    assert unlike(one, other, {"rho": "1/2"}, {"rho": "1/3"}) == [symbol]
    assert unlike(one, other, {"lr": "1/2"}, {"lr": "1/3"}) == []  # which the formula does not read
    assert unlike(linear_part(find("heavy_ball")), other, {}, {}) == []  # to a rule without one it stays given
