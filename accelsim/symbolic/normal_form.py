"""The normal form of a rule with one query: what its gradients do to the query point, and nothing else.

A translation-equivariant linear rule has a position, its query point y, and memories, functionals of the state
that a translation leaves alone. What no gradient reaches and what no later query point shows is left out, so
the form does not depend on how the rule was written:

    n+ = a_t n + b_t g,    y+ = y + p_t n + q_t g.

With one memory this is accelerated SGD, m_t = beta_t m_{t-1} + g_t, y_{t+1} = y_t - eta_t m_t - alpha_t g_t, with

    beta_t = a_t b_{t-1} / b_t,    eta_t = -p_t b_t / a_t,    alpha_t = -q_t - eta_t,

because n_t = b_{t-1} m_{t-1}. All is computed in the field of rational functions of hyperparameters and of unknown
functions of t, so a coefficient is finite if it is finite after cancellation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

from accelsim.errors import InputError, unknown
from accelsim.optimizer import Optimizer
from accelsim.symbolic.algebra import Field, at_first, divisors, reduced, shifted, special_steps
from accelsim.symbolic.tableau import Matrices, Tableau, tableau, time


class Block(NamedTuple):
    """n+ = a n + b g, y+ = y + p n + q g: SymPy matrices (m, m), (m, 1), (1, m), (1, 1) for m memories."""

    a: Any
    b: Any
    p: Any
    q: Any


@dataclass(frozen=True)
class Canonical:
    """The normal form of a rule.

    Attributes
    ----------
    memory : number of memories beside the query point.
    beta, eta, alpha : canonical coefficients in t and the hyperparameters; None where the rule has none.
    returned : what the user gets, in the query point w(t) and m(t-1) (or the memories n of the block form);
        None where it needs a memory of its own.
    conditions : what must not be zero, and where coefficients are not determined.
    assumptions : what was set aside (signs, preconditioners, weight decay).
    block : the gauge-free form that the coefficients were printed from.
    memories : what each memory of the block form is, in the rule's own states.
    """

    optimizer: Optimizer
    memory: int
    beta: Any
    eta: Any
    alpha: Any
    returned: Any
    conditions: tuple[str, ...]
    assumptions: tuple[str, ...]
    block: Block
    memories: tuple[str, ...]

    @property
    def canonical(self) -> bool:
        """Whether the rule is accelerated SGD."""
        return self.beta is not None

    def to_json(self) -> dict[str, Any]:
        """The form in strings; the block form only where there are no canonical coefficients."""
        found: dict[str, Any] = {"optimizer": str(self.optimizer), "memory": self.memory}
        if self.canonical:
            found |= {name: str(getattr(self, name)) for name in ("beta", "eta", "alpha")}
        else:
            blocks = {name: [list(map(str, row)) for row in m.tolist()] for name, m in self.block._asdict().items()}
            found["block"] = {"memories": list(self.memories), **blocks}
        found["returned"] = None if self.returned is None else str(self.returned)
        return found | {"conditions": list(self.conditions), "assumptions": list(self.assumptions)}

    def _repr_latex_(self) -> str:
        from accelsim.symbolic.latex import canonical_latex

        return f"$\\displaystyle {canonical_latex(self)}$"


def canonical(optimizer: Optimizer, /, varying: Iterable[str] = (), **values: Any) -> Canonical:
    """The normal form of a rule, found from its tableau.

    Parameters
    ----------
    varying : hyperparameters that are unknown functions of t; recurrences always are.
    **values : hyperparameters that are known (numbers, schedules, text); the others stay symbols.

    Raises
    ------
    InputError
        If the rule has no linear part, takes more than one gradient a step, or does not move along with a
        translation (weight decay) whatever is left of it.

    References
    ----------
    Morwani et al. 2025, arXiv:2502.02431, Section 3.
    """
    part = linear_part(optimizer, varying, **values)
    if part.tableau.gradients > 1:
        raise InputError(
            f"{optimizer} takes {part.tableau.gradients} gradients a step: "
            "it is no recurrence in one gradient, and only such rules have a canonical form"
        )
    return _Reduction(equivariant(part)).result()


@dataclass(frozen=True)
class LinearPart:
    """A rule's matrices in SymPy with what was set aside for them.

    Attributes
    ----------
    fixed : hyperparameters that are no symbols.
    absorbed : symbols of the given sequences that were taken into the gradient.
    """

    tableau: Tableau
    matrices: Matrices
    assumptions: tuple[str, ...]
    fixed: frozenset[str]
    absorbed: frozenset[str] = frozenset()

    def replaced(self, symbols: Mapping[Any, Any], *assumptions: str) -> LinearPart:
        """The part with symbols replaced, and why."""
        matrices = Matrices(*(m.xreplace(symbols) for m in self.matrices))
        return replace(self, matrices=matrices, assumptions=(*self.assumptions, *assumptions))


def linear_part(optimizer: Optimizer, varying: Iterable[str] = (), **values: Any) -> LinearPart:
    """A rule's matrices and what stands between them and the rule.

    A preconditioner that acts on gradients before anything else is taken into the gradient.
    """
    import sympy

    varying = tuple(varying)
    for name in varying:
        if name not in optimizer.hyperparameters:
            raise unknown(f"hyperparameter of {optimizer}:", name, optimizer.hyperparameters)
    known = {name: optimizer.value(name, value) for name, value in values.items()}
    table = tableau(optimizer, **known)
    notes = [f"{name} acts {when} the momentum and is set aside" for name, when in sorted(table.maps)]
    part = LinearPart(table, table.symbolic(varying, **known), tuple(notes), frozenset({*varying, *known}))
    for factor in table.factors.values():
        sequence = sympy.Function(factor.symbol, positive=True)(time())
        what = f"a given positive sequence, acting {factor.when} the momentum"
        if _multiplies_gradients(part.matrices, sequence):
            note = f"g is the preconditioned gradient {factor.symbol}(t) times the gradient, {factor.symbol}(t) {what}"
            part = part.replaced({sequence: sympy.Integer(1)}, note)
            part = replace(part, absorbed=part.absorbed | {factor.symbol})
        else:
            part = replace(part, assumptions=(*part.assumptions, f"{factor.symbol}(t) is {what}"))
    return part


def _multiplies_gradients(matrices: Matrices, sequence: Any) -> bool:
    elsewhere = any(m.has(sequence) for m in (matrices.A, matrices.C, matrices.D, matrices.F))
    rest = matrices.B - sequence * matrices.B.subs(sequence, 1)
    return not elsewhere and all(reduced(entry) == 0 for entry in rest)


def _left_behind(part: LinearPart) -> list[Any]:
    """What a translation of all positions leaves behind; all zero where the rule is equivariant."""
    import sympy

    a, _, c, _, f = part.matrices
    e = sympy.Matrix(part.tableau.translation)
    ones = sympy.ones(c.rows, 1)
    both = [*(a * e - e), *(c * e - ones), *(f * e - sympy.ones(1, 1))]
    branches = [at_first(x, first) for x in both for first in (True, False)]
    return [x for x in map(reduced, branches) if x != 0]


def equivariant(part: LinearPart) -> LinearPart:
    """The part, with the one hyperparameter (weight decay) zero that stands against equivariance, where one does.

    Raises
    ------
    InputError
        If the rule does not move along with a translation.
    """
    import sympy

    left = _left_behind(part)
    if not left:
        return part
    zero = sympy.Integer(0)
    optimizer = part.tableau.optimizer
    for name, declared in optimizer.hyperparameters.items():
        symbol = sympy.Symbol(name, real=True)
        if name in part.fixed or not declared.holds(0) or not any(x.has(symbol) for x in left):
            continue
        without = part.replaced({symbol: zero}, f"{name} = 0: with it the rule does not move along with a translation")
        moves = shifted(without.matrices.C, 1) * without.matrices.B
        if any(entry != 0 for entry in moves) and not _left_behind(without):
            return without
    raise InputError(
        f"{optimizer} does not move along with a translation of all positions (it leaves {left[0]} behind), "
        "so it has no canonical form; weight decay, for one, must be 0"
    )


class _Reduction:
    """The reachable and observable part of a system, in the field of all its coefficients near step t.

    It is taken modulo translations from the start: of the state only memories and differences of positions matter,
    k - 1 coordinates that a translation leaves alone, named in `coordinates`.
    """

    def __init__(self, part: LinearPart) -> None:
        self.part, self.table = part, part.tableau
        states, e = self.table.states, self.table.translation
        order = sorted(range(1, len(states)), key=e.__getitem__)
        self.coordinates = [f"{states[i]} - {states[0]}" if e[i] else states[i] for i in order]
        self.size = len(order)
        self.special = any(map(special_steps, part.matrices))
        self.near = self._near(order)
        self.field = Field(entry for m in self.near.values() for entry in m)
        self.reach: Any = self._reachable() if self.size else None
        self.show: Any = self._observed(0) if self.size else None
        self.rows, self.names = self._memories() if self.size else ([], [])

    def _near(self, order: list[int]) -> dict[tuple[str, int], Any]:
        """By name and step: A and B of the coordinates, P and Q of what moves the query point, R of what is returned.

        B and Q have a second column, of the first step, where that differs.
        """
        import sympy

        k, e = self.size + 1, self.table.translation
        keep = sympy.Matrix(self.size, k, lambda i, j: int(j == order[i]) - e[order[i]] * int(j == 0))
        place = sympy.Matrix(k, self.size, lambda i, j: int(i == order[j]))
        a, b, c, _, f = (at_first(m, False) for m in self.part.matrices)
        if self.special:
            b = b.row_join(at_first(self.part.matrices.B, True))
        ahead = shifted(c, 1)
        system = {"A": keep * a * place, "B": keep * b, "P": (ahead * a - c) * place, "Q": ahead * b}
        system["R"] = (f - c) * place
        return {(name, s): shifted(m, s) for name, m in system.items() for s in range(-k, k + 1)}

    def at(self, name: str, step: int = 0) -> Any:
        """A matrix of the general step at t + step, over the field."""
        matrix = self.near[name, step]
        if not hasattr(matrix, "domain"):
            matrix = self.near[name, step] = self.field.matrix(matrix)
        return matrix

    def _reachable(self) -> Any:
        """Columns: what earlier gradients have made of the state at t; once older ones add nothing, none does."""
        from sympy.polys.matrices import DomainMatrix

        columns = _basis(self.at("B", -1))
        for age in range(2, self.size + 1):
            column = self.at("B", -age)
            for step in range(-age + 1, 0):
                column = self.at("A", step) * column
            more = _basis(DomainMatrix.hstack(columns, column))
            if more.shape == columns.shape:
                break
            columns = more
        return columns

    def _observed(self, step: int) -> Any:
        """Rows: what later query points show of the state at t + step; once later ones add nothing, none does."""
        rows, rank = self.at("P", step), 0
        for ahead in range(1, self.size):
            if rows.rank() == rank:
                break
            rank = rows.rank()
            row = self.at("P", step + ahead)
            for earlier in reversed(range(step, step + ahead)):
                row = row * self.at("A", earlier)
            rows = _stacked([rows, row])
        return rows

    def _memories(self) -> tuple[list[tuple[Any, Any]], list[str]]:
        """Functionals that are memories, at t and at t + 1, with their names.

        The rule's own memories and differences of its positions come first, what query points show last.
        """
        shown = self.show * self.reach
        wanted = shown.rank()
        chosen: list[tuple[Any, Any]] = []
        names: list[str] = []
        for here, there, name in chain(self._own(), self._shown()):
            if len(chosen) == wanted:
                break
            both = [row * self.reach for row, _ in (*chosen, (here, there))]
            if _stacked(both).rank() == len(both) and _stacked([shown, both[-1]]).rank() == wanted:
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

    def _solve(self, row: Any) -> Any:
        """Coefficients of functionals in the memories, on what is reachable; None where there are none."""
        import sympy

        if self.reach is None:
            return sympy.zeros(1, 0)
        target = row * self.reach
        if not self.rows:
            return None if any(target.to_Matrix()) else sympy.zeros(1, 0)
        here = _stacked([r for r, _ in self.rows]) * self.reach
        pivots = list(here.rref()[1])
        square = here.extract(list(range(len(self.rows))), pivots)
        found = target.extract(list(range(target.shape[0])), pivots) * square.inv()
        return self._written(found) if found * here == target else None

    def block(self) -> Block:
        """a, b, p, q at t."""
        import sympy

        q = self._written(self.at("Q")[:, :1])
        if not self.rows:
            return Block(sympy.zeros(0, 0), sympy.zeros(0, 1), sympy.zeros(1, 0), q)
        ahead = _stacked([r for _, r in self.rows])
        b = self._written(ahead * self.at("B")[:, :1])
        return Block(self._solve(ahead * self.at("A")), b, self._solve(self.at("P")), q)

    def first_input(self) -> tuple[Any, Any]:
        """b and q at t = 0 where the rule treats the first step differently."""
        import sympy

        b = sympy.zeros(0, 1)
        if self.rows:
            b = self._written(_stacked([r for _, r in self.rows]) * self.at("B")[:, 1:])
        q = self._written(self.at("Q")[:, 1:])
        return b.subs(time(), 0), q.subs(time(), 0)

    def _written(self, matrix: Any) -> Any:
        import sympy

        rows, columns = matrix.shape
        return sympy.Matrix(rows, columns, lambda i, j: self.field.expression(matrix[i, j].element))

    def result(self) -> Canonical:
        """The normal form."""
        block = self.block()
        memory = len(self.rows)
        returned = self._solve(self.at("R"))
        make = {0: self._sgd, 1: self._one}.get(memory, self._many)
        found = make(block, returned)
        notes = list(self.part.assumptions)
        if any(self.table.start):
            notes.append("memories start at zero: the values that the rule declares leave a transient")
        if returned is None:
            notes.append(f"the returned {self.table.optimizer.returns} needs a memory of its own")
        return replace(found, assumptions=tuple(notes))

    def _form(self, block: Block, beta: Any, eta: Any, alpha: Any, returned: Any, conditions: list[str]) -> Canonical:
        optimizer, names = self.table.optimizer, tuple(self.names)
        return Canonical(optimizer, len(self.rows), beta, eta, alpha, returned, tuple(conditions), (), block, names)

    def _sgd(self, block: Block, returned: Any) -> Canonical:
        import sympy

        zero = sympy.Integer(0)
        alpha = -block.q[0]
        if self.special:
            alpha = _from(1, alpha, -self.first_input()[1][0])
        shown = None if returned is None else _position()
        return self._form(block, zero, zero, alpha, shown, [])

    def _one(self, block: Block, returned: Any) -> Canonical:
        a, b, p, q = (m[0] for m in block)
        if a == 0:
            return self._many(block, returned, ["one memory, of one step only: not accelerated SGD but a limit of it"])
        before = shifted(b, -1)
        beta, eta = reduced(a * before / b), reduced(-p * b / a)
        alpha = reduced(-q - eta)
        conditions = [f"{x} != 0" for x in dict.fromkeys(d for c in (beta, eta, alpha) for d in divisors(c))]
        conditions.append("at t = 0 the memory is zero: only eta + alpha is determined there")
        shown = None if returned is None else reduced(returned[0] * before)
        if self.special:
            b0, q0 = (m[0] for m in self.first_input())
            beta = _from(2, beta, reduced((a * b0 / b).subs(time(), 1)))
            shown = None if returned is None else _from(2, shown, reduced((returned[0] * b0).subs(time(), 1)))
            alpha = _from(1, alpha, reduced(-q0 - eta.subs(time(), 0)))
        shown = None if shown is None else _position() + shown * _function("m")(time() - 1)
        return self._form(block, beta, eta, alpha, shown, conditions)

    def _many(self, block: Block, returned: Any, conditions: Iterable[str] = ()) -> Canonical:
        memory = len(self.rows)
        reasons = list(conditions) or [f"{memory} memories: no accelerated SGD, which has one"]
        if self.special:
            reasons.append("the first step is different; the block form holds from t = 1 on")
        shown = None
        if returned is not None:
            names = ["n"] if memory == 1 else [f"n{i + 1}" for i in range(memory)]
            shown = _position() + sum(r * _function(n)(time()) for r, n in zip(returned, names, strict=True))
        return self._form(block, None, None, None, shown, reasons)


def _basis(columns: Any) -> Any:
    """The simplest columns that span the same."""
    echelon, pivots = columns.transpose().rref(method="CD")
    return echelon[: len(pivots), :].transpose()


def _stacked(rows: list[Any]) -> Any:
    from sympy.polys.matrices import DomainMatrix

    return DomainMatrix.vstack(*rows) if rows else None


def _function(name: str) -> Any:
    import sympy

    return sympy.Function(name, real=True)


def _position() -> Any:
    return _function("w")(time())


def _from(step: int, general: Any, earlier: Any) -> Any:
    """The general value from a step on, another one at the step before; what is earlier still does not matter."""
    import sympy

    return sympy.Piecewise((earlier, time() < step), (general, True)) if earlier != general else general
