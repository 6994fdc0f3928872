"""Counter-based random numbers: Philox-4x32-10, where each number is a function of what it is for.

The contract, which every engine reproduces
-------------------------------------------
Key: the 64-bit seed, low word first. Counter, four words of 32 bits:

====  ==================================================================
word  holds
====  ==================================================================
0     block
1     step
2     replica
3     stage << 24 | stream << 16 | attempt
====  ==================================================================

*Stage* counts the `yield`s of a step, *stream* names a purpose within a stage, *attempt* counts the tries of a
rejection method (0 where nothing is rejected). A kernel can thus make any number in place, in any order. The output
words w0..w3 of a block become numbers of one precision, that of the run; all arithmetic below is in that precision,
each operation rounded by itself, as `normals` has it.

*Vectors* (one number a coordinate): with `per` numbers a block, 2 in float64 and 4 in float32, and n = ceil(d / per),
coordinate j of sample b of a batch is number j % per of block b n + j // per; b = 0 where no batch is looped over.

* float64 normals, two a block, with W = w0 << 32 | w1 and V = w2 << 32 | w3 as whole numbers of 64 bits:
  r = sqrt(-log u), u = ((W >> 11) + 1) 2^-53 in (0, 1], x = (pi/4 2^-52) (V >> 11), V signed; r (cos x - sin x) with
  its sign flipped by bit 0 of V (even coordinate), r (cos x + sin x) by bit 1 (odd coordinate);
* float32 normals, two from (a, b) = (w0, w1) and two from (w2, w3): u = a 2^-32 + 2^-33 in (0, 1],
  x = (pi/4 2^-31) b, b signed, and with r as above r (cos x - sin x), its sign flipped by bit 0 of b, then
  r (cos x + sin x) by bit 1; whole numbers are rounded to float32 before they are multiplied;
* three points, from one word w each, w0 and w2 in float64, all four in float32: 0 unless w < chance 2^32 (in float64,
  in either precision), else 1 / sqrt(chance) (in float64, then rounded), negative where w is odd.

*Numbers* (one a replica and sample) come from one block, in a batch that of their sample, b; outside, that of an index:

* normals: the first of the block;
* three points: from w0;
* integers below n <= 2^32: the upper 64 bits of W n. No outcome's probability is off by more than 2^-64, a relative
  2^-32 at most;
* chi squares, outside a batch, block 0, in float64 whatever the run's precision, then rounded: the square of the normal
  for one degree of freedom, else Marsaglia and Tsang's method; attempt k takes the first normal of block 0 and the
  u of block 1.

References
----------
Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", doi:10.1145/2063384.2063405.
Marsaglia, Tsang 2000, "A simple method for generating gamma variables", doi:10.1145/358407.358414.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.simulation.normals import PRECISIONS, WORD, Words, joined, log, normals, uniform

TILE = 2**14  # blocks made at once: their buffers stay in a core's own cache
_LOW = WORD - 1
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
_BROADCAST_ROUNDS = 2  # after two rounds every word depends on every counter word that varies
_Convert = Callable[[Words, Any], None]  # what makes words (..., blocks) into numbers (..., size), in place


def philox(counter: Words, seed: int, xp: Any = np) -> Words:
    """Philox-4x32-10 of counters, broadcast against each other.

    Parameters
    ----------
    counter : four arrays of uint64, each entry below 2^32.
    seed : the key, 64 bits.

    Returns
    -------
    Four arrays of uint64 of the common shape, each entry below 2^32, the caller's to change.
    """
    key = [seed & _LOW, seed >> 32]
    m0, m1 = MULTIPLIERS
    c0, c1, c2, c3 = counter
    for _ in range(_BROADCAST_ROUNDS):
        p0, p1 = c0 * m0, c2 * m1
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ key[0], p1 & _LOW, (p0 >> 32) ^ c3 ^ key[1], p0 & _LOW
        key = [(k + w) & _LOW for k, w in zip(key, WEYL, strict=True)]
    c0, c1, c2, c3 = (xp.array(c, order="C") for c in xp.broadcast_arrays(c0, c1, c2, c3))
    p0, p1 = xp.empty_like(c0), xp.empty_like(c0)
    for _ in range(ROUNDS - _BROADCAST_ROUNDS):
        xp.multiply(c0, m0, out=p0)
        xp.multiply(c2, m1, out=p1)
        for product, high, low, k in ((p1, c0, c1, key[0]), (p0, c2, c3, key[1])):
            xp.right_shift(product, 32, out=high)
            xp.bitwise_xor(high, low, out=high)
            xp.bitwise_xor(high, k, out=high)
            xp.bitwise_and(product, _LOW, out=product)
        c1, c3, p0, p1 = p1, p0, c1, c3
        key = [(k + w) & _LOW for k, w in zip(key, WEYL, strict=True)]
    return c0, c1, c2, c3


def _words(words: Words, out: Any, per: int) -> None:
    """The words that three points come from, `per` a block, into `out`, (..., size)."""
    for k in range(min(per, out.shape[-1])):
        columns = out[..., k::per]
        columns[...] = words[k * 4 // per][..., : columns.shape[-1]]


def _integers(words: Words, out: Any, high: int) -> None:
    """A whole number below `high` a block."""
    upper, lower = words[:2]
    lower *= high
    lower >>= 32
    upper *= high
    upper += lower
    upper >>= 32
    out[...] = upper


def _place(stage: int, stream: int) -> int:
    """The last counter word, attempt 0."""
    return stage << 24 | stream << 16


@dataclass(frozen=True)
class _Ahead:
    """Numbers made for several steps at once: `made` (count, replicas, ...), of which `used` are handed out."""

    step: int  # the step whose part comes next
    used: int
    made: Any


class Draws:
    """The random numbers of a run: each depends on (seed, replica, step, stage, stream, sample, coordinate) only.

    Parameters
    ----------
    seed : 64 bits, at least 0.
    replicas : how many.
    dim : number of coordinates d of a vector.
    xp : the array module, NumPy or CuPy.
    first : number of the first replica (a run may be made in parts).
    dtype : the precision of the run, ``float64`` or ``float32``.
    tile : how many blocks to make at once.

    Notes
    -----
    Where a step needs less than a tile, the numbers of following steps are made along with it; since each number is a
    function of its counter alone, this changes nothing but the time.
    """

    def __init__(
        self,
        seed: int,
        replicas: int,
        dim: int,
        xp: Any = np,
        *,
        first: int = 0,
        dtype: str = "float64",
        tile: int = TILE,
    ) -> None:
        self.seed, self.replicas, self.dim, self.first = seed, replicas, dim, first
        self.xp, self.dtype, self.tile = xp, dtype, tile
        self.per = PRECISIONS[dtype].per
        self._ahead: dict[tuple[Any, ...], _Ahead] = {}

    def at(self, step: int, stage: int = 0) -> Draw:
        """The numbers of one stage of one step."""
        return Draw(self, step, stage)

    def take(self, step: int, key: tuple[Any, ...], blocks: int, make: Callable[[int, int], Any]) -> Any:
        """A step's part of ``make(step, count)``, which makes (count, replicas, ...) numbers; `blocks` a replica.

        Steps that come in order are made together, ever more of them up to a tile. Each part is handed out once, so
        that the caller may change it.
        """
        ahead = self._ahead.get(key)
        if ahead is None or ahead.step != step:
            ahead = _Ahead(step, 0, make(step, 1))
        elif ahead.used == len(ahead.made):
            count = min(2 * ahead.used, max(1, self.tile // (self.replicas * blocks)))
            ahead = _Ahead(step, 0, make(step, count))
        self._ahead[key] = _Ahead(step + 1, ahead.used + 1, ahead.made)
        return ahead.made[ahead.used]

    def fill(self, out: Any, step: int, place: int, blocks: range, convert: _Convert) -> None:
        """Have `out`, (count, replicas, samples, size), filled by ``convert(words, part of out)``.

        Words are (count, some replicas, samples, blocks of a sample), about a tile at a time.
        """
        count, _, samples, _ = out.shape
        rows = max(1, self.tile // (count * len(blocks)))
        block = self._numbers(blocks.start, len(blocks)).reshape(samples, -1)
        steps = self._numbers(step, count)[:, None, None, None]
        for begin in range(0, self.replicas, rows):
            part = out[:, begin : begin + rows]
            replicas = self._numbers(self.first + begin, part.shape[1])[:, None, None]
            convert(philox((block, steps, replicas, self._numbers(place, 1)), self.seed, self.xp), part)

    def gammas(self, step: int, count: int, place: int, shape: float) -> Any:
        """(count, replicas, 1) gamma variables of scale 1 and shape at least 1, by Marsaglia and Tsang's rejection."""
        xp, n = self.xp, count * self.replicas
        d = shape - 1 / 3
        c = 1 / math.sqrt(9 * d)
        steps = xp.repeat(self._numbers(step, count), self.replicas)
        replicas = xp.tile(self._numbers(self.first, self.replicas), count)
        value, pending = xp.empty(n), xp.arange(n)
        while n:
            z, u = self._trial(steps[pending], replicas[pending], place)
            v = 1 + c * z
            v = v * v * v
            # for v <= 0 the logarithm is a meaningless number, and the proposal is refused
            accepted = (v > 0) & (log(u) < 0.5 * (z * z) + d - d * v + d * log(v))
            value[pending[accepted]] = (d * v)[accepted]
            pending = pending[~accepted]
            n = len(pending)
            place += 1
        return value.reshape(count, self.replicas, 1)

    def _trial(self, steps: Any, replicas: Any, place: int) -> tuple[Any, Any]:
        """An attempt by pair of step and replica, (n,): the first normal of block 0, the uniform of block 1."""
        block, word = self._numbers(0, 2)[:, None], self._numbers(place, 1)
        words = philox((block, steps, replicas, word), self.seed, self.xp)
        z = self.xp.empty((len(steps), 1))
        normals(tuple(w[0, :, None] for w in words), z, self.xp)
        return z[:, 0], uniform(joined(words[0][1], words[1][1]))

    def _numbers(self, begin: int, count: int) -> Any:
        return self.xp.arange(begin, begin + count, dtype="uint64")


