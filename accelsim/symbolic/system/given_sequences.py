"""What two rules are given, sequences and gradients: which of them are one, and what has to be equal for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accelsim.symbolic.system.formulas import formulas
from accelsim.symbolic.system.linear_part import LinearPart


def unlike(a: LinearPart, b: LinearPart, set_a: Mapping[str, Any], set_b: Mapping[str, Any]) -> list[str]:
    """The given sequences of b that are unknown where those of a are known: they are not a's of the same name.

    They are another formula, or read what is given in b and is not so in a, or states that may be others in b. To a
    rule without given sequences b's are b's own: they stay given.
    """
    ours, theirs = formulas(a, set_a), formulas(b, set_b)
    if not ours:
        return []
    other = {k for k, value in set_b.items() if k in set_a and str(set_a[k]) != str(value)}
    return [k for k, f in theirs.items() if ours.get(k) != f or f.states or other.intersection(f.hyperparameters)]


def equal_parameters(
    a: LinearPart, b: LinearPart, set_a: Mapping[str, Any], set_b: Mapping[str, Any]
) -> tuple[str, ...]:
    """What is assumed of the hyperparameters that given sequences of both rules read: a line a sequence."""
    other, ours = unlike(a, b, set_a, set_b), formulas(a, set_a)
    shared = {k: f for k, f in formulas(b, set_b).items() if k in ours and k not in other and f.hyperparameters}
    return tuple(
        f"{k}(t) is one formula in both rules, with equal {', '.join(f.hyperparameters)}" for k, f in shared.items()
    )


def taken_alike(stages: Sequence[int], points: Sequence[Sequence[Any]], within: Sequence[Sequence[Any]]) -> list[int]:
    """For each gradient of a step the first of its sample that is always taken at the same point: they are one.

    Parameters
    ----------
    stages : number of gradients of each sample.
    points : by gradient, where it is taken in each of some runs that make up every other.
    within : by gradient, what the point is in the other gradients of the step.
    """
    firsts: list[int] = []
    for stage in stages:
        begin, before = len(firsts), sorted(set(firsts))
        shown = [[sum(row[h] for h, first in enumerate(firsts) if first == g) for g in before] for row in within]
        rows = [(list(points[g]), shown[g]) for g in range(begin, begin + stage)]
        firsts += [begin + rows.index(row) for row in rows]
    return firsts
