"""Linear regression on a real table, its rows drawn with replacement: no Gaussian assumption anywhere."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from accelsim import spectra
from accelsim.elementary import total
from accelsim.errors import InputError, unknown
from accelsim.problems._problem import Draw, Problem
from accelsim.problems._sampling import pick
from accelsim.spectra import Array

BUNDLED = ("diabetes", "digits")
_NULL = 8  # roundings, times the larger number of rows and columns, up to which a singular value is zero


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset(Problem):
    """Least squares on a table with standardised features and target; batches are rows drawn with replacement.

    H = X^T X / N, and w* is the least-squares solution, so the labels' noise is its residuals. A run starts at w = 0
    unless told otherwise. Constant columns are dropped (`notices` says so), and so are null directions of H on the
    exact side (singular values that rounding cannot tell from zero), in which nothing ever moves.

    Parameters
    ----------
    data : a CSV file, a .npy file (N, columns), or scikit-learn's ``diabetes`` or ``digits``.
    target : the column to predict: a name from the CSV's header, or a number, counted from 0.
    batch : rows a gradient.
    init : initial error by feature, see `spectra.initial`; without it, that of w = 0.
    """

    name: ClassVar[str] = "dataset"
    assumptions: ClassVar[tuple[str, ...]] = (
        "features and target standardized",
        "a fresh batch at each query, its rows drawn uniformly with replacement",
    )
    coupled: ClassVar[bool] = True

    data: str
    target: str | int | None = None
    init: Any = None
    features: Array = field(init=False, repr=False)
    residuals: Array = field(init=False, repr=False)
    notices: tuple[str, ...] = field(init=False, repr=False, default=())
    _basis: Array = field(init=False, repr=False)
    _rotated: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        names, table, target = _read(self.data, self.target)
        features, notices = _features(names, table, self.data)
        labels = _standardized(target)
        # singular values: eigenvalues of the Gram matrix would lose the digits of the smallest ones
        roots, vectors = np.linalg.svd(features / len(features) ** 0.5, full_matrices=False)[1:]
        kept = roots > roots[0] * _NULL * max(features.shape) * np.finfo(np.float64).eps
        spectrum, basis = roots[kept] ** 2, vectors[kept].T.copy()
        rotated = features @ basis
        solution = rotated.T @ labels / len(labels) / spectrum
        start = -basis @ solution if self.init is None else spectra.initial(self.init, features.shape[1])
        self._settle(features=features, residuals=labels - rotated @ solution, notices=notices)
        self._settle(spectrum=spectrum, start=start, dim=start.size, _basis=basis, _rotated=rotated)

    @property
    def basis(self) -> Array:
        return self._basis

    def constants(self) -> dict[str, Any]:
        return {"features": self.features, "residuals": self.residuals}

    def sample(self, errors: tuple[Any, ...], draw: Draw) -> tuple[Any, ...]:
        placed = self.arrays(errors[0])

        def body(sample: Draw, *errors: Any) -> tuple[Any, ...]:
            row = sample.integer(0, len(self.features))
            x, residual = pick(placed["features"], row), pick(placed["residuals"], row)
            return tuple(x * (total(x * error) - residual) for error in errors)

        return draw.mean(self.batch, body, errors)

    def noise(self, second: Array, mean: Array, noisy: bool) -> Array:
        x, r, rows = self._rotated, self.residuals, len(self._rotated)
        weights = ((x @ second) * x).sum(axis=-1)  # (q, q, N)
        if noisy:
            along = mean @ x.T
            weights = weights - r * (along[:, None] + along[None, :]) + r**2
        full = (x.T * weights[..., None, :]) @ x / rows
        return (full - self.spectrum[:, None] * second * self.spectrum) / self.batch

    @cached_property
    def fourth_moments(self) -> Array:
        """E[x_i x_j x_k x_l] over the rows in the eigenbasis, for i <= j by k <= l, shape (m(m+1)/2, m(m+1)/2)."""
        i, j = np.triu_indices(self.spectrum.size)
        products = self._rotated[:, i] * self._rotated[:, j]
        return products.T @ products / len(products)

    def noise_size(self, second: Array, part: float) -> Array:
        """Sizes (q, q, m, m) of the terms that `noise` adds up, entry by entry, for sizes of second moments.

        Rotated rows carry rounding in proportion to their length: a part of it counts as a term.
        """
        x = np.abs(self._rotated)
        weights = ((x @ second) * x).sum(axis=-1)
        full = (x.T * weights[..., None, :]) @ x / len(x)
        across = part * (weights * np.sqrt((x**2).sum(axis=1))) @ x / len(x)
        full = full + across[..., None] + across[..., None, :]
        return (full + self.spectrum[:, None] * second * self.spectrum) / self.batch


def _standardized(columns: Array) -> Array:
    scaled = columns / np.abs(columns).max(axis=0)  # squares of what was read could leave float64
    centered = scaled - scaled.mean(axis=0)
    return centered / np.sqrt((centered**2).mean(axis=0))


def _constant(columns: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether a column varies no more than rounding does."""
    scaled = columns / np.maximum(np.abs(columns).max(axis=0), np.finfo(np.float64).tiny)
    return np.ptp(scaled, axis=0) <= 1e-12


