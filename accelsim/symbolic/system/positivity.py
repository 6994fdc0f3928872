"""Proofs that expressions in hyperparameters are positive, nonzero or in a declared range, at all steps.

Numbers of [0, 1] are written x/(x + y), those of at least a are written a + x, with x and y of at least 0. A quotient
of polynomials in which no minus is left is then not negative. What is not proved so counts as not proved.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from itertools import product
from typing import Any

from accelsim.errors import InputError
from accelsim.language import called
from accelsim.program import Node, Program
from accelsim.rule import Hyperparameter, Optimizer
from accelsim.symbolic.algebra.budget import kept
from accelsim.symbolic.algebra.field import elsewhere, special_steps
from accelsim.symbolic.algebra.language import expression, number
from accelsim.symbolic.algebra.ranges import NONE
from accelsim.symbolic.algebra.recurrences import Texts
from accelsim.symbolic.system.tableau import Tableau, Translation, time

LARGEST = 60  # operations in a polynomial of which it is seen whether it has a zero
HALF = 2  # of which a power is a square root
UNKNOWN, NONNEGATIVE, POSITIVE = range(3)  # signs
_KEPT = 64  # rules


def condition(name: str, text: str, declared: Hyperparameter, rule: Optimizer, sequences: Texts = NONE) -> str | None:
    """Condition that a hyperparameter's value lies in its range.

    Parameters
    ----------
    name, text : the hyperparameter, and its value as a text in the hyperparameters of `rule`.
    declared : its range.
    sequences : functions of t that the text may use, by start and next value.

    Returns
    -------
    The condition in words; None where it is proved.
    """
    return None if _always_inside(text, declared, rule, sequences) else f"{name} = {text} is {declared.range}"


def at_least_zero(expression: Any, rule: Optimizer) -> bool:
    """Proof that an expression (SymPy) in a rule's hyperparameters is at least 0 at all steps, in their ranges."""
    return all(_no_minus(_without_roots(value)) for value in _in_range(expression, rule))


def never_zero(expression: Any, rule: Optimizer) -> bool:
    """Proof that a polynomial (SymPy) has no zero for hyperparameters of a rule in their ranges.

    Symbols are hyperparameters, as ``lr``, or their values at a step, as ``lr[3]``; all others are any real numbers. A
    polynomial of more than `LARGEST` operations is not looked at.
    """
    import sympy

    if expression.count_ops() > LARGEST:
        return False
    drawn = {}
    for symbol in expression.free_symbols:
        known = symbol.name.partition("[")[0] in rule.hyperparameters and symbol.name.count("[") <= 1
        drawn[symbol] = _parametrized(rule, symbol) if known else sympy.Symbol(f"of {symbol}", real=True)
    value = expression.xreplace(drawn)
    return any(_no_minus(sign * value, positive=True) for sign in (1, -1))


def positive_sequences(table: Tableau, **switches: Any) -> frozenset[str]:
    """Names of the given sequences proved to be positive, as 1/(sqrt(v) + eps) is and a mask of 0 and 1 is not.

    A nonlinear state is at least 0 where it starts so and its update is at least 0 whenever such states are.
    """
    found = _signs_at(table.optimizer, **switches) if table.factors else {}
    return frozenset(f.symbol for f in table.factors.values() if found[f.node.value[1]] == POSITIVE)


@kept(_KEPT)
def _signs_at(rule: Optimizer, **switches: Any) -> dict[int, int]:
    """Signs of a rule's nodes where some switches are known."""
    return signs(rule, rule.program(switches))


def signs(rule: Optimizer, program: Program | None = None) -> dict[int, int]:
    """Proved sign of each node of a rule's program by index: `POSITIVE`, `NONNEGATIVE` or `UNKNOWN`."""
    program = program or rule.program()
    started = {state for state, start in rule.memories.items() if start >= 0}
    while True:
        found = _signs(rule, program, started)
        kept = {state for state in started if found[program.updates[state].index] >= NONNEGATIVE}
        if kept == started:
            return found
        started = kept


def _signs(rule: Optimizer, program: Program, states: Collection[str]) -> dict[int, int]:
    """Signs of nodes, where some states are supposed to be at least 0."""
    translate = Translation(rule, (), {})
    found: dict[int, int] = {}
    uniform = {node.index for node in program.nodes if node.kind == "uniform"}
    for node in program.nodes:
        below = [found[arg.index] for arg in node.args]
        if node.op == "state":
            uniform.discard(node.index)
            found[node.index] = NONNEGATIVE if node.value in states else UNKNOWN
        elif node.index in uniform and all(arg.index in uniform for arg in node.args):
            value = elsewhere(translate(node)) if node.op != "first" else None
            every = [] if value is None else [_without_roots(x) for x in _in_range(value, rule)]
            sign = POSITIVE if every and all(_no_minus(x, positive=True) for x in every) else UNKNOWN
            found[node.index] = sign or NONNEGATIVE * (bool(every) and all(map(_no_minus, every)))
        else:
            uniform.discard(node.index)
            found[node.index] = _product(node, found) if node.op == "mul" else _sign(node, below)
    return found


def _product(node: Node, signs: Mapping[int, int]) -> int:
    """Sign of a product, a repeated factor being a square."""
    once, left, square = dict[int, Node](), [node], False
    while left:
        part = left.pop()
        if part.op == "mul":
            left += part.args
        elif once.pop(part.index, None) is None:
            once[part.index] = part
        else:
            square = True
    return min([signs[i] for i in once] + [NONNEGATIVE] * square)


