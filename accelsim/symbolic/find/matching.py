"""Ways to match two rules: solutions for the second rule's hyperparameters, constants before schedules.

The responses of later queries to gradients are matched, in quantities that do not depend on the coordinates of the
states: for one memory the canonical coefficients at each step, for more the transfer function of the block form, for
everything else the response of each query to each gradient (see `Comparison.equations`). Solutions are not proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import combinations
from typing import Any

from accelsim.symbolic.algebra.budget import Clock, OutOfTime
from accelsim.symbolic.algebra.field import reduced, vanishes
from accelsim.symbolic.algebra.language import given_value
from accelsim.symbolic.algebra.radicals import Roots
from accelsim.symbolic.check.equivalence import needed
from accelsim.symbolic.find.candidates import Completion
from accelsim.symbolic.find.comparison import Comparison
from accelsim.symbolic.find.solver import Solution, Solver
from accelsim.symbolic.find.unknowns import MARK, substituted
from accelsim.symbolic.system.markov import current
from accelsim.symbolic.system.tableau import time

ALIKE = 1.0  # units for memories that decay alike
CONSTANT = 3.0  # units for functions beside a constant, before such as follow a recursion
RELATED = 0.5  # the same, where given sequences of both rules are known multiples
CHOICES = 1.0  # units for other choices where hyperparameters are left free
THREE = 3  # functions determine a rule of one memory
PRODUCT = 2  # of two hyperparameters, where it may be any

Way = Callable[[Solver, Clock, list[str]], list[Solution]]  # within a budget, with a log of what is tried


def equal_names(solver: Solver, clock: Clock, tried: list[str]) -> list[Solution]:
    """Way: each hyperparameter as the one of the same name, if that makes the matrices equal."""
    compared = solver.comparison
    names = [k for k in (*compared.in_matrices, *compared.in_sequences) if k not in compared.derived]
    set_a = compared.question.set_a
    known = {k: given_value(v) for k, v in set_a.items() if k in names} | compared.a_names | compared.a_in_sequences
    if not set(names) <= set(known) or compared.a.part.tableau.states != compared.open.tableau.states:
        return []
    values = {k: known[k] for k in names}
    pairs = zip(compared.at(values).matrices, compared.a.part.matrices, strict=True)
    same = all(x == y or (x.shape == y.shape and all(map(_zero, x - y))) for x, y in pairs)
    likely = same or compared.open.sequences or compared.a.part.forms
    return [Solution(values, tuple(compared.derived), compared.following)] if likely else []


def constants(solver: Solver, clock: Clock, tried: list[str]) -> list[Solution]:
    """Way: constants, from the equations for all queries."""
    tried.append("constant hyperparameters")
    compared = solver.comparison
    equations = compared.equations(compared.b)
    if equations is None:
        return []
    equations += compared.equations_of_returned(compared.b)
    found = solver.solutions(equations, clock)
    best = Completion(compared, tried).candidates(found[0]) if found else []
    if best and best[0].chosen and best[0].score[0]:  # another choice may lie inside the ranges
        found += _with_one_chosen(solver, equations, clock.at_most(CHOICES))
    return found


def _with_one_chosen(solver: Solver, equations: list[Any], clock: Clock) -> list[Solution]:
    """Solutions with one hyperparameter at its default, a number, one of the first rule's, or equal to another."""
    import sympy

    compared = solver.comparison
    names = [k for k in needed(compared.open) if k in compared.unknown]
    given = [given_value(value) for value in compared.question.set_a.values()]
    theirs = [*(x for x in compared.a_names.values() if x.is_Symbol), *(x for x in given if x.is_number)]
    unknown = {name: sympy.Symbol(name + MARK, real=True) for name in names}
    chosen = [(name, choice) for name in names for choice in (*compared.choices(name), *theirs)]
    chosen += [(name, unknown[other]) for name, other in combinations(names, 2)]

    def solutions() -> Iterator[Solution]:
        for name, choice in chosen:
            left = [substituted(e, {unknown[name]: choice}) for e in equations]
            if not any(e.has(sympy.zoo, sympy.nan) for e in left):
                for each in solver.solutions(left, clock):
                    value = substituted(choice, {u: each.values[k] for k, u in unknown.items() if k in each.values})
                    if not value.free_symbols & set(unknown.values()):
                        yield Solution({name: value, **each.values}, (name,), each.following)

    return _in_time(solver, clock, solutions())


