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

import copy
import math

import numpy as np

from accelsim.exact.tables import System
from accelsim.problems import Problem, Uncoupled
from accelsim.problems.dataset import Dataset
from accelsim.spectra import Array

UNIT = 2.0**-53
UNDERFLOW = 1e-300  # below, moments are no longer rounded in proportion to themselves
GIVEN = 4 * UNIT  # relative error of coefficients and of the problem's numbers, as floats
_MANY, _NEAR = 512, 0.01  # directions from which on those are one whose eigenvalues differ by less than that part
WANTED = 1e-6  # relative error of a risk that is good enough


def of_numbers(problem: Problem) -> float:
    """Relative error of a problem's numbers: those of a table come from singular values, which rounding moves alike."""
    if not isinstance(problem, Dataset):
        return GIVEN
    return GIVEN * math.sqrt(problem.spectrum.max() / problem.spectrum.min())


def of_start(problem: Problem, risk: float) -> float:
    """Error of a risk from that of a table's optimum, of which the run starts at a distance; none elsewhere."""
    if not isinstance(problem, Dataset):
        return 0.0
    moved = of_numbers(problem) * max(1.0, math.sqrt(max(risk, 0.0)))  # the target has variance 1
    return moved * (2 * math.sqrt(max(risk, 0.0)) + moved)


def of_sums(quantities: int) -> float:
    """Relative error of moments mapped by sums over so many quantities on both sides, per Q."""
    return 2 * (quantities + 3) * quantities * UNIT


def of_roots(quantities: int) -> float:
    """Relative error of a square root's rows in a step, by orthogonal transformations of so many columns."""
    return 8 * quantities * UNIT


def coherent(relative: float, quantities: int, steps: int, doubt: float, risk: float) -> float:
    """Error of a risk where the states, at every step, are off by a part of themselves."""
    moved = relative * math.sqrt(steps * quantities * abs(doubt))
    return moved * (2 * math.sqrt(max(risk, 0.0)) + moved) + relative * steps * abs(risk)


def reach(problem: Problem, system: System, squares: Array) -> Array:
    """(n, m) u: new states summed up term by term, from second moments (n + G, m) of the states and gradients."""
    n = len(system.A)
    deviations = np.sqrt(np.maximum(squares, 0))
    for place, (row, earlier) in enumerate(zip(np.abs(system.C), np.abs(system.D), strict=True)):
        deviations[n + place] += problem.spectrum * (row @ deviations[:n] + earlier @ deviations[n:])
    return np.asarray(np.abs(np.hstack([system.A, system.B])) @ deviations)


def grouped(problem: Uncoupled, second: Array) -> tuple[Uncoupled, Array]:
    """The problem and moments (n, n, m) with directions of nearly the same eigenvalue as one, where they are many."""
    lam = problem.spectrum
    if lam.size <= _MANY:
        return problem, second
    _, where = np.unique(np.floor(np.log(lam) / _NEAR), return_inverse=True)
    counts = np.bincount(where)
    middle = np.exp(np.bincount(where, np.log(lam)) / counts)

    def together(values: Array) -> Array:
        return np.asarray(np.bincount(where, values * lam / middle[where]), dtype=np.float64)

    def largest(values: Array) -> Array:
        found = np.full(middle.shape, -np.inf)
        np.maximum.at(found, where, values)
        return found

    case = copy.copy(problem)
    values = {
        "spectrum": middle,
        "own": largest(problem.own / lam**2) * middle**2,
        "left": together(problem.left),
        "right": largest(problem.right / lam) * middle,
        "floor": together(problem.floor),
    }
    for name, value in values.items():
        object.__setattr__(case, name, value)
    return case, np.apply_along_axis(together, 2, second)
