"""Linear regression on a real table, its rows drawn with replacement: no Gaussian assumption anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from accelsim import spectra
from accelsim.elementary import total
from accelsim.errors import InputError
from accelsim.problems import _tables
from accelsim.problems._problem import Draw, Problem
from accelsim.problems._sampling import pick
from accelsim.spectra import Array

_NULL = 8  # roundings, times the larger number of rows and columns, up to which a singular value is zero
_ROWS = 512  # of a table at once: what is made of them stays in the processor's cache


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset(Problem):
    """Least squares on a table with standardised features and target; batches are rows drawn with replacement.

    H = X^T X / N, and w* is the least-squares solution, so the labels' noise is its residuals. A run starts at w = 0
    unless told otherwise. Constant columns are dropped (`notices` says so), and so are null directions of H on the
    exact side (singular values that rounding cannot tell from zero), in which nothing ever moves.

    Parameters
    ----------
    data : a file, as CSV, ``.npy`` or Parquet, a table of scikit-learn's by name, an array or a data frame.
    target : the column to predict: a name from the header, or a number, counted from 0.
    drop : columns that are no features.
    skip_lines : lines of a text before the table.
    batch : rows a gradient.
    init : initial error by feature, see `spectra.initial`; without it, that of w = 0.
    """

    name: ClassVar[str] = "dataset"
    assumptions: ClassVar[tuple[str, ...]] = (
        "features and target standardized",
        "a fresh batch at each query, its rows drawn uniformly with replacement",
    )
    coupled: ClassVar[bool] = True

    data: Any
    target: str | int | None = None
    drop: Sequence[str | int] | None = None
    skip_lines: int | None = None
    init: Any = None
    features: Array = field(init=False, repr=False)
    residuals: Array = field(init=False, repr=False)
    notices: tuple[str, ...] = field(init=False, repr=False, default=())
    _basis: Array = field(init=False, repr=False)
    _rotated: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        table = _tables.read(self.data, self.target, self.drop, self.skip_lines)
        features, notices = _features(table)
        labels = _standardized(table.target)
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
        full = np.zeros_like(second)
        for start in range(0, len(self._rotated), _ROWS):
            x, r = self._rotated[start : start + _ROWS], self.residuals[start : start + _ROWS]
            weights = np.einsum("pqni,ni->pqn", x @ second, x)
            if noisy:
                along = mean @ x.T
                weights += r**2 - r * (along[:, None] + along[None, :])
            if weights.shape[:2] == (1, 1) and (weights >= 0).all():  # a matrix times its own transpose costs half
                scaled = x * np.sqrt(weights[0, 0])[:, None]
                full[0, 0] += scaled.T @ scaled
            else:
                full += (x.T * weights[..., None, :]) @ x
        return (full / len(self._rotated) - self.spectrum[:, None] * second * self.spectrum) / self.batch

    @cached_property
    def fourth_moments(self) -> Array:
        """E[x_i x_j x_k x_l] over the rows in the eigenbasis, for i <= j by k <= l, shape (m(m+1)/2, m(m+1)/2)."""
        products = self._products
        return products.T @ products / len(products)

    @cached_property
    def third_moments(self) -> Array:
        """E[r x_i x_j x_k] over the rows with residual r in the eigenbasis, i <= j by k, shape (m(m+1)/2, m)."""
        return self._products.T @ (self.residuals[:, None] * self._rotated) / len(self._rotated)

    @cached_property
    def residual_moments(self) -> Array:
        """E[r^2 x_i x_j] over the rows with residual r in the eigenbasis, i <= j, shape (m(m+1)/2,)."""
        return self._products.T @ self.residuals**2 / len(self._rotated)

    @property
    def _products(self) -> Array:
        """(N, m(m+1)/2) x_i x_j of each row, i <= j."""
        i, j = np.triu_indices(self.spectrum.size)
        return self._rotated[:, i] * self._rotated[:, j]

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


def _features(table: _tables.Table) -> tuple[Array, tuple[str, ...]]:
    constant = _constant(table.features)
    if constant.all():
        raise InputError(f"{table.label} has no feature that varies: at least one column beside the target must")
    if _constant(table.target):
        raise InputError(f"the target column of {table.label} is constant: there is nothing to predict")
    dropped = [name for name, drop in zip(table.names, constant, strict=True) if drop]
    plural = "s" if len(dropped) > 1 else ""
    what = f"{table.label}: dropped {len(dropped)} constant column{plural}: {', '.join(dropped)}"
    return _standardized(table.features[:, ~constant]), (*table.notices, what) if dropped else table.notices
