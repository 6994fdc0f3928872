"""Numbered slots that a kernel reads and writes, whatever language it is written in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from accelsim.program import Node, reachable
from accelsim.simulation.expressions import literal
from accelsim.simulation.joined import Random
from accelsim.simulation.sweeps import Schedule

_SHORT = 12  # operations of an expression that is printed


class Slots:
    """Slots by number: everything that a kernel reads and writes.

    Attributes
    ----------
    rows : names of the states, then vectors that are kept: what a tile holds.
    constants : vectors of the problem, and the three-point variables whose magnitudes are such.
    tables : other arrays, by role and node: ``entries`` picked or searched, ``rows`` picked, a ``matrix`` that is
        multiplied by, a three-point variable's ``chance`` and ``size``.
    wholes : whole numbers: degrees of freedom, ranges, batch sizes.
    columns : what comes with the step: uniform nodes, and numbers that are not written out.
    numbers, indices : of which there is one a replica.
    """

    def __init__(self, schedule: Schedule) -> None:
        nodes = schedule.nodes
        self.rows: dict[str | Node, int] = _numbered([*schedule.step.updates, *schedule.rows])
        vectors = [n for n in nodes if n.op == "constant" and n.kind == "vector"]
        vectors += [n for n in nodes if n.op == "three_point" and n.kind == "vector"]
        self.constants = _numbered(vectors)
        self.tables = _numbered(role for n in nodes for role in _tables(n))
        self.wholes = _numbered(whole for n in nodes for whole in _wholes(n))
        used = [*(arg for n in nodes for arg in n.args), *schedule.step.updates.values()]
        plain = [n for n in used if n.op == "const" and not literal(n)]
        self.columns = _numbered([*schedule.columns, *plain])
        self.numbers, self.indices = _numbered(schedule.numbers), _numbered(schedule.indices)

    def table(self, role: str, node: Node) -> str:
        """Name of a table in the source."""
        return f"table{self.tables[role, node]}"

    def whole(self, what: str, value: int) -> str:
        """A whole number of the problem, as it is called."""
        return f"wholes[{self.wholes[what, value] + 3}]"

    def averaged(self, node: Node, entry: str) -> str:
        """Value of an entry of a row: rows of means hold sums over the batch."""
        return f"{entry} / real({self.whole('batch', node.value[1])})" if node.op == "mean" else entry

    def legend(self) -> dict[str, list[str]]:
        """Legend of the slots, for readers of a kernel."""
        return {
            "rows": list(map(_said, self.rows)),
            "constants": list(map(_said, self.constants)),
            "tables": [f"{role} of {_said(node)}" for role, node in self.tables],
            "wholes": ["tiles", "blocks", "dim", *(f"{what} {value}" for what, value in self.wholes)],
            "columns": list(map(_said, self.columns)),
        }


def _said(thing: str | Node) -> str:
    """Name of a node for people; of a long expression, its operation."""
    if isinstance(thing, str):
        return thing
    short = thing.kind == "uniform" and len(reachable([thing])) <= _SHORT
    if thing.op == "constant":
        return str(thing.value)
    return repr(thing) if short else f"{thing.op} v{thing.index}"


def _numbered(things: Iterable[Any]) -> dict[Any, int]:
    return {thing: number for number, thing in enumerate(dict.fromkeys(things))}


def _tables(node: Node) -> Iterator[tuple[str, Node]]:
    if node.op == "pick" and node.args[0].op == "constant":
        yield ("rows" if node.kind == "vector" else "entries", node.args[0])
    elif node.op == "place":
        yield ("entries", node.args[0])
    elif node.op == "matmul":
        yield ("matrix", node.args[1])
    elif node.op == "three_point":
        yield ("chance", node)
        if node.kind == "total":
            yield ("size", node)


def _wholes(node: Node) -> Iterator[tuple[str, int]]:
    if node.op in ("chi_square", "integer"):
        yield (node.op, node.value.high)
    if node.op == "mean":
        yield ("batch", node.value[1])


def computed(node: Node) -> bool:
    """Whether a number comes from numbers by arithmetic, neither drawn nor picked."""
    return node.kind == "total" and node.op != "pick" and not isinstance(node.value, Random)


def last_word(node: Node) -> int:
    """The last word of a random number's counter, but for its tries."""
    return int(node.value.stage << 24 | node.value.stream << 16)
