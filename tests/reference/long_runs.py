"""Risk after very many steps of a rule whose coefficients do not vary in time, by squaring the map of moments."""

import numpy as np

from reference.inputs import read
from reference.moments import ApartMap
from reference.numbers import BITS, dot, extended, fixed
from reference.radius import matrix
from reference.rules import constant_step


def risk_at(rule, problem, steps, **given):
    """(risk, bias, variance) of the returned iterate after that many steps, for problems apart and stable runs."""
    law, step = read(problem), constant_step(rule, given)
    n, d = step.states, law.lam.size
    pairs = [(i, j, k) for i in range(d) for j in range(n) for k in range(j + 1)]
    fresh = ApartMap(law, [True]).step(np.zeros((1, d, n, n), dtype=int).astype(object), step)[0]
    power = np.zeros((len(pairs) + 1, len(pairs) + 1), dtype=int).astype(object)
    power[:-1, :-1] = matrix(step, law)
    power[:-1, -1] = [fresh[place] for place in pairs]
    power[-1, -1] = 1 << BITS
    first = fixed(np.multiply.outer(law.start**2, np.outer(step.start, step.start)))
    columns = np.zeros((len(pairs) + 1, 2), dtype=int).astype(object)  # the bias and the variance
    columns[:-1, 0] = [first[place] for place in pairs]
    columns[-1, 1] = 1 << BITS
    while steps:
        if steps & 1:
            columns = dot(power, columns)
        power, steps = dot(power, power), steps >> 1
    places = [pairs.index((i, step.returned, step.returned)) for i in range(d)]
    bias, variance = (extended(fixed(law.lam) @ columns[places, run], 2 * BITS) / 2 for run in (0, 1))
    return bias + variance, bias, variance


