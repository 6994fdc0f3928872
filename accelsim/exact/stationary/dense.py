"""The rate by dense eigenvalues of the map of second moments: for small problems, whatever couples what."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from accelsim.errors import InputError
from accelsim.exact import moments
from accelsim.exact.stationary.bounds import CoupledJudge
from accelsim.exact.tables import Moments, System, mapped_pair
from accelsim.problems import Problem
from accelsim.problems.dataset import Dataset
from accelsim.spectra import Array

LARGEST = 2000  # unknowns: dense eigenvalues of that many take about half a minute


class Dense:
    """A rule with constant coefficients on any problem.

    Parameters
    ----------
    system : minimal realisation, in floats.
    step : A - I.

    Raises
    ------
    InputError
        If there are more unknowns than `LARGEST`.
    """

    def __init__(self, system: System, step: Array, problem: Problem) -> None:
        self.system, self.problem = system, problem
        self.places, self.change = increments(problem, system, step)
        self.judge = CoupledJudge(system, step, problem, self.solved) if isinstance(problem, Dataset) else None

    def gap(self) -> float:
        """rho - 1, from the increments of the moments: near rho = 1 that keeps the digits of the time constant."""
        return float(np.linalg.eigvals(self.change).real.max())

    def solved(self, mu: float, forcing: Array) -> Array:
        """X with (1 + mu) X - L(X) = forcing, moments in the shape of the problem's."""
        rows, mirrored = self._rows
        found = np.zeros_like(forcing)
        maps = mu * np.eye(len(self.change)) - self.change
        found[rows] = found[mirrored] = np.linalg.solve(maps, forcing[rows])
        return found

    @property
    def _rows(self) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        rows, mirrored = (tuple(np.array(half).T) for half in zip(*self.places, strict=True))
        return rows, mirrored


Place = tuple[int, ...]


def increments(problem: Problem, system: System, step: Array) -> tuple[list[tuple[Place, Place]], Array]:
    """Map of second moments to their change in a step, without lasting noise, as a dense matrix.

    Returns
    -------
    places : of the unknowns in the moments, each with its mirror image.
    change : (unknowns, unknowns).

    Raises
    ------
    InputError
        For more than `LARGEST` unknowns.
    """
    k, m = len(step), problem.spectrum.size
    unknowns = k * m * (k * m + 1) // 2 if problem.coupled else k * (k + 1) // 2 * m
    if unknowns > LARGEST:
        raise InputError(
            f"the rate here needs eigenvalues of a {unknowns} x {unknowns} matrix, more than {LARGEST}: "
            "take a problem of smaller dimension, or use risk"
        )
    places = list(_places(k, m, problem.coupled))
    shape = (k, k, m, m) if problem.coupled else (k, k, m)
    rows = tuple(np.array([place for place, _ in places]).T)
    columns = np.empty((len(places), len(places)))
    selected = np.eye(k, k + system.B.shape[1])
    change = np.hstack([step, system.B])
    for column, pair in enumerate(places):
        second = np.zeros(shape)
        for place in pair:
            second[place] = 1
        z = moments.with_gradients(problem, system, Moments(second, np.zeros((k, m))), False)
        once = mapped_pair(change, z.second, selected)
        back = mapped_pair(selected, z.second, change)
        columns[:, column] = (once + back + mapped_pair(change, z.second, change))[rows]
    return places, columns


def _places(k: int, m: int, coupled: bool) -> Iterator[tuple[Place, Place]]:
    """The places of a symmetric array of moments that hold its unknowns, each with its mirror image."""
    if not coupled:
        yield from (((a, b, i), (b, a, i)) for a in range(k) for b in range(a, k) for i in range(m))
        return
    for one in range(k * m):
        for other in range(one, k * m):
            a, i, b, j = *divmod(one, m), *divmod(other, m)
            yield (a, b, i, j), (b, a, j, i)
