"""Special cases: hyperparameters of either rule at which rules that are not the same become so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from accelsim.errors import InputError
from accelsim.rule import Optimizer
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra import ranges
from accelsim.symbolic.algebra.budget import OutOfTime
from accelsim.symbolic.algebra.field import Field, reduced
from accelsim.symbolic.algebra.language import text_of
from accelsim.symbolic.find.answer import SAME
from accelsim.symbolic.find.outcome import Findings, Task, decide
from accelsim.symbolic.find.proofs import PROOFS
from accelsim.symbolic.find.unknowns import functions_in, substituted
from accelsim.symbolic.system.markov import Side, minors
from accelsim.symbolic.system.rule_sequences import recurrences
from accelsim.symbolic.system.tableau import time

UNITS = 3.0  # for all special cases
SAID = ("status", "map", "transform", "direction", "conditions", "assumptions")  # of an answer, in a special case
Case = Mapping[str, Any]  # `when`, and what is said of the answer there


def special_cases(task: Task, known: Findings) -> tuple[tuple[Case, ...], bool]:
    """Hyperparameters of either rule at which obstructions vanish and the rules are proved to be the same.

    Returns
    -------
    cases : each a mapping with `when`, in words, and the answer there.
    complete : whether all obstructions were looked at within the budget.
    """
    found: dict[str, Case] = {}
    clock = task.clock.at_most(UNITS)
    complete = True
    try:
        with clock.enforced():
            for first, name, text in _choices(task, known):
                _look_at(task, first, name, text, found)
    except OutOfTime:
        task.clock.check()
        complete = False
    return tuple(case for case in found.values() if case), complete


def _choices(task: Task, known: Findings) -> Iterator[tuple[bool, str, str]]:
    """Settings at which an obstruction vanishes: whether of the first rule, hyperparameter, and value."""
    q, compared = task.question, task.comparison
    unmarked = {new: old for old, new in compared.marked.items()}
    multiples_need = dict.fromkeys(f for o in known.multiples_need for f in factors(o))
    needed = [f for f in multiples_need if not f.is_Symbol]  # at 0 there is less of a rule
    for first, factor in vanishing(compared.a, compared.b.renamed(unmarked), [*needed, *known.obstructions]):
        for name, value in roots(factor, q.a if first else q.b):
            yield first, name, text_of(value)
    yield from ((True, name, text) for name, text in defaults(q.a))


def _look_at(task: Task, first: bool, name: str, text: str, found: dict[str, Case]) -> None:
    """Add the answer at a setting of one hyperparameter to the cases found."""
    q = task.question
    when = f"{name} = {text}" + ("" if first else f" in {q.b}")
    if name in recurrences(q.a if first else q.b, q.free):  # which are what they are
        return
    if when in found or name in (q.set_a if first else q.set_b):
        return
    found[when] = {}
    for more, answer in _answers(task, first, {name: text}, deeper=first and name == task.comparison.a.decay):
        words = ", ".join([when, *more])
        found[words] = {"when": words, **answer}


def _answers(task: Task, first: bool, values: Mapping[str, str], deeper: bool) -> list[tuple[list[str], Case]]:
    """Answers at a setting; where the rules still differ and `deeper`, those of its own special cases."""
    there = replace(task, question=task.question.at(first, values), strategies=PROOFS, tried=[])
    try:
        outcome = decide(there)
    except InputError:
        return []
    if outcome.answer is not None and outcome.answer.status in SAME:
        return [([], {k: getattr(outcome.answer, k) for k in SAID})]
    cases, _ = special_cases(there, outcome.learnt) if deeper else ((), True)
    return [([case["when"]], {k: case[k] for k in SAID}) for case in cases]


def vanishing(a: Side, b: Side, obstructions: Iterable[Any]) -> Iterator[tuple[bool, Any]]:
    """Irreducible expressions, one of which has to vanish for the rules to be the same.

    Returns
    -------
    pairs (first, factor): whether it is in the first rule's hyperparameters, and the factor (SymPy).
    """
    for side, other, first in ((a, b, True), (b, a, False)):
        if side.block is not None and other.memory is not None and (side.memory or 0) > other.memory:
            yield from ((first, factor) for factor in minors(side.block))
    for obstruction in obstructions:
        yield from ((True, factor) for factor in factors(obstruction))


def factors(expression: Any) -> list[Any]:
    """Irreducible factors of an expression (SymPy)."""
    field = Field([expression])
    return field.factors(field.element(expression))


def roots(factor: Any, rule: Optimizer) -> Iterator[tuple[str, Any]]:
    """Root of a factor in one hyperparameter, inside its range.

    Functions of t are taken as constants, and tried after those that are.

    Returns
    -------
    At most one pair (name, value): the first hyperparameter in which the factor is linear, and a SymPy expression.
    """
    import sympy

    functions = [f for f in functions_in(factor) if f.func.__name__ in rule.hyperparameters]
    steady = {f.func: sympy.Symbol(f.func.__name__, real=True) for f in functions}
    constants = sorted(factor.free_symbols, key=str)
    factor = substituted(factor, steady)
    for symbol in (*constants, *sorted(set(steady.values()), key=str)):
        declared = rule.hyperparameters.get(symbol.name)
        if declared is None or not factor.is_polynomial(symbol) or sympy.degree(factor, symbol) != 1:
            continue
        value = reduced(sympy.solve(factor, symbol)[0])
        if functions_in(value) or value.has(time()):
            continue
        if ranges.ever_inside(text_of(value), declared, rule):
            yield symbol.name, value
            return


def defaults(rule: Optimizer) -> Iterator[tuple[str, str]]:
    """Recurrences without a memory, as functions of t.

    Returns
    -------
    pairs (name, text): the hyperparameter of which it is the default, and its value at step t.
    """
    for name, declared in rule.hyperparameters.items():
        if isinstance(declared.default, Recurrence) and not declared.default.start:
            try:
                value, memory = declared.default.update({}, time(), None)
            except (AttributeError, TypeError):  # it reads another hyperparameter, or asks how large t is
                continue
            if not memory:
                yield name, text_of(reduced(value))
