"""Runs of two rules as they are on the gradients of a counterexample: nothing is called refuted that they do not show.

The first rule is at the counterexample's hyperparameters, the second one at constants at which it comes near the first
one's queries, as a person would try: an example. That no others do better, constants or schedules, is what the
counterexample proves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from numbers import Rational, Real
from typing import Any

import numpy as np

from accelsim import program
from accelsim.elementary import pi
from accelsim.errors import InputError
from accelsim.language import evaluated
from accelsim.program import exact
from accelsim.rule import Hyperparameter, Optimizer
from accelsim.symbolic.system.gradients import Place, Run, runs
from accelsim.symbolic.system.rule_sequences import Followed, independent

DIGITS = 4  # of a hyperparameter of the example
NEAR = 1e-6  # a short fraction is taken for it that is so near
SMALL = 500  # denominators of short fractions
SHORT = 12  # characters of a fraction that is told as it is; others are decimals
SHOWN = 10  # significant digits of those
ROUNDS = 40  # of a search for an example
VANISHING = 1e-3  # what must not be zero is not so near it in an example
FAR = 1e-6  # a difference of queries that is not rounding, relative to their size
WIDE = 4.0  # values beyond which no example is looked for
Row = Callable[[int], Mapping[str, Any]]  # hyperparameters at a step


class _Seen(Exception):
    """The last point has been queried."""


def queries(
    rule: Optimizer, row: Row, run: Run, number: Callable[[Any], Any] = exact, other: bool = False
) -> list[tuple[Any, ...]]:
    """By step, the points that a rule queries in a run, and last what it returns before the step.

    Gradients of one sample at one point are one.

    Parameters
    ----------
    number : the arithmetic: `exact`, in which roots must be rational, or `float`.
    other : whether the gradients are another rule's, which may have queried points apart where this one does not.

    Raises
    ------
    InputError, ArithmeticError
        Where it cannot be run so.
    """
    traced, last = rule.program(), len(run.gradients) - 1
    literal = number if number is float else rational
    state = {name: literal(value) for name, value in rule.start(run.start).items()}
    shown: list[tuple[Any, ...]] = []
    for t, gradients in enumerate(run.gradients):
        asked: list[Any] = []

        def answer(points: tuple[Any, ...], t: int = t, asked: list[Any] = asked, given: Any = gradients) -> Any:
            told = given[len(asked) : len(asked) + len(points)]
            found = tuple(told[points.index(point)] for point in points)
            if found != told and not other:
                raise InputError("gradients of one sample at one point are one")
            asked.extend(points)
            if t == last and len(asked) == len(given):  # what the last step makes of them is not looked at
                raise _Seen
            return tuple(map(number, found))

        returned = state[rule.returns]
        with suppress(_Seen):
            state = program.run(traced, state, number(t), row(t), answer, literal)
        shown.append((*asked, returned))
    if number is exact and not all(isinstance(x, Rational) for points in shown for x in points):
        raise InputError(f"{rule} cannot be run in fractions")
    return shown


def rational(value: Any) -> Fraction:
    """A literal as the fraction that it is.

    Raises
    ------
    InputError
        For the number pi, of which a float is but near.
    """
    if value == pi:
        raise InputError("pi is no fraction")
    return exact(value)


def row_of(rule: Optimizer, values: Mapping[str, Any], number: Callable[[Any], Any] = exact) -> Row:
    """Hyperparameters of a rule by step: switches as they are, texts in t, lists of those, and other recurrences."""
    switches = {name: h.default for name, h in rule.hyperparameters.items() if h.switch}

    def told(name: str, t: int) -> Any:
        value = values[name]
        value = value[t] if isinstance(value, list | tuple) else value
        return _read(value, t, number) if isinstance(value, str) else number(value)

    followed = Followed(rule, values, told, number if number is float else rational)

    def row(t: int) -> Mapping[str, Any]:
        own = {name: followed.at(t)[name] for name in followed.own}
        return switches | own | {name: told(name, t) for name in values if name not in switches}

    return row


def _read(text: str, t: int, number: Callable[[Any], Any]) -> Any:
    """A written hyperparameter at a step."""
    if number is float:
        return float(evaluated(text, {"t": float(t)}, float))
    value = evaluated(text, {"t": Fraction(t)}, rational)
    if not isinstance(value, Rational):
        raise InputError(f"{text} is no fraction at t = {t}")
    return exact(value)


def seen(
    a: Optimizer, b: Optimizer, set_b: Mapping[str, Any], found: Mapping[str, Any], free: Collection[str] = ()
) -> dict[str, Any] | None:
    """What both rules query on a counterexample's gradients, as a document; None where that is the same, or unclear.

    Recurrences of b are what they are, unless they are free or known.

    The document has `hyperparameters` of b, and for each of the `runs` its `start`, its `gradients` (by step), and what
    `a` and `b` query at each step: fractions, or decimals.
    """
    made = runs(found, a.program().gradients)
    try:
        mine = {place: _told(a, found["hyperparameters"], run) for place, run in made.items()}
    except (InputError, ArithmeticError, ValueError, TypeError):
        return None
    names = [name for name in independent(b, {*set_b, *free}) if name not in set_b]
    for values in _examples(b, names, set_b, list(made.values()), list(mine.values()), found.get("unless", ())):
        with suppress(InputError, ArithmeticError, ValueError, TypeError):
            theirs = {place: _told(b, values, run, other=True) for place, run in made.items()}
            if any(_apart(x, y) for place in made for x, y in zip(mine[place], theirs[place], strict=True)):
                return _document(made, values, mine, theirs)
    return None


def _document(
    made: Mapping[Place, Run], values: Mapping[str, Any], mine: Mapping[Place, Any], theirs: Mapping[Place, Any]
) -> dict[str, Any]:
    return {
        "hyperparameters": {name: str(value) for name, value in values.items()},
        "runs": [
            {
                "start": str(run.start),
                "gradients": [list(map(str, row)) for row in run.gradients],
                "a": [list(map(_text, points)) for points in mine[place]],
                "b": [list(map(_text, points)) for points in theirs[place]],
            }
            for place, run in made.items()
        ],
    }


def _told(rule: Optimizer, values: Mapping[str, Any], run: Run, other: bool = False) -> list[tuple[Any, ...]]:
    """What a rule queries, in fractions where there are such."""
    with suppress(InputError, TypeError):
        return queries(rule, row_of(rule, values), run, other=other)
    return queries(rule, row_of(rule, values, float), run, float, other)


def _apart(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether queries differ, by more than rounding where they are no fractions."""
    return any(
        x != y if isinstance(x, Fraction) and isinstance(y, Fraction) else abs(x - y) > FAR * (1 + abs(x) + abs(y))
        for x, y in zip(one, other, strict=True)
    )


