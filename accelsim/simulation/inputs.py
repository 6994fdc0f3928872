"""Inputs of a kernel from the host: the numbers of each step, and the arrays of the problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim import program
from accelsim.elementary import FUNCTIONS, OPERATORS
from accelsim.errors import InputError
from accelsim.program import Node
from accelsim.rule import Optimizer
from accelsim.simulation.joined import Step
from accelsim.simulation.layout import Blocks, Layout
from accelsim.simulation.normals import WORD
from accelsim.simulation.slots import Slots

STRETCH = 2**12  # steps whose columns are computed at a time


class Columns:
    """The numbers that come with each step, computed on the host as the rule on arrays computes them.

    Parameters
    ----------
    nodes : uniform nodes.
    """

    def __init__(self, optimizer: Optimizer, hyperparameters: Mapping[str, Any], nodes: list[Node], dtype: str) -> None:
        self._optimizer, self._hyperparameters, self._dtype = optimizer, hyperparameters, dtype
        self._count, self._row = len(nodes), _function(nodes)
        values = optimizer.resolve(**hyperparameters).values()
        self._constant = all(isinstance(v, Real) for v in values) and not any(
            node.op in ("step", "state") for node in program.reachable(nodes)
        )
        self.seek(0)

    def seek(self, t: int) -> None:
        """Go on from step t."""
        self._rows = self._optimizer.rows(float, t, **self._hyperparameters)

    def take(self, steps: int) -> NDArray[Any]:
        """The next steps' columns, (steps, columns), or (1, columns) where they are the same at all steps."""
        if not self._count:
            return np.zeros((1, 0), self._dtype)
        found = []
        for t, h in islice(self._rows, 1 if self._constant else steps):
            try:
                found.append(self._row(t, h))
            except TypeError:
                what = "took a root of a negative number: that is not real"
                raise InputError(f"rule {self._optimizer.name!r} {what}") from None
            except (ArithmeticError, ValueError) as error:
                what = f"{type(error).__name__} at step {t}: {error}"
                raise InputError(f"rule {self._optimizer.name!r} raised {what}") from None
        with np.errstate(over="ignore"):
            return np.array(found, dtype=np.float64).astype(self._dtype)


def _function(nodes: list[Node]) -> Callable[[int, Mapping[str, Any]], tuple[float, ...]]:
    """The nodes' values at a step, as a function of t and its row (see `Optimizer.rows`): one line of Python a node."""
    known: dict[str, Any] = dict(OPERATORS) | FUNCTIONS
    lines = ["def row(t, h):"]
    for node in program.reachable(nodes):
        args = ", ".join(f"v{arg.index}" for arg in node.args)
        given = f"h[{node.value!r}]"
        leaf = {"step": "t", "hyperparameter": given, "state": given, "const": f"c{node.index}"}
        lines.append(f"    v{node.index} = {leaf.get(node.op) or f'{node.op}({args})'}")
        known[f"c{node.index}"] = node.value
    lines.append(f"    return ({''.join(f'float(v{node.index}), ' for node in nodes)})")
    exec("\n".join(lines), known)
    function: Callable[[int, Mapping[str, Any]], tuple[float, ...]] = known["row"]
    return function


class Inputs:
    """The arrays that a kernel reads, beside the states."""

    def __init__(self, step: Step, layout: Layout | Blocks, slots: Slots) -> None:
        self._step, self._layout, self._constants = step, layout, step.constants
        dtype = layout.dtype
        vectors = [self._vector(node) for node in slots.constants]
        self.constants = np.concatenate([v.ravel() for v in vectors] or [np.zeros(0)]).astype(dtype)
        self.tables = [np.ascontiguousarray(self._table(role, node)).ravel() for role, node in slots.tables]
        sizes = [layout.tiles, layout.blocks, layout.dim]
        most = WORD // layout.blocks
        if any(what == "batch" and value > most for what, value in slots.wholes):
            raise InputError(f"a batch in {layout.dim} dimensions must have at most {most} samples")
        self.wholes = np.array([*sizes, *(value for _, value in slots.wholes)], dtype=np.int64)

    def _array(self, node: Node) -> NDArray[Any]:
        if node.op == "transpose":
            return self._array(node.args[0]).T
        return np.asarray(self._constants[node.value])

    def _vector(self, node: Node) -> NDArray[Any]:
        values = 1 / np.sqrt(self._array(node.args[0])) if node.op == "three_point" else self._array(node)
        return self._layout.constant(values)

    def _table(self, role: str, node: Node) -> NDArray[Any]:
        if role in ("chance", "size"):
            chance = self._array(node.args[0] if node.kind == "vector" else node.args[0].args[0])
            values = np.ceil(chance * WORD).astype(np.int64) if role == "chance" else 1 / np.sqrt(chance)
            return self._layout.constant(values) if node.kind == "vector" else values
        if role == "entries":
            return self._array(node).astype(np.float64)
        return self._layout.constant(self._array(node)).astype(self._layout.dtype)
