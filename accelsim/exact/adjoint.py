"""Exact risk after T steps by the adjoint, where gradient noise does not depend on the state.

With T_s the step s of the mean state in an eigendirection of eigenvalue lam, the row r_s = F T_{T-1} ... T_s is what a
state before step s weighs in the point returned after T steps. It is propagated backwards, r_s = r_{s+1} T_s, and the
risk is a sum of squares,

    (lam / 2) [ (r_0 . start)^2 + floor sum_s (r_{s+1} . B_s)^2 ],

in which nothing cancels but inside a row: a run that swells by a factor x on the way costs log10 x digits of a row, and
twice as many of second moments. A step costs k^2 operations a direction, not k^3.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit

from accelsim.exact.tables import System
from accelsim.problems import Uncoupled
from accelsim.spectra import Array

_LOOKED = 32  # steps after which rows are looked at


@dataclass(frozen=True)
class Swept:
    """The risk of what is returned after all steps.

    Attributes
    ----------
    bias, variance : (m,) shares of the eigendirections; the sum of all is the risk.
    overflow : the number of steps, counted from the last one, after which rows left the range of the arithmetic; None
        where they did not.
    """

    bias: Array
    variance: Array
    overflow: int | None

    @property
    def risk(self) -> float:
        """Excess risk after the last step."""
        return float((self.bias + self.variance).sum())


def swept(problem: Uncoupled, systems: System, mean: Array, steps: int) -> Swept:
    """The risk after some steps.

    Parameters
    ----------
    problem : with additive noise only.
    systems : with a first axis of the steps from 0 to `steps`, or of one that stands for all.
    mean : (n, m) states before the first step. It is computed in their precision: float64 compiled, others by NumPy.
    """
    lam = problem.spectrum.astype(mean.dtype)
    rows = np.ascontiguousarray(np.repeat(systems.F[-1, 0][:, None], mean.shape[1], axis=1), mean.dtype)
    propagate = _compiled if mean.dtype == np.float64 else _by_numpy
    begins = np.concatenate([[0], np.cumsum(systems.stages)])
    with np.errstate(over="ignore", invalid="ignore"):
        a, b, c, d = map(np.ascontiguousarray, systems[:4])
        noise, taken = propagate(lam, a, b, c, d, begins, rows, steps)
        bias, variance = lam / 2 * (rows * mean).sum(axis=0) ** 2, lam / 2 * problem.floor * noise
        finite = taken == steps and bool(np.isfinite(bias + variance).all())
    return Swept(bias, variance, None if finite else max(int(taken), 1))


def _by_numpy(
    lam: Array, a: Array, b: Array, c: Array, d: Array, begins: Array, rows: Array, steps: int
) -> tuple[Array, int]:
    """Propagate rows (n, m) in place to before the first step.

    Parameters
    ----------
    begins : of the gradients of each yield, and their number.

    Returns
    -------
    noise : (m,) sums of squares of what the noise of a yield weighs.
    taken : number of steps until rows were not finite, or all.
    """
    noise = np.zeros_like(lam)
    for taken in range(steps):
        t = min(steps - 1 - taken, len(a) - 1)
        gradients = b[t].T @ rows
        for j in range(len(gradients) - 2, -1, -1):
            gradients[j] += lam * (d[t, j + 1 :, j] @ gradients[j + 1 :])
        noise += sum(gradients[first:after].sum(axis=0) ** 2 for first, after in pairwise(begins))
        rows[:] = a[t].T @ rows + lam * (c[t].T @ gradients)
        if taken % _LOOKED == 0 and not np.isfinite(rows).all():
            return noise, taken + 1
    return noise, steps


@njit(nogil=True, cache=True, error_model="numpy")
def _compiled(
    lam: Array, a: Array, b: Array, c: Array, d: Array, begins: Array, rows: Array, steps: int
) -> tuple[Array, int]:
    """As `_by_numpy`, in loops over the eigendirections; products with zeros are left out."""
    n, m, count = rows.shape[0], rows.shape[1], b.shape[2]
    gradients, total = np.zeros((count, m)), np.zeros(m)
    before, noise = np.zeros((n, m)), np.zeros(m)
    for taken in range(steps):
        t = min(steps - 1 - taken, len(a) - 1)
        for j in range(count - 1, -1, -1):
            gradients[j] = 0.0
            for later in range(j + 1, count):
                if d[t, later, j] != 0:
                    for i in range(m):
                        gradients[j, i] += lam[i] * d[t, later, j] * gradients[later, i]
            for k in range(n):
                if b[t, k, j] != 0:
                    for i in range(m):
                        gradients[j, i] += b[t, k, j] * rows[k, i]
        for stage in range(len(begins) - 1):
            total[:] = 0.0
            for j in range(begins[stage], begins[stage + 1]):
                for i in range(m):
                    total[i] += gradients[j, i]
            for i in range(m):
                noise[i] += total[i] * total[i]
        for k in range(n):
            before[k] = 0.0
            for j in range(count):
                if c[t, j, k] != 0:
                    for i in range(m):
                        before[k, i] += c[t, j, k] * gradients[j, i]
            for i in range(m):
                before[k, i] *= lam[i]
            for after in range(n):
                if a[t, after, k] != 0:
                    for i in range(m):
                        before[k, i] += a[t, after, k] * rows[after, i]
        rows[:] = before
        if taken % _LOOKED == 0:
            size = 0.0
            for k in range(n):
                for i in range(m):
                    size += abs(rows[k, i])
            if not size < np.inf:
                return noise, taken + 1
    return noise, steps
