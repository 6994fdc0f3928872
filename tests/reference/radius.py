"""The spectral radius of second moments, by Gelfand's formula: log |L^m| / m at m = 2^k, by squaring L k times.

Nothing is solved for, so that double roots, poles and edges of stability are points like others. States that no start
and no gradient reaches, or that no query and no answer shows, are taken out first.
"""

import numpy as np

from reference.inputs import Apart, read
from reference.moments import ApartMap, TableMap
from reference.numbers import BITS, Fixed, mp
from reference.rules import Step, constant_step

ZERO = mp.mpf(10) ** -60  # of pivots: those of hyperparameters that are floats are 0, or far above
BITS_OF_POWERS = 360
CONSTANT = mp.mpf(200)  # log C + j log m of every map here is less
RELATIVE, ABSOLUTE = mp.mpf(2) ** -34, mp.mpf(2) ** -80


def gap(rule, problem, **given):
    """rho - 1 per step, to nine digits of itself, for a rule whose coefficients do not vary in time (else None)."""
    step = constant_step(rule, given)
    return None if step is None else gap_of(minimal(step), read(problem))


def gap_of(step, law):
    """rho - 1 of one step on the law of a problem's gradients."""
    return mp.expm1(_log_radius(matrix(unpulled(step), law)))


def _independent(rows):
    """Numbers of rows that are a basis of all, by elimination."""
    rest, found = [list(row) for row in rows], []
    for k in range(len(rest)):
        row = rest[k]
        place = max(range(len(row)), key=lambda i: abs(row[i]), default=None)
        if place is None or abs(row[place]) <= ZERO * max(abs(x) for x in [*rows[k], mp.mpf(ZERO)]):
            continue
        found.append(k)
        for other in rest[k + 1 :]:
            factor = other[place] / row[place]
            for i, value in enumerate(row):
                other[i] = mp.zero if i == place else other[i] - factor * value
    return found


def _span(start, a):
    """Rows that span start, start a, start a^2, ..."""
    rows = list(start)
    for _ in range(len(a)):
        rows = [rows[k] for k in _independent(rows)]
        more = [*rows, *(np.array(row, dtype=object) @ a for row in rows)]
        if len(_independent(more)) == len(rows):
            break
        rows = more
    return np.array([rows[k] for k in _independent(rows)], dtype=object).reshape(-1, len(a))


def minimal(step):
    """The step on what starts and gradients (and w*, if it pulls) reach and queries and the answer show."""
    n = step.states - step.pulled
    a, rest = step.update[:n, :n], step.update[:n, n:]
    reached = _span([step.start[:n], *rest.T], a.T).T  # (n, r)
    shown = _span([row[:n] for rows in (step.answer, *step.queries) for row in rows], a)  # (o, n)
    seen = shown @ reached
    kept = _independent(seen)
    columns = _independent(seen[kept].T)
    shown, reached = shown[kept], reached[:, columns]
    inverse = np.array(mp.inverse(mp.matrix((shown @ reached).tolist())).tolist(), dtype=object)
    into = reached @ inverse  # states of the smaller system to states

    def of(rows):
        return np.concatenate([rows[:, :n] @ into, rows[:, n:]], axis=1)

    update, start = shown @ step.update[:n], shown @ step.start[:n]
    if step.pulled:
        update, start = np.vstack([update, step.update[n:]]), np.append(start, step.start[n:])
    return Step([of(q) for q in step.queries], of(update), of(step.answer), start, step.pulled)


def unpulled(step):
    """The step without the state that is a constant."""
    if not step.pulled:
        return step
    n = step.states - 1
    queries = [np.delete(q, n, axis=1) for q in step.queries]
    update = np.delete(step.update[:n], n, axis=1)
    return Step(queries, update, step.answer[:, :n], step.start[:n])


def matrix(step, law, numbers=Fixed):
    """The map of second moments on the lower halves of symmetric matrices, in the numbers asked for."""
    n, d = step.states, law.lam.size
    size, blocks = (n, d) if isinstance(law, Apart) else (n * d, 1)
    pairs = lower(blocks, size)
    units = np.zeros((len(pairs), blocks, size, size), dtype=int).astype(object)
    for place, (i, j, k) in enumerate(pairs):
        units[place, i, j, k] = units[place, i, k, j] = numbers.one
    units = units.astype(numbers.of([mp.one]).dtype)
    quiet = [False] * len(pairs)
    if isinstance(law, Apart):
        images = ApartMap(law, quiet, numbers).step(units, step)
    else:
        images = TableMap(law, quiet, numbers).step(units[:, 0], 0 * units[:, 0, 0], step)[0][:, None]
    return np.array([[image[place] for image in images] for place in pairs])


def lower(blocks, size):
    """Places (block, row, column) of the lower halves of square blocks."""
    return [(i, j, k) for i in range(blocks) for j in range(size) for k in range(j + 1)]


def _log_radius(power):
    """log rho of a matrix of whole multiples of 2^-BITS."""
    shift, count = -BITS, 0  # power is the matrix's 2^count-th, over 2^shift
    while True:
        largest = max(abs(x) for x in power.reshape(-1))
        if not largest:
            return -mp.inf
        excess = largest.bit_length() - BITS_OF_POWERS
        power, shift = (power >> excess if excess > 0 else power << -excess), shift + excess
        estimate = mp.ldexp(mp.log(mp.ldexp(mp.mpf(largest), -excess)) + shift * mp.ln2, -count)
        # A power m is C m^j rho^m, so that the estimate is off by (log C + j log m) / m.
        if mp.ldexp(CONSTANT, -count) <= max(abs(estimate) * RELATIVE, ABSOLUTE):
            return estimate
        power, shift, count = power @ power, 2 * shift, count + 1
