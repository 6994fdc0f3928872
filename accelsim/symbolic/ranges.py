"""Whether written values of hyperparameters lie in declared ranges, whatever they are written in, step by step.

That a value leaves its range is seen at numbers. That it never does is proved where no minus is left in a quotient of
polynomials, once numbers of [0, 1] are written x/(x + y), those of at least a as a + x, with x and y of at least 0.
"""

from __future__ import annotations

import ast
import math
import random
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from itertools import chain, product
from numbers import Real
from types import MappingProxyType
from typing import Any

from accelsim import elementary
from accelsim.errors import InputError
from accelsim.optimizer import Hyperparameter, Optimizer
from accelsim.program import exact
from accelsim.symbolic.algebra import elsewhere, evaluated, special_steps
from accelsim.symbolic.recursions import Texts, computed
from accelsim.symbolic.tableau import sympy_functions, time
from accelsim.symbolic.written import number

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


def condition(name: str, text: str, declared: Hyperparameter, rule: Optimizer, sequences: Texts = NONE) -> str | None:
    """That a hyperparameter's value, written in those of a rule, lies in its range; None where that is proved."""
    return None if _always_inside(text, declared, rule, sequences) else f"{name} = {text} is {declared.range}"


def _always_inside(text: str, declared: Hyperparameter, rule: Optimizer, sequences: Texts) -> bool:
    """Whether a text's value is seen to be in a range for all hyperparameters of the rule in theirs, at all steps."""
    import sympy
    from sympy.core.function import AppliedUndef

    if declared == Hyperparameter(declared.default):
        return True
    called = {name: sympy.Function(name) for name in _called([text])}
    known = {**sympy_functions(), "t": time(), **{name: sympy.Symbol(name) for name in rule.hyperparameters}, **called}
    try:
        value = sympy.sympify(evaluated(text, known, number))
    except InputError:
        return False
    for step in (*special_steps(value), None):
        here = elsewhere(value) if step is None else value.subs(time(), step)
        begun = 1 + max(special_steps(value), default=-1)
        moments = {time(): begun + _symbol("t")} if step is None else {}
        leaves = set(here.atoms(AppliedUndef)) | (here.free_symbols - {time()})
        if any((f.func.__name__ if f.is_Function else f.name) in sequences for f in leaves):
            return False
        drawn = {f: _parametrized(rule, f) for f in leaves}
        if not _between(_without_powers(here, drawn).xreplace(drawn).xreplace(moments), declared):
            return False
    return True


def _symbol(leaf: Any, positive: bool = False) -> Any:
    """A symbol for a number of at least 0, or above it."""
    import sympy

    return sympy.Symbol(f"of {leaf}", **{"positive" if positive else "nonnegative": True})


def _parametrized(rule: Optimizer, leaf: Any) -> Any:
    """A hyperparameter in its range, or its value at a step, in symbols of at least 0."""
    import sympy

    name = leaf.func.__name__ if leaf.is_Function else leaf.name
    declared = rule.hyperparameters.get(name, Hyperparameter(low=0, open_low=True))  # others: given positive sequences
    ends = (declared.low, declared.high)
    low, high = (sympy.Rational(str(exact(end))) if math.isfinite(end) else None for end in ends)
    x, y = _symbol(leaf, declared.open_low), _symbol(_other_end(str(leaf)), declared.open_high)
    if low is None:
        return sympy.Symbol(f"of {leaf}", real=True) if high is None else high - y
    return low + x if high is None else low + (high - low) * x / (x + y)


def _without_powers(expression: Any, drawn: Mapping[Any, Any]) -> Any:
    """An expression with a number of [0, 1] for each power at a later step, as beta**(t+1), of such a number."""

    def one(power: Any) -> Any:
        step = power.exp - time()
        within = power.base in drawn and all(map(_no_minus, (drawn[power.base], 1 - drawn[power.base])))
        if not (within and step.is_Integer and step >= 0):
            return power
        x, y = (_symbol(name) for name in (f"{power.base}**t", _other_end(f"{power.base}**t")))
        return power.base**step * x / (x + y)

    return expression.replace(lambda e: e.is_Pow and e.exp.has(time()), one)


