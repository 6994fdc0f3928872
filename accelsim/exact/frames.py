"""States seen from the query point: the rule of one memory then has the few coefficients of its canonical form.

The coordinates are the error of the step's first query, the other positions' distances from the first one, and the
memories. A translation moves the query alone, and by as much, so the change of coordinates has determinant 1.
"""

from __future__ import annotations

import numpy as np

from accelsim.exact.tables import System
from accelsim.spectra import Array


def frame(query: Array, translation: tuple[int, ...]) -> Array:
    """The coordinates (..., n, n) as rows over the states, from the first query's row (..., n)."""
    n = len(translation)
    seen = np.eye(n) - np.outer(translation, np.eye(n)[0])
    seen = np.broadcast_to(seen, (*query.shape, n)).copy()
    seen[..., 0, :] = query
    return seen


def framed(systems: System, translation: tuple[int, ...]) -> System:
    """Systems of an equivariant rule, without the row of w*, one after another, in these coordinates.

    The last one is not whole: its new states are in the coordinates of a step that is not there.
    """
    seen = frame(systems.C[:, 0], translation)
    back = np.linalg.inv(seen)
    ahead = np.concatenate([seen[1:], seen[-1:]])
    a, c, f = ahead @ systems.A @ back, systems.C @ back, systems.F @ back
    first = np.eye(len(translation))[0]
    a[:, :, 0], c[:, 0], c[:, :, 0], f[:, :, 0] = first, first, 1, 1  # what they are but for rounding
    return System(a, ahead @ systems.B, c, systems.D, f, systems.stages)


def framed_structure(rows: System, translation: tuple[int, ...]) -> System:
    """Of a system with NaN for what may be any number, the same in these coordinates.

    Found by two draws of those numbers: what both agree on does not depend on them.
    """
    chance = np.random.default_rng(0)

    def drawn(matrix: Array) -> Array:
        return np.where(np.isnan(matrix), chance.uniform(1, 2, (2, *matrix.shape)), matrix)

    one, other = (framed(rows.each(drawn), translation).at(0) for _ in range(2))

    def agreed(a: Array, b: Array) -> Array:
        whole = np.round(a)
        return np.where((np.abs(a - b) < 1e-9) & (np.abs(a - whole) < 1e-9) & (np.abs(whole) <= 1), whole, np.nan)

    return one.each(agreed, other)
