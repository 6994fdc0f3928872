"""The tracer: a rule, run once on symbols of our own, becomes a small program of hash-consed nodes.

Every other reader of a rule (tableau, normal form, LaTeX, moments, kernels) reads this program. A node is

* ``uniform``: made of the step t, hyperparameters and uniform states only, one number a step, computed on the host;
* ``vector``:  made of state or gradient, one number a coordinate;
* ``total``:   a vector reduced over its coordinates, one number a replica.

A *uniform state* is a memory whose update reads nothing but the step, hyperparameters and uniform states (a counter, a
product of momenta, a sum of weights, the last step size): a sequence with a start and a recursion, the same for all
coordinates. One that is added to vectors is a memory like others, which may be a part of a linear rule.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational, Real
from types import SimpleNamespace
from typing import Any

from accelsim.elementary import FUNCTIONS, OPERATORS, maximum, minimum
from accelsim.errors import InputError, UserCode

LARGEST_DENOMINATOR, ROUNDING = 10_000, 1e-15  # of a literal that Python has rounded, and its relative error
SHORT = 15  # characters of a float that was hardly rounded
MOST_GRADIENTS = 64  # a step: a rule that never stops yielding is told so
_UFUNCS = {"add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv}
_UFUNCS |= {"power": operator.pow, "remainder": operator.mod}
_INFIX = {"add": (" + ", 0), "sub": (" - ", 0), "mul": ("*", 2), "div": ("/", 2), "mod": (" % ", 2), "pow": ("**", 4)}
_FUNCTIONS_HERE = "total(x) (the sum over coordinates), mean(x), sqrt(x), ..."
_IN_PLACE_OF = {  # NumPy's functions
    **{
        "abs": "abs(x)",
        "sum": "total(x)",
        "mean": "mean(x)",
        "average": "mean(x)",
        "where": "where(t < 10, a, b), from accelsim import where",
    },
    **dict.fromkeys(("dot", "vdot", "inner"), "total(x*y)"),
    **{"norm": "sqrt(total(x*x))", "clip": "minimum(b, maximum(a, x))", "square": "x*x"},
}
_WHOLE = ("step", "add", "sub", "mul", "neg", "abs", "mod", "minimum", "maximum")  # of whole numbers
_LONGEST = 20_000  # characters of an expression that is shown
_RANK = {"uniform": 0, "total": 1, "vector": 2}


class Tape:
    """The nodes of one trace, in the order of their creation; equal nodes are one node."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[tuple[Any, ...], Node] = {}

    def node(self, op: str, *args: Node, value: Any = None, kind: str | None = None) -> Node:
        """The node of an operation on others, made if there is none; its kind is the widest of theirs unless given."""
        key = (op, type(value).__name__, repr(value), *(arg.index for arg in args))
        if key not in self._known:
            if any(arg.op == "first" for arg in args[op == "where" :]):
                raise InputError("a condition is no number: where(first(t), 1, 0) makes one of it")
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
            size: Any = abs(value)
            if size > sys.float_info.max:
                raise InputError("a rule may not compute with numbers above 1.8e308, which no float holds")
            return self.node("const", value=value, kind="uniform")
        if isinstance(value, Condition):
            raise InputError("a condition is no number: where(condition, 1, 0) makes one of it")
        raise InputError(f"a rule computes with numbers, states, gradients and hyperparameters, not with {value!r}")


