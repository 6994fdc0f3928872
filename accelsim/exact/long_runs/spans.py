"""Ranges of schedules: on which blocks of steps coefficients are provably smooth.

Values at nodes say nothing of what is between them: a schedule may have an event of a few steps among 1e9. Here its
expression is evaluated in intervals, block by block. A block is smooth where the argument of every function in it
moves by no more than the function's own scale: of exp and cos by 1, of roots, logarithms, powers and quotients by a
factor of 2, and not across a kink. What is left is nearly a polynomial of low degree, which nodes do see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from accelsim.exact.tables import Tables
from accelsim.program import Node, evaluate
from accelsim.schedules import Schedule
from accelsim.spectra import Array

_NEGLIGIBLE = -150.0  # exponents up to which an exponential counts as zero
_OWN = 4  # degree of a polynomial that stands for a function over its own scale
_POWERS = (2, 3, 4)  # taken as products
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Span:
    """Intervals (blocks,) of the values of an expression, and where it is smooth.

    Attributes
    ----------
    degree : of the polynomial that it nearly is where smooth.
    """

    low: Array
    high: Array
    smooth: Mask
    degree: int

    def of(self, *values: Array) -> Span:
        """A span with the range of some values, of a function that is smooth there."""
        return Span(np.minimum.reduce(values), np.maximum.reduce(values), self.smooth, self.degree)

    def within(self, good: Mask) -> Span:
        """Of a function of this one, smooth where the argument's range is good."""
        degree = self.degree + _OWN if self.degree else 0
        return Span(self.low, self.high, self.smooth & (good | (self.low == self.high)), degree)

    @property
    def narrow(self) -> Mask:
        """Whether it keeps its sign, and its size within a factor of two."""
        least, most = np.minimum(abs(self.low), abs(self.high)), np.maximum(abs(self.low), abs(self.high))
        return np.asarray((self.low * self.high > 0) & (most <= 2 * least))


def smooth(tables: Tables, begins: Array, lengths: Array, degree: int) -> Mask:
    """Whether all coefficients are provably smooth on blocks, there nearly polynomials of at most some degree."""
    with np.errstate(all="ignore"):
        step = Span(begins, begins + lengths - 1, np.full(begins.shape, True), 1)

        def constant(value: Any) -> Span:
            whole = np.full(begins.shape, float(value))
            return Span(whole, whole, np.full(begins.shape, True), 0)

        def hyperparameter(name: str) -> Span:
            value = tables.values[name]
            if isinstance(value, Real):
                return constant(value)
            try:
                assert isinstance(value, Schedule)
                node = value.node()
            except Exception:  # a callable may do anything with t: nothing is known of it
                return Span(step.low, step.high, np.full(begins.shape, False), 0)
            return evaluate(node, lambda leaf: step if leaf.op == "step" else constant(leaf.value), _applied, {})

        def leaf(node: Node) -> Span:
            if node.op == "hyperparameter":
                return hyperparameter(node.value)
            return step if node.op == "step" else constant(node.value)

        known: dict[int, Any] = {}
        found = np.full(begins.shape, True)
        for name in tables.tableau.shapes():
            for node in getattr(tables.tableau, name).values():
                span = evaluate(node, leaf, _applied, known)
                found &= span.smooth & (span.degree <= degree) & np.isfinite(span.low) & np.isfinite(span.high)
    return found


def _applied(node: Node, values: list[Any]) -> Any:
    """An operation on spans, none of which is at the first step."""
    if node.op == "first":
        return False
    if node.op == "where":
        return values[2]
    one, *others = values
    return _UNARY[node.op](one) if not others else _BINARY[node.op](one, others[0])


def _joined(a: Span, b: Span, degree: int, *values: Array) -> Span:
    return Span(np.minimum.reduce(values), np.maximum.reduce(values), a.smooth & b.smooth, degree)


def _times(a: Span, b: Span) -> Span:
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return _joined(a, b, a.degree + b.degree, *corners)


