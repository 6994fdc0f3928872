"""What a map and a transform are at the first step, where what they are at all others divides by zero.

There memories are what they started at and weigh nothing, so that less is asked of the first step than of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from accelsim.symbolic.algebra.elimination import Clock, solve
from accelsim.symbolic.algebra.field import at_first, infinite
from accelsim.symbolic.algebra.language import number
from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.system.linear_part import LinearPart


@dataclass(frozen=True)
class Start:
    """The first step: hyperparameters that are other values there, and the transform (SymPy)."""

    values: Mapping[str, Any]
    transform: Any


def first_step(
    source: LinearPart,
    target: LinearPart,
    values: Mapping[str, Any],
    transform: Any,
    backward: bool,
    free: Callable[[str], Any],
    clock: Clock,
    recursions: Recursions,
) -> Start | None:
    """Values at t = 0 with which the identities hold there, where something is infinite; None where none are found.

    Parameters
    ----------
    target : its hyperparameters being unknown functions of t.
    values, transform : expressions in t, the transform from source to target (or back, if backward).
    free : a value for a hyperparameter that may be anything.
    recursions : of functions in the values and the transform.
    """
    import sympy

    at, exactly = recursions.at, recursions.exactly if recursions else recursions.at
    ends = [[at(at_first(m, True), 0) for m in part.matrices] for part in (source, target)]
    known = {name: exactly(value, 0) for name, value in values.items()}
    declared = target.tableau.optimizer.hyperparameters.items()
    variable = tuple(name for name, each in declared if not each.switch)
    inverses = [1 / at(at_first(d, True), 0) for d in target.tableau.divided_by(variable)]
    missing = {name: sympy.Dummy(name) for name in _missing([*chain(*ends[1]), *inverses], known)}
    usual, later = at(transform, 0), at(transform, 1)
    if not (missing or infinite(usual)) or infinite(later):
        return None
    start = sympy.Matrix(*usual.shape, lambda i, j: sympy.Dummy())
    here = {_value(name): value for name, value in {**known, **missing}.items()}
    one, other = ends[0], [m.xreplace(here) for m in ends[1]]
    (a, b, c, d, _), (a_after, b_after, c_after, d_after, _) = (other, one) if backward else (one, other)
    before, after = (target, source) if backward else (source, target)
    equations = [*(later * b - b_after), *(d - d_after)]
    for what in ("translation", "start"):
        left, right = (sympy.Matrix(list(map(number, getattr(part.tableau, what)))) for part in (before, after))
        equations += [*(later * a * left - a_after * right), *(c * left - c_after * right), *(start * left - right)]
    anything = {u: free(name) for name, u in missing.items()}
    anything |= {u: sympy.Integer(0) if infinite(entry) else entry for u, entry in zip(start, usual, strict=True)}
    for found in solve(equations, list(anything), clock).solutions:
        chosen = {u: value for u, value in anything.items() if u not in found}
        full = chosen | {u: value.xreplace(chosen) for u, value in found.items()}
        return Start({name: full[u] for name, u in missing.items()}, start.xreplace(full))
    return None


def _missing(expressions: Iterable[Any], known: Mapping[str, Any]) -> list[str]:
    """The hyperparameters that are infinite, or in an expression that is."""
    nowhere = [name for name, value in known.items() if infinite(value)]
    here = {_value(name): value for name, value in known.items()}
    entries = [expression for expression in expressions if infinite(expression.xreplace(here))]
    return [name for name in known if name in nowhere or any(e.has(_value(name)) for e in entries)]


def _value(name: str) -> Any:
    import sympy

    return sympy.Function(name, real=True)(0)