class Node:
    """One operation of a program. Arithmetic on nodes makes nodes; comparing them is an error."""

    __slots__ = ("args", "index", "kind", "op", "tape", "value")

    def __init__(self, tape: Tape, index: int, op: str, args: tuple[Node, ...], value: Any, kind: str) -> None:
        self.tape, self.index, self.op, self.args, self.value, self.kind = tape, index, op, args, value, kind

    def __array_ufunc__(self, function: Any, method: str, *values: Any, **options: Any) -> Any:
        """Take over from NumPy: of an operator with one of its numbers, as 2.0*node; its functions are refused."""
        if method == "__call__" and not options and function.__name__ in _UFUNCS:
            return _UFUNCS[function.__name__](*(v.item() if hasattr(v, "item") else v for v in values))
        own = function.__name__.replace("absolute", "abs")
        write = f"{own}(x), from accelsim import {own}" if own in FUNCTIONS else _IN_PLACE_OF.get(own, _FUNCTIONS_HERE)
        raise InputError(f"NumPy's {function.__name__}() is not for the values of a rule: write {write}")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Refuse what NumPy would do with a node as if it were one number: its mean is not that of a vector."""
        write = _IN_PLACE_OF.get(function.__name__, _FUNCTIONS_HERE)
        raise InputError(f"NumPy's {function.__name__}() is not for the values of a rule: write {write}")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a value of a rule has no {name!r}: from accelsim import sqrt, total (the sum over coordinates), mean, ..."
        )

    def __repr__(self) -> str:
        """The expression as a person writes it; where a part of it is too long to be read, that is dots."""
        texts: dict[int, str] = {}
        for node in reachable([self]):
            text = node._written(texts)
            texts[node.index] = text if len(text) <= _LONGEST else "(...)"
        return texts[self.index]

    def _written(self, texts: Mapping[int, str]) -> str:
        """The expression, from those of its arguments."""
        if not self.args:
            return {"gradient": f"g{self.value or ''}", "step": "t"}.get(self.op, str(self.value))

        def within(arg: Node, rank: int) -> str:
            own = {"neg": 0}.get(arg.op, _INFIX.get(arg.op, ("", 9))[1])
            return f"({texts[arg.index]})" if own < rank else texts[arg.index]

        if self.op == "neg":
            return f"-{within(self.args[0], 2)}"
        if self.op in _INFIX:
            sign, rank = _INFIX[self.op]
            left, right = self.args
            return within(left, rank) + sign + within(right, rank + (self.op in ("sub", "div", "mod", "pow")))
        return f"{self.op}({', '.join(texts[arg.index] for arg in self.args)})"

    def _binary(self, op: str, other: Any, swap: bool = False) -> Node:
        lifted = self.tape.lift(other)
        divisor = self if swap else lifted
        if op == "div" and divisor.op == "const" and divisor.value == 0:
            raise InputError("a rule may not divide by the number 0")
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

    def __mod__(self, other: Any) -> Any:
        period = self.tape.lift(other)
        if not divides(period, self):
            raise InputError(
                f"a rule takes the remainder of the step by a whole number above 0, not {self!r} % {other!r}"
            )
        return self._binary("mod", period)

    def __floordiv__(self, other: Any) -> Any:
        return (self - self % other) / other

    def _in_place(self, other: Any) -> Any:
        raise InputError("a rule may not change a value in place, others may share it: write m = m + g, not m += g")

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = _in_place

    def __neg__(self) -> Node:
        return self.tape.node("neg", self)

    def __abs__(self) -> Node:
        return self.tape.node("abs", self)

    def traced_call(self, name: str, *values: Any) -> Node:
        """Apply one of the elementary functions to values of which this node is one."""
        if isinstance(values[0], Condition):
            return values[0].traced_call(name, *values)
        args = tuple(map(self.tape.lift, values))
        if name == "total" and args[0].kind != "vector":
            raise InputError(f"total() adds up a vector over its coordinates, and {args[0]!r} is one number")
        if name == "orthogonalize":
            self._checked_shape(*args)
        if name == "first" and args[0].op != "step":
            raise InputError("first() takes the step t itself")
        if name == "where" and args[0].op != "first":
            raise InputError(f"the condition of where() must be about the step, as first(t) or t < 10, not {args[0]!r}")
        return self.tape.node(name, *args, kind="total" if name == "total" else None)

    def _checked_shape(self, vector: Node, rows: Node, steps: Node) -> None:
        for number, least in ((rows, 1), (steps, 0)):
            if number.op != "const" or not whole(number) or number.value < least:
                raise InputError(
                    f"orthogonalize() takes whole numbers of rows and steps, as switches are, not {number!r}"
                )
        if vector.kind != "vector":
            raise InputError(f"orthogonalize() takes a vector, and {vector!r} is one number")

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, "<", lambda apart: minimum(1, maximum(0, apart)))

    def __le__(self, other: Any) -> Any:
        return self._compared(other, "<=", lambda apart: minimum(1, maximum(0, apart + 1)))

    def __eq__(self, other: Any) -> Any:
        return (self != other).opposite()

    def __gt__(self, other: Any) -> Any:
        return (self <= other).opposite()

    def __ge__(self, other: Any) -> Any:
        return (self < other).opposite()

    def __ne__(self, other: Any) -> Any:
        two = self.tape.lift(other)
        if self.op == "mod" and two.op == "const" and 0 < two.value < self.args[1].value:
            ahead, period = self.args  # t % 5 is 4 where (t + 1) % 5 is 0
            return (ahead + (period.value - two.value)) % period != 0
        remainder = self.op == "mod" and two.op == "const" and two.value == 0
        return self._compared(two, "!=", lambda apart: minimum(1, self if remainder else abs(apart)))

    def _compared(self, other: Any, sign: str, holds: Callable[[Node], Node]) -> Condition:
        """Condition on whole numbers: `holds` of the second less the first is 1 where it is true, else 0."""
        two = self.tape.lift(other)
        for side in (self, two):
            if not whole(side):
                raise InputError(
                    f"a rule may not compare {side!r}, but the step with whole numbers, as where(t < 10, a, b): "
                    + (
                        f"declare {side!r} as a switch"
                        if side.op == "hyperparameter"
                        else "minimum, maximum and sign choose by other values"
                    )
                )
        text = f"{self!r} {sign} {two!r}"
        if text in ("t == 0", "t < 1", "t <= 0"):
            return Condition(self.tape.node("first", self), True)
        known = holds(two - self)
        return Condition(self.tape.node(known.op, *known.args, value=text), True)

    def _refuse(self, *_: Any) -> Any:
        raise InputError(
            "a rule may not branch on a traced value: use where(first(t), a, b), where(t < 10, a, b), "
            "minimum or maximum instead of if"
        )

    def _no_number(self) -> Any:
        raise InputError(
            "a value of a rule is no number yet, as functions of math want: from accelsim import sqrt, exp, log, cos"
        )

    def _no_sequence(self) -> Any:
        raise InputError("a value of a rule is a vector as a whole: total(x) adds up its coordinates, mean(x) averages")

    __bool__ = _refuse
    __int__ = __float__ = __index__ = _no_number
    __iter__ = __len__ = _no_sequence
    __hash__ = object.__hash__


@dataclass(frozen=True, eq=False)
class Condition:
    """Condition on the step, which `where` chooses by.

    Attributes
    ----------
    node : ``first(t)``, or a node that is 1 at some steps and 0 at the others.
    holds : whether the condition holds where the node is 1.
    """

    node: Node
    holds: bool

    def opposite(self) -> Condition:
        """The condition that holds where this one does not."""
        return Condition(self.node, not self.holds)

    def traced_call(self, name: str, *values: Any) -> Node:
        """Apply `where` to this condition and two values."""
        if name != "where" or values[0] is not self:
            raise InputError(f"{name}() takes numbers, not a condition: where(condition, a, b) chooses by it")
        yes, no = map(self.node.tape.lift, values[1:] if self.holds else values[:0:-1])
        if self.node.op == "first":
            return self.node.traced_call("where", self.node, yes, no)
        if any(node.op == "const" and node.value == 0 for node in (yes, no)):
            return (1 - self.node) * no if yes.op == "const" and yes.value == 0 else self.node * yes
        return self.node * yes + (1 - self.node) * no

    def _refuse(self, *_: Any) -> Any:
        raise InputError("a rule may not branch on a condition: write where(t < 10, a, b) instead of if, and, or, not")

    def _no_number(self, *_: Any) -> Any:
        raise InputError("a condition is no number: where(condition, 1, 0) makes one of it")

    __bool__ = __and__ = __or__ = __xor__ = __rand__ = __ror__ = __rxor__ = __invert__ = __eq__ = __ne__ = _refuse
    __add__ = __sub__ = __mul__ = __truediv__ = __pow__ = __mod__ = __neg__ = __abs__ = _no_number
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __lt__ = __le__ = __gt__ = __ge__ = _no_number
    __hash__ = object.__hash__


def whole(node: Node) -> bool:
    """Proof that a node is a whole number at every step: made of steps and whole numbers alone."""

    def kept(n: Node) -> bool:
        if n.op == "name":  # in a text
            return bool(n.value == "t")
        if n.op == "pow":
            return n.args[1].op == "const" and n.args[1].value >= 0
        return n.op in _WHOLE or (n.op == "const" and n.value == int(n.value))

    return all(map(kept, reachable([node])))


def divides(period: Node, node: Node) -> bool:
    """Whether a remainder is taken as it is everywhere: of a whole number, by one above 0."""
    return whole(node) and period.op == "const" and whole(period) and period.value > 0


@dataclass(frozen=True)
class Program:
    """A traced rule.

    Attributes
    ----------
    nodes : every node, arguments before their users.
    queries : one entry a `yield`: the nodes of the points at which that yield asks for gradients.
    updates : the node of each state's next value.
    reads : names of the hyperparameters that the rule reads.
    uniform : the uniform states.
    """

    nodes: tuple[Node, ...]
    queries: tuple[tuple[Node, ...], ...]
    updates: Mapping[str, Node]
    reads: tuple[str, ...]
    uniform: tuple[str, ...] = ()

    @property
    def gradients(self) -> int:
        """Number of gradients taken in a step."""
        return sum(map(len, self.queries))

    def lines(self) -> list[str]:
        """The program as text: of equal programs the same."""
        lines = [f"{n.index} {n.op} {n.value!r} {[a.index for a in n.args]}" for n in self.nodes]
        lines += [f"query {[point.index for point in stage]}" for stage in self.queries]
        return lines + [f"{state} {node.index}" for state, node in self.updates.items()]

    def following(
        self,
        t: Any,
        h: Mapping[str, Any],
        number: Callable[[Any], Any] = lambda value: value,
        apply: Callable[[Node, list[Any]], Any] | None = None,
    ) -> dict[str, Any]:
        """The uniform states after a step, from those before it and the hyperparameters, both in `h`."""

        def leaf(node: Node) -> Any:
            if node.op in ("state", "hyperparameter"):
                return h[node.value]
            return t if node.op == "step" else number(node.value)

        known: dict[int, Any] = {}
        return {name: evaluate(self.updates[name], leaf, apply or operate, known) for name in self.uniform}


class Reader:
    """Stands for `h` in a trace: a switch is its number, everything else a node."""

    def __init__(self, tape: Tape, switches: Mapping[str, Any]) -> None:
        self._tape, self._switches, self._names = tape, switches, dict[str, None]()

    def __getattr__(self, name: str) -> Any:
        self._names[name] = None
        if name in self._switches:
            return self._switches[name]
        return self._tape.node("hyperparameter", value=name, kind="uniform")


def names_read(reader: Reader) -> tuple[str, ...]:
    """The names that a reader was asked for."""
    return tuple(reader._names)


Rule = Callable[[Any, Any, Any], Generator[Any, Any, Any]]


def trace(
    name: str, rule: Rule, states: tuple[str, ...], switches: Mapping[str, Any], memories: Iterable[str] = ()
) -> Program:
    """Run a rule on nodes, once more to see that it does the same, and again where `memories` are uniform states.

    Raises
    ------
    InputError
        If the rule branches on a traced value, asks for no gradient, returns other names than its states,
        raises anything of its own, or does something else the second time.
    """
    traced, again = (_traced(name, rule, states, switches, frozenset()) for _ in range(2))
    if traced.lines() != again.lines():
        raise InputError(f"rule {name!r} is not a function of s, t and h alone: run again, it computes something else")
    uniform = _uniform(traced, memories)
    return _traced(name, rule, states, switches, uniform) if uniform else traced


def _traced(
    name: str, rule: Rule, states: tuple[str, ...], switches: Mapping[str, Any], uniform: Collection[str]
) -> Program:
    tape = Tape()
    reader = Reader(tape, switches)
    kinds = {s: "uniform" if s in uniform else "vector" for s in states}
    state = SimpleNamespace(**{s: tape.node("state", value=s, kind=kind) for s, kind in kinds.items()})
    queries: list[tuple[Node, ...]] = []
    try:
        with UserCode(f"rule {name!r}", passing=(StopIteration,)):
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
    if not queries:
        raise InputError(f"rule {name!r} never asks for a gradient: it must `yield` the point it is taken at")
    if not isinstance(returned, dict) or set(returned) != set(states):
        got = ", ".join(map(str, returned)) if isinstance(returned, dict) else repr(returned)
        raise InputError(f"rule {name!r} must return dict({', '.join(f'{s}=...' for s in states)}), not {got}")
    with UserCode(f"rule {name!r}"):
        updates = {s: tape.lift(returned[s]) for s in states}
    ordered = tuple(s for s in states if s in uniform)
    return Program(tuple(tape.nodes), tuple(queries), updates, names_read(reader), ordered)


def _uniform(traced: Program, memories: Iterable[str]) -> frozenset[str]:
    """The uniform states among some memories: the largest set that is closed, less what vectors are added to."""
    found = set(memories)
    while found:
        depends = _uniform_nodes(traced, found)
        open_ = {s for s in found if traced.updates[s].index not in depends}
        ends = [point for stage in traced.queries for point in stage]
        ends += [node for state, node in traced.updates.items() if state not in found]
        added = [node for node in ends if node.index in depends]
        for node in traced.nodes:
            if node.op in ("add", "sub", "where") and node.index not in depends:
                added += [arg for arg in node.args if arg.index in depends]
        lost = open_ or set().union(*(depends[node.index] for node in added))
        if not lost:
            break
        found -= lost
    return frozenset(found)


def _uniform_nodes(traced: Program, states: Collection[str]) -> dict[int, set[str]]:
    """By index of each node that is uniform where some states are, those states that it depends on."""
    found: dict[int, set[str]] = {}
    for node in traced.nodes:
        if node.args:
            if node.op != "total" and all(arg.index in found for arg in node.args):
                found[node.index] = set().union(*(found[arg.index] for arg in node.args))
        elif node.kind == "uniform":
            found[node.index] = set()
        elif node.op == "state" and node.value in states:
            found[node.index] = {node.value}
    return found


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
    """A number as the fraction it was written as: 0.7 is 7/10, and 2/3 once rounded by Python is 2/3.

    >>> exact(0.7), exact(2 / 3)
    (Fraction(7, 10), Fraction(2, 3))
    """
    if isinstance(value, Rational):
        return Fraction(value)
    return rounded(value) or Fraction(repr(float(value)))


def rounded(value: float) -> Fraction | None:
    """The fraction with a small denominator that a float with many digits is up to rounding, None where it is none.

    A number so near to a whole one is not taken for it: it may be there to be below a range's end.

    >>> rounded(2 / 3), rounded(0.7), rounded(0.1 + 0.2)
    (Fraction(2, 3), None, Fraction(3, 10))
    """
    text = repr(float(value))
    if len(text) < SHORT:
        return None
    near = _convergent(float(value))
    if near is None or near.denominator == 1:
        return None
    written = Fraction(text)
    return near if 0 < abs(near - written) <= ROUNDING * abs(written) else None


def _convergent(value: float) -> Fraction | None:
    """The first convergent of a float's continued fraction that is nearly it, None where none of them is.

    In floats, as `Fraction.limit_denominator` takes longer than all else that is done with a number; a fraction so near
    is a convergent (Legendre) unless the number is so large that some fraction always is.
    """
    rest, (above, before), (below, last) = abs(value), (1, 0), (0, 1)
    while math.isfinite(rest):
        whole = int(rest)
        (above, before), (below, last) = (whole * above + before, above), (whole * below + last, below)
        if below > LARGEST_DENOMINATOR:
            return None
        if abs(above - abs(value) * below) <= 4 * ROUNDING * above:
            return Fraction(above if value > 0 else -above, below)
        rest = 1 / (rest - whole) if rest > whole else math.inf
    return None


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
    apply: Callable[[Node, list[Any]], Any] = operate,
) -> dict[str, Any]:
    """One step of a traced rule; what `rule.step` does with the rule itself.

    `number` converts the literals of the rule (`exact` for rational runs), `apply` is how operations are applied.
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
        taken.extend(gradients(tuple(evaluate(point, leaf, apply, known) for point in points)))
    return {name: evaluate(node, leaf, apply, known) for name, node in program.updates.items()}
