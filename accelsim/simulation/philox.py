"""Counter-based random numbers: Philox-4x32-10, where each number is a function of what it is for.

The contract, which every engine reproduces
-------------------------------------------
Key: the 64-bit seed, low word first. Counter, four words of 32 bits:

====  ==================================================================
word  holds
====  ==================================================================
0     block: coordinates 2i and 2i + 1 share block i
1     step
2     replica
3     stage << 24 | stream << 16 | attempt
====  ==================================================================

*Stage* counts the `yield`s of a step, *stream* names a purpose within a stage, *attempt* counts the tries of a
rejection method (0 where nothing is rejected). A kernel can thus make any number in place, in any order. The
output words w0..w3 of a block are used as two whole numbers of 64 bits, W = w0 << 32 | w1 and V = w2 << 32 | w3:

* uniform:  ((W >> 11) + 1) 2^-53 in (0, 1] for the even coordinate, the same of V for the odd one;
* normals:  Box-Muller on a quarter of the circle, with signs: r = sqrt(-log uniform(W)), b = (pi/4 2^-52) (signed
  V >> 11); r (cos b - sin b) with its sign flipped by bit 0 of V (even coordinate), r (cos b + sin b) by bit 1 (odd);
* integers below n <= 2^32: the upper 64 bits of W n (even coordinate), of V n (odd one). No outcome's probability is
  off by more than 2^-64, a relative 2^-32 at most;
* chi squares: 0 for 0 degrees of freedom, the square of the normal of coordinate 0 for one, else Marsaglia and Tsang's
  method; attempt k takes the normal of coordinate 0 and the uniform of coordinate 2.

`log`, `cosine` and `sine` are written out in additions, multiplications, divisions and square roots, each correctly
rounded by IEEE 754, evaluated as they stand (no fused multiply-add). So the numbers are the same bits on every machine,
whatever its mathematics library. Single-precision runs use the same numbers, rounded.

References
----------
Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", doi:10.1145/2063384.2063405.
Marsaglia, Tsang 2000, "A simple method for generating gamma variables", doi:10.1145/358407.358414.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

TILE = 2**14  # blocks made at once: their buffers stay in a core's own cache
WORD = 2**32
_LOW = WORD - 1
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_BROADCAST_ROUNDS = 2  # after two rounds every word depends on every counter word that varies

# Minimax coefficients of FreeBSD's msun (e_log.c, k_sin.c, k_cos.c), errors below 2^-57
_LOG = (
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)
_SIN = (
    1.58969099521155010221e-10,
    -2.50507602534068634195e-08,
    2.75573137070700676789e-06,
    -1.98412698298579493134e-04,
    8.33333333332248946124e-03,
    -1.66666666666666324348e-01,
)
_COS = (
    -1.13596475577881948265e-11,
    2.08757232129817482790e-09,
    -2.75573143513906633035e-07,
    2.48015872894767294178e-05,
    -1.38888888888741095749e-03,
    4.16666666666666019037e-02,
    -0.5,
)
_ONE, _SQRT_HALF, _MANTISSA = 0x3FF0000000000000, 0x3FE6A09E00000000, 0x000FFFFFFFFFFFFF


def philox(counter: tuple[Any, Any, Any, Any], seed: int, xp: Any = np) -> tuple[Any, Any, Any, Any]:
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
    m0, m1 = _MULTIPLIERS
    c0, c1, c2, c3 = counter
    for _ in range(_BROADCAST_ROUNDS):
        p0, p1 = c0 * m0, c2 * m1
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ key[0], p1 & _LOW, (p0 >> 32) ^ c3 ^ key[1], p0 & _LOW
        key = [(k + w) & _LOW for k, w in zip(key, _WEYL, strict=True)]
    c0, c1, c2, c3 = (xp.array(c, order="C") for c in xp.broadcast_arrays(c0, c1, c2, c3))
    p0, p1 = xp.empty_like(c0), xp.empty_like(c0)
    for _ in range(_ROUNDS - _BROADCAST_ROUNDS):
        xp.multiply(c0, m0, out=p0)
        xp.multiply(c2, m1, out=p1)
        for p, c, low, k in ((p1, c0, c1, key[0]), (p0, c2, c3, key[1])):
            xp.right_shift(p, 32, out=c)
            c ^= low
            c ^= k
            p &= _LOW
        c1, c3, p0, p1 = p1, p0, c1, c3
        key = [(k + w) & _LOW for k, w in zip(key, _WEYL, strict=True)]
    return c0, c1, c2, c3


def _polynomial(z: Any, coefficients: tuple[float, ...]) -> Any:
    """Horner's rule, highest power first."""
    value = z * coefficients[0]
    for c in coefficients[1:-1]:
        value += c
        value *= z
    value += coefficients[-1]
    return value


