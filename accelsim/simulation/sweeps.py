"""In which order a kernel does the work of a step: sweeps over the coordinates, with totals between them.

A vector is computed in every sweep that needs it: the states lie in memory, and arithmetic is cheaper than memory. What
is dear (random numbers, products with matrices, means over a batch), or needed as a whole before its first entry can be
used (what a matrix multiplies, what is picked from), is kept in a row of its own where more than one sweep needs it. A
total is known after the sweep that adds it up. The states change in the last sweep, after all that reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from accelsim.program import Node, reachable
from accelsim.simulation.joined import Random, Step

_RANDOM = frozenset({"normal", "three_point"})
_DEAR = _RANDOM | {"matmul", "mean"}


@dataclass(eq=False)
class Sweep:
    """One pass over all coordinates.

    Attributes
    ----------
    before : numbers and indices, one a replica, that are computed first, in order.
    fills : random vectors and products that are made first in each tile, in order.
    totals : what is added up.
    keeps : vectors entered in rows of their own.
    adds : (mean, what its sample adds), in a loop over samples.
    updates : the states' next values, in the last sweep.
    """

    before: list[Node] = field(default_factory=list)
    fills: list[Node] = field(default_factory=list)
    totals: list[Node] = field(default_factory=list)
    keeps: list[Node] = field(default_factory=list)
    adds: list[tuple[Node, Node]] = field(default_factory=list)
    updates: dict[str, Node] = field(default_factory=dict)

    @property
    def roots(self) -> list[Node]:
        """Nodes that the sweep's arithmetic ends in."""
        added = [result for _, result in self.adds if result.op != "at"]
        return [*(t.args[0] for t in self.totals), *self.keeps, *added, *self.updates.values()]

    @property
    def passes(self) -> bool:
        """Whether there is anything to go over the coordinates for."""
        return bool(self.fills or self.roots)


@dataclass(eq=False)
class Loop:
    """Sweeps repeated for each sample of a batch, for the means over it."""

    number: int
    batch: int
    means: list[Node]
    sweeps: list[Sweep]


