"""The arithmetic of a kernel as text: what Numba's Python and CUDA's C++ write alike, and where they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from accelsim.errors import InputError
from accelsim.program import Node

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_LITERALS = (0, 1, 2)  # numbers that are written out; the others come with the step's, and one kernel serves them all
_CALLS = ("sqrt", "exp", "log", "cos", "sign", "minimum", "maximum", "inverse", "beyond", "abs")


def compiles(node: Node) -> bool:
    """Whether kernels know an operation of a rule."""
    return node.op != "orthogonalize"


def literal(node: Node) -> bool:
    """Whether a constant is written into the source."""
    return node.op == "const" and abs(node.value) in _LITERALS


@dataclass(frozen=True)
class Dialect:
    """Operations that a language does not write infix.

    Attributes
    ----------
    choice : of a condition and two values.
    power : of two values.
    """

    choice: str
    power: str


NUMBA = Dialect(choice="({1} if {0} != 0 else {2})", power="{0} ** {1}")
CUDA = Dialect(choice="({0} != 0 ? {1} : {2})", power="pow({0}, {1})")


def written(node: Node, leaf: Callable[[Node], str], dialect: Dialect) -> str:
    """One operation on what its arguments are called.

    Parameters
    ----------
    leaf : the name of an argument.
    """
    args = [f"real({float(a.value)})" if literal(a) else leaf(a) for a in node.args]
    if node.op in _INFIX:
        return f"{args[0]} {_INFIX[node.op]} {args[1]}"
    if node.op == "neg":
        return f"-{args[0]}"
    if node.op == "where":
        return dialect.choice.format(*args)
    if node.op == "pow":
        return _power(node, args, dialect)
    if node.op in _CALLS:
        return f"{'absolute' if node.op == 'abs' else node.op}({', '.join(args)})"
    raise InputError(f"no kernel knows {node.op}(): the rule runs on arrays, --backend numpy or cupy")


def _power(node: Node, args: list[str], dialect: Dialect) -> str:
    """The powers that arrays take a short way for, as they do."""
    short: Mapping[float, str] = {2: "{0} * {0}", 0.5: "sqrt({0})", -1: "real(1.0) / {0}", 1: "{0}", 0: "real(1.0)"}
    exponent = node.args[1]
    if exponent.op == "const" and float(exponent.value) in short:
        return short[float(exponent.value)].format(args[0])
    return dialect.power.format(*args)


def horner(coefficients: tuple[float, ...], number: str) -> str:
    """A polynomial in z by Horner's rule, highest power first, in the order of `normals`."""
    text = f"z * {number}({coefficients[0]!r})"
    for c in coefficients[1:-1]:
        text = f"({text} + {number}({c!r})) * z"
    return f"{text} + {number}({coefficients[-1]!r})"


def indented(lines: Iterable[str], depth: int) -> Iterator[str]:
    """Lines further in by so many levels."""
    for line in lines:
        yield "    " * depth + line
