"""Given sequences of one name in two rules that need not be the same sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.symbolic.system.formulas import formulas
from accelsim.symbolic.system.linear_part import LinearPart


def unlike(a: LinearPart, b: LinearPart, set_a: Mapping[str, Any], set_b: Mapping[str, Any]) -> list[str]:
    """Given sequences of b that are not known to be a's of the same name.

    They have another formula, or read hyperparameters or states that may have other values in b. If a has no given
    sequences, b's are its own and the list is empty.

    Parameters
    ----------
    a, b : linear parts.
    set_a, set_b : hyperparameters that are known.
    """
    ours, theirs = formulas(a, set_a), formulas(b, set_b)
    if not ours:
        return []
    other = {k for k, value in set_b.items() if k in set_a and str(set_a[k]) != str(value)}
    return [k for k, f in theirs.items() if ours.get(k) != f or f.states or other.intersection(f.hyperparameters)]
