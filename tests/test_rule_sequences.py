"""Recurrences and uniform states, followed step by step, are what the rules themselves make of them."""

from fractions import Fraction
from types import SimpleNamespace

import pytest

from accelsim.errors import InputError
from accelsim.optimizers import find
from accelsim.rule import momentum, optimizer, step, step_size, weight
from accelsim.schedules import ratio, recurrence
from accelsim.symbolic.system import rule_sequences
from accelsim.symbolic.system.rule_sequences import Followed, in_exponents, independent, reads, recurrences, values_of
from accelsim.symbolic.system.specialization import restricted, switched

STEPS = 6
VALUES = {"lr": "1/3/(t + 1)", "r": "2", "weight_lr_power": "2", "beta": "9/10"}


def by_hand(steps=STEPS):
    """Schedule-Free's weights at `VALUES`: (t+1)^r lr_max^2 over their sum, lr largest at first."""
    weights = [(t + 1) ** 2 * Fraction(1, 9) for t in range(steps)]
    return [w / sum(weights[: t + 1]) for t, w in enumerate(weights)]


def test_the_values_of_a_recurrence_are_those_of_its_paper():
    found = values_of(find("schedule_free"), (), VALUES, STEPS)
    assert {name: [Fraction(text) for text in texts] for name, texts in found.items()} == {"c": by_hand()}
    other = values_of(find("schedule_free"), (), VALUES | {"r": "1"}, STEPS)
    assert [Fraction(text) for text in other["c"]] != by_hand()


def test_what_is_freed_is_no_recurrence():
    rule = find("schedule_free")
    assert list(recurrences(rule)) == ["c"]
    assert recurrences(rule, ["c"]) == {}
    assert reads(rule) == ["lr", "r", "weight_lr_power"]
    assert reads(rule, ["c"]) == []
    assert set(independent(rule)) == {"lr", "beta", "r", "weight_lr_power"}
    assert set(independent(rule, ["c"])) == {"lr", "beta", "c"}
    assert values_of(rule, ["c"], {"lr": "1", "beta": "1/2"}, STEPS) == {}


def test_an_irrational_recurrence_has_no_exact_values():
    assert in_exponents(find("schedule_free"), {}) == {"r", "weight_lr_power"}
    with pytest.raises(InputError, match="irrational"):
        values_of(find("schedule_free"), (), VALUES | {"r": "1/2"}, STEPS)
    with pytest.raises(InputError, match="no recurrence at step 0"):
        values_of(find("schedule_free"), (), VALUES | {"lr": "0", "weight_lr_power": "-1"}, STEPS)


@recurrence(total=0)
def share(memory, t, h):
    """This step's share of the step sizes so far."""
    total = memory.total + h.lr
    return ratio(h.lr, total), dict(total=total)


@optimizer(
    positions="w", memories={"m": 0, "k": 1, "p": 1}, returns="w", lr=step_size(), beta=momentum(), c=weight(share)
)
def counting(s, t, h):
    """Two uniform states, one of which reads a recurrence, and a memory."""
    g = yield s.w
    k, p = s.k + 1, s.p * (1 - h.c / 2)
    m = h.beta * s.m + g / k
    return dict(w=s.w - h.lr * (m + p * g), m=m, k=k, p=p)


def test_uniform_states_are_those_of_the_rule_itself():
    lr, beta = [Fraction(1, t + 2) for t in range(STEPS)], Fraction(1, 2)
    followed = Followed(counting, (), lambda name, t: {"lr": lr[t], "beta": beta}[name])
    assert followed.names == {"k", "p", "c"}
    state, memory = counting.start(Fraction(0)), SimpleNamespace(total=0)
    for t in range(STEPS):
        row = followed.at(t)
        c, new = share.update(memory, t, SimpleNamespace(lr=lr[t]))
        assert row == {"k": state["k"], "p": state["p"], "c": c}
        memory = SimpleNamespace(**new)
        state = step(counting, state, t, dict(lr=lr[t], beta=beta, c=c), lambda w: w + 1)


def test_in_floats_a_recurrence_is_run_as_it_is():
    followed = Followed(find("schedule_free"), (), lambda name, t: float(eval(VALUES[name], {"t": t})), float)
    assert [followed.at(t)["c"] for t in range(STEPS)] == pytest.approx(list(map(float, by_hand())), rel=1e-14)


def test_a_hyperparameter_that_is_fixed_is_so_in_recurrences_too():
    fixed = restricted(find("schedule_free"), {"r": "2", "lr": "beta/(t + 1)"})
    assert "lr" not in fixed.hyperparameters
    values = {"beta": "1/3", "weight_lr_power": "2"}
    assert [Fraction(text) for text in values_of(fixed, (), values, STEPS)["c"]] == by_hand()
    run = restricted(find("heavy_ball"), {"beta": "lr/2"})
    state = step(run, dict(w=Fraction(1), m=Fraction(4)), 0, dict(lr=Fraction(1, 5)), lambda w: w)
    assert state == dict(m=Fraction(4, 10) + 1, w=1 - Fraction(14, 50))


def test_a_switch_is_taken_out_of_the_values():
    values = {"warmup_steps": "4", "lr": "1"}
    rule = switched(find("schedule_free"), values)
    assert values == {"lr": "1"}
    assert rule.hyperparameters["warmup_steps"].default == 4
    assert switched(find("heavy_ball"), values) is find("heavy_ball")


def test_a_memory_of_a_recurrence_has_a_name_that_nothing_else_has():
    assert not rule_sequences.memory("c", "total").isidentifier()
