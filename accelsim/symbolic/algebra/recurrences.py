"""Sequences that are defined by their value at t = 0 and a recursion, where no expression in t is known.

Rules have them (uniform states, memories of recurrences), and claims may define others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from fractions import Fraction
from functools import partial
from types import MappingProxyType
from typing import Any

from accelsim.errors import InputError
from accelsim.language import Apply, evaluated
from accelsim.program import operate
from accelsim.symbolic.algebra.field import reduced, shifted
from accelsim.symbolic.algebra.time import replaced, time

Texts = Mapping[str, tuple[str, str]]  # by name, the value at t = 0, and that at t + 1 in those at t


def computed(sequences: Texts, names: Mapping[str, Any], apply: Apply = operate) -> dict[str, Callable[[Any], Any]]:
    """Sequences of texts as functions of the step, computed from their starts.

    Parameters
    ----------
    sequences : by name, texts of the value at t = 0 and of that at t + 1 in values at t.
    names : values of the other names in these texts.
    apply : value of a node's operation, in the arithmetic wanted.

    Raises
    ------
    InputError
        By the functions, for a step before the first.
    """
    known: dict[str, Any] = dict(names)
    values: dict[tuple[str, int], Any] = {}

    def value(name: str, t: Any) -> Any:
        if t < 0:
            raise InputError(f"{name}(t) begins at t = 0: there is no {name}({t})")
        key = name, int(t)
        if key not in values:
            start, following = sequences[name]
            text, step = (start, 0) if t == 0 else (following, int(t) - 1)
            values[key] = evaluated(text, {**known, "t": Fraction(step)}, apply=apply)
        return values[key]

    own: dict[str, Callable[[Any], Any]] = {name: partial(value, name) for name in sequences}
    known |= own
    return own


class Recursions:
    """Sequences in SymPy, known by recursions.

    Attributes
    ----------
    following : by function of t, its value at t + 1 in values at t.
    start : by function of t, its value at t = 0.
    values : by function of t that is an expression in sequences (a recurrence), this expression.
    early : functions that may be asked for before t = 0, where they are arbitrary; for others that is an error.
    """

    def __init__(
        self,
        following: Mapping[Any, Any],
        start: Mapping[Any, Any],
        values: Mapping[Any, Any] = MappingProxyType({}),
        early: Collection[Any] = (),
    ) -> None:
        self.following, self.start, self.values, self.early = following, start, values, frozenset(early)

    def __bool__(self) -> bool:
        return bool(self.following)

    def __or__(self, other: Recursions) -> Recursions:
        following, start = {**self.following, **other.following}, {**self.start, **other.start}
        return Recursions(following, start, {**self.values, **other.values}, self.early | other.early)

    def replaced(self, change: Callable[[Any], Any]) -> Recursions:
        """Recursions with a function applied to every expression."""
        one, two, three = (
            {f: change(e) for f, e in part.items()} for part in (self.following, self.start, self.values)
        )
        return Recursions(one, two, three, self.early)

    def without(self, functions: Collection[Any]) -> Recursions:
        """Recursions of all sequences but some."""
        one, two, three = (
            {f: e for f, e in part.items() if f not in functions} for part in (self.following, self.start, self.values)
        )
        return Recursions(one, two, three, self.early)

    def defined(self, expression: Any) -> Any:
        """An expression or matrix with `values` written out."""
        return put(expression, self.values)

    def onward(self, expression: Any) -> Any:
        """An expression or matrix with values at t + 1, t + 2, ... written in those at t.

        Raises
        ------
        InputError
            If it has a value before t.
        """
        while late := {f for f in self._called(expression) if f.args[0] != time()}:
            ahead = {f: f.args[0] - time() for f in late}
            ahead = {f: k for f, k in ahead.items() if not (f.func in self.early and not k.is_positive)}
            if not ahead:
                break
            for f, k in ahead.items():
                if not (k.is_Integer and k > 0):
                    raise InputError(f"{f} is no value at t or later")
            last = max(ahead.values())
            latest = {f: shifted(self.following[f.func], last - 1) for f, k in ahead.items() if k == last}
            expression = replaced(expression, latest)
        return expression

    def lag(self, expression: Any) -> int:
        """Largest number of steps before t at which an expression or matrix has a sequence; 0 for none."""
        return max((int(time() - f.args[0]) for f in self._called(expression)), default=0)

    def exactly(self, expression: Any, step: int) -> Any:
        """An expression at a step; nan where it divides by zero there, be it zero by zero."""
        import sympy

        below = sympy.fraction(sympy.together(expression))[1]
        return sympy.nan if reduced(self.at(below, step)) == 0 else self.at(expression, step)

    def at(self, expression: Any, step: int) -> Any:
        """An expression or matrix at a step."""
        here = _at(expression, step)
        while own := {f for f in self._called(here) if not (f.func in self.early and f.args[0] < 0)}:
            here = replaced(here, {f: self._value(f.func, int(f.args[0])) for f in own})
        return here

    def _called(self, expression: Any) -> set[Any]:
        from sympy.core.function import AppliedUndef

        return {f for f in expression.atoms(AppliedUndef) if f.func in self.following}

    def _value(self, function: Any, step: int) -> Any:
        if step < 0:
            raise InputError(f"{function(step)} is no value at t = 0 or later")
        return self.start[function] if step == 0 else reduced(self.at(self.following[function], step - 1))

    def expressions(self) -> Iterator[Any]:
        """Expressions whose poles are conditions of all that is said in these sequences."""
        yield from self.start.values()
        yield from self.following.values()


def put(expression: Any, functions: Mapping[Any, Any]) -> Any:
    """An expression or matrix with functions replaced by expressions in t, at each shift of t and at each step."""
    from sympy.core.function import AppliedUndef

    called = {f for f in expression.atoms(AppliedUndef) if f.func in functions}
    return replaced(expression, {f: _at(functions[f.func], f.args[0]) for f in called})


def _at(expression: Any, step: Any) -> Any:
    """An expression or matrix at a value of t."""
    import sympy

    return replaced(expression, {time(): sympy.sympify(step)})
