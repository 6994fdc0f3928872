"""Random rational numbers in the ranges of hyperparameters: the same for the same key, on every machine."""

from __future__ import annotations

import random
from fractions import Fraction

from accelsim.program import exact
from accelsim.rule import Hyperparameter

BEYOND = 2.0  # from 0 there is no number that is drawn
WHOLE = range(-2, 4)


def drawn(declared: Hyperparameter, key: str, parts: int) -> Fraction:
    """Random rational number inside a range.

    Parameters
    ----------
    declared : the range; of it only numbers up to `BEYOND` from 0.
    key : all that the number depends on.
    parts : number of equal parts of the range. The number is one of the parts - 1 places between them, never an end.
    """
    low, high = (exact(min(max(edge, -BEYOND), BEYOND)) for edge in (declared.low, declared.high))
    return low + (high - low) * Fraction(random.Random(key).randint(1, parts - 1), parts)


def drawn_whole(declared: Hyperparameter, key: str) -> int | None:
    """Random small integer inside a range, by key; None where the range has none from -2 to 3."""
    choices = [n for n in WHOLE if declared.holds(n)]
    return random.Random(key).choice(choices) if choices else None
