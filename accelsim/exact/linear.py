"""Tableaus of linear rules; for a rule that is not linear, the shipped rules that are its linear core."""

from __future__ import annotations

from functools import cache
from typing import Any

from accelsim.errors import InputError
from accelsim.optimizers import shipped
from accelsim.rule import Optimizer
from accelsim.symbolic.system import tableau
from accelsim.symbolic.system.tableau import NotLinear, Tableau, is_linear


def linear_tableau(optimizer: Optimizer, /, **values: Any) -> Tableau:
    """Tableau of a linear rule; arguments as those of `tableau.tableau`.

    Raises
    ------
    InputError
        If the rule is not linear, naming what is not, and its linear core.
    """
    try:
        return tableau.linear_tableau(optimizer, **values)
    except NotLinear as error:
        cores = " or ".join(linear_cores(optimizer))
        hint = f"ask for its linear core instead: {cores}" if cores else "accelsim.canonical gives its linear part"
        raise InputError(f"{error}; {hint}") from None


@cache
def linear_cores(optimizer: Optimizer) -> tuple[str, ...]:
    """Names of the shipped linear rules that a rule is with signs and preconditioners set aside.

    They are those of the same paper, which is one file; where it has none, those that its rules are proved to be by the
    derivations, of which one may lead on to the next. Empty where there are none.
    """
    from accelsim.symbolic import verify
    from accelsim.symbolic.check.equivalence import Equivalence

    claims = [module.certificate() for module in verify.known().values()]
    proved = [(claim.source, claim.target) for claim in claims if isinstance(claim, Equivalence)]
    seen: set[Optimizer] = set()
    left = {optimizer}
    while left:
        papers = {rule.rule.__module__ for rule in left}
        beside = [rule for rule in shipped().values() if rule.rule.__module__ in papers and is_linear(rule)]
        onwards = {b for a, b in proved if a.rule.__module__ in papers and shipped().get(b.name) is b}
        if found := beside or sorted(filter(is_linear, onwards), key=str):
            return tuple(rule.name for rule in found)
        seen |= left
        left = onwards - seen
    return ()
