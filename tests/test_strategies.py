"""Each step of a search by itself: what it finds makes one rule of the other, stepped in fractions, or is no answer."""

from fractions import Fraction

import pytest
import sympy
from heavy_balls import last_step, summed

from accelsim.elementary import first, sign, where
from accelsim.optimizers import find
from accelsim.program import exact
from accelsim.rule import momentum, optimizer, step, step_size
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.check.bisimulation import Bisimulation, prove
from accelsim.symbolic.find import matching, named_maps, obstacles, refutations, special_cases
from accelsim.symbolic.find.answer import EQUIVALENT, REFUTED
from accelsim.symbolic.find.candidates import Completion
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.find.first_hyperparameters import with_first_steps
from accelsim.symbolic.find.first_step import first_step
from accelsim.symbolic.find.outcome import Findings, Task
from accelsim.symbolic.find.proofs import PROOFS
from accelsim.symbolic.find.schedules import schedules
from accelsim.symbolic.find.solver import Solver
from accelsim.symbolic.find.transforms import transforms
from accelsim.symbolic.system.linear_part import linear_part
from accelsim.symbolic.system.pair import Question
from accelsim.symbolic.system.tableau import time

GRADIENTS = [Fraction(g) for g in (3, -1, 2, 0, 5, -4)]
T = time()
LR, BETA, MU = (sympy.Symbol(name, real=True) for name in ("lr", "beta", "mu"))


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), mu=momentum())
def averaged(s, t, h):
    """Heavy ball, m an average of gradients."""
    g = yield s.w
    m = h.mu * s.m + (1 - h.mu) * g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), mu=momentum())
def begun(s, t, h):
    """The same, but for a first average that is the first gradient."""
    g = yield s.w
    m = where(first(t), g, h.mu * s.m + (1 - h.mu) * g)
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum())
def along_sign(s, t, h):
    """The sign of heavy ball's momentum."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * sign(m), m=m)


@optimizer(positions="w", memories="", returns="w", lr=step_size(), pull=momentum())
def drawn_to_zero(s, t, h):
    """SGD that is drawn to zero."""
    g = yield s.w
    return dict(w=(1 - h.pull) * s.w - h.lr * g)


def queries(rule, row):
    """The points that a rule queries on some gradients; `row` makes its hyperparameters of the step."""
    state, asked = rule.start(Fraction(1)), []
    for t, g in enumerate(GRADIENTS):
        state = step(rule, state, t, row(t), lambda point, g=g: asked.append(point) or g)
    return asked


def at(values, **numbers):
    """Hyperparameters at a step from expressions in t and symbols, functions of t being lists."""
    known = {sympy.Symbol(k, real=True): v for k, v in numbers.items() if not isinstance(v, list)}

    def row(t):
        calls = {
            f: sympy.Rational(numbers[f.func.__name__][int(f.args[0].subs(T, t))])
            for value in values.values()
            for f in sympy.sympify(value).atoms(sympy.core.function.AppliedUndef)
        }
        return {k: exact(sympy.sympify(v).xreplace(calls).subs(T, t).xreplace(known)) for k, v in values.items()}

    return row


def task(a, b, strategies=(), **more):
    return Task(Question(a, b, **more), Clock(60), strategies)


# -- solutions and candidates ------------------------------------------------------------------------------------------

HALF, THIRD = sympy.Rational(1, 2), sympy.Rational(1, 3)


def test_constants_that_match_make_one_rule_of_the_other():
    asked = task(summed, averaged)
    solver = Solver(asked.comparison)
    (solution,) = matching.constants(solver, Clock(60), asked.tried)
    (best, *_) = Completion(asked.comparison, asked.tried).candidates(solution)
    assert {k: sympy.cancel(v) for k, v in best.values.items()} == {"lr": -LR / (BETA - 1), "mu": BETA}
    ours = queries(summed, at({"lr": LR, "beta": BETA}, lr=THIRD, beta=HALF))
    assert queries(averaged, at(best.values, lr=THIRD, beta=HALF)) == ours
    assert queries(averaged, at({**best.values, "mu": BETA / 2}, lr=THIRD, beta=HALF)) != ours
    assert best.score[0] == 0  # inside of ranges, as 1 - beta is positive
    assert not best.chosen


def test_rules_without_constants_that_match_have_obstructions():
    solver = Solver(task(summed, find("sgd")).comparison)
    assert matching.constants(solver, Clock(60), []) == []
    one_memory = Solver(task(summed, find("nesterov")).comparison)
    assert matching.constants(one_memory, Clock(60), []) == []
    assert one_memory.obstructions == [LR]  # lr' (1 + beta) = lr = lr' beta


def test_schedules_that_match_make_one_rule_of_the_other():
    """Where heavy ball's step size varies, the last step decays by beta lr(t)/lr(t - 1)."""
    asked = task(summed, last_step, varying=("lr",))
    (solution, *_) = matching.schedules(Solver(asked.comparison), Clock(60), asked.tried)
    lr = sympy.Function("lr", real=True)
    assert sympy.cancel(solution.values["beta"] - BETA * lr(T) / lr(T - 1)) == 0
    numbers = [sympy.Rational(x, 7) for x in (1, 3, 2, 5, 4, 6)] + [sympy.Integer(1)]  # that at -1 last
    ours = queries(summed, at({"lr": lr(T), "beta": BETA}, lr=numbers, beta=HALF))
    assert queries(last_step, at(solution.values, lr=numbers, beta=HALF)) == ours
    assert queries(last_step, at({**solution.values, "beta": BETA}, lr=numbers, beta=HALF)) != ours


