"""The linear part of a rule as a proof reads it: matrices, what was set aside for them, and what a translation does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from accelsim.errors import InputError, unknown
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import at_first, evaluated, reduced, shifted
from accelsim.symbolic.system.tableau import Matrices, Tableau, tableau, time


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
    known = {name: _exactly(optimizer, name, value) for name, value in values.items()}
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


def _exactly(optimizer: Optimizer, name: str, value: Any) -> Any:
    """A hyperparameter's value, a third where 1/3 is written."""
    found = optimizer.value(name, value)
    if isinstance(value, str) and isinstance(found, Real) and not optimizer.hyperparameters[name].switch:
        with suppress(InputError):  # what is irrational stays rounded
            return evaluated(value, {})
    return found


def _multiplies_gradients(matrices: Matrices, sequence: Any) -> bool:
    elsewhere = any(m.has(sequence) for m in (matrices.A, matrices.C, matrices.D, matrices.F))
    rest = matrices.B - sequence * matrices.B.subs(sequence, 1)
    return not elsewhere and all(reduced(entry) == 0 for entry in rest)


def left_behind(part: LinearPart) -> list[Any]:
    """What a translation of all positions leaves behind; nothing where the rule is equivariant."""
    import sympy

    a, _, c, _, f = part.matrices
    e = sympy.Matrix(part.tableau.translation)
    ones = sympy.ones(c.rows, 1)
    both = [*(a * e - e), *(c * e - ones), *(f * e - sympy.ones(1, 1))]
    branches = [at_first(x, first) for x in both for first in (True, False)]
    return [x for x in map(reduced, branches) if x != 0]


def without_decay(part: LinearPart) -> tuple[LinearPart, str | None]:
    """The part with the one hyperparameter zero that stands against equivariance (weight decay), and its name.

    Where none does, or none is enough, the part as it is and None.
    """
    import sympy

    left = left_behind(part)
    optimizer = part.tableau.optimizer
    for name, declared in optimizer.hyperparameters.items():
        symbol = sympy.Symbol(name, real=True)
        if name in part.fixed or not declared.holds(0) or not any(x.has(symbol) for x in left):
            continue
        note = f"{name} = 0: with it the rule does not move along with a translation"
        without = part.replaced({symbol: sympy.Integer(0)}, note)
        moves = shifted(without.matrices.C, 1) * without.matrices.B
        if any(entry != 0 for entry in moves) and not left_behind(without):
            return without, name
    return part, None


def equivariant(part: LinearPart) -> LinearPart:
    """The part without its weight decay (see `without_decay`).

    Raises
    ------
    InputError
        If the rule does not move along with a translation even so.
    """
    without, _ = without_decay(part)
    left = left_behind(without)
    if left:
        raise InputError(
            f"{part.tableau.optimizer} does not move along with a translation of all positions (it leaves {left[0]} "
            "behind), so it has no canonical form; weight decay, for one, must be 0"
        )
    return without
