"""The few functions a rule or a schedule may call, dispatched on what they are given.

A traced node answers with a new node, a Python number with a Python number (a `Fraction` stays exact), an
array with an array of its own kind (NumPy or CuPy). Python numbers must stay Python numbers: a NumPy scalar
would silently promote a float32 array.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from accelsim.errors import InputError

pi = math.pi


def _module(*values: Any) -> Any:
    """The array module of the first array among the values, None where all are plain numbers."""
    for value in values:
        if hasattr(value, "__array_namespace__"):
            return value.__array_namespace__()
    return None


def traced(name: str, *values: Any) -> Any:
    """The node of this call if a value is one, else None."""
    for value in values:
        if hasattr(value, "traced_call"):
            return value.traced_call(name, *values)
    return None


def _apply(name: str, plain: Any, *values: Any) -> Any:
    node = traced(name, *values)
    if node is not None:
        return node
    module = _module(*values)
    return plain(*values) if module is None else getattr(module, name)(*values)


def _plain_sqrt(x: Any) -> Any:
    if not isinstance(x, Fraction):
        return math.sqrt(x)
    root = Fraction(math.isqrt(x.numerator), math.isqrt(x.denominator)) if x >= 0 else None
    if root is None or root * root != x:
        raise InputError(f"the square root of {x} is not rational: this rule cannot be run in exact arithmetic")
    return root


def sqrt(x: Any) -> Any:
    """Square root; exact on a `Fraction`, an error where it is irrational."""
    return _apply("sqrt", _plain_sqrt, x)


def exp(x: Any) -> Any:
    """Exponential function."""
    return _apply("exp", math.exp, x)


def log(x: Any) -> Any:
    """Natural logarithm."""
    return _apply("log", math.log, x)


def cos(x: Any) -> Any:
    """Cosine, argument in radians."""
    return _apply("cos", math.cos, x)


def sign(x: Any) -> Any:
    """-1, 0 or 1 by coordinate."""
    return _apply("sign", lambda value: int(value > 0) - int(value < 0), x)


def _exactly(choose: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A choice of two numbers that is a `Fraction` where one of them is: dividing by a plain 1 would give a float."""
    return lambda a, b: Fraction(choose(a, b)) if Fraction in (type(a), type(b)) else choose(a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two, by coordinate."""
    return _apply("minimum", _exactly(min), a, b)


def maximum(a: Any, b: Any) -> Any:
    """The larger of two, by coordinate."""
    return _apply("maximum", _exactly(max), a, b)


def first(t: Any) -> Any:
    """True at the first step, t = 0."""
    node = traced("first", t)
    return t == 0 if node is None else node


def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where a condition on the step holds, as ``first(t)``, ``t < 10`` or ``t % 5 == 4``, else `b`.

    Both are computed at every step: neither may divide by zero where it is not chosen.
    """
    if isinstance(condition, bool):
        return a if condition else b
    node = traced("where", condition, a, b)
    if node is not None:
        return node
    return a if condition else b


def total(x: Any) -> Any:
    """Sum over coordinates, one number a replica (as in norm clipping)."""
    node = traced("total", x)
    if node is not None:
        return node
    module = _module(x)
    return x if module is None else module.sum(x, axis=-1, keepdims=True)


NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of x, x x^T x, (x x^T)^2 x, as Muon has them


def orthogonalize(x: Any, rows: int, steps: int = 0) -> Any:
    """The nearest matrix with orthonormal rows or columns to a vector read as a matrix of so many rows, as a vector.

    It is U V^T for the singular value decomposition U S V^T, with 0 for singular values of 0: the matrix sign. Of one
    coordinate, or of a matrix of which one entry alone is not 0, it is the sign. With `steps` it is what so many
    Newton-Schulz steps make of the matrix divided by its Frobenius norm, whose singular values are then near 1.

    Raises
    ------
    InputError
        Where the number of coordinates is no multiple of `rows`.
    """
    node = traced("orthogonalize", x, rows, steps)
    if node is not None:
        return node
    module = _module(x)
    return _of_one(x, int(steps)) if module is None or not x.shape else _of_matrix(module, x, int(rows), int(steps))


def _of_one(x: Any, steps: int) -> Any:
    size: Any = Fraction(1)
    for _ in range(steps):
        size = sum(Fraction(repr(c)) * size**power for c, power in zip(NEWTON_SCHULZ, (1, 3, 5), strict=True))
    return sign(x) * (size if isinstance(x, Fraction | int) else float(size))


def _of_matrix(module: Any, x: Any, rows: int, steps: int) -> Any:
    if x.shape[-1] % rows:
        raise InputError(f"{x.shape[-1]} coordinates are no matrix of {rows} rows: set rows=... to a divisor")
    matrices = module.reshape(x, (*x.shape[:-1], rows, -1))
    largest = module.max(abs(matrices), axis=(-2, -1), keepdims=True)
    finite = module.isfinite(largest)  # else a run that has diverged
    y = module.where(finite, matrices, 0) / module.where(finite & (largest > 0), largest, 1)  # whose squares are floats
    sizes = module.sqrt(module.sum(y * y, axis=(-2, -1), keepdims=True))
    y = y / module.where(sizes > 0, sizes, 1)
    if steps:
        wide = y if rows <= y.shape[-1] else module.moveaxis(y, -1, -2)
        a, b, c = NEWTON_SCHULZ
        for _ in range(steps):
            square = wide @ module.moveaxis(wide, -1, -2)
            wide = a * wide + (b * square + c * square @ square) @ wide
        y = wide if rows <= y.shape[-1] else module.moveaxis(wide, -1, -2)
    else:
        left, values, right = module.linalg.svd(y, full_matrices=False)
        rounding = max(y.shape[-2:]) * module.finfo(y.dtype).eps
        kept = (values > rounding * values[..., :1])[..., None, :]
        y = module.where(kept, left, 0) @ right
    return module.reshape(module.where(finite, y, module.nan), x.shape)


def mean(x: Any) -> Any:
    """Average over coordinates, one number a replica."""
    return total(x) / total(x**0)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (sqrt, exp, log, cos, sign, minimum, maximum, first, where, total, orthogonalize)
}
OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "mod": operator.mod,
    "neg": operator.neg,
    "abs": operator.abs,
}