def log(x: Any) -> Any:
    """Natural logarithm of positive, normal float64 arrays, within 3 units in the last place."""
    bits = x.view("int64") + (_ONE - _SQRT_HALF)
    exponent = (bits >> 52) - 1023
    bits &= _MANTISSA
    bits += _SQRT_HALF
    m = bits.view("float64")  # x = m 2^exponent, m in [sqrt(1/2), sqrt(2))
    s = m - 1
    m += 1
    s /= m  # log m = 2 artanh s
    value = _polynomial(s * s, (*_LOG, 2.0))
    value *= s
    value += exponent * math.log(2)
    return value


def cosine(b: Any) -> Any:
    """Cosine of float64 arrays in [-pi/4, pi/4]."""
    return _polynomial(b * b, (*_COS, 1.0))


def sine(b: Any) -> Any:
    """Sine of float64 arrays in [-pi/4, pi/4]."""
    value = _polynomial(b * b, (*_SIN, 1.0))
    value *= b
    return value


def _joined(high: Any, low: Any) -> Any:
    """Two words as one whole number of 64 bits, in the place of the first."""
    high <<= 32
    high |= low
    return high


def _uniform(whole: Any) -> Any:
    """((whole >> 11) + 1) 2^-53, in (0, 1]."""
    u = (whole >> 11).view("int64").astype("float64")
    u += 1
    u *= 2.0**-53
    return u


def _normals(words: tuple[Any, Any, Any, Any], out: Any, xp: Any) -> None:
    """Two normals a block, into the even and odd columns of `out`."""
    r = log(_uniform(_joined(*words[:2])))
    xp.negative(r, out=r)
    xp.sqrt(r, out=r)
    whole = _joined(*words[2:])
    b = (whole.view("int64") >> 11).astype("float64")
    b *= math.pi / 4 * 2.0**-52
    c, s = cosine(b), sine(b)
    for k, combine in enumerate((xp.subtract, xp.add)):
        n = combine(c, s, out=b)
        n *= r
        bits = n.view("uint64")
        bits ^= (whole >> k) << 63
        columns = out[..., k::2]
        columns[...] = n[..., : columns.shape[-1]]


