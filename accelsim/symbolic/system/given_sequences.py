"""Which of the sequences that two rules are given are not one."""

from __future__ import annotations

from collections.abc import Mapping
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
