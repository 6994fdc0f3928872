"""The part of a rule that a run from a translated start reaches and that its queries and returned point see.

Without this a dead memory, or MARS's stored gradient, would bring eigenvalues that no run shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from accelsim.symbolic.tableau import Numeric, Tableau

Exact = np.ndarray[Any, np.dtype[np.object_]]


class Realization(NamedTuple):
    """Matrices of a step, as in `Numeric`, and the states (k,) of a run translated by one."""

    A: Exact
    B: Exact
    C: Exact
    D: Exact
    F: Exact
    translation: Exact


def minimal(tableau: Tableau, numeric: Numeric) -> Realization:
    """The matrices of a step, constant in time, on the reachable and observable part of the states.

    Parameters
    ----------
    numeric : matrices in fractions, so that ranks are exact (``tableau.rows(program.exact, ...)``).

    Returns
    -------
    Matrices in fractions, of the order r <= k of the minimal realisation.
    """
    a, b, c, d, f = numeric
    starts = np.array([tableau.translation, tableau.start], dtype=object) + Fraction(0)
    pivots, rows = _invariant(a.T, [*b.T, *starts])
    a, b, c, f = (a @ rows.T)[pivots], b[pivots], c @ rows.T, f @ rows.T
    one = starts[0][pivots]
    pivots, rows = _invariant(a, [*c, *f])
    return Realization((rows @ a)[:, pivots], rows @ b, c[:, pivots], d, f[:, pivots], rows @ one)


def _invariant(matrix: Exact, rows: Iterable[Exact]) -> tuple[list[int], Exact]:
    """The least space of rows that holds those given and is closed under ``row @ matrix``.

    Returns its reduced echelon basis and the pivots: in it, a row's coordinates are its entries at the pivots.
    """
    basis: dict[int, Exact] = {}
    pending = list(rows)
    while pending:
        row = pending.pop()
        for pivot, other in basis.items():
            row = row - row[pivot] * other
        place = next((i for i, entry in enumerate(row) if entry != 0), None)
        if place is None:
            continue
        row = row / row[place]
        basis = {pivot: other - other[place] * row for pivot, other in basis.items()} | {place: row}
        pending.append(row @ matrix)
    pivots = sorted(basis)
    empty = np.empty((0, len(matrix)), dtype=object)
    return pivots, np.array([basis[pivot] for pivot in pivots], dtype=object) if pivots else empty
