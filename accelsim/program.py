"""The tracer: a rule, run once on symbols of our own, becomes a small program of hash-consed nodes.

Every other reader of a rule (tableau, normal form, LaTeX, moments, kernels) reads this program. A node is

* ``uniform``: made of the step t and hyperparameters only, one number a step, computed on the host;
* ``vector``:  made of state or gradient, one number a coordinate;
* ``total``:   a vector reduced over its coordinates, one number a replica.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational, Real
from types import SimpleNamespace
from typing import Any

from accelsim.elementary import FUNCTIONS, OPERATORS
from accelsim.errors import InputError

MOST_GRADIENTS = 64  # a step: a rule that never stops yielding is told so
_INFIX = {"add": (" + ", 0), "sub": (" - ", 0), "mul": ("*", 2), "div": ("/", 2), "pow": ("**", 4)}
_RANK = {"uniform": 0, "total": 1, "vector": 2}


class Tape:
    """The nodes of one trace, in the order of their creation; equal nodes are one node."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[tuple[Any, ...], Node] = {}

    def node(self, op: str, *args: Node, value: Any = None, kind: str | None = None) -> Node:
        key = (op, type(value).__name__, repr(value), *(arg.index for arg in args))
        if key not in self._known:
            if kind is None:
                kind = max((arg.kind for arg in args), key=_RANK.__getitem__)
            self._known[key] = self.made(op, args, value, kind)
            self.nodes.append(self._known[key])
        return self._known[key]

    def made(self, op: str, args: tuple[Node, ...], value: Any, kind: str) -> Node:
        """A new node of the sort that this tape holds."""
        return Node(self, len(self.nodes), op, args, value, kind)

    def lift(self, value: Any) -> Node:
        """The value as a node of this tape: a number becomes a constant."""
        if isinstance(value, Node):
            if value.tape is not self:
                raise InputError("a value of another trace was used: a rule may not keep nodes between runs")
            return value
        if isinstance(value, Real) and not isinstance(value, bool):
            if not isinstance(value, Rational) and not math.isfinite(value):
                raise InputError(f"a rule may not compute with {value}")
            return self.node("const", value=value, kind="uniform")
        raise InputError(f"a rule computes with numbers, states, gradients and hyperparameters, not with {value!r}")


