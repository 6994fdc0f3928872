"""Compiled runs: kernels generated from the traced step, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim import machine
from accelsim.rule import Optimizer
from accelsim.simulation.inputs import STRETCH, Columns, Inputs
from accelsim.simulation.joined import joined
from accelsim.simulation.layout import Layout
from accelsim.simulation.numba_source import Writer

_RISKS = """
import numpy as np


def kernel(z, first, stride, start, spectrum, tiles, per, lanes, across, risks, begin, end):
    sums = np.empty(lanes)
    for group in range(begin, end):
        for l in range(lanes):
            sums[l] = 0.0
        for tile in range(tiles):
            for k in range(per):
                place = (group * tiles + tile) * stride + first + k * lanes
                row = z[place : place + lanes]
                if across:
                    shift, weight = start[tile * per + k], spectrum[tile * per + k]
                    if weight > 0:  # else no coordinate, and whatever the rule makes of none
                        for l in range(lanes):
                            error = np.float64(row[l] + shift)
                            sums[l] += weight * (error * error)
                else:
                    place = (tile * per + k) * lanes
                    shifts, weights = start[place : place + lanes], spectrum[place : place + lanes]
                    for l in range(lanes):
                        error = np.float64(row[l] + shifts[l])
                        sums[l] += weights[l] * (error * error) if weights[l] > 0 else 0.0
        if across:
            for l in range(lanes):
                risks[group * lanes + l] = 0.5 * sums[l]
        else:
            for l in range(lanes):
                risks[group] += 0.5 * sums[l]
"""


@cache
def _kernel(text: str) -> Any:
    return machine.compiled(text, error_model="numpy")


class NumbaRun:
    """Replicas ``first`` to ``first + count - 1``, run by compiled code; see `engine.Run`."""

    def __init__(
        self,
        optimizer: Optimizer,
        problem: Any,
        hyperparameters: Mapping[str, Any],
        first: int,
        count: int,
        seed: int,
        dtype: str,
    ) -> None:
        self._optimizer, self._problem, self._count = optimizer, problem, count
        step = joined(optimizer, problem, optimizer.resolve(**hyperparameters))
        self._layout = Layout(problem.dim, dtype)
        writer = Writer(step, self._layout)
        self._kernel, self._slots = _kernel(writer.source), writer.slots
        self._alone = writer.schedule.alone
        self._inputs = Inputs(step, self._layout, writer.slots)
        self._columns = Columns(optimizer, hyperparameters, list(writer.slots.columns), dtype)
        self._first, self._key = first, (np.uint64(seed & (2**32 - 1)), np.uint64(seed >> 32))
        self._t = 0
        self._measures = self._measured()
        self._z = self._initial()

    def _measured(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Initial error and spectrum by place in a tile, where the coordinates are the eigendirections."""
        if self._problem.basis is not None:
            return np.zeros(0), np.zeros(0)
        start, spectrum = (self._layout.constant(v).ravel() for v in (self._problem.start, self._problem.spectrum))
        return start.astype(self._layout.dtype), spectrum

    def _initial(self) -> NDArray[Any]:
        layout = self._layout
        groups = -(-self._count // layout.group)
        z = np.zeros((groups, layout.tiles, len(self._slots.rows), layout.per, layout.lanes), layout.dtype)
        start = self._optimizer.start(np.zeros(1))
        for name, row in self._slots.rows.items():
            if isinstance(name, str):
                z[:, :, row] = start[name][0]
        return z

    def advance(self, steps: int) -> None:
        while steps:
            taken = min(steps, STRETCH)
            self._take(self._columns.take(taken), taken)
            self._t += taken
            steps -= taken

    def _take(self, columns: NDArray[Any], steps: int) -> None:
        inputs, units = self._inputs, len(self._z) * (self._layout.tiles if self._alone else 1)

        def part(begin: int, end: int) -> None:
            flat = self._z.reshape(-1)
            numbers = (steps, self._t, self._first, *self._key, begin, end)
            self._kernel(flat, inputs.constants, columns, inputs.wholes, *numbers, *inputs.tables)

        _on_all_cores(part, units)

    def risks(self) -> NDArray[np.float64]:
        row, layout = self._slots.rows[self._optimizer.returns], self._layout
        if self._problem.basis is not None:
            returned = layout.unpacked(self._z[:, :, row], self._count)
            with np.errstate(all="ignore"):
                errors = returned + self._problem.start.astype(layout.dtype)
                return np.asarray(self._problem.risk(errors.astype(np.float64)))
        risks = np.zeros(len(self._z) * layout.group)
        stride, first = len(self._slots.rows) * layout.width, row * layout.width
        shape = (layout.tiles, layout.per, layout.lanes, layout.across)
        arguments = (self._z.reshape(-1), first, stride, *self._measures, *shape, risks)
        _on_all_cores(lambda begin, end: _kernel(_RISKS)(*arguments, begin, end), len(self._z))
        return risks[: self._count]

    def save(self) -> dict[str, NDArray[Any]]:
        rows = [row for name, row in self._slots.rows.items() if isinstance(name, str)]
        return {"states": self._z[:, :, rows]}

    def load(self, saved: Mapping[str, NDArray[Any]], t: int) -> None:
        self._z[:, :, : saved["states"].shape[2]] = saved["states"]
        self._t = t
        self._columns.seek(t)


def _on_all_cores(part: Callable[[int, int], None], units: int) -> None:
    """Do work on units `begin` to `end - 1`, a part on each core."""
    threads = min(units, _threads())
    if threads == 1:
        part(0, units)
        return
    bounds = [units * thread // threads for thread in range(threads + 1)]
    list(_pool(threads).map(part, bounds[:-1], bounds[1:]))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads are left behind, and would be waited for


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
