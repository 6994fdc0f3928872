"""Error of exact risks: rounding errors of every step, carried on by the map of second moments itself.

One step's rounding changes the moments P by a symmetric matrix that lies, in the order of positive semidefinite
matrices, within a multiple of diag(u^2), u = |T| sqrt(diag P), T the step's matrix. The map L_t of the moments keeps
that order, so Q_{t+1} = L_t(Q_t + diag P_t) + diag(u_t^2) bounds what all of them come to, cancellation and growth on
the way included. The same Q bounds what rounded coefficients come to: they move the states themselves, by at most
sqrt(steps Q) in the mean square (Cauchy and Schwarz), so a risk r by about 2 sqrt(steps Q r).

References
----------
Higham 2002, Accuracy and Stability of Numerical Algorithms, sections 3.5 and 19.3.
"""

from __future__ import annotations

import math

import numpy as np

from accelsim.exact.tables import Moments, System
from accelsim.problems import Problem
from accelsim.spectra import Array

UNIT = 2.0**-53
GIVEN = 4 * UNIT  # relative error of coefficients and of the problem's numbers, as floats
WANTED = 1e-6  # relative error of a risk that is good enough


def of_sums(quantities: int) -> float:
    """Relative error of moments mapped by sums over so many quantities on both sides, per Q."""
    return 2 * (quantities + 3) * quantities * UNIT


def of_roots(quantities: int) -> float:
    """Relative error of a square root's rows in a step, by orthogonal transformations of so many columns."""
    return 8 * quantities * UNIT


def coherent(relative: float, quantities: int, steps: int, doubt: float, risk: float) -> float:
    """Error of a risk where the states, at every step, are off by a part of themselves."""
    moved = relative * math.sqrt(steps * quantities * doubt)
    return moved * (2 * math.sqrt(max(risk, 0.0)) + moved) + relative * steps * abs(risk)


def reach(problem: Problem, system: System, both: Moments) -> Array:
    """(n, m) u: what the new states are sums of, term by term, from the moments of states and gradients."""
    n = len(system.A)
    deviations = np.sqrt(np.maximum(diagonal(both.second), 0))
    for place, (row, earlier) in enumerate(zip(np.abs(system.C), np.abs(system.D), strict=True)):
        terms = row @ deviations[:n] + earlier @ deviations[n:]
        deviations[n + place] += problem.spectrum * terms
    return np.asarray(np.abs(np.hstack([system.A, system.B])) @ deviations)


def diagonal(second: Array) -> Array:
    """(n, m) second moments of each quantity in each eigendirection."""
    return np.einsum("aaii->ai" if second.ndim == 4 else "aai->ai", second).copy()


def raised(second: Array, by: Array) -> Array:
    """Second moments with (n, m) added to their diagonal."""
    found = second.copy()
    np.einsum("aaii->ai" if second.ndim == 4 else "aai->ai", found)[...] += by
    return found
