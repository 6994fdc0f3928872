"""Sequences of a rule: uniform states and memories of its recurrences, each a start and a recursion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from functools import partial
from numbers import Rational
from typing import Any

from accelsim.errors import InputError, UserCode
from accelsim.language import evaluated, inexact
from accelsim.program import Node, evaluate, exact, operate, reachable
from accelsim.rule import Optimizer
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra.language import number as rational
from accelsim.symbolic.algebra.language import to_sympy
from accelsim.symbolic.algebra.recurrences import Recursions
from accelsim.symbolic.system.specialization import switched
from accelsim.symbolic.system.tableau import Translation, time


def recurrences(rule: Optimizer, given: Collection[str] = ()) -> dict[str, Recurrence]:
    """Recurrences that are defaults of hyperparameters, by name, less those given."""
    declared = {name: each.default for name, each in rule.hyperparameters.items()}
    return {k: v for k, v in declared.items() if isinstance(v, Recurrence) and k not in given}


def reads(rule: Optimizer, given: Collection[str] = ()) -> list[str]:
    """Names of hyperparameters that the recurrences read, switches apart; a recurrence that is given reads nothing."""
    switches = {k: v.default for k, v in rule.hyperparameters.items() if v.switch}
    found = (each.formula(switches) for each in recurrences(rule, given).values())
    return list(dict.fromkeys(k for formula in found if formula for k in formula.reads if k not in switches))


def independent(rule: Optimizer, freed: Collection[str] = ()) -> list[str]:
    """Names that determine a run: all that the rule and its recurrences read, less switches and recurrences."""
    own, declared = recurrences(rule, freed), rule.hyperparameters
    names = dict.fromkeys((*rule.program().reads, *reads(rule, freed)))
    return [name for name in names if name not in own and not declared[name].switch]


def memory(hyperparameter: str, name: str) -> str:
    """Name of a recurrence's memory, distinct from all names of hyperparameters and states."""
    return f"{hyperparameter}.{name}"


def sequences(rule: Optimizer, varying: Collection[str], values: Mapping[str, Any]) -> Recursions:
    """Recursions of a rule's uniform states and recurrences, in SymPy.

    Parameters
    ----------
    varying : hyperparameters that are unknown functions of t; a recurrence among them is free.
    values : hyperparameters that are known.
    """
    program = rule.program(values)
    translate = Translation(rule, tuple(varying), values)
    following = {_function(name): translate(program.updates[name]) for name in program.uniform}
    start = {_function(name): rational(rule.memories[name]) for name in program.uniform}
    defined = {}
    declared = rule.hyperparameters.items()
    switches = {k: rule.value(k, values.get(k, v.default)) for k, v in declared if v.switch}
    for name, recurrence in recurrences(rule, {*values, *varying}).items():
        formula = recurrence.formula(switches)
        if formula is None:
            continue

        def leaf(node: Node, name: str = name) -> Any:
            return _function(memory(name, node.value))(time()) if node.op == "state" else translate.leaf(node)

        known: dict[int, Any] = {}
        for each, node in formula.following.items():
            own = _function(memory(name, each))
            following[own], start[own] = evaluate(node, leaf, to_sympy, known), rational(recurrence.start[each])
        defined[_function(name)] = evaluate(formula.value, leaf, to_sympy, known)
    return Recursions(following, start, defined, following)


def in_exponents(rule: Optimizer, given: Mapping[str, Any]) -> set[str]:
    """Hyperparameters in exponents of a rule's sequences, which are rational only at whole numbers."""
    switches = {k: v.default for k, v in rule.hyperparameters.items() if v.switch}
    traced = rule.program(given)
    nodes = [traced.updates[name] for name in traced.uniform]
    for formula in (each.formula(switches) for each in recurrences(rule, given).values()):
        nodes += [formula.value, *formula.following.values()] if formula else []
    powers = [node.args[1] for node in reachable(nodes) if node.op == "pow"]
    return {node.value for node in reachable(powers) if node.op == "hyperparameter"}


