"""The step t as proofs know it."""

from __future__ import annotations

from typing import Any


def time() -> Any:
    """The SymPy symbol of the step."""
    import sympy

    return sympy.Symbol("t", integer=True, nonnegative=True)