def _text(value: Any) -> str:
    text = str(value)
    return text if isinstance(value, Fraction) and len(text) <= SHORT else f"{float(value):.{SHOWN}g}"


# -- an example of the second rule ------------------------------------------------------------------------------------


def _examples(
    b: Optimizer,
    free: Sequence[str],
    set_b: Mapping[str, Any],
    made: Sequence[Run],
    mine: Sequence[Sequence[tuple[Any, ...]]],
    unless: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Constants of a rule, beside what is known of it, at which it comes near some queries, earlier ones first.

    Where it does so as something vanishes that must not, what is in that stays where the search began, one after the
    other; last all of it, and then all that there is.
    """
    known = {k: str(v) for k, v in set_b.items() if not b.hyperparameters[k].switch}
    with suppress(InputError, ArithmeticError):
        yield (found := _fitted(b, free, known, made, mine))
        for text in unless:
            with suppress(InputError):
                if abs(float(evaluated(text, _floats(found), float))) < VANISHING:
                    found = _fitted(b, free, _held(b, free, [text], known), made, mine)
                    yield found
    with suppress(InputError, ArithmeticError):
        yield _fitted(b, free, _held(b, free, unless, known), made, mine)
    yield _held(b, free, free, known)


def _floats(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(_read(str(value), 0, float)) for name, value in values.items()}


def _held(b: Optimizer, free: Sequence[str], texts: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """What is known of a rule, and hyperparameters in texts at where a search begins."""
    names = [k for k in free if any(re.search(rf"\b{k}\b", text) for text in texts)]
    *_, begun = _begun(b, names, [_ends(b.hyperparameters[k]) for k in names])
    return {**known, **{k: str(_rounded(x, b.hyperparameters[k])) for k, x in zip(names, begun, strict=True)}}


def _fitted(
    b: Optimizer,
    free: Sequence[str],
    known: Mapping[str, str],
    made: Sequence[Run],
    mine: Sequence[Sequence[tuple[Any, ...]]],
) -> dict[str, Any]:
    free = [name for name in free if name not in known]
    aim = [[np.array(list(map(float, points))) for points in shown] for shown in mine]
    weights = [10.0**-t for t in range(len(aim[0]))]

    def error(x: np.ndarray) -> np.ndarray:
        row = row_of(b, {**known, **dict(zip(free, map(float, x), strict=True))}, float)
        shown = (queries(b, row, run, float, other=True) for run in made)
        parts = [
            weight * (np.array(points, dtype=float)[:-1] - there[:-1])
            for one, other in zip(shown, aim, strict=True)
            for weight, points, there in zip(weights, one, other, strict=True)
        ]
        return np.concatenate(parts)

    ends = [_ends(b.hyperparameters[name]) for name in free]
    best = None
    for begin in _begun(b, free, ends):
        with suppress(ArithmeticError, ValueError, TypeError):
            x, left = _nearest(error, begin, np.array(ends).reshape(-1, 2))
            if best is None or left < best[1]:
                best = x, left
    if best is None:
        raise InputError(f"{b} cannot be run on the gradients of the refutation")
    return {
        **known,
        **{name: _rounded(value, b.hyperparameters[name]) for name, value in zip(free, best[0], strict=True)},
    }


def _ends(declared: Hyperparameter) -> tuple[float, float]:
    """Between which a hyperparameter's value is looked for."""
    low, high = max(declared.low, -WIDE), min(declared.high, WIDE)
    margin = 10.0**-DIGITS
    return low + margin * declared.open_low, high - margin * declared.open_high


def _begun(b: Optimizer, free: Sequence[str], ends: Sequence[tuple[float, float]]) -> Iterator[np.ndarray]:
    """Where the search begins: at defaults, in the middle of ranges, and beside it."""
    middle = [(low + high) / 2 for low, high in ends]
    defaults = [b.hyperparameters[name].default for name in free]
    given = [float(d) if isinstance(d, Real) else m for d, m in zip(defaults, middle, strict=True)]
    beside = [low + (high - low) * 0.6 for low, high in ends]
    for point in dict.fromkeys([tuple(given), tuple(middle), tuple(beside)]):
        yield np.array(point)


def _nearest(error: Callable[[np.ndarray], np.ndarray], x: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, float]:
    """The least squares from a point on, inside ranges (Levenberg and Marquardt's method)."""
    x, damping = np.clip(x, ends[:, 0], ends[:, 1]), 1e-3
    left = error(x)
    for _ in range(ROUNDS if x.size else 0):
        slope = np.array([(error(x + h) - left) / 1e-7 for h in 1e-7 * np.eye(x.size)]).T
        pull = slope.T @ left
        moved = x - np.linalg.solve(slope.T @ slope + damping * np.eye(x.size), pull)
        moved = np.clip(moved, ends[:, 0], ends[:, 1])
        new = error(moved)
        if new @ new < left @ left:
            done = left @ left - new @ new < 1e-18
            x, left, damping = moved, new, damping / 5
            if done:
                break
        else:
            damping *= 5
            if damping > 1e9:
                break
    total = float(left @ left)
    if not math.isfinite(total):
        raise ArithmeticError
    return x, total


def _rounded(value: float, declared: Hyperparameter) -> Fraction:
    """A short fraction, or a number of few digits, inside a range."""
    short = Fraction(value).limit_denominator(SMALL)
    near = short if abs(short - value) < NEAR else exact(float(f"{value:.{DIGITS}g}"))
    return near if declared.holds(near) else exact(value)
