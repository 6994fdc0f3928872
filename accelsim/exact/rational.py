"""The recursion of second moments in fractions: what floating point is held against."""

from __future__ import annotations

import copy
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np

from accelsim import program
from accelsim.exact.minimal import pruned_tableau
from accelsim.exact.moments import advance, starts
from accelsim.exact.tables import anchored, mapped
from accelsim.problems import Uncoupled
from accelsim.rule import Optimizer


def bias_and_variance(
    optimizer: Optimizer, problem: Uncoupled, steps: int, /, **hyperparameters: Any
) -> tuple[Fraction, Fraction]:
    """Bias and variance of the returned iterate after some steps, without rounding.

    Hyperparameters are the fractions they are written as, the problem's numbers those that its floats are.

    Raises
    ------
    InputError
        If the rule is not linear, or computes what is not rational.
    """
    tableau = pruned_tableau(optimizer, **hyperparameters)
    parts = []
    for noisy in (False, True):
        case = _in_fractions(problem, noisy)
        moments = starts(tableau, case, at_optimum=noisy)
        for numeric in islice(tableau.rows(program.exact, **hyperparameters), steps):
            moments = advance(case, anchored(tableau, numeric), moments, noisy=True)
        last = anchored(tableau, next(tableau.rows(program.exact, **hyperparameters)))
        parts.append(mapped(last.F, moments).second[0, 0] @ case.spectrum / 2)
    return parts[0], parts[1]


def _in_fractions(problem: Uncoupled, noisy: bool) -> Uncoupled:
    """The problem with fractions for numbers, and without lasting noise unless noisy."""
    case = copy.copy(problem)
    vars(case).pop("_placed", None)  # its arrays in other precisions
    for name in ("spectrum", "start", "own", "left", "right", "floor"):
        values = getattr(problem, name) * (noisy if name == "floor" else 1)
        object.__setattr__(case, name, np.array([Fraction(float(value)) for value in values], dtype=object))
    return case
