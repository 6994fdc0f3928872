"""What must not be zero where values of rational functions are to exist, at all steps and at special ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from accelsim.symbolic.algebra.field import divisors, elsewhere, reduced, shifted, special_steps
from accelsim.symbolic.system.tableau import time


def conditions(values: Iterable[Any]) -> tuple[str, ...]:
    """What must not be zero, each condition once."""
    always: dict[str, None] = {}
    sometimes: dict[str, str] = {}
    for value in values:
        special = special_steps(value)
        always |= dict.fromkeys(_nonzero(elsewhere(value), begun=0 in special))
        for step in special:
            sometimes |= {f"{text} (at t = {step})": text for text in _nonzero(value.subs(time(), step))}
    return (*always, *(there for there, text in sometimes.items() if text not in always))


def _nonzero(value: Any, begun: bool = False) -> list[str]:
    """What must not be zero where a value is to exist; where `begun`, at all steps but the first."""
    found = divisors(reduced(value))
    return [f"{d.primitive()[1]} != 0" for d in found if not (begun and shifted(d, 1).is_positive)]


def poles(values: Iterable[Any]) -> Iterator[str]:
    """Divisors that are zero at a step whatever the hyperparameters are, which no condition can exclude."""
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
    """Steps at which a polynomial in t alone is zero, of those that the divisor is made of."""
    import sympy

    t = time()
    parts = [part for part in sympy.preorder_traversal(divisor) if part.free_symbols == {t} and part.is_polynomial(t)]
    roots = {root for part in parts for root in sympy.Poly(part, t).ground_roots()}
    return sorted(int(root) for root in roots if root.is_integer and root >= 0)
