"""Runs of both rules of a claim side by side, in fractions: the route to a verdict that takes no symbol along.

Where the claim says what preconditioners are, both rules are run as they are, in floating point.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from numbers import Rational
from typing import TYPE_CHECKING, Any

from accelsim import program
from accelsim.elementary import sqrt
from accelsim.errors import InputError
from accelsim.program import exact
from accelsim.rule import Hyperparameter
from accelsim.symbolic.algebra.field import evaluated
from accelsim.symbolic.algebra.recurrences import computed
from accelsim.symbolic.system.linear_part import LinearPart

if TYPE_CHECKING:
    from accelsim.symbolic.check.equivalence import Equivalence

STEPS = 8  # compared in a run
NEAR, FAR = 1e-9, 1e-6  # relative differences up to which inexact runs agree, and from which they do not


def _draw(declared: Hyperparameter, chance: random.Random) -> Fraction:
    """A rational number inside a hyperparameter's range, not beyond 2 from 0."""
    low, high = (exact(min(max(edge, -2.0), 2.0)) for edge in (declared.low, declared.high))
    return low + (high - low) * Fraction(chance.randint(1, 11), 12)


def inexact(parts: tuple[LinearPart, LinearPart]) -> bool:
    """Whether linear parts of two rules take square roots, which are irrational at most numbers."""
    return any(True for part in parts for _ in part.tableau.rooted())


class Unclear(ArithmeticError):
    """What two runs differ by may be rounding, or not."""


