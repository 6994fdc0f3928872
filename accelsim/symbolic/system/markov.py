"""Responses of queries to gradients, in quantities that do not depend on the coordinates of the states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from accelsim.symbolic.algebra.budget import Clock
from accelsim.symbolic.algebra.field import Field, determinant, elsewhere, reduced, shifted
from accelsim.symbolic.algebra.language import number
from accelsim.symbolic.system.linear_part import LinearPart, left_behind, without_decay
from accelsim.symbolic.system.minimal_realization import Block, Drift, Reduction
from accelsim.symbolic.system.tableau import time


class Drifting(NamedTuple):
    """Block form of a rule with weight decay, with kappa (1, 1) and d (m, 1) of `minimal_realization.Drift` (SymPy)."""

    a: Any
    b: Any
    p: Any
    q: Any
    kappa: Any
    d: Any


@dataclass(frozen=True)
class Side:
    """A rule as one side of a comparison.

    Attributes
    ----------
    part : its linear part.
    decay : name of the hyperparameter that breaks translation equivariance (weight decay); None where none does.
    moves : whether the rule is translation-equivariant.
    block : block form, at weight decay zero if that makes it equivariant; None for several gradients a step.
    drift : block form with weight decay; None for an equivariant rule.
    """

    part: LinearPart
    decay: str | None
    moves: bool
    block: Block | None
    drift: Drifting | None

    @property
    def memory(self) -> int | None:
        """Number of memories beside the query point; None where there is no block form."""
        return None if self.block is None else self.block.a.rows

    @property
    def constant(self) -> bool:
        """Whether no matrix depends on t."""
        return not any(m.has(time()) for m in self.part.matrices)

    def renamed(self, names: Mapping[Any, Any]) -> Side:
        """Side with symbols or functions replaced."""
        part = replace(self.part, matrices=_replaced(self.part.matrices, names))
        block, drift = (x and _replaced(x, names) for x in (self.block, self.drift))
        return replace(self, part=part, block=block, drift=drift)


def side_of(part: LinearPart) -> Side:
    """Side of a linear part, its block form included."""
    without, name = without_decay(part)
    still = not left_behind(without)
    moves = still and name is None
    if part.tableau.gradients > 1:
        return Side(part, name, moves, None, None)
    block = Reduction(without).block() if still else None
    drift = _drifting(part) if block is None or (not moves and block.a.rows <= 1) else None
    return Side(part, name, moves, block or Block(*drift[:4]) if drift else block, drift)


def _drifting(part: LinearPart) -> Drifting:
    import sympy

    block, kappa, d = Drift(part).drifting()
    return Drifting(*block, sympy.Matrix([kappa]), d)


def _replaced(matrices: Any, names: Mapping[Any, Any]) -> Any:
    from sympy.core.function import AppliedUndef

    def one(matrix: Any) -> Any:
        found = {f: names[f.func] for f in matrix.atoms(AppliedUndef) if f.func in names}
        functions = {f: new if new.is_Symbol else new.func(f.args[0]) for f, new in found.items()}
        return matrix.xreplace(functions | {s: names[s] for s in matrix.free_symbols if s in names})

    return type(matrices)(*map(one, matrices))


def invariants(side: Side, moving: bool, clock: Clock) -> list[Any]:
    """Invariants of the response of queries to gradients under any change of coordinates of the memories.

    They are coefficients of the transfer function, or at each step the canonical coefficients of one memory.

    Parameters
    ----------
    moving : whether coefficients vary in t.

    Returns
    -------
    list of SymPy expressions. With weight decay and more than one memory, its own part is left to the checker.

    Raises
    ------
    OutOfTime
        Past the budget.
    """
    import sympy

    assert side.block is not None
    a, b, p, q = side.block
    found = []
    if side.drift is not None:
        found.append(side.drift.kappa[0])
        if a.rows == 1:
            a, b, p, q = side.drift[:4]
            found.append(shifted(p[0], 1) * side.drift.d[0])
    found.append(q[0])
    if a.rows == 1:
        found += [shifted(p[0], 1) * b[0], a[0] * shifted(b[0], -1) / b[0]]
    elif a.rows and moving:
        found += _chain(p, a, b, 2 * a.rows, clock)
    elif a.rows:
        found += list(a.charpoly(sympy.Dummy()).all_coeffs()[1:])
        for _ in range(a.rows):
            found.append((p * b)[0])
            p = p * a
    return found


def current(block: Block) -> Any:
    """Coefficient alpha of the current gradient, from a block form of one memory with a nonzero decay (SymPy)."""
    a, b, p, q = (m[0] for m in block)
    return reduced(p * b / a - q)


def _chain(seen: Any, a: Any, b: Any, steps: int, clock: Clock) -> list[Any]:
    """Markov parameters c_{t+k} a_{t+k-1} ... a_{t+1} b_t for k = 1, ..., steps."""
    near = [[shifted(m, ahead) for m in (seen, a)] for ahead in range(1, steps + 1)]
    field_ = Field(entry for m in [b, *(m for pair in near for m in pair)] for entry in m)
    state, found = field_.matrix(b), []
    for row, onward in near:
        clock.check()
        shown = field_.matrix(row) * state
        found += [field_.plain(shown[i, j].element) for i in range(shown.shape[0]) for j in range(shown.shape[1])]
        state = field_.matrix(onward) * state
    return found


def window(a: LinearPart, b: LinearPart, clock: Clock, returned: bool = False) -> list[Any]:
    """Differences between the responses of two rules: of each query to each gradient of the current and earlier steps.

    Parameters
    ----------
    returned : whether responses of the returned state are compared in place of those of queries.

    Returns
    -------
    list of SymPy expressions, all zero if the rules query (or return) the same.

    Raises
    ------
    OutOfTime
        Past the budget.
    """
    steps = len(a.tableau.states) + len(b.tableau.states)
    constant = not any(part.matrices.A.has(time()) for part in (a, b))
    one, other = (_responses(part, steps, clock, returned, constant) for part in (a, b))
    return [x - y for x, y in zip(one, other, strict=True)]


def silent(part: LinearPart, clock: Clock) -> bool:
    """Vanishing of all responses of queries to gradients, as at a step size of zero."""
    a, b, c, d, _ = map(elsewhere, part.matrices)
    return not any(map(reduced, (*d, *_chain(c, a, b, len(part.tableau.states), clock))))


def step_sizes(part: LinearPart, clock: Clock) -> list[str]:
    """Names of the hyperparameters to which all responses are proportional, whatever they are at each step."""
    a, b, c, d, _ = map(elsewhere, part.matrices)
    shown = [*d, *_chain(c, a, b, len(part.tableau.states) + 1, clock)]
    symbols = sorted(set().union(*(x.free_symbols for x in shown)) - {time()}, key=str)
    return [s.name for s in symbols if all(reduced(x.xreplace({s: 2 * s}) - 2 * x) == 0 for x in shown)]


def _responses(part: LinearPart, steps: int, clock: Clock, returned: bool, constant: bool) -> list[Any]:
    import sympy

    a, b, c, d, f = map(elsewhere, part.matrices)
    seen = f if returned else c
    found = [] if returned else list(d)
    found += _chain(seen, a, b, steps, clock)
    if constant:
        for values in (part.tableau.translation, part.tableau.start):
            start = sympy.Matrix(list(map(number, values)))
            found += [*(seen * start), *_chain(seen, a, a * start, steps, clock)]
    return found


def minors(block: Block) -> list[Any]:
    """Irreducible factors of reachability and observability minors: memories are lost only where one vanishes."""
    import sympy

    a, b, p, _ = block
    ages = range(a.rows)
    near = {age: shifted(a, age) for age in range(1 - a.rows, a.rows - 1)}
    ends = [shifted(b, -age) for age in ages], [shifted(p, age) for age in ages]
    field_ = Field(entry for m in (*near.values(), *ends[0], *ends[1]) for entry in m)
    over = {age: field_.matrix(m) for age, m in near.items()}
    columns, rows = ([field_.matrix(m) for m in some] for some in ends)
    for age in ages:
        for step in range(1 - age, 1):
            columns[age] = over[step] * columns[age]
        for step in reversed(range(age)):
            rows[age] = rows[age] * over[step]
    found: list[Any] = []
    for matrix in (columns[0].hstack(*columns[1:]), rows[0].vstack(*rows[1:])):
        plain = [field_.plain(matrix[i, j].element) for i in ages for j in ages]
        det = determinant(sympy.Matrix(a.rows, a.rows, plain))
        factored = Field([det])
        found += [f for f in factored.factors(factored.element(det)) if f not in found]
    return found
