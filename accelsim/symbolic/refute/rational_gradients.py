"""Gradients on which a rule's roots are rational, so that its run is one in fractions.

Where a step takes the root of a quadratic polynomial in its gradient, as Adam's does, one rational point of the curve
r^2 = c0 + c1 g + c2 g^2 gives all others: on the line of slope m through it there is one more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import count
from typing import Any

from accelsim.errors import InputError
from accelsim.program import Node, evaluate, exact, operate, reachable, run
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import rational_root
from accelsim.symbolic.refute.replay import Row

PLAIN = tuple(Fraction(n, 2) for n in (2, 4, 6, 1, 8, 3))  # gradients that are tried first
SLOPES = tuple(Fraction(n, 6) for n in (3, 12, 2, 18, -3))
VARIED = 3  # steps whose gradients are not as those before
MOST = 300  # steps that are tried

State = Mapping[str, Any]
Conic = tuple[Fraction, Fraction, Fraction]  # c0, c1, c2
Rows = tuple[list[tuple[Fraction, ...]], list[list[int]]]


def rational_gradients(rule: Optimizer, row: Row, last: int, begin: int) -> Rows | None:
    """Nonzero gradients on which the roots of a rule are rational.

    Sizes differ from step to step, where possible, unless `begin` is 0.

    Parameters
    ----------
    row : function from a step to the rule's hyperparameters.
    last : the last step.
    begin : index in a list of sizes at which the choice begins.

    Returns
    -------
    gradients : fractions, shape (steps, gradients a step).
    alike : of each gradient of a step, the first one at the same point. None in place of both if none are found.
    """
    for varied in (True, False) if begin else (False,):
        if found := _found(rule, row, last, PLAIN[begin], varied):
            return found
    return None


def _found(rule: Optimizer, row: Row, last: int, begin: Fraction, varied: bool) -> Rows | None:
    traced, state = rule.program(), {name: exact(value) for name, value in rule.start(Fraction(0)).items()}
    tried, numbers = count(), [begin, *PLAIN]

    def onward(t: int, state: State) -> list[tuple[tuple[Fraction, ...], list[int]]] | None:
        if t > last:
            return []
        conic = _conic(rule, row, t, state)
        for g in _candidates(conic, numbers, varied and 0 < t < VARIED):
            if next(tried) > MOST:
                return None
            answer = _Answer(g)
            with suppress(InputError, ZeroDivisionError):
                new = run(traced, state, Fraction(t), row(t), answer, exact)
                root = rational_root(_at(conic, g)) if conic else None
                numbers[:0] = [abs(g), *([root] if root else [])]
                if (rest := onward(t + 1, new)) is not None:
                    return [(tuple(answer.given), answer.firsts), *rest]
                del numbers[: 2 if root else 1]
        return None

    found = onward(0, state)
    return None if found is None else ([given for given, _ in found], [firsts for _, firsts in found])


class _Answer:
    """Gradients of a step: multiples of one number, one for each point of a sample."""

    def __init__(self, unit: Fraction) -> None:
        self.unit, self.given, self.firsts = unit, list[Fraction](), list[int]()

    def __call__(self, points: tuple[Any, ...]) -> tuple[Fraction, ...]:
        begin = len(self.given)
        for i, point in enumerate(points):
            first = begin + points.index(point)
            self.firsts.append(first)
            self.given.append(self.given[first] if first < begin + i else self.unit * (1 + len(self.given)))
        return tuple(self.given[begin:])


def _candidates(conic: Conic | None, numbers: Sequence[Fraction], varied: bool) -> Iterator[Fraction]:
    """Gradients to try at a step; of those that make its root rational the short ones first."""
    plain = list(dict.fromkeys(numbers))
    if conic is None:
        yield from plain
        return
    points = [(g, r) for g in [*plain, Fraction(0)] if (r := rational_root(_at(conic, g))) is not None]
    found = (_other(conic, g, r, slope) for g, r in points[:2] for slope in SLOPES)
    others = {x if conic[1] else abs(x) for x in found if x} - {*plain}
    first, on = [g for g, _ in points if g], sorted(others, key=lambda x: len(str(x)))
    yield from [*on, *first] if varied else [*first, *on]


def _conic(rule: Optimizer, row: Row, t: int, state: State) -> Conic | None:
    """Polynomial in the gradient of a step under its root; None where there is no such root, or another one."""
    traced = rule.program()
    if traced.gradients > 1:
        return None
    squares = [node.args[0] for node in reachable(traced.updates.values()) if node.op == "sqrt"]
    found = set()
    for square in squares:
        with suppress(InputError, ZeroDivisionError):
            v = [_value(square, row(t), t, state, Fraction(g)) for g in range(4)]
            c2 = (v[2] - 2 * v[1] + v[0]) / 2
            c1 = v[1] - v[0] - c2
            if v[3] == v[0] + 3 * c1 + 9 * c2 and (c1 or c2):
                found.add((v[0], c1, c2))
    return found.pop() if len(found) == 1 else None


def _value(node: Node, h: Mapping[str, Any], t: int, state: State, gradient: Fraction) -> Any:
    def leaf(node: Node) -> Any:
        if node.op in ("state", "hyperparameter"):
            return (state if node.op == "state" else h)[node.value]
        return gradient if node.op == "gradient" else exact(t if node.op == "step" else node.value)

    return evaluate(node, leaf, operate, {})


def _at(conic: Conic, g: Fraction) -> Fraction:
    return conic[0] + conic[1] * g + conic[2] * g * g


def _other(conic: Conic, g: Fraction, r: Fraction, slope: Fraction) -> Fraction | None:
    """Second intersection of the curve with a line of some slope through a point of it; None where there is none."""
    below = slope * slope - conic[2]
    return g + (conic[1] + 2 * conic[2] * g - 2 * r * slope) / below if below else None