class Node:
    """One operation of a program. Arithmetic on nodes makes nodes; comparing them is an error."""

    __slots__ = ("args", "index", "kind", "op", "tape", "value")
    __array_ufunc__ = None  # NumPy must not take over: 2.0 * node is node.__rmul__

    def __init__(self, tape: Tape, index: int, op: str, args: tuple[Node, ...], value: Any, kind: str) -> None:
        self.tape, self.index, self.op, self.args, self.value, self.kind = tape, index, op, args, value, kind

    def __repr__(self) -> str:
        """The expression as a person writes it."""
        if not self.args:
            return {"gradient": f"g{self.value or ''}", "step": "t"}.get(self.op, str(self.value))
        if self.op == "neg":
            return f"-{self.args[0]._within(2)}"
        if self.op in _INFIX:
            sign, rank = _INFIX[self.op]
            left, right = self.args
            return left._within(rank) + sign + right._within(rank + (self.op in ("sub", "div", "pow")))
        return f"{self.op}({', '.join(map(repr, self.args))})"

    def _within(self, rank: int) -> str:
        own = {"neg": 0}.get(self.op, _INFIX.get(self.op, ("", 9))[1])
        return f"({self!r})" if own < rank else repr(self)

    def _binary(self, op: str, other: Any, swap: bool = False) -> Node:
        lifted = self.tape.lift(other)
        return self.tape.node(op, lifted, self) if swap else self.tape.node(op, self, lifted)

    def __add__(self, other: Any) -> Node:
        return self._binary("add", other)

    def __radd__(self, other: Any) -> Node:
        return self._binary("add", other, swap=True)

    def __sub__(self, other: Any) -> Node:
        return self._binary("sub", other)

    def __rsub__(self, other: Any) -> Node:
        return self._binary("sub", other, swap=True)

    def __mul__(self, other: Any) -> Node:
        return self._binary("mul", other)

    def __rmul__(self, other: Any) -> Node:
        return self._binary("mul", other, swap=True)

    def __truediv__(self, other: Any) -> Node:
        return self._binary("div", other)

    def __rtruediv__(self, other: Any) -> Node:
        return self._binary("div", other, swap=True)

    def __pow__(self, other: Any) -> Node:
        return self._binary("pow", other)

    def __rpow__(self, other: Any) -> Node:
        return self._binary("pow", other, swap=True)

    def _in_place(self, other: Any) -> Any:
        raise InputError("a rule may not change a value in place, others may share it: write m = m + g, not m += g")

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = _in_place

    def __neg__(self) -> Node:
        return self.tape.node("neg", self)

    def __abs__(self) -> Node:
        return self.tape.node("abs", self)

    def traced_call(self, name: str, *values: Any) -> Node:
        """Apply one of the elementary functions to values of which this node is one."""
        args = tuple(map(self.tape.lift, values))
        if name == "total" and args[0].kind != "vector":
            raise InputError(f"total() adds up a vector over its coordinates, and {args[0]!r} is one number")
        if name == "first" and args[0].op != "step":
            raise InputError("first() takes the step t itself")
        if name == "where" and args[0].op != "first":
            raise InputError("the condition of where() must be first(t)")
        return self.tape.node(name, *args, kind="total" if name == "total" else None)

    def _refuse(self, *_: Any) -> Any:
        raise InputError(
            "a rule may not branch on or compare traced values; "
            "use where(first(t), a, b), minimum or maximum instead of if and <"
        )

    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __int__ = __float__ = __iter__ = __len__ = _refuse
    __hash__ = object.__hash__


@dataclass(frozen=True)
class Program:
    """A traced rule.

    Attributes
    ----------
    nodes : every node, arguments before their users.
    queries : one entry a `yield`: the nodes of the points at which that yield asks for gradients.
    updates : the node of each state's next value.
    reads : names of the hyperparameters that the rule reads.
    """

    nodes: tuple[Node, ...]
    queries: tuple[tuple[Node, ...], ...]
    updates: Mapping[str, Node]
    reads: tuple[str, ...]

    @property
    def gradients(self) -> int:
        """Number of gradients taken in a step."""
        return sum(map(len, self.queries))


class _Reader:
    """Stands for `h` in a trace: a switch is its number, everything else a node."""

    def __init__(self, tape: Tape, switches: Mapping[str, Any]) -> None:
        self._tape, self._switches, self._reads = tape, switches, dict[str, None]()

    def __getattr__(self, name: str) -> Any:
        self._reads[name] = None
        if name in self._switches:
            return self._switches[name]
        return self._tape.node("hyperparameter", value=name, kind="uniform")


Rule = Callable[[Any, Any, Any], Generator[Any, Any, Any]]


