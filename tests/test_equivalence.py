"""A claimed equivalence is proved, refuted by an example, or fails: a wrong claim never passes, whatever is wrong."""

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.elementary import first, where
from accelsim.errors import InputError
from accelsim.language import evaluated
from accelsim.optimizers import find
from accelsim.rule import momentum, optimizer, step_size
from accelsim.symbolic.algebra.field import reduced
from accelsim.symbolic.algebra.language import expression, text_of
from accelsim.symbolic.check import runs
from accelsim.symbolic.check.equivalence import Equivalence, check
from accelsim.symbolic.system.tableau import time


def claim(**changes):
    """QHM as accelerated SGD, with changes."""
    right = Equivalence(
        find("qhm"),
        find("accelerated_sgd"),
        map=dict(beta="beta", eta="lr*nu*(1 - beta)", alpha="lr*(1 - nu)"),
        transform=dict(w="w", m="m/(1 - beta)"),
        returned=True,
    )
    return replace(right, **changes)


def test_right_claim_is_proved_with_its_conditions():
    verdict = check(claim())
    assert verdict.status == "proved"
    assert set(verdict.residuals.values()) == {"0"}
    assert verdict.conditions == ("1 - beta != 0",)
    assert verdict.counterexample is None
    assert any("same start" in a for a in verdict.assumptions)


def test_assumptions_are_said_once():
    """AdamW is AdamW, whose preconditioner both rules are given; what varies is said too."""
    names = {name: name for name in ("beta1", "weight_decay")}
    adamw = find("adamw")
    verdict = check(Equivalence(adamw, adamw, {**names, "lr": "lr(t)"}, dict(w="w", m="m"), varying=("lr",)))
    assert verdict.status == "proved"
    assert sum("p(t) is a given positive sequence" in text for text in verdict.assumptions) == 1
    assert "lr is any function of t" in verdict.assumptions
    assert len(set(verdict.assumptions)) == len(verdict.assumptions)


def test_what_cancels_is_divided_by_all_the_same():
    """As written, in a branch too, and in the rules at what is mapped."""
    cancelled = dict(claim().map, eta="lr*nu*(1 - beta)*(1 - nu)/(1 - nu)")
    assert set(check(claim(map=cancelled)).conditions) == {"1 - beta != 0", "1 - nu != 0"}
    early = dict(claim().map, eta="lr*nu*(1 - beta)*where(first(t), lr/lr, 1)")
    assert set(check(claim(map=early)).conditions) == {"1 - beta != 0", "lr != 0 (at t = 0)"}
    later = dict(claim().map, eta="lr*nu*(1 - beta)*where(first(t), 1, (2 - 2*beta**t)/(2 - 2*beta**t))")
    told = set(check(claim(map=later)).conditions)  # which no beta satisfies at t = 0
    assert told == {"1 - beta != 0", "1 - beta**t != 0 (but at t = 0)"}


def test_either_direction_of_the_transform_proves():
    backward = check(claim(transform=dict(w="w", m="(1 - beta)*m"), backward=True))
    assert backward.status == "proved"
    assert backward.conditions == ()
    assert claim().direction == "qhm -> accelerated_sgd"
    assert claim(transform=dict(w="w", m="(1 - beta)*m"), backward=True).direction == "accelerated_sgd -> qhm"


def test_counterexample_can_be_followed_by_hand():
    wrong = dict(claim().map, alpha="lr*nu")
    verdict = check(claim(map=wrong))
    assert verdict.status == "refuted"
    found = verdict.counterexample
    h = {k: Fraction(v) for k, v in found["source"].items()}
    (g,) = map(Fraction, found["gradients"])
    assert found["step"] == 1
    one, other = map(Fraction, found["values"])
    assert one == 1 - h["lr"] * ((1 - h["nu"]) + h["nu"] * (1 - h["beta"])) * g
    assert other == 1 - h["lr"] * (h["nu"] * (1 - h["beta"]) + h["nu"]) * g
    assert "differs by" in verdict.reason


def test_wrong_transform_of_a_right_map_is_neither_proved_nor_refuted():
    verdict = check(claim(transform=dict(w="w", m="m")))
    assert verdict.status == "failed"
    assert verdict.counterexample is None
    assert "by another transform" in verdict.reason


