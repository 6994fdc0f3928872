"""Hyperparameters outside of functions are solved for once memories are related; those inside stay as they are."""

import pytest
import sympy
from own_cases.corners import (
    average_signed_decaying,
    plain_sign,
    sign_of_any_multiple,
    sign_of_thrice_doubled,
    sum_signed_decaying,
)

from accelsim.optimizers import find
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.check.bisimulation import Bisimulation
from accelsim.symbolic.find import relations
from accelsim.symbolic.find.outer_hyperparameters import with_outer
from accelsim.symbolic.system.functions import Beyond

SAME = {"lr": "lr", "beta": "beta"}


def outer(a, b, values, memory="a[m]", factor=1, held=()):
    claim = Bisimulation(a, b, values, {})
    memories = {"b[m]": factor * sympy.Symbol(memory, real=True)}
    return with_outer(claim, memories, Clock(5), held).map


def test_a_factor_outside_of_a_sign_is_divided_out_and_one_inside_is_not():
    assert outer(plain_sign, sign_of_thrice_doubled, SAME) == {"lr": "lr/2", "beta": "beta"}
    assert outer(sign_of_thrice_doubled, plain_sign, SAME) == {"lr": "2*lr", "beta": "beta"}


def test_weight_decay_beside_a_step_size_is_solved_for_with_it():
    beta = sympy.Symbol("beta", real=True)
    found = outer(average_signed_decaying, sum_signed_decaying, {**SAME, "decay": "decay"}, factor=1 / (1 - beta))
    assert found == {"lr": "lr/2", "beta": "beta", "decay": "2*decay"}


@pytest.mark.parametrize(("held", "values"), [(("lr",), SAME), ((), {**SAME, "lr": "lr/2"})])
def test_what_may_not_be_another_or_fits_already_stays(held, values):
    assert outer(plain_sign, sign_of_thrice_doubled, values, held=held) == values


def test_hyperparameters_inside_functions_and_of_several_positions_are_left_alone():
    inside = {**SAME, "a": "lr"}
    assert outer(plain_sign, sign_of_any_multiple, inside)["a"] == "lr"
    claim = Bisimulation(find("sgd"), find("schedule_free"), {"lr": "lr", "beta": "1", "c": "1"}, {}, replaced=("c",))
    assert with_outer(claim, {}, Clock(5), ()) == claim


def test_there_is_no_relation_where_what_is_solved_for_is_too_large(monkeypatch):
    claim = Bisimulation(plain_sign, sign_of_thrice_doubled, SAME, {})
    found = relations.related(claim, Clock(5))
    assert found is not None
    assert found.map["lr"] == "lr/2"

    def beyond(*_):
        raise Beyond

    monkeypatch.setattr(relations, "with_outer", beyond)
    assert relations.related(claim, Clock(5)) is None