def trace(name: str, rule: Rule, states: tuple[str, ...], switches: Mapping[str, Any]) -> Program:
    """Run a rule once on nodes.

    Raises
    ------
    InputError
        If the rule branches on a traced value, asks for no gradient, returns other names than its states, or
        raises anything of its own.
    """
    tape = Tape()
    reader = _Reader(tape, switches)
    state = SimpleNamespace(**{s: tape.node("state", value=s, kind="vector") for s in states})
    queries: list[tuple[Node, ...]] = []
    try:
        run = rule(state, tape.node("step", kind="uniform"), reader)
        point = next(run)
        while True:
            points = point if isinstance(point, tuple) else (point,)
            if not points or sum(map(len, queries)) + len(points) > MOST_GRADIENTS:
                raise InputError(f"a step takes from 1 to {MOST_GRADIENTS} gradients, each `yield` at least one")
            queries.append(tuple(map(tape.lift, points)))
            taken = sum(map(len, queries))
            first = taken - len(points)
            grads = tuple(tape.node("gradient", value=k, kind="vector") for k in range(first, taken))
            point = run.send(grads if isinstance(point, tuple) else grads[0])
    except StopIteration as stop:
        returned = stop.value
    except InputError as error:
        raise InputError(f"rule {name!r}: {error}") from None
    except Exception as error:
        raise InputError(f"rule {name!r} raised {type(error).__name__}: {error}") from error
    if not queries:
        raise InputError(f"rule {name!r} never asks for a gradient: it must `yield` the point it is taken at")
    if not isinstance(returned, dict) or set(returned) != set(states):
        got = ", ".join(returned) if isinstance(returned, dict) else repr(returned)
        raise InputError(f"rule {name!r} must return dict({', '.join(f'{s}=...' for s in states)}), not {got}")
    updates = {s: tape.lift(returned[s]) for s in states}
    return Program(tuple(tape.nodes), tuple(queries), updates, tuple(reader._reads))


def evaluate(
    node: Node, leaf: Callable[[Node], Any], apply: Callable[[Node, list[Any]], Any], known: dict[int, Any]
) -> Any:
    """The value of a node in any arithmetic; `known` keeps what was computed (by node index).

    Where a condition is decided, the other branch, which may divide by zero, is None and not looked at.
    """
    pending = [node]
    while pending:
        top = pending[-1]
        missing = [arg for arg in _read(top, known) if arg.index not in known]
        if top.index in known or missing:
            if not missing:
                pending.pop()
            pending.extend(missing)
            continue
        known[top.index] = apply(top, [known.get(arg.index) for arg in top.args]) if top.args else leaf(top)
        pending.pop()
    return known[node.index]


def _read(node: Node, known: Mapping[int, Any]) -> tuple[Node, ...]:
    """The arguments that a node's value needs; of a choice the condition first."""
    if node.op != "where":
        return node.args
    condition, yes, no = node.args
    decided = known.get(condition.index)
    if isinstance(decided, bool):
        return (yes if decided else no,)
    return node.args if condition.index in known else (condition,)


def reachable(roots: Iterable[Node]) -> list[Node]:
    """All nodes below the roots, arguments first."""
    pending, found = list(roots), dict[int, Node]()
    while pending:
        node = pending.pop()
        if node.index not in found:
            found[node.index] = node
            pending.extend(node.args)
    return [found[index] for index in sorted(found)]


def exact(value: Any) -> Fraction:
    """A number as the fraction it was written as: 0.7 is 7/10.

    >>> exact(0.7)
    Fraction(7, 10)
    """
    return Fraction(value) if isinstance(value, Rational) else Fraction(repr(float(value)))


def operate(node: Node, values: list[Any]) -> Any:
    """Apply a node's operation to values of any arithmetic."""
    function = OPERATORS.get(node.op) or FUNCTIONS[node.op]
    return function(*values)


def run(
    program: Program,
    state: Mapping[str, Any],
    t: Any,
    h: Mapping[str, Any],
    gradients: Callable[[tuple[Any, ...]], tuple[Any, ...]],
    number: Callable[[Any], Any] = lambda value: value,
) -> dict[str, Any]:
    """One step of a traced rule; what `rule.step` does with the rule itself.

    `number` converts the literals of the rule (`exact` for rational runs).
    """
    taken: list[Any] = []

    def leaf(node: Node) -> Any:
        if node.op == "state":
            return state[node.value]
        if node.op == "gradient":
            return taken[node.value]
        if node.op == "hyperparameter":
            return h[node.value]
        return t if node.op == "step" else number(node.value)

    known: dict[int, Any] = {}
    for points in program.queries:
        taken.extend(gradients(tuple(evaluate(point, leaf, operate, known) for point in points)))
    return {name: evaluate(node, leaf, operate, known) for name, node in program.updates.items()}
