"""Runs of a rule's linear part in exact expressions, by which the verifier of certificates sees what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from accelsim.errors import InputError
from accelsim.program import evaluate, exact
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import evaluated
from accelsim.symbolic.system.given_sequences import taken_alike
from accelsim.symbolic.system.tableau import sympy_functions, tableau, to_sympy

Key = tuple[int, int, int, int, int]  # step and number of a query, of a gradient (step -1: the start), coordinate


def read(value: str, t: int) -> Any:
    """A written number, or the value of a schedule at a step."""
    import sympy

    number = sympy.sympify(evaluated(value, {**sympy_functions(), "t": sympy.Integer(t)}, rational))
    if not (number.is_real and number.is_finite):
        raise InputError(f"{value!r} is no number at t = {t}")
    return number


def rational(value: Any) -> Any:
    import sympy

    return sympy.Rational(str(exact(value)))


def answers(
    rule: Optimizer,
    hyperparameter: Callable[[str, int], Any],
    given: Mapping[str, Any],
    keys: Sequence[Key],
    shared: Mapping[int, list[list[int]]],
) -> list[Any]:
    """What a rule's queries show of a gradient of 1 at one step alone, or (step -1) of a start at 1 without any."""
    last = max(key[0] for key in keys)
    shown = {}
    for impulse in sorted({key[2:] for key in keys}):
        at, gradient, i = impulse
        sequences = {name: values[i] for name, values in given.items()}
        shown[impulse] = _run(rule, hyperparameter, sequences, (at, gradient), last, shared.get(i))
    return [shown[key[2:]][key[0]][key[1]] for key in keys]


def shared_gradients(
    rule: Optimizer, hyperparameter: Any, given: Mapping[str, Any], keys: Sequence[Key]
) -> dict[int, list[list[int]]]:
    """By coordinate and step, for each gradient the first of its sample that is always taken at the same point."""
    stages, last = tableau(rule).stages, max(key[0] for key in keys)
    if max(stages) == 1:
        return {}
    found = {}
    for i in {key[4] for key in keys}:
        sequences = {name: values[i] for name, values in given.items()}
        found[i] = list(_firsts(rule, hyperparameter, sequences, last))
    return found


def _firsts(rule: Optimizer, hyperparameter: Any, given: Any, last: int) -> Iterator[list[int]]:
    import sympy

    table = tableau(rule)
    columns = [list(map(rational, start)) for start in (table.start, table.translation)]
    states = sympy.Matrix(columns).T
    for t in range(last + 1):
        a, b, c, d = (_matrix(table, name, t, hyperparameter, given) for name in ("a", "b", "c", "d"))
        firsts = taken_alike(table.stages, (c * states).applyfunc(sympy.cancel).tolist(), d.tolist())
        yield firsts
        one = sympy.Matrix(table.gradients, table.gradients, lambda g, first, at=firsts: int(at[g] == first))
        states = (a * states).row_join(b * one).applyfunc(sympy.cancel)


def _run(
    rule: Optimizer, hyperparameter: Any, given: Any, impulse: tuple[int, int], last: int, shared: Any
) -> list[list[Any]]:
    """By step, the points queried, and last what is returned."""
    import sympy

    table = tableau(rule)
    start = sympy.Integer(1 if impulse[0] < 0 else 0)
    state = [start * e + rational(m) for e, m in zip(table.translation, table.start, strict=True)]
    shown = []
    for t in range(last + 1):
        firsts = shared[t] if shared else range(table.gradients)
        gradients = [sympy.Integer(int((t, first) == impulse)) for first in firsts]
        a, b, c, d, f = (_matrix(table, name, t, hyperparameter, given) for name in ("a", "b", "c", "d", "f"))
        column, inputs = sympy.Matrix(state), sympy.Matrix(gradients)
        shown.append([sympy.cancel(x) for x in (*(c * column + d * inputs), *(f * column))])
        state = [sympy.cancel(x) for x in a * column + b * inputs]
    return shown


def _matrix(table: Any, name: str, t: int, hyperparameter: Any, given: Any) -> Any:
    """A matrix of the tableau at a step, in exact expressions."""
    import sympy

    def leaf(node: Any) -> Any:
        if node.op == "given":
            value = given[table.factors[node.index].symbol][t]
            return read(value, t) if isinstance(value, str) else value
        if node.op == "hyperparameter":
            return hyperparameter(node.value, t)
        return sympy.Integer(t) if node.op == "step" else rational(node.value)

    matrix = sympy.zeros(*table.shapes()[name])
    known: dict[int, Any] = {}
    for place, node in getattr(table, name).items():
        matrix[place] = evaluate(node, leaf, to_sympy, known)
    return matrix
