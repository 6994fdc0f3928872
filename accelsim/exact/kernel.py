"""Second moments of all eigendirections step by step in compiled code, specialised to a rule and a kind of problem.

The source is written out from the tableau: one loop over eigendirections a step, entries that are 0, 1 or -1 folded
in, the others read from a table before the loop, only the moments on and above the diagonal. Moments lie in blocks of
`WIDTH` directions, all of a block together: the compiler then knows every distance and vectorises without checks.
What couples directions, sum_j right_j Y_j, is a few sums of moments taken along while they are updated; a query after
a step's first one takes a pass of its own.

Positions are carried times lam^(1/2), memories and gradients times lam^(-1/2): the mean gradient of a direction is then
its query error itself, and the problem's arrays, divided by powers of lam, are often constants.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations_with_replacement

import numpy as np

from accelsim import machine
from accelsim.exact.frames import frame, framed, framed_structure
from accelsim.exact.tables import Moments, System, Tables, mapped_pair
from accelsim.problems import Uncoupled
from accelsim.spectra import Array

WIDTH = 64  # eigendirections a block: a few vectors of any width, and little padding
_STRETCH = 1024  # steps looked at together where moments are about to leave the range of float64
OVERFLOW = 1e200  # sums of second moments beyond this count as diverged: the next products could leave float64


class Drift(Exception):
    """A rule that moved along with translations of the positions no longer does."""


class Kernel:
    """Moments of one run, advanced by compiled code: of the states, or as seen from the query where that is less work.

    Parameters
    ----------
    second : (n, n, m) moments of the states and w* before the first step.
    carries_origin : whether the row of w* is carried; without it a drive raises `Drift`.
    doubted : whether to carry what rounding errors come to, see `rounding`.
    """

    def __init__(
        self,
        problem: Uncoupled,
        tables: Tables,
        second: Array,
        noisy: bool,
        carries_origin: bool,
        doubted: bool = False,
    ) -> None:
        self.problem = problem
        self.size = len(second) - (not carries_origin)
        self.carries_origin, self.translation = carries_origin, tables.tableau.translation
        self._kinds = [1 if moves else -1 for moves in (*self.translation, 1)][: self.size]
        self._pairs = list(combinations_with_replacement(range(self.size), 2))
        forms = _Forms(problem, noisy)
        writer = self._write(tables, forms, doubted)
        self._run, self._parameters = compiled(writer.source), forms.scales
        spread = min(problem.spectrum.min(), 1 / problem.spectrum.max())
        self._limit = OVERFLOW * spread * (1e-6 if self._framed else 1)
        self._turn_to(self._carried(tables.take(0)).C[0, 0])
        inside = mapped_pair(self._seen, second[: self.size, : self.size], self._seen)
        self._units = [problem.spectrum ** ((self._kinds[a] + self._kinds[b]) / 2) for a, b in self._pairs]
        within = [inside[pair] * unit for pair, unit in zip(self._pairs, self._units, strict=True)]
        rows = [*within, *forms.rows, *[1 / problem.spectrum] * writer.inverse]
        self._doubts = len(rows)  # those after them, if any
        doubts = [(a == b) * row for (a, b), row in zip(self._pairs, within, strict=True)]
        self._blocks = _in_blocks([*rows, *doubts] if doubted else rows)
        self._directions = problem.spectrum.size

    def _write(self, tables: Tables, forms: _Forms, doubted: bool) -> _Writer:
        """The shorter of the sources for the states and for what is seen from the query."""
        folded = (
            self._carried(tables.take(0))
            .at(0)
            .each(
                lambda matrix, same: np.where((same == 1) & np.isin(matrix, (0, 1, -1)), matrix, np.nan),
                self._carried(tables.fixed),
            )
        )
        structures = [folded] if self.carries_origin else [folded, framed_structure(folded, self.translation)]
        written = [_Writer(_rows(rows), rows.stages, forms.powers, self._kinds) for rows in structures]
        writer = min(written, key=lambda one: one.operations)
        self._framed = writer is not written[0]
        rows = _rows(structures[self._framed])
        self._free = [np.isnan(row) for row in rows]
        return _Writer(rows, writer.stages, forms.powers, self._kinds, doubted=True) if doubted else writer

    def _carried(self, systems: System) -> System:
        n = self.size
        a, b, c, d, f, stages = systems
        return System(a[..., :n, :n], b[..., :n, :], c[..., :n], d, f[..., :n], stages)

    def _turn_to(self, query: Array) -> None:
        """The coordinates in which the moments are from here on, where they are seen from the query."""
        self._seen = frame(query, self.translation) if self._framed else np.eye(self.size)
        self._back = np.asarray(np.linalg.inv(self._seen), dtype=np.float64)

    def advance(self, systems: System, steps: int) -> int | None:
        """Take steps. Returns how many there were when moments left the range of float64, None where they did not.

        Parameters
        ----------
        systems : of these steps and the one after them; the last one stands for all after it.
        """
        if systems.drives and not self.carries_origin:
            raise Drift
        systems = self._carried(systems)
        moved = framed(systems, self.translation) if self._framed else systems
        table = np.concatenate([m[:, free] for m, free in zip(_rows(moved), self._free, strict=True)], axis=1)
        taken = self._taken(table, steps, self._limit)
        if taken >= 0 and not self._inside(systems, taken):
            return taken
        size = _STRETCH
        while 0 <= taken < steps:  # the sum that the kernel sees is not that of the states' moments: look closer
            before, count = self._blocks.copy(), min(size, steps - taken)
            self._taken(table[min(taken, len(table) - 1) :], count, np.inf)
            if self._inside(systems, taken + count):
                taken += count
            elif count == 1:
                return taken + 1
            else:
                self._blocks, size = before, count // 2
        self._turn_to(systems.C[-1, 0])
        return None

    def _inside(self, systems: System, taken: int) -> bool:
        self._turn_to(systems.C[min(taken, len(systems.C) - 1), 0])
        count = len(self.translation)
        return bool(np.einsum("aam->", self.moments.second[:count, :count]) < OVERFLOW)

    def _taken(self, table: Array, steps: int, limit: float) -> int:
        """Take steps; after how many but one the moments reached a limit, -1 where they did not."""
        table = np.ascontiguousarray(table)
        return int(self._run(self._blocks.ravel(), table, steps, len(self._blocks), self._parameters, limit))

    @property
    def moments(self) -> Moments:
        """Moments of the states and w*, without the means, which nothing here depends on."""
        second = np.empty((self.size, self.size, self._directions))
        for place, (a, b) in enumerate(self._pairs):
            second[a, b] = second[b, a] = self._moment(place)
        n = self.size + (not self.carries_origin)
        whole = np.zeros((n, n, self._directions))
        whole[: self.size, : self.size] = mapped_pair(self._back, second, self._back)
        return Moments(whole, np.zeros((n, self._directions)))

    def directions(self, row: Array) -> Array:
        """(m,) second moment of a row (n,) of states and w*, by eigendirection."""
        return self._seen_from(row, 0)

    def doubts(self, row: Array) -> Array:
        """(m,) what rounding errors in them come to, see `rounding`."""
        return self._seen_from(row, self._doubts)

    def _seen_from(self, row: Array, first: int) -> Array:
        weights = row[: self.size] @ self._back
        total = np.zeros(self._directions)
        for place, (a, b) in enumerate(self._pairs):
            total += (2 - (a == b)) * weights[a] * weights[b] * self._moment(place, first)
        return total

    def _moment(self, place: int, first: int = 0) -> Array:
        return self._blocks[:, first + place].ravel()[: self._directions] / self._units[place]


def _in_blocks(rows: list[Array]) -> Array:
    """Rows (m,) as (blocks, rows, WIDTH), zero beyond m."""
    blocks = -(-rows[0].size // WIDTH)
    padded = np.zeros((len(rows), blocks * WIDTH))
    padded[:, : rows[0].size] = rows
    return np.ascontiguousarray(padded.reshape(len(rows), blocks, WIDTH).transpose(1, 0, 2))


def _rows(systems: System) -> list[Array]:
    """Of one step or many: the new states' rows over states and gradients, then each query's."""
    update = np.concatenate([systems.A, systems.B], axis=-1)
    return [update, np.concatenate([systems.C, systems.D], axis=-1)]


class _Forms:
    """Problem arrays in the source of a kernel: a scale times a power of lam where they are one, otherwise a row.

    Attributes
    ----------
    powers : of 1 + own / lam^2 and of left, floor and right over lam: the power, -1 where it is zero, None for a row.
    scales : (4,) their scales.
    rows : lam, then those that are rows.
    """

    def __init__(self, problem: Uncoupled, noisy: bool) -> None:
        lam = problem.spectrum
        arrays = [1 + problem.own / lam / lam, problem.left / lam, problem.floor / lam, problem.right / lam]
        self.powers: tuple[int | None, ...] = tuple(_power(values, lam) for values in arrays)
        arrays[2] = arrays[2] * noisy
        scales = [1.0 if p is None else values[0] / lam[0] ** max(p, 0) for values, p in self._with(arrays)]
        self.scales = np.array(scales)
        self.rows = [lam, *(values for values, power in self._with(arrays) if power is None)]

    def _with(self, arrays: list[Array]) -> Iterator[tuple[Array, int | None]]:
        return zip(arrays, self.powers, strict=True)


def _power(values: Array, lam: Array) -> int | None:
    if not values.any():
        return -1
    for power in (0, 1, 2):
        with np.errstate(over="ignore", under="ignore"):
            shape = lam**power
            if np.isfinite(shape).all() and shape.all():
                scales = values / shape
                if np.ptp(scales) <= 1e-15 * scales[0]:
                    return power
    return None


@cache
def compiled(text: str) -> Callable[..., int]:
    """The function of a source, compiled."""
    # Sums may be taken in any order; infinities must stay what they are.
    return machine.compiled(text, fastmath={"contract", "reassoc", "nsz"})


def _scaled(factor: str, value: str) -> str:
    if "0" in (factor, value):
        return "0"
    return {"1": value, "-1": f"-{value}"}.get(factor) or (factor if value == "1" else f"{factor} * {value}")


def _sum(terms: Iterator[str] | list[str]) -> str:
    return " + ".join(term for term in terms if term != "0") or "0"


def _squares(row: list[str], sizes: list[str]) -> str:
    """Square of a sum of terms, by their mean squares and Cauchy's inequality."""
    terms = [f"({entry}) * ({entry}) * {size}" for entry, size in zip(row, sizes, strict=False) if entry != "0"]
    return f"{len(terms)}.0 * ({' + '.join(terms)})" if terms else "0.0"


