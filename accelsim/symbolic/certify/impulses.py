"""Runs of the verifier: of rules as they are, in numbers; of linear parts after impulses, in unknowns."""

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
from accelsim.symbolic.check.counterexample import Run
from accelsim.symbolic.check.responses import Response
from accelsim.symbolic.system.tableau import tableau


def read(value: str, t: int) -> Any:
    """SymPy number that a text in t is at a step.

    Raises
    ------
    InputError
        If it is no finite real number.
    """
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
    """Queries of a rule as it is, in enclosed numbers.

    This is the verifier's runner; the search has its own (`refute.replay.queries`). They are two so that an error in
    one shows: what the search saw, in fractions or floats, the verifier must see again, in fractions or intervals.

    Parameters
    ----------
    hyperparameter : function from name and step to a number.
    run : starting point, and gradients of shape (steps, gradients a step).
    other : whether the gradients are another rule's. If this one queries a point twice, it gets the first of its
        gradients.

    Returns
    -------
    By step, the points queried, and last the point returned before the step.

    Raises
    ------
    InputError
        If gradients of one sample at one point differ, or a comparison of numbers is open.
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
    keys: Sequence[Response],
    alike: Mapping[int, Sequence[Sequence[int]]],
    odd_part: bool,
) -> list[Any]:
    """Responses of a linear part to impulses: a gradient of 1 at one step, or (step -1) a start at 1 without gradients.

    Parameters
    ----------
    hyperparameter : function from name and step to the value of a hyperparameter, recurrence or uniform state (SymPy).
    given : function from the name of a given sequence, step and coordinate to its value; the coordinate is -1 for a
        start without gradients.
    keys : places of the responses.
    alike : by coordinate and step, indices of the first gradient at the point of each, where some points are equal.
    odd_part : whether responses are odd parts in one gradient, to which constant terms of the rule do not contribute.

    Returns
    -------
    SymPy expressions, one for each key.
    """
    last = max(key.step for key in keys)
    shown = {}
    for impulse in sorted({key[2:] for key in keys}):
        at, gradient, i = impulse

        def here(name: str, t: int, i: int = -1 if at < 0 else i) -> Any:
            return given(name, t, i)

        shown[impulse] = _run(rule, hyperparameter, here, (at, gradient), last, alike.get(i), odd_part)
    return [shown[key[2:]][key.step][key.query] for key in keys]


def _run(
    rule: Optimizer,
    hyperparameter: Any,
    given: Any,
    impulse: tuple[int, int],
    last: int,
    alike: Sequence[Sequence[int]] | None,
    odd_part: bool,
) -> list[list[Any]]:
    """By step, the points queried, and last the point returned."""
    import sympy

    table, begun = tableau(rule), int(impulse[0] < 0)
    memories = [number(m) * int(begun or not odd_part) for m in table.start]
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
    """Matrix of the tableau at a step, in exact SymPy expressions."""
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
