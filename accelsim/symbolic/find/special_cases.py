"""Choices of a rule's hyperparameters that are looked at where a rule is not another one for every choice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from accelsim.rule import Optimizer
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra import ranges
from accelsim.symbolic.algebra.field import Field, reduced
from accelsim.symbolic.algebra.language import text_of
from accelsim.symbolic.system.markov import Side, minors
from accelsim.symbolic.system.tableau import time


def vanishing(a: Side, b: Side, obstructions: Iterable[Any]) -> Iterator[tuple[bool, Any]]:
    """What would have to vanish for rules to be the same, irreducible, and whether it is the first one's."""
    for side, other, first in ((a, b, True), (b, a, False)):
        if side.block is not None and other.memory is not None and (side.memory or 0) > other.memory:
            yield from ((first, factor) for factor in minors(side.block))
    for obstruction in obstructions:
        field = Field([obstruction])
        yield from ((True, factor) for factor in field.factors(field.element(obstruction)))


def roots(factor: Any, rule: Optimizer) -> Iterator[tuple[str, Any]]:
    """The hyperparameter and its value (SymPy) inside its range that make a factor zero, if there are such.

    Functions of t are looked at as constants, after those that are.
    """
    import sympy
    from sympy.core.function import AppliedUndef

    functions = [f for f in factor.atoms(AppliedUndef) if f.func.__name__ in rule.hyperparameters]
    steady = {f: sympy.Symbol(f.func.__name__, real=True) for f in functions}
    constants = sorted(factor.free_symbols, key=str)
    factor = factor.xreplace(steady)
    for symbol in (*constants, *sorted(set(steady.values()), key=str)):
        declared = rule.hyperparameters.get(symbol.name)
        if declared is None or not factor.is_polynomial(symbol) or sympy.degree(factor, symbol) != 1:
            continue
        value = reduced(sympy.solve(factor, symbol)[0])
        if value.atoms(AppliedUndef) or value.has(time()):
            continue
        if ranges.ever_inside(text_of(value), declared, rule):
            yield symbol.name, value
            return


def defaults(rule: Optimizer) -> Iterator[tuple[str, str]]:
    """Hyperparameters that are recurrences without a memory by default, and what they then are at step t."""
    for name, declared in rule.hyperparameters.items():
        if isinstance(declared.default, Recurrence) and not declared.default.start:
            try:
                value, memory = declared.default.update({}, time(), None)
            except (AttributeError, TypeError):  # it reads another hyperparameter, or asks how large t is
                continue
            if not memory:
                yield name, text_of(reduced(value))
