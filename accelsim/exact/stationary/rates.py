"""The rate of a rule with constant coefficients: spectral radius per step of the map of second moments.

The map preserves the cone of positive semidefinite moments, so its spectral radius rho is an eigenvalue (Krein and
Rutman), and the one of largest real part. Computed is mu = rho - 1 itself: near rho = 1 that keeps the digits of the
time constant. On problems without coupling it comes from a scalar equation (`secular`) or from a small matrix
(`coupling`), in O(d); on tables from a map of m x m matrices (`structured`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import Any, NamedTuple, Protocol

import numpy as np

from accelsim import machine, program
from accelsim.errors import InputError, unknown
from accelsim.exact.linear import linear_tableau
from accelsim.exact.minimal import Realization, balanced, merged, minimal
from accelsim.exact.stationary.bounds import Enclosure, Judge, enclosed, forced
from accelsim.exact.stationary.cone import ABOVE, BELOW, UNKNOWN
from accelsim.exact.stationary.coupling import Coupling
from accelsim.exact.stationary.dense import Dense
from accelsim.exact.stationary.secular import Secular, TooLarge, too_large
from accelsim.exact.stationary.structured import Structured
from accelsim.exact.tables import System, mapped_pair
from accelsim.notebook import Told
from accelsim.optimizers import find
from accelsim.problems import Problem, Uncoupled
from accelsim.problems.dataset import Dataset
from accelsim.rule import Optimizer
from accelsim.spectra import Array
from accelsim.threads import single_threaded

_DOUBT = 1e-6  # of a floor: the error from which on it is not told
_APART = 1e-6  # relative distance of certain stability from certain instability up to which an edge is told
_FACTORS = (2.0,) * 40 + (2.0**32,) * 10 + (2.0**128,) * 14  # of the steps in search of an edge, to all of float64


@dataclass(frozen=True)
class Rate(Told):
    """How fast the risk falls to its floor, or grows, with certified bounds.

    Attributes
    ----------
    rho : spectral radius per step of the second moments; infinite where it is beyond the range of float64.
    tau : -1 / ln rho, in steps; infinite where the run does not settle.
    stable : rho < 1; None where the bounds lie on both sides of 1.
    rho_low, rho_high : bounds on rho, each by one application of the moments' map; see `cone`.
    one_minus_rho, one_minus_rho_low, one_minus_rho_high : 1 - rho and its bounds, with the digits that rho itself has
        not where it is near 1.
    """

    rho: float
    tau: float
    stable: bool | None
    rho_low: float
    rho_high: float
    one_minus_rho: float
    one_minus_rho_low: float
    one_minus_rho_high: float

    @classmethod
    def of(cls, found: Enclosure) -> Rate:
        """From bounds on rho - 1."""
        mu, low, high = found
        stable = True if high <= 0 else False if low >= 0 else None
        tau = math.inf if mu >= 0 or stable is False else -1 / math.log1p(mu) if mu > -1 else 0.0
        rho_low, rho_high = max(math.nextafter(1 + low, -math.inf), 0.0), math.nextafter(1 + high, math.inf)
        return cls(max(1 + mu, 0.0), tau, stable, rho_low, rho_high, 0.0 - mu, 0.0 - high, 0.0 - low)

    def _statement(self) -> dict[str, Any]:
        return {**vars(self), "stable": "unknown" if self.stable is None else self.stable}


class Constant(NamedTuple):
    """A rule with constant coefficients.

    Attributes
    ----------
    realization : minimal and balanced, in fractions.
    stages : the number of gradients of each yield, those merged that act as one.
    lasting : by gradient, whether noise that stays at the optimum is in it.
    """

    realization: Realization
    stages: tuple[int, ...]
    lasting: tuple[bool, ...]


def exact_system(optimizer: Optimizer, /, **hyperparameters: Any) -> Constant:
    """What matters of a linear rule with constant coefficients: reachable and observable, in fractions.

    Raises
    ------
    InputError
        If the rule is not linear, or if its coefficients vary in time.
    """
    tableau = linear_tableau(optimizer, **hyperparameters)
    if not tableau.constant(**hyperparameters):
        raise InputError(f"the coefficients of {optimizer} vary in time here, so it has no one rate: use risk instead")
    numeric = next(tableau.rows(program.exact, **hyperparameters))
    numeric, stages, lasting = merged(numeric, tableau.stages)
    return Constant(balanced(minimal(tableau, numeric)), stages, lasting)


def constant_system(optimizer: Optimizer, /, **hyperparameters: Any) -> tuple[System, Array]:
    """The realisation of `exact_system` in floats, and A - I with the digits of fractions."""
    exact, stages, _ = exact_system(optimizer, **hyperparameters)
    return _floats(exact, stages)


def _floats(exact: Realization, stages: tuple[int, ...]) -> tuple[System, Array]:
    try:
        a, b, c, d, f = (matrix.astype(float) for matrix in exact[:5])
    except OverflowError:
        raise too_large() from None
    return System(a, b, c, d, f, stages), _step(exact).astype(float)


def _step(exact: Realization) -> Array:
    return exact.A - np.eye(len(exact.A), dtype=int)


class _Solver(Protocol):
    """A rate rho - 1, and what certifies its side."""

    @property
    def judge(self) -> Any: ...

    def gap(self) -> float: ...


def _solver(exact: Realization, stages: tuple[int, ...], problem: Problem) -> _Solver:
    machine.require()
    system, step = _floats(exact, stages)
    if isinstance(problem, Uncoupled):
        if stages == (1,):
            return Secular(System(*exact[:5], stages), _step(exact), problem)  # type: ignore[arg-type]
        return Coupling(system, step, problem)
    assert isinstance(problem, Dataset)
    return Structured(system, step, problem) if stages == (1,) else Dense(system, step, problem)


@single_threaded
def rate(optimizer: Optimizer | str, problem: Problem, /, **hyperparameters: Any) -> Rate:
    """Spectral radius per step of a linear rule's second moments.

    Label noise, residuals and additive noise set the floor, never the rate; so does the pull of weight decay.

    Returns
    -------
    Rate
        rho with proved bounds, and whether the rule is stable where these say so.

    Raises
    ------
    InputError
        If the rule is not linear, its coefficients vary in time, a table is too large, or the rate overflows and it is
        not certain that the mean grows.
    """
    optimizer = find(optimizer)
    try:
        return Rate.of(enclosure(optimizer, problem, **hyperparameters))
    except TooLarge:
        if _grows(exact_system(optimizer, **hyperparameters).realization, problem):
            return Rate(math.inf, math.inf, False, 1.0, math.inf, -math.inf, -math.inf, 0.0)
        raise


def _grows(exact: Realization, problem: Problem) -> bool:
    """Whether the mean is sure to grow in the steepest direction: its map's eigenvalues average above 1 in size.

    In fractions, so that nothing overflows.
    """
    lam, one = Fraction(float(problem.spectrum.max())), np.eye(len(exact.D), dtype=int)
    queries = one + Fraction(0)
    for _ in range(len(exact.D) - 1):  # the inverse of 1 - lam D, as D is nilpotent
        queries = one + lam * (exact.D @ queries)
    step = exact.A + lam * (exact.B @ queries @ exact.C)
    return bool(abs(np.trace(step)) > len(step))


@single_threaded
def enclosure(optimizer: Optimizer, problem: Problem, /, **hyperparameters: Any) -> Enclosure:
    """rho - 1 and its bounds, with the digits that rho itself has not; otherwise as `rate`."""
    exact, stages, _ = exact_system(optimizer, **hyperparameters)
    if _still(exact) and len(exact.A) == 1:  # every step is the identity: there is nothing to look for
        return Enclosure(0.0, 0.0, math.ulp(0.0))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        solver, guess = _guessed(exact, stages, problem)
        found = enclosed(solver.judge, guess)
    if _still(exact):
        return found._replace(low=max(found.low, 0.0))
    return found


def _guessed(exact: Realization, stages: tuple[int, ...], problem: Problem) -> tuple[_Solver, float]:
    """A solver, and the rate that it finds."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        solver = _solver(exact, stages, problem)
        try:
            guess = solver.gap()
        except np.linalg.LinAlgError:  # what eigenvalues make of infinity
            raise too_large() from None
        if not math.isfinite(guess):
            raise too_large()
        return solver, guess


