"""Refutations by cases of the signs that ranges leave open (see `check.cases`).

In each case the differences of queries, squares of roots and polynomials of sign 0 have no common zero: a derivation of
1 from them, dividing by nonzero polynomials alone, shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any

from accelsim.errors import InputError
from accelsim.program import exact
from accelsim.rule import Hyperparameter
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.groebner import Elimination, Line, made, premises
from accelsim.symbolic.check.cases import Trial
from accelsim.symbolic.check.contradictions import Case, Cases, OnSequence, Sign, Term
from accelsim.symbolic.check.contradictions import Line as Derived
from accelsim.symbolic.check.counterexample import SCHEDULED
from accelsim.symbolic.system.functions import Beyond
from accelsim.symbolic.system.pair import Pair
from accelsim.symbolic.system.rule_sequences import independent, recurrences, values_of
from accelsim.symbolic.system.specialization import switched

# first steps at several lengths and of either sign, then gradients that do and do not agree with those before, and none
STEPS = 6  # more than there are gradients in a sequence
Sequences = tuple[tuple[int, ...], ...]
FIRST: Sequences = ((1,), (2,), (3,))
SEQUENCES: tuple[Sequences, ...] = (
    FIRST,
    ((0, 1), (0, 2), (5, 9), (10, 18), (1, 0), (2, 0)),
    ((0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1), (8, -1, 1), (0, 8, -1)),
    ((-1,), (1,), (2,)),
)
IMPULSES = tuple(tuple(tuple(int(i == k) for i in range(n)) for k in range(n)) for n in (3, 4))
SEEDS = 2  # choices of rule a's hyperparameters
RATES = tuple(map(Fraction, ("1/2", "9/16", "7/16", "3/4")))  # roots of 1 + r and 1 - r among them are rational
SIZES = tuple(map(Fraction, ("1", "1/2", "3/2")))
LINES, SOME = 90, 30  # that are looked at in a case; where signs are open, which are tried next
MOST_SIGNS = 4  # that are open in a trial


class _Enough(Exception):
    """The work allowed for one case is done."""


class _Work(Clock):
    """Budget in lines of a derivation, within one in work."""

    def __init__(self, clock: Clock, lines: int) -> None:
        super().__init__(clock.left)
        self.lines = lines

    def check(self) -> None:
        """Count one more line."""
        super().check()
        self.lines -= 1
        if self.lines < 0:
            raise _Enough


@dataclass(frozen=True)
class _Closed:
    """Case with the derivation of 1 from its premises; None in place of it where ranges exclude the case."""

    trial: Trial
    last: Line | None


def refute_by_cases(pair: Pair, clock: Clock, gradients: Sequence[Sequences] = SEQUENCES) -> Cases | None:
    """Search for gradients on which rule b cannot query what rule a does, whatever schedules its hyperparameters are.

    Both rules are run as they are. In each case of signs, Buchberger's algorithm looks for a derivation of 1 from the
    differences of their queries.

    Parameters
    ----------
    gradients : sets of sequences; those of a set are looked at together.

    Returns
    -------
    Cases
        The counterexample; None where none was found.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.

    References
    ----------
    Buchberger 1965, doi:10.1016/j.jsc.2005.09.007. Hilbert 1893, doi:10.1007/BF01444162 (Nullstellensatz).
    """
    for sequences in gradients:
        for seed in range(SEEDS):
            clock.check()
            with suppress(Beyond, InputError, ArithmeticError):
                values = numbers(pair, seed)
                trial = partial(Trial, pair.a, pair.b, values, pair.set_b, sequences)
                found = _closed(trial, {}, clock)
                if found is not None:
                    return _counterexample(pair, values, sequences, found)
    return None


def numbers(pair: Pair, seed: int) -> dict[str, Any]:
    """Rational hyperparameters of rule a, given ones among them; for rates r, 1 + r or 1 - r has a rational root.

    Returns
    -------
    Texts by name; of recurrences and of what varies, lists of one text a step.

    Raises
    ------
    InputError
        If a recurrence is irrational, or does not exist, at these numbers.
    """
    found: dict[str, Any] = {}
    rule, given, varying = pair.a, pair.set_a, pair.anything
    freed = {*given, *varying}
    for i, name in enumerate(independent(switched(rule, dict(given)), freed)):
        declared = rule.hyperparameters[name]
        row = [str(_number(declared, i + seed + t, seed)) for t in range(STEPS)]
        found[name] = str(given[name]) if name in given else row if name in varying else row[0]
    return found | values_of(rule, freed, {**given, **found}, STEPS)


def _number(declared: Hyperparameter, i: int, seed: int) -> Fraction:
    if declared.holds(0) and declared.holds(RATES[-1]) and not declared.holds(SIZES[-1]):
        return RATES[i % len(RATES)]
    size = SIZES[i % len(SIZES)] * (-1 if seed % 2 and declared.holds(-SIZES[-1]) else 1)
    if declared.holds(size):
        return size
    low, high = (exact(min(max(edge, -2.0), 2.0)) for edge in (declared.low, declared.high))
    return low + (high - low) * RATES[i % len(RATES)]


def _closed(trial: Callable[..., Trial], signs: dict[Any, int], clock: Clock) -> list[_Closed] | None:
    """A complete set of cases, each with a derivation; None where one has none."""
    here = trial(signs=signs)
    if not any(here.differences.values()):
        return None
    if here.impossible:
        return [_Closed(here, None)]
    last = _contradiction(here, clock)
    if last is not None:
        return [_Closed(here, last)]
    if not here.open or len(signs) >= MOST_SIGNS:
        return None
    polynomial = next(iter(here.open.values()))
    cases: list[_Closed] = []
    for value in (0, 1, -1):
        more = _closed(trial, {**signs, polynomial: value}, clock)
        if more is None:
            return None
        cases += more
    return cases


def _contradiction(trial: Trial, clock: Clock) -> Line | None:
    """The line 1 from the premises without open signs; None where there is none."""
    import sympy

    given = [(i, p) for i, p in enumerate(trial.premises) if p != 0 and not p.free_symbols & trial.open.keys()]
    symbols = set().union(*(p.free_symbols for _, p in given))
    if any("[" not in symbol.name for symbol in symbols):  # a number such as exp(1), which no certificate can name
        raise Beyond
    ring = _ring(trial, symbols)
    polynomials = [(i, ring.from_expr(sympy.expand(p))) for i, p in given]
    lines = [made(p, (Line(p, (), i), 1)) for i, p in polynomials]
    factors = {f for _, p in given for f, _ in trial.functions.factors(p)[1]} | trial.nonzero.factors
    units = [f for f in (*factors, *symbols, *(1 - x for x in symbols)) if f.free_symbols <= symbols]
    known = [ring.from_expr(sympy.expand(f)) for f in units if f in trial.nonzero]
    elimination = Elimination(list(dict.fromkeys(known)), _Work(clock, SOME if trial.open else LINES))
    with suppress(_Enough):
        for step in sorted({_last(line.polynomial, ring) for line in lines}):
            # those of early steps first, which say what hyperparameters are there
            here = [line for line in lines if _last(line.polynomial, ring) == step]
            if (found := elimination.contradiction(here)) is not None:
                return found
    return None


def _ring(trial: Trial, symbols: Set[Any]) -> Any:
    """Polynomial ring ordered to eliminate symbols outside of all radicands first, then roots, then the rest."""
    import sympy
    from sympy.polys.orderings import ProductOrder, grevlex

    from accelsim.symbolic.algebra.rings import Ring

    within = set().union(*(square.free_symbols for square in trial.roots.values()))
    free = sorted(symbols - trial.roots.keys() - within, key=_late)
    roots = [x for x in trial.roots if x in symbols]
    i, j = len(free), len(free) + len(roots)
    blocks = ((grevlex, lambda m: m[:i]), (grevlex, lambda m: m[i:j]), (grevlex, lambda m: m[j:]))
    ordered = [*free, *roots, *sorted(symbols - {*free, *roots}, key=_late)]
    return Ring(ordered or [sympy.Symbol("none")], sympy.QQ, cache(ProductOrder(*blocks)))


def _last(polynomial: Any, ring: Any) -> int:
    """Latest step of an unknown in a polynomial."""
    used = {str(ring.symbols[i]) for m in polynomial for i, power in enumerate(m) if power}
    steps = (name.partition("[") for name in used if not name.startswith("sqrt["))
    return max((int(step.removesuffix("]")) for _, _, step in steps), default=-1)


def _late(symbol: Any) -> tuple[int, str]:
    """Sort key of unknowns: those of later steps are eliminated first."""
    name, _, step = symbol.name.partition("[")
    return -int(step.removesuffix("]")), name


def _counterexample(pair: Pair, values: Mapping[str, Any], sequences: Sequence[Any], cases: list[_Closed]) -> Cases:
    shown = cases[0].trial.shown
    return Cases(
        hyperparameters=dict(values),
        unknown=SCHEDULED,
        relaxed=list(recurrences(pair.b, pair.set_b)),
        gradients=[list(map(str, row)) for row in sequences],
        answers=[OnSequence(i, t) for i, t in shown],
        values=[str(value) for value in shown.values()],
        cases=list(map(_case, cases)),
    )


def _case(case: _Closed) -> Case:
    import sympy

    given, lines = premises(case.last) if case.last else ([], [])
    place = {line: line.name for line in given}
    place |= {line: len(case.trial.premises) + i for i, line in enumerate(lines)}

    def term(line: Line, above: Any, below: Any) -> Term:
        return Term(place[line], str(above.as_expr() / sympy.factor(below.as_expr())))

    return Case(
        [Sign(str(polynomial), sign) for polynomial, sign in case.trial.signs.items()],
        [Derived(str(line.polynomial.as_expr()), [term(x, *factor) for x, factor in line.terms]) for line in lines],
    )
