"""Streaming linear regression on Gaussian inputs: the gradient noise is multiplicative."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, reduce
from itertools import zip_longest
from operator import add, mul
from typing import Any, ClassVar

from accelsim.elementary import sign, sqrt, total
from accelsim.errors import InputError
from accelsim.problems._problem import Draw
from accelsim.problems._sampling import beyond, inverse
from accelsim.problems._stream import Stream
from accelsim.spectra import Array

_Vector = list[Any]  # its parts: an array (replicas, d), or numbers a replica


class _Stream(IntEnum):
    """Random numbers within a stage, by what they are for."""

    INPUTS = 0
    TRIANGLE = 1  # in the direct sampler, the labels' noise
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
    direct : draw the inputs of a batch one by one, rather than gradients of their law at a cost free of the batch size.
    """

    name: ClassVar[str] = "linear_regression"
    assumptions: ClassVar[tuple[str, ...]] = ("Gaussian inputs, noisy linear labels", "a fresh batch at each query")

    direct: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.direct, bool):
            raise InputError(f"direct must be true or false, not {self.direct}")

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
        root = self.arrays(errors[0])["root"]
        if not self.direct:
            return tuple(root * g for g in self._whitened([root * error for error in errors], draw))

        def body(sample: Draw, *errors: Any) -> tuple[Any, ...]:
            return self.at_input(root * sample.normal(_Stream.INPUTS), errors, sample, _Stream.TRIANGLE)

        return draw.mean(self.batch, body, errors)

    def _whitened(self, errors: list[Any], draw: Draw) -> list[Any]:
        """Whitened batch gradients at whitened errors, in law exactly, at a cost independent of the batch size.

        The B whitened inputs form a Gaussian Z (B, d), and the gradients are Z^T r_j / B with residuals
        r_j = Z u_j + noise. In an orthonormal basis Q of the u_j, the inputs' coordinates Z Q and the noise have a
        triangular factor by Bartlett's decomposition, which gives Q^T Z^T r_j and the residuals' inner products;
        orthogonal to Q, Z is independent of them, so one Gaussian vector a query is enough there. Where a u_j depends
        on those before, it has no direction: its column of the factor is a Gaussian that no residual contains, and the
        Gaussian vectors cover one direction more.
        """
        directions, shares = _orthonormal([[error] for error in errors], total)
        factor = self._triangle(len(errors), draw)
        noise = [(self.label_noise**0.5, factor[-1])] if self.label_noise else []
        residuals = [_combination([*zip(mix, factor, strict=False), *noise]) for mix in shares]
        _, lengths = _orthonormal(residuals, lambda number: number)
        fresh = [_without([draw.normal(_Stream.INPUTS.of(j))], directions, total)[0] for j in range(len(errors))]
        gradients = []
        for residual, length in zip(residuals, lengths, strict=True):
            inside = [(_sum(map(mul, column, residual)), q) for column, (q,) in zip(factor, directions, strict=False)]
            outside = zip(length, fresh, strict=False)
            gradients.append(_sum(part * vector for part, vector in (*inside, *outside)) / self.batch)
        return gradients

    def _triangle(self, queries: int, draw: Draw) -> list[_Vector]:
        """Columns of the triangular factor of [Z Q, noise / s], without the zeros below the diagonal.

        References
        ----------
        Muirhead 1982, Theorem 3.2.14 (Bartlett's decomposition). With fewer samples than columns it is trapezoidal.
        """
        factor = []
        for j in range(queries + bool(self.label_noise)):
            column = [draw.number(_Stream.TRIANGLE.of(j), i) for i in range(min(j, self.batch))]
            if j < self.batch:
                column.append(sqrt(draw.chi_square(_Stream.DIAGONAL.of(j), self.batch - j)))
            factor.append(column)
        return factor


def _sum(terms: Iterable[Any]) -> Any:
    return reduce(add, terms)


def _combination(terms: Iterable[tuple[Any, _Vector]]) -> _Vector:
    """Sum of multiples of vectors; one that ends early goes on with zeros."""
    multiples = ([weight * part for part in vector] for weight, vector in terms)
    return [_sum(part for part in parts if part is not None) for parts in zip_longest(*multiples)]


def _without(vector: _Vector, directions: list[_Vector], fold: Callable[[Any], Any]) -> _Vector:
    """Part of a vector orthogonal to directions, none of which is longer."""
    for direction in directions:
        share = fold(_sum(map(mul, direction, vector)))
        vector = [*(v - share * q for v, q in zip(vector, direction, strict=False)), *vector[len(direction) :]]
    return vector


def _orthonormal(vectors: list[_Vector], fold: Callable[[Any], Any]) -> tuple[list[_Vector], list[list[Any]]]:
    """Orthonormal directions q_l and, for each vector, its shares: v_j = sum of shares[j][l] q_l over l <= j.

    A vector that depends on those before it, zero included, gets the zero direction, of share zero. It does where a
    second round takes away more than half of what the first left, or where what is left is a few roundings of the
    vector: either was rounding, and the order of sums would draw the direction.

    Parameters
    ----------
    fold : takes the sum of the products of two vectors' parts to their inner product.
    """
    directions: list[_Vector] = []
    shares: list[list[Any]] = []
    for vector in vectors:
        mix = [fold(_sum(map(mul, q, vector))) for q in directions]
        rest = _without(vector, directions, fold)
        length = sqrt(fold(_sum(map(mul, rest, rest))))
        if directions:
            rest = _without(rest, directions, fold)
            length = beyond(sqrt(fold(_sum(map(mul, rest, rest)))), length / 2)
            whole = 16 * sqrt(fold(_sum(map(mul, vector, vector))))
            length = length * sign((whole + length) - whole)  # 0 where adding it to 16 lengths of the vector is lost
        shares.append([*mix, length])
        directions.append([part * inverse(length) for part in rest])
    return directions, shares
