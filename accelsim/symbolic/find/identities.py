"""Equations for unknowns under which an expression vanishes for all states and gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from accelsim.symbolic.algebra.field import Field
from accelsim.symbolic.algebra.radicals import Roots
from accelsim.symbolic.find.unknowns import functions_in, name_of


class KeptRoots(Roots):
    """Square roots as symbols, one for each radicand with states or gradients (`moving`) in it.

    Attributes
    ----------
    squares : by symbol, its radicand.
    """

    def __init__(self, moving: Iterable[Any]) -> None:
        super().__init__(moving)
        self.squares: dict[Any, Any] = {}

    def root(self, square: Any) -> Any:
        """Square root of an expression: a symbol, or SymPy's root where nothing in it moves."""
        import sympy

        if not square.free_symbols & (self.moving | self.squares.keys()):
            return sympy.sqrt(square)
        known = {value: symbol for symbol, value in self.squares.items()}
        if square not in known:
            known[square] = sympy.Dummy("root")
            self.squares[known[square]] = square
        return known[square]

    def cancelled(self, expression: Any) -> Any:
        """An argument of any other function, as it is."""
        return expression


def without_powers(expression: Any, unknowns: Iterable[Any], moving: Iterable[Any], hidden: dict[Any, Any]) -> Any:
    """An expression with symbols for its broken powers of known quantities.

    Parameters
    ----------
    unknowns, moving : what such a power must not contain.
    hidden : by power, its symbol; new ones are added.
    """
    import sympy

    own = {name_of(u) for u in unknowns}
    powers = {e for e in expression.atoms(sympy.Pow) if not e.exp.is_Integer and not e.free_symbols & {*moving}}
    plain = [e for e in powers if not own & ({f.func for f in functions_in(e)} | e.free_symbols)]
    return expression.xreplace({e: hidden.setdefault(e, sympy.Dummy("power")) for e in plain})


def conditions(expression: Any, moving: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Coefficients of an expression as a polynomial in some symbols.

    Returns
    -------
    vanishing : expressions that are all zero if and only if the expression is zero for all values of the symbols.
    divisors : irreducible divisors of the expression.
    """
    field = Field([expression])
    element = field.element(expression)
    if element == 0 or field.domain.is_QQ:
        return [field.plain(element)] * (element != 0), []
    ring = element.numer.ring
    over = [bool(field.back(x).free_symbols & {*moving}) for x in ring.gens]
    found: dict[Any, dict[Any, Any]] = {}
    for monomial, coefficient in element.numer.terms():
        there = tuple(k if moves else 0 for k, moves in zip(monomial, over, strict=True))
        rest = tuple(0 if moves else k for k, moves in zip(monomial, over, strict=True))
        found.setdefault(there, {})[rest] = coefficient
    return [field.back(ring.from_dict(terms)) for terms in found.values()], field.factors(1 / element)


def positive_root(square: Any) -> Any:
    """Square root of a positive expression, with whole powers taken out."""
    hidden: dict[Any, Any] = {}
    roots = Roots([])
    root = roots.root(without_powers(square, (), (), hidden))
    return roots.written(root).xreplace({symbol: e for e, symbol in hidden.items()})
