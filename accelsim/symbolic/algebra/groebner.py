"""Nullstellensatz certificates line by line: each line is a combination of earlier ones, and the last one is 1.

This is Buchberger's algorithm in which every polynomial keeps how it was made. Polynomials are divided by nonzero ones:
by *units*, which are known to be so from the start, and by unknowns that a line proves to be so.

References
----------
Buchberger 1965, doi:10.1016/j.jsc.2005.09.007. Hilbert 1893, doi:10.1007/BF01444162.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.division import division, leading, quotient
from accelsim.symbolic.algebra.field import added


@dataclass(frozen=True, eq=False)
class Line:
    """Polynomial in the ideal, with its combination of earlier lines.

    Attributes
    ----------
    polynomial : element of a SymPy ring over the rationals.
    terms : pairs of an earlier line and its factor, a pair of numerator and denominator; empty for a premise.
    name : of a premise.
    """

    polynomial: Any
    terms: tuple[tuple[Line, tuple[Any, Any]], ...] = ()
    name: Any = None


def made(polynomial: Any, *terms: tuple[Line, Any], over: Any = 1) -> Line:
    """Line that is the sum of others times polynomials, all over one polynomial."""
    one = polynomial.ring.one
    return Line(polynomial, tuple((line, (one * factor, one * over)) for line, factor in terms if factor))


def cofactors(last: Line) -> dict[Any, tuple[Any, Any]]:
    """Fractions with which the given lines add up to a line, by their names: numerators and denominators."""
    given, order = premises(last)
    one = last.polynomial.ring.one
    parts: dict[Line, list[tuple[Any, Any]]] = {last: [(one, one)]}
    for line in reversed(order):
        above, below = added(parts.pop(line))
        for other, (a, b) in line.terms:
            parts.setdefault(other, []).append((above * a, below * b))
    return {line.name: added(parts[line]) for line in given}


def divided(line: Line, units: Sequence[Any]) -> Line:
    """The line divided by all its factors among the units, with leading coefficient 1."""
    kept, divisor = line.polynomial, line.polynomial.ring.one * line.polynomial.LC
    kept = kept.monic()
    for unit in units:
        while (found := quotient(kept, unit)) is not None:
            kept, divisor = found.monic(), divisor * unit * found.LC
    if divisor == 1:
        return line
    one = kept.ring.one
    return Line(kept, tuple((x, (a, b * divisor)) for x, (a, b) in line.terms or ((line, (one, one)),)))


def premises(last: Line) -> tuple[list[Line], list[Line]]:
    """Premises that a line is made of, and all other lines it needs in order, itself last."""
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
    """Basis of an ideal to which lines are added.

    Attributes
    ----------
    units : polynomials that are nonzero.
    shown : by unknown that is proved to be nonzero, the line f*q + r that does so (f the unknown, r a product of
        units), q and r.
    """

    units: list[Any]
    clock: Clock
    shown: dict[Any, tuple[Line, Any, Any]] = field(default_factory=dict)
    basis: dict[int, Line] = field(default_factory=dict)
    _waiting: list[tuple[int, int, int, Any]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def contradiction(self, lines: Iterable[Line]) -> Line | None:
        """The line 1, from these lines and all earlier ones.

        Returns
        -------
        The line; None where these polynomials have a common complex zero at which the units are nonzero.

        Raises
        ------
        OutOfTime
            Past the budget of the clock.
        """
        for each in lines:
            if each.polynomial:
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
        """S-polynomial of two lines; None where one of them has been replaced."""
        if i not in self.basis or j not in self.basis:
            return None
        one, other = self.basis[i], self.basis[j]
        ring, f, g = one.polynomial.ring, one.polynomial, other.polynomial
        ends = leading(f), leading(g)
        lcm = _lcm(*ends)
        up, down = (
            ring({tuple(map(int.__sub__, lcm, end)): ring.domain.one / p[end]})
            for p, end in zip((f, g), ends, strict=True)
        )
        left = up * f - down * g
        return made(left, (one, up), (other, -down)) if left else None

    def _reduced(self, line: Line) -> Line | None:
        """Remainder of a line by the basis, units divided out; None for 0."""
        while True:
            line = self._without_shown(divided(line, self.units))
            basis = list(self.basis.values())
            if not basis:
                return line
            quotients, rest = division(line.polynomial, [b.polynomial for b in basis])
            if not rest:
                return None
            if rest == line.polynomial:
                return line
            line = made(rest, (line, 1), *((b, -q) for b, q in zip(basis, quotients, strict=True)))

    def _without_shown(self, line: Line) -> Line:
        """The line without unknowns proved to be nonzero: from f*h = 0 and f*q + r = 0, h*r = 0."""
        for f, (other, q, r) in self.shown.items():
            while (h := quotient(line.polynomial, f)) is not None:
                line = divided(made(h, (other, h), (line, -q), over=r), self.units)
        return line

    def _add(self, line: Line) -> None:
        lead = leading(line.polynomial)
        self._look_for_units(line)
        for i, other in list(self.basis.items()):
            if all(map(int.__le__, lead, leading(other.polynomial))) or self._has_shown(other):
                del self.basis[i]
                self._wait(other)
        number = next(self._numbers)
        for i, other in self.basis.items():
            there = leading(other.polynomial)
            lcm = _lcm(lead, there)
            if sum(lcm) < sum(lead) + sum(there):  # what is coprime adds nothing
                heapq.heappush(self._waiting, (sum(lcm), 0, next(self._numbers), (i, number)))
        self.basis[number] = line

    def _has_shown(self, line: Line) -> bool:
        return any(all(m[i] for m in line.polynomial) for i in (f.LM.index(1) for f in self.shown))

    def _look_for_units(self, line: Line) -> None:
        """Add the unknowns that a line proves to be nonzero: where one was zero, the rest would be a unit."""
        ring = line.polynomial.ring
        for i, unknown in enumerate(ring.gens):
            if unknown in self.units or unknown in self.shown or not any(m[i] for m in line.polynomial):
                continue
            rest = ring({m: c for m, c in line.polynomial.terms() if not m[i]})
            if rest and divided(Line(rest), self.units).polynomial.is_ground:
                self.shown[unknown] = line, (line.polynomial - rest).quo(unknown), rest


def _lcm(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(max, one, other))
