"""Conditions under which rational functions have values: divisors that are nonzero, at all steps or at special ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

from accelsim.symbolic.algebra.field import divisors, elsewhere, reduced, shifted, special_steps
from accelsim.symbolic.algebra.time import time

EARLY = 16  # steps at which divisors are looked at that are other functions of t


def conditions(values: Iterable[Any]) -> tuple[str, ...]:
    """Conditions that expressions have values.

    Parameters
    ----------
    values : SymPy expressions.

    Returns
    -------
    texts as ``lr != 0``, each once, with the steps that it is about where these are not all.
    """
    always: dict[str, None] = {}
    sometimes: dict[str, str] = {}
    for value in values:
        special = special_steps(value)
        for divisor in divisors(reduced(elsewhere(value))):
            if 0 in special and shifted(divisor, 1).is_positive:
                continue
            spared = [step for step in special if step >= 0 and reduced(divisor.subs(time(), step)) == 0]
            always[_nonzero(divisor) + (f" (but at t = {', '.join(map(str, spared))})" if spared else "")] = None
        for step in special:
            found = map(_nonzero, divisors(reduced(value.subs(time(), step))))
            sometimes |= {f"{text} (at t = {step})": text for text in found}
    return (*always, *(there for there, text in sometimes.items() if text not in always))


def _nonzero(divisor: Any) -> str:
    return f"{divisor.primitive()[1]} != 0"


def poles(values: Iterable[Any]) -> Iterator[str]:
    """Sentences on divisors that are zero at a step for all hyperparameters, which no condition excludes."""
    import sympy

    for value in values:
        special = special_steps(value)
        for step in special:
            if step >= 0 and value.subs(time(), step).has(sympy.zoo, sympy.nan):
                yield f"what the claim divides by is zero at t = {step}"
        for divisor in divisors(reduced(elsewhere(value))):
            for step in _steps(divisor):
                if step not in special and reduced(divisor.subs(time(), step)) == 0:
                    yield f"the claim divides by {divisor.primitive()[1]}, which is zero at t = {step}"


def _steps(divisor: Any) -> list[int]:
    """Steps at which a polynomial in t alone is zero.

    For a divisor with other functions of t they are the first steps, and those near a turn of a minimum or maximum.
    """
    import sympy

    t = time()
    parts = [part for part in sympy.preorder_traversal(divisor) if part.free_symbols == {t} and part.is_polynomial(t)]
    roots = {root for part in parts for root in sympy.Poly(part, t).ground_roots()}
    steps = {int(root) for root in roots if root.is_integer and root >= 0}
    if divisor.free_symbols == {t} and not divisor.is_rational_function(t):
        steps |= {*range(EARLY), *turns(divisor)}
    return sorted(steps)


def turns(expression: Any) -> set[int]:
    """Steps near those at which a minimum, maximum or absolute value in an expression changes its case."""
    import sympy

    t = time()
    found: set[int] = set()
    for choice in expression.atoms(sympy.Min, sympy.Max, sympy.Abs):
        pairs = combinations(choice.args if len(choice.args) > 1 else (*choice.args, sympy.Integer(0)), 2)
        for apart in (sympy.expand(x - y) for x, y in pairs):
            if apart.free_symbols == {t} and apart.is_polynomial(t):
                for root in sympy.Poly(apart, t).ground_roots():
                    found |= {int(sympy.floor(root)) + i for i in (-1, 0, 1, 2)}
    return {step for step in found if step >= 0}