def test_wrong_initial_state_is_seen():
    verdict = check(claim(transform=dict(w="2*w", m="m/(1 - beta)")))
    assert verdict.residuals["initial point in w"] == "1"


def test_constant_formula_does_not_pass_for_a_schedule():
    assert (
        check(
            claim(varying=("lr", "nu"), map=dict(beta="beta", eta="lr(t)*nu(t)*(1 - beta)", alpha="lr(t)*(1 - nu(t))"))
        ).status
        == "proved"
    )
    late = dict(beta="beta", eta="lr(t)*nu(t-1)*(1 - beta)", alpha="lr(t)*(1 - nu(t))")
    assert check(claim(varying=("lr", "nu"), map=late)).status == "refuted"


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.sampled_from(["beta", "eta", "alpha"]), st.integers(-3, 3).filter(bool))
def test_any_change_of_a_coefficient_is_refuted(name, change):
    changed = dict(claim().map)
    changed[name] = f"({changed[name]}) + {change}*lr/7"
    assert check(claim(map=changed)).status == "refuted"


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum())
def undamped(s, t, h):
    """Averaged momentum whose first gradient enters in full, as in torch."""
    g = yield s.w
    m = where(first(t), g, h.beta * s.m + (1 - h.beta) * g)
    return dict(w=s.w - h.lr * m, m=m)


def special(second):
    """The map of the rule above; its second step weighs the first gradient by `second`."""
    return Equivalence(
        undamped,
        find("accelerated_sgd"),
        map=dict(
            beta=f"where(first(t), 0, where(first(t-1), {second}, beta))",
            eta="lr*(1 - beta)",
            alpha="where(first(t), lr*beta, 0)",
        ),
        transform=dict(w="w", m="where(first(t-1), 1, 1 - beta)*m"),
        backward=True,
    )


def test_special_steps_are_cases_of_their_own():
    verdict = check(special("beta/(1 - beta)"))
    assert verdict.status == "proved"
    for when in ("at t = 0", "at t = 1", "elsewhere"):
        assert any(name.endswith(when) for name in verdict.residuals)
    assert check(special("beta")).status == "refuted"
    usual = dict(beta="beta", eta="lr*(1 - beta)", alpha="0")
    verdict = check(replace(special("beta"), map=usual, transform=dict(w="w", m="(1 - beta)*m")))
    assert verdict.status == "refuted"
    assert verdict.residuals["update of m, coefficient of g elsewhere"] == "0"
    assert verdict.residuals["update of m, coefficient of g at t = 0"] != "0"


def test_signs_and_preconditioners_are_set_aside_openly():
    same = Equivalence(
        find("lion"),
        find("signum"),
        map=dict(lr="lr", beta="beta2"),
        transform=dict(w="w", m="m"),
        given=dict(weight_decay=0),
    )
    assert check(same).status == "refuted"
    equal = replace(same, given=dict(weight_decay=0, beta1="1/2", beta2="1/2"), map=dict(lr="lr", beta="1/2"))
    verdict = check(equal)
    assert verdict.status == "proved"
    assert {"weight_decay = 0", "lion: sign acts after the momentum and is set aside"} <= set(verdict.assumptions)


def test_adam_is_not_adam_without_its_bias_correction():
    wrong = Equivalence(
        find("adamw"),
        find("accelerated_sgd"),
        map=dict(beta="beta1", eta="lr*(1 - beta1)*p(t)", alpha="0"),
        transform=dict(w="w", m="m/(1 - beta1)"),
        given=dict(weight_decay=0),
    )
    assert check(wrong).status == "refuted"
    wrong = replace(wrong, up_to=("preconditioner",))
    right = replace(wrong, map=dict(wrong.map, eta="lr*(1 - beta1)/(1 - beta1**(t+1))*p(t)"))
    assert check(right).status == "proved"


def adam_as_laprop(**changes):
    """Adam as LaProp, which has its preconditioner before the momentum."""
    right = Equivalence(
        find("adamw"),
        find("laprop"),
        map=dict(lr="lr", beta1="beta1"),
        transform=dict(w="w", m="p*m"),
        given=dict(weight_decay=0),
        constant=("p",),
        up_to=("preconditioner",),
    )
    return replace(right, **changes)