def test_equal_names_are_a_match_where_they_make_the_same_matrices():
    solver = Solver(task(summed, summed).comparison)
    ((solution),) = matching.equal_names(solver, Clock(60), [])
    assert solution.values == {"lr": LR, "beta": BETA}
    assert matching.equal_names(Solver(task(summed, last_step).comparison), Clock(60), []) == []


def test_a_map_may_hold_for_a_step_size_that_varies_or_another_one():
    answer = equivalent(summed, last_step)
    assert answer.map == {"lr": "lr", "beta": "beta"}
    found = schedules(task(summed, last_step), answer)
    assert found.keys() == {"lr"}
    assert "lr(t - 1)" in found["lr"]["beta"]
    same = equivalent(summed, averaged)
    assert schedules(task(summed, averaged), same) == {}  # it holds as it is


# -- transforms and first steps ----------------------------------------------------------------------------------------


def intertwines(a, b, backward, matrix):
    """Whether T A = A' T, T B = B' and C = C' T for the transform of states from one rule to the other."""
    (p, q, c, *_), (p2, q2, c2, *_) = (b, a) if backward else (a, b)
    return all(
        sympy.simplify(x) == sympy.zeros(*x.shape) for x in (matrix * p - p2 * matrix, matrix * q - q2, c - c2 * matrix)
    )


def test_the_transform_between_sums_and_last_steps_is_the_step_size():
    a, b = linear_part(summed), linear_part(last_step)
    for backward, matrix in transforms(a, b):
        assert matrix == sympy.Matrix([[1, 0], [0, -1 / LR if backward else -LR]])
        assert intertwines(a.matrices, b.matrices, backward, matrix)
    assert transforms(a, b)[0][0] is False  # it divides by nothing
    other = linear_part(find("nesterov"))
    assert not any(intertwines(a.matrices, other.matrices, *found) for found in transforms(a, other))


def test_only_a_first_step_that_divides_by_zero_is_solved_for():
    a, b = linear_part(summed, ["lr"]), linear_part(last_step, ["lr", "beta"])
    lr = sympy.Function("lr", real=True)
    transform = sympy.Matrix([[1, 0], [0, -lr(T - 1)]])

    def free(name):
        return sympy.Rational(1, 7)

    def begin(beta, transform):
        values = {"lr": lr(T), "beta": beta}
        return first_step(a, b, values, transform, False, free, Clock(60), Recursions({}, {}))

    assert begin(BETA * lr(T) / lr(T - 1), transform) is None
    start = begin(BETA * lr(T) / T, transform)
    assert start.values == {"beta": sympy.Rational(1, 7)}  # the first step has no memory that could decay
    assert start.transform[0, 0] == 1
    start = begin(BETA, sympy.Matrix([[1, 0], [0, -lr(T - 1) / T]]))
    assert start.values == {}
    assert not start.transform.has(sympy.zoo)


def test_hyperparameters_of_first_steps_are_solved_for():
    """An average that is begun with the first gradient is one that is mu = 0 at the first step."""
    relation = {"b[w]": "a[w]", "b[m]": "a[m]"}
    claim = Bisimulation(begun, averaged, {"lr": "lr", "mu": "mu"}, relation, since=1)
    assert not prove(claim).holds
    found = with_first_steps(claim, Clock(60), held=())
    assert prove(found).holds
    half, zero = ({"lr": Fraction(1, 3), "mu": Fraction(mu)} for mu in ("1/2", "0"))
    assert queries(begun, lambda t: half) == queries(averaged, lambda t: half if t else zero)
    assert queries(begun, lambda t: half) != queries(averaged, lambda t: half)
    assert with_first_steps(claim, Clock(60), held=("lr", "mu")) is None


