"""Exact excess risk of a linear rule, by the way of taking steps that pays: one by one, by leaps, on frozen blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.exact import rounding
from accelsim.exact.kernel import Drift
from accelsim.exact.long_runs import travel
from accelsim.exact.minimal import pruned_tableau
from accelsim.exact.moments import PARTS, Risk, rooted, stepped
from accelsim.exact.roots import Roots
from accelsim.exact.tables import Tables
from accelsim.optimizers import find
from accelsim.problems import Problem, Uncoupled
from accelsim.rule import Optimizer
from accelsim.spectra import fits
from accelsim.symbolic.system.tableau import Tableau
from accelsim.threads import single_threaded

POINTS = {"returned": "returned iterate", "query": "query point"}
MOST = 10**15  # steps: every whole number up to there is a float
_FOLD, _PATIENCE = 2e-6, 30.0  # seconds of a step by square roots, a direction; and up to which they are taken
_COPIES = 4  # of all moments, in the runs together


@single_threaded
def risk(
    optimizer: Optimizer | str,
    problem: Problem,
    /,
    steps: int,
    of: str = "returned",
    *,
    progress: Callable[[int], None] = lambda done: None,
    **hyperparameters: Any,
) -> Risk:
    """Exact excess risk of what a linear rule returns, or of the point it queries.

    Parameters
    ----------
    optimizer : a linear rule or its name, or an average of one (``tail_average(sgd)``); its coefficients may vary in
        time.
    problem : where it runs.
    steps : how many.
    of : ``returned``, or ``query``: the point of the next step's first gradient.
    progress : called with the number of steps taken, where they are taken one by one.
    **hyperparameters : numbers, schedules or text, see `Optimizer.resolve`.

    Returns
    -------
    Risk
        At log-spaced steps. A memory that does not start at zero and the pull of weight decay towards the origin belong
        to the bias.

    Raises
    ------
    InputError
        If the rule is not linear, a hyperparameter cannot be used, or the moments do not fit into memory.

    References
    ----------
    For Gaussian inputs E[x x^T M x x^T] = 2 H M H + tr(H M) H (Isserlis); for data sets the mean over rows.
    """
    if not float(steps).is_integer() or steps < 0:
        raise InputError(f"the number of steps must be a whole number of at least 0, not {steps}")
    if steps > MOST:
        raise InputError(f"{steps:.3g} steps are more than can be counted exactly: take at most {MOST:.3g}")
    if of not in POINTS:
        raise InputError(f"the risk is that of the point {' or '.join(POINTS)}, not of {of!r}")
    rule = find(optimizer)
    found = _computed(pruned_tableau(rule, **hyperparameters), problem, int(steps), of, hyperparameters, progress)
    return replace(found, optimizer=rule.name)


def _computed(
    tableau: Tableau,
    problem: Problem,
    steps: int,
    of: str,
    hyperparameters: dict[str, Any],
    progress: Callable[[int], None],
) -> Risk:
    tables = Tables(tableau, hyperparameters)
    _check_memory(problem, len(tableau.states) + 1 + tableau.gradients)
    way = travel.way(problem, tables, steps)
    if way:
        return _told(way(problem, tables, steps, of))
    try:
        found, _, sure = stepped(problem, tables, steps, of, tables.take(0).drives, report=progress)
    except Drift:
        tables = Tables(tableau, hyperparameters)
        found, _, sure = stepped(problem, tables, steps, of, True, report=progress)
    if sure or not isinstance(problem, Uncoupled) or not Roots.takes(problem):
        return _told(found)
    if steps * problem.spectrum.size * _FOLD > _PATIENCE:
        return _told(found)
    tables = Tables(tableau, hyperparameters)
    return stepped(problem, tables, steps, of, True, rooted(problem, tables, steps))[0]


def _told(found: Risk) -> Risk:
    """The risk, with parts at zero where they are less but for rounding, within the error.

    Raises
    ------
    InputError
        If rounding left nothing of a risk.
    """
    least = np.minimum(found.bias, found.variance)
    lost = np.flatnonzero((found.risk < -rounding.UNDERFLOW) | (least < -found.error - rounding.UNDERFLOW))
    if len(lost):
        raise InputError(
            f"rounding leaves no digit of the risk after {found.steps[lost[0]]} steps, which is off by up to "
            f"{found.error[lost[0]]:.2g}: take fewer steps, or hyperparameters whose risk swells less on the way"
        )
    if not (np.minimum(least, found.risk) < 0).any():
        return found
    parts = {name: np.maximum(getattr(found, name), 0) for name in ("risk", *PARTS)}
    return replace(found, **parts)


def _check_memory(problem: Problem, quantities: int) -> None:
    moments = quantities**2 * problem.spectrum.size ** (2 if problem.coupled else 1)
    what = f"{quantities} quantities in {problem.spectrum.size} {'coupled ' * problem.coupled}eigendirections"
    fits(_COPIES * moments, f"second moments of {what}")
