"""Eigenvalues of the Hessian and initial errors, from the words a user gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np

from accelsim import files, limits
from accelsim.errors import InputError, unknown

DIM = 12  # where neither a dimension nor an array is given
_COPIES = 10  # of the coordinates: the arrays that a problem and its moments are made of, at least

Array = np.ndarray[Any, np.dtype[np.float64]]


def load(path: str, what: str) -> Array:
    """The numbers of a ``.npy`` file, finite, as float64.

    Raises
    ------
    InputError
        If there is no such file, or if it holds anything but finite numbers.
    """
    try:
        values = np.load(files.regular(path), allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile, SyntaxError, TokenError):  # its header is read as Python
        raise InputError(f"cannot read {what} from {path}: it must be a .npy file of numbers") from None
    return numbers(values, f"{what} in {path}")


def numbers(values: Any, what: str) -> Array:
    """An array of finite float64 numbers, at least one.

    Raises
    ------
    InputError
        If it is something else.
    """
    try:
        array = np.asarray(values)
        numeric = array.dtype.kind in "biuf"
    except ValueError:
        numeric = False
    if not numeric:
        raise InputError(f"{what} must be an array of real numbers")
    if not array.size:
        raise InputError(f"{what} is empty: at least one number is needed")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"{what} holds NaN or infinite entries: every one must be finite")
    return array


def whole(value: Any, what: str) -> int:
    """A whole number of at least 1, else an `InputError`."""
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or value != value // 1 or value < 1:
        raise InputError(f"the {what} must be a whole number of at least 1, not {value}")
    if value > 2**53:
        raise InputError(f"the {what} must be at most 2^53, not {value}")
    return int(value)


def fits(count: float, what: str) -> None:
    """Raise `InputError` where that many floats are more than the memory that this process may have."""
    there = limits.memory()
    if 8 * count > there:
        sizes = f"{8 * count / 1e9:.3g} GB of the {there / 1e9:.3g} GB of memory here"
        raise InputError(f"{what}: they take {sizes}; take a smaller dimension")


def _number(text: str, word: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"{word}:{text} needs a finite number after the colon, such as {word}:1.5")
    return value


def _power(text: str, dim: int) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        return np.arange(1, dim + 1, dtype=np.float64) ** -_number(text, "power")


def _geometric(text: str, dim: int) -> Array:
    condition = _number(text, "geometric")
    if condition < 1:
        raise InputError(f"geometric:{text} needs a condition number of at least 1: eigenvalues run from 1 down to 1/K")
    return condition ** -np.linspace(0, 1, dim) if dim > 1 else np.ones(1)


def _ones(_: str, dim: int) -> Array:
    return np.ones(dim)


Words = Mapping[str, Callable[[str, int], Array]]

_SPECTRA: Words = {"power": _power, "geometric": _geometric}
_INITIAL: Words = {"ones": _ones, "power": _power}


def _read(given: Any, dim: int | None, what: str, words: Words, forms: str) -> Array:
    dim = None if dim is None else whole(dim, "dimension")
    fits(_COPIES * (dim or 0), f"problems of dimension {dim}")
    if not isinstance(given, str):
        values = numbers(given, what)
    elif given.startswith("file:"):
        values = load(given.removeprefix("file:"), what)
    else:
        word, colon, text = given.partition(":")
        if word not in words:
            raise InputError(f"{unknown(what, word, [*words, 'file'])}; possible: {forms}")
        if bool(colon) != (word != "ones"):
            raise InputError(f"cannot read {what} {given!r}; possible: {forms}")
        values = words[word](text, DIM if dim is None else dim)
    if values.ndim != 1 or (dim is not None and values.size != dim):
        raise InputError(f"{what} has shape {values.shape}: it must have one entry a dimension, shape ({dim or 'd'},)")
    return values


def spectrum(given: Any, dim: int | None = None) -> Array:
    """Eigenvalues of the Hessian.

    Parameters
    ----------
    given : ``power:a`` (i^-a), ``geometric:K`` (from 1 down to 1/K), ``file:lam.npy``, or an array (d,).
    dim : d; without it the size of the array, else 12.

    Returns
    -------
    (d,) positive eigenvalues, in the order given.

    Raises
    ------
    InputError
        If the words are unknown, the size is another, or an entry is not positive and finite.

    Examples
    --------
    >>> spectrum("geometric:100", 3)
    array([1.  , 0.1 , 0.01])
    """
    values = _read(given, dim, "spectrum", _SPECTRA, "power:1.5, geometric:1e3, file:lam.npy")
    if not (np.isfinite(values) & (values > 0)).all():
        raise InputError("every entry of the spectrum must be positive and finite")
    return values


def initial(given: Any, dim: int) -> Array:
    """Initial error w_0 - w* by coordinate.

    Parameters
    ----------
    given : ``ones``, ``power:a`` (i^-a), ``file:w0.npy``, or an array (d,).
    dim : d.

    Returns
    -------
    (d,) finite numbers.

    Raises
    ------
    InputError
        If the words are unknown, the size is another, or an entry is not finite.
    """
    return numbers(_read(given, dim, "initial error", _INITIAL, "ones, power:1.5, file:w0.npy"), "initial error")


def coordinatewise(given: Any, dim: int, what: str) -> Array:
    """Numbers by coordinate, from a number or its text (the same for all), an array (d,), or ``file:c.npy``.

    Returns
    -------
    (d,) finite numbers.

    Raises
    ------
    InputError
        If it is something else.
    """
    if isinstance(given, str) and given.startswith("file:"):
        values = load(given.removeprefix("file:"), what)
    elif isinstance(given, str):
        try:
            values = numbers(float(given), what)
        except ValueError:
            raise InputError(f"the {what} must be a finite number or file:c.npy, not {given!r}") from None
    else:
        values = numbers(given, what)
    if values.shape not in ((), (dim,)):
        raise InputError(f"the {what} has shape {values.shape}: it must be one number, or one a coordinate, ({dim},)")
    return np.broadcast_to(values, dim).copy()
