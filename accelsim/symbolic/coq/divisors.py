"""Divisors in a claim: the hypotheses, in Coq, of its theorems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from accelsim.errors import InputError
from accelsim.program import Node, evaluate
from accelsim.symbolic.algebra.field import elsewhere, reduced, shifted, special_steps
from accelsim.symbolic.algebra.language import number, to_sympy
from accelsim.symbolic.coq.rule import Key, Rule, first, shift
from accelsim.symbolic.system.tableau import time


@dataclass
class Divisor:
    """Irreducible factor of a divisor.

    Attributes
    ----------
    text : the factor in the language of claims, shifted so that the latest value of a sequence in it is at t.
    steps : type of t in it: "Z", "nat" (t itself occurs), or "" (it does not depend on t).
    needed : the k such that proofs about t and t + 1 use the factor at t + k.
    """

    text: str
    steps: str
    needed: set[int] = field(default_factory=set)


class Divisors:
    """Divisors of rules, with their hyperparameters as a claim has them, and of its texts.

    They are split into irreducible factors. A factor in the step alone is no hypothesis, as Coq has to prove that it is
    nonzero; nor is a given sequence, which is positive.

    Parameters
    ----------
    rules : as Coq modules.
    rows : by rule, its hyperparameters and given sequences at step t, as nodes.
    nodes : of the texts.
    given : names of given sequences.

    Attributes
    ----------
    found : hypotheses, by text.
    positive : by given sequence, the k at which its values at t + k are divided by.
    special : number of first steps that are cases of their own.

    Raises
    ------
    InputError
        For a divisor that is zero.
    """

    def __init__(
        self, rules: tuple[Rule, ...], rows: Mapping[str, Mapping[Key, Node]], nodes: list[Node], given: set[str]
    ) -> None:
        self.given = given
        self.found: dict[str, Divisor] = {}
        self.positive: dict[str, set[int]] = {}
        self.special = 0
        for rule in rules:
            self._collect(rule.nodes, partial(self._of_row, rule, rows[rule.name]))
        self._collect(nodes, _symbol)

    @staticmethod
    def _of_row(rule: Rule, row: Mapping[Key, Node], node: Node) -> Any:
        key = rule.parameter(node)
        return symbolic(row[key]) if key else _symbol(node)

    def _collect(self, nodes: list[Node], leaf: Callable[[Node], Any]) -> None:
        known: dict[int, Any] = {}
        for node in nodes:
            if node.op == "first":
                self.special = max(self.special, 1 - first(node))
            for divisor in _divided_by(node):
                self._split(evaluate(divisor, leaf, to_sympy, known))

    def _split(self, divisor: Any) -> None:
        import sympy

        for case in (elsewhere(divisor), *(divisor.subs(time(), step) for step in special_steps(divisor))):
            if reduced(case) == 0:
                raise InputError(f"the claim divides by {divisor}, which is zero")
            for part in sympy.Mul.make_args(sympy.fraction(reduced(1 / case))[1]):
                self._file(part.base if part.is_Pow and part.exp.is_Integer else part)

    def _file(self, factor: Any) -> None:
        import sympy
        from sympy.core.function import AppliedUndef

        values = factor.atoms(AppliedUndef)
        shifts = [int(value.args[0] - time()) for value in values]
        around = factor.xreplace(dict.fromkeys(values, sympy.Integer(1)))
        name = factor.func.__name__ if factor in values else str(factor)
        if name in self.given:
            latest = max(shifts, default=0)
            self.positive.setdefault(name, set()).update((latest, latest + 1))
        elif around.has(time()) and (shifts or around.free_symbols != {time()}):
            self.found.setdefault(str(factor), Divisor(str(factor), "nat"))
        elif not around.has(time()) and not factor.is_number:
            latest = max(shifts, default=0)
            text = str(shifted(factor, -latest))
            divisor = self.found.setdefault(text, Divisor(text, "Z" if shifts else ""))
            divisor.needed.update((latest, latest + 1))


def symbolic(node: Node) -> Any:
    """SymPy expression of a node, without any assumption on signs."""
    return evaluate(node, _symbol, to_sympy, {})


def _symbol(node: Node) -> Any:
    import sympy

    if node.op == "step":
        return time()
    if node.op == "const":
        return number(node.value)
    if node.op == "first":
        return sympy.Eq(time() + node.value, 0)
    if node.op == "sequence":
        name, k = node.value
        return sympy.Function(name, real=True)(time() + k)
    return sympy.Symbol(node.value, real=True)


def _divided_by(node: Node) -> Iterator[Node]:
    if node.op == "div":
        yield node.args[1]
    elif node.op == "pow":
        base, exponent = node.args
        k = shift(exponent)
        if (k is not None and k < 0) or (exponent.op == "const" and exponent.value < 0):
            yield base
