"""Statistics of replicas in bounded memory, the same bits however the replicas arrive."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim import stats

EXACT = 2**14  # replicas up to which quantiles are exact; those of a block
_DROPPED = 43  # of the 52 bits of a mantissa, beyond that
ACCURACY = 2.0 ** (_DROPPED - 53)  # relative, of quantiles there

Array = NDArray[np.float64]


class Statistics:
    """Mean, standard error, quantiles and divergences of risks at some recorded steps, replicas arriving in order.

    The moments of fixed blocks of replicas are merged one after the other, so that nothing depends on how many
    replicas `add` is given at once. Quantiles are read off a sorted list of distinct values and how often each
    occurred: up to `EXACT` replicas the risks themselves, beyond that risks rounded to 10 significant bits, of which
    there are 512 between a number and its double whatever the number of replicas.

    Parameters
    ----------
    rows : number n of recorded steps.
    replicas : how many there will be in all.

    References
    ----------
    Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances". Masson,
    Rim, Lee 2019, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
    doi:10.14778/3352063.3352135; its bins are evenly spaced in the logarithm, these within each power of two.
    """

    def __init__(self, rows: int, replicas: int) -> None:
        self.accuracy = 0.0 if replicas <= EXACT else ACCURACY
        self._count = 0
        self._mean, self._deviation = np.zeros(rows), np.zeros(rows)  # the latter a root mean square
        self._diverged = np.zeros(rows, dtype=np.int64)
        self._values = [np.empty(0)] * rows
        self._counts = [np.empty(0, dtype=np.int64)] * rows
        self._waiting, self._filled = np.empty((rows, min(replicas, EXACT))), 0

    def add(self, risks: Array) -> None:
        """Take in the risks of the next replicas, (n, replicas), infinite where a replica diverged."""
        while risks.shape[1]:
            part = risks[:, : EXACT - self._filled]
            risks = risks[:, part.shape[1] :]
            self._waiting[:, self._filled : self._filled + part.shape[1]] = part
            self._filled += part.shape[1]
            if self._filled == EXACT:
                self.finish()

    def finish(self) -> None:
        """Take in those that wait for their block to be full: no more come."""
        if self._filled:
            self._take(self._waiting[:, : self._filled])
        self._filled = 0

    @property
    def mean(self) -> Array:
        """(n,) mean risk; infinite where a replica diverged."""
        return np.where(self._diverged > 0, math.inf, self._mean)

    @property
    def standard_error(self) -> Array:
        """(n,) standard error of the mean; infinite where the mean is, NaN for a single replica."""
        if self._count == 1:
            return np.full_like(self._mean, math.nan)
        return np.where(self._diverged > 0, math.inf, self._deviation / math.sqrt(self._count - 1))

    @property
    def diverged(self) -> NDArray[np.int64]:
        """(n,) number of infinite risks."""
        return self._diverged

    def quantiles(self, levels: Sequence[float] = stats.LEVELS) -> Array:
        """The smallest risk that at least a fraction of the replicas does not exceed, for each level: (levels, n).

        No values are interpolated, so that infinite risks have their place. Off by at most `accuracy`, relative to
        the risk (within the range of normal numbers).
        """
        ranks = [max(0, math.ceil(level * self._count) - 1) for level in levels]
        pairs = zip(self._values, self._counts, strict=True)
        rows = [values[np.searchsorted(np.cumsum(counts), ranks, side="right")] for values, counts in pairs]
        return np.array(rows).T

    def save(self) -> dict[str, NDArray[Any]]:
        """All that is needed to go on."""
        return {
            "count": np.array(self._count),
            "mean": self._mean,
            "deviation": self._deviation,
            "diverged": self._diverged,
            "values": np.concatenate(self._values),
            "counts": np.concatenate(self._counts),
            "ends": np.cumsum([len(values) for values in self._values]),
            "waiting": self._waiting[:, : self._filled],
        }

    def load(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `save` gave."""
        self._count = int(saved["count"])
        self._mean, self._deviation, self._diverged = saved["mean"], saved["deviation"], saved["diverged"]
        self._values = np.split(saved["values"], saved["ends"][:-1])
        self._counts = np.split(saved["counts"], saved["ends"][:-1])
        self._filled = saved["waiting"].shape[1]
        self._waiting[:, : self._filled] = saved["waiting"]

    def _take(self, block: Array) -> None:
        """Merge the next block of replicas, (n, replicas)."""
        infinite = np.isinf(block).sum(axis=1)
        before, more = self._count, block.shape[1]
        self._count += more
        mean, deviation = _moments(np.where(infinite[:, None] > 0, 0.0, block))
        step = mean - self._mean
        self._mean = self._mean + step * (more / self._count)
        old, new = math.sqrt(before / self._count), math.sqrt(more / self._count)
        within = np.hypot(self._deviation * old, deviation * new)
        self._deviation = np.hypot(within, step * (old * new))
        self._diverged = self._diverged + infinite
        for row, risks in enumerate(_rounded(block) if self.accuracy else block):
            self._values[row], self._counts[row] = _merged(self._values[row], self._counts[row], risks)


def _moments(block: Array) -> tuple[Array, Array]:
    """Mean and root mean square deviation of each row; squares of large or small risks leave the range of floats."""
    scale = np.frexp(block.max(axis=1))[1]
    scaled = np.ldexp(block, -scale[:, None])
    return np.ldexp(scaled.mean(axis=1), scale), np.ldexp(scaled.std(axis=1), scale)


def _rounded(risks: Array) -> Array:
    """Rounded to a relative `ACCURACY`; zero and infinity stay."""
    nearest = (risks.view(np.int64) + (1 << (_DROPPED - 1))) >> _DROPPED << _DROPPED
    return nearest.view(np.float64)


def _merged(values: Array, counts: NDArray[np.int64], risks: Array) -> tuple[Array, NDArray[np.int64]]:
    """Distinct values, ascending, and how often each occurred, with some more risks counted."""
    values = np.concatenate([values, np.sort(risks)])
    order = np.argsort(values, kind="stable")  # two ascending parts are merged in one pass
    values, counts = values[order], np.concatenate([counts, np.ones_like(risks, dtype=np.int64)])[order]
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return values[starts], np.add.reduceat(counts, starts)