def decaying_alike(solver: Solver, clock: Clock, tried: list[str]) -> list[Solution]:
    """Way for more hyperparameters than functions of t that determine a rule: equal decay of the memories."""
    if not _more_than_needed(solver.comparison):
        return []
    tried.append("memories that decay alike")
    compared = solver.comparison
    blocks = [side.block for side in (compared.a, compared.scheduled) if side.block is not None]
    alike = reduced(blocks[0].a[0] - blocks[1].a[0])
    equations, clock = [*(compared.scheduled_equations or []), alike], clock.at_most(ALIKE)

    def solutions() -> Iterator[Solution]:
        if solver.solvable(equations, clock):
            yield from solver.solutions(equations, clock)
        else:
            yield from _with_one_constant(solver, equations, clock, tried)

    return _in_time(solver, clock, solutions())


def schedules(solver: Solver, clock: Clock, tried: list[str]) -> list[Solution]:
    """Way: functions of t, for rules of one memory."""
    compared = solver.comparison
    equations = compared.scheduled_equations
    if equations is None:
        return []
    tried.append("hyperparameters that are functions of t")
    found = _as_schedules(solver, equations, clock, tried)
    if compared.question.returned:  # what queries leave open, what is returned may determine
        more = [*equations, *compared.equations_of_returned(compared.scheduled)]
        found += _as_schedules(solver, more, clock, tried)
    return found


def _as_schedules(solver: Solver, equations: list[Any], clock: Clock, tried: list[str]) -> list[Solution]:
    if _more_than_needed(solver.comparison):
        found = _beside_a_constant(solver, equations, clock, tried)
        return found or list(_by_recursion(solver, _with_products(solver.comparison, equations), clock, tried))
    outcome = solver.at_numbers(equations, clock)
    if outcome.solutions:
        return solver.solutions(equations, clock)
    if not outcome.stuck:
        return []
    return _beside_a_constant(solver, equations, clock, tried) or list(_by_recursion(solver, [equations], clock, tried))


def _more_than_needed(compared: Comparison) -> bool:
    """Whether there are more unknown hyperparameters than functions of t that determine a rule of one memory."""
    if compared.a.memory != 1 or compared.scheduled_equations is None:
        return False
    blocks = (compared.a.block, compared.scheduled.block)
    kept = all(block is not None and block.a[0] != 0 for block in blocks)
    return kept and len(compared.in_matrices) > THREE


def _beside_a_constant(solver: Solver, equations: list[Any], clock: Clock, tried: list[str]) -> list[Solution]:
    some = clock.at_most(RELATED if solver.comparison.relation else CONSTANT)
    return _in_time(solver, some, _with_one_constant(solver, equations, some, tried))


def _with_one_constant(solver: Solver, equations: list[Any], clock: Clock, tried: list[str]) -> Iterator[Solution]:
    """Solutions with one hyperparameter held constant, where all of them are determined otherwise."""
    import sympy

    for name in solver.comparison.in_matrices:
        steady = {sympy.Function(name + MARK, real=True): sympy.Symbol(name + MARK, real=True)}
        fewer = [substituted(e, steady) for e in equations]
        if solver.solvable(fewer, clock):
            tried.append(f"functions of t beside a constant {name}")
            yield from solver.solutions(fewer, clock)


def _with_products(compared: Comparison, equations: list[Any]) -> Iterator[list[Any]]:
    """Systems of equations with the product of two hyperparameters fixed to a number."""
    import sympy

    left, right = (current(side.block) for side in (compared.a, compared.scheduled) if side.block is not None)
    equations = [*equations, reduced(left - right)]
    for names in combinations(reversed(compared.in_matrices), 2):  # step sizes are declared first
        first, second = (sympy.Function(name + MARK, real=True)(time()) for name in names)
        yield [*(substituted(e, {first: PRODUCT / second}) for e in equations), first - PRODUCT / second]


def _by_recursion(solver: Solver, systems: Iterable[list[Any]], clock: Clock, tried: list[str]) -> Iterator[Solution]:
    """Solutions, recursions among them, of the first system of equations that has some."""
    for equations in systems:
        if solver.solvable(equations, clock, recursive=True):
            tried.append("functions of t that follow a recursion")
            found = solver.solutions(equations, clock, recursive=True)
            yield from found
            if found:
                return


def _in_time(solver: Solver, clock: Clock, solutions: Iterator[Solution]) -> list[Solution]:
    """Solutions that are found within the budget."""
    found = list[Solution]()
    with suppress(OutOfTime), clock.enforced():
        for solution in solutions:
            found.append(solution)  # one by one, so that those that were in time stay
    solver.comparison.clock.check()
    return found


def _zero(expression: Any) -> bool:
    """Proof that an expression is zero, roots being products of independent ones."""
    return vanishes(expression) or bool(Roots([]).left(expression) == 0)
