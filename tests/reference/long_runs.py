"""Risk after very many steps of a rule whose coefficients do not vary in time, by squaring the map of moments."""

import numpy as np

from reference.inputs import read
from reference.moments import ApartMap
from reference.numbers import Fixed
from reference.radius import lower, matrix, minimal
from reference.rules import constant_step, step_at


def risk_at(rule, problem, steps, event=None, **given):
    """(risk, bias, variance) of the returned iterate after that many steps, for problems apart and stable runs.

    Parameters
    ----------
    event : (first, last) steps outside which the coefficients do not vary, all below `steps`.
    """
    if event is None:
        parts = [(minimal(constant_step(rule, given)), steps)]
    else:
        quiet = step_at(rule, given, 0)
        parts = [(quiet, event[0]), *((step_at(rule, given, t), 1) for t in range(*event)), (quiet, steps - event[1])]
    law, step = read(problem), parts[0][0]
    n, d = step.states, law.lam.size
    pairs = lower(d, n)
    first = Fixed.of(np.multiply.outer(law.start**2, np.outer(step.start, step.start)))
    columns = np.zeros((len(pairs) + 1, 2), dtype=int).astype(object)  # the bias and the variance
    columns[:-1, 0] = [first[place] for place in pairs]
    columns[-1, 1] = Fixed.one
    for step, count in parts:
        power, left = _affine(step, law, pairs), count
        while left:
            if left & 1:
                columns = Fixed.dot(power, columns)
            power, left = Fixed.dot(power, power) if left > 1 else power, left >> 1
    seen = np.zeros((2, d, n, n), dtype=int).astype(object)
    for (i, j, k), entries in zip(pairs, columns[:-1], strict=True):
        seen[:, i, j, k] = seen[:, i, k, j] = entries
    row = Fixed.of(step.answer)
    second = Fixed.dot(Fixed.dot(row, seen), row.T)[..., 0, 0]
    bias, variance = (Fixed.number(total) / 2 for total in Fixed.dot(second, Fixed.of(law.lam)))
    return bias + variance, bias, variance


def _affine(step, law, pairs):
    """The map of moments, and what noise adds in the last column."""
    n, d = step.states, law.lam.size
    fresh = ApartMap(law, [True]).step(np.zeros((1, d, n, n), dtype=int).astype(object), step)[0]
    power = np.zeros((len(pairs) + 1, len(pairs) + 1), dtype=int).astype(object)
    power[:-1, :-1] = matrix(step, law)
    power[:-1, -1] = [fresh[place] for place in pairs]
    power[-1, -1] = Fixed.one
    return power
