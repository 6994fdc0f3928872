"""Hyperparameters of the first steps that lead from the start to a relation of states that holds from then on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from accelsim.errors import InputError
from accelsim.symbolic.algebra import ranges
from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.elimination import solve
from accelsim.symbolic.algebra.language import from_first, text_of
from accelsim.symbolic.check.bisimulation import Bisimulation, Both
from accelsim.symbolic.system.functions import Beyond


def with_first_steps(claim: Bisimulation, clock: Clock, held: Collection[str]) -> Bisimulation | None:
    """Solve for the target's hyperparameters at the steps before a claim's relation holds.

    Parameters
    ----------
    claim : with a relation from step `since` on.
    held : the target's hyperparameters that must have their later values there too.

    Returns
    -------
    Bisimulation
        The claim with such values in its map, inside ranges where a choice of what is left open lies there; None where
        there are none.

    Raises
    ------
    OutOfTime
        Past the budget of the clock.
    """
    import sympy

    steps = range(claim.since)
    unknown = {
        (t, name): sympy.Symbol(f"{name}[{t}]'", real=True) for t in steps for name in claim.map if name not in held
    }
    begun = {t: {name: u for (at, name), u in unknown.items() if at == t} for t in steps}
    both = Both(claim, begun)
    try:
        equations = list(_equations(both))
    except (Beyond, InputError):
        return None
    usual = _usual(claim)
    fixed = {u: usual[key] for key, u in unknown.items() if key in usual}
    outside = None
    # as few as possible are others than later on: the first step alone, if that will do
    for free in (steps[:1], steps):
        known = {u: v for (t, name), u in unknown.items() if t not in free and (v := fixed.get(u)) is not None}
        asked = [u for (t, _), u in unknown.items() if unknown and u not in known]
        here = [e.xreplace(known) for e in equations]
        for solution in solve(here, asked, clock).solutions:
            for values in _completed(solution, asked, fixed):
                texts = dict(claim.map)
                for (t, name), u in sorted(unknown.items(), key=lambda item: -item[0][0]):
                    texts[name] = _begins(texts[name], t, {**values, **known}[u], fixed.get(u))
                found = replace(claim, map=texts)
                if not _outside(found):
                    return found
                outside = outside or found
    return outside


def _completed(solution: Mapping[Any, Any], asked: list[Any], usual: Mapping[Any, Any]) -> Iterator[dict[Any, Any]]:
    """A solution with what it leaves open as usual, or zero."""
    import sympy

    left_open = [u for u in asked if u not in solution]
    zeros: dict[Any, Any] = dict.fromkeys(left_open, sympy.Integer(0))
    for chosen in ({**zeros, **{u: usual[u] for u in left_open if u in usual}}, zeros):
        values = chosen | {u: v.xreplace(chosen) for u, v in solution.items()}
        if not any(v.has(sympy.zoo, sympy.nan) for v in values.values()):
            yield values


def _outside(claim: Bisimulation) -> bool:
    """Whether a value of a claim's map leaves its range."""
    declared = claim.target.hyperparameters
    return any(ranges.note(name, text, declared[name], claim.source) for name, text in claim.map.items())


def _begins(text: str, step: int, value: Any, usual: Any) -> str:
    """Text of a value that is another one at a step."""
    if usual is not None and value == usual:
        return text
    if step == 0:
        return from_first(text, value)
    return f"where(first(t-{step}), {text_of(value)}, {text})"


def _usual(claim: Bisimulation) -> dict[tuple[int, str], Any]:
    """Values of the map at the first steps, by (step, name), where they exist."""
    import sympy

    found = {}
    both = Both(claim)
    for t in range(claim.since):
        for name in claim.map:
            try:
                value = both.read(claim.map[name], both.names(sympy.Integer(t)))
                found[t, name] = both.functions.written(both.functions.normal(value))
            except (Beyond, InputError):
                continue
    return found


def _equations(both: Both) -> Iterator[Any]:
    """Expressions (SymPy) that vanish where first steps end in related states, whatever gradients are."""
    import sympy

    claim, functions = both.claim, both.functions
    values = both.start()
    left = []
    for t in range(claim.since):
        shown, values = both.step(sympy.Integer(t), values)
        left += [one - other for one, other in zip(shown["a"], shown["b"], strict=True)]
    since = sympy.Integer(claim.since)
    left += [value - values[state] for state, value in both.related(since, values).items()]
    for each in left:
        above, _ = functions.fraction(each)
        within = [x for x in above.free_symbols if functions.of_state(x)]
        for c in sympy.Poly(above, *within).coeffs() if within else [above]:
            if c != 0:
                yield functions.written(c)