class Replay:
    """Runs of both rules in fractions, at rational values of all that a claim leaves open."""

    def __init__(self, claim: Equivalence, parts: tuple[LinearPart, LinearPart], seed: int) -> None:
        self.claim, self.parts, self.seed = claim, parts, seed
        self.names: dict[str, Any] = {}
        for name in claim.source.program(claim.given).reads:
            declared, given = claim.source.hyperparameters[name], claim.given.get(name)
            if given is not None:
                self.names[name] = partial(_scheduled, given) if isinstance(given, str) else exact(given)
            elif name in claim.open:
                self.names[name] = self._sequence(name, declared)
            else:
                self.names[name] = declared.default if declared.switch else _draw(declared, self._chance(name))
        for part in parts:
            for factor in part.tableau.factors.values():
                name, positive = factor.symbol, Hyperparameter(low=0)
                steady = name in claim.constant
                self.names[name] = _draw(positive, self._chance(name)) if steady else self._sequence(name, positive)
        self.names |= computed(claim.sequences, {"sqrt": _root, **self.names})
        chance = self._chance("gradients")
        count = parts[0].tableau.gradients
        self.gradients = [tuple(Fraction(chance.randint(-3, 3)) for _ in range(count)) for _ in range(STEPS)]

    def _chance(self, *names: Any) -> random.Random:
        return random.Random(f"{self.seed} {names}")

    def _sequence(self, name: str, declared: Hyperparameter) -> Callable[[Any], Fraction]:
        return lambda t: _draw(declared, self._chance(name, t))

    def source(self, t: int) -> dict[str, Any]:
        """The source's hyperparameters at step t."""
        return {k: self.at(k, t) for k in self.names if k in self.claim.source.hyperparameters}

    def at(self, name: str, t: int) -> Any:
        """What a name stands for at step t."""
        value = self.names[name]
        return value(Fraction(t)) if callable(value) else value

    def target(self, t: int) -> dict[str, Any]:
        """The target's hyperparameters at step t."""
        names = {"sqrt": _root, **self.names, "t": Fraction(t)}
        switches = {k: v.default for k, v in self.claim.target.hyperparameters.items() if v.switch}
        if self.claim.sequences:  # what no expression in t shows to exist exists here, or nothing is confirmed
            states = dict.fromkeys((*self.claim.source.states, *self.claim.target.states), Fraction(1))
            for text in self.claim.transform.values():
                evaluated(text, {**names, **states})
        return switches | {k: evaluated(text, names) for k, text in self.claim.map.items()}

    def positive(self, text: str) -> bool:
        """Whether what is written is positive at all steps."""
        return all(evaluated(text, {"sqrt": _root, **self.names, "t": Fraction(t)}) > 0 for t in range(STEPS))

    def run(self, part: LinearPart, row: Callable[[int], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Step by step, the point or points queried and the state returned before the step, of a run from 1."""
        rule = part.tableau.optimizer
        if self.claim.preconditioners or (inexact(self.parts) and self._runs_itself(part)):
            step = _inexact_step
        else:
            step = _own_step if self._runs_itself(part) else self._linear_step
        state = {name: exact(value) for name, value in rule.start(Fraction(1)).items()}
        for t, gradients in enumerate(self.gradients):
            returned = state[rule.returns]
            points, state = step(part, state, t, row(t), gradients)
            yield {"query": points, **({"returned": (returned,)} if self.claim.returned else {})}

    def _runs_itself(self, part: LinearPart) -> bool:
        """Whether a rule is run as it is: where it is linear, or where both rules apply the same signs alone."""
        tables = [each.tableau for each in self.parts]
        signs_alone = not any(table.factors or table.dropped for table in tables)
        return not part.tableau.nonlinearity or (signs_alone and tables[0].maps == tables[1].maps)

    def _linear_step(self, part: LinearPart, state: Any, t: int, h: Any, gradients: Any) -> Any:
        """The linear part: signs set aside, sequences given; the absorbed ones are part of the gradient."""
        table = part.tableau
        symbols = {factor.symbol for factor in table.factors.values()}
        given = {symbol: self.at(symbol, t) for symbol in symbols}
        m = table.at(Fraction(t), h, exact, given | dict.fromkeys(part.absorbed, Fraction(1)))
        s = [state[name] for name in table.states]
        new = m.A.dot(s) + m.B.dot(gradients)
        return tuple(m.C.dot(s) + m.D.dot(gradients)), dict(zip(table.states, new, strict=True))

    def difference(self) -> dict[str, Any] | None:
        """The first step at which the runs differ, None if they agree to the end."""
        left, right = self.run(self.parts[0], self.source), self.run(self.parts[1], self.target)
        for t, (one, other) in enumerate(zip(left, right, strict=True)):
            for what in one:
                if not all(map(_same, one[what], other[what])):
                    return {
                        "source": _texts(self.source(t)),
                        "target": _texts(self.target(t)),
                        "gradients": [", ".join(map(str, g)) for g in self.gradients[:t]],
                        "step": t,
                        "quantity": what,
                        "values": [", ".join(map(str, run[what])) for run in (one, other)],
                    }
        return None


def _same(one: Any, other: Any) -> bool:
    """Equality; up to rounding where a root, a cosine or an exponential made a number inexact.

    Raises
    ------
    Unclear
        If rounding may be what they differ by, or not.
    """
    if isinstance(one, Rational) and isinstance(other, Rational):
        return one == other
    if math.isclose(one, other, rel_tol=NEAR, abs_tol=NEAR):
        return True
    if not math.isfinite(one) or not math.isfinite(other) or math.isclose(one, other, rel_tol=FAR, abs_tol=FAR):
        raise Unclear
    return False


def _root(x: Any) -> Any:
    """The square root, inexact where it is irrational."""
    try:
        return sqrt(x)
    except InputError:
        return math.sqrt(x)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _scheduled(text: str, t: Any) -> Any:
    return evaluated(text, {"sqrt": _root, "t": t})


def _own_step(part: LinearPart, state: Any, t: int, h: Any, gradients: Any, number: Any = exact) -> Any:
    """A step of the rule's own program; `number` converts the numbers in it."""
    asked: list[Any] = []

    def answer(points: tuple[Any, ...]) -> tuple[Any, ...]:
        asked.extend(points)
        return tuple(gradients[len(asked) - len(points) : len(asked)])

    new = program.run(part.tableau.optimizer.program(h), state, number(t), h, answer, number)
    return tuple(asked), new


def _inexact_step(part: LinearPart, state: Any, t: int, h: Any, gradients: Any) -> Any:
    """The same in floating point."""
    declared = part.tableau.optimizer.hyperparameters
    row = {k: v if declared[k].switch else float(v) for k, v in h.items()}
    start = {name: _real(value) for name, value in state.items()}
    return _own_step(part, start, t, row, tuple(map(float, gradients)), float)


def _real(value: Any) -> float:
    if isinstance(value, complex):  # a power of a negative number
        raise Unclear
    return float(value)
