"""Membership of values in declared ranges, step by step, for texts in other hyperparameters: by draws, not by proof."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from functools import partial
from itertools import chain, product
from numbers import Real
from types import MappingProxyType
from typing import Any

from accelsim.errors import InputError
from accelsim.language import called, evaluated, inexact
from accelsim.language import names as names_in
from accelsim.program import exact
from accelsim.rule import Hyperparameter, Optimizer
from accelsim.symbolic.algebra.budget import charge
from accelsim.symbolic.algebra.recurrences import Texts, computed

VALUE = 200  # operations that a text takes at one step
DRAWS = 12  # values of the hyperparameters that a text is written in
CORNERS = 24  # more of them, at the ends and in the middle of their ranges
FIRST = range(3)  # steps that are looked at beside a later one for each draw
FAR, EVERY = (100, 1000, 10**4), 6  # later steps of one draw in so many
WIDTHS = (2.0, 20.0)  # of what is drawn from ranges without an end
FINE = 9973  # parts of a range: draws that are equal by chance would make a difference zero
ROUNDING = 1e-9
NONE: Texts = MappingProxyType({})

INSIDE, OUTSIDE, NOWHERE = "inside", "outside", "nowhere"  # of a range; where a value does not exist


class _Free(Exception):
    """A value of a function of t before the first step, where it may be anything."""


def usually_outside(text: str, declared: Hyperparameter, rule: Optimizer, sequences: Texts = NONE) -> int:
    """Number of draws at which a value is out of range at a later step.

    Parameters
    ----------
    text : the value, a text in the hyperparameters of `rule`.
    declared : the range.
    sequences : functions of t that the text may use, by start and next value.
    """
    return sum(
        _place(text, declared, rule, seed, _later(seed, sequences), sequences) == OUTSIDE for seed in range(DRAWS)
    )


def nowhere(text: str, declared: Hyperparameter, rule: Optimizer, sequences: Texts) -> int:
    """Number of early steps, of some draws, at which a text divides by zero, step 0 apart."""
    draws = product(range(DRAWS // 4), FIRST[1:])
    return sum(_place(text, declared, rule, seed, t, sequences) == NOWHERE for seed, t in draws)


def ever_inside(text: str, declared: Hyperparameter, rule: Optimizer) -> bool:
    """Whether a text in a rule's hyperparameters is in a range at a later step of some draw."""
    return any(_place(text, declared, rule, seed, _later(seed)) == INSIDE for seed in range(DRAWS))


def note(name: str, text: str, declared: Hyperparameter, rule: Optimizer, sequences: Texts = NONE) -> str | None:
    """Sentence on a hyperparameter whose value leaves its range, at some draws or all; None where none was seen to.

    Parameters
    ----------
    name, text : the hyperparameter, and its value as a text in the hyperparameters of `rule`.
    declared : its range.
    """

    def places(t: int | None) -> set[str]:
        steps = ((seed, _later(seed, sequences) if t is None else t) for seed in range(DRAWS + CORNERS))
        return {place for seed, at in steps if (place := _place(text, declared, rule, seed, at, sequences))}

    later, early = places(None), {t: places(t) for t in FIRST}
    everywhere = later.union(*early.values())
    if everywhere <= {INSIDE}:
        return None
    words = f"{name} = {text}"
    within = declared.range.removeprefix("in ")
    if later - {INSIDE}:
        sure, when = INSIDE not in later, " at later steps" if INSIDE in everywhere - later else ""
        return f"{words} {'is' if sure else 'may be'} outside its range {within}{when}"
    steps = [t for t in FIRST if early[t] - {INSIDE}]
    seen = set().union(*(early[t] for t in steps))
    what = "may be" if INSIDE in seen else "is"
    at = f"at t = {' and '.join(map(str, steps))}"
    return f"{words} does not exist {at}" if seen == {NOWHERE} else f"{words} {what} outside its range {within} {at}"


def _later(seed: int, sequences: Texts = NONE) -> int:
    """Later step of a draw: a near one or, where no sequence is followed up to it, sometimes a far one."""
    if not sequences and seed % EVERY == EVERY - 1:
        return FAR[seed // EVERY % len(FAR)]
    return FIRST.stop + seed


def _place(
    text: str, declared: Hyperparameter, rule: Optimizer, seed: int, t: int, sequences: Texts = NONE
) -> str | None:
    """Place of a value, in words: inside a range, below or above it; None where unknown, or free."""
    charge(VALUE)
    known = _names([text, *chain(*sequences.values())], rule, seed)
    try:
        sequence = computed(sequences, known, inexact)
        value = evaluated(text, {**known, **sequence, "t": Fraction(t)}, apply=inexact)
    except ZeroDivisionError:
        return NOWHERE
    except (_Free, InputError, ValueError, OverflowError):
        return None
    if not isinstance(value, Real) or not (isinstance(value, Fraction) or math.isfinite(value)):
        return None
    near = (value,) if isinstance(value, Fraction) else (value, value - ROUNDING, value + ROUNDING)
    return INSIDE if any(map(declared.holds, near)) else OUTSIDE


def _names(texts: list[str], rule: Optimizer, seed: int) -> dict[str, Any]:
    """Values of the names in texts: numbers, or functions of t where they are called."""
    functions = set[str]().union(*map(called, texts))
    found: dict[str, Any] = {}
    for name in functions.union(*map(names_in, texts)) - {"t"}:
        declared = rule.hyperparameters.get(name, Hyperparameter(low=0))  # others are given positive sequences
        draw = partial(_drawn, declared, WIDTHS[seed % len(WIDTHS)], f"{seed} {name}", seed >= DRAWS)
        found[name] = draw if name in functions else draw(0)
    return found


def _drawn(declared: Hyperparameter, width: float, key: str, corner: bool, t: Any) -> Fraction:
    """Random number inside a range and a width from 0; in a corner, near an end or in the middle."""
    if t < 0:
        raise _Free
    low, high = (exact(min(max(edge, -width), width)) for edge in (declared.low, declared.high))
    chance = random.Random(f"{key} {t}")
    part = chance.choice((1, FINE // 2, FINE - 1)) if corner else chance.randint(1, FINE - 1)
    return low + (high - low) * Fraction(part, FINE)
