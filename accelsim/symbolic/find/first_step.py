"""Map and transform at the first step, where their expressions for all other steps divide by zero.

There the memories have their initial values, so that less is asked of the first step than of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.elimination import solve
from accelsim.symbolic.algebra.field import at_first, infinite
from accelsim.symbolic.algebra.language import number
from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.system.linear_part import LinearPart


@dataclass(frozen=True)
class Start:
    """First step of an equivalence that differs from all others.

    Attributes
    ----------
    values : by hyperparameter, the value at t = 0 (SymPy), if it is another one there.
    transform : T_0 (SymPy matrix).
    """

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
    """Solve for hyperparameters and transform at t = 0, where their expressions for all other steps divide by zero.

    Parameters
    ----------
    source, target : linear parts; the target's hyperparameters are unknown functions of t.
    values : by hyperparameter of the target, an expression in t.
    transform : T_t (SymPy matrix), from source to target, or back if `backward`.
    free : function from a hyperparameter that is arbitrary there to its value.
    recursions : of functions of t in the values and the transform.

    Returns
    -------
    Start
        With which the identities hold at t = 0; None where none is needed or found.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.
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
    """Names of hyperparameters that are infinite at t = 0, or occur in an expression that is."""
    nowhere = [name for name, value in known.items() if infinite(value)]
    here = {_value(name): value for name, value in known.items()}
    entries = [expression for expression in expressions if infinite(expression.xreplace(here))]
    return [name for name in known if name in nowhere or any(e.has(_value(name)) for e in entries)]


def _value(name: str) -> Any:
    import sympy

    return sympy.Function(name, real=True)(0)
