"""Runs of two rules, as they are, on a few gradients: one at numbers, the other with unknown hyperparameters.

Rule b's hyperparameters are unknown at each step, within their ranges. All is exact: roots are symbols whose squares
are known, and so is each sign that ranges leave open. What rule b queries less what rule a does is a polynomial for
each step that is looked at, over what is divided by; that rule b follows rule a asks all of them to be zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from accelsim import elementary
from accelsim.errors import InputError
from accelsim.program import Node, evaluate
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.intervals import Interval, declared
from accelsim.symbolic.algebra.language import expression, number
from accelsim.symbolic.system.functions import Functions

Place = tuple[int, int]  # sequence of gradients, step


class Trial:
    """Runs of both rules on some sequences of gradients, in one coordinate, from w = 0.

    Parameters
    ----------
    a, b : rules of one gradient a step; switches are at their defaults.
    values : rule a's hyperparameters by name: a text in t, or a list of one text a step.
    set_b : known hyperparameters of rule b, texts in t. Its others are one unknown a step, ``lr[3]``.
    sequences : gradients, one list a sequence, each at most as long as the lists in `values`.
    signs : the case that is looked at: by polynomial in the unknowns (SymPy), 1, 0 or -1.

    Attributes
    ----------
    shown : by (sequence, step), rule a's query after that many gradients.
    differences : by (sequence, step), the numerator of rule b's query less rule a's, a polynomial in unknowns, roots
        and signs.
    divisors : polynomials that are nonzero wherever both rules have values.

    Raises
    ------
    InputError
        If a rule takes more than one gradient a step.
    """

    def __init__(
        self,
        a: Optimizer,
        b: Optimizer,
        values: Mapping[str, Any],
        set_b: Mapping[str, Any],
        sequences: Sequence[Sequence[Any]],
        signs: Mapping[Any, int] = MappingProxyType({}),
    ) -> None:
        self.rules, self.values, self.set_b = (a, b), values, set_b
        self.programs = a.program(), b.program()
        if any(program.gradients != 1 for program in self.programs):
            raise InputError("rules that are run as they are take one gradient a step")
        self.functions, self.signs = Functions([], self._range, signs), signs
        self.divisors: set[Any] = set()
        self.shown: dict[Place, Any] = {}
        self.differences: dict[Place, Any] = {}
        for i, gradients in enumerate(sequences):
            mine = list(self._run(0, gradients, []))
            theirs = list(self._run(1, gradients, mine))
            for t, (one, other) in enumerate(zip(mine, theirs, strict=True), start=1):
                self.shown[i, t] = self.functions.written(self.functions.normal(one))
                above, below = self.functions.fraction(other - one)
                self.differences[i, t] = above
                self._divided(below)

    def _range(self, symbol: Any) -> Interval:
        known = self.rules[1].hyperparameters
        name = symbol.name.partition("[")[0]
        return declared(known[name]) if name in known else Interval()

    def _divided(self, below: Any) -> None:
        self.divisors |= {factor for factor, _ in self.functions.factors(below)[1]}

    def hyperparameter(self, end: int, name: str, t: int) -> Any:
        """Value of a hyperparameter of rule a (end 0) or b (end 1) at step t: a number, or the unknown ``name[t]``."""
        import sympy

        known = (self.values, self.set_b)[end]
        if name not in known:
            return sympy.Symbol(f"{name}[{t}]", real=True)
        value = known[name][t] if isinstance(known[name], list) else known[name]
        return self.functions.plain(expression(str(value), {"t": sympy.Integer(t)}))

    def _run(self, end: int, gradients: Sequence[Any], points: list[Any]) -> Iterator[Any]:
        """Queries of a rule after each gradient.

        Parameters
        ----------
        points : rule a's queries, empty for its own run. A position that rule b queries is set to them: it is supposed
            to have queried them before.
        """
        rule, program, functions = self.rules[end], self.programs[end], self.functions
        state = {name: number(value) for name, value in rule.start(0).items()}
        for t in range(len(gradients) + 1):

            def leaf(node: Node, t: int = t, state: Mapping[str, Any] = state) -> Any:
                if node.op == "state":
                    return state[node.value]
                if node.op == "gradient":
                    return number(gradients[t])
                if node.op == "hyperparameter":
                    switch = rule.hyperparameters[node.value].switch
                    default = rule.hyperparameters[node.value].default
                    return number(default) if switch else self.hyperparameter(end, node.value, t)
                return number(t if node.op == "step" else node.value)

            def applied(node: Node, arguments: list[Any], t: int = t) -> Any:
                if node.op == "first":
                    return t == 0
                if node.op == "total":  # over one coordinate
                    return arguments[0]
                if node.op == "orthogonalize":
                    return elementary.orthogonalize(1, 1, node.args[2].value) * functions.sign(arguments[0])
                if node.op == "div":
                    self._divided(arguments[1])
                return functions.apply(node, arguments)

            known: dict[int, Any] = {}
            query = program.queries[0][0]
            if t:
                yield evaluate(query, leaf, applied, known)
                if points and query.op == "state":
                    state[query.value], known = points[t - 1], {}
            if t < len(gradients):
                state = {name: evaluate(node, leaf, applied, known) for name, node in program.updates.items()}

    # -- what is known of symbols --

    @cached_property
    def roots(self) -> dict[Any, Any]:
        """Squares of the symbols that stand for roots, by symbol."""
        return {x: atom.arguments[0] for x, atom in self.functions.atoms.items() if atom.function == "sqrt"}

    @cached_property
    def open(self) -> dict[Any, Any]:
        """Arguments of the signs that the case leaves open, by the symbol that stands for each."""
        return {x: atom.arguments[0] for x, atom in self.functions.atoms.items() if atom.function == "sign"}

    @cached_property
    def premises(self) -> list[Any]:
        """Polynomials that vanish in the case if rule b follows rule a.

        They are the differences, each root's square less the symbol squared, and the polynomials of sign 0.
        """
        found = [*self.differences.values(), *(x**2 - square for x, square in self.roots.items())]
        return [*found, *(polynomial for polynomial, sign in self.signs.items() if sign == 0)]

    @cached_property
    def impossible(self) -> bool:
        """Exclusion of the case by the declared ranges: whether no hyperparameters have these signs.

        A polynomial of sign 0 that is linear in a hyperparameter is solved for it first.
        """
        plain = Functions([], self._range)
        zero = {}
        for polynomial in (p for p, sign in self.signs.items() if sign == 0):
            for x in sorted(polynomial.free_symbols, key=str):
                if (slope := polynomial.diff(x)).is_number:
                    zero[x] = x - polynomial / slope
                    break
        for polynomial, sign in self.signs.items():
            for value in (polynomial, polynomial.subs(list(zero.items()))):
                within = plain.interval(plain.normal(value))
                if {1: within.high <= 0, 0: within.nonzero, -1: within.low >= 0}[sign]:
                    return True
        return False

    @cached_property
    def nonzero(self) -> Nonzero:
        """Polynomials that are nonzero in the case, as a container of irreducible factors."""
        return Nonzero(self.functions, [*self.divisors, *(p for p, sign in self.signs.items() if sign)])


class Nonzero:
    """Container of irreducible polynomials that are nonzero.

    It holds factors of the `known` ones, and all others whose interval, from the declared ranges, excludes zero.
    """

    def __init__(self, functions: Functions, known: Sequence[Any]) -> None:
        self.functions = functions
        self.factors = {f for polynomial in known for f, _ in functions.factors(polynomial)[1]}

    def __contains__(self, factor: Any) -> bool:
        return factor in self.factors or -factor in self.factors or self.functions.interval(factor).nonzero