def _integers(words: tuple[Any, Any, Any, Any], out: Any, high: int) -> None:
    """Two whole numbers below `high` a block, into the even and odd columns of `out`."""
    for k in (0, 1):
        upper, lower = words[2 * k], words[2 * k + 1]
        lower *= high
        lower >>= 32
        upper *= high
        upper += lower
        upper >>= 32
        columns = out[..., k::2]
        columns[...] = upper[..., : columns.shape[-1]]


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
    """The random numbers of a run: each depends on (seed, replica, step, stage, stream, coordinate) only.

    Parameters
    ----------
    seed : 64 bits, at least 0.
    replicas : how many.
    xp : the array module, NumPy or CuPy.
    first : number of the first replica (a run may be made in parts).
    dtype : of the normals and chi squares handed out.
    tile : how many blocks to make at once.

    Notes
    -----
    Where a step needs less than a tile, the numbers of following steps are made along with it; since each number is a
    function of its counter alone, this changes nothing but the time.
    """

    def __init__(
        self, seed: int, replicas: int, xp: Any = np, *, first: int = 0, dtype: str = "float64", tile: int = TILE
    ) -> None:
        self.seed, self.replicas, self.first, self.dtype, self.xp, self._tile = seed, replicas, first, dtype, xp, tile
        self._ahead: dict[tuple[Any, ...], _Ahead] = {}

    def at(self, step: int, stage: int = 0) -> Draw:
        """The numbers of one stage of one step."""
        return Draw(self, step, stage)

    def take(self, step: int, key: tuple[Any, ...], width: int, make: Callable[[int, int], Any]) -> Any:
        """A step's part of ``make(step, count)``, which makes (count, replicas, ...) numbers; `width` blocks a replica.

        Steps that come in order are made together, ever more of them up to a tile. Each part is handed out once, so
        that the caller may change it.
        """
        ahead = self._ahead.get(key)
        if ahead is None or ahead.step != step:
            ahead = _Ahead(step, 0, make(step, 1))
        elif ahead.used == len(ahead.made):
            count = min(2 * ahead.used, max(1, self._tile // (self.replicas * width)))
            ahead = _Ahead(step, 0, make(step, count))
        self._ahead[key] = _Ahead(step + 1, ahead.used + 1, ahead.made)
        return ahead.made[ahead.used]

    def fill(self, out: Any, step: int, place: int, convert: Callable[[Any, Any], None]) -> Any:
        """Have `out`, (count, replicas, size), filled by ``convert(words, part of out)``, about a tile at a time."""
        count, _, size = out.shape
        blocks = (size + 1) // 2
        rows = max(1, self._tile // (count * blocks))
        block, steps = self._numbers(0, blocks), self._numbers(step, count)[:, None, None]
        for begin in range(0, self.replicas, rows):
            part = out[:, begin : begin + rows]
            replicas = self._numbers(self.first + begin, part.shape[1])[:, None]
            convert(philox((block, steps, replicas, self._numbers(place, 1)), self.seed, self.xp), part)
        return out

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
        """An attempt by pair of step and replica, (n,): the normal of coordinate 0, the uniform of coordinate 2."""
        block, word = self._numbers(0, 2)[:, None], self._numbers(place, 1)
        words = philox((block, steps, replicas, word), self.seed, self.xp)
        z = self.xp.empty((len(steps), 1))
        _normals(tuple(w[0, :, None] for w in words), z, self.xp)
        return z[:, 0], _uniform(_joined(words[0][1], words[1][1]))

    def _numbers(self, begin: int, count: int) -> Any:
        return self.xp.arange(begin, begin + count, dtype="uint64")


@dataclass(frozen=True)
class Draw:
    """The random numbers of one stage of one step; what is handed out is the caller's to change."""

    draws: Draws
    step: int
    stage: int

    def normal(self, stream: int, size: int) -> Any:
        """Standard normals, (replicas, size)."""
        draws, xp = self.draws, self.draws.xp

        def make(step: int, count: int) -> Any:
            out = xp.empty((count, draws.replicas, size), draws.dtype)
            return draws.fill(out, step, _place(self.stage, stream), lambda words, part: _normals(words, part, xp))

        return draws.take(self.step, ("normal", self.stage, stream, size), (size + 1) // 2, make)

    def chi_square(self, stream: int, dof: int) -> Any:
        """Chi-square numbers, (replicas, 1); `dof` a whole number of degrees of freedom, with 0 the number 0."""
        draws = self.draws
        if dof == 0:
            return draws.xp.zeros((draws.replicas, 1), draws.dtype)
        if dof == 1:
            z = self.normal(stream, 1)
            return z * z

        def make(step: int, count: int) -> Any:
            gammas = draws.gammas(step, count, _place(self.stage, stream), dof / 2)
            return (2 * gammas).astype(draws.dtype, copy=False)

        return draws.take(self.step, ("chi_square", self.stage, stream, dof), 1, make)

    def integers(self, stream: int, high: int, size: int) -> Any:
        """Whole numbers from 0 to ``high - 1`` (high at most 2^32), int64, (replicas, size)."""
        draws = self.draws

        def make(step: int, count: int) -> Any:
            out = draws.xp.empty((count, draws.replicas, size), "int64")
            return draws.fill(out, step, _place(self.stage, stream), lambda words, part: _integers(words, part, high))

        return draws.take(self.step, ("integers", self.stage, stream, high, size), (size + 1) // 2, make)
