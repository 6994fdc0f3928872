"""Why polynomials have no common zero, line by line: each line is made of earlier ones, and the last one is 1.

Buchberger's algorithm, in which every polynomial keeps how it was made. A polynomial is divided by what is no zero: by
*units*, of which that is known from the start, and by unknowns of which a line shows it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from accelsim.symbolic.algebra.elimination import Clock


@dataclass(frozen=True, eq=False)
class Line:
    """A polynomial that vanishes with those lines of which it is the sum, each times a fraction.

    Attributes
    ----------
    polynomial : element of a SymPy ring over the rationals.
    terms : lines with their factors as pairs, numerator and denominator; none where the line is given.
    name : of a line that is given.
    """

    polynomial: Any
    terms: tuple[tuple[Line, tuple[Any, Any]], ...] = ()
    name: Any = None


def made(polynomial: Any, *terms: tuple[Line, Any], over: Any = 1) -> Line:
    """A line of others times polynomials, all over one polynomial."""
    one = polynomial.ring.one
    return Line(polynomial, tuple((line, (one * factor, one * over)) for line, factor in terms if factor))


def divided(line: Line, units: Sequence[Any]) -> Line:
    """The line without units, its leading coefficient 1."""
    kept, divisor = line.polynomial, line.polynomial.ring.one * line.polynomial.LC
    kept = kept.monic()
    for unit in units:
        while _may_divide(unit, kept):
            quotient, rest = kept.div(unit)
            if rest:
                break
            kept, divisor = quotient.monic(), divisor * unit * quotient.LC
    return line if divisor == 1 else Line(kept, tuple((x, (a, b * divisor)) for x, (a, b) in line.terms))


def _may_divide(one: Any, other: Any) -> bool:
    return all(map(int.__le__, one.LM, other.LM))


def premises(last: Line) -> tuple[list[Line], list[Line]]:
    """The given lines of which a line is made, and the others in order, the line itself last."""
    given, order, seen = list[Line](), list[Line](), set[Line]()
    pending = [(last, False)]
    while pending:
        line, ready = pending.pop()
        if ready:
            order.append(line)
        elif line not in seen:
            seen.add(line)
            if not line.terms:
                given.append(line)
                continue
            pending.append((line, True))
            pending += [(below, False) for below, _ in line.terms]
    return given, order


@dataclass
class Elimination:
    """Lines from which nothing simpler follows by division, while more of them come in.

    Attributes
    ----------
    units : polynomials that are no zero.
    shown : by unknown that a line shows to be no zero, that line, f*q + r with a product r of units, and q and r.
    """

    units: list[Any]
    clock: Clock
    shown: dict[Any, tuple[Line, Any, Any]] = field(default_factory=dict)
    basis: dict[int, Line] = field(default_factory=dict)
    _waiting: list[tuple[int, int, int, Any]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def contradiction(self, lines: Iterable[Line]) -> Line | None:
        """The line 1, None where these lines and the earlier ones have a common zero."""
        for each in lines:
            self._wait(each)
        while self._waiting:
            self.clock.check()
            *_, item = heapq.heappop(self._waiting)
            found = self._pair(*item) if isinstance(item, tuple) else item
            line = self._reduced(found) if found else None
            if line and line.polynomial.is_ground:
                return line
            if line:
                self._add(line)
        return None

    def _wait(self, line: Line) -> None:
        size = max(map(sum, line.polynomial)), len(line.polynomial)
        heapq.heappush(self._waiting, (*size, next(self._numbers), line))

    def _pair(self, i: int, j: int) -> Line | None:
        """What of two lines does not have their leading terms, None where one of them is no longer there."""
        if i not in self.basis or j not in self.basis:
            return None
        one, other = self.basis[i], self.basis[j]
        ring, f, g = one.polynomial.ring, one.polynomial, other.polynomial
        lcm = _lcm(f.LM, g.LM)
        up, down = (ring({tuple(map(int.__sub__, lcm, p.LM)): ring.domain.one / p.LC}) for p in (f, g))
        left = up * f - down * g
        return made(left, (one, up), (other, -down)) if left else None

    def _reduced(self, line: Line) -> Line | None:
        """The line without units, and without what follows from the basis."""
        while True:
            line = self._without_shown(divided(line, self.units))
            basis = list(self.basis.values())
            if not basis:
                return line
            quotients, rest = line.polynomial.div([b.polynomial for b in basis])
            if not rest:
                return None
            if rest == line.polynomial:
                return line
            line = made(rest, (line, 1), *((b, -q) for b, q in zip(basis, quotients, strict=True)))

    def _without_shown(self, line: Line) -> Line:
        """The line without unknowns that others show to be no zero: where f*h = 0 and f*q + r = 0, h*r is 0."""
        for f, (other, q, r) in self.shown.items():
            while _may_divide(f, line.polynomial) and not line.polynomial.rem(f):
                h = line.polynomial.quo(f)
                line = divided(made(h, (other, h), (line, -q), over=r), self.units)
        return line

    def _add(self, line: Line) -> None:
        lead = line.polynomial.LM
        self._look_for_units(line)
        for i, other in list(self.basis.items()):
            if all(map(int.__le__, lead, other.polynomial.LM)) or self._has_shown(other):
                del self.basis[i]
                self._wait(other)
        number = next(self._numbers)
        for i, other in self.basis.items():
            lcm = _lcm(lead, other.polynomial.LM)
            if sum(lcm) < sum(lead) + sum(other.polynomial.LM):  # what is coprime adds nothing
                heapq.heappush(self._waiting, (sum(lcm), 0, next(self._numbers), (i, number)))
        self.basis[number] = line

    def _has_shown(self, line: Line) -> bool:
        return any(all(m[i] for m in line.polynomial) for i in (f.LM.index(1) for f in self.shown))

    def _look_for_units(self, line: Line) -> None:
        """Add the unknowns that a line shows to be no zero: where they were, what is left of it would be a unit."""
        ring = line.polynomial.ring
        for i, unknown in enumerate(ring.gens):
            if unknown in self.units or unknown in self.shown or not any(m[i] for m in line.polynomial):
                continue
            rest = ring({m: c for m, c in line.polynomial.terms() if not m[i]})
            if rest and divided(Line(rest), self.units).polynomial.is_ground:
                self.shown[unknown] = line, (line.polynomial - rest).quo(unknown), rest


def _lcm(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(max, one, other))
