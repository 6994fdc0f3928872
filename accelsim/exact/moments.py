"""Exact risk: second moments of all states of a linear rule, step by step, without sampling.

The states' moments P have axes (n, n, m), one matrix an eigendirection, or (n, n, m, m) where the problem couples
eigendirections. A yield appends its gradients to the states, whose moments follow from H (a factor on the
coordinate axes) and from the problem's sampling noise; the step then maps states and gradients to the new states.
Positions are carried as errors w - w*, so that risks far below |w*|^2 keep their digits. This is the recursion in
NumPy, for any problem; where sums alone couple eigendirections, long runs take the compiled one of `kernel`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim.exact import rounding
from accelsim.exact.kernel import OVERFLOW, Kernel
from accelsim.exact.roots import Roots
from accelsim.exact.tables import Moments, System, Tables, left_mapped, mapped, mapped_pair, right_mapped
from accelsim.notebook import Tabular
from accelsim.problems import Problem, Uncoupled
from accelsim.spectra import Array
from accelsim.stats import log_spaced
from accelsim.symbolic.system.tableau import Tableau

PARTS = ("bias", "variance")
_CHUNK = 1 << 14  # steps whose coefficients are in memory
# Seconds: of a step in NumPy, by calls and by entry of the moments; and from which on a run is worth a kernel, which is
# compiled in one second, once.
_CALLS, _ENTRY, _COMPILING = 7e-5, 1e-8, 0.05


@dataclass(frozen=True)
class Risk(Tabular):
    """Exact excess risk of the point returned, or of the query.

    Attributes
    ----------
    steps : numbers of gradient steps taken, log-spaced, from 0.
    risk : the risk after that many steps.
    bias : of the run without label noise, residuals and additive noise.
    variance : of the run started at w* with them.
    cross : risk - bias - variance on problems where the two do not add up, else None.
    diverged : the step at which moments left the range of float64, which ends the record; None where they did not.
    by_direction : (m,) shares of the eigendirections in the last bias and variance recorded, by these names.
    error : absolute errors of the risk, which bias and variance do not exceed either: by rounding, and by what the way
        of taking steps leaves out. Step by step they are a bound to first order in the rounding of numbers and
        operations (`rounding`; with more than 512 uncoupled eigendirections an estimate, from those of one percent of
        eigenvalues together); by leaps and frozen blocks they are estimates on the safe side (`travel`).
    way : how the steps were taken: ``step by step``, ``leaps`` or ``frozen blocks``.
    optimizer : the rule, where it is known.
    """

    steps: np.ndarray
    risk: Array
    bias: Array
    variance: Array
    cross: Array | None
    diverged: int | None
    by_direction: dict[str, Array]
    error: Array
    way: str = "step by step"
    optimizer: str = ""

    def _statement(self) -> dict[str, Any]:
        diverged = {} if self.diverged is None else {"diverged at step": self.diverged}
        return {"exact risk of": self.optimizer, "steps taken": self.way, **diverged}

    def _columns(self) -> dict[str, Any]:
        names = ("steps", "risk", *PARTS, "cross", "error")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def _drawing(self) -> tuple[Any, ...]:
        return "over_steps", self.optimizer, "steps", self._columns()


def with_gradients(problem: Problem, system: System, moments: Moments, noisy: bool) -> Moments:
    """Moments of the states and this step's gradients together, each yield on a fresh sample."""
    taken = 0
    for count in system.stages:
        rows = np.hstack([system.C[taken : taken + count], system.D[taken : taken + count, :taken]])
        moments = _append(problem, rows, moments, noisy)
        taken += count
    return moments


def _append(problem: Problem, rows: Array, moments: Moments, noisy: bool) -> Moments:
    """Append the gradients at the query errors `rows` times the quantities."""
    spectrum = problem.spectrum
    cross = right_mapped(moments.second, rows)
    queries, mean = left_mapped(rows, cross), rows @ moments.mean
    gradients = queries * spectrum * (spectrum[:, None] if problem.coupled else spectrum)
    gradients = gradients + problem.noise(queries, mean, noisy)
    cross = cross * spectrum
    above = np.concatenate([moments.second, cross], axis=1)
    below = np.concatenate([transposed(cross), gradients], axis=1)
    return Moments(np.concatenate([above, below]), np.concatenate([moments.mean, mean * spectrum]))


def advance(problem: Problem, system: System, moments: Moments, noisy: bool) -> Moments:
    """Moments of the states after one more step."""
    return stepped_on(system, with_gradients(problem, system, moments, noisy))


def stepped_on(system: System, both: Moments) -> Moments:
    """Moments of the new states from those of the states and the step's gradients."""
    second, mean = mapped(np.hstack([system.A, system.B]), both)
    # Left alone, what rounding makes asymmetric grows by itself where the moments themselves decay.
    return Moments((second + transposed(second)) / 2, mean)


