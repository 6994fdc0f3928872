"""Second moments step by step, and the risk they give, with every digit kept.

Second moments are arrays (runs, d, x, x) for problems apart, (runs, x d, x d) for tables, x counting states and then
gradients. Each stage of a step appends the gradients drawn there, and the step ends with the new states.
"""

from dataclasses import dataclass

import numpy as np

from reference.inputs import Apart, read, share
from reference.numbers import BITS, dot, extended, fixed, mp, times
from reference.rules import steps_of


class ApartMap:
    """One step on second moments (runs, d, x, x) of each eigendirection."""

    def __init__(self, law, noisy):
        self.lam = fixed(law.lam)[:, None, None]
        self.square = fixed(law.lam**2)[:, None, None]
        self.few, self.most = share(law.batch)
        self.fourth = None if law.fourth is None else fixed(law.fourth / law.batch)
        self.floor = np.multiply.outer(np.array([int(b) for b in noisy], dtype=object), fixed(law.floor))

    def step(self, moments, step):
        for queries in step.queries:
            points = fixed(queries)
            seen = dot(points, moments)  # (runs, d, points, x)
            second = dot(seen, points.T)
            across = times(seen, self.lam)
            drawn = times(second, self.square)
            if self.fourth is not None:
                runs, d, a, b = second.shape
                shared = dot(self.fourth, second.reshape(runs, d, a * b)).reshape(second.shape)
                drawn = times(drawn, self.most) + shared
            drawn = drawn + self.floor[..., None, None]
            moments = np.block([[moments, across.swapaxes(-1, -2)], [across, drawn]])
        update = fixed(step.update)
        return dot(dot(update, moments), update.T)


class TableMap:
    """One step on the second moments (runs, x d, x d) and means (runs, x d) of all directions together."""

    def __init__(self, law, noisy):
        self.rows, self.size = fixed(law.rows), law.lam.size
        self.lam = fixed(law.lam)
        self.few, self.most = share(law.batch)
        self.each = fixed(mp.one / len(law.rows) / law.batch)[()]
        self.residuals = np.multiply.outer(np.array([int(b) for b in noisy], dtype=object), fixed(law.residuals))
        self.eye = np.eye(self.size, dtype=int).astype(object)

    def step(self, moments, mean, step):
        d = self.size
        for queries in step.queries:
            points = np.kron(fixed(queries), self.eye)  # (points d, x d)
            lam = np.tile(self.lam, len(queries))
            seen, at = dot(points, moments), dot(mean, points.T)
            across = times(seen, lam[:, None])
            second = dot(seen, points.T)
            drawn = np.zeros_like(second)
            for a in range(len(queries)):
                for b in range(len(queries)):
                    block = np.s_[:, a * d : (a + 1) * d, b * d : (b + 1) * d]
                    drawn[block] = self._drawn(second[block], at[:, a * d : (a + 1) * d], at[:, b * d : (b + 1) * d])
            moments = np.block([[moments, across.swapaxes(-1, -2)], [across, drawn]])
            mean = np.concatenate([mean, times(at, lam)], axis=-1)
        update = np.kron(fixed(step.update), self.eye)
        return dot(dot(update, moments), update.T), dot(mean, update.T)

    def _drawn(self, second, left, right):
        """E[g g'^T] of gradients at two query errors, from E[e e'^T] (runs, d, d) and their means (runs, d)."""
        along = dot(self.rows, second)  # (runs, N, d)
        weights = times(along, self.rows).sum(axis=-1)
        weights = weights - times(self.residuals, dot(left + right, self.rows.T)) + times(self.residuals, self.residuals)
        of_rows = dot(self.rows.T, times(weights, self.each)[..., None] * self.rows >> BITS)
        return of_rows + times(times(times(second, self.lam[:, None]), self.lam), self.most)


@dataclass
class Risks:
    """Attributes: (steps + 1,) risk, bias and variance, in extended numbers."""

    risk: np.ndarray
    bias: np.ndarray
    variance: np.ndarray


def risks(rule, problem, steps, of="returned", **given):
    """Exact risk of the returned iterate, or of the first point queried next, after 0, 1, ..., steps steps."""
    law = read(problem)
    follow = _apart if isinstance(law, Apart) else _table
    found = np.array(list(follow(law, steps_of(rule, given, steps), of)), dtype=object)
    return Risks(*found.T)


def _seen(step, of):
    """(states,) the functional whose risk is asked for."""
    if of == "query":
        return fixed(step.queries[0][:1])
    row = np.array([0] * step.states, dtype=object)
    row[step.returned] = 1 << BITS
    return row[None, :]


def _apart(law, steps, of):
    lam = fixed(law.lam)
    moments = carry = None
    for step in steps:
        if moments is None:
            carry = ApartMap(law, [False, True])
            first = fixed(np.multiply.outer(law.start**2, np.outer(step.start, step.start)))
            moments = np.stack([first, 0 * first])
        row = _seen(step, of)
        bias, variance = (dot(dot(row, moments), row.T)[..., 0, 0] * lam).sum(axis=-1)
        bias, variance = extended(bias, 2 * BITS) / 2, extended(variance, 2 * BITS) / 2
        yield bias + variance, bias, variance
        moments = carry.step(moments, step)


def _table(law, steps, of):
    lam = fixed(law.lam)
    moments = mean = carry = None
    for step in steps:
        if moments is None:
            carry = TableMap(law, [False, True, True])
            start = fixed(np.kron(step.start, law.start))
            zero = 0 * start
            mean = np.stack([start, zero, start])
            moments = mean[:, :, None] * mean[:, None, :] >> BITS
        row = np.kron(_seen(step, of), carry.eye)
        second = dot(dot(row, moments), row.T)
        bias, variance, risk = (extended((np.diag(s) * lam).sum(), 2 * BITS) / 2 for s in second)
        yield risk, bias, variance
        moments, mean = carry.step(moments, mean, step)
