"""The coefficients of consecutive steps as arrays: a rule's tableau evaluated at many steps at once.

States are carried as errors w - w*. A last row, constant, carries w*: what a rule that is not translation-equivariant
(weight decay) feels of the origin. Its drive is zero for all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from accelsim.errors import InputError
from accelsim.program import Node, evaluate, exact, operate, whole
from accelsim.schedules import Recurrence, Schedule
from accelsim.spectra import Array
from accelsim.symbolic.system.tableau import Numeric, Tableau

_LOOKED_AT = 8  # steps of a chunk whose coefficients are held against those in more digits
_OFF = 4 * 2.0**-53  # relative error of coefficients that is small enough
_WHOLE = 2.0**53  # up to which floats hold every whole number


class Moments(NamedTuple):
    """Second moments (n, n, m) or (n, n, m, m) and means (n, m) of n quantities."""

    second: Array
    mean: Array


def mapped(matrix: Array, moments: Moments) -> Moments:
    """Moments of matrix times the quantities."""
    return Moments(mapped_pair(matrix, moments.second, matrix), matrix @ moments.mean)


def mapped_pair(left: Array, second: Array, right: Array) -> Array:
    """Second moments of left times the quantities with right times them."""
    return left_mapped(left, right_mapped(second, right))


def left_mapped(matrix: Array, second: Array) -> Array:
    """The matrix applied to the first axis."""
    return (matrix @ second.reshape(len(second), -1)).reshape(len(matrix), *second.shape[1:])


def right_mapped(second: Array, matrix: Array) -> Array:
    """The matrix applied to the second axis."""
    rows, columns, *rest = second.shape
    return (matrix @ second.reshape(rows, columns, -1)).reshape(rows, len(matrix), *rest)


class System(NamedTuple):
    """A step in numbers, or with a first axis many: matrices as in `Numeric`, and the number of gradients a yield."""

    A: Array
    B: Array
    C: Array
    D: Array
    F: Array
    stages: tuple[int, ...]

    def each(self, change: Callable[..., Array], *others: System) -> System:
        """A function of each matrix, of all systems."""
        a, b, c, d, f = (change(*matrices) for matrices in zip(self[:5], *(other[:5] for other in others), strict=True))
        return System(a, b, c, d, f, self.stages)

    def at(self, index: int) -> System:
        """One of many; the last one stands for all after it."""
        return self.each(lambda matrix: matrix[min(index, len(matrix) - 1)])

    @property
    def drives(self) -> bool:
        """Whether w* acts on states, queries or what is returned."""
        return bool(self.A[..., :-1, -1].any() or self.C[..., -1].any() or self.F[..., -1].any())


def anchored(tableau: Tableau, numeric: Numeric) -> System:
    """The step on errors, with a last row for w*: 0 drive where the rule is translation-equivariant.

    Parameters
    ----------
    numeric : in floats or fractions, of one step or with a first axis of many.
    """
    moved = np.array(tableau.translation, dtype=bool)

    def with_drive(matrix: Array, image: Array) -> Array:
        drive = matrix[..., moved].sum(axis=-1) - image
        if matrix.dtype != object:
            # differences that rounding of the coefficients explains are zero: they would be noise of relative size |w*|
            precision = float(np.finfo(matrix.dtype).eps)
            drive = np.where(np.abs(drive) > 4 * precision * (np.abs(matrix) @ moved + 1), drive, 0)
        return np.concatenate([matrix, drive[..., None]], axis=-1)

    a, b, c, d, f = numeric
    constant = np.zeros_like(a, shape=(*a.shape[:-2], 1, a.shape[-1] + 1))
    constant[..., -1] = 1
    return System(
        np.concatenate([with_drive(a, moved.astype(int)), constant], axis=-2),
        np.concatenate([b, np.zeros_like(b[..., :1, :])], axis=-2),
        with_drive(c, np.ones(c.shape[-2], dtype=int)),
        d,
        with_drive(f, np.ones(1, dtype=int)),
        tableau.stages,
    )


class Tables:
    """A rule's systems from step 0 on, in chunks.

    Attributes
    ----------
    step : of the system that comes next.
    constant : whether one system stands for all steps.
    recurrent : whether coefficients remember, so that those of a step need those of all before it.
    """

    def __init__(self, tableau: Tableau, hyperparameters: dict[str, Any]) -> None:
        self.tableau, self.values = tableau, tableau.optimizer.resolve(**hyperparameters)
        self.constant = tableau.constant(**hyperparameters)
        remembered = tableau.uniform or any(isinstance(value, Recurrence) for value in self.values.values())
        self.recurrent = bool(remembered) and not self.constant
        self._rows = tableau.optimizer.rows(**self.values) if self.recurrent else None
        self.step = 0
        self._next = self._first()

    def take(self, count: int) -> System:
        """The systems of the next `count` steps and, last, of the one after them; a single one if they are constant."""
        start, self.step = self.step, self.step + count
        if self.constant or not count:
            return self._next
        after = self._remembered(count) if self._rows else self._rounded(np.arange(start + 1.0, start + count + 1.0))
        found = self._next.each(lambda *both: np.concatenate(both), after)
        self._next = found.each(lambda matrix: matrix[-1:])
        return found

    def at(self, t: Array) -> System:
        """Systems at steps t, which may be fractions, in t's precision; not at the first step, nor with recurrences."""
        read = {name: value for name, value in self.values.items() if not isinstance(value, Recurrence)}
        return self._evaluated(t, {name: self._over(name, value, t) for name, value in read.items()})

    def _rounded(self, t: Array) -> System:
        """Systems at steps t, in floats: by way of more digits where small differences would lose theirs."""
        few = t[:: -(-len(t) // _LOOKED_AT)]
        for plain, wide in zip(self.at(few)[:5], self.at(few.astype(np.longdouble))[:5], strict=True):
            if (np.abs(plain - wide) > _OFF * np.abs(wide)).any():
                return self.at(t.astype(np.longdouble)).each(lambda matrix: matrix.astype(np.float64))
        return self.at(t)

    @property
    def fixed(self) -> System:
        """Shaped as one system: 1 where an entry is the same at every step, else 0."""
        matrices = []
        for name, shape in self.tableau.shapes().items():
            matrix = np.ones(shape)
            for place, node in getattr(self.tableau, name).items():
                matrix[place] = not evaluate(node, self._varies, lambda _, below: any(below), {})
            matrices.append(matrix)
        a, b, c, d, f = matrices
        a, c, f = (np.hstack([matrix, matrix.min(axis=1)[:, None]]) for matrix in (a, c, f))
        a, b = (np.vstack([matrix, np.ones_like(matrix[:1])]) for matrix in (a, b))
        return System(a, b, c, d, f, self.tableau.stages)

    def _varies(self, leaf: Node) -> bool:
        if leaf.op == "hyperparameter":
            return not isinstance(self.values[leaf.value], Real)
        return leaf.op in ("step", "state")

    def _first(self) -> System:
        if self.constant:
            try:
                written = {name: exact(value) for name, value in self.values.items() if isinstance(value, Real)}
                numeric = self.tableau.at(exact(0), written, exact)
                whole = anchored(self.tableau, Numeric(*(matrix[None] for matrix in numeric)))
                return whole.each(lambda matrix: matrix.astype(np.float64))
            except InputError:  # a root that is irrational
                pass
        t, h = next(self.tableau.optimizer.rows(**self.values) if self._rows is None else self._rows)
        return anchored(self.tableau, Numeric(*(matrix[None] for matrix in self.tableau.at(t, h))))

    def _remembered(self, count: int) -> System:
        assert self._rows is not None
        rows = list(islice(self._rows, count))
        names = (*self.values, *self.tableau.uniform)
        columns = {name: np.array([h[name] for _, h in rows], dtype=float) for name in names}
        columns |= {name: value for name, value in self.values.items() if self._switch(name)}
        return self._evaluated(np.array([t for t, _ in rows], dtype=float), columns)

    def _switch(self, name: str) -> bool:
        return self.tableau.optimizer.hyperparameters[name].switch

    def _over(self, name: str, value: Any, t: Array) -> Any:
        """A hyperparameter's values at steps t, checked as `schedules.rows` does."""
        if isinstance(value, Real):
            return value if self._switch(name) else _written(value, t)
        assert isinstance(value, Schedule)
        found = _traced(value, t)
        declared = self.tableau.optimizer.hyperparameters[name]
        good = (
            found is not None
            and np.isfinite(found).all()
            and declared.holds(found.min())
            and declared.holds(found.max())
        )
        return found if good else np.array(list(self._one_by_one(name, value, t)))

    def _one_by_one(self, name: str, value: Schedule, t: Array) -> Iterator[float]:
        for step in t.tolist():
            try:
                found = value.at(int(step) if step.is_integer() else step)
            except InputError as error:
                raise InputError(f"{name} = {error}") from None
            self.tableau.optimizer.check(name, found, int(step))
            yield found

    def _evaluated(self, t: Array, h: dict[str, Any]) -> System:
        def leaf(node: Node) -> Any:
            if node.op in ("hyperparameter", "state"):
                return h[node.value]
            return t if node.op == "step" else float(node.value)

        known: dict[int, Any] = {}
        matrices = []
        with np.errstate(all="ignore"):
            for name, shape in self.tableau.shapes().items():
                matrix = np.zeros((len(t), *shape), dtype=t.dtype)
                for (row, column), node in getattr(self.tableau, name).items():
                    matrix[:, row, column] = evaluate(node, leaf, _over_steps(t), known)
                matrices.append(matrix)
        return anchored(self.tableau, Numeric(*matrices))


def _over_steps(t: Array) -> Callable[[Node, list[Any]], Any]:
    """How operations are applied to arrays over steps, none of which is the first one."""

    def apply(node: Node, values: list[Any]) -> Any:
        if node.op == "first":
            return False
        if node.op in ("mod", "minimum", "maximum", "abs") and _large(node, t):
            steps = np.array([int(step) for step in t], dtype=object)
            found = evaluate(node, lambda leaf: steps if leaf.op == "step" else int(leaf.value), operate, {})
            return np.asarray(found, dtype=t.dtype)
        return values[2] if node.op == "where" else operate(node, values)

    return apply


def _large(node: Node, t: Array) -> bool:
    """Whether a whole number at steps t is made of such that floats may not hold: the last digit is what matters."""
    if not t.size or not whole(node) or (t != np.floor(t)).any():
        return False
    known: dict[int, Any] = {}
    most = float(t.max())
    evaluate(node, lambda leaf: most if leaf.op == "step" else abs(float(leaf.value)), _most, known)
    return bool(max(known.values()) >= _WHOLE)


def _most(node: Node, values: list[Any]) -> Any:
    """Bound on the size of an operation on whole numbers, from bounds on theirs."""
    if node.op in ("add", "sub"):
        return values[0] + values[1]
    if node.op == "pow":
        with np.errstate(over="ignore"):
            return np.float64(values[0]) ** values[1]
    return values[0] * values[1] if node.op == "mul" else max(values)


def _written(value: Any, like: Array) -> Any:
    """A number in the precision of an array, in more than that of floats as the decimal number it was written as."""
    return float(value) if like.dtype == np.float64 else like.dtype.type(repr(float(value)))


def _traced(schedule: Schedule, t: Array) -> Array | None:
    """A schedule at steps t, None where it is not written in the language of rules."""
    try:
        node = schedule.node()
    except Exception:  # a callable may do anything with t, such as branch on it
        return None
    with np.errstate(all="ignore"):
        found = evaluate(node, lambda leaf: t if leaf.op == "step" else _written(leaf.value, t), _over_steps(t), {})
    return np.broadcast_to(np.asarray(found, dtype=t.dtype), t.shape)
