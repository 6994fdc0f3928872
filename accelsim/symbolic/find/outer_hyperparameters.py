"""Hyperparameters outside of functions, as a step size times a sign: with them rules of related memories move alike.

Linear parts are of no use for them. Signs and normalisations are set aside there, and a factor inside, as in
``2*lr*sign(3*m)``, counts like one outside.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from accelsim.program import reachable
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.elimination import solve
from accelsim.symbolic.algebra.language import text_of
from accelsim.symbolic.check.bisimulation import Bisimulation, Both
from accelsim.symbolic.system.tableau import time


def with_outer(claim: Bisimulation, memories: Mapping[str, Any], clock: Clock, held: Collection[str]) -> Bisimulation:
    """Solve for the target's hyperparameters that neither memories nor arguments of functions read.

    Parameters
    ----------
    claim : of rules of one position each; of others it is returned as it is.
    memories : the target's in the source's (SymPy expressions), at the claim's map.
    held : the target's hyperparameters that may not be others.

    Returns
    -------
    The claim with a map at which positions that are equal are so after a step; as it is where there is none.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.
    """
    import sympy

    if any(len(rule.positions) > 1 for rule in (claim.source, claim.target)):
        return claim
    t, program = time(), claim.target.program()
    below = reachable(program.updates[name] for name in claim.target.memories)
    read = {node.value for node in below if node.op == "hyperparameter"}
    names = [name for name in claim.map if name not in held and name not in read]
    unknown = {name: sympy.Symbol(f"{name}'", real=True) for name in names}
    while unknown:
        both = Both(claim, {t: unknown})
        one, other = (f"{end}[{rule.positions[0]}]" for end, rule in both.rules.items())
        _, after = both.step(t, {**both.symbols, **memories, other: both.symbols[one]})
        arguments = set().union(*(x.free_symbols for atom in both.functions.atoms.values() for x in atom.arguments))
        outer = {name: u for name, u in unknown.items() if u not in arguments}
        if outer == unknown:
            break
        unknown = outer
    else:
        return claim
    equations = list(_vanishing(both, after[one] - after[other]))
    for solution in solve(equations, unknown.values(), clock).solutions:
        usual = {u: both.functions.written(both.read(claim.map[k], both.names(t))) for k, u in unknown.items()}
        left = {u: value for u, value in usual.items() if u not in solution}
        values = {k: solution[u].xreplace(left) for k, u in unknown.items() if u in solution}
        if not any(value.has(sympy.zoo, sympy.nan) for value in values.values()):
            return replace(claim, map={**claim.map, **{k: text_of(value) for k, value in values.items()}})
    return claim


def _vanishing(both: Both, difference: Any) -> Iterator[Any]:
    """Expressions (SymPy) without states that are zero where a difference is, whatever states and gradients are."""
    import sympy

    above, _ = both.functions.fraction(difference)
    within = [x for x in above.free_symbols if both.functions.of_state(x)]
    for coefficient in sympy.Poly(above, *within).coeffs() if within else [above]:
        yield both.functions.written(coefficient)
