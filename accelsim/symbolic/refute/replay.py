"""Runs of two rules as they are on the gradients of a counterexample: nothing is refuted that they do not show.

The first rule is run at the counterexample's hyperparameters, the second one at constants that bring it near the first
one's queries: an example. That no others do better, constants or schedules, is what the counterexample proves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from accelsim.symbolic.check.counterexample import Counterexample, Place, Run, Shown, ShownRun
from accelsim.symbolic.system.pair import Pair
from accelsim.symbolic.system.rule_sequences import Followed, independent
from accelsim.symbolic.system.specialization import switched

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
    """Queries of a rule as it is.

    This is the search's runner; the verifier has its own (`certify.impulses.itself`), so that an error in one shows.
    Gradients of one sample at one point are equal.

    Parameters
    ----------
    row : function from a step to the rule's hyperparameters.
    run : starting point, and gradients of shape (steps, gradients a step).
    number : the arithmetic: `exact`, in which roots must be rational, or `float`.
    other : whether the gradients are another rule's, which may have queried different points where this one does not.

    Returns
    -------
    By step, the points queried, and last the point returned before the step.

    Raises
    ------
    InputError, ArithmeticError
        If it cannot be run so.
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
    """Fraction that a number in a rule was written as.

    Raises
    ------
    InputError
        For the number pi.
    """
    if value == pi:
        raise InputError("pi is no fraction")
    return exact(value)


def row_of(rule: Optimizer, values: Mapping[str, Any], number: Callable[[Any], Any] = exact) -> Row:
    """Hyperparameters of a rule by step.

    Parameters
    ----------
    values : by name, a number, a text in t, or a list of one of these a step; recurrences not among them are computed.
    number : the arithmetic.

    Returns
    -------
    Function from a step to values by name, switches among them.
    """
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
    """Value of a text in t at a step."""
    if number is float:
        return float(evaluated(text, {"t": float(t)}, float))
    value = evaluated(text, {"t": Fraction(t)}, rational)
    if not isinstance(value, Rational):
        raise InputError(f"{text} is no fraction at t = {t}")
    return exact(value)


def seen(pair: Pair, found: Counterexample) -> Shown | None:
    """Runs of both rules, as they are, on the gradients of a counterexample.

    Rule a is run at the counterexample's hyperparameters, rule b at constants that bring it near; recurrences are
    computed unless they are free or given.

    Returns
    -------
    Shown
        The queries of both; None where they are equal, or rounding leaves it open.
    """
    a, b, set_b = switched(pair.a, dict(pair.set_a)), pair.b, pair.set_b
    made = found.runs(a.program().gradients)
    try:
        mine = {place: _told(a, found.hyperparameters, run) for place, run in made.items()}
    except (InputError, ArithmeticError, ValueError, TypeError):
        return None
    names = [name for name in independent(b, {*set_b, *pair.free}) if name not in set_b]
    for values in _examples(b, names, set_b, list(made.values()), list(mine.values()), found.unless):
        with suppress(InputError, ArithmeticError, ValueError, TypeError):
            theirs = {place: _told(b, values, run, other=True) for place, run in made.items()}
            if any(_apart(x, y) for place in made for x, y in zip(mine[place], theirs[place], strict=True)):
                return _shown(made, values, mine, theirs)
    return None


def first_difference(pair: Pair, found: Counterexample) -> int | None:
    """First step at which both rules, as they are, query different points, where rule b has nothing left to choose.

    Returns
    -------
    The step; None where there is none.

    Raises
    ------
    InputError, ArithmeticError, ValueError, TypeError
        If a rule cannot be run so.
    """
    a = switched(pair.a, dict(pair.set_a))
    (run,) = found.runs(a.program().gradients).values()
    theirs = {k: str(v) for k, v in pair.set_b.items() if not pair.b.hyperparameters[k].switch}
    one, other = _told(a, found.hyperparameters, run), _told(pair.b, theirs, run, other=True)
    return next((t for t, (x, y) in enumerate(zip(one, other, strict=True)) if _apart(x[:-1], y[:-1])), None)


def _shown(
    made: Mapping[Place, Run], values: Mapping[str, Any], mine: Mapping[Place, Any], theirs: Mapping[Place, Any]
) -> Shown:
    def texts(queries: Sequence[Sequence[Any]]) -> list[list[str]]:
        return [list(map(_text, points)) for points in queries]

    told = [
        ShownRun(str(run.start), [list(map(str, row)) for row in run.gradients], texts(mine[at]), texts(theirs[at]))
        for at, run in made.items()
    ]
    return Shown({name: str(value) for name, value in values.items()}, told)


def _told(rule: Optimizer, values: Mapping[str, Any], run: Run, other: bool = False) -> list[tuple[Any, ...]]:
    """Queries of a rule, in fractions if possible, otherwise in floats."""
    with suppress(InputError, TypeError):
        return queries(rule, row_of(rule, values), run, other=other)
    return queries(rule, row_of(rule, values, float), run, float, other)


def _apart(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Difference of queries, beyond rounding where they are floats."""
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
    """Constants of rule b that bring it near rule a's queries, earlier ones first.

    If it comes near only as a factor of `unless` vanishes, hyperparameters of this factor are held where the search
    began, one after the other; last all of them, and then all there are.
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
    """Given hyperparameters, and those in some texts at the values where a search begins."""
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
    """Bounds between which the value of a hyperparameter is searched."""
    low, high = max(declared.low, -WIDE), min(declared.high, WIDE)
    margin = 10.0**-DIGITS
    return low + margin * declared.open_low, high - margin * declared.open_high


def _begun(b: Optimizer, free: Sequence[str], ends: Sequence[tuple[float, float]]) -> Iterator[np.ndarray]:
    """Points at which the search begins: defaults, the middle of ranges, and points beside it."""
    middle = [(low + high) / 2 for low, high in ends]
    defaults = [b.hyperparameters[name].default for name in free]
    given = [float(d) if isinstance(d, Real) else m for d, m in zip(defaults, middle, strict=True)]
    beside = [low + (high - low) * 0.6 for low, high in ends]
    for point in dict.fromkeys([tuple(given), tuple(middle), tuple(beside)]):
        yield np.array(point)


def _nearest(error: Callable[[np.ndarray], np.ndarray], x: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, float]:
    """Least-squares solution inside ranges from a starting point, and its residual."""
    if x.size:
        from scipy.optimize import least_squares

        found = least_squares(error, np.clip(x, *ends.T), bounds=tuple(ends.T), max_nfev=ROUNDS)
        x, left = found.x, found.fun
    else:
        left = error(x)
    total = float(left @ left)
    if not math.isfinite(total):
        raise ArithmeticError
    return x, total


def _rounded(value: float, declared: Hyperparameter) -> Fraction:
    """A short fraction, or a number of few digits, inside a range."""
    short = Fraction(value).limit_denominator(SMALL)
    near = short if abs(short - value) < NEAR else exact(float(f"{value:.{DIGITS}g}"))
    return near if declared.holds(near) else exact(value)