def transposed(second: Array) -> Array:
    """Moments with their two quantities exchanged."""
    return second.transpose(1, 0, 3, 2) if second.ndim == 4 else second.transpose(1, 0, 2)


def starts(tableau: Tableau, problem: Problem, at_optimum: bool) -> Moments:
    """Moments of (states, w*) before the first step; they are certain."""
    error = problem.modes(problem.start)
    ones = problem.modes(np.ones_like(problem.start))
    rows = np.outer(tableau.translation, error) + np.outer(tableau.start, ones)
    mean = np.vstack([rows, -error]) * (not at_optimum)
    second = mean[:, None, :, None] * mean[None, :, None, :] if problem.coupled else mean[:, None] * mean[None]
    return Moments(second, mean)


class Reference:
    """Moments of one run, advanced by NumPy: what compiled code is tested against, and what coupled problems take.

    Parameters
    ----------
    doubted : whether to carry what rounding errors come to, see `rounding`.
    """

    def __init__(self, problem: Problem, moments: Moments, noisy: bool, doubted: bool = False) -> None:
        self.problem, self.moments, self.noisy = problem, moments, noisy
        self.doubt = _raised(0 * moments.second, diagonal(moments.second)) if doubted else None

    def advance(self, systems: System, steps: int) -> int | None:
        """Take steps; see `Kernel.advance`."""
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(steps):
                self._step(systems.at(step))
                if not _trace(self.moments.second) < OVERFLOW:
                    return step + 1
        return None

    def _step(self, system: System) -> None:
        both = with_gradients(self.problem, system, self.moments, self.noisy)
        self.moments = stepped_on(system, both)
        if self.doubt is not None:
            moved = advance(self.problem, system, Moments(self.doubt, 0 * self.moments.mean), False)
            own = diagonal(self.moments.second) + rounding.reach(self.problem, system, diagonal(both.second)) ** 2
            self.doubt = _raised(moved.second, own)

    def directions(self, row: Array) -> Array:
        """(m,) second moment of a row (n,) of states and w*, by eigendirection."""
        return self._seen(self.moments.second, row)

    def doubts(self, row: Array) -> Array:
        """(m,) what rounding errors in them come to, see `rounding`."""
        assert self.doubt is not None
        return self._seen(self.doubt, row)

    def _seen(self, second: Array, row: Array) -> Array:
        found = mapped_pair(row[None], second, row[None])[0, 0]
        return np.diagonal(found) if self.problem.coupled else found


def diagonal(second: Array) -> Array:
    """(n, m) second moments of each quantity in each eigendirection."""
    return np.einsum("aaii->ai" if second.ndim == 4 else "aai->ai", second)


def _raised(second: Array, by: Array) -> Array:
    """Second moments with (n, m) added to their diagonal."""
    found = second.copy()
    diagonal(found)[...] += by
    return found


def _trace(second: Array) -> float:
    """Sum of the second moments of all states but w*."""
    return float(np.einsum("aaii->" if second.ndim == 4 else "aai->", second[:-1, :-1]))


@dataclass
class Runs:
    """Runs that are advanced together: the parts of the risk, and bounds of their errors.

    Attributes
    ----------
    parts : the run without lasting noise, the one from w* that noise moves, and both where they mix.
    doubted : runs whose `doubts` bound the errors of parts of the same name, with directions grouped where many.
    rooted : whether parts are carried as square roots.
    """

    parts: dict[str, Any]
    doubted: dict[str, Any]
    rooted: bool = False

    @property
    def all(self) -> list[Any]:
        """Each run once, the parts first."""
        return list({id(run): run for run in (*self.parts.values(), *self.doubted.values())}.values())

    def errors(self, row: Array, steps: int, quantities: int) -> dict[str, float]:
        """Bounds of the errors of parts, by name."""
        found = {}
        for name, run in self.doubted.items():
            weights = run.problem.spectrum / 2
            doubt, risk = float(weights @ run.doubts(row)), float(weights @ run.directions(row))
            count = quantities * (weights.size if run.problem.coupled else 1)
            of_states = rounding.of_numbers(run.problem) + (rounding.of_roots(count) if self.rooted else 0)
            by_sums = 0 if self.rooted else rounding.of_sums(count) * doubt
            found[name] = by_sums + rounding.coherent(of_states, count, steps, doubt, risk) + rounding.UNDERFLOW
            found[name] += rounding.of_start(run.problem, risk)
        return found


def _runs(problem: Problem, tables: Tables, steps: int, carries_origin: bool) -> Runs:
    begun = _begun(problem, tables)
    if not isinstance(problem, Uncoupled):
        coupled = {name: Reference(problem, *moments, doubted=name == "risk") for name, moments in begun.items()}
        return Runs(coupled, {"risk": coupled["risk"]})
    doubted = _doubted(problem, tables, steps, carries_origin)
    if doubted["bias"].problem is problem:
        return Runs(doubted, doubted)
    parts = {
        name: Kernel(problem, tables, moments.second, noisy, carries_origin) for name, (moments, noisy) in begun.items()
    }
    return Runs(parts, doubted)


