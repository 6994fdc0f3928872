"""A step as Numba source: a function that takes steps on the tiles of some replicas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import groupby

from accelsim.program import Node
from accelsim.simulation import numba_random
from accelsim.simulation.expressions import NUMBA, indented, literal, written
from accelsim.simulation.joined import Step
from accelsim.simulation.layout import Layout
from accelsim.simulation.normals import PRECISIONS
from accelsim.simulation.slots import Slots, computed, last_word
from accelsim.simulation.sweeps import Loop, Schedule, Sweep, arithmetic

HEAD = '''"""{title}"""

import math

import numpy as np
from numba import njit as compiled
from numpy import float32, float64, int32, int64

real, u32, u64 = np.{dtype}, np.uint32, np.uint64
S32, LOW = u64(32), u64(0xFFFFFFFF)
sqrt, exp, log, cos, absolute = np.sqrt, np.exp, np.log, np.cos, np.abs


def njit(function):
    return compiled(nogil=True, error_model="numpy")(function)


@njit
def sign(x):
    return real(1) if x > 0 else real(-1) if x < 0 else real(0) if x == 0 else x


@njit
def minimum(a, b):
    return a if a < b or a != a else b


@njit
def maximum(a, b):
    return a if a > b or a != a else b


@njit
def inverse(x):
    return real(1) / x if x != 0 else real(0)


@njit
def beyond(x, level):
    return x if x > level else real(0)
'''


_FUNCTION = re.compile(r"\n+(?=@njit\n)")  # what lies between two of them


class Writer:
    """Writes the source of a step in a layout."""

    def __init__(self, step: Step, layout: Layout) -> None:
        self.schedule, self.layout = Schedule(step), layout
        self.slots = Slots(self.schedule)
        self.stride = len(self.slots.rows) * layout.width
        self.scratch = 0  # rows of scratch that the sweep being written has taken
        self.most = 0
        self.made: dict[Node, str] = {}

    @cached_property
    def source(self) -> str:
        """The whole module; its `kernel` takes steps."""
        steps = list(self._body())  # before the signature, which makes room for what it needs
        body = "\n".join([*self._signature(), *steps, ""])
        head, *functions = _FUNCTION.split(HEAD.format(title=self.schedule.step.title, dtype=self.layout.dtype))
        functions += _FUNCTION.split(numba_random.source(self.layout))
        return "\n\n\n".join([head, *_called(functions, body), body])

    def _signature(self) -> Iterator[str]:
        tables = "".join(f", table{i}" for i in range(len(self.slots.tables)))
        layout, slots = self.layout, self.slots
        yield f"def kernel(z, c, columns, wholes, steps, first_step, first_replica, key0, key1, begin, end{tables}):"
        yield f"    scratch = np.empty({max(1, self.most) * layout.width}, real)"
        yield f"    words, waste = np.empty({4 * layout.lanes}, u32), np.empty({layout.width}, real)"
        yield f"    numbers = np.zeros({max(1, len(slots.numbers)) * layout.lanes}, real)"
        yield f"    indices = np.zeros({max(1, len(slots.indices)) * layout.lanes}, int64)"
        yield f"    last, bits = words.view(int32), waste.view({PRECISIONS[layout.dtype].signed})"
        yield "    bits32, bits64 = np.empty(1, int32), np.empty(1, int64)"
        yield "    tiles, blocks, dim = wholes[0], wholes[1], wholes[2]"

    def _body(self) -> Iterator[str]:
        if self.schedule.alone:
            yield "    for unit in range(begin, end):"
            yield "        group, tile = unit // tiles, unit % tiles"
            yield from indented(self._steps(self._tile(next(self.schedule.sweeps()))), 2)
        else:
            yield "    for group in range(begin, end):"
            yield from indented(self._steps(self._parts(self.schedule.parts)), 2)

    def _steps(self, body: Iterator[str]) -> Iterator[str]:
        yield f"replica = u64(first_replica + group * {self.layout.group})"
        yield "for step in range(steps):"
        yield "    time = u64(first_step + step)"
        yield "    row = min(step, len(columns) - 1)"
        yield from (f"    given{i} = columns[row, {i}]" for i in range(len(self.slots.columns)))
        yield from indented(body, 1)

    def _parts(self, parts: list[Sweep | Loop]) -> Iterator[str]:
        for part in parts:
            if isinstance(part, Sweep):
                yield from self._sweep(part)
            else:
                yield from self._batch(part)

    def _batch(self, loop: Loop) -> Iterator[str]:
        rows = [self.slots.rows[mean] for mean in loop.means]
        yield "for tile in range(tiles):"
        yield f"    start = (group * tiles + tile) * {self.stride}"
        yield f"    rows = z[start : start + {self.stride}]"
        yield f"    for i in range({self.layout.width}):"
        yield from (f"        rows[{row * self.layout.width} + i] = 0" for row in rows)
        yield f"for sample in range({self.slots.whole('batch', loop.batch)}):"
        yield from indented(self._parts(list(loop.sweeps)), 1)

    def _sweep(self, sweep: Sweep) -> Iterator[str]:
        yield from self._before(sweep.before)
        lanes = self.layout.lanes
        if sweep.totals:
            yield f"for l in range({lanes}):"
            yield from (f"    numbers[{self._slot(node)} + l] = 0" for node in sweep.totals)
        if sweep.passes:
            yield "for tile in range(tiles):"
            yield from indented(self._tile(sweep), 1)
        if sweep.totals and not self.layout.across:
            yield from (f"n{node.index} = real(0)" for node in sweep.totals)
            yield f"for l in range({lanes}):"
            yield from (f"    n{node.index} += numbers[{self._slot(node)} + l]" for node in sweep.totals)
            yield f"for l in range({lanes}):"
            yield from (f"    numbers[{self._slot(node)} + l] = n{node.index}" for node in sweep.totals)
        for mean, result in sweep.adds:
            if result.op == "at":
                yield from self._scattered(mean, result)

    def _tile(self, sweep: Sweep) -> Iterator[str]:
        """A tile's part of a sweep."""
        self.scratch, self.made = 0, {}
        yield f"start = (group * tiles + tile) * {self.stride}"
        yield f"rows = z[start : start + {self.stride}]"
        for node in sweep.fills:
            yield from self._fill(node)
        self.most = max(self.most, self.scratch)
        yield from self._arithmetic(sweep)

    # -- vectors -------------------------------------------------------------------------------------------------------

    def _arithmetic(self, sweep: Sweep) -> Iterator[str]:
        if not sweep.roots:
            return
        layout, nodes = self.layout, arithmetic(sweep.roots)
        numbers = self._numbers_read(sweep.roots, nodes)
        loop = [f"for k in range({layout.per}):", f"    for l in range({layout.lanes}):"]
        loop.append(f"        i = k * {layout.lanes} + l")
        if layout.across:
            before, loop[1:1] = [], [f"    {line}" for line in self._scalars(nodes)]
            inside = [f"n{number.index} = numbers[{self._slot(number)} + l]" for number in numbers]
            nodes = [node for node in nodes if node.op != "constant"]
        else:
            before = [*self._views(nodes), *(f"n{number.index} = numbers[{self._slot(number)}]" for number in numbers)]
            inside = []
            if not sweep.totals:
                loop = [f"for i in range({layout.width}):"]
        yield from (*before, *loop)
        values = (f"v{node.index} = {self._vector(node)}" for node in nodes)
        yield from indented((*inside, *values, *self._results(sweep)), 1 if len(loop) == 1 else 2)

    def _scalars(self, nodes: list[Node]) -> Iterator[str]:
        """A coordinate's constants, where lanes are replicas."""
        for node in nodes:
            if node.op == "constant":
                yield f"v{node.index} = c[({self.slots.constants[node]} * tiles + tile) * {self.layout.per} + k]"

    def _views(self, nodes: list[Node]) -> Iterator[str]:
        """A tile's parts of constants and of picked rows."""
        width = self.layout.width
        for node in nodes:
            if node.op == "constant":
                yield f"start = ({self.slots.constants[node]} * tiles + tile) * {width}"
                yield f"c{node.index} = c[start : start + {width}]"
            elif node.op == "pick":
                yield f"start = ({self._index(node.args[1], '0')} * tiles + tile) * {width}"
                yield f"c{node.index} = {self.slots.table('rows', node.args[0])}[start : start + {width}]"

    def _numbers_read(self, roots: list[Node], nodes: list[Node]) -> list[Node]:
        used = [*roots, *(arg for node in nodes if node not in self.made for arg in node.args)]
        return [node for node in dict.fromkeys(used) if node.kind == "total"]

    def _vector(self, node: Node) -> str:
        if node in self.made:
            return self.made[node]
        if node.op in ("state", "normal", "three_point", "matmul", "mean"):
            return self.slots.averaged(node, f"rows[{self._row(node)} + i]")
        if node.op == "pick" and self.layout.across:
            table, index = self.slots.table("rows", node.args[0]), self._index(node.args[1])
            return f"{table}[({index} * tiles + tile) * {self.layout.per} + k]"
        if node.op in ("constant", "pick"):
            return f"c{node.index}[i]"
        return written(node, self._name, NUMBA)

    def _name(self, node: Node) -> str:
        if node.kind == "uniform":
            return f"real({float(node.value)})" if literal(node) else f"given{self.slots.columns[node]}"
        return f"{'n' if node.kind == 'total' else 'v'}{node.index}"

    def _results(self, sweep: Sweep) -> Iterator[str]:
        for total in sweep.totals:
            value = self._name(total.args[0])
            yield f"numbers[{self._slot(total)} + l] += {self._inside(value)}"
        for node in sweep.keeps:
            yield f"rows[{self._row(node)} + i] = {self._name(node)}"
        for mean, result in sweep.adds:
            if result.op != "at":
                yield f"rows[{self._row(mean)} + i] += {self._name(result)}"
        for state, node in sweep.updates.items():
            if not (node.op == "state" and node.value == state):
                yield f"rows[{self._row(state)} + i] = {self._name(node)}"

    def _row(self, what: Node | str) -> int:
        """Begin of the row of a state, or of a vector that is kept, in a tile."""
        name = what.value if isinstance(what, Node) and what.op == "state" else what
        return self.slots.rows[name] * self.layout.width

    def _inside(self, value: str) -> str:
        """A value that counts only where there is a coordinate."""
        if not self.layout.padded:
            return value
        lane = "tile" if self.layout.across else f"(tile * {self.layout.lanes} + l)"
        return f"{value} if {lane} * {self.layout.per} + k < dim else real(0)"

    def _fill(self, node: Node) -> Iterator[str]:
        """Make a random vector or a product for a tile, in its row or in scratch."""
        kept = node in self.slots.rows
        array, start = ("rows", self._row(node)) if kept else ("scratch", self.scratch * self.layout.width)
        self.scratch += not kept
        yield f"out = {array}[{start} : {start + self.layout.width}]"
        if node.op == "matmul":
            yield from self._product(node)
        elif node.op == "normal":
            yield f"normals(out, {self._counter(node)}, key0, key1, words, last, waste, bits)"
        else:
            yield from self._three_point(node)
        self.made[node] = f"{array}[{start} + i]"

    def _counter(self, node: Node) -> str:
        """The first block of a tile, the step, the first replica, and the counter's last word."""
        block = "tile" if self.layout.across else f"tile * {self.layout.lanes}"
        if node.value.loop is not None:
            block = f"sample * blocks + {block}"
        return f"u64({block}), time, replica, u64({last_word(node)})"

    def _three_point(self, node: Node) -> Iterator[str]:
        layout, slot = self.layout, self.slots.constants[node]
        chance = self.slots.table("chance", node)
        place = f"tile * {layout.per} + k" if layout.across else f"tile * {layout.width} + i"
        size = f"c[{slot} * tiles * {layout.per if layout.across else layout.width} + {place}]"
        yield f"fill_words(words, {self._counter(node)}, key0, key1)"
        yield f"for k in range({layout.per}):"
        yield f"    for l in range({layout.lanes}):"
        yield f"        i = k * {layout.lanes} + l"
        yield f"        word = int64(words[k * {4 // layout.per * layout.lanes} + l])"
        yield f"        size = {size} if word < {chance}[{place}] else real(0)"
        yield "        out[i] = -size if word & 1 else size"

    def _product(self, node: Node) -> Iterator[str]:
        """One row of the matrix after another, times the entry it belongs to."""
        layout, matrix = self.layout, self.slots.table("matrix", node.args[1])
        per, lanes, width = layout.per, layout.lanes, layout.width
        yield f"for i in range({width}):"
        yield "    out[i] = 0"
        yield "for j in range(dim):"
        yield f"    x = {self._place(node.args[0], 'j')}"
        if layout.across:
            yield f"    lanes = z[x : x + {lanes}]"
            yield f"    for k in range({per}):"
            yield f"        m = {matrix}[(j * tiles + tile) * {per} + k]"
            yield f"        for l in range({lanes}):"
            yield f"            out[k * {lanes} + l] += {self.slots.averaged(node.args[0], 'lanes[l]')} * m"
        else:
            yield f"    start = (j * tiles + tile) * {width}"
            yield f"    m, x = {matrix}[start : start + {width}], {self.slots.averaged(node.args[0], 'z[x]')}"
            yield f"    for i in range({width}):"
            yield "        out[i] += x * m[i]"

    def _place(self, node: Node, coordinate: str) -> str:
        """Place in memory of a coordinate of a vector; that of lane 0 where lanes are replicas."""
        per, lanes = self.layout.per, self.layout.lanes
        block = f"{coordinate} // {per}"
        tile, lane = (block, "0") if self.layout.across else (f"{block} // {lanes}", f"{block} % {lanes}")
        return f"(group * tiles + {tile}) * {self.stride} + {self._row(node)} + {coordinate} % {per} * {lanes} + {lane}"

    # -- numbers, one a replica ----------------------------------------------------------------------------------------

    def _slot(self, node: Node) -> int:
        return self.slots.numbers[node] * self.layout.lanes

    def _index(self, node: Node, lane: str = "l") -> str:
        return f"indices[{self.slots.indices[node] * self.layout.lanes} + {lane}]"

    def _before(self, nodes: list[Node]) -> Iterator[str]:
        """Compute numbers and indices, arithmetic in one loop as far as nothing else comes between."""
        for arithmetical, group in groupby(nodes, key=computed):
            if arithmetical:
                yield from self._computed(list(group))
            else:
                for node in group:
                    yield from self._made(node)

    def _computed(self, nodes: list[Node]) -> Iterator[str]:
        inner = set(nodes)
        read = dict.fromkeys(arg for n in nodes for arg in n.args if arg.kind == "total" and arg not in inner)
        yield f"for l in range({self.layout.lanes}):"
        yield from (f"    n{arg.index} = numbers[{self._slot(arg)} + l]" for arg in read)
        for node in nodes:
            yield f"    n{node.index} = {written(node, self._name, NUMBA)}"
            yield f"    numbers[{self._slot(node)} + l] = n{node.index}"

    def _made(self, node: Node) -> Iterator[str]:
        """Draw or pick for all lanes: for one of them where all are the same replica."""
        lanes = self.layout.lanes
        count = lanes if self.layout.across else 1
        slots = self.slots.indices if node.kind == "index" else self.slots.numbers
        array, slot = ("indices" if node.kind == "index" else "numbers"), slots[node] * lanes
        if node.op == "chi_square":
            dof, place = self.slots.whole("chi_square", node.value.high), f"u64({last_word(node)})"
            yield f"chi_squares(numbers, {slot}, {count}, time, replica, {place}, key0, key1, {dof}, bits64)"
        elif node.op == "three_point":
            chance, size = (self.slots.table(role, node) for role in ("chance", "size"))
            index = self._index(node.args[0].args[1])
            yield f"for l in range({count}):"
            yield f"    word = int64(philox({self._at(node)})[0])"
            yield f"    size = real({size}[{index}]) if word < {chance}[{index}] else real(0)"
            yield f"    {array}[{slot} + l] = -size if word & 1 else size"
        else:
            yield f"for l in range({count}):"
            yield f"    {array}[{slot} + l] = {self._number(node)}"
        if count == 1:
            yield f"for l in range(1, {lanes}):"
            yield f"    {array}[{slot} + l] = {array}[{slot}]"

    @property
    def _bits(self) -> str:
        return "bits64" if self.layout.dtype == "float64" else "bits32"

    def _at(self, node: Node) -> str:
        """The counter and the key of a lane's number."""
        block = f"u64({node.value.block})" if node.value.loop is None else "u64(sample)"
        return f"{block}, time, replica + u64(l), u64({last_word(node)}), key0, key1"

    def _number(self, node: Node) -> str:
        if node.op == "number":
            return f"normal_{self.layout.dtype}(philox({self._at(node)}), {self._bits})"
        if node.op == "integer":
            return f"integer({self._at(node)}, {self.slots.whole('integer', node.value.high)})"
        if node.op == "place":
            below = self.slots.table("entries", node.args[0])
            return f"position({below}, integer({self._at(node)}, int64({2**32})))"
        source, index = node.args
        if source.op == "constant":
            return f"real({self.slots.table('entries', source)}[{self._index(index)}])"
        lane = " + l" if self.layout.across else ""
        return f"z[{self._place(source, self._index(index))}{lane}]"

    def _scattered(self, mean: Node, result: Node) -> Iterator[str]:
        index, value = result.args
        count = self.layout.lanes if self.layout.across else 1
        lane = " + l" if self.layout.across else ""
        yield f"for l in range({count}):"
        yield f"    z[{self._place(mean, self._index(index))}{lane}] += numbers[{self._slot(value)} + l]"


def _called(functions: list[str], body: str) -> list[str]:
    """Those of the functions that a body calls, or one of them that it calls; each calls only those before it."""
    kept: list[str] = []
    for function in reversed(functions):
        name = function.partition("def ")[2].partition("(")[0]
        if any(f"{name}(" in text for text in (body, *kept)):
            kept.insert(0, function.strip("\n"))
    return kept