def _features(names: list[str], table: Array, data: str) -> tuple[Array, tuple[str, ...]]:
    constant = _constant(table)
    if constant.all():
        raise InputError(f"{data} has no feature that varies: at least one column beside the target must")
    dropped = [name for name, drop in zip(names, constant, strict=True) if drop]
    plural = "s" if len(dropped) > 1 else ""
    notices = (f"{data}: dropped {len(dropped)} constant column{plural}: {', '.join(dropped)}",) if dropped else ()
    return _standardized(table[:, ~constant]), notices


def _read(data: str, target: str | int | None) -> tuple[list[str], Array, Array]:
    """Names of the features, the features (N, p), the target (N,)."""
    if data in BUNDLED and not Path(data).exists():
        return _bundled(data, target)
    names, table = _npy(data) if Path(data).suffix.lower() == ".npy" else _csv(data)
    column = _column(data, names, table.shape[1], target)
    if len(table) < 2:
        raise InputError(f"{data} has one row: at least two are needed")
    if _constant(table[:, column]):
        raise InputError(f"the target column of {data} is constant: there is nothing to predict")
    labels = names or [str(i) for i in range(table.shape[1])]
    return labels[:column] + labels[column + 1 :], np.delete(table, column, axis=1), table[:, column]


def _bundled(data: str, target: str | int | None) -> tuple[list[str], Array, Array]:
    if target is not None:
        raise InputError(f"{data} brings its own target: leave --target out")
    try:
        from sklearn import datasets
    except ImportError:
        raise InputError(f"the data set {data} needs scikit-learn: pip install 'accelsim[data]'") from None
    loaders: dict[str, Callable[[], Any]] = {
        "diabetes": lambda: datasets.load_diabetes(scaled=False),
        "digits": datasets.load_digits,
    }
    bunch = loaders[data]()
    return list(bunch.feature_names), np.asarray(bunch.data, np.float64), np.asarray(bunch.target, np.float64)


def _column(data: str, names: list[str], columns: int, target: str | int | None) -> int:
    if target is None:
        what = "its name" if names else "its number, counted from 0"
        raise InputError(f"{data} needs a target column: give {what} with --target")
    if names and target in names:
        if names.count(str(target)) > 1:
            raise InputError(f"{data} has {names.count(str(target))} columns named {target!r}: name the target apart")
        return names.index(str(target))
    try:
        number = int(target)
    except ValueError:
        if names:
            raise unknown(f"target column of {data}:", str(target), names) from None
        raise InputError(f"{data} has no header: give the target column's number, counted from 0") from None
    if not 0 <= number < columns:
        raise InputError(f"{data} has no column {number}: its columns count from 0 to {columns - 1}")
    return number


def _npy(data: str) -> tuple[list[str], Array]:
    table = spectra.load(data, "a table")
    if table.ndim != 2:
        raise InputError(f"{data} has shape {table.shape}: a table has rows and columns")
    return [], table


def _csv(data: str) -> tuple[list[str], Array]:
    try:
        with open(data, newline="", encoding="utf-8-sig") as file:
            rows = [(line, cells) for line, cells in enumerate(csv.reader(file), 1) if any(map(str.strip, cells))]
    except FileNotFoundError:
        raise InputError(f"no data at {data}: give a CSV or .npy file, or {' or '.join(BUNDLED)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {data} as CSV: {error}") from None
    if not rows:
        raise InputError(f"{data} is empty: it needs rows of numbers")
    header = [cell.strip() for cell in rows[0][1]]
    names = header if not any(map(_is_number, header)) else []
    body = rows[1:] if names else rows
    if not body:
        raise InputError(f"{data} has a header and no rows: it needs rows of numbers")
    return names, np.array([_numbers(data, names, len(header), line, cells) for line, cells in body])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(data: str, names: list[str], columns: int, line: int, cells: list[str]) -> list[float]:
    if len(cells) != columns:
        raise InputError(f"{data}, line {line}: {len(cells)} columns where the first line has {columns}")
    values = []
    for place, cell in enumerate(map(str.strip, cells)):
        where = f"{data}, line {line}, column {names[place] if names else place}"
        if cell.lower() in ("", "na", "n/a", "nan", "null", "none", "?"):
            raise InputError(f"{where}: missing value; remove the row or fill it in")
        if not _is_number(cell):
            raise InputError(f"{where}: {cell!r} is not a number")
        if not np.isfinite(float(cell)):
            raise InputError(f"{where}: {cell} is not finite")
        values.append(float(cell))
    return values
