"""Exact risk after more steps than one takes: by leaps where coefficients are constant, else by frozen blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from accelsim import program
from accelsim.errors import InputError
from accelsim.exact.kernel import OVERFLOW
from accelsim.exact.long_runs import spans
from accelsim.exact.long_runs.leaps import Layout, Leap, leapt, unknowns
from accelsim.exact.minimal import minimal
from accelsim.exact.moments import PARTS, Risk, assembled, starts, stepped
from accelsim.exact.tables import Moments, System, Tables, anchored, mapped
from accelsim.problems import Problem
from accelsim.spectra import Array
from accelsim.stats import PER_DECADE, log_spaced
from accelsim.symbolic.system.tableau import Numeric

FIRST = 10**6  # steps always taken one by one where coefficients vary; a power of ten, as of the grid of records
_DRAWS = 4  # of rounding, where a run takes little: in a few numbers one may come to nothing
_SAFETY = 16  # of the error seen when every number of a step is off by its rounding
_CAUTION = 8  # times what a halving moves: the length of a block is whole, so the error's terms are not all even
_PART = 0.25  # of the steps before a block, and of those left until the next record
LARGEST = 2000  # unknowns: a doubling takes a second
MANY = 10**7  # steps from which on coefficients are frozen on blocks
_MOST = 2000  # blocks between two records, before they are halved
_WORST = 1e-2  # relative error from which on blocks do not count
_RATIO = 2.5, 6.5  # of what two halvings move; an error of second order has 4
_SMOOTH = 1e-8  # part of the coefficients' variation on a block that polynomials of low degree may miss
_LOW, _DEGREE = 8, 16
_NODES = np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)
_HIGH = np.linalg.inv(np.polynomial.chebyshev.chebvander(_NODES, _DEGREE))[_LOW:]  # coefficients from values at nodes
_LARGE, _FEW = 10**4, 4  # entries of a matrix that couples directions whose terms are not looked at, but taken as that
_GROWS = 1e-9  # of an eigenvalue beyond 1: more than its rounding, and than a position that stays where it is
_QUICK, DAY = 2.0, 86400.0  # seconds: what is not worth a choice, and what is refused


def way(problem: Problem, tables: Tables, steps: int) -> Callable[..., Risk] | None:
    """The fastest way to take many steps: leaps or frozen blocks, None for one by one.

    Raises
    ------
    InputError
        If nothing gets there within a day.
    """
    found = _costs(problem, tables, steps)
    best = min(found, key=lambda way: found[way])
    if found[best] > DAY:
        days = f"{steps:.3g} steps would take about {found[best] / DAY:.3g} days"
        why = ": averaging weights and the like remember, give them as expressions in t" if tables.recurrent else ""
        raise InputError(f"{days}{why or ': take fewer, or a smaller --dim'}")
    return best if found[None] > _QUICK else None


def seconds(problem: Problem, tables: Tables, steps: int) -> float:
    """Seconds that a number of steps takes, about, by the fastest way."""
    return min(_costs(problem, tables, steps).values())


def _costs(problem: Problem, tables: Tables, steps: int) -> dict[Any, float]:
    """Seconds by way of taking steps; None for one by one."""
    size = unknowns(problem, len(tables.tableau.states) + 1)
    found: dict[Any, float] = {None: _stepping(problem, tables) * steps}
    doubling = 1e-4 + 2e-10 * size**3
    if tables.constant and size <= LARGEST:
        found[by_leaps] = 2 * np.log2(max(steps, 2)) * doubling + 1e-3 * size
    elif not tables.recurrent and not problem.coupled and steps > MANY:
        records = PER_DECADE * np.log10(steps / FIRST)
        found[by_blocks] = 400 * records * (1e-3 + np.log2(steps) * doubling)
    return found


def _stepping(problem: Problem, tables: Tables) -> float:
    """Seconds that a step takes."""
    size = unknowns(problem, len(tables.tableau.states) + 1)
    if problem.coupled:
        return 3 * (1e-4 + 2e-9 * size * problem.spectrum.size)
    return 2e-7 + 2e-10 * size + (0 if tables.constant else 1e-5 if tables.recurrent else 5e-7)


class Voyage:
    """Maps of single steps for leaps, in coordinates that keep slow decay apart from everything else.

    The coordinates are the error of the position that counts most in the risk, the others' distances from it, and the
    memories: a translation of all positions, which an equivariant rule keeps, moves that one alone, and its slow decay
    is then not a difference, nor is an average that moves far less than what it averages.
    """

    def __init__(self, problem: Problem, tables: Tables, of: str, carries_origin: bool) -> None:
        self.problem, self.tables, self.of, self.carries_origin = problem, tables, of, carries_origin
        e = np.array([*tables.tableau.translation, *[0] * carries_origin])
        seen = tables.at(np.array([float(FIRST)]))
        weights = (seen.F if of == "returned" else seen.C)[0, 0, : len(e)]
        self.one, self.base = np.eye(len(e), dtype=int), int(np.argmax(np.abs(weights) * e))
        self.apart = self.one - np.outer(e * (np.arange(len(e)) != self.base), self.one[self.base])
        self.together = 2 * self.one - self.apart
        self.exact = _exactly(tables)
        self.layout = Layout(problem, len(e))
        self.names = [*PARTS, *["risk"] * problem.coupled]
        self.noise = np.array([0.0, 1.0, 1.0])[: len(self.names)]

    def steps(self, t: Any, chance: _Chance | None = None) -> list[Leap]:
        """The steps at t, one each, as leaps; with numbers off by their rounding if chance is given."""
        change, system = self._systems(t)
        if chance and self.exact is None:
            terms = np.abs(system.A) + self.one
            change = change + float(np.finfo(np.longdouble).eps) * chance.off(terms * (change != 0))
        leaps = [self.layout.leap(system.at(i), change[i]) for i in range(len(change))]
        return [chance.rounded(leap) for leap in leaps] if chance else leaps

    def row(self, t: int) -> Array:
        """Row (n,) of the returned or queried point over the states at step t."""
        _, system = self._systems([t])
        return (system.F if self.of == "returned" else system.C)[0, 0]

    def _systems(self, t: Any) -> tuple[Array, System]:
        """A - 1 at steps t, with its digits, and the systems."""
        found = self.exact or self.tables.at(np.asarray(t, dtype=np.longdouble))
        drive = found.A[..., -1].copy()
        drive[:, -1] = 0
        kept = slice(None if self.carries_origin else -1)
        a, b, c, d, f, stages = found
        a = a[:, kept, kept]
        change = self.apart @ (a - self.one) @ self.together
        change[..., self.base] = drive[:, kept] @ self.apart.T  # A e - e, which is zero exactly where nothing drives
        matrices = a, self.apart @ b[:, kept], c[..., kept] @ self.together, d, f[..., kept] @ self.together
        return change.astype(np.float64), System(*matrices, stages).each(lambda matrix: matrix.astype(np.float64))

    def begin(self, runs: list[Moments]) -> Array:
        """Moments (size, runs), as vectors, of runs in the order of `names`."""
        return np.array([self._vector(moments) for moments in runs]).T

    def start(self) -> Array:
        """Moments before the first step."""
        start, still = (starts(self.tables.tableau, self.problem, at_optimum) for at_optimum in (False, True))
        without = Moments(start.second, 0 * start.mean)  # without lasting noise the mean has no say
        return self.begin([without, still, start][: len(self.names)])

    def _vector(self, moments: Moments) -> Array:
        if not self.carries_origin:
            moments = Moments(moments.second[:-1, :-1], moments.mean[:-1])
        return self.layout.vector(mapped(self.apart, moments))

    def shares(self, found: Array, rows: list[Array]) -> dict[str, Array]:
        """Shares (records, m) of the eigendirections in each part, from moments (records, size, runs)."""
        return {
            name: np.array([self._share(x[:, place], row) for x, row in zip(found, rows, strict=True)])
            for place, name in enumerate(self.names)
        }

    def _share(self, x: Array, row: Array) -> Array:
        second = mapped(row[None], self.layout.moments(x)).second[0, 0]
        return (np.diagonal(second) if self.problem.coupled else second) * self.problem.spectrum / 2

    def inside(self, x: Array) -> bool:
        """Whether the moments (size, runs) are in the range of float64; see `moments.Reference`."""
        with np.errstate(over="ignore", invalid="ignore"):
            return all(self._trace(run) < OVERFLOW for run in x.T)

    def _trace(self, x: Array) -> float:
        second = mapped(self.together, self.layout.moments(x)).second
        kept = second[: len(second) - self.carries_origin, : len(second) - self.carries_origin]
        return float(np.einsum("aaii->" if self.problem.coupled else "aai->", kept))


def _exactly(tables: Tables) -> System | None:
    """The system of a rule whose coefficients are constant and rational, in fractions."""
    if not tables.constant:
        return None
    try:
        numeric = next(tables.tableau.rows(program.exact, **tables.values))
    except InputError:  # a root that is irrational
        return None
    return anchored(tables.tableau, Numeric(*(matrix[None] for matrix in numeric)))


def by_leaps(problem: Problem, tables: Tables, steps: int, of: str) -> Risk:
    """Risk after any number of steps of a rule whose coefficients are constant.

    The error is an estimate: by a second run in which every number of the step's map is off by its rounding, up or
    down by chance, and every product of matrices by that of its terms. What any power loses by its exponent alone is
    added.

    Raises
    ------
    InputError
        If a state that no run reaches, or that nothing reads, grows by itself: rounding would feed it.
    """
    _check_idle(problem, tables)
    voyage = Voyage(problem, tables, of, tables.take(0).drives)
    one = voyage.steps([0])[0]
    x, wanted = voyage.start(), log_spaced(steps)
    rows = [voyage.row(0)] * len(wanted)
    found = leapt(one, x, voyage.noise, wanted)
    good = next((i for i, record in enumerate(found) if not voyage.inside(record)), len(wanted))
    diverged = None
    if good < len(wanted):
        diverged = int(wanted[good - 1]) + first_outside(one, found[good - 1], voyage.noise, voyage.inside)
    shares = voyage.shares(found[:good], rows[:good])
    moved = np.zeros(good)
    for draw in range(1 if len(x) ** 2 > _LARGE else _DRAWS):
        chance = _Chance(draw)
        shaken = voyage.steps([0], chance)[0]
        other = voyage.shares(leapt(shaken, x, voyage.noise, wanted[:good], chance.times), rows[:good])
        moved = np.maximum(moved, np.abs([_sum(shares[name]) - _sum(other[name]) for name in voyage.names]).max(axis=0))
    total = np.abs(_sum(shares["risk"]) if problem.coupled else _sum(shares["bias"]) + _sum(shares["variance"]))
    relative = np.divide(moved, total, out=np.zeros_like(total), where=total > 0)
    error = _SAFETY * (np.maximum.accumulate(relative) + np.finfo(float).eps * (1 + _exponent(shares))) * total
    return _risk(problem, wanted[:good], shares, diverged, "leaps", error)


def end_of(problem: Problem, tables: Tables, steps: int) -> tuple[float, int | None]:
    """Risk of the returned iterate after a number of steps by leaps, without an error; where it diverged, that step."""
    voyage = Voyage(problem, tables, "returned", tables.take(0).drives)
    one, x = voyage.steps([0])[0], voyage.start()
    end = leapt(one, x, voyage.noise, [steps])
    if not voyage.inside(end[0]):
        return np.inf, first_outside(one, x, voyage.noise, voyage.inside)
    shares = voyage.shares(end, [voyage.row(0)])
    parts = ["risk"] if problem.coupled else PARTS
    return sum(float(shares[name].sum()) for name in parts), None


def _check_idle(problem: Problem, tables: Tables) -> None:
    numeric = next(tables.tableau.rows(program.exact, **tables.values))
    if len(minimal(tables.tableau, numeric).A) == len(tables.tableau.states):
        return
    a, b, c, d, _ = (np.asarray(matrix, dtype=float) for matrix in numeric)
    lam = problem.spectrum[:, None, None]
    mean = a + lam * (b @ np.linalg.solve(np.eye(len(d)) - lam * d, np.broadcast_to(c, (len(lam), *c.shape))))
    if np.isfinite(mean).all() and np.abs(np.linalg.eigvals(mean)).max() > 1 + _GROWS:
        raise InputError(
            f"{tables.tableau.optimizer} grows, perhaps in a state that no run reaches or nothing reads, which rounding"
            " would feed in so many steps: leave such states out of the rule, or take fewer steps"
        )


def by_blocks(problem: Problem, tables: Tables, steps: int, of: str) -> Risk:
    """Risk under schedules: the first steps one by one, then blocks of steps, each with the coefficients of its middle.

    Blocks grow with the step and shrink again towards each record, so that what is fast sees the coefficients that it
    has there, and towards whatever the coefficients are not smooth at. Halving all of them twice, the error's first two
    terms, of second and fourth order, are eliminated (Romberg) where the halvings show the first of them. Where blocks
    do not get there all steps are taken one by one. A block is frozen only where the coefficients are provably smooth
    (`spans`). The error is an estimate: by what halvings move, by rounding as for leaps, and that of the first steps.

    Raises
    ------
    InputError
        If that takes more than a day.
    """
    carries_origin = tables.at(np.geomspace(1, steps, 64)).drives or tables.take(0).drives
    voyage = Voyage(problem, tables, of, carries_origin)
    begun, runs, _ = stepped(problem, tables, FIRST, of, carries_origin)
    if begun.diverged is not None:
        return begun
    still = runs["bias"].moments
    zero = Moments(0 * still.second, 0 * still.mean)
    x = voyage.begin([runs[name].moments if name in runs else zero for name in PARTS])
    wanted = log_spaced(steps)
    blocks = _blocks(tables, wanted[wanted >= FIRST].tolist())
    halvings = [_frozen(voyage, x, blocks, count) for count in range(3)] if blocks else []
    shaken = _frozen(voyage, x, blocks, 0, _Chance())[0]
    records, diverged = {len(found) for found, _ in halvings}, halvings[-1][1] if blocks else None
    if records == {0}:
        return replace(begun, diverged=diverged, way="frozen blocks")
    same = len(records) == 1 and records == {len(shaken)}
    rest = _extrapolated(voyage, blocks, [found for found, _ in halvings], shaken, diverged) if same else None
    if rest is None:
        return _one_by_one(problem, tables, steps, of, carries_origin)
    brought = begun.error[-1] / max(begun.risk[-1], np.finfo(float).tiny)
    rest = replace(rest, error=rest.error + brought * np.abs(rest.risk))
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(begun, name), getattr(rest, name)])
        for name in ("steps", "risk", "bias", "variance", "error")
    }
    return replace(rest, **joined)


def _extrapolated(
    voyage: Voyage, blocks: list[Array], halvings: list[Array], shaken: Array, diverged: int | None
) -> Risk | None:
    """The risk at the blocks' ends from the moments of three halvings; None where these are too far apart.

    Parameters
    ----------
    shaken : the first of them, with rounding by chance.
    """
    wanted = np.array([block[:, -1].sum() for block in blocks[: len(halvings[0])]], dtype=np.int64)
    rows = [voyage.row(step) for step in wanted.tolist()]
    parts = [voyage.shares(moments, rows) for moments in halvings]
    found = {name: _romberg(*(part[name] for part in parts)) for name in voyage.names}
    shares = {name: share for name, (share, _) in found.items()}
    by_chance = voyage.shares(shaken, rows)
    rounded = [np.abs(_sum(by_chance[name]) - _sum(part)) for name, part in parts[0].items()]
    moved = sum(off for _, off in found.values()) + _SAFETY * sum(rounded)
    risk = np.abs(sum(map(_sum, shares.values())))
    relative = float((moved / np.maximum(risk, np.finfo(float).tiny)).max())  # at one record it may vanish by chance
    good = relative < _WORST
    return _risk(voyage.problem, wanted, shares, diverged, "frozen blocks", relative * risk) if good else None


def _romberg(one: Array, two: Array, three: Array) -> tuple[Array, Array]:
    """Shares (records, m) from those of three halvings, and how far off their sums (records,) may be.

    Where the differences of the sums are not in the ratio of an error of second order, or what is extrapolated is not
    positive, the finest is taken as it is.
    """
    before, after = (4 * two - one) / 3, (4 * three - two) / 3
    best = after + (after - before) / 15
    first, second = (two - one).sum(axis=1), (three - two).sum(axis=1)
    low, high = _RATIO
    known = (np.minimum(low * second, high * second) <= first) & (first <= np.maximum(low * second, high * second))
    known &= (best >= 0).all(axis=1)
    moved = np.abs((after - before).sum(axis=1))
    return np.where(known[:, None], best, three), _CAUTION * np.where(known, moved, np.abs(second))


def _one_by_one(problem: Problem, tables: Tables, steps: int, of: str, carries_origin: bool) -> Risk:
    """All steps, from the first one on."""
    seconds = _stepping(problem, tables) * steps
    if seconds > DAY:
        days = f"{steps:.3g} steps one by one would take about {seconds / DAY:.3g} days"
        raise InputError(
            f"coefficients change too abruptly to freeze them on blocks of steps, and {days}: take fewer, or schedules "
            "without kinks"
        )
    return stepped(problem, Tables(tables.tableau, tables.values), steps, of, carries_origin)[0]


def _frozen(
    voyage: Voyage, x: Array, blocks: list[Array], halvings: int, chance: _Chance | None = None
) -> tuple[Array, int | None]:
    """Moments (records, size, runs) with coefficients frozen on blocks, and the step at which they diverged if so."""
    found: list[Array] = []
    for block in blocks:
        begins, lengths = block
        for _ in range(halvings):
            begins, lengths = _halves(begins, lengths)
        steps = voyage.steps(begins + (lengths - 1) / 2, chance)
        for begin, length, leap in zip(begins.tolist(), lengths.tolist(), steps, strict=True):
            before, x = x, leapt(leap, x, voyage.noise, [length], chance.times if chance else np.matmul)[0]
            if not voyage.inside(x):
                return np.array(found).reshape(-1, *x.shape), begin + first_outside(
                    leap, before, voyage.noise, voyage.inside
                )
        found.append(x)
    return np.array(found), None


def _halves(begins: Array, lengths: Array) -> Array:
    """Both halves of blocks, in order; single steps stay."""
    half = lengths // 2
    both = np.array([[begins, begins + half], [half, lengths - half]]).transpose(0, 2, 1).reshape(2, -1)
    return both[:, both[1] > 0]


def _blocks(tables: Tables, ends: list[int]) -> list[Array]:
    """Begins and lengths (2, count), between records, of blocks on which coefficients are smooth; none if too many."""
    level = np.abs(_entries(tables, np.geomspace(ends[0], ends[-1], 64))).max(axis=0)
    found = []
    for begin, end in pairwise(ends):
        lengths = np.array(list(_lengths(begin, end)))
        rough = np.array([begin + np.cumsum(lengths) - lengths, lengths])
        smooth = rough[:, :0]
        while rough.size:
            is_rough = _rough(tables, rough, level) | (
                (rough[1] > 1) & ~spans.smooth(tables, rough[0], rough[1], _DEGREE)
            )
            smooth = np.concatenate([smooth, rough[:, ~is_rough]], axis=1)
            rough = _halves(*rough[:, is_rough])
            if smooth.shape[1] + rough.shape[1] > _MOST:
                return []
        found.append(smooth[:, smooth[0].argsort()])
    return found


def _rough(tables: Tables, blocks: Array, level: Array) -> Any:
    """Whether coefficients on blocks (2, count) change by much, or are no polynomials of low degree, nor nearly."""
    begins, lengths = blocks[..., None]
    t = begins + (lengths - 1) * ((1 + _NODES) / 2).astype(np.longdouble)
    values = _entries(tables, t.ravel()).reshape(*t.shape, -1)
    size = np.abs(values).max(axis=1)
    values = values - values[:, :1]
    moved = np.abs(values).max(axis=1)
    high = np.abs(np.einsum("dk,bke->bde", _HIGH, values)).sum(axis=1)
    rounding = 4 * np.finfo(float).eps * level
    rough = (high > _SMOOTH * moved + rounding) | (moved > _PART * size + rounding)
    return rough.any(axis=1) & (lengths[:, 0] > 1)


def _entries(tables: Tables, t: Array) -> Array:
    """All coefficients (steps, entries) at steps t."""
    matrices = tables.at(t.astype(np.longdouble))[:5]
    return np.concatenate([matrix.reshape(len(t), -1) for matrix in matrices], axis=1)


def _lengths(begin: int, end: int) -> Iterator[int]:
    """Lengths of blocks: a part of the steps before them, and of those left until the end."""
    while begin < end:
        length = max(1, int(_PART * min(begin, end - begin)))
        yield length
        begin += length


def _risk(problem: Problem, steps: Any, shares: dict[str, Array], diverged: int | None, way: str, error: Array) -> Risk:
    series = {name: _sum(share) for name, share in shares.items()}
    last = {name: share[-1] for name, share in shares.items()}
    return replace(assembled(problem, steps, series, last, diverged, error), way=way)


def _sum(shares: Array) -> Array:
    return shares.sum(axis=1)


def first_outside(one: Leap, x: Array, constant: Array, inside: Callable[[Array], bool]) -> int:
    """Number of steps after which moments leave the range of float64, known to do so and to stay outside."""
    leaps = [one]
    with np.errstate(over="ignore", invalid="ignore"):
        while inside(leaps[-1](x, constant)):
            leaps.append(leaps[-1].doubled())
        taken = 0
        for place, leap in reversed(list(enumerate(leaps))):
            ahead = leap(x, constant)
            if inside(ahead):
                taken, x = taken + 2**place, ahead
    return taken + 1


class _Chance:
    """Numbers off by their rounding, up or down by chance."""

    def __init__(self, draw: int = 0) -> None:
        self._chance = np.random.default_rng(draw)

    def off(self, size: Array) -> Array:
        """Numbers of some sizes, of either sign."""
        if size.size <= _LARGE:  # signs of rows times signs of columns could be a change of units, which moves nothing
            return size * self._chance.choice([-1.0, 1.0], size.shape)
        up, down = (self._chance.choice([-1.0, 1.0], count) for count in size.shape[-2:])
        return np.asarray(up[:, None] * size * down)

    def _off(self, size: Array) -> Array:
        return np.finfo(float).eps * self.off(size)

    def rounded(self, leap: Leap) -> Leap:
        """A step whose numbers are each off by their rounding."""
        source = leap.source[:, None]
        change, across, source = (x + self._off(x) for x in (leap.change, leap.across, source))
        return Leap.of(change, across, source[:, 0])

    def times(self, a: Array, b: Array) -> Array:
        """A product of matrices, off by the rounding of the terms that it is a sum of."""
        product = a @ b
        if a.ndim == 2 and b.size > _LARGE:
            return product + self._off(_FEW * np.abs(product))
        return product + self._off(np.abs(a) @ np.abs(b))


def _exponent(shares: dict[str, Array]) -> float:
    """Largest |log| of how much a part of the risk has grown or decayed."""
    parts = [share.sum(axis=1) for share in shares.values()]
    logs = [np.log(part[part > 0] / part[part > 0][0]) for part in parts if (part > 0).any()]
    return float(max((np.abs(log).max() for log in logs), default=0.0))
