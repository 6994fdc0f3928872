"""Sequences that a claim defines by a value at t = 0 and a next value: what no expression in t says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

from accelsim.errors import InputError
from accelsim.symbolic.algebra.field import evaluated, reduced, shifted
from accelsim.symbolic.system.tableau import time

Texts = Mapping[str, tuple[str, str]]  # by name, the value at t = 0, and that at t + 1 in those at t


def computed(sequences: Texts, names: Mapping[str, Any]) -> dict[str, Callable[[Any], Any]]:
    """The sequences as functions of the step, computed from their starts in what their texts are written in.

    Raises
    ------
    InputError
        If a value before the first step is asked for.
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
            values[key] = evaluated(text, {**known, "t": Fraction(step)})
        return values[key]

    own: dict[str, Callable[[Any], Any]] = {name: partial(value, name) for name in sequences}
    known |= own
    return own


class Recursions:
    """Sequences in SymPy: unknown functions of t, of which the next values and those at t = 0 are known.

    Attributes
    ----------
    following : by function, its value at t + 1 in values at t.
    start : by function, its value at t = 0.
    """

    def __init__(self, following: Mapping[Any, Any], start: Mapping[Any, Any]) -> None:
        self.following, self.start = following, start

    def __bool__(self) -> bool:
        return bool(self.following)

    def onward(self, expression: Any) -> Any:
        """An expression or matrix with values at t + 1, t + 2, ... written in those at t.

        Raises
        ------
        InputError
            If it has a value before t.
        """
        from sympy.core.function import AppliedUndef

        while late := {f for f in expression.atoms(AppliedUndef) if f.func in self.following and f.args[0] != time()}:
            ahead = {f: f.args[0] - time() for f in late}
            for f, k in ahead.items():
                if not (k.is_Integer and k > 0):
                    raise InputError(f"{f} is no value at t or later")
            last = max(ahead.values())
            latest = {f: shifted(self.following[f.func], last - 1) for f, k in ahead.items() if k == last}
            expression = expression.xreplace(latest)
        return expression

    def exactly(self, expression: Any, step: int) -> Any:
        """An expression at a step; nan where it divides by zero there, be it zero by zero."""
        import sympy

        below = sympy.fraction(sympy.together(expression))[1]
        return sympy.nan if reduced(self.at(below, step)) == 0 else self.at(expression, step)

    def at(self, expression: Any, step: int) -> Any:
        """An expression or matrix at a step."""
        from sympy.core.function import AppliedUndef

        here = expression.subs(time(), step)
        while own := {f for f in here.atoms(AppliedUndef) if f.func in self.following}:
            here = here.xreplace({f: self._value(f.func, int(f.args[0])) for f in own})
        return here

    def _value(self, function: Any, step: int) -> Any:
        if step < 0:
            raise InputError(f"{function(step)} is no value at t = 0 or later")
        return self.start[function] if step == 0 else reduced(self.at(self.following[function], step - 1))

    def values(self) -> Iterator[Any]:
        """What must exist."""
        yield from self.start.values()
        yield from self.following.values()