@dataclass(frozen=True)
class Draw:
    """The random numbers of one stage of one step; what is handed out is the caller's to change.

    Vectors are (replicas, d), numbers (replicas, 1); in a batch (replicas, samples, d) and (replicas, samples, 1).

    Attributes
    ----------
    samples : those of a batch; None outside.
    whole : whether they are all of the batch's, so that the numbers of following steps may be made along with them.
    """

    draws: Draws
    step: int
    stage: int
    samples: range | None = None
    whole: bool = True

    def normal(self, stream: int) -> Any:
        """A vector of standard normals."""
        return self._vector(stream, ("normal",), self.draws.dtype, self._normals)

    def three_point(self, stream: int, chance: Any) -> Any:
        """Variables +-chance^-1/2 with the probability `chance`, else 0: mean 0, variance 1, kurtosis 1 / chance.

        Parameters
        ----------
        chance : float64: (d,) for a vector, or a number a replica for such a number.
        """
        draws = self.draws
        if chance.ndim == 1:
            word = self._vector(stream, ("words",), "int64", lambda words, out: _words(words, out, draws.per))
        else:
            word = self._number(stream, ("word",), "int64", lambda words, out: _words(words, out, 1))
        xp = word.__array_namespace__()
        kind = getattr(xp, draws.dtype)
        limit = xp.asarray(xp.ceil(chance * WORD), dtype=word.dtype)  # a whole number is below both or below neither
        hit, odd = (xp.asarray(bits, dtype=xp.int8) for bits in (word < limit, word & 1))
        return xp.asarray(hit * (1 - 2 * odd), dtype=kind) * xp.asarray(1 / xp.sqrt(chance), dtype=kind)

    def number(self, stream: int, index: int = 0) -> Any:
        """A standard normal a replica; outside a batch, that of an index."""
        return self._number(stream, ("number",), self.draws.dtype, self._normals, index)

    def integer(self, stream: int, high: int) -> Any:
        """A whole number from 0 to ``high - 1`` (high at most 2^32) a replica, int64."""
        return self._number(stream, ("integer", high), "int64", lambda words, out: _integers(words, out, high))

    def place(self, stream: int, below: Any) -> Any:
        """An index a replica; `below`: float64, 2^32 times the chance of a smaller one, for each index but 0."""
        number = self.integer(stream, WORD)
        xp = number.__array_namespace__()
        return xp.searchsorted(below, xp.asarray(number, dtype=below.dtype), side="right")

    def chi_square(self, stream: int, dof: int) -> Any:
        """A chi-square number a replica, outside a batch; `dof` whole degrees of freedom, at least 1."""
        draws, place = self.draws, _place(self.stage, stream)

        def make(step: int, count: int) -> Any:
            if dof > 1:
                return (2 * draws.gammas(step, count, place, dof / 2)).astype(draws.dtype)
            z = draws.xp.empty((count, draws.replicas, 1, 1))
            draws.fill(z, step, place, range(1), self._normals)
            return (z * z)[:, :, 0].astype(draws.dtype)

        return draws.take(self.step, ("chi_square", self.stage, stream, dof), 1, make)

    def mean(self, batch: int, body: Callable[..., tuple[Any, ...]], errors: tuple[Any, ...]) -> tuple[Any, ...]:
        """Means of vectors over the samples of a batch.

        Samples are added in their order, so that a mean does not depend on how many are drawn at once.

        Parameters
        ----------
        body : ``body(draw, *errors)``, vectors of samples: (replicas, samples, d), or what has a method ``onto`` that
            adds them to a total in place.
        errors : vectors that the body reads, handed to it as (replicas, 1, d).
        """
        draws, like = self.draws, errors[0]
        spread = tuple(error[:, None, :] for error in errors)
        totals: list[Any] = []
        end, blocks = 0, -(-draws.dim // draws.per)
        while end < batch:
            begin, end = end, min(batch, end + max(1, 2 * draws.tile // (draws.replicas * blocks)))
            terms = body(replace(self, samples=range(begin, end), whole=end - begin == batch), *spread)
            totals = totals or [like.__array_namespace__().zeros_like(like) for _ in terms]
            for total, term in zip(totals, terms, strict=True):
                _add(total, term)
            if all(hasattr(term, "onto") for term in terms):
                blocks = 1  # there are no vectors to hold
        return tuple(total / batch for total in totals)

    def _normals(self, words: Words, out: Any) -> None:
        normals(words, out, self.draws.xp)

    def _vector(self, stream: int, kind: tuple[Any, ...], dtype: str, convert: _Convert) -> Any:
        return self.made(stream, kind, self.draws.dim, -(-self.draws.dim // self.draws.per), dtype, convert)

    def _number(self, stream: int, kind: tuple[Any, ...], dtype: str, convert: _Convert, index: int = 0) -> Any:
        return self.made(stream, kind, 1, 1, dtype, convert, index)

    def made(
        self, stream: int, kind: tuple[Any, ...], size: int, width: int, dtype: str, convert: _Convert, index: int = 0
    ) -> Any:
        """`size` numbers a replica and sample out of `width` blocks each."""
        draws, batch = self.draws, self.samples is not None
        samples = self.samples or range(index, index + 1)
        blocks = range(samples.start * width, samples.stop * width)
        if blocks.stop > WORD:
            raise InputError(f"a batch in {size} dimensions must have at most {WORD // width} samples")

        def make(step: int, count: int) -> Any:
            out = draws.xp.empty((count, draws.replicas, len(samples), size), dtype)
            draws.fill(out, step, _place(self.stage, stream), blocks, convert)
            return out if batch else out[:, :, 0]

        if not self.whole:
            return make(self.step, 1)[0]
        return draws.take(self.step, (*kind, self.stage, stream, blocks), len(blocks), make)


def _add(total: Any, terms: Any) -> None:
    """Add samples (replicas, samples, d), or what stands for them, to a total (replicas, d), one after the other."""
    if hasattr(terms, "onto"):
        terms.onto(total)
        return
    for sample in range(terms.shape[1]):
        total += terms[:, sample, :]
