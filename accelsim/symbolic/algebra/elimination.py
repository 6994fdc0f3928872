"""Polynomial systems solved one unknown at a time, in the order that keeps generic solutions before special ones.

Unknowns are symbols (constants) or unknown functions of t, whose equations hold at every step and so may be shifted.
Where an equation is linear in an unknown, the unknown is eliminated; where it factors, each factor is a branch, and
so is a coefficient that might vanish. A branch ends in a solution, in an *obstruction* (an expression without
unknowns that would have to be zero), or stuck. Only a search without stuck branches says that there is nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from accelsim.symbolic.algebra.budget import Clock as Clock
from accelsim.symbolic.algebra.budget import OutOfTime as OutOfTime
from accelsim.symbolic.algebra.field import Field, reduced, shifted
from accelsim.symbolic.algebra.time import time

_KEPT = 1 << 12  # expressions whose sizes are remembered


@dataclass(frozen=True)
class Outcome:
    """Outcome of elimination.

    Attributes
    ----------
    solutions : dicts from unknowns to values, generic ones first.
    following : by function of t that is known by a recursion alone, its values at t + 1 and t - 1 in that at t.
    obstructions : expressions without unknowns, one of which would have to be zero in a branch without a solution.
    stuck : in words, the equations at which branches gave up. If there are some, there may be more solutions.
    """

    solutions: list[dict[Any, Any]] = field(default_factory=list)
    following: dict[Any, tuple[Any, Any]] = field(default_factory=dict)
    obstructions: list[Any] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Branch:
    equations: tuple[Any, ...]
    values: dict[Any, Any]
    nonzero: tuple[Any, ...]


def solve(
    equations: Iterable[Any],
    unknowns: Iterable[Any],
    clock: Clock,
    nonzero: Iterable[Any] = (),
    enough: int = 2,
    recursive: bool = False,
) -> Outcome:
    """Solve equations = 0 by elimination of unknowns that occur linearly.

    Parameters
    ----------
    equations : rational expressions in SymPy.
    unknowns : symbols, and unknown functions of t as ``f(t)``.
    nonzero : expressions that a solution must not make zero, such as denominators.
    enough : number of solutions after which the search stops.
    recursive : whether a function may be given by a recursion, its value at t + 1 in that at t.

    Returns
    -------
    Outcome
        With all solutions there are, if fewer than `enough` were found and no branch is stuck.

    Raises
    ------
    OutOfTime
        Past the budget.
    """
    outcome = Outcome()
    search = _Search(tuple(unknowns), clock, outcome, enough, recursive)
    search.run(_Branch(tuple(equations), {}, tuple(nonzero)))
    return outcome


class _Search:
    def __init__(self, unknowns: tuple[Any, ...], clock: Clock, outcome: Outcome, enough: int, recursive: bool) -> None:
        self.clock, self.outcome, self.enough, self.recursive = clock, outcome, enough, recursive
        self.constants = {u for u in unknowns if u.is_Symbol}
        self.functions = {u.func for u in unknowns if not u.is_Symbol}
        self._known: dict[Any, list[Any] | None] = {}

    def instances(self, expression: Any) -> set[Any]:
        """The unknowns in an expression: symbols, and values of functions at shifts of t."""
        from sympy.core.function import AppliedUndef

        values = {f for f in expression.atoms(AppliedUndef) if f.func in self.functions}
        return (expression.free_symbols & self.constants) | values

    def run(self, branch: _Branch) -> None:
        """Depth first, the generic branch of each fork before its special ones."""
        if len(self.outcome.solutions) >= self.enough:
            return
        with suppress(ZeroDivisionError):  # where something divides by zero there is no solution
            self._run(branch)

    def _run(self, branch: _Branch) -> None:
        self.clock.check()
        open_: list[list[Any]] = []
        for equation in branch.equations:
            factors = self._factors(equation)
            if factors is None:
                continue
            wanted = [f for f in factors if self.instances(f) and f not in branch.nonzero and -f not in branch.nonzero]
            if not wanted:
                self._obstructed(factors)
                return
            if wanted not in open_:
                open_.append(wanted)
        if not open_:
            self._solved(branch)
            return
        open_.sort(key=lambda fs: (len(fs), sum(map(_size, fs))))
        rest = tuple(_product(fs) for fs in open_)
        self._fork(branch, open_, rest)

    def _factors(self, equation: Any) -> list[Any] | None:
        """Irreducible factors of the numerator; None where the equation holds."""
        if equation not in self._known:
            field_ = Field([equation])
            element = field_.element(equation)
            self._known[equation] = None if element == 0 else field_.factors(element)
            if factors := self._known[equation]:
                self._known[_product(factors)] = factors  # as which other branches have it
        return self._known[equation]

    def _obstructed(self, factors: list[Any]) -> None:
        known = [f for f in factors if not self.instances(f)]
        if any(self._made(f) for f in known):
            return
        if known and _product(known) not in self.outcome.obstructions:
            self.outcome.obstructions.append(_product(known))

    def _solved(self, branch: _Branch) -> None:
        if branch.values not in self.outcome.solutions:
            self.outcome.solutions.append(branch.values)

    def _fork(self, branch: _Branch, open_: list[list[Any]], rest: tuple[Any, ...]) -> None:
        for certain in (True, False):
            for i, factors in enumerate(open_):
                if len(factors) > 1:
                    continue
                others = rest[:i] + rest[i + 1 :]
                split = self._by_steps(factors[0])
                if len(split) > 1:
                    self.run(_Branch((*split, *others), branch.values, branch.nonzero))
                    return
                for unknown, slope, offset in self._linear(factors[0]):
                    if bool(self.instances(slope)) != certain:
                        self._eliminate(branch, others, unknown, slope, offset)
                        return
            several = next((i for i, factors in enumerate(open_) if len(factors) > 1), None)
            if certain and several is not None:
                self._by_factors(branch, open_[several], rest[:several] + rest[several + 1 :])
                return
        for i, factors in enumerate(open_):
            if self.recursive and len(factors) == 1 and (found := self._recursion(factors[0])):
                self._follow(branch, rest[:i] + rest[i + 1 :], *found)
                return
        self.outcome.stuck.append(f"{open_[0][0]} = 0 is not linear in any of its unknowns")

    def _made(self, expression: Any) -> bool:
        """Occurrence in an expression of a function that is known by a recursion."""
        from sympy.core.function import AppliedUndef

        return any(f.func in self.outcome.following for f in expression.atoms(AppliedUndef))

    def _recursion(self, polynomial: Any) -> tuple[Any, Any, Any] | None:
        """Recursion from a polynomial whose only unknowns are two values of a function one step apart, both linear.

        Returns
        -------
        The function, its value at t + 1 and its value at t - 1, both in that at t; None where there is none.
        """
        found = sorted(self.instances(polynomial), key=lambda u: u.is_Symbol or u.args[0] - time())
        if len(found) != 2 or any(u.is_Symbol for u in found) or found[0].func != found[1].func:
            return None
        earlier, later = (u.args[0] - time() for u in found)
        if later - earlier != 1:
            return None
        here = shifted(polynomial, -earlier)
        f = found[0].func
        values = []
        for unknown, step in ((f(time() + 1), 0), (f(time()), -1)):
            parts = _slope_and_offset(here, unknown)
            if parts is None:
                return None
            slope, offset = parts
            values.append(shifted(reduced(-offset / slope), step))
        return f, values[0], values[1]

    def _follow(self, branch: _Branch, others: tuple[Any, ...], f: Any, onward: Any, back: Any) -> None:
        """Go on with a new function of t, known by its recursion, in place of an unknown one."""
        import sympy

        new = sympy.Function(f"{f.__name__}{len(self.outcome.following)}", real=True)
        self.outcome.following[new] = tuple(e.xreplace({f(time()): new(time())}) for e in (onward, back))
        steps = (onward, back)

        def put(expression: Any) -> Any:
            return reduced(followed(expression, f, *steps).xreplace({f(time()): new(time())}))

        apart = tuple(put(e) for e in branch.nonzero)
        if all(e != 0 for e in apart):
            values = {u: put(e) for u, e in branch.values.items()} | {f(time()): new(time())}
            self.run(_Branch(tuple(put(e) for e in others), values, apart))

    def _by_steps(self, polynomial: Any) -> list[Any]:
        """Equations of constants that hold at every step, coefficient by coefficient of functions of t."""
        import sympy

        if any(not u.is_Symbol for u in self.instances(polynomial)):
            return [polynomial]
        field_ = Field([polynomial])
        moving = {generator for generator, e in field_.generators().items() if e.has(time())}
        if not moving or any(self.instances(field_.generators()[generator]) - {generator} for generator in moving):
            return [polynomial]
        coefficients = sympy.Poly(field_.element(polynomial).numer.as_expr(), *moving).coeffs()
        return list(dict.fromkeys(map(field_.named, coefficients)))

    def _linear(self, polynomial: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Unknowns in which a polynomial is linear, each with slope and offset; of functions with one value in it."""
        found = sorted(self.instances(polynomial), key=str)
        for unknown in found:
            if not unknown.is_Symbol and sum(f.func == unknown.func for f in found if not f.is_Symbol) > 1:
                continue
            if parts := _slope_and_offset(polynomial, unknown):
                yield unknown, *parts

    def _eliminate(self, branch: _Branch, others: tuple[Any, ...], unknown: Any, slope: Any, offset: Any) -> None:
        value = reduced(-offset / slope)
        more: list[Any] = []
        if unknown.is_Symbol and value.has(time()):
            more.append(shifted(value, 1) - value)
        nonzero = branch.nonzero
        if self.instances(slope):
            nonzero = (*nonzero, slope)
        equations = tuple(_put(e, unknown, value) for e in others)
        apart = tuple(reduced(_put(e, unknown, value)) for e in nonzero)
        if all(e != 0 for e in apart):
            values = {u: _put(e, unknown, value) for u, e in branch.values.items()}
            own = unknown if unknown.is_Symbol else unknown.func(time())
            values[own] = value if unknown.is_Symbol else shifted(value, time() - unknown.args[0])
            self.run(_Branch((*equations, *more), values, apart))
        if self.instances(slope):
            self.run(_Branch((slope, offset, *others), branch.values, branch.nonzero))

    def _by_factors(self, branch: _Branch, factors: list[Any], others: tuple[Any, ...]) -> None:
        for i, factor in enumerate(factors):
            self.run(_Branch((factor, *others), branch.values, (*branch.nonzero, *factors[:i])))


