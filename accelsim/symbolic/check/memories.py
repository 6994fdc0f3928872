"""Checker of claims that a rule has at least n memories, so that no rule of fewer can be equal to it.

A gradient acts on later moves of the query point through the memories. For a translation-equivariant rule of m
memories, with coefficients that vary in time in any way, the matrix of moves at steps t+n, ..., t+2n-1 by gradients at
steps t, ..., t+n-1 has a rank of at most m: for n > m its determinant is zero. If it is not zero, the rule has at least
n memories; with n = 2 it is no accelerated SGD. A verdict is confirmed by impulses in fractions, without matrices.

References
----------
Ho, Kalman 1966, doi:10.1524/auto.1966.14.112.545 (the rank of a Hankel matrix of Markov parameters).
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
    """Claim that a rule has at least some number of memories beside its query point.

    Attributes
    ----------
    source : the rule.
    count : the number of memories.
    varying, given : as in `equivalence.Equivalence`. Recurrences may be any functions of t.
    map, transform, direction : empty, as nothing is mapped.
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
        """The claim that the rule is itself, from which it is known which names are functions of t."""
        free = tuple(recurrences(self.source, self.given))
        return Equivalence(self.source, self.source, {}, {}, varying=self.varying, given=self.given, free=free)


def check(claim: Memories) -> Verdict:
    """Prove or refute that a rule has at least so many memories, by a Hankel minor of its Markov parameters.

    Returns
    -------
    Verdict
        With the minor, factored, among the residuals.

    Raises
    ------
    InputError
        For a rule of several gradients a step, or one that is not translation-equivariant (weight decay).
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
    """Determinant (SymPy, factored) of moves at t+n, ..., t+2n-1 by gradients at t, ..., t+n-1, for n = count."""
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
    """Number of runs at rational hyperparameters whose determinant is (non)zero as claimed."""
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
    """The same determinant, a fraction, from runs on single gradients."""
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
