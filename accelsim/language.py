"""The one language of written expressions: text to a program of nodes, evaluated in any arithmetic.

A text is made of numbers, names, ``+ - * / % **``, brackets and calls: of the functions below, or of functions of t
that whoever evaluates it knows. Numbers are the fractions that they are written as, with all their digits. What is read
may come from anybody: it is never run as Python, and there are limits to how long, deep and large it is.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache, partial, reduce
from numbers import Rational
from typing import Any

from accelsim import elementary
from accelsim.elementary import cos, minimum, pi
from accelsim.errors import InputError, unknown
from accelsim.program import Node, Tape, divides, evaluate, exact, operate, reachable

LONGEST = 300_000  # characters of a text
DEEPEST = 60  # brackets and powers within one another
DIGITS = 4300  # of a number: Python itself reads and writes no more
DECIMALS = 400  # in the exponent of a number, beyond which there are no floats
DEGREE = 10_000  # of an expression in its names
BITS = 200_000  # of a power of numbers


def warmup(t: Any, steps: int) -> Any:
    """Linear warm-up factor, 1/steps at t = 0 and 1 from t = steps - 1 on; no warm-up where steps is 0."""
    return minimum(1, (t + 1) / steps) if steps else 1


def cosine(t: Any, steps: int) -> Any:
    """Cosine decay factor from 1 at t = 0 to 0 at t = steps and after."""
    return (1 + cos(pi * minimum(1, t / steps))) / 2


def linear(t: Any, steps: int) -> Any:
    """Linear decay factor from 1 at t = 0 to 0 at t = steps and after."""
    return 1 - minimum(1, t / steps)


SCHEDULES: dict[str, Callable[[Any, Any], Any]] = {f.__name__: f for f in (warmup, cosine, linear)}
# Elementary functions by all their names; capitals are SymPy's.
FUNCTIONS: dict[str, str] = {
    **{name: name for name in elementary.FUNCTIONS if name not in ("total", "orthogonalize")},
    **{"abs": "abs", "min": "minimum", "max": "maximum", "Abs": "abs", "Min": "minimum", "Max": "maximum"},
}
VOCABULARY = frozenset({*FUNCTIONS, *SCHEDULES, "pi"})
_SEVERAL = ("minimum", "maximum")  # arguments, two or more

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*(?:\[(?:-?\d+|[^\W\d]\w*)\])*)"
    r"|(?P<sign>\*\*|[-+*/%(),])|(?P<end>$))"
)
_SUMS, _PRODUCTS = {"+": "add", "-": "sub"}, {"*": "mul", "/": "div", "%": "mod"}


class _Reader:
    """A text, token by token: recursive descent with Python's precedence."""

    def __init__(self, text: str) -> None:
        self.text, self.tape, self.place, self.depth = text, Tape(), 0, 0
        self._next()

    def whole(self) -> Node:
        node = self._sum()
        if self.kind != "end":
            raise self._refused()
        if max(_degrees(node).values()) > DEGREE:
            raise self._refused(f"its degree is more than {DEGREE}")
        return node

    def _refused(self, why: str = "use + - * / % **, numbers, names and functions, as in 0.1 or 1/(t+1)") -> InputError:
        return InputError(f"cannot read {shown(self.text)!r} as an expression: {why}")

    def _next(self) -> None:
        found = _TOKEN.match(self.text, self.place)
        if found is None:
            raise self._refused()
        self.place, self.kind = found.end(), found.lastgroup
        self.token = found[str(self.kind)]

    def _take(self) -> str:
        token = self.token
        self._next()
        return token

    def _expect(self, sign: str) -> None:
        if self.token != sign:
            raise self._refused()
        self._next()

    def _node(self, op: str, *args: Node, value: Any = None) -> Node:
        return self.tape.node(op, *args, value=value, kind="uniform")

    def _deeper(self, part: Callable[[], Node]) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._refused(f"more than {DEEPEST} brackets stand within one another")
        node = part()
        self.depth -= 1
        return node

    def _chain(self, part: Callable[[], Node], signs: Mapping[str, str]) -> Node:
        node = part()
        while self.token in signs:
            op, other = signs[self._take()], part()
            if op == "mod" and not divides(other, node):
                raise self._refused("a remainder is one of the step by a whole number above 0, as t % 10")
            node = self._node(op, node, other)
        return node

    def _sum(self) -> Node:
        return self._chain(self._product, _SUMS)

    def _product(self) -> Node:
        return self._chain(self._signed, _PRODUCTS)

    def _signed(self) -> Node:
        minus = False
        while self.token in _SUMS:
            minus ^= self._take() == "-"
        base = self._atom()
        if self.token == "**":
            self._next()
            base = self._node("pow", base, self._deeper(self._signed))
        return self._node("neg", base) if minus else base

    def _atom(self) -> Node:
        if self.kind == "number":
            return self._node("const", value=self._number(self._take()))
        if self.kind == "name":
            name = self._take()
            if self.token == "(":
                return self._call(name)
            return self._node("const", value=pi) if name == "pi" else self._node("name", value=name)
        self._expect("(")
        node = self._deeper(self._sum)
        self._expect(")")
        return node

    def _number(self, text: str) -> int | Fraction:
        digits, _, power = text.lower().partition("e")
        if len(digits) > DIGITS or len(power) > len(str(DECIMALS)) + 1 or abs(int(power or 0)) > DECIMALS:
            raise InputError(f"{shown(text)!r} is no number with at most {DIGITS} digits and {DECIMALS} decimals")
        value = Fraction(text)
        return int(value) if value.denominator == 1 else value

    def _call(self, name: str) -> Node:
        args: list[Node] = []
        while not args or self.token == ",":
            self._next()
            args.append(self._deeper(self._sum))
        self._expect(")")
        op = FUNCTIONS.get(name)
        if name not in SCHEDULES and op is None:
            return self._node("call", *args, value=name)
        wanted = {"where": 3}.get(name, 2 if name in SCHEDULES or op in _SEVERAL else 1)
        if len(args) != wanted and not (op in _SEVERAL and len(args) > 2):
            raise self._refused(f"{name}() does not take {len(args)} argument{'s' * (len(args) != 1)}")
        if op is None:
            return self.tape.lift(SCHEDULES[name](args[0], self._steps(name, args[1])))
        if op == "where" and args[0].op != "first":
            raise self._refused("the condition of where() must be first(t)")
        return reduce(partial(self._node, op), args) if op in _SEVERAL else self._node(op, *args)

    def _steps(self, name: str, length: Node) -> Any:
        """The length of a schedule, which it may branch on."""
        if any(node.op in ("name", "call") for node in reachable([length])):
            raise self._refused(f"the steps of {name}() must be a number")
        try:
            steps = exact(evaluate(length, lambda leaf: exact(leaf.value), operate, {}))
        except (ArithmeticError, TypeError, ValueError):
            raise self._refused(f"the steps of {name}() must be a number") from None
        return int(steps) if steps.denominator == 1 else steps