def followed(expression: Any, f: Any, onward: Any, back: Any) -> Any:
    """An expression with all values of a function written in that at t, by its recursion."""
    from sympy.core.function import AppliedUndef

    while True:
        shifts = {u: u.args[0] - time() for u in expression.atoms(AppliedUndef) if u.func == f}
        furthest = max(shifts.values(), key=abs, default=0)
        if not furthest:
            return expression
        value = shifted(onward, furthest - 1) if furthest > 0 else shifted(back, furthest + 1)
        expression = expression.xreplace({u: value for u, k in shifts.items() if k == furthest})


@lru_cache(maxsize=_KEPT)
def _size(expression: Any) -> Any:
    return expression.count_ops()


def _product(factors: list[Any]) -> Any:
    import sympy

    return sympy.Mul(*factors)


def _slope_and_offset(polynomial: Any, unknown: Any) -> tuple[Any, Any] | None:
    """Slope and offset of a sum of products in an unknown; None where it is not linear in it."""
    import sympy

    slope, offset = [], []
    for term in sympy.Add.make_args(polynomial):
        factors = [factor for factor in sympy.Mul.make_args(term) if factor != unknown]
        if any(factor.has(unknown) for factor in factors):
            return None
        if len(factors) < len(sympy.Mul.make_args(term)):
            slope.append(sympy.Mul(*factors))
        else:
            offset.append(term)
    return sympy.Add(*slope), sympy.Add(*offset)


def _put(expression: Any, unknown: Any, value: Any) -> Any:
    """An expression with an unknown replaced, a function of t at each of its shifts."""
    from sympy.core.function import AppliedUndef

    if unknown.is_Symbol:
        return expression.xreplace({unknown: value})
    here = unknown.args[0]
    shifts = {f for f in expression.atoms(AppliedUndef) if f.func == unknown.func}
    return expression.xreplace({f: shifted(value, f.args[0] - here) for f in shifts})
