"""Minimal realizations: systems reduced to what gradients reach and later queries show, over a field of functions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

from accelsim.symbolic.algebra.field import Field, at_first, basis, reduced, shifted, special_steps, stacked
from accelsim.symbolic.system.linear_part import LinearPart
from accelsim.symbolic.system.tableau import time

_PRIME = 2**61 - 1


class Block(NamedTuple):
    """Block form n+ = a n + b g, y+ = y + p n + q g of a system with m memories n and query point y.

    Attributes
    ----------
    a, b, p, q : SymPy matrices of shapes (m, m), (m, 1), (1, m) and (1, 1), at step t.
    """

    a: Any
    b: Any
    p: Any
    q: Any


class Reduction:
    """Reachable and observable part of a system, over the field of all its coefficients near step t.

    It is taken modulo translations: coordinates are the memories and the differences of positions, k - 1 in all for k
    states, named in `coordinates`.
    """

    entering = "B"  # the matrix of what enters at a step

    def __init__(self, part: LinearPart) -> None:
        self.part, self.table = part, part.tableau
        states, e = self.table.states, self.table.translation
        self.order = sorted(range(1, len(states)), key=e.__getitem__)
        self.coordinates = [f"{states[i]} - {states[0]}" if e[i] else states[i] for i in self.order]
        self.special = any(map(special_steps, part.matrices))
        system = self._system()
        self.size = system["A"].rows
        steps = range(-self.size - 1, self.size + 2)
        self.near = {(name, step): shifted(m, step) for name, m in system.items() for step in steps}
        self.field = Field(entry for m in self.near.values() for entry in m)
        self.reach: Any = None
        self.rows: list[tuple[Any, Any]] = []
        self.names: list[str] = []
        if self.size:
            self._reduce()

    def _reduce(self) -> None:
        self.reach = self._reachable()
        self.show = self._observed(0)
        self.rows, self.names = self._chosen()

    def inputs(self) -> tuple[Any, Any, Any, Any]:
        """Matrices A, B, C, F over the rule's states at the general step.

        B has a second column for the first step, where that differs.
        """
        a, b, c, _, f = (at_first(m, False) for m in self.part.matrices)
        return a, b.row_join(at_first(self.part.matrices.B, True)) if self.special else b, c, f

    def modulo(self) -> Any:
        """The coordinates as rows over the rule's states."""
        import sympy

        order, e = self.order, self.table.translation
        k = len(order) + 1
        return sympy.Matrix(k - 1, k, lambda i, j: int(j == order[i]) - e[order[i]] * int(j == 0))

    def _place(self) -> Any:
        """The states, less the first position where they are one, over the coordinates."""
        import sympy

        k = len(self.order) + 1
        return sympy.Matrix(k, k - 1, lambda i, j: int(i == self.order[j]))

    def states(self) -> dict[str, Any]:
        """Each state (a position less the query point) as a row in the memories; None where they do not fix it."""
        import sympy

        query, names = self.inputs()[2], self.table.states
        unit = sympy.eye(len(names))
        rows = {
            name: unit[i, :] - e * query for i, (name, e) in enumerate(zip(names, self.table.translation, strict=True))
        }
        return {name: self.solve(self.field.matrix(row * self._place())) for name, row in rows.items()}

    def memories(self) -> list[tuple[Any, Any]]:
        """Each memory as a linear functional of the rule's states, a row at t and one at t + 1."""
        return [(self.written(a) * self.modulo(), self.written(b) * self.modulo()) for a, b in self.rows]

    def _system(self) -> dict[str, Any]:
        """Matrices by name: A, B of the coordinates, P, Q of the moves of the query point, R of what is returned."""
        keep, place = self.modulo(), self._place()
        a, b, c, f = self.inputs()
        ahead = shifted(c, 1)
        system = {"A": keep * a * place, "B": keep * b, "P": (ahead * a - c) * place, "Q": ahead * b}
        return system | {"R": (f - c) * place}

    def at(self, name: str, step: int = 0) -> Any:
        """A matrix of the general step at t + step, over the field."""
        matrix = self.near[name, step]
        if not hasattr(matrix, "domain"):
            matrix = self.near[name, step] = self.field.matrix(matrix)
        return matrix

    def sample(self, matrix: Any) -> Any:
        """A matrix over the field, evaluated at one fixed random point modulo a prime, where ranks cost nothing.

        Independence there proves independence. Dependence there without dependence everywhere, a chance of about 1e-17,
        would leave `block` without a solution, which is an error: no form rests on the chance.
        """
        from sympy import GF
        from sympy.polys.matrices import DomainMatrix

        rows = [[self._at_point(x) for x in row] for row in matrix.to_list()]
        return DomainMatrix(rows, matrix.shape, GF(_PRIME))

    def _at_point(self, element: Any) -> Any:
        from sympy import GF

        def value(polynomial: Any) -> int:
            total = 0
            for powers, c in polynomial.terms():
                term = int(c.numerator) * pow(int(c.denominator), -1, _PRIME)
                for x, power in zip(self._point, powers, strict=True):
                    term = term * pow(x, power, _PRIME) % _PRIME
                total += term
            return total % _PRIME

        if self.field.domain.is_QQ:
            return GF(_PRIME)(int(element.numerator) * pow(int(element.denominator), -1, _PRIME))
        return GF(_PRIME)(value(element.numer) * pow(value(element.denom), -1, _PRIME))

    @cached_property
    def _point(self) -> list[int]:
        chance = random.Random(0)
        return [chance.randrange(1, _PRIME) for _ in self.field.domain.gens]

    def _reachable(self) -> Any:
        """Reachability matrix at t, column by column, until an older gradient adds no dimension."""
        import sympy
        from sympy.polys.matrices import DomainMatrix

        columns = basis(self.at(self.entering, -1))
        for age in range(2, self.size + 1):
            if columns.shape[1] == self.size:
                break
            column = self.at(self.entering, -age)
            for step in range(-age + 1, 0):
                column = self.at("A", step) * column
            more = DomainMatrix.hstack(columns, column)
            rank = self.sample(more).rank()
            if rank == self.size:
                return self.field.matrix(sympy.eye(self.size))
            if rank == columns.shape[1]:
                break
            columns = basis(more)
        return columns

    def _observed(self, step: int) -> Any:
        """Observability matrix at t + step, row by row, until a later query adds no dimension."""
        rows, rank = self.at("P", step), 0
        for ahead in range(1, self.size):
            before, rank = rank, self.sample(rows).rank()
            if rank in (before, self.size):
                break
            row = self.at("P", step + ahead)
            for earlier in reversed(range(step, step + ahead)):
                row = row * self.at("A", earlier)
            rows = stacked([rows, row])
        return rows

    def _chosen(self) -> tuple[list[tuple[Any, Any]], list[str]]:
        """Functionals that are memories, a row at t and one at t + 1, and their names.

        The rule's own memories and differences of its positions are taken first, queries last.
        """
        reach = self.sample(self.reach)
        shown = self.sample(self.show) * reach
        wanted = shown.rank()
        chosen: list[tuple[Any, Any]] = []
        names: list[str] = []
        for here, there, name in chain(self._own(), self._shown()):
            if len(chosen) == wanted:
                break
            both = [self.sample(row) * reach for row, _ in (*chosen, (here, there))]
            if stacked(both).rank() == len(both) and stacked([shown, both[-1]]).rank() == wanted:
                chosen.append((here, there))
                names.append(name)
        return chosen, names

    def _own(self) -> Iterator[tuple[Any, Any, str]]:
        import sympy

        for i, name in enumerate(self.coordinates):
            row = self.field.matrix(sympy.eye(self.size)[i, :])
            yield row, row, name

    def _shown(self) -> Iterator[tuple[Any, Any, str]]:
        ahead = self._observed(1)
        for i in range(self.show.shape[0]):
            yield self.show[i : i + 1, :], ahead[i : i + 1, :], f"step {i} without a gradient"

    def solve(self, row: Any) -> Any:
        """Coefficients of functionals in the memories, on the reachable space; None where there are none."""
        import sympy

        if self.reach is None:
            return sympy.zeros(1, 0)
        target = row * self.reach
        if not self.rows:
            return None if any(target.to_Matrix()) else sympy.zeros(1, 0)
        here = stacked([r for r, _ in self.rows]) * self.reach
        pivots = list(self.sample(here).rref()[1])
        square = here.extract(list(range(len(self.rows))), pivots)
        found = target.extract(list(range(target.shape[0])), pivots) * square.inv()
        return self.written(found) if found * here == target else None

    def block(self) -> Block:
        """Block form a, b, p, q at t.

        Raises
        ------
        ArithmeticError
            If the random point of `sample` has missed a memory.
        """
        import sympy

        q = self.written(self.at("Q")[:, :1])
        if not self.rows:
            return Block(sympy.zeros(0, 0), sympy.zeros(0, 1), sympy.zeros(1, 0), q)
        ahead = stacked([r for _, r in self.rows])
        b = self.written(ahead * self.at("B")[:, :1])
        a, p = self.solve(ahead * self.at("A")), self.solve(self.at("P"))
        if a is None or p is None:
            raise ArithmeticError(f"{self.table.optimizer}: the memories {', '.join(self.names)} are not all there are")
        return Block(a, b, p, q)

    def _lags(self) -> tuple[Any, Any, Any]:
        """Rows of x+ - y+ and x - y, for the returned x and the query point y, on states and on inputs."""
        return self.at("R", 1), self.at("R") - self.at("P"), -self.at("Q")

    def kept(self) -> tuple[Any, Any] | None:
        """Factor k of x+ - y+ = k (x - y+) for the returned x, at t and at t = 0 where that is special.

        It is None where there is none: then x is no running average of query points.
        """
        import sympy

        ahead, state, entering = self._lags()
        if self.size and not any(ahead.to_Matrix()):
            return sympy.Integer(0), sympy.Integer(0)
        inputs = [(ahead * self.at("B"))[0, j].element if self.size else self.field.domain.zero for j in (0, -1)]
        left, right = [inputs[0]], [entering[0, 0].element]
        if self.reach is not None:
            for row, entries in ((ahead * self.at("A"), left), (state, right)):
                reached = row * self.reach
                entries += [reached[0, j].element for j in range(reached.shape[1])]
        general = self._factor(left, right)
        first = self._factor(inputs[-1:], [entering[0, -1].element]) if self.special else general
        if general is None or first is None:
            return None
        return self.field.expression(general), self.field.expression(first).subs(time(), 0)

    def _factor(self, left: list[Any], right: list[Any]) -> Any:
        """Factor k of left = k right; None where there is none."""
        factor = next((a / b for a, b in zip(left, right, strict=True) if b), self.field.domain.zero)
        return factor if all(a == factor * b for a, b in zip(left, right, strict=True)) else None

    def first_input(self) -> tuple[Any, Any]:
        """b and q at t = 0 where the rule treats the first step differently."""
        import sympy

        b = sympy.zeros(0, 1)
        if self.rows:
            b = self.written(stacked([r for _, r in self.rows]) * self.at("B")[:, 1:])
        q = self.written(self.at("Q")[:, 1:])
        return b.subs(time(), 0), q.subs(time(), 0)

    def written(self, matrix: Any) -> Any:
        """A matrix over the field in SymPy."""
        import sympy

        rows, columns = matrix.shape
        return sympy.Matrix(rows, columns, lambda i, j: self.field.expression(matrix[i, j].element))


