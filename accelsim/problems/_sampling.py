"""Functions of samplers beside `elementary`: on arrays, or on the nodes of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accelsim.elementary import traced


def beyond(x: Any, level: Any) -> Any:
    """`x` where it is above the level, else 0."""
    node = traced("beyond", x, level)
    if node is not None:
        return node
    xp = x.__array_namespace__()
    return xp.where(x > level, x, xp.zeros_like(x))


def inverse(x: Any) -> Any:
    """1 / x where x is not 0, else 0."""
    node = traced("inverse", x)
    if node is not None:
        return node
    xp = x.__array_namespace__()
    return xp.where(x != 0, 1 / xp.where(x != 0, x, xp.ones_like(x)), xp.zeros_like(x))


def pick(values: Any, index: Any) -> Any:
    """The entry of a vector, or the entry or row of a table, at an index a replica and sample of a batch.

    Parameters
    ----------
    values : (replicas, 1, d), or a table (N,) or (N, d).
    index : (replicas, samples, 1).
    """
    node = traced("pick", values, index)
    if node is not None:
        return node
    xp = index.__array_namespace__()
    if values.ndim == index.ndim:
        return xp.take_along_axis(values, index, axis=-1)
    rows = xp.take(values, xp.reshape(index, (-1,)), axis=0)
    return xp.reshape(rows, (*index.shape[:-1], *(values.shape[1:] or (1,))))


def at(index: Any, value: Any, dim: int) -> Any:
    """The vector with a value at one index a replica and sample, 0 elsewhere; only as what is averaged over a batch."""
    node = traced("at", index, value, dim)
    return _Entries(index, value) if node is None else node


@dataclass(frozen=True)
class _Entries:
    """Vectors (replicas, samples, d) of one nonzero entry each."""

    index: Any
    value: Any

    def onto(self, total: Any) -> None:
        """Add the samples to a total (replicas, d), one after the other.

        The array standard cannot add to places that repeat: this is for NumPy and CuPy.
        """
        xp, (replicas, dim) = total.__array_namespace__(), total.shape
        place = self.index + dim * xp.arange(replicas)[:, None, None]
        xp.add.at(total.reshape(-1), place.reshape(-1), self.value.reshape(-1))
