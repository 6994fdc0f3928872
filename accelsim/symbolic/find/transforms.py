"""Transforms of states between two rules, from reachability or observability matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from accelsim.symbolic.algebra.field import Field, divisors, elsewhere, shifted
from accelsim.symbolic.system.linear_part import LinearPart, left_behind


def transforms(
    a: LinearPart, b: LinearPart, at_t: Callable[[Any], Any] = lambda matrix: matrix
) -> list[tuple[bool, Any]]:
    """Intertwining transforms that fit the reachable spaces of two rules, or their observable quotients.

    Parameters
    ----------
    a, b : linear parts in the same symbols.
    at_t : function that writes values of functions of t near t in those at t, where one follows from the other.

    Returns
    -------
    list of (backward, T), those that divide by least first. T, a SymPy matrix (states of b, states of a), gives states
    of b from those of a; if `backward`, the other way round. Whether it intertwines all matrices is not checked.

    References
    ----------
    If a rule reaches all its states, or shows them all, there is only one T: Kalman 1963, doi:10.1137/0301010.
    """
    from sympy.polys.matrices import DomainMatrix

    size = max(len(part.tableau.states) for part in (a, b))
    sides = [[elsewhere(m) for m in part.matrices] for part in (a, b)]
    steps = (range(1 - size, size - 1), range(-size, 0), range(size))  # at which A, B and C are needed
    near = [{(i, s): at_t(shifted(side[i], s)) for i, some in enumerate(steps) for s in some} for side in sides]
    field_ = Field(entry for side in near for m in side.values() for entry in m)
    over = [{k: field_.matrix(m) for k, m in side.items()} for side in near]
    reach = [_reached(side, size) for side in over]
    show = [_shown(side, size) for side in over]
    if not left_behind(a) and not left_behind(b):
        import sympy

        for i, part in enumerate((a, b)):
            reach[i] = DomainMatrix.hstack(field_.matrix(sympy.Matrix(part.tableau.translation)), reach[i])
    found = []
    for backward, source, target in ((False, 0, 1), (True, 1, 0)):
        pivots = list(reach[source].rref()[1])
        every = range(reach[target].shape[0])
        if len(pivots) == reach[source].shape[0]:
            square = reach[source].extract(list(range(len(pivots))), pivots)
            found.append((backward, reach[target].extract(list(every), pivots) * square.inv()))
            continue
        pivots = list(show[target].transpose().rref()[1])
        if len(pivots) == len(every):
            square = show[target].extract(pivots, list(every))
            columns = list(range(show[source].shape[1]))
            found.append((backward, square.inv() * show[source].extract(pivots, columns)))
    plain = [(backward, _expressions(field_, matrix)) for backward, matrix in found]
    return sorted(plain, key=lambda f: (len(_divisors(f[1])), sum(entry.count_ops() for entry in f[1])))


def _reached(near: Mapping[Any, Any], size: int) -> Any:
    """Reachability matrix at t: columns are the responses of the state to gradients of ages 1, ..., size."""
    from sympy.polys.matrices import DomainMatrix

    columns = []
    for age in range(1, size + 1):
        column = near[1, -age]
        for step in range(-age + 1, 0):
            column = near[0, step] * column
        columns.append(column)
    return DomainMatrix.hstack(*columns)


def _shown(near: Mapping[Any, Any], size: int) -> Any:
    """Observability matrix at t: rows are the responses of the next `size` queries to the state."""
    from sympy.polys.matrices import DomainMatrix

    rows = []
    for ahead in range(size):
        row = near[2, ahead]
        for step in reversed(range(ahead)):
            row = row * near[0, step]
        rows.append(row)
    return DomainMatrix.vstack(*rows)


def _expressions(field_: Field, matrix: Any) -> Any:
    import sympy

    rows, columns = matrix.shape
    return sympy.Matrix(rows, columns, lambda i, j: field_.expression(matrix[i, j].element))


def _divisors(matrix: Any) -> set[Any]:
    return {d for entry in matrix for d in divisors(entry)}
