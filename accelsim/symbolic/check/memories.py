"""A checker of claims that a rule has more memories than others: the reason why no hyperparameters make them equal.

What a gradient does to later moves of the query point passes through the memories. Of a translation-equivariant rule
with m of them, whatever their coefficients are in time, the matrix of moves at steps t+n, ..., t+2n-1 by gradients at
steps t, ..., t+n-1 has a rank of at most m: with n > m its determinant is zero. Where it is not, the rule has at least
n memories; for n = 2 it is no accelerated SGD. A verdict is confirmed by impulses in fractions, without matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from accelsim.errors import InputError
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import Field, divisors, elsewhere, shifted
from accelsim.symbolic.check.equivalence import DRAWS, PRECONDITIONER, SIGN, TRIES, Equivalence, Verdict
from accelsim.symbolic.check.runs import Replay
from accelsim.symbolic.system.linear_part import LinearPart, left_behind, linear_part
from accelsim.symbolic.system.rule_sequences import recurrences


@dataclass(frozen=True)
class Memories:
    """The claim that a rule has at least `count` memories beside its query point.

    `varying` and `given` are as in `equivalence.Equivalence`; nothing is mapped and nothing transformed. Recurrences
    may be any functions of t.
    """

    source: Optimizer
    count: int
    varying: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    map: Mapping[str, str] = field(default_factory=dict, init=False)
    transform: Mapping[str, str] = field(default_factory=dict, init=False)
    direction: str = field(default="", init=False)

    @property
    def own(self) -> Equivalence:
        """The claim that the rule is itself, which knows what is a function of t."""
        free = tuple(recurrences(self.source, self.given))
        return Equivalence(self.source, self.source, {}, {}, varying=self.varying, given=self.given, free=free)


def check(claim: Memories) -> Verdict:
    """Prove or refute that a rule has so many memories.

    Raises
    ------
    InputError
        For a rule of several gradients a step, or one that does not move along with a translation.
    """
    part = linear_part(claim.source, claim.own.anything, **claim.given)
    if part.tableau.gradients > 1 or left_behind(part):
        raise InputError(f"memories are counted of rules with one gradient a step and no weight decay: {claim.source}")
    minor = _minor(part, claim.count)
    runs = _confirmations(claim, part, minor != 0)
    shown = f"the minor of moves {claim.count} steps on is {minor}"
    status, counterexample = "failed", None
    if runs < DRAWS:
        reason = f"{shown}, but impulses in fractions do not confirm it"
    elif minor != 0:
        reason, status = f"{shown}, which every rule of fewer memories has as 0; {runs} rational runs agree", "proved"
    else:
        reason, status = f"{shown}; {runs} rational runs agree", "refuted"
        counterexample = {"quantity": "minor", "values": ["0", "a number that is not 0"]}
    notes = [*(f"{name} = {value}" for name, value in claim.given.items()), *part.assumptions]
    notes.append("coordinate by coordinate")
    conditions = tuple(f"{d} != 0" for d in divisors(1 / minor)) if minor != 0 else ()
    aside = ((part.tableau.maps, SIGN), (part.tableau.factors, PRECONDITIONER))
    up_to = tuple(kind for there, kind in aside if there)
    return Verdict(status, {"minor": str(minor)}, conditions, tuple(notes), counterexample, reason, up_to)


def _minor(part: LinearPart, count: int) -> Any:
    """The determinant of what gradients at t, ..., t+n-1 do to moves at t+n, ..., t+2n-1, factored."""
    import sympy

    a, b, c, _, _ = (elsewhere(m) for m in part.matrices)
    move = shifted(c, 1) * a - c
    rows = sympy.zeros(count, count)
    for i in range(count):
        row = shifted(move, count + i)
        for step in reversed(range(count + i)):
            if step < count:
                rows[i, step] = (row * shifted(b, step))[0]
            row = row * shifted(a, step)
    known = Field(rows)
    return known.expression(known.matrix(rows).det())


def _confirmations(claim: Memories, part: LinearPart, nonzero: bool) -> int:
    """How many runs at rational hyperparameters have a determinant that is not 0, or all have 0, as is claimed."""
    runs = 0
    for seed in range(TRIES):
        try:
            found = _impulses(Replay(claim.own, (part, part), seed), part, claim.count)
        except ZeroDivisionError:
            continue  # this draw violates a condition
        if found != 0 and not nonzero:
            return 0
        runs += (found != 0) == nonzero  # some draws make a minor zero that is not zero for all
        if runs == DRAWS:
            break
    return runs


def _impulses(replay: Replay, part: LinearPart, count: int) -> Fraction:
    """The same determinant, of runs on single gradients."""
    columns = []
    still = _moves(replay, part, None, count)
    for step in range(count):
        pushed = _moves(replay, part, step, count)
        columns.append([one - other for one, other in zip(pushed, still, strict=True)])
    return _determinant(columns)


def _moves(replay: Replay, part: LinearPart, step: int | None, count: int) -> list[Fraction]:
    replay.gradients = [(Fraction(t == step),) for t in range(2 * count + 1)]
    points = [row["query"][0] for row in replay.run(part, replay.source)]
    return [points[t + 1] - points[t] for t in range(count, 2 * count)]


def _determinant(rows: list[list[Fraction]]) -> Fraction:
    if not rows:
        return Fraction(1)
    signed = (
        (-1) ** i * row[0] * _determinant([r[1:] for r in rows[:i] + rows[i + 1 :]]) for i, row in enumerate(rows)
    )
    return sum(signed, Fraction(0))