def _doubted(problem: Uncoupled, tables: Tables, steps: int, carries_origin: bool) -> dict[str, Any]:
    """Runs that carry what rounding errors come to, by part."""
    begun = _begun(problem, tables)
    n, _, m = begun["bias"][0].second.shape
    if steps * (_CALLS + n * n * m * _ENTRY) < _COMPILING:
        return {name: Reference(problem, moments, noisy, True) for name, (moments, noisy) in begun.items()}
    found = {}
    for name, (moments, noisy) in begun.items():
        near, second = rounding.grouped(problem, moments.second)
        found[name] = Kernel(near, tables, second, noisy, carries_origin, doubted=True)
    return found


def _begun(problem: Problem, tables: Tables) -> dict[str, tuple[Moments, bool]]:
    """Moments before the first step, and whether there is lasting noise, by part."""
    start, still = (starts(tables.tableau, problem, at_optimum) for at_optimum in (False, True))
    if problem.coupled:
        return {"bias": (start, False), "variance": (still, True), "risk": (start, True)}
    noisy = isinstance(problem, Uncoupled) and problem.floor.any()
    return {"bias": (start, False), **({"variance": (still, True)} if noisy else {})}


def rooted(problem: Uncoupled, tables: Tables, steps: int) -> Runs:
    """The runs by square roots, in the coordinates of the states themselves."""
    begun = _begun(problem, tables)
    parts = {name: Roots(problem, moments.mean, noisy, OVERFLOW) for name, (moments, noisy) in begun.items()}
    return Runs(parts, _doubted(problem, tables, steps, carries_origin=True), rooted=True)


def stepped(
    problem: Problem,
    tables: Tables,
    steps: int,
    of: str,
    carries_origin: bool,
    runs: Runs | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> tuple[Risk, dict[str, Any], bool]:
    """The risk step by step, the runs it was taken from, after the last step, and whether all have their digits."""
    runs = runs or _runs(problem, tables, steps, carries_origin)
    quantities = len(tables.tableau.states) + 1 + tables.tableau.gradients
    wanted = log_spaced(steps).tolist()
    kept: list[dict[str, float]] = []
    errors: list[dict[str, float]] = []
    shares: dict[str, Array] = {}
    diverged = None
    # One core a run: within a step there is too little to share.
    with ThreadPoolExecutor(len(runs.all)) as pool:
        each = pool.map if len(runs.all) > 1 else map
        for until in wanted:
            diverged = _advanced(tables, runs, until, each, report)
            if diverged is not None:
                break
            system = tables.take(0).at(-1)
            row = (system.F if of == "returned" else system.C)[0]
            shares = {name: problem.spectrum / 2 * run.directions(row) for name, run in runs.parts.items()}
            kept.append({name: float(share.sum()) for name, share in shares.items()})
            errors.append(runs.errors(row, until, quantities))
    series = {name: np.array([found[name] for found in kept]) for name in shares}
    error = np.array([sum(found.values()) for found in errors])
    sure = all(
        off <= rounding.WANTED * here[name] + 2 * rounding.UNDERFLOW
        for here, off_by in zip(kept, errors, strict=True)
        for name, off in off_by.items()
    )
    found = assembled(problem, np.array(wanted[: len(kept)]), series, shares, diverged, error)
    return found, runs.parts, sure


def assembled(
    problem: Problem,
    steps: np.ndarray,
    series: dict[str, Array],
    shares: dict[str, Array],
    diverged: int | None,
    error: Array,
) -> Risk:
    """The record from its parts over the steps, and from the eigendirections' shares in the last of them."""
    bias = series["bias"]
    variance = series.get("variance", np.zeros_like(bias))
    total = series["risk"] if problem.coupled else bias + variance
    cross = total - bias - variance if problem.coupled else None
    by_direction = {name: shares.get(name, np.zeros_like(problem.spectrum)) for name in PARTS}
    return Risk(steps, total, bias, variance, cross, diverged, by_direction, error)


def _advanced(
    tables: Tables, runs: Runs, until: int, each: Callable[..., Any], report: Callable[[int], None]
) -> int | None:
    """Take all runs to a step; the step at which the first of the parts diverged, None where none did."""
    while tables.step < until:
        start, count = tables.step, min(_CHUNK, until - tables.step)
        systems = tables.take(count)
        ends = list(each(lambda run: run.advance(systems, count), runs.all))[: len(runs.parts)]  # noqa: B023
        ends = [end for end in ends if end is not None]
        if ends:
            return start + min(ends)
        report(tables.step)
    return None