def _between(value: Any, declared: Hyperparameter) -> bool:
    """Whether an expression in symbols of at least 0 is seen to lie in a range, wherever it is finite."""
    import sympy

    if not value.is_rational_function(*value.free_symbols) or value.has(sympy.zoo, sympy.nan):
        return False
    ends = ((declared.low, declared.open_low, 1), (declared.high, declared.open_high, -1))
    return all(
        _no_minus(sign * (value - sympy.Rational(str(exact(end)))), open_)
        for end, open_, sign in ends
        if math.isfinite(end)
    )


def _no_minus(value: Any, positive: bool = False) -> bool:
    """Whether a quotient of polynomials is at least 0, or above it, as no minus is in it, but in even powers."""
    import sympy

    above, below = sympy.fraction(sympy.cancel(value))
    symbols = sorted(value.free_symbols, key=str) or [sympy.Dummy()]
    over, under = (sympy.Poly(part, *symbols) for part in (above, below))
    signed = [i for i, symbol in enumerate(symbols) if not symbol.is_nonnegative]
    for polynomial in (over, under):
        if any(c < 0 or any(m[i] % 2 for i in signed) for m, c in polynomial.terms()):
            return False
    return not positive or _above_zero(over, symbols)


def _above_zero(polynomial: Any, symbols: list[Any]) -> bool:
    """Whether a polynomial without a minus has a term that is not zero, whichever of two symbols of a range is not."""
    sure = {symbol for symbol in symbols if symbol.is_positive}
    pairs = [(x, y) for x in symbols for y in symbols if y.name == _other_end(x.name)]
    terms = [{s for s, k in zip(symbols, m, strict=True) if k} for m in polynomial.monoms()] if polynomial else []
    return all(any(term <= sure | {*chosen} for term in terms) for chosen in product(*pairs))


def _other_end(name: str) -> str:
    return f"{name} to its end"


def _later(seed: int) -> int:
    return FIRST.stop + seed


def _place(
    text: str, declared: Hyperparameter, rule: Optimizer, seed: int, t: int, sequences: Texts = NONE
) -> str | None:
    """Where the value of a text lies; None where that cannot be told, or is free."""
    known = {"sqrt": math.sqrt, **_names([text, *chain(*sequences.values())], rule, seed)}
    try:
        value = evaluated(text, {**known, **computed(sequences, known), "t": Fraction(t)})
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
    called = _called(texts)
    found: dict[str, Any] = {}
    for name in {node.id for node in _nodes(texts) if isinstance(node, ast.Name)} - {"t", *elementary.FUNCTIONS}:
        declared = rule.hyperparameters.get(name, Hyperparameter(low=0))  # others are given positive sequences
        draw = partial(_drawn, declared, WIDTHS[seed % len(WIDTHS)], f"{seed} {name}", seed >= DRAWS)
        found[name] = draw if name in called else draw(0)
    return found


def _nodes(texts: list[str]) -> list[ast.AST]:
    return [node for text in texts for node in ast.walk(ast.parse(text, mode="eval"))]


def _called(texts: list[str]) -> set[str]:
    """Names of the functions in texts but for the elementary ones."""
    calls = (node.func for node in _nodes(texts) if isinstance(node, ast.Call))
    return {name.id for name in calls if isinstance(name, ast.Name)} - set(elementary.FUNCTIONS)


def _drawn(declared: Hyperparameter, width: float, key: str, corner: bool, t: Any) -> Fraction:
    """A number inside a range, not beyond a width from 0; in a corner, near an end of it or in the middle."""
    if t < 0:
        raise _Free
    low, high = (exact(min(max(edge, -width), width)) for edge in (declared.low, declared.high))
    chance = random.Random(f"{key} {t}")
    part = chance.choice((1, FINE // 2, FINE - 1)) if corner else chance.randint(1, FINE - 1)
    return low + (high - low) * Fraction(part, FINE)
