"""Whether written values of hyperparameters lie in declared ranges, whatever they are written in, step by step."""

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
from accelsim.symbolic.algebra.recurrences import Texts, computed

DRAWS = 12  # values of the hyperparameters that a text is written in
CORNERS = 24  # more of them, at the ends and in the middle of their ranges
FIRST = range(3)  # steps that are looked at beside a later one for each draw
WIDTHS = (2.0, 20.0)  # of what is drawn from ranges without an end
FINE = 9973  # parts of a range: draws that are equal by chance would make a difference zero
ROUNDING = 1e-9
NONE: Texts = MappingProxyType({})

INSIDE, OUTSIDE, NOWHERE = "inside", "outside", "nowhere"  # of a range; where a value does not exist


class _Free(Exception):
    """A function of t was asked for before the first step, where it may be anything."""


def usually_outside(text: str, declared: Hyperparameter, rule: Optimizer, sequences: Texts = NONE) -> int:
    """At how many draws of a rule's hyperparameters a text, written in them, is out of a range at a later step."""
    return sum(_place(text, declared, rule, seed, _later(seed), sequences) == OUTSIDE for seed in range(DRAWS))


def nowhere(text: str, declared: Hyperparameter, rule: Optimizer, sequences: Texts) -> int:
    """At how many early steps but the first a text divides by zero, of draws of the hyperparameters in it."""
    draws = product(range(DRAWS // 4), FIRST[1:])
    return sum(_place(text, declared, rule, seed, t, sequences) == NOWHERE for seed, t in draws)


def ever_inside(text: str, declared: Hyperparameter, rule: Optimizer) -> bool:
    """Whether a text, written in a rule's hyperparameters, is in a range at a later step of some draw of them."""
    return any(_place(text, declared, rule, seed, _later(seed)) == INSIDE for seed in range(DRAWS))


def note(name: str, text: str, declared: Hyperparameter, rule: Optimizer, sequences: Texts = NONE) -> str | None:
    """What to say of a hyperparameter whose value, written in those of a rule, leaves its range; None otherwise."""

    def places(t: int | None) -> set[str]:
        steps = ((seed, _later(seed) if t is None else t) for seed in range(DRAWS + CORNERS))
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


def _later(seed: int) -> int:
    return FIRST.stop + seed


def _place(
    text: str, declared: Hyperparameter, rule: Optimizer, seed: int, t: int, sequences: Texts = NONE
) -> str | None:
    """Where the value of a text lies; None where that cannot be told, or is free."""
    known = _names([text, *chain(*sequences.values())], rule, seed)
    try:
        sequence = computed(sequences, known, inexact)
        value = evaluated(text, {**known, **sequence, "t": Fraction(t)}, apply=inexact)
    except ZeroDivisionError:
        return NOWHERE
    except (_Free, InputError, ValueError, OverflowError):
        return None
    if not isinstance(value, Real) or not math.isfinite(value):
        return None
    near = (value,) if isinstance(value, Fraction) else (value, value - ROUNDING, value + ROUNDING)
    return INSIDE if any(map(declared.holds, near)) else OUTSIDE


def _names(texts: list[str], rule: Optimizer, seed: int) -> dict[str, Any]:
    """What the names in texts stand for: numbers, functions of t where they are called."""
    functions = set[str]().union(*map(called, texts))
    found: dict[str, Any] = {}
    for name in functions.union(*map(names_in, texts)) - {"t"}:
        declared = rule.hyperparameters.get(name, Hyperparameter(low=0))  # others are given positive sequences
        draw = partial(_drawn, declared, WIDTHS[seed % len(WIDTHS)], f"{seed} {name}", seed >= DRAWS)
        found[name] = draw if name in functions else draw(0)
    return found


def _drawn(declared: Hyperparameter, width: float, key: str, corner: bool, t: Any) -> Fraction:
    """A number inside a range, not beyond a width from 0; in a corner, near an end of it or in the middle."""
    if t < 0:
        raise _Free
    low, high = (exact(min(max(edge, -width), width)) for edge in (declared.low, declared.high))
    chance = random.Random(f"{key} {t}")
    part = chance.choice((1, FINE // 2, FINE - 1)) if corner else chance.randint(1, FINE - 1)
    return low + (high - low) * Fraction(part, FINE)