def _of_doubts(line: str) -> str:
    """The line with every moment in it replaced by what rounding errors in it come to."""
    return re.sub(r"\b([lnpstwxy]\d+_\d+)\b", r"d\1", line)


class _Writer:
    """Writes the source; quantities are the states, then the gradients of the step, by number.

    Parameters
    ----------
    rows : update (n, n + G) and queries (G, n + G): 0, 1, -1, or NaN where a number comes from the table.
    powers : see `_Forms`.
    kinds : of the states, 1 for positions and -1 for memories.
    doubted : whether what rounding errors come to is carried too, in rows after all others.

    Attributes
    ----------
    source : a function of all blocks, the table, the number of steps, that of blocks, scales, and a limit of the trace.
    operations : number of them in it, for an eigendirection.
    inverse : whether it needs a row of 1/lam after all others.
    """

    def __init__(
        self,
        rows: list[Array],
        stages: tuple[int, ...],
        powers: tuple[int | None, ...],
        kinds: list[int],
        doubted: bool = False,
    ) -> None:
        names = iter(f"k{i}" for i in range(sum(row.size for row in rows)))
        self.free = sum(int(np.isnan(row).sum()) for row in rows)
        update, queries = [
            [[next(names) if np.isnan(x) else str(int(x)) for x in line] for line in row] for row in rows
        ]
        self.n, self.stages, self.kinds, self.doubted = len(update), stages, kinds, doubted
        self.shifted: dict[str, str] = {}  # entries times a power of lam, by name
        self.given = queries
        columns = [*kinds, *[-1] * sum(stages)]
        self.update = [self._in_units(row, kind, columns) for row, kind in zip(update, kinds, strict=True)]
        self.queries = [self._in_units(row, 1, columns) for row in queries]
        self.pairs = list(combinations_with_replacement(range(self.n), 2))
        places = iter(range(1, 5))
        self.arrays = [None if p is not None else next(places) for p in powers]
        entries = [*self.shifted.values(), *(entry for row in (*self.update, *self.queries) for entry in row)]
        self.inverse = any("over" in entry for entry in entries)
        self.own, self.left, self.floor, self.right = powers
        self.coupled = self.left != -1 and self.right != -1
        self.rows = 1 + sum(array is not None for array in self.arrays)
        self.doubts = len(self.pairs) + self.rows + self.inverse
        self.stride = WIDTH * (self.doubts + len(self.pairs) * doubted)
        self.source = "\n".join(self._lines()) + "\n"
        self.operations = sum(self.source.count(sign) for sign in ("+ ", "* "))

    def _in_units(self, row: list[str], kind: int, columns: list[int]) -> list[str]:
        """Entries between quantities that are carried in units of a root of lam."""
        found = []
        for entry, column in zip(row, columns, strict=True):
            unit = {0: "1", 1: "c0", -1: "over"}[(kind - column) // 2]
            text = _scaled(entry, unit)
            if "*" in text:
                self.shifted[f"h{entry}"] = text
                text = f"h{entry}"
            found.append(entry if unit == "1" else text)
        return found

    def _lines(self) -> Iterator[str]:
        yield "def kernel(z, table, steps, blocks, scales, limit):"
        yield "    own, left, floor, right = scales[0], scales[1], scales[2], scales[3]"
        sums = self._summed()
        yield from self._both([f"    t{c}_{d} = 0.0" for c, d in sums])
        if sums:
            yield from self._pass(
                self._both([f"t{c}_{d} += {self._times_right(f'p{c}_{d}', c, d)}" for c, d in sums]), 1
            )
        yield "    for t in range(steps):"
        yield "        row = min(t, len(table) - 1)"
        yield from (f"        k{i} = table[row, {i}]" for i in range(self.free))
        for stage, (first, after) in enumerate(self._spans()):
            yield from self._totals(stage, first, after)
        yield from self._both([f"        t{c}_{d} = 0.0" for c, d in sums])
        yield "        trace = 0.0"
        update = [*self._gradients(len(self.stages), True), *self._step()]
        if self.doubted:
            update += [_of_doubts(line) for line in (*self._gradients(len(self.stages), False), *self._step())]
            update += self._reach()
        update += self._both([f"t{c}_{d} += {self._times_right(f'n{c}_{d}', c, d)}" for c, d in sums])
        update += [f"trace += {' + '.join(f'n{a}_{a}' for a in range(self.n))}"]
        update += self._kept(0, "n")
        if self.doubted:
            update += self._kept(self.doubts, "dn")
        yield from self._pass(update, 2)
        yield "        if not trace < limit:"
        yield "            return t + 1"
        yield "    return -1"

    def _both(self, lines: list[str]) -> list[str]:
        """Lines for the moments, and the same for what rounding errors come to."""
        return [*lines, *map(_of_doubts, lines)] if self.doubted else lines

    def _kept(self, first: int, name: str) -> list[str]:
        return [f"z[i + {(first + place) * WIDTH}] = {name}{a}_{b}" for place, (a, b) in enumerate(self.pairs)]

    def _reach(self) -> Iterator[str]:
        """Add to doubts what a step's own rounding may be: the sums, term by term, that new states come from."""
        size = [f"p{a}_{a}" for a in range(self.n)]
        for j, row in enumerate(self.queries):
            yield f"e{j} = 2.0 * (x{self.n + j}_{self.n + j} + {_squares(row, size)})"
            size.append(f"e{j}")
        for a, row in enumerate(self.update):
            yield f"dn{a}_{a} += n{a}_{a} + {_squares(row, size)}"

    def _spans(self) -> Iterator[tuple[int, int]]:
        taken = 0
        for count in self.stages:
            yield taken, taken + count
            taken += count

    def _pass(self, body: list[str], depth: int) -> Iterator[str]:
        """A loop over all eigendirections."""
        indent = "    " * depth
        yield f"{indent}for block in range(blocks):"
        yield f"{indent}    for j in range({WIDTH}):"
        yield f"{indent}        i = block * {self.stride} + j"
        for place, (a, b) in enumerate(self.pairs):
            yield f"{indent}        p{a}_{b} = z[i + {place * WIDTH}]"
            if self.doubted:
                yield f"{indent}        dp{a}_{b} = z[i + {(self.doubts + place) * WIDTH}]"
        for array in (0, *(array for array in self.arrays if array is not None)):
            yield f"{indent}        c{array} = z[i + {(len(self.pairs) + array) * WIDTH}]"
        if self.inverse:
            yield f"{indent}        over = z[i + {(len(self.pairs) + self.rows) * WIDTH}]"
        if depth > 1:  # inside the loop over steps, whose entries they are
            yield from (f"{indent}        {name} = {text}" for name, text in self.shifted.items())
        yield from (f"{indent}        {line}" for line in body)

    def _summed(self) -> list[tuple[int, int]]:
        """Pairs of states whose moments are summed for the coupling of the first stage."""
        if not self.coupled:
            return []
        seen = [c for c in range(self.n) if any(row[c] != "0" for row in self.queries[: self.stages[0]])]
        return list(combinations_with_replacement(seen, 2))

    def _times_right(self, value: str, *states: int) -> str:
        """A moment as it enters the shared sum; of the query's, or of two states'."""
        memories = sum(self.kinds[state] == -1 for state in states)
        factors = ["c0"] * memories + ([f"c{self.arrays[3]}"] if self.arrays[3] else ["c0"] * (self.right or 0))
        return " * ".join([*factors, value])

    def _second(self, a: int, b: int) -> str:
        """The moment of two quantities."""
        low, high = min(a, b), max(a, b)
        return f"p{low}_{high}" if high < self.n else f"x{low}_{high}"

    def _totals(self, stage: int, first: int, after: int) -> Iterator[str]:
        """The sums that a stage's noise needs, before any gradient of it."""
        pairs = list(combinations_with_replacement(range(first, after), 2))
        if not self.coupled:
            return
        if stage == 0:
            for a, b in pairs:
                terms = [
                    _scaled(self.given[a][c], _scaled(self.given[b][d], f"t{min(c, d)}_{max(c, d)}"))
                    for c in range(self.n)
                    for d in range(self.n)
                    if self.queries[a][c] != "0" and self.queries[b][d] != "0"
                ]
                yield from self._both([f"        s{a}_{b} = right * ({_sum(terms)})"])
        else:
            yield from self._both([f"        s{a}_{b} = 0.0" for a, b in pairs])
            after_gradients = list(self._queried(first, after))
            after_gradients += [f"s{a}_{b} += right * {self._times_right(f'y{a}_{b}')}" for a, b in pairs]
            body = [*self._gradients(stage, True), *after_gradients]
            if self.doubted:
                body += [_of_doubts(line) for line in (*self._gradients(stage, False), *after_gradients)]
            yield from self._pass(body, 2)

    def _queried(self, first: int, after: int) -> Iterator[str]:
        """Moments w of what there is with a stage's query errors, and y of these with one another."""
        known = [*range(self.n), *range(self.n, self.n + first)]
        for j in range(first, after):
            for q in known:
                yield f"w{q}_{j} = {_sum([_scaled(self.queries[j][c], self._second(q, c)) for c in known])}"
        for i, j in combinations_with_replacement(range(first, after), 2):
            yield f"y{i}_{j} = {_sum([_scaled(self.queries[i][c], f'w{c}_{j}') for c in known])}"

    def _gradients(self, stages: int, noisy: bool) -> Iterator[str]:
        """Moments x of the gradients of the first stages with everything before them."""
        for first, after in list(self._spans())[:stages]:
            yield from self._queried(first, after)
            for j in range(first, after):
                for q in range(self.n + first):
                    yield f"x{q}_{self.n + j} = w{q}_{j}"
            for i, j in combinations_with_replacement(range(first, after), 2):
                yield f"x{self.n + i}_{self.n + j} = {self._gradient(i, j, noisy)}"

    def _gradient(self, i: int, j: int, noisy: bool) -> str:
        """Own Y + left S + floor as a polynomial in lam, as far as they are one."""
        terms: list[list[str]] = [[], []]
        loose = []
        shared = [("left", self.left, 1, f"s{i}_{j}")] * self.coupled
        lasting = [("floor", self.floor, 2, "1")] * noisy
        for name, power, place, value in [("own", self.own, 0, f"y{i}_{j}"), *shared, *lasting]:
            if power is None:
                loose.append(_scaled(value, f"c{self.arrays[place]}"))
            elif power >= 0:
                # lam Y, unlike lam^2, is a moment that there is anyway
                terms[min(power, 1)].append(_scaled(name, f"(c0 * {value})" if power == 2 else value))
        text = "0"
        for group in reversed(terms):
            inner = _sum([*group, f"c0 * ({text})" if text != "0" else "0"])
            text = inner
        return _sum([text, *loose])

    def _step(self) -> Iterator[str]:
        """Moments n of the new states: l is what a row makes of each quantity, and each pair is closed on one side."""
        support = [[c for c, x in enumerate(row) if x != "0"] for row in self.update]
        wanted: dict[tuple[int, int], None] = {}
        closed = []
        for a, b in sorted(self.pairs, key=lambda pair: pair[0] != pair[1]):
            one, other = ([(a, c) for c in support[b]], [(b, c) for c in support[a]])
            first = sum(len(support[a]) for place in one if place not in wanted) + len(support[b])
            second = sum(len(support[b]) for place in other if place not in wanted) + len(support[a])
            taken, row = (one, b) if first <= second else (other, a)
            wanted |= dict.fromkeys(taken)
            closed.append(f"n{a}_{b} = {_sum([_scaled(self.update[row][c], f'l{q}_{c}') for q, c in taken])}")
        for a, c in wanted:
            yield f"l{a}_{c} = {_sum([_scaled(self.update[a][q], self._second(q, c)) for q in support[a]])}"
        yield from closed
