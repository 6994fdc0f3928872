"""Refutations of rules as they are, case by case in the signs that ranges leave open (see `check.cases`).

In each case the differences of the queries, the squares of roots and what is zero in the case have no common zero: a
derivation of 1 from them, divided by what is not zero, says so.
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
from accelsim.symbolic.algebra.elimination import Clock
from accelsim.symbolic.algebra.groebner import Elimination, Line, made, premises
from accelsim.symbolic.check.cases import Trial
from accelsim.symbolic.system.functions import Beyond
from accelsim.symbolic.system.pair import Question
from accelsim.symbolic.system.rule_sequences import reads, recurrences, values_of

# first steps at several lengths, then gradients that do and do not agree with those before, and none
STEPS = 6  # more than there are gradients in a sequence
Sequences = tuple[tuple[int, ...], ...]
FIRST: Sequences = ((1,), (2,), (3,))
SEQUENCES: tuple[Sequences, ...] = (
    FIRST,
    ((0, 1), (0, 2), (5, 9), (10, 18), (1, 0), (2, 0)),
    ((0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1), (8, -1, 1), (0, 8, -1)),
)
IMPULSES = tuple(tuple(tuple(int(i == k) for i in range(n)) for k in range(n)) for n in (3, 4))
SEEDS = 2  # choices of rule a's hyperparameters
RATES = tuple(map(Fraction, ("1/2", "9/16", "7/16", "3/4")))  # roots of 1 + r and 1 - r among them are rational
SIZES = tuple(map(Fraction, ("1", "1/2", "3/2")))
LINES, SOME = 90, 30  # that are looked at in a case; where signs are open, which are tried next
MOST_SIGNS = 4  # that are open in a trial


class _Enough(Exception):
    """As much work as is allowed for one case was done."""


class _Work(Clock):
    """A budget in lines that are looked at, within one in seconds."""

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
class Case:
    """A case, and the derivation of 1 from its premises; None where ranges exclude it."""

    trial: Trial
    last: Line | None


def refute_by_cases(
    question: Question, varying: Sequence[str], clock: Clock, gradients: Sequence[Sequences] = SEQUENCES
) -> dict[str, Any] | None:
    """A counterexample as a document (see `certify.verifier`), None where none was found.

    Parameters
    ----------
    varying : the first rule's hyperparameters that are unknown functions of t.
    gradients : sequences that are looked at together, one set after the other.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.
    """
    for sequences in gradients:
        for seed in range(SEEDS):
            clock.check()
            with suppress(Beyond, InputError, ArithmeticError):
                values = numbers(question, varying, seed)
                trial = partial(Trial, question.a, question.b, values, question.set_b, sequences)
                found = _closed(trial, {}, clock)
                if found is not None:
                    return _document(question, values, sequences, found)
    return None


def numbers(question: Question, varying: Sequence[str], seed: int) -> dict[str, Any]:
    """Rule a's hyperparameters: what is given, and numbers in their ranges, by step for those that vary."""
    found: dict[str, Any] = {}
    rule, given = question.a, question.set_a
    freed = {*given, *varying}
    own = recurrences(rule, freed)
    for i, name in enumerate(dict.fromkeys((*rule.program(given).reads, *reads(rule, freed)))):
        declared = rule.hyperparameters[name]
        if declared.switch or name in own:
            continue
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


def _closed(trial: Callable[..., Trial], signs: dict[Any, int], clock: Clock) -> list[Case] | None:
    """Cases that together are all there are, each with a derivation; None where one has none."""
    here = trial(signs=signs)
    if not any(here.differences.values()):
        return None
    if here.impossible:
        return [Case(here, None)]
    last = _contradiction(here, clock)
    if last is not None:
        return [Case(here, last)]
    if not here.open or len(signs) >= MOST_SIGNS:
        return None
    polynomial = next(iter(here.open.values()))
    cases: list[Case] = []
    for value in (0, 1, -1):
        more = _closed(trial, {**signs, polynomial: value}, clock)
        if more is None:
            return None
        cases += more
    return cases


def _contradiction(trial: Trial, clock: Clock) -> Line | None:
    """The line 1, made of those premises in which no sign is open."""
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
    """Polynomials, ordered to eliminate what is in no square of a root first, then roots, then the other unknowns."""
    import sympy
    from sympy.polys.orderings import ProductOrder, grevlex
    from sympy.polys.rings import PolyRing

    within = set().union(*(square.free_symbols for square in trial.roots.values()))
    free = sorted(symbols - trial.roots.keys() - within, key=_late)
    roots = [x for x in trial.roots if x in symbols]
    i, j = len(free), len(free) + len(roots)
    blocks = ((grevlex, lambda m: m[:i]), (grevlex, lambda m: m[i:j]), (grevlex, lambda m: m[j:]))
    ordered = [*free, *roots, *sorted(symbols - {*free, *roots}, key=_late)]
    return PolyRing(ordered or [sympy.Symbol("none")], sympy.QQ, cache(ProductOrder(*blocks)))


def _last(polynomial: Any, ring: Any) -> int:
    """The last step of which an unknown is in a polynomial."""
    used = {str(ring.symbols[i]) for m in polynomial for i, power in enumerate(m) if power}
    steps = (name.partition("[") for name in used if not name.startswith("sqrt["))
    return max((int(step.removesuffix("]")) for _, _, step in steps), default=-1)


def _late(symbol: Any) -> tuple[int, str]:
    """Unknowns of later steps are eliminated first."""
    name, _, step = symbol.name.partition("[")
    return -int(step.removesuffix("]")), name


def _document(
    question: Question, values: Mapping[str, Any], sequences: Sequence[Any], cases: list[Case]
) -> dict[str, Any]:
    shown = cases[0].trial.shown
    return {
        "kind": "cases",
        "hyperparameters": dict(values),
        "unknown": "one a step",
        "loose": list(recurrences(question.b, question.set_b)),
        "gradients": [list(map(str, row)) for row in sequences],
        "answers": [{"gradients": i, "step": t} for i, t in shown],
        "values": [str(value) for value in shown.values()],
        "cases": [_case(case) for case in cases],
    }


def _case(case: Case) -> dict[str, Any]:
    import sympy

    given, lines = premises(case.last) if case.last else ([], [])
    place = {line: line.name for line in given}
    place |= {line: len(case.trial.premises) + i for i, line in enumerate(lines)}

    def term(line: Line, above: Any, below: Any) -> dict[str, Any]:
        return {"of": place[line], "times": str(above.as_expr() / sympy.factor(below.as_expr()))}

    return {
        "signs": [{"of": str(polynomial), "is": sign} for polynomial, sign in case.trial.signs.items()],
        "lines": [
            {"is": str(line.polynomial.as_expr()), "terms": [term(x, *factor) for x, factor in line.terms]}
            for line in lines
        ],
    }