class Drift(Reduction):
    """Reduction of a rule that is not translation-equivariant: its position is a coordinate too.

    Reachable is all that gradients and any start can reach. With p and q as in `Block`, kappa and d:

        n+ = a n + d y + b g,    y+ = (1 - kappa) y + p n + q g.

    About a point w_0 this is the system with the constant 1 among its states: d w_0 drives n, and -kappa w_0 drives y.

    Parameters
    ----------
    still : reduction of the rule without its decay. Where its memories and the query point are closed under steps with
        decay, they are the form: fewer memories would not do even without it.
    """

    entering = "entering"

    def __init__(self, part: LinearPart, still: Reduction | None = None) -> None:
        self.still = still
        super().__init__(part)

    def _reduce(self) -> None:
        if not (self.still and self._follows(self.still)):
            self.__dict__.pop("step", None)
            super()._reduce()

    def _follows(self, still: Reduction) -> bool:
        """Closure of the memories of the rule without decay, with the query point, under steps of this rule."""
        import sympy

        pairs = [(self.field.matrix(here), self.field.matrix(there)) for here, there in still.memories()]
        self.rows, self.names = [(self.at("P"), self.at("P", 1)), *pairs], ["query point", *still.names]
        self.reach = self.field.matrix(sympy.eye(self.size))
        return self.step is not None

    @cached_property
    def step(self) -> Any:
        """Step matrix of the coordinates: (y, n) at t + 1 over (y, n) at t."""
        return self.solve(stacked([there for _, there in self.rows]) * self.at("A"))

    def _system(self) -> dict[str, Any]:
        import sympy

        a, b, c, f = self.inputs()
        e = sympy.Matrix(self.table.translation)
        return {"A": a, "B": b, "P": c, "R": f, "e": e, "entering": b.row_join(e)}

    def _own(self) -> Iterator[tuple[Any, Any, str]]:
        yield self.at("P"), self.at("P", 1), "query point"
        kept = self.field.matrix(self.modulo())
        for i, name in enumerate(self.coordinates):
            yield kept[i : i + 1, :], kept[i : i + 1, :], name

    def _shown(self) -> Iterator[tuple[Any, Any, str]]:
        for here, there, name in super()._shown():
            yield self._still(here, 0), self._still(there, 1), name

    def _still(self, row: Any, step: int) -> Any:
        """A functional less a multiple of the query point, such that any start leaves it at zero."""
        query, e = self.at("P", step), self.at("e")
        at_start = (query * e)[0, 0].element
        return row - query * ((row * e)[0, 0].element / at_start) if at_start else row

    def _lags(self) -> tuple[Any, Any, Any]:
        query = self.at("P", 1)
        return self.at("R", 1) - query, self.at("R") - query * self.at("A"), -(query * self.at("B"))

    def drifting(self) -> tuple[Block, Any, Any]:
        """Block form, kappa and d at t."""
        step = self.step
        enters = self.written(stacked([there for _, there in self.rows]) * self.at("B")[:, :1])
        block = Block(step[1:, 1:], enters[1:, :], step[:1, 1:], enters[:1, :])
        return block, reduced(1 - step[0, 0]), step[1:, :1]
