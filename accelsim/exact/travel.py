"""Exact risk after more steps than one takes: by leaps where the coefficients are constant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.exact.kernel import OVERFLOW
from accelsim.exact.leaps import Layout, Leap, leapt, unknowns
from accelsim.exact.moments import PARTS, Moments, Risk, assembled, mapped, starts, stepped
from accelsim.exact.tables import System, Tables
from accelsim.problems import Problem
from accelsim.spectra import Array
from accelsim.stats import PER_DECADE, log_spaced

FIRST = 10**6  # steps always taken one by one where coefficients vary; a power of ten, as of the grid of records
_SAFETY = 16  # of the error seen when every number of a step is off by its rounding
_CAUTION = 8  # times what a halving moves: the length of a block is whole, so the error's terms are not all even
_PART = 0.25  # of the steps before a block, and of those left until the next record
LARGEST = 2000  # unknowns: a doubling takes a second
MANY = 10**7  # steps from which on coefficients are frozen on blocks
_QUICK, _DAY = 2.0, 86400.0  # seconds: what is not worth a choice, and what is refused


def way(problem: Problem, tables: Tables, steps: int) -> Callable[..., Risk] | None:
    """How to take many steps: None for one by one, which is right where that takes no longer than the others.

    Raises
    ------
    InputError
        If nothing gets there within a day.
    """
    n = len(tables.tableau.states) + 1
    size, recurrent = unknowns(problem, n), tables.recurrent
    if problem.coupled:
        each = 3 * (1e-4 + 2e-9 * size * problem.spectrum.size)
    else:
        each = 2e-7 + 2e-10 * size + (0 if tables.constant else 1e-5 if recurrent else 5e-7)
    seconds: dict[Any, float] = {None: each * steps}
    doubling = 1e-4 + 2e-10 * size**3
    if tables.constant and size <= LARGEST:
        seconds[by_leaps] = 2 * np.log2(max(steps, 2)) * doubling + 1e-3 * size
    elif not recurrent and not problem.coupled and steps > MANY:
        records = PER_DECADE * np.log10(steps / FIRST)
        seconds[by_blocks] = 400 * records * (1e-3 + np.log2(steps) * doubling)
    best = min(seconds, key=lambda found: seconds[found])
    if seconds[best] > _DAY:
        days = f"{steps:.3g} steps would take about {seconds[best] / _DAY:.3g} days"
        why = ": averaging weights and the like remember, give them as expressions in t" if recurrent else ""
        raise InputError(f"{days}{why or ': take fewer, or a smaller --dim'}")
    return best if seconds[None] > _QUICK else None


class Voyage:
    """What leaps of a rule's moments need: one step's map in coordinates in which what is slow is apart.

    The coordinates are the first position's error, the others' distances from it, and the memories: a translation of
    all positions, which an equivariant rule keeps, moves the first alone, and its slow decay is then not a difference.
    """

    def __init__(self, problem: Problem, tables: Tables, of: str, carries_origin: bool) -> None:
        self.problem, self.tables, self.of, self.carries_origin = problem, tables, of, carries_origin
        e = np.array([*tables.tableau.translation, *[0] * carries_origin])
        self.apart: Array = np.eye(len(e)) - np.outer(e * (np.arange(len(e)) > 0), np.eye(len(e))[0])
        self.together = 2 * np.eye(len(e)) - self.apart
        self.layout = Layout(problem, len(e))
        self.names = [*PARTS, *["risk"] * problem.coupled]
        self.noise = np.array([0.0, 1.0, 1.0])[: len(self.names)]

    def steps(self, t: Any) -> list[Leap]:
        """The steps at t, one each, as leaps."""
        change, system = self._systems(t)
        return [self.layout.leap(system.at(i), change[i]) for i in range(len(change))]

    def row(self, t: int) -> Array:
        """What the risk is that of, as a row over the states, at step t."""
        _, system = self._systems([t])
        return (system.F if self.of == "returned" else system.C)[0, 0]

    def _systems(self, t: Any) -> tuple[Array, System]:
        """A - 1 at steps t, with its digits, and the systems."""
        found = self.tables.at(np.asarray(t, dtype=np.longdouble))
        drive = found.A[..., -1].copy()
        drive[:, -1] = 0
        kept = slice(None if self.carries_origin else -1)
        a, b, c, d, f, stages = found
        change = self.apart @ (a - np.eye(a.shape[-1]))[:, kept, kept] @ self.together
        change[..., 0] = drive[:, kept] @ self.apart.T  # A e - e, which is zero exactly where nothing drives
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


def by_leaps(problem: Problem, tables: Tables, steps: int, of: str) -> Risk:
    """Risk after any number of steps of a rule whose coefficients are constant.

    The error is estimated by a second run in which every number of the step's map is off by its rounding; what any
    power loses by its exponent alone is added.
    """
    voyage = Voyage(problem, tables, of, tables.take(0).drives)
    one = voyage.steps([0])[0]
    x, wanted = voyage.start(), log_spaced(steps)
    rows = [voyage.row(0)] * len(wanted)
    found = leapt(one, x, voyage.noise, wanted)
    good = next((i for i, record in enumerate(found) if not voyage.inside(record)), len(wanted))
    diverged = None
    if good < len(wanted):
        diverged = int(wanted[good - 1]) + _first_outside(voyage, one, found[good - 1])
    shares = voyage.shares(found[:good], rows[:good])
    other = voyage.shares(leapt(_rounded(one), x, voyage.noise, wanted[:good]), rows[:good])
    error = _SAFETY * _difference(shares, other) + _SAFETY * np.finfo(float).eps * _exponent(shares)
    return _risk(problem, wanted[:good], shares, diverged, "leaps", error)


def by_blocks(problem: Problem, tables: Tables, steps: int, of: str) -> Risk:
    """Risk under schedules: the first steps one by one, then blocks of steps, each with the coefficients of its middle.

    Blocks grow with the step and shrink again towards each record, so that what is fast sees the coefficients that it
    has there. Halving all of them twice, the error's first two terms, of second and fourth order, are eliminated
    (Romberg); the error reported is some times what the last halving moved after the first elimination.
    """
    carries_origin = tables.at(np.geomspace(1, steps, 64)).drives or tables.take(0).drives
    voyage = Voyage(problem, tables, of, carries_origin)
    begun, runs = stepped(problem, tables, FIRST, of, carries_origin)
    if begun.diverged is not None:
        return begun
    wanted = log_spaced(steps)
    wanted = wanted[wanted > FIRST]
    still = runs["bias"].moments
    zero = Moments(0 * still.second, 0 * still.mean)
    x = voyage.begin([runs[name].moments if name in runs else zero for name in PARTS])
    (once, _), (twice, _), (thrice, diverged) = (_frozen(voyage, x, wanted, halvings) for halvings in range(3))
    good = min(map(len, (once, twice, thrice)))
    rows = [voyage.row(step) for step in wanted[:good]]
    one, two, three = (voyage.shares(found[:good], rows) for found in (once, twice, thrice))
    before, after = ({k: (4 * fine[k] - coarse[k]) / 3 for k in fine} for coarse, fine in ((one, two), (two, three)))
    shares = {name: after[name] + (after[name] - before[name]) / 15 for name in voyage.names}
    risk = sum(share.sum(axis=1) for share in shares.values())
    moved = sum(np.abs((after[name] - before[name]).sum(axis=1)) for name in voyage.names)
    rest = _risk(
        problem, wanted[:good], shares, diverged, "frozen blocks", _CAUTION * float((moved / risk).max(initial=0.0))
    )
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(begun, name), getattr(rest, name)])
        for name in ("steps", "risk", "bias", "variance")
    }
    return replace(rest, **joined)


def _frozen(voyage: Voyage, x: Array, wanted: Any, halvings: int) -> tuple[Array, int | None]:
    """Moments (records, size, runs) with coefficients frozen on blocks, and the step at which they diverged if so."""
    found: list[Array] = []
    now = FIRST
    for until in wanted.tolist():
        lengths = list(_lengths(now, until))
        for _ in range(halvings):
            lengths = [half for length in lengths for half in (length // 2, length - length // 2) if half]
        begins = now + np.cumsum([0, *lengths[:-1]])
        for begin, length, leap in zip(
            begins, lengths, voyage.steps(begins + (np.array(lengths) - 1) / 2), strict=True
        ):
            before, x = x, leapt(leap, x, voyage.noise, [length])[0]
            if not voyage.inside(x):
                return np.array(found).reshape(-1, *x.shape), int(begin) + _first_outside(voyage, leap, before)
        found.append(x)
        now = until
    return np.array(found), None


def _lengths(begin: int, end: int) -> Iterator[int]:
    """Lengths of blocks: a part of the steps before them, and of those left until the end."""
    while begin < end:
        length = max(1, int(_PART * min(begin, end - begin)))
        yield length
        begin += length


def _risk(problem: Problem, steps: Any, shares: dict[str, Array], diverged: int | None, way: str, error: float) -> Risk:
    series = {name: share.sum(axis=1) for name, share in shares.items()}
    last = {name: share[-1] for name, share in shares.items()}
    return replace(assembled(problem, steps, series, last, diverged), way=way, error=error)


def _first_outside(voyage: Voyage, one: Leap, x: Array) -> int:
    """Number of steps after which moments leave the range of float64, known to do so and to stay outside."""
    leaps = [one]
    with np.errstate(over="ignore", invalid="ignore"):
        while voyage.inside(leaps[-1](x, voyage.noise)):
            leaps.append(leaps[-1].doubled())
        taken = 0
        for place, leap in reversed(list(enumerate(leaps))):
            ahead = leap(x, voyage.noise)
            if voyage.inside(ahead):
                taken, x = taken + 2**place, ahead
    return taken + 1


def _rounded(leap: Leap) -> Leap:
    """A step whose numbers are each off by their rounding, up or down by chance."""
    chance = np.random.default_rng(0)

    def off(values: Array) -> Array:
        return values * (1 + np.finfo(float).eps * chance.choice([-1, 1], values.shape))

    return Leap.of(off(leap.change), off(leap.across), off(leap.source))


def _difference(shares: dict[str, Array], other: dict[str, Array]) -> float:
    """Largest relative difference between two records of the risk's parts."""
    worst = 0.0
    for one, two in zip(shares.values(), other.values(), strict=True):
        a, b = one.sum(axis=1), two.sum(axis=1)
        worst = max(worst, float((np.abs(a - b) / np.maximum(np.abs(a), np.finfo(float).tiny)).max(initial=0.0)))
    return worst


def _exponent(shares: dict[str, Array]) -> float:
    """Largest |log| of how much a part of the risk has grown or decayed."""
    parts = [share.sum(axis=1) for share in shares.values()]
    logs = [np.log(part[part > 0] / part[part > 0][0]) for part in parts if (part > 0).any()]
    return float(max((np.abs(log).max() for log in logs), default=0.0))
