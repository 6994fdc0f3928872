"""The linear part of a rule as matrices: s+ = A s + B g, queries y = C s + D g, returned = F s.

The matrices are found by structural induction over the traced program, and that induction is the proof of
linearity: each node is affine in states and gradients with the coefficients shown, or the reason why it is not
is kept. Products with a nonlinear sequence (Adam's preconditioner) keep it as a *given sequence* in the
coefficients; `sign` is replaced by the identity and noted. Entries are uniform nodes, read by SymPy (`symbolic`)
and by numbers (`rows`) alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from accelsim.errors import InputError
from accelsim.program import Node, Program, evaluate, operate, reachable
from accelsim.rule import Optimizer
from accelsim.schedules import Recurrence, Schedule, Value
from accelsim.symbolic.algebra.language import (
    divisors_of,
    expression,
    number,
    radicands_of,
    to_sympy,
    value_as_written,
)
from accelsim.symbolic.algebra.time import time as time


class NoLinearPart(InputError):
    """Error for a rule that queries or returns something not linear, even with factors and signs set aside."""


class NotLinear(InputError):
    """Error for a rule that is not linear, where a linear one is asked for."""


@dataclass(frozen=True)
class Affine:
    """Affine form of a node.

    Attributes
    ----------
    terms : coefficients, uniform nodes, by index of the state or gradient node.
    factors : (index, place) of the given sequences in them.
    maps : (function, place) of elementwise functions that were replaced by the identity.
    """

    terms: Mapping[int, Node]
    factors: frozenset[tuple[int, str]] = frozenset()
    maps: frozenset[tuple[str, str]] = frozenset()

    def scaled(self, factor: Node, op: str = "mul") -> Affine:
        """The form times a node, or over it."""
        return Affine({k: _simplified(op, v, factor) for k, v in self.terms.items()}, self.factors, self.maps)


@dataclass(frozen=True)
class Given:
    """Node that is not affine in the linear states; as a factor it is a given sequence."""

    reason: str


Form = Affine | Given | None  # None: uniform
Entries = dict[tuple[int, int], Node]


class Matrices(NamedTuple):
    """Matrices of a step in SymPy: A (k, k), B (k, G), C (G, k), D (G, G), F (1, k) for k states, G gradients."""

    A: Any
    B: Any
    C: Any
    D: Any
    F: Any


class Numeric(NamedTuple):
    """Matrices of a step in numbers, float64 or object arrays of `Fraction`; shapes as in `Matrices`."""

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    F: np.ndarray


def _is(node: Node, value: int) -> bool:
    return node.op == "const" and node.value == value


def _simplified(op: str, a: Node, b: Node) -> Node:
    if op == "mul" and _is(a, 1):
        return b
    if op in ("mul", "div") and _is(b, 1):
        return a
    if op == "sub" and _is(a, 0):
        return -b
    return a.tape.node(op, a, b)


def _combined(op: str, a: Affine, b: Affine, tape: Any, condition: Node | None = None) -> Affine:
    zero = tape.lift(0)
    terms = {}
    for key in {**a.terms, **b.terms}:
        left, right = a.terms.get(key, zero), b.terms.get(key, zero)
        if condition is not None:
            terms[key] = tape.node("where", condition, left, right)
        elif _is(right, 0):
            terms[key] = left
        else:
            terms[key] = right if _is(left, 0) and op == "add" else _simplified(op, left, right)
    return Affine(terms, a.factors | b.factors, a.maps | b.maps)


class _Analysis:
    """Forms of all nodes of a program, where some states are known to be nonlinear."""

    def __init__(self, program: Program, nonlinear: set[str]) -> None:
        self.nodes, self.nonlinear = program.nodes, nonlinear
        self.tape = program.nodes[0].tape
        self.forms: dict[int, Form] = {}
        for node in program.nodes:
            self.forms[node.index] = None if node.kind == "uniform" else self._form(node)

    def affine(self, node: Node) -> Form:
        """Affine form of a node; a uniform zero has one too."""
        form = self.forms[node.index]
        if form is None:
            return Affine({}) if _is(node, 0) else Given(f"it contains the constant {node}, whatever the state")
        return form

    def _form(self, node: Node) -> Affine | Given:
        if node.op == "state" and node.value in self.nonlinear:
            return Given(f"{node.value} is not linear")
        if node.op in ("state", "gradient"):
            return Affine({node.index: self.tape.lift(1)})
        method = getattr(self, f"_{node.op}", None)
        form: Affine | None = method(node) if method else None
        below = (self.forms[arg.index] for arg in node.args)
        return form or next((b for b in below if isinstance(b, Given)), Given(f"{node} is not linear"))

    def _sum(self, node: Node) -> Affine | None:
        a, b = map(self.affine, node.args)
        both = isinstance(a, Affine) and isinstance(b, Affine)
        return _combined(node.op, a, b, self.tape) if both else None  # type: ignore[arg-type]

    _add = _sub = _sum

    def _where(self, node: Node) -> Affine | None:
        a, b = map(self.affine, node.args[1:])
        both = isinstance(a, Affine) and isinstance(b, Affine)
        return _combined("where", a, b, self.tape, node.args[0]) if both else None  # type: ignore[arg-type]

    def _neg(self, node: Node) -> Affine | None:
        form = self.forms[node.args[0].index]
        return form.scaled(self.tape.lift(-1)) if isinstance(form, Affine) else None

    def _mul(self, node: Node) -> Affine | None:
        for one, other in (node.args, node.args[::-1]):
            if isinstance(self.forms[one.index], Affine):
                return self._weighted(one, other, "mul")
        return None

    def _div(self, node: Node) -> Affine | None:
        return self._weighted(node.args[0], node.args[1], "div")

    def _weighted(self, one: Node, other: Node, op: str) -> Affine | None:
        form, weight = self.forms[one.index], self.forms[other.index]
        if not isinstance(form, Affine) or isinstance(weight, Affine):
            return None
        if weight is None:
            return form.scaled(other, op)
        when = self._when(form)
        sequence = self.tape.node("given", value=(op, other.index), kind="uniform")
        scaled = form.scaled(sequence)
        return Affine(scaled.terms, form.factors | {(sequence.index, when)}, form.maps)

    def _sign(self, node: Node) -> Affine | None:
        form = self.forms[node.args[0].index]
        if not isinstance(form, Affine):
            return None
        return Affine(form.terms, form.factors, form.maps | {("sign", self._when(form))})

    def _orthogonalize(self, node: Node) -> Affine | None:
        form = self.forms[node.args[0].index]
        if not isinstance(form, Affine):
            return None
        rows, steps = (arg.value for arg in node.args[1:])
        name = f"orthogonalization as a matrix of {rows} row{'s' * (rows != 1)}"
        if steps:
            name += f" in {steps} Newton-Schulz steps"
        return Affine(form.terms, form.factors, form.maps | {(name, self._when(form))})

    def _when(self, form: Affine) -> str:
        """Place of a function applied to a form: "before" the momentum, on gradients alone, or "after" it."""
        pure = all(self.tape.nodes[index].op == "gradient" for index in form.terms)
        return "before" if pure else "after"


@dataclass(frozen=True)
class Factor:
    """Given positive sequence in the coefficients.

    Attributes
    ----------
    symbol : its name, as p in p(t).
    node : node in its place, whose value is the operation and the index of what is traced there.
    when : its places, "before" or "after" the momentum, or "before and after" it.
    """

    symbol: str
    node: Node
    when: str


@dataclass(frozen=True)
class Tableau:
    """The linear part of a rule.

    Attributes
    ----------
    optimizer : whose rule it is.
    states : the linear states, k of them, positions first; those found nonlinear are in `dropped`.
    dropped : states whose own update is not linear (Adam's v) with the reason.
    stages : number of gradients of each yield, summing to G.
    a, b, c, d, f : entries as uniform nodes by (row, column); what is absent is zero.
    factors : given sequences in the coefficients (preconditioners, clipping), by node index.
    maps : elementwise functions replaced by the identity, as (name, "before" or "after" the momentum).
    uniform : the updates of the uniform states (see `program`), which entries may read.
    """

    optimizer: Optimizer
    states: tuple[str, ...]
    dropped: Mapping[str, str]
    stages: tuple[int, ...]
    a: Entries
    b: Entries
    c: Entries
    d: Entries
    f: Entries
    factors: Mapping[int, Factor]
    maps: frozenset[tuple[str, str]]
    uniform: Mapping[str, Node]

    @property
    def gradients(self) -> int:
        """Gradients a step, G."""
        return sum(self.stages)

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the hyperparameters in the matrices and in uniform states."""
        below = reachable([*self._nodes(), *self.uniform.values()])
        leaves = {leaf.value for leaf in below if leaf.op == "hyperparameter"}
        return tuple(name for name in self.optimizer.hyperparameters if name in leaves)

    def _leaves(self) -> list[Node]:
        return [node for node in self._nodes() if not node.args]

    def _nodes(self) -> list[Node]:
        return reachable(node for name in self.shapes() for node in getattr(self, name).values())

    def divided_by(self, varying: tuple[str, ...] = (), /, **values: Any) -> Iterator[Any]:
        """Divisors of entries and uniform states before any cancellation; arguments as those of `symbolic`."""
        translate = Translation(self.optimizer, varying, values, self.factors)
        for node in reachable([*self._nodes(), *self.uniform.values()]):
            yield from map(translate, divisors_of(node, translate))

    def rooted(self, varying: tuple[str, ...] = (), /, **values: Any) -> Iterator[Any]:
        """Expressions that must not be negative for entries to have values; arguments as those of `symbolic`."""
        translate = Translation(self.optimizer, varying, values, self.factors)
        for node in reachable([*self._nodes(), *self.uniform.values()]):
            yield from map(translate, radicands_of(node, translate))

    @property
    def translation(self) -> tuple[int, ...]:
        """The direction e of a translation of all positions: 1 at positions, 0 at memories."""
        return tuple(int(state in self.optimizer.positions) for state in self.states)

    @property
    def start(self) -> tuple[float, ...]:
        """Initial values of the states, shape (k,), the initial point being taken as 0."""
        return tuple(self.optimizer.memories.get(state, 0) for state in self.states)

    @property
    def nonlinearity(self) -> str | None:
        """Reason why the rule is not linear; None for a linear rule."""
        for state, reason in self.dropped.items():
            return f"the update of {state} is not linear: {reason}"
        for name, when in sorted(self.maps):
            return f"it applies {name} {when} the momentum"
        for factor in self.factors.values():
            return f"it multiplies by {factor.symbol}(t), which depends on state or gradient"
        return None

    def shapes(self) -> dict[str, tuple[int, int]]:
        """Shapes of the matrices a, b, c, d, f by name."""
        k, g = len(self.states), self.gradients
        return {"a": (k, k), "b": (k, g), "c": (g, k), "d": (g, g), "f": (1, k)}

    def constant(self, /, **values: Any) -> bool:
        """Whether no coefficient varies in t at these hyperparameters."""
        resolved = self.optimizer.resolve(**values)
        return all(
            leaf.op == "const" or (leaf.op == "hyperparameter" and isinstance(resolved[leaf.value], Real))
            for leaf in self._leaves()
        )

    def rows(self, number: Any = float, /, **values: Any) -> Iterator[Numeric]:
        """The matrices step by step, in floats or (``number=program.exact``) in fractions.

        Raises
        ------
        InputError
            Where a coefficient depends on state or gradient: there are no numbers without a run.
        """
        if self.factors:
            raise InputError(f"{self.optimizer} has no numeric matrices: {self.nonlinearity}")
        constant = self.constant(**values)
        numeric = None
        for t, h in self.optimizer.rows(number, **values):
            if numeric is None or not constant:
                numeric = self.at(t, h, number)
            yield numeric

    def at(
        self,
        t: Any,
        h: Mapping[str, Any],
        number: Any = float,
        given: Mapping[str, Any] | None = None,
        apply: Any = operate,
    ) -> Numeric:
        """The matrices of one step, from its hyperparameters and what the given sequences are there, by symbol.

        Raises
        ------
        InputError
            Where the rule divides by zero.
        """

        def leaf(node: Node) -> Any:
            if node.op == "given":
                return (given or {})[self.factors[node.index].symbol]
            if node.op in ("hyperparameter", "state"):
                return h[node.value]
            return t if node.op == "step" else number(node.value)

        known: dict[int, Any] = {}
        matrices = []
        for name, shape in self.shapes().items():
            matrix = np.full(shape, number(0), dtype=np.float64 if number is float else object)
            for place, node in getattr(self, name).items():
                try:
                    matrix[place] = evaluate(node, leaf, apply, known)
                except ZeroDivisionError:
                    here = ", ".join(f"{name} = {h[name]}" for name in self.reads)
                    raise InputError(f"{self.optimizer} divides by zero at t = {t}, at {here}") from None
            matrices.append(matrix)
        return Numeric(*matrices)

    def symbolic(self, varying: tuple[str, ...] = (), /, **values: Any) -> Matrices:
        """The matrices in SymPy, in the step t.

        Hyperparameters not given stay symbols; those in `varying`, recurrences and uniform states are functions of t.
        """
        import sympy

        translate = Translation(self.optimizer, varying, values, self.factors)
        matrices = []
        for name, shape in self.shapes().items():
            matrix = sympy.zeros(*shape)
            for place, node in getattr(self, name).items():
                matrix[place] = translate(node)
                if matrix[place].has(sympy.nan, sympy.zoo):
                    raise InputError(f"{self.optimizer} divides by zero: {node!r}")
            matrices.append(matrix)
        return Matrices(*matrices)


class Translation:
    """Translation of uniform nodes to SymPy expressions."""

    def __init__(
        self,
        optimizer: Optimizer,
        varying: tuple[str, ...],
        values: Mapping[str, Value],
        factors: Mapping[int, Factor] = MappingProxyType({}),
    ) -> None:
        self.optimizer, self.varying, self.factors = optimizer, varying, factors
        self.values = {k: value_as_written(optimizer, k, v) for k, v in values.items()}
        self.texts = {k: v for k, v in values.items() if isinstance(v, str)}
        self.known: dict[int, Any] = {}

    def __call__(self, node: Node) -> Any:
        """Expression of a node."""
        return evaluate(node, self.leaf, to_sympy, self.known)

    def leaf(self, node: Node) -> Any:
        """Expression of a node without arguments; a uniform state is a function of t."""
        import sympy

        if node.op == "step":
            return time()
        if node.op == "state":
            return sympy.Function(node.value, real=True)(time())
        if node.op == "const":
            return number(node.value)
        if node.op == "given":
            return sympy.Function(self.factors[node.index].symbol, positive=True)(time())
        return self.hyperparameter(node.value)

    def hyperparameter(self, name: str) -> Any:
        """Expression of a hyperparameter: a symbol, a function of t, or its given value."""
        import sympy

        default = self.optimizer.hyperparameters[name].default
        value = self.values.get(name, default if isinstance(default, Recurrence) else None)
        if name in self.varying or isinstance(value, Recurrence):
            return sympy.Function(name, real=True)(time())
        if name in self.texts:
            return expression(self.texts[name], {"t": time()})
        if isinstance(value, Schedule):
            return evaluate(value.node(), self.leaf, to_sympy, {})
        if value is None:
            return sympy.Symbol(name, real=True)
        return number(value)


def tableau(optimizer: Optimizer, /, **values: Any) -> Tableau:
    """Linear part of a rule, by structural induction over its traced program.

    Parameters
    ----------
    **values : hyperparameters, of which only switches (such as warm-up steps) matter.

    Returns
    -------
    Tableau
        With nonlinear states dropped, nonlinear factors as given sequences, and signs replaced by the identity.

    Raises
    ------
    NoLinearPart
        If a query point or the returned state is not linear even then.
    """
    program = optimizer.program(values)
    dropped: dict[str, str] = {}
    while True:
        analysis = _Analysis(program, set(dropped))
        forms = {s: analysis.affine(node) for s, node in program.updates.items() if s not in program.uniform}
        new = {s: form.reason for s, form in forms.items() if isinstance(form, Given) and s not in dropped}
        if not new:
            break
        dropped |= new
    if optimizer.returns in dropped:
        raise NoLinearPart(f"{optimizer} has no linear part: {dropped[optimizer.returns]}")
    return _assembled(optimizer, program, analysis, dropped)


def _assembled(optimizer: Optimizer, program: Program, analysis: _Analysis, dropped: dict[str, str]) -> Tableau:
    uniform = {state: program.updates[state] for state in program.uniform}
    states = tuple(state for state in optimizer.states if state not in dropped and state not in uniform)
    tape = analysis.tape
    place = {tape.node("state", value=s, kind="vector").index: i for i, s in enumerate(states)}
    gradient = {tape.node("gradient", value=j, kind="vector").index: j for j in range(program.gradients)}
    a: Entries = {}
    b: Entries = {}
    c: Entries = {}
    d: Entries = {}
    f: Entries = {}
    factors: set[tuple[int, str]] = set()
    maps: set[tuple[str, str]] = set()

    def fill(row: int, form: Form, by_state: Entries, by_gradient: Entries) -> None:
        assert isinstance(form, Affine)
        factors.update(form.factors)
        maps.update(form.maps)
        for index, node in form.terms.items():
            if index in place:
                by_state[row, place[index]] = node
            else:
                by_gradient[row, gradient[index]] = node

    points = [point for stage in program.queries for point in stage]
    for row, state in enumerate(states):
        fill(row, analysis.affine(program.updates[state]), a, b)
    for row, point in enumerate(points):
        form = analysis.affine(point)
        if isinstance(form, Given):
            raise NoLinearPart(f"{optimizer} has no linear part: it queries at a nonlinear point: {form.reason}")
        fill(row, form, c, d)
    f[0, states.index(optimizer.returns)] = tape.lift(1)
    stages = tuple(len(stage) for stage in program.queries)
    given = _factors(tape, factors)
    distinct(optimizer, given.values())
    return Tableau(optimizer, states, dropped, stages, a, b, c, d, f, given, frozenset(maps), uniform)


def _factors(tape: Any, found: set[tuple[int, str]]) -> dict[int, Factor]:
    """Given sequences by node; one that acts at both places is one sequence."""
    places: dict[int, list[str]] = {}
    for index, when in sorted(found):
        places.setdefault(index, []).insert(0, when)
    symbols = ["p"] if len(places) == 1 else [f"p{i + 1}" for i in range(len(places))]
    named = zip(symbols, places.items(), strict=True)
    return {index: Factor(s, tape.nodes[index], " and ".join(when)) for s, (index, when) in named}


def distinct(optimizer: Optimizer, factors: Iterable[Factor]) -> None:
    """Raise `InputError` where a hyperparameter or uniform state of a rule goes by the name of a given sequence.

    Other states stand in no matrix, and a transform tells them apart.
    """
    uniform = optimizer.program().uniform
    for name in (factor.symbol for factor in factors):
        if name in uniform or name in optimizer.hyperparameters:
            what = "state" if name in uniform else "hyperparameter"
            raise InputError(f"{optimizer} has a {what} called {name!r}, as a given sequence is: call it otherwise")


def is_linear(optimizer: Optimizer) -> bool:
    """Whether a rule is linear in gradients and states."""
    try:
        return tableau(optimizer).nonlinearity is None
    except NoLinearPart:
        return False


def linear_tableau(optimizer: Optimizer, /, **values: Any) -> Tableau:
    """Tableau of a linear rule; arguments as those of `tableau`.

    Raises
    ------
    NotLinear
        If the rule is not linear, naming what is not.
    """
    switches = {k: v for k, v in values.items() if k in optimizer.hyperparameters}
    found = tableau(optimizer, **switches)
    if found.nonlinearity:
        raise NotLinear(f"{optimizer} is not linear: {found.nonlinearity}")
    return found