def _degrees(root: Node) -> dict[int, int]:
    """Bounds on the degree in names of each node below a root."""
    found: dict[int, int] = {}
    for node in reachable([root]):
        below = [found[arg.index] for arg in node.args]
        if node.op in ("mul", "div"):
            found[node.index] = sum(below)
        elif node.op == "pow":
            power = node.args[1].args[0] if node.args[1].op == "neg" else node.args[1]
            times = max(1, int(power.value)) if power.op == "const" else 1
            found[node.index] = below[0] * times + below[1]
        else:
            found[node.index] = max(below, default=int(node.op == "name"))
    return found


def shown(text: str) -> str:
    """The beginning of a text, which may be long."""
    return text if len(text) <= 60 else f"{text[:60]}..."


@lru_cache(maxsize=4096)
def read(text: str) -> Node:
    """A text as the last node of a program of its own, with leaves `const` and `name`.

    A call of a function that is not known is a node `call`.

    Raises
    ------
    InputError
        Where it is no expression, or beyond the limits.
    """
    if len(text) > LONGEST:
        raise InputError(f"cannot read {shown(text)!r}: it has more than {LONGEST} characters")
    return _Reader(unicodedata.normalize("NFKC", text.strip())).whole()


def names(text: str) -> set[str]:
    """Names in a text, those of functions left out."""
    return {node.value for node in reachable([read(text)]) if node.op == "name"}


def called(text: str) -> set[str]:
    """Names of functions in a text that are not in the vocabulary."""
    return {node.value for node in reachable([read(text)]) if node.op == "call"}


Apply = Callable[[Node, list[Any]], Any]


def evaluated(text: str, known: Mapping[str, Any], number: Callable[[Any], Any] = exact, apply: Apply = operate) -> Any:
    """A written expression in any arithmetic.

    Parameters
    ----------
    text : such as ``"lr(t)*(beta(t) - beta(t+1)*(1 - c(t)))"``.
    known : values of the names in it, which may be subscripted, as ``"lr[3]"``, and functions of t that are called.
    number : converts the numbers in it, by default to fractions.
    apply : applies operators and elementary functions to values, by default as Python does.

    Raises
    ------
    InputError
        For a name that is not known, or what is no arithmetic.
    ZeroDivisionError
        Where it divides by zero, in arithmetic that raises it.

    Examples
    --------
    >>> evaluated("(1 - 0.9)*lr(t+1)", {"t": 2, "lr": lambda t: t})
    Fraction(3, 10)
    """
    return _Evaluation(text, known, number, apply)(read(text))


