"""Runs on a GPU: kernels generated from the traced step, compiled by CUDA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.rule import Optimizer
from accelsim.simulation.cuda_source import TEAM, CudaWriter
from accelsim.simulation.inputs import STRETCH, Columns, Inputs
from accelsim.simulation.joined import joined
from accelsim.simulation.layout import Blocks

_THREADS = 128  # a block, where each thread goes its own way


@dataclass(frozen=True)
class Device:
    """CUDA as a run uses it.

    Attributes
    ----------
    xp : the array module.
    host : turns an array of the module into a NumPy array.
    compiled : ``compiled(source)(blocks, threads, arguments)`` runs the kernel of a source.
    """

    xp: Any
    host: Callable[[Any], NDArray[Any]]
    compiled: Callable[[str], Callable[[int, int, tuple[Any, ...]], None]]


class CudaRun:
    """Replicas ``first`` to ``first + count - 1``, run by a CUDA kernel; see `engine.Run`."""

    def __init__(
        self,
        optimizer: Optimizer,
        problem: Any,
        hyperparameters: Mapping[str, Any],
        first: int,
        count: int,
        seed: int,
        dtype: str,
        *,
        device: Device,
    ) -> None:
        self._optimizer, self._problem, self._device, self._count = optimizer, problem, device, count
        step = joined(optimizer, problem, optimizer.resolve(**hyperparameters))
        writer = CudaWriter(step, dtype)
        self._kernel, self._slots = device.compiled(writer.source), writer.slots
        layout = Blocks(problem.dim, dtype)
        inputs = Inputs(step, layout, writer.slots)
        xp = device.xp
        self._constants, self._wholes = xp.asarray(inputs.constants), xp.asarray(inputs.wholes)
        self._tables = [xp.asarray(table) for table in inputs.tables]
        sizes = [len(t) for t, (role, _) in zip(inputs.tables, writer.slots.tables, strict=True) if role == "entries"]
        self._sizes = [np.int64(size) for size in sizes]
        self._columns = Columns(optimizer, hyperparameters, list(writer.slots.columns), dtype)
        self._numbers = (np.uint32(first), np.int32(count), np.uint32(seed & (2**32 - 1)), np.uint32(seed >> 32))
        self._grid = self._launch(count, layout.blocks, writer.schedule.alone)
        self._t = 0
        start = optimizer.start(np.zeros(1))
        self._z = xp.zeros((len(writer.slots.rows), count, layout.tiles * layout.per), dtype)
        for name, row in writer.slots.rows.items():
            if isinstance(name, str):
                self._z[row] = float(start[name][0])
        self._start = xp.asarray(problem.start, dtype)

    @staticmethod
    def _launch(count: int, blocks: int, alone: bool) -> tuple[int, int]:
        if alone:
            return -(-count * blocks // _THREADS), _THREADS
        return count, min(TEAM, -(-blocks // 32) * 32)

    def advance(self, steps: int) -> None:
        while steps:
            taken = min(steps, STRETCH)
            columns = self._device.xp.asarray(self._columns.take(taken))
            first, count, *key = self._numbers
            numbers = (np.int32(len(columns)), self._wholes, np.int32(taken), np.uint32(self._t), first, count, *key)
            arguments = (self._z, self._constants, columns, *numbers, *self._tables, *self._sizes)
            self._kernel(*self._grid, arguments)
            self._t += taken
            steps -= taken

    def risks(self) -> NDArray[np.float64]:
        row = self._slots.rows[self._optimizer.returns]
        with np.errstate(all="ignore"):
            errors = self._z[row, :, : self._problem.dim] + self._start
            risks = self._problem.risk(errors.astype(np.float64))
        return np.asarray(self._device.host(risks), dtype=np.float64)

    def save(self) -> dict[str, NDArray[Any]]:
        rows = [row for name, row in self._slots.rows.items() if isinstance(name, str)]
        return {"states": self._device.host(self._z[: len(rows)])}

    def load(self, saved: Mapping[str, NDArray[Any]], t: int) -> None:
        self._z[: len(saved["states"])] = self._device.xp.asarray(saved["states"])
        self._t = t
        self._columns.seek(t)