def _sign(node: Node, below: list[int]) -> int:
    """Sign of a node from those of its arguments."""
    if node.op == "div":
        return min(below)
    if node.op == "add":
        return max(below) if min(below) >= NONNEGATIVE else UNKNOWN
    if node.op in ("maximum", "minimum", "where"):
        return max(below) if node.op == "maximum" else min(below[-2:])
    if node.op in ("sqrt", "abs", "total"):
        return max(below[0], NONNEGATIVE * (node.op == "abs"))
    if node.op == "exp":
        return POSITIVE
    even = node.op == "pow" and node.args[1].op == "const" and node.args[1].value % 2 == 0
    return NONNEGATIVE if even else below[0] if node.op == "pow" else UNKNOWN


def _in_range(expression: Any, rule: Optimizer) -> Iterator[Any]:
    """Expressions that one in hyperparameters is at its special steps and at all others, in symbols of at least 0."""
    from sympy.core.function import AppliedUndef

    special = special_steps(expression)
    for step in (*special, None):
        here = elsewhere(expression) if step is None else expression.subs(time(), step)
        moments = {time(): 1 + max(special, default=-1) + _symbol("t")} if step is None else {}
        leaves = here.atoms(AppliedUndef) | (here.free_symbols - {time()})
        drawn = {leaf: _parametrized(rule, leaf) for leaf in leaves}
        yield _without_powers(here, drawn).xreplace(drawn).xreplace(moments)


def _always_inside(text: str, declared: Hyperparameter, rule: Optimizer, sequences: Texts) -> bool:
    """Proof that a text's value is in a range at all steps, for all hyperparameters of the rule in theirs."""
    import sympy
    from sympy.core.function import AppliedUndef

    if declared == Hyperparameter(declared.default):
        return True
    functions = {name: sympy.Function(name) for name in called(text)}
    known = {"t": time(), **{name: sympy.Symbol(name) for name in rule.hyperparameters}, **functions}
    try:
        value = expression(text, known)
    except InputError:
        return False
    named = {x.func.__name__ if x.is_Function else x.name for x in value.free_symbols | value.atoms(AppliedUndef)}
    if named & set(sequences):
        return False
    return all(_between(_without_roots(here), declared) for here in _in_range(value, rule))


def _symbol(leaf: Any, positive: bool = False) -> Any:
    """A symbol for a number of at least 0, or above it."""
    import sympy

    return sympy.Symbol(f"of {leaf}", **{"positive" if positive else "nonnegative": True})


def _parametrized(rule: Optimizer, leaf: Any) -> Any:
    """A hyperparameter in its range, or its value at a step, in symbols of at least 0."""
    import sympy

    name = leaf.func.__name__ if leaf.is_Function else leaf.name.partition("[")[0]
    declared = rule.hyperparameters.get(name, Hyperparameter(low=0, open_low=True))  # others: given positive sequences
    ends = (declared.low, declared.high)
    low, high = (number(end) if math.isfinite(end) else None for end in ends)
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


def _without_roots(expression: Any) -> Any:
    """An expression with a number of at least 0, or above it, for each square root of such a number."""

    def one(power: Any) -> Any:
        if not _no_minus(power.base):
            return power
        return _symbol(f"sqrt({power.base})", _no_minus(power.base, positive=True)) ** power.exp.p

    return expression.replace(lambda e: e.is_Pow and e.exp.is_Rational and e.exp.q == HALF, one)


def _between(value: Any, declared: Hyperparameter) -> bool:
    """Whether an expression in symbols of at least 0 is seen to lie in a range, wherever it is finite."""
    import sympy

    if value.has(sympy.zoo, sympy.nan):
        return False
    ends = ((declared.low, declared.open_low, 1), (declared.high, declared.open_high, -1))
    return all(_no_minus(sign * (value - number(end)), open_) for end, open_, sign in ends if math.isfinite(end))


def _no_minus(value: Any, positive: bool = False) -> bool:
    """Proof that a quotient of polynomials is at least 0 (or positive): no minus in it but in even powers."""
    import sympy

    if not value.is_rational_function(*value.free_symbols):
        return False
    above, below = sympy.fraction(sympy.cancel(value))
    symbols = sorted(value.free_symbols, key=str) or [sympy.Dummy()]
    over, under = (sympy.Poly(part, *symbols) for part in (above, below))
    signed = [i for i, symbol in enumerate(symbols) if not symbol.is_nonnegative]
    for polynomial in (over, under):
        if any(c < 0 or any(m[i] % 2 for i in signed) for m, c in polynomial.terms()):
            return False
    return not positive or _above_zero(over, symbols)


def _above_zero(polynomial: Any, symbols: list[Any]) -> bool:
    """Existence of a term that is nonzero, in a polynomial without a minus, whichever symbol of a range is zero."""
    sure = {symbol for symbol in symbols if symbol.is_positive}
    pairs = [(x, y) for x in symbols for y in symbols if y.name == _other_end(x.name)]
    terms = [{s for s, k in zip(symbols, m, strict=True) if k} for m in polynomial.monoms()] if polynomial else []
    return all(any(term <= sure | {*chosen} for term in terms) for chosen in product(*pairs))


def _other_end(name: str) -> str:
    return f"{name} to its end"
