"""Streaming linear regression on Gaussian inputs: the gradient noise is multiplicative."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, ClassVar

from accelsim.problems._problem import Draw
from accelsim.problems._stream import Stream
from accelsim.spectra import Array


class _Stream(IntEnum):
    """Random numbers within a stage, by what they are for."""

    INPUTS = 0
    TRIANGLE = 1
    DIAGONAL = 2

    def of(self, index: int) -> int:
        """The stream of the query or column of an index."""
        return self + len(_Stream) * index


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearRegression(Stream):
    """Least squares on a stream: x ~ N(0, H), label <w*, x> + noise, fresh samples each time.

    With Y the second moment of the query error, E[Cov(g | e)] = (H Y H + tr(H Y) H + label_noise H) / batch.

    Parameters
    ----------
    dim : number of eigendirections d; without it the size of the spectrum given, else 12.
    spectrum : eigenvalues of H, see `spectra.spectrum`.
    batch : samples a gradient.
    label_noise : variance of the labels' noise.
    init : initial error by eigendirection, see `spectra.initial`.
    """

    name: ClassVar[str] = "linear_regression"
    assumptions: ClassVar[tuple[str, ...]] = ("Gaussian inputs, noisy linear labels", "a fresh batch at each query")

    @cached_property
    def own(self) -> Array:
        return self.spectrum**2 / self.batch

    @cached_property
    def left(self) -> Array:
        return self.spectrum / self.batch

    @cached_property
    def right(self) -> Array:
        return self.spectrum

    def constants(self) -> dict[str, Any]:
        return {"root": self.spectrum**0.5}

    def sample(self, errors: tuple[Any, ...], draw: Draw) -> tuple[Any, ...]:
        """Batch gradients in law exactly, at a cost independent of the batch size.

        Whitened, the B inputs form a Gaussian Z (B, d), and the gradients are Z^T r_j / B with residuals
        r_j = Z u_j + noise, u_j the whitened errors. In an orthonormal basis Q of the u_j, the inputs' coordinates Z Q
        and the noise have a triangular factor by Bartlett's decomposition, which gives Q^T Z^T r_j and the residuals'
        inner products; orthogonal to Q, Z is independent of them, so one Gaussian vector a query is enough there.
        """
        root = self.arrays(errors[0])["root"]
        xp = root.__array_namespace__()
        directions, shares = _orthonormal(xp, [error * root for error in errors])
        factor = self._triangle(xp, len(errors), draw)
        residuals = [sum(share * column for share, column in zip(mix, factor, strict=False)) for mix in shares]
        if self.label_noise:
            residuals = [r + self.label_noise**0.5 * factor[-1] for r in residuals]
        _, lengths = _orthonormal(xp, residuals)
        fresh = [_without(draw.normal(_Stream.INPUTS.of(j), self.dim), directions) for j in range(len(errors))]
        gradients = []
        for residual, length in zip(residuals, lengths, strict=True):
            inside = sum(_dot(column, residual) * q for column, q in zip(factor, directions, strict=False))
            outside = sum(part * vector for part, vector in zip(length, fresh, strict=False))
            gradients.append((inside + outside) * (root / self.batch))
        return tuple(gradients)

    def _triangle(self, xp: Any, queries: int, draw: Draw) -> list[Any]:
        """Columns of the triangular factor of [Z Q, noise / s], each (replicas, min(B, columns)).

        References
        ----------
        Muirhead 1982, Theorem 3.2.14 (Bartlett's decomposition). With fewer samples than columns it is trapezoidal.
        """
        columns = queries + bool(self.label_noise)
        rank = min(self.batch, columns)
        factor = []
        for j in range(columns):
            parts = [draw.normal(_Stream.TRIANGLE.of(j), min(j, rank))] if j else []
            if j < rank:
                parts.append(draw.chi_square(_Stream.DIAGONAL.of(j), self.batch - j) ** 0.5)
            parts += [xp.zeros_like(parts[0][:, :1])] * (rank - 1 - j)
            factor.append(xp.concatenate(parts, axis=-1))
        return factor


def _dot(a: Any, b: Any) -> Any:
    return (a * b).sum(axis=-1, keepdims=True)


def _without(vector: Any, directions: list[Any]) -> Any:
    for direction in directions:
        vector = vector - _dot(direction, vector) * direction
    return vector


def _orthonormal(xp: Any, vectors: list[Any]) -> tuple[list[Any], list[list[Any]]]:
    """Orthonormal directions q_l and, for each vector, its shares: v_j = sum of shares[j][l] q_l over l <= j.

    Each (replicas, n). A vector that depends on those before it, zero included, gets a new direction of share zero, or
    the zero direction where there is none left.
    """
    directions: list[Any] = []
    shares: list[list[Any]] = []
    for vector in vectors:
        rest = _without(_without(vector, directions), directions)  # twice: once leaves rounding of the vector's size
        length = _dot(rest, rest) ** 0.5
        dependent = length <= 64 * xp.finfo(rest.dtype).eps * _dot(vector, vector) ** 0.5
        shares.append([*(_dot(q, vector) for q in directions), xp.where(dependent, 0 * length, length)])
        direction = rest / xp.where(dependent, 1 + 0 * length, length)
        if dependent.any():
            direction = xp.where(dependent, _spare(xp, directions, vector), direction)
        directions.append(direction)
    return directions, shares


def _spare(xp: Any, directions: list[Any], like: Any) -> Any:
    """A unit vector orthogonal to the directions: the axis least in them, made orthogonal; zero where none is left."""
    taken = sum((q**2 for q in directions), 0 * like)
    axis = xp.argmin(taken, axis=-1)[:, None] == xp.arange(like.shape[-1])[None, :]
    rest = _without(axis.astype(like.dtype), directions)
    length = _dot(rest, rest) ** 0.5
    left = length > xp.finfo(rest.dtype).eps ** 0.5
    return xp.where(left, rest, 0 * rest) / xp.where(left, length, 1 + 0 * length)