@single_threaded
def guess(optimizer: Optimizer, problem: Problem, /, **hyperparameters: Any) -> float:
    """Estimate of rho - 1 by a solver, not certified: for searches, whose end is.

    It is infinite where it overflows and the mean is sure to grow.

    Raises
    ------
    InputError
        As `rate` does.
    """
    exact, stages, _ = exact_system(optimizer, **hyperparameters)
    try:
        return _guessed(exact, stages, problem)[1]
    except TooLarge:
        if _grows(exact, problem):
            return math.inf
        raise


def gap(optimizer: Optimizer, problem: Problem, /, **hyperparameters: Any) -> float:
    """rho - 1, with the digits that rho itself has not; otherwise as `rate`."""
    return enclosure(optimizer, problem, **hyperparameters).gap


@single_threaded
def stable(optimizer: Optimizer, problem: Problem, /, **hyperparameters: Any) -> bool | None:
    """Whether rho < 1, for less than the price of a rate; None where that is not certain, otherwise as `rate`."""
    exact, stages, _ = exact_system(optimizer, **hyperparameters)
    return _settles(exact, stages, problem)[0]


def _still(exact: Realization) -> bool:
    """Whether no gradient moves anything: a translation stays what it is, so rho is 1 at least."""
    return not exact.B.any() and bool((exact.A @ exact.translation == exact.translation).all())


