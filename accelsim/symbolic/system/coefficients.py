"""Canonical coefficients of accelerated SGD in numbers, step by step."""

from __future__ import annotations

from itertools import islice
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from accelsim.errors import InputError
from accelsim.rule import Optimizer
from accelsim.symbolic.system.linear_part import linear_part, without_decay
from accelsim.symbolic.system.normal_form import canonical
from accelsim.symbolic.system.tableau import time


class Coefficients(NamedTuple):
    """Canonical coefficients at steps 0, 1, ...

    Attributes
    ----------
    beta, eta, alpha : arrays of shape (steps,), NaN where a coefficient is not determined.
    assumptions : sentences on what was set aside for them.
    """

    beta: np.ndarray
    eta: np.ndarray
    alpha: np.ndarray
    assumptions: tuple[str, ...]


def coefficients(optimizer: Optimizer, steps: int, /, **values: Any) -> Coefficients:
    """Canonical coefficients of a rule at given hyperparameters, in units of its preconditioner where it has one.

    Parameters
    ----------
    steps : number of steps.
    **values : hyperparameters, numbers or schedules.

    Raises
    ------
    InputError
        If the rule is not accelerated SGD at these hyperparameters.
    """
    _, decay = without_decay(linear_part(optimizer))
    resolved = {name: value for name, value in optimizer.resolve(**values).items() if name != decay}
    constant = {name: value for name, value in resolved.items() if isinstance(value, Real)}
    form = canonical(optimizer, [name for name in resolved if name not in constant], **constant)
    if not form.canonical:
        raise InputError(f"{optimizer} has no coefficients at these hyperparameters: {form.conditions[0]}")
    rows = [h for _, h in islice(optimizer.rows(**values), steps + 2)]
    beta, eta, alpha = (_numbers(getattr(form, name), rows, steps) for name in ("beta", "eta", "alpha"))
    beta[0] = np.nan  # there is no momentum yet
    return Coefficients(beta, eta, alpha, form.assumptions)


def _numbers(expression: Any, rows: list[dict[str, Any]], steps: int) -> np.ndarray:
    import sympy
    from sympy.core.function import AppliedUndef

    given: dict[Any, np.ndarray] = {}
    written = {}
    for call in sorted(expression.atoms(AppliedUndef), key=str):
        written[call] = symbol = sympy.Dummy()
        moved = int(call.args[0] - time())
        name = call.func.__name__
        known = [rows[t + moved].get(name, 1.0) if t + moved >= 0 else np.nan for t in range(steps)]
        given[symbol] = np.array(known, dtype=float)
    function = sympy.lambdify([time(), *given], expression.xreplace(written), "numpy")
    with np.errstate(all="ignore"):
        found = np.broadcast_to(function(np.arange(steps, dtype=float), *given.values()), (steps,)).astype(float)
    found[~np.isfinite(found)] = np.nan
    return found
