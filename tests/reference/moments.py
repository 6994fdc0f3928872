"""Second moments step by step, and the risk they give, with every digit kept.

Second moments are arrays (runs, d, x, x) for problems apart, (runs, x d, x d) for tables, x counting states and then
gradients. Each stage of a step appends the gradients drawn there, and the step ends with the new states.
"""

from dataclasses import dataclass

import numpy as np

from reference.inputs import Apart, read
from reference.numbers import Fixed, mp
from reference.rules import steps_of


class ApartMap:
    """One step on second moments (runs, d, x, x) of each eigendirection."""

    def __init__(self, law, noisy, numbers=Fixed):
        self.numbers = numbers
        self.lam = numbers.of(law.lam)[:, None, None]
        self.square = numbers.of(law.lam**2)[:, None, None]
        self.most = numbers.of(1 - mp.one / law.batch)[()]
        self.fourth = None if law.fourth is None else numbers.of(law.fourth / law.batch)
        self.floor = np.stack([numbers.of(law.floor * int(b)) for b in noisy])[..., None, None]

    def step(self, moments, step):
        of, times, dot = self.numbers.of, self.numbers.times, self.numbers.dot
        for queries in step.queries:
            points = of(queries)
            seen = dot(points, moments)  # (runs, d, points, x)
            second = dot(seen, points.T)
            across = times(seen, self.lam)
            drawn = times(second, self.square)
            if self.fourth is not None:
                runs, d, a, b = second.shape
                shared = dot(self.fourth, second.reshape(runs, d, a * b)).reshape(second.shape)
                drawn = times(drawn, self.most) + shared
            moments = np.block([[moments, across.swapaxes(-1, -2)], [across, drawn + self.floor]])
        update = of(step.update)
        return dot(dot(update, moments), update.T)


class TableMap:
    """One step on the second moments (runs, x d, x d) and means (runs, x d) of all directions together."""

    def __init__(self, law, noisy, numbers=Fixed):
        self.numbers, self.size = numbers, law.lam.size
        self.rows, self.lam = numbers.of(law.rows), numbers.of(law.lam)
        self.most = numbers.of(1 - mp.one / law.batch)[()]
        self.each = numbers.of(mp.one / len(law.rows) / law.batch)[()]
        self.residuals = np.stack([numbers.of(law.residuals * int(b)) for b in noisy])

    def apart(self, matrix):
        """A matrix on states as one on all their directions."""
        return np.kron(self.numbers.of(matrix), np.eye(self.size, dtype=int).astype(object)).astype(self.rows.dtype)

    def step(self, moments, mean, step):
        d, times, dot = self.size, self.numbers.times, self.numbers.dot
        for queries in step.queries:
            points = self.apart(queries)  # (points d, x d)
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
        update = self.apart(step.update)
        return dot(dot(update, moments), update.T), dot(mean, update.T)

    def _drawn(self, second, left, right):
        """E[g g'^T] of gradients at two query errors, from E[e e'^T] (runs, d, d) and their means (runs, d)."""
        times, dot = self.numbers.times, self.numbers.dot
        weights = times(dot(self.rows, second), self.rows).sum(axis=-1)  # (runs, N)
        weights = (
            weights - times(self.residuals, dot(left + right, self.rows.T)) + times(self.residuals, self.residuals)
        )
        of_rows = dot(self.rows.T, times(times(weights, self.each)[..., None], self.rows))
        return of_rows + times(times(times(second, self.lam[:, None]), self.lam), self.most)


@dataclass
class Risks:
    """Attributes: (steps + 1,) risk, bias and variance, in extended numbers."""

    risk: np.ndarray
    bias: np.ndarray
    variance: np.ndarray


def risks(rule, problem, steps, of="returned", numbers=Fixed, **given):
    """Exact risk of the returned iterate, or of the first point queried next, after 0, 1, ..., steps steps."""
    found = np.array(list(risks_of(rule, problem, steps, of, numbers, **given)), dtype=object)
    return Risks(*found.T)


def risks_of(rule, problem, steps, of="returned", numbers=Fixed, **given):
    """The same, step by step: (risk, bias, variance)."""
    law = read(problem)
    follow = _apart if isinstance(law, Apart) else _table
    return follow(law, steps_of(rule, given, steps), of, numbers)


def _seen(step, of):
    """(1, states) the functional whose risk is asked for."""
    return step.queries[0][:1] if of == "query" else step.answer


def _apart(law, steps, of, numbers):
    carry = ApartMap(law, [False, True], numbers)
    moments = None
    for step in steps:
        if moments is None:
            first = numbers.of(np.multiply.outer(law.start**2, np.outer(step.start, step.start)))
            moments = np.stack([first, 0 * first])
        row = numbers.of(_seen(step, of))
        second = numbers.dot(numbers.dot(row, moments), row.T)
        bias, variance = (numbers.number(total) / 2 for total in numbers.times(second, carry.lam).sum(axis=(1, 2, 3)))
        yield bias + variance, bias, variance
        moments = carry.step(moments, step)


def _table(law, steps, of, numbers):
    carry = TableMap(law, [False, True, True], numbers)
    moments = mean = None
    for step in steps:
        if moments is None:
            start = numbers.of(np.kron(step.start, law.start))
            mean = np.stack([start, 0 * start, start])
            moments = numbers.times(mean[:, :, None], mean[:, None, :])
        row = carry.apart(_seen(step, of))
        second = numbers.dot(numbers.dot(row, moments), row.T)
        along = numbers.times(np.diagonal(second, axis1=1, axis2=2), carry.lam).sum(axis=1)
        bias, variance, risk = (numbers.number(total) / 2 for total in along)
        yield risk, bias, variance
        moments, mean = carry.step(moments, mean, step)
