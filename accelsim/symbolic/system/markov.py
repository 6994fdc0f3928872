"""What a rule's queries show of its gradients, in quantities that do not depend on the states it is written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from accelsim.symbolic.algebra.elimination import Clock
from accelsim.symbolic.algebra.field import Field, elsewhere, reduced, shifted
from accelsim.symbolic.algebra.language import number
from accelsim.symbolic.system.linear_part import LinearPart, left_behind, without_decay
from accelsim.symbolic.system.minimal_realization import Block, Drift, Reduction
from accelsim.symbolic.system.tableau import time


class Drifting(NamedTuple):
    """The block form of a rule with weight decay, and kappa and d: SymPy matrices, kappa (1, 1)."""

    a: Any
    b: Any
    p: Any
    q: Any
    kappa: Any
    d: Any


@dataclass(frozen=True)
class Side:
    """One of the rules: its matrices, and what its gradients do to the query point.

    Attributes
    ----------
    decay : the hyperparameter that stands against translation (weight decay), None where none does.
    moves : whether the rule moves along with a translation of all positions.
    block : block form, without weight decay where the rule moves without it; None for several gradients a step.
    drift : kappa, d (see `minimal_realization.Drift`) of the block form with weight decay; None where the rule moves.
    """

    part: LinearPart
    decay: str | None
    moves: bool
    block: Block | None
    drift: Drifting | None

    @property
    def memory(self) -> int | None:
        """Memories beside the query point."""
        return None if self.block is None else self.block.a.rows

    @property
    def constant(self) -> bool:
        """Whether its matrices do not vary in time."""
        return not any(m.has(time()) for m in self.part.matrices)

    def renamed(self, names: Mapping[Any, Any]) -> Side:
        """The side with symbols or functions replaced."""
        part = replace(self.part, matrices=_replaced(self.part.matrices, names))
        block, drift = (x and _replaced(x, names) for x in (self.block, self.drift))
        return replace(self, part=part, block=block, drift=drift)


def side_of(part: LinearPart) -> Side:
    """A rule's side of a comparison, its block form included."""
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
    """What the gradients do to the query point, in quantities that no change of memories alters.

    With weight decay, at more than one memory, its own part is left to the checker.
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
    """The step along the current gradient, alpha, of a block form of one memory that is kept."""
    a, b, p, q = (m[0] for m in block)
    return reduced(p * b / a - q)


def _chain(seen: Any, a: Any, b: Any, steps: int, clock: Clock) -> list[Any]:
    """What is seen 1, 2, ... steps after something entered by b at t, and went on by a."""
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
    """Differences of what each query (or the returned state) shows of each gradient some steps before."""
    steps = len(a.tableau.states) + len(b.tableau.states)
    constant = not any(part.matrices.A.has(time()) for part in (a, b))
    one, other = (_responses(part, steps, clock, returned, constant) for part in (a, b))
    return [x - y for x, y in zip(one, other, strict=True)]


def silent(part: LinearPart, clock: Clock) -> bool:
    """Whether queries show nothing of gradients, as where the step size is zero."""
    a, b, c, d, _ = map(elsewhere, part.matrices)
    return not any(map(reduced, (*d, *_chain(c, a, b, len(part.tableau.states), clock))))


def step_sizes(part: LinearPart, clock: Clock) -> list[str]:
    """The hyperparameters to which all that queries show of gradients is proportional, whatever the steps are."""
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
    """Irreducible factors of what vanishes only where memories are lost: what is reached and what is shown."""
    import sympy

    a, b, p, _ = block
    size = a.rows
    reach, rows = [], []
    for age in range(size):
        column, row = shifted(b, -age), shifted(p, age)
        for step in range(1 - age, 1):
            column = shifted(a, step) * column
        for step in reversed(range(age)):
            row = row * shifted(a, step)
        reach.append(column)
        rows.append(row)
    found: list[Any] = []
    for matrix in (sympy.Matrix.hstack(*reach), sympy.Matrix.vstack(*rows)):
        field_ = Field([matrix.det()])
        found += [f for f in field_.factors(field_.element(matrix.det())) if f not in found]
    return found
