"""Compiled runs: kernels generated from the traced step, on all cores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim import machine, program
from accelsim.errors import InputError
from accelsim.optimizer import Optimizer
from accelsim.program import Node
from accelsim.simulation.joined import Step, joined
from accelsim.simulation.layout import Layout
from accelsim.simulation.numba_source import Writer
from accelsim.simulation.slots import Slots

_RISKS = """
import numpy as np


def kernel(z, first, stride, start, spectrum, per, lanes, across, risks):
    tiles = start.size // per if across else start.size // (per * lanes)
    for group in range(len(risks) // (lanes if across else 1)):
        for tile in range(tiles):
            row = z[(group * tiles + tile) * stride + first :]
            for k in range(per):
                for l in range(lanes):
                    place = tile * per + k if across else (tile * per + k) * lanes + l
                    error = np.float64(row[k * lanes + l] + start[place])
                    risks[group * lanes + l if across else group] += 0.5 * spectrum[place] * (error * error)
"""
_STRETCH = 2**12  # steps whose columns are computed at a time
_RANGE = 2**32  # of the whole numbers that chances are compared with


class Columns:
    """The numbers that come with each step, computed on the host as the rule on arrays computes them.

    Parameters
    ----------
    nodes : uniform nodes.
    """

    def __init__(self, optimizer: Optimizer, hyperparameters: Mapping[str, Any], nodes: list[Node], dtype: str) -> None:
        self._optimizer, self._hyperparameters, self._nodes = optimizer, hyperparameters, nodes
        self._dtype = dtype
        values = optimizer.resolve(**hyperparameters).values()
        leaves = program.reachable(nodes)
        self._constant = all(isinstance(v, Real) for v in values) and not any(n.op == "step" for n in leaves)
        self.seek(0)

    def seek(self, t: int) -> None:
        """Go on from step t."""
        self._rows = self._optimizer.rows(float, t, **self._hyperparameters)

    def take(self, steps: int) -> NDArray[Any]:
        """The next steps' columns, (steps, columns), or (1, columns) where they are the same at all steps."""
        if not self._nodes:
            return np.zeros((1, 0), self._dtype)
        found = [self._row(t, h) for t, h in islice(self._rows, 1 if self._constant else steps)]
        with np.errstate(over="ignore"):
            return np.array(found, dtype=np.float64).astype(self._dtype)

    def _row(self, t: int, h: Mapping[str, Any]) -> list[float]:
        def leaf(node: Node) -> Any:
            if node.op == "hyperparameter":
                return h[node.value]
            return t if node.op == "step" else node.value

        known: dict[int, Any] = {}
        try:
            return [float(program.evaluate(node, leaf, program.operate, known)) for node in self._nodes]
        except ArithmeticError as error:
            what = f"{type(error).__name__} at step {t}: {error}"
            raise InputError(f"rule {self._optimizer.name!r} raised {what}") from None


class Inputs:
    """The arrays that a kernel reads, beside the states."""

    def __init__(self, step: Step, layout: Layout, slots: Slots) -> None:
        self._step, self._layout, self._constants = step, layout, step.constants
        dtype = layout.dtype
        vectors = [self._vector(node) for node in slots.constants]
        self.constants = np.concatenate([v.ravel() for v in vectors] or [np.zeros(0)]).astype(dtype)
        self.tables = [np.ascontiguousarray(self._table(role, node)).ravel() for role, node in slots.tables]
        sizes = [layout.tiles, layout.blocks, layout.dim]
        self.wholes = np.array([*sizes, *(value for _, value in slots.wholes)], dtype=np.int64)

    def _array(self, node: Node) -> NDArray[Any]:
        if node.op == "transpose":
            return self._array(node.args[0]).T
        return np.asarray(self._constants[node.value])

    def _vector(self, node: Node) -> NDArray[Any]:
        values = self._array(node.args[0]) ** -0.5 if node.op == "three_point" else self._array(node)
        return self._layout.constant(values)

    def _table(self, role: str, node: Node) -> NDArray[Any]:
        if role in ("chance", "size"):
            chance = self._array(node.args[0] if node.kind == "vector" else node.args[0].args[0])
            values = np.ceil(chance * _RANGE).astype(np.int64) if role == "chance" else chance**-0.5
            return self._layout.constant(values) if node.kind == "vector" else values
        if role == "entries":
            return self._array(node)
        return self._layout.constant(self._array(node)).astype(self._layout.dtype)


@cache
def _kernel(text: str) -> Any:
    return machine.compiled(text, error_model="numpy")


class KernelRun:
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
        writer = Writer(step, self._layout, f"A step of {optimizer.name} on {problem.name}.")
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
            taken = min(steps, _STRETCH)
            self._take(self._columns.take(taken), taken)
            self._t += taken
            steps -= taken

    def _take(self, columns: NDArray[Any], steps: int) -> None:
        inputs, units = self._inputs, len(self._z) * (self._layout.tiles if self._alone else 1)

        def part(begin: int, end: int) -> None:
            flat = self._z.reshape(-1)
            numbers = (steps, self._t, self._first, *self._key, begin, end)
            self._kernel(flat, inputs.constants, columns, inputs.wholes, *numbers, *inputs.tables)

        threads = _threads()
        bounds = np.linspace(0, units, min(units, threads) + 1).astype(int).tolist()
        if len(bounds) == 2:
            part(*bounds)
            return
        list(_pool(threads).map(part, bounds[:-1], bounds[1:]))

    def risks(self) -> NDArray[np.float64]:
        row, layout = self._slots.rows[self._optimizer.returns], self._layout
        if self._problem.basis is not None:
            returned = layout.unpacked(self._z[:, :, row], self._count)
            with np.errstate(all="ignore"):
                risks = self._problem.risk(returned + self._problem.start.astype(layout.dtype))
            return np.asarray(risks, dtype=np.float64)
        risks = np.zeros(len(self._z) * layout.group)
        stride, first = len(self._slots.rows) * layout.width, row * layout.width
        shape = (layout.per, layout.lanes, layout.across)
        _kernel(_RISKS)(self._z.reshape(-1), first, stride, *self._measures, *shape, risks)
        return risks[: self._count]

    def save(self) -> dict[str, NDArray[Any]]:
        rows = [row for name, row in self._slots.rows.items() if isinstance(name, str)]
        return {"states": self._z[:, :, rows]}

    def load(self, saved: Mapping[str, NDArray[Any]], t: int) -> None:
        self._z[:, :, : saved["states"].shape[2]] = saved["states"]
        self._t = t
        self._columns.seek(t)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