def _settles(exact: Realization, stages: tuple[int, ...], problem: Problem) -> tuple[bool | None, _Solver | None]:
    """Whether rho < 1, and what finds the floor."""
    if _still(exact):
        return False, None
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            solver = _solver(exact, stages, problem)
            side, _ = solver.judge(0.0)
    except TooLarge:
        if _grows(exact, problem):
            return False, None
        raise
    if side == UNKNOWN and _grows(exact, problem):
        return False, solver
    return {ABOVE: True, BELOW: False, UNKNOWN: None}[side], solver


@single_threaded
def floor(optimizer: Optimizer | str, problem: Problem, /, **hyperparameters: Any) -> float | None:
    """Excess risk of the returned iterate in the end; None where the run is not certain to settle.

    It is the fixed point of the moments: what label noise, residuals and additive noise leave, and the pull of weight
    decay.

    It is certain to a millionth, but for rounding in the means that weight decay's pull leaves.

    Raises
    ------
    InputError
        As `rate` does, and where the floor is not certain to a millionth.
    """
    optimizer = find(optimizer)
    exact, stages, lasting = exact_system(optimizer, **hyperparameters)
    settles, solver = _settles(exact, stages, problem)
    if not settles or solver is None:
        return None
    queries, returned = _limits(exact, lasting, problem)
    if problem.coupled:
        second = queries[:, None, :, None] * queries[None, :, None, :]
    else:
        second = queries[:, None] * queries[None]
    noise = np.where(
        np.reshape(lasting, (-1, *[1] * (second.ndim - 1))),
        problem.noise(second, queries, True),
        problem.noise(second, queries, False),
    )
    judge: Judge = solver.judge
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            settled, doubt = judge.settled(forced(judge.problem, judge.system, noise))
    except np.linalg.LinAlgError:
        raise InputError("the floor was not found: rounding leaves too little of its equation") from None
    found, error = (problem.spectrum @ _directions(judge.system.F, second) / 2 for second in (settled, doubt))
    found += problem.spectrum @ returned**2 / 2
    if not error <= _DOUBT * found:
        raise InputError(
            f"the floor is {found:.6g} give or take {error:.2g}, which is all that rounding leaves: use risk after "
            "many steps"
        )
    return float(found)


def _directions(row: Array, second: Array) -> Array:
    """(m,) second moments of a row (1, k) of states."""
    found = mapped_pair(row, second, row)[0, 0]
    return np.diagonal(found) if found.ndim == 2 else found


def _limits(exact: Realization, lasting: tuple[bool, ...], problem: Problem) -> tuple[Array, Array]:
    """Limits of the mean query errors (G, m) and of the mean returned error (m,): not zero under weight decay."""
    one = exact.translation
    drives = (exact.A @ one - one, exact.C @ one - np.array(lasting, dtype=int), exact.F @ one - 1)
    a, c, f = (drive.astype(float) for drive in drives)
    if not (a.any() or c.any() or f.any()):
        return np.zeros((len(c), problem.spectrum.size)), np.zeros(problem.spectrum.size)
    system, step = _floats(exact, (len(c),))
    lam, optimum = problem.spectrum[:, None, None], -problem.modes(problem.start)
    k = np.linalg.inv(np.eye(len(c)) - lam * system.D)
    force = a[:, None] + lam * (system.B @ k @ c[:, None])
    states = np.linalg.solve(-(step + lam * (system.B @ k @ system.C)), force)
    queries = k @ (system.C @ states + c[:, None])
    return queries[..., 0].T * optimum, ((system.F @ states)[:, 0, 0] + f[0]) * optimum