def test_a_preconditioner_that_both_rules_have_is_in_the_gradient_of_both_or_of_neither():
    # Were it LaProp's alone that is absorbed, Adam's gradient and its preconditioned one would be called the same.
    verdict = check(adam_as_laprop())
    assert verdict.status == "proved"
    assert "p does not vary in time" in verdict.assumptions
    assert "laprop: p(t) is a given positive sequence, acting before the momentum" in verdict.assumptions
    assert not any("g is the preconditioned gradient" in note for note in verdict.assumptions)
    assert check(adam_as_laprop(map=dict(lr="lr*p", beta1="beta1"), transform=dict(w="w", m="m"))).status == "refuted"
    assert check(adam_as_laprop(constant=(), transform=dict(w="w", m="p(t-1)*m"))).status == "refuted"


def test_what_holds_for_a_constant_weight_is_refuted_for_a_schedule():
    constant = Equivalence(
        find("schedule_free"),
        find("accelerated_sgd"),
        map=dict(beta="1 - c", eta="beta*lr*c", alpha="(1 - beta)*lr"),
        transform=dict(x="w + (1 - beta)*lr*(1 - c)*m", z="w - beta*lr*(1 - c)*m"),
        backward=True,
        constant=("c",),
    )
    assert check(constant).status == "proved"
    here = {k: text.replace("c", "c(t)") for k, text in constant.map.items()}
    varying = replace(
        constant,
        map=here,
        transform={k: text.replace("(1 - c)", "(1 - c(t-1))") for k, text in constant.transform.items()},
        constant=(),
    )
    assert check(varying).status == "refuted"
    assert check(replace(varying, map=dict(here, beta="1 - c(t-1)"))).status == "proved"


def test_only_functions_of_time_can_be_called_constant():
    with pytest.raises(InputError, match="unknown function of t in schedule_free or sgd: 'd'"):
        check(
            Equivalence(
                find("schedule_free"),
                find("sgd"),
                map=dict(lr="lr"),
                transform=dict(w="z"),
                given=dict(beta=0),
                constant=("d",),
            )
        )


def test_a_broken_second_route_is_noticed(monkeypatch):
    original = runs._own_step

    def broken(part, state, t, h, gradients):
        points, new = original(part, state, t, h, gradients)
        return points, {k: v + (k == "w" and part.tableau.optimizer.name == "qhm") for k, v in new.items()}

    monkeypatch.setattr(runs, "_own_step", broken)
    verdict = check(claim())
    assert verdict.status == "failed"
    assert "one of the two routes is wrong" in verdict.reason


def heavy_ball_as_dana(**changes):
    """DANA forgets all at its first step, where there is nothing to forget yet."""
    right = Equivalence(
        find("heavy_ball"),
        find("dana"),
        map=dict(delta="where(first(t), 1, t*(1 - beta)/beta)", g1="1", g2="0", g3="lr"),
        transform=dict(w="w", y="m"),
    )
    return replace(right, **changes)


def test_a_first_step_of_its_own_is_asked_of_the_start_alone():
    verdict = check(heavy_ball_as_dana())
    assert verdict.status == "proved"
    assert {name for name in verdict.residuals if name.startswith("update of y") and "start" not in name} == {
        "update of y from the initial point at t = 0",
        "update of y from the initial memories at t = 0",
        "update of y, coefficient of w",
        "update of y, coefficient of m elsewhere",
        "update of y, coefficient of g",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        dict(source=replace(find("heavy_ball"), memories={"m": 1}), transform=dict(w="w", y="where(first(t), 0, 1)*m")),
        dict(map=dict(heavy_ball_as_dana().map, delta="where(first(t), 1, t*(1 - beta))")),
        dict(map=dict(heavy_ball_as_dana().map, g1="where(first(t), 2, 1)")),
        dict(map=dict(heavy_ball_as_dana().map, delta="where(first(t), 1, where(first(t-1), 1, t*(1 - beta)/beta))")),
    ],
    ids=["something to forget", "later steps", "first gradient", "second step"],
)
def test_what_is_wrong_at_or_after_a_first_step_of_its_own_is_refuted(wrong):
    verdict = check(heavy_ball_as_dana(**wrong))
    assert verdict.status == "refuted", verdict.reason