def _over(a: Span, b: Span) -> Span:
    b = b.within(b.narrow)
    return _times(a, b.of(1 / b.low, 1 / b.high))


def _power(a: Span, b: Span) -> Span:
    if (b.low == b.high).all() and b.low.size and b.low.flat[0] in _POWERS and not np.ptp(b.low):
        found = a
        for _ in range(int(b.low.flat[0]) - 1):
            found = _times(found, a)
        low = np.maximum(found.low, 0) if b.low.flat[0] % 2 == 0 else found.low
        return Span(low, found.high, found.smooth, found.degree)
    logarithm = a.within(a.narrow & (a.low > 0))
    return _exp(_times(b, logarithm.of(np.log(a.low), np.log(a.high))))


def _exp(a: Span) -> Span:
    found = a.within((a.high - a.low <= 1) | (a.high < _NEGLIGIBLE))
    return found.of(np.exp(a.low), np.exp(a.high))


def _cos(a: Span) -> Span:
    found = a.within(a.high - a.low <= 1)
    turns = np.floor(a.high / np.pi) > np.floor(a.low / np.pi)  # past a largest or a least value
    ends = np.cos(a.low), np.cos(a.high)
    past = np.where(np.floor(a.high / np.pi) % 2 == 0, 1.0, -1.0)
    extreme = np.where(turns, past, ends[0])
    wide = a.high - a.low >= np.pi
    return Span(
        np.where(wide, -1, np.minimum.reduce([*ends, extreme])),
        np.where(wide, 1, np.maximum.reduce([*ends, extreme])),
        found.smooth,
        found.degree,
    )


def _remainder(a: Span, b: Span) -> Span:
    """The remainder by a number above 0, without a jump where all is within one period."""
    periods = np.floor(a.low / b.high)
    within = (b.low == b.high) & (np.floor(a.high / b.high) == periods)
    found = a.within(within)
    low, high = (np.where(within, x - periods * b.high, end) for x, end in ((a.low, 0), (a.high, b.high)))
    return found.of(low, high)


def _choice(a: Span, b: Span, least: bool) -> Span:
    """The smaller or the larger, without a kink where one is so throughout."""
    first, second = (a.high <= b.low, b.high <= a.low) if least else (a.low >= b.high, b.low >= a.high)
    smooth = np.where(first, a.smooth, second & b.smooth)
    choose = np.minimum if least else np.maximum
    return Span(choose(a.low, b.low), choose(a.high, b.high), smooth, max(a.degree, b.degree))


def _signed(a: Span) -> Mask:
    return np.asarray((a.low > 0) | (a.high < 0))


_UNARY: dict[str, Callable[[Span], Span]] = {
    "neg": lambda a: a.of(-a.low, -a.high),
    "abs": lambda a: a.within(_signed(a)).of(np.where(_signed(a), abs(a.low), 0), abs(a.low), abs(a.high)),
    "sign": lambda a: a.within(_signed(a)).of(np.sign(a.low), np.sign(a.high)),
    "exp": _exp,
    "cos": _cos,
    "log": lambda a: a.within(a.narrow & (a.low > 0)).of(np.log(a.low), np.log(a.high)),
    "sqrt": lambda a: a.within(a.narrow & (a.low > 0)).of(np.sqrt(a.low), np.sqrt(a.high)),
}
_BINARY: dict[str, Callable[[Span, Span], Span]] = {
    "add": lambda a, b: _joined(a, b, max(a.degree, b.degree), a.low + b.low, a.high + b.high),
    "sub": lambda a, b: _joined(a, b, max(a.degree, b.degree), a.low - b.high, a.high - b.low),
    "mul": _times,
    "div": _over,
    "pow": _power,
    "mod": _remainder,
    "minimum": lambda a, b: _choice(a, b, True),
    "maximum": lambda a, b: _choice(a, b, False),
}