def operands(
    text: str,
    known: Mapping[str, Any],
    number: Callable[[Any], Any],
    apply: Apply,
    chosen: Callable[[Node, Callable[[Node], Any]], tuple[Node, ...]],
) -> Iterator[Any]:
    """Some operands in a written expression, before any simplification; other arguments as those of `evaluated`.

    An operand that is in one branch of ``where`` alone is 1 in the other.

    Parameters
    ----------
    chosen : function from a node, and the one that evaluates nodes, to the operands that are wanted.
    """
    value = _Evaluation(text, known, number, apply)
    pending: list[tuple[Node, tuple[tuple[Node, int], ...]]] = [(read(text), ())]  # nodes, and the branches around them
    while pending:
        node, around = pending.pop()
        if node.op == "where":
            pending += [(node.args[branch], (*around, (node, branch))) for branch in (2, 1)]
            continue
        for each in chosen(node, value):
            operand = value(each)
            for choice, branch in reversed(around):
                branches = [operand if branch == i else number(1) for i in (1, 2)]
                operand = apply(choice, [value(choice.args[0]), *branches])
            yield operand
        pending += [(part, around) for part in reversed(node.args)]


def inexact(node: Node, values: list[Any]) -> Any:
    """Apply an operation as `program.operate` does, in floats where a root is irrational."""
    try:
        return operate(node, values)
    except InputError:
        return math.sqrt(*values)


class _Evaluation:
    """The values of nodes of a text."""

    def __init__(self, text: str, names: Mapping[str, Any], number: Callable[[Any], Any], apply: Apply) -> None:
        self.text, self.names, self.number, self.operation = text, names, number, apply
        self.known: dict[int, Any] = {}

    def __call__(self, node: Node) -> Any:
        try:
            return evaluate(node, self._leaf, self._applied, self.known)
        except (TypeError, AttributeError) as error:  # what is called is a number, or a function is added to one
            raise InputError(f"cannot read {shown(self.text)!r}: {error}") from None

    def _leaf(self, node: Node) -> Any:
        return self.number(node.value) if node.op == "const" else self._named(node.value)

    def _named(self, name: str) -> Any:
        if name not in self.names:
            raise unknown("name in an expression", name, {*self.names, *VOCABULARY})
        return self.names[name]

    def _applied(self, node: Node, values: list[Any]) -> Any:
        if node.op == "call":
            return self._named(node.value)(*values)
        if node.op == "pow":
            self._limited(*values)
        if node.op == "mod" and self.number is float:
            return _remainder(node, self.names["t"])
        return self.operation(node, values)

    def _limited(self, base: Any, power: Any) -> None:
        """Raise `InputError` for a power that is too large to be written down."""
        if not isinstance(power, Rational):
            return
        if isinstance(base, Rational):
            bits = max(abs(int(base.numerator)), int(base.denominator)).bit_length() * (abs(base) != 1)
        else:
            bits = BITS // DEGREE * (not isinstance(base, Node | float))
        if bits * abs(Fraction(power)) > BITS:
            raise InputError(f"cannot read {shown(self.text)!r}: a power in it is too large")


def function(text: str) -> Callable[[Any], Any]:
    """A text as a function of t, in floats; of a node of a program, a node.

    Raises
    ------
    InputError
        For another name than t, or a number that is no float.
    """
    root = read(text)
    for name in (names(text) - {"t"}) | called(text):
        if name in ("nan", "inf"):
            raise InputError(f"{shown(text)!r} is not a finite number")
        raise unknown("name in an expression", name, {"t", *VOCABULARY})
    for node in reachable([root]):
        if node.op == "first" and node.args[0].value != "t":
            raise InputError(f"cannot read {shown(text)!r}: first() takes the step t itself")
    compiled = _in_floats(text, root)

    def value(t: Any) -> Any:
        if isinstance(t, Node):
            return evaluated(text, {"t": t}, t.tape.lift)
        return compiled(t) if compiled else evaluated(text, {"t": t}, float)

    return value


def _remainder(node: Node, t: Any) -> float:
    """A remainder at a step, in whole numbers: of large ones floats have not the last digit."""
    step = int(t) if t == int(t) else t
    return float(evaluate(node, lambda leaf: step if leaf.op == "name" else int(leaf.value), operate, {}))


def _in_floats(text: str, root: Node) -> Callable[[Any], Any] | None:
    """Python code of a program in t, a line a node, in which no line is left out: None where branches are chosen."""
    own: dict[str, Any] = {"__builtins__": {}, **elementary.OPERATORS, **elementary.FUNCTIONS}
    lines: dict[int, str] = {}
    for node in reachable([root]):
        args = [f"x{arg.index}" for arg in node.args]
        if node.op == "where":
            return None
        if node.op == "mod":
            own[f"remainder{node.index}"] = partial(_remainder, node)
            lines[node.index] = f"remainder{node.index}(t)"
        elif node.op == "const":
            try:
                lines[node.index] = repr(float(node.value))
            except OverflowError:
                raise InputError(f"{shown(text)!r} is not a finite number") from None
        else:
            lines[node.index] = f"{node.op}({', '.join(args)})" if args else "t"
    body = "\n".join(f"    x{index} = {line}" for index, line in lines.items())
    exec(compile(f"def value(t):\n{body}\n    return x{root.index}", "<expression>", "exec"), own)
    return own["value"]