# -- named maps --------------------------------------------------------------------------------------------------------


def test_equal_names_are_tried_first_and_are_no_answer_where_runs_differ():
    found = named_maps.identity_map(task(summed, last_step), Findings()).answer
    assert (found.status, found.map) == (EQUIVALENT, {"lr": "lr", "beta": "beta"})
    assert named_maps.identity_map(task(summed, find("nesterov")), Findings()).answer is None
    assert named_maps.identity_map(task(summed, summed), Findings()).answer is None  # which matrices show


def test_other_names_are_tried_where_rules_are_not_linear():
    @optimizer(positions="w", memories="m", returns="w", lr=step_size(), keep=momentum())
    def renamed(s, t, h):
        """The same sign, of an average that keeps 1 - keep."""
        g = yield s.w
        m = (1 - h.keep) * s.m + g
        return dict(w=s.w - h.lr * sign(m), m=m)

    found = named_maps.other_names(task(along_sign, renamed), Findings()).answer
    assert (found.status, found.map) == (EQUIVALENT, {"lr": "lr", "keep": "1 - beta"})
    assert named_maps.other_names(task(summed, last_step), Findings()).answer is None


# -- obstacles and refutations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "a", "b", "reason"),
    [
        (obstacles.other_gradients, summed, find("mars_exact_sgd"), "1 gradient a step"),
        (obstacles.other_signs, summed, along_sign, "applies sign"),
        (refutations.start_elsewhere, drawn_to_zero, summed, "moves along with a translation"),
        (refutations.runs_alone, summed, along_sign, "as they are"),
    ],
)
def test_an_obstacle_refutes_a_pair_that_has_it_and_no_other(strategy, a, b, reason):
    found = strategy(task(a, b), Findings()).answer
    assert found.status == REFUTED
    assert reason in found.reason
    assert strategy(task(summed, last_step), Findings()).answer is None


def test_a_rule_with_nothing_left_to_choose_is_refuted_by_one_run():
    numbers = {"lr": "1", "beta": "1/2"}
    other = task(summed, last_step, set_a=numbers, set_b={**numbers, "beta": "1/3"})
    assert refutations.nothing_to_choose(other, Findings()).answer.status == REFUTED
    same = task(summed, last_step, set_a=numbers, set_b=numbers)
    assert refutations.nothing_to_choose(same, Findings()).answer is None


def test_a_question_without_weight_decay_is_the_question_at_zero():
    question = obstacles.less_decay(Question(summed, find("adamw")), "weight_decay")
    assert question.set_b == {"weight_decay": 0}
    assert any("weight_decay = 0" in note and "translation" in note for note in question.assumptions)


# -- special cases -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "found"),
    [(2 * BETA - 1, [("beta", HALF)]), (BETA - 3, []), (BETA**2 - HALF, []), (sympy.Symbol("x", real=True) - 1, [])],
)
def test_a_factor_is_zero_at_a_value_inside_of_the_range(factor, found):
    assert list(special_cases.roots(factor, summed)) == found


def test_factors_are_irreducible():
    assert set(special_cases.factors(LR**2 - BETA**2)) <= {LR - BETA, LR + BETA, BETA - LR, -LR - BETA}
    assert len(special_cases.factors(LR**2 - BETA**2)) == 2
    assert len(special_cases.factors(LR**2 - 2)) == 1


def test_heavy_ball_is_sgd_where_it_has_no_momentum_and_not_elsewhere():
    asked = task(summed, find("sgd"), PROOFS)
    cases, complete = special_cases.special_cases(asked, Findings())
    assert complete
    assert {case["when"]: case["map"] for case in cases} == {"beta = 0": {"lr": "lr"}, "lr = 0": {"lr": "0"}}
    none = {"lr": THIRD, "beta": sympy.Integer(0)}
    assert queries(summed, at(none)) == queries(find("sgd"), at({"lr": THIRD}))
    assert queries(summed, at({**none, "beta": HALF})) != queries(find("sgd"), at({"lr": THIRD}))


def test_recurrences_without_a_memory_are_told_as_functions_of_t():
    assert dict(special_cases.defaults(find("acsa")))
    assert not dict(special_cases.defaults(summed))