@pytest.mark.parametrize("factor", [1, 2])
def test_states_may_be_called_as_gradients_are(factor):
    def called(times):
        @optimizer(positions="g", memories="g1", returns="g", lr=step_size(), beta=momentum())
        def rule(s, t, h):
            """Two gradients, the second one weighed otherwise at the first step."""
            p, k = yield s.g, s.g - h.lr * s.g1
            m = h.beta * s.g1 + where(first(t), p + times * k, p + k)
            return dict(g=s.g - h.lr * m, g1=m)

        return rule

    verdict = check(Equivalence(called(1), called(factor), dict(lr="lr", beta="beta"), dict(g="g", g1="g1")))
    assert verdict.status == ("proved" if factor == 1 else "refuted")


def test_claim_that_no_run_satisfies_is_not_proved():
    never = dict(claim().map, beta="beta*(1/(lr - lr))*(lr - lr)")
    assert check(claim(map=never)).status == "failed"


def test_two_gradients_are_not_one():
    with pytest.raises(InputError, match="mars_exact_sgd takes 2 and qhm 1 gradients a step"):
        check(
            Equivalence(
                find("mars_exact_sgd"),
                find("qhm"),
                map=dict(lr="lr", beta="beta", nu="1 - gamma"),
                transform=dict(w="w", m="m"),
            )
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(map=dict(betta="beta")), "did you mean 'beta'"),
        (dict(transform=dict(ww="w")), "did you mean 'w'"),
        (dict(map=dict(beta="beta", eta="lr*nu*(1 - beta)")), "does not say what alpha"),
        (dict(map=dict(beta="beta", eta="lr", alpha="lr*n")), "did you mean 'nu'"),
        (dict(transform=dict(w="w")), "does not say what m is"),
        (dict(transform=dict(w="w", m="m*m")), "not linear in the states"),
        (dict(transform=dict(w="w + 1", m="m")), "not linear in the states"),
        (dict(map=dict(beta="beta", eta="lr +", alpha="lr")), "cannot read"),
        (dict(varying=("lr",), map=dict(beta="beta", eta="lr", alpha="lr(t)")), "as lr\\(t\\)"),
    ],
)
def test_what_cannot_be_read_is_told(changes, message):
    with pytest.raises(InputError, match=message):
        check(claim(**changes))


def test_written_expressions_mean_the_same_in_fractions_and_in_sympy():
    import sympy

    text = "(1 - 0.1)**2/(t+1) - lr(t-1)*-b"
    number = evaluated(text, {"t": Fraction(3), "lr": lambda t: t * t, "b": Fraction(1, 7)})
    assert number == Fraction(81, 400) + Fraction(4, 7)
    t, b = sympy.Symbol("t"), sympy.Symbol("b")
    shown = expression(text, {"t": t, "lr": sympy.Function("lr"), "b": b})
    value = shown.subs({t: 3, b: sympy.Rational(1, 7)}).subs(sympy.Function("lr")(2), 4)
    assert reduced(value) == sympy.Rational(number.numerator, number.denominator)


@pytest.mark.parametrize("text", ["__import__('os')", "a.b", "[1]", "lr if t else 1", "f(x=1)", "'a'", "t < 1"])
def test_only_arithmetic_is_read(text):
    with pytest.raises(InputError):
        evaluated(text, {"t": Fraction(1), "lr": Fraction(1), "f": abs, "x": Fraction(1), "a": Fraction(1)})


@pytest.mark.parametrize("text", ["where(first(t), 1/10, 1/5)", "lr*where(first(t), 2, where(first(t - 1), 3, 4)) + 1"])
def test_what_is_another_value_at_first_is_written_as_it_is_read(text):
    names = {"t": time(), "lr": sympy.Symbol("lr", real=True)}
    value = expression(text, names)
    assert expression(text_of(value), names) == value
    steps = [[evaluated(x, {"t": t, "lr": 5}) for t in range(3)] for x in (text, text_of(value))]
    assert steps[0] == steps[1]
    assert len(set(steps[0])) > 1
