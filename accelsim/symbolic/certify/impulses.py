"""Runs by which the verifier of certificates sees what rules do: as they are, in numbers; linear parts, in unknowns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Any

from accelsim.errors import InputError
from accelsim.program import evaluate
from accelsim.program import run as program_run
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import cancelled
from accelsim.symbolic.algebra.language import expression, number, to_sympy
from accelsim.symbolic.certify.enclosed import Enclosed
from accelsim.symbolic.system.gradients import Key, Run
from accelsim.symbolic.system.tableau import tableau


def read(value: str, t: int) -> Any:
    """A written number, or the value of a schedule at a step."""
    import sympy

    found = expression(value, {"t": sympy.Integer(t)})
    if not (found.is_real and found.is_finite):
        raise InputError(f"{value!r} is no number at t = {t}")
    return found


class _Seen(Exception):
    """The last point has been queried."""


def itself(
    rule: Optimizer, hyperparameter: Callable[[str, int], Any], run: Run, other: bool = False
) -> list[tuple[Any, ...]]:
    """By step, what a rule as it is queries in a run, and last what it returns before the step: numbers, enclosed.

    Parameters
    ----------
    hyperparameter : its value at a step, a number.
    other : whether the gradients are another rule's; where this one queries one point twice, it has the first of them.

    Raises
    ------
    InputError
        Where gradients of one sample at one point are not one, or it cannot be told what a number is.
    """
    traced, last = rule.program(), len(run.gradients) - 1
    switches = {name: h.default for name, h in rule.hyperparameters.items() if h.switch}
    names = [name for name in traced.reads if name not in switches]
    state = {name: Enclosed(value) for name, value in rule.start(run.start).items()}
    shown: list[tuple[Any, ...]] = []
    for t, gradients in enumerate(run.gradients):
        asked: list[Any] = []

        def answer(points: tuple[Any, ...], t: int = t, asked: list[Any] = asked, row: Any = gradients) -> Any:
            given = row[len(asked) : len(asked) + len(points)]
            firsts = [next(i for i, x in enumerate(points) if i == j or x == y) for j, y in enumerate(points)]
            if not other and any(
                f != g and not x.apart(y) for (x, f), (y, g) in product(zip(points, given, strict=True), repeat=2)
            ):
                raise InputError("gradients of one sample at one point are one")
            asked.extend(points)
            if t == last and len(asked) == traced.gradients:
                raise _Seen
            return tuple(Enclosed(given[first]) for first in firsts)

        returned = state[rule.returns]
        h = switches | {name: Enclosed(hyperparameter(name, t)) for name in names}
        with suppress(_Seen):
            state = program_run(traced, state, Enclosed(t), h, answer, Enclosed)
        shown.append((*asked, returned))
    return shown


def answers(
    rule: Optimizer,
    hyperparameter: Callable[[str, int], Any],
    given: Callable[[str, int, int], Any],
    keys: Sequence[Key],
    alike: Mapping[int, Sequence[Sequence[int]]],
    turned: bool,
) -> list[Any]:
    """What a linear part's queries show of a gradient of 1 at one step, or (step -1) of a start at 1 without any.

    Parameters
    ----------
    given : a given sequence at a step, in a coordinate; in coordinate -1 after the start without gradients.
    alike : by coordinate and step, the first gradient at the point of each, where some are one.
    turned : whether of a gradient it is what its sign makes; then what the rule does without any is no part of it.
    """
    last = max(key[0] for key in keys)
    shown = {}
    for impulse in sorted({key[2:] for key in keys}):
        at, gradient, i = impulse

        def here(name: str, t: int, i: int = -1 if at < 0 else i) -> Any:
            return given(name, t, i)

        shown[impulse] = _run(rule, hyperparameter, here, (at, gradient), last, alike.get(i), turned)
    return [shown[key[2:]][key[0]][key[1]] for key in keys]


def _run(
    rule: Optimizer,
    hyperparameter: Any,
    given: Any,
    impulse: tuple[int, int],
    last: int,
    alike: Sequence[Sequence[int]] | None,
    turned: bool,
) -> list[list[Any]]:
    """By step, the points queried, and last what is returned."""
    import sympy

    table, begun = tableau(rule), int(impulse[0] < 0)
    memories = [number(m) * int(begun or not turned) for m in table.start]
    state = [begun * e + m for e, m in zip(table.translation, memories, strict=True)]
    shown = []
    for t in range(last + 1):
        firsts = alike[t] if alike else range(table.gradients)
        gradients = [sympy.Integer(int((t, first) == impulse)) for first in firsts]
        a, b, c, d, f = (_matrix(table, name, t, hyperparameter, given) for name in ("a", "b", "c", "d", "f"))
        column, inputs = sympy.Matrix(state), sympy.Matrix(gradients)
        shown.append([cancelled(x) for x in (*(c * column + d * inputs), *(f * column))])
        state = [cancelled(x) for x in a * column + b * inputs]
    return shown


def _matrix(table: Any, name: str, t: int, hyperparameter: Any, given: Any) -> Any:
    """A matrix of the tableau at a step, in exact expressions."""
    import sympy

    def leaf(node: Any) -> Any:
        if node.op == "given":
            return given(table.factors[node.index].symbol, t)
        if node.op in ("hyperparameter", "state"):  # a uniform state
            return hyperparameter(node.value, t)
        return sympy.Integer(t) if node.op == "step" else number(node.value)

    matrix = sympy.zeros(*table.shapes()[name])
    known: dict[int, Any] = {}
    for place, node in getattr(table, name).items():
        matrix[place] = evaluate(node, leaf, to_sympy, known)
    return matrix