@single_threaded
def edge(optimizer: Optimizer | str, problem: Problem, name: str, /, **hyperparameters: Any) -> float | None:
    """The value of a hyperparameter at which the rule turns unstable, the others as they are.

    Looked for from the value given, in steps that double or halve it (or its distance from a finite bound), first
    upwards if the rule is stable there and downwards if not, then bisected to twelve digits, or to a millionth where
    rounding leaves no more certain. Between two places that are looked at there may be others. None if none is found
    within the hyperparameter's range, on the value's side of 0.

    Raises
    ------
    InputError
        As `rate` does, for a name that is none of a number, and where it is not certain whether the rule is stable at
        the value given, or near the edge: then the message says between which values the edge lies.
    """
    optimizer = find(optimizer)
    if name not in optimizer.hyperparameters:
        raise unknown(f"hyperparameter of {optimizer}:", name, optimizer.hyperparameters)
    declared = optimizer.hyperparameters[name]
    if declared.switch:
        raise InputError(f"{name} of {optimizer} is a whole number: it has no edge of stability to bisect")
    given = optimizer.resolve(**hyperparameters)[name]
    if not isinstance(given, Real):
        raise InputError(f"{name} of {optimizer} varies in time here: its edge of stability needs a number")

    finite = math.isfinite(declared.high)
    bound, sign = (declared.high, -1.0) if finite else (0.0, math.copysign(1.0, given))

    def holds(distance: float) -> bool | None:
        return stable(optimizer, problem, **{**hyperparameters, name: bound + sign * distance})

    start = abs(float(given) - bound) or (1e-9 if finite else 1.0)
    inside = holds(start)
    if inside is None:
        raise InputError(f"whether {optimizer} is stable at {name} = {given:g} is not certain: take another value")
    for outwards in (True, False) if inside != finite else (False, True):
        near = start
        for far in _places(start, outwards, declared.high - declared.low if finite else math.inf):
            if not (0 < far < math.inf and declared.holds(bound + sign * far)):
                break
            there = holds(far)
            if there is None:
                continue
            if there != inside:
                good, bad = _bisected(holds, *((near, far) if inside else (far, near)))
                if abs(bad - good) > _APART * abs(bad):
                    ends = sorted(bound + sign * end for end in (good, bad))
                    raise InputError(
                        f"the edge of stability in {name} lies between {ends[0]:.12g} and {ends[1]:.12g}, where "
                        "rounding leaves it open whether the run is stable"
                    )
                return bound + sign * (good + bad) / 2
            near = far
    return None


def _places(start: float, outwards: bool, span: float) -> Iterator[float]:
    """Distances from a bound, from the start towards it or away from it, to the range's other end if it has one."""
    here = start
    for factor in _FACTORS:
        if not outwards:
            here /= factor
        elif math.isfinite(span):
            here = span - (span - here) / factor
        else:
            here *= factor
        yield here


def step_sizes_of(optimizer: Optimizer) -> list[str]:
    """The hyperparameters to bisect where none is named: lr, or else those without an upper bound."""
    unbounded = [name for name, h in optimizer.hyperparameters.items() if h.high == math.inf and not h.switch]
    return ["lr"] if "lr" in unbounded else unbounded


@single_threaded
def over_grid(optimizer: Optimizer, problem: Problem, axes: Mapping[str, Array], /, **fixed: Any) -> Array:
    """Time constants over two hyperparameters, infinite where unstable.

    Parameters
    ----------
    axes : two names, each with the values (n,) it takes.
    **fixed : the other hyperparameters.

    Returns
    -------
    (n of the second, n of the first).

    Raises
    ------
    InputError
        As `rate` does.
    """
    (first, across), (second, up) = axes.items()
    return np.array(
        [[rate(optimizer, problem, **fixed, **{first: x, second: y}).tau for x in across.tolist()] for y in up.tolist()]
    )


def _bisected(holds: Callable[[float], bool | None], good: float, bad: float) -> tuple[float, float]:
    """The last place where a condition holds on the way from good to bad, and the first where it does not.

    To twelve digits, or as near as it is certain that it holds and that it does not.
    """
    while abs(bad - good) > 1e-12 * abs(bad):
        middle = (good + bad) / 2
        there = holds(middle)
        if there is None:
            return _last(lambda x: holds(x) is True, good, middle), _last(lambda x: holds(x) is False, bad, middle)
        good, bad = (middle, bad) if there else (good, middle)
    return good, bad


def _last(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """The last place from which a condition holds on the way from inside to outside, to twelve digits."""
    while abs(outside - inside) > 1e-12 * abs(outside):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside
