"""Unknown hyperparameters of the second rule in expressions: symbols where constant, otherwise functions of t."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.symbolic.system.tableau import time

MARK = "′"  # after the name of an unknown of the second rule, lest it be taken for one of the first


def functions_in(expression: Any) -> set[Any]:
    """Values of unknown functions of t in an expression or matrix (SymPy)."""
    from sympy.core.function import AppliedUndef

    return set(expression.atoms(AppliedUndef))


def name_of(unknown: Any) -> Any:
    """Name of an unknown (SymPy): the symbol itself, or the function of which it is the value at t."""
    from sympy.core.function import AppliedUndef

    return unknown.func if isinstance(unknown, AppliedUndef) else unknown


def substituted(expression: Any, values: Mapping[Any, Any]) -> Any:
    """An expression or matrix with unknowns replaced, functions at each of their shifts.

    Parameters
    ----------
    values : by symbol, function, or value of a function at t: expressions in t.
    """
    known = {name_of(u): value for u, value in values.items()}
    here = {f: known[f.func].subs(time(), f.args[0]) for f in functions_in(expression) if f.func in known}
    return expression.xreplace({**here, **{u: value for u, value in known.items() if u.is_Symbol}})
