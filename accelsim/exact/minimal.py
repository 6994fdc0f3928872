"""The part of a rule that a run from a translated start reaches and that its queries and returned point see.

Without this a dead memory, or MARS's stored gradient, would bring eigenvalues that no run shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from accelsim.exact.linear import linear_tableau
from accelsim.rule import Optimizer
from accelsim.symbolic.system.tableau import Numeric, Tableau

Exact = np.ndarray[Any, np.dtype[np.object_]]


class Realization(NamedTuple):
    """Matrices of a step, as in `Numeric`, and the states (k,) of a run translated by one."""

    A: Exact
    B: Exact
    C: Exact
    D: Exact
    F: Exact
    translation: Exact


def pruned_tableau(optimizer: Optimizer, /, **hyperparameters: Any) -> Tableau:
    """A linear rule's tableau without states that are always zero, or that no query and no returned point ever feels.

    Seen from which entries there are alone, so for any schedules; `minimal` also sees what cancels.

    Raises
    ------
    InputError
        If the rule is not linear.
    """
    tableau = linear_tableau(optimizer, **hyperparameters)
    reached = {i for i, state in enumerate(zip(tableau.translation, tableau.start, strict=True)) if any(state)}
    reached = _closed(reached | {row for row, _ in tableau.b}, [(j, i) for i, j in tableau.a])
    felt = _closed({column for _, column in [*tableau.c, *tableau.f]}, list(tableau.a))
    kept = {old: new for new, old in enumerate(sorted(reached & felt))}
    return replace(
        tableau,
        states=tuple(tableau.states[i] for i in kept),
        a={(kept[i], kept[j]): node for (i, j), node in tableau.a.items() if i in kept and j in kept},
        b={(kept[i], j): node for (i, j), node in tableau.b.items() if i in kept},
        c={(i, kept[j]): node for (i, j), node in tableau.c.items() if j in kept},
        f={(i, kept[j]): node for (i, j), node in tableau.f.items() if j in kept},
    )


def _closed(places: set[int], steps: list[tuple[int, int]]) -> set[int]:
    """Places with all that steps (from, to) lead to from them."""
    while more := {to for start, to in steps if start in places} - places:
        places = places | more
    return places


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


def merged(numeric: Numeric, stages: tuple[int, ...]) -> tuple[Numeric, tuple[int, ...], tuple[bool, ...]]:
    """Queries of one sample that a step takes in one combination only, as that combination: exact MARS has one query.

    The gradient is affine in the query, so that a combination of gradients is the gradient at the combined query where
    the weights sum to 1. Where they sum to 0, noise that stays at the optimum cancels.

    Returns
    -------
    Matrices in fractions, the number of gradients of each yield, and for each gradient whether it has lasting noise.
    """
    a, b, c, d, f = numeric
    mixes: list[Exact] = []
    columns: list[Exact] = []
    counts: list[int] = []
    lasting: list[bool] = []
    for end, count in zip(np.cumsum(stages), stages, strict=True):
        queries = np.eye(len(c), dtype=int)[end - count : end] + Fraction(0)
        effect = np.vstack([b, d])[:, end - count : end]
        pivots, rows = _invariant(np.zeros((count, count), dtype=int), effect)
        if count == 1 or len(pivots) > 1:
            mixes, columns, lasting = [*mixes, queries], [*columns, effect], [*lasting, *[True] * count]
        else:
            weights = rows[0] if pivots else queries[0, end - count : end]
            scale = sum(weights) or 1
            mixes.append((weights / scale)[None] @ queries)
            columns.append(effect[:, pivots or [0]] * scale)
            lasting.append(bool(sum(weights)))
        counts.append(len(mixes[-1]))
    mix, effects = np.vstack(mixes), np.hstack(columns)
    return Numeric(a, effects[: len(a)], mix @ c, mix @ effects[len(a) :], f), tuple(counts), tuple(lasting)


def balanced(found: Realization) -> Realization:
    """Realization in one position and, beside it, distances from it, in units of a gradient's effect.

    Positions that a rule keeps apart by large coefficients that cancel would leave no digits to eigenvalues.
    """
    one, k = found.translation, len(found.translation)
    into, back = np.eye(k, dtype=int) + Fraction(0), np.eye(k, dtype=int) + Fraction(0)
    first = next((i for i, share in enumerate(one) if share), None)
    if first is not None:
        into[:, first] -= one / one[first]
        into[first, first] = 1 / one[first]
        back[:, first] = one
    unit = np.array([max(map(abs, row)) or Fraction(1) for row in into @ found.B])
    if first is not None:
        unit[first] = Fraction(1)
    into, back = into / unit[:, None], back * unit
    return Realization(
        into @ found.A @ back, into @ found.B, found.C @ back, found.D, found.F @ back, into @ found.translation
    )


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
