"""Runs of both rules of a claim side by side, in fractions: a route to a verdict that shares no symbolic algebra.

Where the claim relates preconditioners, both rules are run as they are, in floating point.
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
from accelsim.language import evaluated, inexact
from accelsim.program import exact
from accelsim.rule import Hyperparameter
from accelsim.symbolic.algebra.budget import charge
from accelsim.symbolic.algebra.draws import drawn, drawn_whole
from accelsim.symbolic.algebra.language import states_read
from accelsim.symbolic.algebra.recurrences import computed
from accelsim.symbolic.system.linear_part import LinearPart
from accelsim.symbolic.system.rule_sequences import Followed, in_exponents, reads, recurrences
from accelsim.symbolic.system.specialization import switched

if TYPE_CHECKING:
    from accelsim.symbolic.check.equivalence import Equivalence

NODE = 20  # operations that a node of a rule's program takes in a step
STEPS = 8  # compared in a run
COLUMNS, MOST_COORDINATES = 3, 20_000  # of matrices in a run: more than what their rows are, and at most
PARTS = 12  # of a range, in numbers that are short
NEAR, FAR = 1e-9, 1e-6  # relative differences up to which inexact runs agree, and from which they do not


class Unclear(ArithmeticError):
    """A difference between two inexact runs that may be rounding, or not."""


class Replay:
    """Runs of both rules at rational values of all that a claim leaves open.

    Parameters
    ----------
    claim : the claim.
    parts : linear parts of source and target.
    seed : of the values that are drawn.

    Attributes
    ----------
    names : by name in the claim's texts, a number or a function of the step.
    gradients : fractions, shape (steps, gradients a step).
    rational : whether all numbers compared were fractions; roots and cosines make floats of them.
    """

    def __init__(self, claim: Equivalence, parts: tuple[LinearPart, LinearPart], seed: int) -> None:
        self.claim, self.parts, self.seed = claim, parts, seed
        self.names: dict[str, Any] = {}
        self.rational = True
        traced, whole = claim.source.program(claim.given), in_exponents(claim.source, claim.given)
        own = [name for name in recurrences(claim.source, claim.given) if name not in claim.anything]
        for name in dict.fromkeys((*traced.reads, *reads(claim.source, {*claim.given, *claim.anything}))):
            declared, given = claim.source.hyperparameters[name], claim.given.get(name)
            if given is not None:
                self.names[name] = partial(_scheduled, given) if isinstance(given, str) else exact(given)
            elif name in claim.anything and name not in claim.constant:
                self.names[name] = self._sequence(name, declared)
            elif name not in own:
                picked = drawn_whole(declared, self._key(name)) if name in whole else None
                number = self._drawn(declared, name) if picked is None else Fraction(picked)
                self.names[name] = declared.default if declared.switch else number
        self.names |= {name: partial(self._followed, name) for name in (*own, *traced.uniform)}
        freed = {*claim.given, *claim.anything}
        self.own = Followed(switched(claim.source, dict(claim.given)), freed, self.at, apply=inexact)
        self.theirs = Followed(claim.target, claim.free, self._mapped, apply=inexact)
        for part in parts:
            for factor in part.tableau.factors.values():
                name, positive = factor.symbol, Hyperparameter(low=0)
                steady = name in claim.constant
                self.names[name] = self._drawn(positive, name) if steady else self._sequence(name, positive)
        self.names |= computed(claim.sequences, self.names, inexact)
        chance = random.Random(self._key("gradients"))
        count = parts[0].tableau.gradients
        self.gradients = [tuple(Fraction(chance.randint(-3, 3)) for _ in range(count)) for _ in range(STEPS)]

    def _key(self, *names: Any) -> str:
        return f"{self.seed} {names}"

    def _drawn(self, declared: Hyperparameter, *names: Any) -> Fraction:
        return drawn(declared, self._key(*names), PARTS)

    def _sequence(self, name: str, declared: Hyperparameter) -> Callable[[Any], Fraction]:
        return lambda t: self._drawn(declared, name, t)

    def _followed(self, name: str, t: Any) -> Any:
        """A recurrence or a uniform state of the source at a step; before the first one it may be anything."""
        if t >= 0:
            return self.own.at(int(t))[name]
        return self._drawn(self.claim.source.hyperparameters.get(name, Hyperparameter(low=0)), name, t)

    def source(self, t: int) -> dict[str, Any]:
        """The source's hyperparameters at step t."""
        return {k: self.at(k, t) for k in self.names if k in self.claim.source.hyperparameters}

    def at(self, name: str, t: int) -> Any:
        """Value of a name of the source at step t."""
        value = self.names[name]
        return value(Fraction(t)) if callable(value) else value

    def target(self, t: int) -> dict[str, Any]:
        """The target's hyperparameters at step t."""
        names = self._known(t)
        switches = {k: v.default for k, v in self.claim.target.hyperparameters.items() if v.switch}
        if self.claim.sequences:  # what no expression in t shows to exist exists here, or nothing is confirmed
            rule = self.claim.target if self.claim.backward else self.claim.source
            states = dict.fromkeys(states_read(self.claim.end, rule.states, names), Fraction(1))
            for text in self.claim.transform.values():
                evaluated(text, {**names, **states}, apply=inexact)
        followed = {k: v for k, v in self.theirs.at(t).items() if k in self.claim.derived}
        return switches | {k: evaluated(text, names, apply=inexact) for k, text in self.claim.map.items()} | followed

    def _known(self, t: int) -> dict[str, Any]:
        return {**self.names, "t": Fraction(t)}

    def _mapped(self, name: str, t: int) -> Any:
        """Value of a hyperparameter of the target at a step, by the map; 0 where the map has none."""
        if name not in self.claim.map:
            return Fraction(0)
        return evaluated(self.claim.map[name], self._known(t), apply=inexact)

    def positive(self, text: str) -> bool:
        """Positivity of the value of a text at all steps of the run."""
        steps = ({**self.names, "t": Fraction(t)} for t in range(STEPS))
        return all(evaluated(text, names, apply=inexact) > 0 for names in steps)

    def run(self, part: LinearPart, row: Callable[[int], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """By step, of a run from 1: the points queried, and the state returned before the step."""
        rule = part.tableau.optimizer
        if self.claim.preconditioners:
            step = _inexact_step
        else:
            step = _own_step if self._runs_itself(part) else self._linear_step
        state = {name: exact(value) for name, value in rule.start(Fraction(1)).items()}
        for t, gradients in enumerate(self.gradients):
            returned = state[rule.returns]
            charge(NODE * len(rule.program().nodes))
            points, state = step(part, state, t, row(t), gradients)
            yield {"query": points, **({"returned": (returned,)} if self.claim.returned else {})}

    def _runs_itself(self, part: LinearPart) -> bool:
        """Choice of the rule itself, not of its linear part: it is linear, or both rules apply the same signs."""
        tables = [each.tableau for each in self.parts]
        signs_alone = not any(table.factors or table.dropped for table in tables)
        return not part.tableau.nonlinearity or (signs_alone and tables[0].maps == tables[1].maps)

    def _linear_step(self, part: LinearPart, state: Any, t: int, h: Any, gradients: Any) -> Any:
        """One step of the linear part: signs set aside, sequences given, the absorbed ones part of the gradient."""
        table = part.tableau
        symbols = {factor.symbol for factor in table.factors.values()}
        given = {symbol: self.at(symbol, t) for symbol in symbols}
        known = h | {name: state[name] for name in table.uniform}
        m = table.at(Fraction(t), known, exact, given | dict.fromkeys(part.absorbed, Fraction(1)), inexact)
        s = [state[name] for name in table.states]
        new = m.A.dot(s) + m.B.dot(gradients)
        after = table.optimizer.program(h).following(Fraction(t), known, exact, inexact)
        after |= dict(zip(table.states, new, strict=True))
        return tuple(m.C.dot(s) + m.D.dot(gradients)), after

    def difference(self) -> dict[str, Any] | None:
        """First difference between the two runs.

        Returns
        -------
        dict with hyperparameters, gradients and the step; None if the runs agree to the end.

        Raises
        ------
        ArithmeticError, ValueError
            If a rule has no value in the run, or a difference may be rounding (`Unclear`).
        """
        left, right = self.run(self.parts[0], self.source), self.run(self.parts[1], self.target)
        for t, (one, other) in enumerate(zip(left, right, strict=True)):
            for what in one:
                self.rational &= all(isinstance(value, Rational) for value in (*one[what], *other[what]))
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

    def apart_on_matrices(self) -> bool:
        """Difference of the two rules as they are, on matrices in floating point; True where none could be run.

        What a run over one coordinate shows of the matrix sign is the sign alone.

        Raises
        ------
        ArithmeticError, ValueError
            If a rule has no value in the run.
        """
        import numpy as np

        rules = [part.tableau.optimizer for part in self.parts]
        programs = [rule.program(h) for rule, h in zip(rules, (self.source(0), self.target(0)), strict=True)]
        nodes = [node for traced in programs for node in traced.nodes]
        coordinates = COLUMNS * math.lcm(*(int(node.args[1].value) for node in nodes if node.op == "orthogonalize"))
        if coordinates > MOST_COORDINATES:
            return True
        shape = STEPS, self.parts[0].tableau.gradients, coordinates
        gradients = np.random.default_rng([self.seed, 11]).normal(size=shape)
        states = [rule.start(np.linspace(0.5, 1.5, coordinates)) for rule in rules]
        for t, given in enumerate(gradients):
            charge(NODE * len(nodes))
            shown = []
            for i, (part, row) in enumerate(zip(self.parts, (self.source(t), self.target(t)), strict=True)):
                returned = [states[i][rules[i].returns]] if self.claim.returned else []
                with np.errstate(all="ignore"):
                    points, states[i] = _own_step(part, states[i], t, _floats(part, row), tuple(given), float)
                shown.append(np.array([*points, *returned]))
            if not np.isfinite(shown).all():
                raise ArithmeticError
            one, other = shown
            if not np.allclose(one, other, rtol=FAR, atol=FAR * float(abs(one).max())):
                return True
        return False


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


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _scheduled(text: str, t: Any) -> Any:
    return evaluated(text, {"t": t}, apply=inexact)


def _own_step(part: LinearPart, state: Any, t: int, h: Any, gradients: Any, number: Any = exact) -> Any:
    """A step of the rule's own program; `number` converts the numbers in it."""
    asked: list[Any] = []

    def answer(points: tuple[Any, ...]) -> tuple[Any, ...]:
        asked.extend(points)
        return tuple(gradients[len(asked) - len(points) : len(asked)])

    new = program.run(part.tableau.optimizer.program(h), state, number(t), h, answer, number, inexact)
    return tuple(asked), new


def _inexact_step(part: LinearPart, state: Any, t: int, h: Any, gradients: Any) -> Any:
    """One step of the rule's own program in floating point."""
    row = _floats(part, h)
    start = {name: _real(value) for name, value in state.items()}
    return _own_step(part, start, t, row, tuple(map(float, gradients)), float)


def _floats(part: LinearPart, h: Mapping[str, Any]) -> dict[str, Any]:
    declared = part.tableau.optimizer.hyperparameters
    return {k: v if declared[k].switch else float(v) for k, v in h.items()}


def _real(value: Any) -> float:
    if isinstance(value, complex):  # a power of a negative number
        raise Unclear
    return float(value)