class Schedule:
    """The sweeps of a step.

    Attributes
    ----------
    step : what is scheduled.
    nodes : all that is not uniform, arguments first.
    parts : sweeps and loops, in order.
    rows : vectors kept in memory beside the states.
    columns : uniform nodes that enter the arithmetic: one number a step, from the host.
    numbers, indices : nodes of which there is one a replica.
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        nodes = reachable(step.updates.values())
        self.nodes = [node for node in nodes if node.kind != "uniform"]
        self.columns = self._uniform()
        self.numbers = [node for node in self.nodes if node.kind == "total"]
        self.indices = [node for node in self.nodes if node.kind == "index"]
        self._loop = self._loops()
        self._place = self._places()
        self._main = self._made(None, step.updates.values())
        self._main[-1].updates = dict(step.updates)
        self._inner = list(self._batches())
        self.rows = self._kept()
        self.parts = list(self._ordered())

    @property
    def alone(self) -> bool:
        """Whether no coordinate ever needs another one, so that time may run inside."""
        return len(self.parts) == 1 and isinstance(self.parts[0], Sweep) and not self.numbers and not self.indices

    def _uniform(self) -> list[Node]:
        used = [arg for node in self.nodes for arg in node.args]
        found = {n.index: n for n in [*used, *self.step.updates.values()] if n.kind == "uniform" and n.op != "const"}
        return list(found.values())

    def _loops(self) -> dict[int, int | None]:
        """The loop over samples inside which each node is computed."""
        found: dict[int, int | None] = {}
        for node in self.nodes:
            own = {node.value.loop} if isinstance(node.value, Random) else set()
            below = {found[arg.index] for arg in node.args if arg.kind != "uniform"} if node.op != "mean" else set()
            found[node.index] = next(iter((own | below) - {None}), None)
        return found

    def _places(self) -> dict[int, int]:
        """The first sweep of its loop in which a vector can be computed, before which a number is known."""
        place: dict[int, int] = {}
        for node in self.nodes:
            loop = self._loop[node.index]
            args = [arg for arg in node.args if arg.kind != "uniform" and self._loop[arg.index] == loop]
            earliest = max((place[arg.index] for arg in args), default=0)
            if node.op == "mean":
                place[node.index] = 1 + max(self._before(other, place) for other in self._beside(node))
            else:
                place[node.index] = earliest + (node.op in ("total", "matmul") or _picks_computed(node))
        return place

    def _beside(self, mean: Node) -> list[Node]:
        return [node for node in self.nodes if node.op == "mean" and node.value == mean.value]

    def _before(self, mean: Node, place: dict[int, int]) -> int:
        """The last sweep that must precede the loop of a mean."""
        body = [node for node in reachable(mean.args) if node.kind != "uniform"]
        outer = {node.index for node in body if self._loop[node.index] is None}
        return max((place[index] for index in outer), default=0)

    def _made(self, loop: int | None, results: Iterable[Node]) -> list[Sweep]:
        last = max((self._place[n.index] for n in results if self._loop.get(n.index, "none") == loop), default=0)
        sweeps = [Sweep() for _ in range(last + 1)]
        for node in self.nodes:
            if self._loop[node.index] != loop:
                continue
            place = self._place[node.index]
            if node.op == "total":
                sweeps[place - 1].totals.append(node)
            elif node.kind in ("total", "index"):
                sweeps[place].before.append(node)
            elif node.op == "matmul":
                sweeps[place].fills.append(node)
        for node in self._whole():
            if self._loop[node.index] == loop and node.op not in _DEAR:
                sweeps[self._place[node.index]].keeps.append(node)
        return sweeps

    def _whole(self) -> dict[Node, None]:
        """Vectors that are computed and needed as a whole."""
        whole = [node.args[0] for node in self.nodes if node.op == "matmul" or _picks_computed(node)]
        return dict.fromkeys(node for node in whole if node.op != "state")

    def _batches(self) -> Iterator[Loop]:
        for number, batch in dict.fromkeys(node.value for node in self.nodes if node.op == "mean"):
            means = [node for node in self.nodes if node.op == "mean" and node.value == (number, batch)]
            sweeps = self._made(number, [mean.args[0] for mean in means])
            sweeps[-1].adds = [(mean, mean.args[0]) for mean in means]
            yield Loop(number, batch, means, sweeps)

    def _kept(self) -> list[Node]:
        """Rows beside the states; random vectors find the sweep that makes them."""
        whole = self._whole()
        users: dict[Node, list[Sweep]] = {node: [] for node in whole if node.op in _DEAR}
        for sweep in self.sweeps():
            for node in _dear(sweep.roots):
                users.setdefault(node, []).append(sweep)
        rows: dict[Node, None] = {}
        for node, sweeps in users.items():
            if node.op in _RANDOM:
                needed = [*sweeps, self._own(node)[self._place[node.index]]] if node in whole else sweeps
                self._earliest(node, needed).fills.append(node)
            home = next((sweep for sweep in self.sweeps() if any(node is filled for filled in sweep.fills)), None)
            if node in whole or any(sweep is not home for sweep in sweeps):
                rows[node] = None
        kept = [node for sweep in self.sweeps() for node in sweep.keeps]
        idle = [mean for loop in self._inner for mean in loop.means if mean not in rows]
        return [*rows, *kept, *idle]

    def _earliest(self, node: Node, users: list[Sweep]) -> Sweep:
        """The sweep of the only user, or the first one of the node's own loop that comes no later than all of them."""
        if len(set(users)) == 1:
            return users[0]
        own = self._own(node)
        inside = {sweep: self._place[loop.means[0].index] - 1 for loop in self._inner for sweep in loop.sweeps}
        return own[min(own.index(sweep) if sweep in own else inside[sweep] for sweep in users)]

    def _own(self, node: Node) -> list[Sweep]:
        loop = self._loop[node.index]
        return self._main if loop is None else next(part.sweeps for part in self._inner if part.number == loop)

    def sweeps(self) -> Iterator[Sweep]:
        """All sweeps, those of loops last."""
        yield from self._main
        for loop in self._inner:
            yield from loop.sweeps

    def _ordered(self) -> Iterator[Sweep | Loop]:
        for place, sweep in enumerate(self._main):
            if sweep.passes or sweep.before:
                yield sweep
            yield from (loop for loop in self._inner if self._place[loop.means[0].index] == place + 1)


def _picks_computed(node: Node) -> bool:
    """Whether the node picks an entry of a vector that is computed, as against a constant."""
    return node.op == "pick" and node.args[0].op != "constant"


def _dear(roots: Iterable[Node]) -> list[Node]:
    """The dear vectors that arithmetic down from the roots starts from."""
    return [node for node in arithmetic(roots) if node.op in _DEAR]


def arithmetic(roots: Iterable[Node]) -> list[Node]:
    """The vectors that arithmetic down from the roots goes through, arguments first, down to what is stored or made."""
    pending, found = [root for root in roots if root.kind == "vector"], dict[int, Node]()
    while pending:
        node = pending.pop()
        if node.index not in found:
            found[node.index] = node
            if node.op not in _DEAR and node.op != "pick":
                pending.extend(arg for arg in node.args if arg.kind == "vector")
    return [found[index] for index in sorted(found)]