def values_of(rule: Optimizer, freed: Collection[str], values: Mapping[str, Any], steps: int) -> dict[str, list[str]]:
    """Values of a rule's recurrences at steps 0, ..., steps - 1.

    Parameters
    ----------
    freed : recurrences that are given as the other hyperparameters are.
    values : of the other hyperparameters: a number, a text in t, or a list of one text a step.
    steps : number of steps.

    Returns
    -------
    dict by name, a list of one text a step.

    Raises
    ------
    InputError
        If a recurrence is irrational, or does not exist.
    """

    def at(name: str, t: int) -> Any:
        value = values[name]
        return evaluated(value[t] if isinstance(value, list) else str(value), {"t": Fraction(t)})

    followed = Followed(switched(rule, dict(values)), freed, at)
    found: dict[str, list[str]] = {name: [] for name in followed.own}
    for t in range(steps if found else 0):
        try:
            row = followed.at(t)
        except (ArithmeticError, TypeError) as error:
            raise InputError(f"{rule} has no recurrence at step {t}: {error}") from None
        for name, texts in found.items():
            if not isinstance(row[name], Rational):
                raise InputError(f"{name} of {rule} is irrational at step {t}")
            texts.append(str(row[name]))
    return found


class Followed:
    """Recurrences and uniform states of a rule, step by step in any arithmetic.

    Parameters
    ----------
    freed : recurrences that are given as the other hyperparameters are.
    hyperparameter : function from name and step to a value.
    number : conversion of steps and of the numbers in a rule.
    apply : value of a node's operation. In floats recurrences are run as they are; otherwise by their formulas, in
        which numbers are exact.
    """

    def __init__(
        self,
        rule: Optimizer,
        freed: Collection[str],
        hyperparameter: Callable[[str, int], Any],
        number: Callable[[Any], Any] = exact,
        apply: Callable[[Node, list[Any]], Any] = operate,
    ) -> None:
        self.rule, self.hyperparameter, self.number, self.apply = rule, hyperparameter, number, apply
        self.switches = {k: v.default for k, v in rule.hyperparameters.items() if v.switch}
        self.traced, self.own = rule.program(), recurrences(rule, freed)
        self._needed = [k for k in (*self.traced.reads, *reads(rule, freed)) if k not in {*self.own, *self.switches}]
        self._memories = {name: {k: number(v) for k, v in each.start.items()} for name, each in self.own.items()}
        self._states = {name: number(rule.memories[name]) for name in self.traced.uniform}
        self._rows: list[dict[str, Any]] = []

    @property
    def names(self) -> frozenset[str]:
        """Names of the recurrences and uniform states."""
        return frozenset({*self.own, *self.traced.uniform})

    def at(self, t: int) -> dict[str, Any]:
        """The recurrences' values at a step, and the uniform states before it."""
        while len(self._rows) <= t:
            self._follow(len(self._rows))
        return self._rows[t]

    def _follow(self, t: int) -> None:
        h = self.switches | {name: self.hyperparameter(name, t) for name in self._needed}
        row = dict(self._states)
        for name, each in self.own.items():
            row[name], self._memories[name] = self._updated(each, self._memories[name], t, h)
        self._rows.append(row)
        known: dict[int, Any] = {}
        full = h | row
        for name in self.traced.uniform:
            self._states[name] = evaluate(self.traced.updates[name], self._leaf(full, full, t), self.apply, known)

    def _updated(self, each: Recurrence, memory: dict[str, Any], t: int, h: dict[str, Any]) -> tuple[Any, Any]:
        formula = None if self.number is float else each.formula(self.switches)
        if formula is None and self.apply in (operate, inexact):
            with UserCode(f"{each} of {self.rule}", f" at step {t}", (ArithmeticError,)):
                return each.following(memory, self.number(t), h)
        if formula is None:
            raise InputError(f"{each} of {self.rule} cannot be read as a formula: free it")
        value = partial(evaluate, leaf=self._leaf(h, memory, t), apply=self.apply, known={})
        return value(formula.value), {name: value(node) for name, node in formula.following.items()}

    def _leaf(self, h: Mapping[str, Any], states: Mapping[str, Any], t: int) -> Callable[[Node], Any]:
        def leaf(node: Node) -> Any:
            if node.op == "step":
                return self.number(t)
            if node.op == "state":
                return states[node.value]
            return h[node.value] if node.op == "hyperparameter" else self.number(node.value)

        return leaf


def _function(name: str) -> Any:
    import sympy

    return sympy.Function(name, real=True)
