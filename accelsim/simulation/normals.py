"""Normals from words of 32 bits: Box-Muller on a quarter of the circle, in additions, multiplications and their like.

Each operation is rounded by IEEE 754 and evaluated as it stands (no fused multiply-add), so the numbers are the same
bits on every machine, whatever its mathematics library. The arrays are NumPy's or CuPy's: bits are taken through views.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

WORD = 2**32
Words = tuple[Any, Any, Any, Any]


@dataclass(frozen=True)
class Precision:
    """A floating-point format, and the elementary functions in it; coefficients with the highest power first.

    Attributes
    ----------
    name, signed, unsigned : names of the format and of the whole numbers of its size.
    mantissa, bias : bits of the mantissa, what is added to the exponent.
    sqrt_half : the bits of the square root of 1/2.
    log : of (log((1 + s) / (1 - s)) / s - 2) / s^2 in s^2.
    sine, cosine : of (sin x / x - 1) / x^2 and (cos x - 1) / x^2 in x^2.
    per : normals that a block of four words gives.
    """

    name: str
    signed: str
    unsigned: str
    mantissa: int
    bias: int
    sqrt_half: int
    log: tuple[float, ...]
    sine: tuple[float, ...]
    cosine: tuple[float, ...]
    per: int


# Minimax coefficients of FreeBSD's msun (e_log.c, k_sin.c, k_cos.c), errors below 2^-57
DOUBLE = Precision(
    name="float64",
    signed="int64",
    unsigned="uint64",
    mantissa=52,
    bias=1023,
    sqrt_half=0x3FE6A09E00000000,
    log=(
        1.479819860511658591e-01,
        1.531383769920937332e-01,
        1.818357216161805012e-01,
        2.222219843214978396e-01,
        2.857142874366239149e-01,
        3.999999999940941908e-01,
        6.666666666666735130e-01,
    ),
    sine=(
        1.58969099521155010221e-10,
        -2.50507602534068634195e-08,
        2.75573137070700676789e-06,
        -1.98412698298579493134e-04,
        8.33333333332248946124e-03,
        -1.66666666666666324348e-01,
    ),
    cosine=(
        -1.13596475577881948265e-11,
        2.08757232129817482790e-09,
        -2.75573143513906633035e-07,
        2.48015872894767294178e-05,
        -1.38888888888741095749e-03,
        4.16666666666666019037e-02,
        -0.5,
    ),
    per=2,
)
# Logarithm: FreeBSD's e_logf.c, error below 2^-34. Sine and cosine: minimax among the coefficients that the format
# has, errors below 2^-27.9 and 2^-24.8.
SINGLE = Precision(
    name="float32",
    signed="int32",
    unsigned="uint32",
    mantissa=23,
    bias=127,
    sqrt_half=0x3F3504F3,
    log=(0.24279078841209412, 0.2849878668785095, 0.40000972151756287, 0.6666666269302368),
    sine=(-0.00019517216423992068, 0.00833218451589346, -0.16666655242443085),
    cosine=(-0.0013597826473414898, 0.041656315326690674, -0.49999895691871643),
    per=4,
)
PRECISIONS = {precision.name: precision for precision in (DOUBLE, SINGLE)}


def _polynomial(z: Any, coefficients: tuple[float, ...]) -> Any:
    """Horner's rule, highest power first."""
    value = z * coefficients[0]
    for c in coefficients[1:-1]:
        value += c
        value *= z
    value += coefficients[-1]
    return value


def log(x: Any) -> Any:
    """Natural logarithm of positive, normal numbers, within 3 units in the last place."""
    p = PRECISIONS[x.dtype.name]
    bits = x.view(p.signed) + ((p.bias << p.mantissa) - p.sqrt_half)
    exponent = ((bits >> p.mantissa) - p.bias).astype(p.name)
    bits &= (1 << p.mantissa) - 1
    bits += p.sqrt_half
    m = bits.view(p.name)  # x = m 2^exponent, m in [sqrt(1/2), sqrt(2))
    s = m - 1
    m += 1
    s /= m  # log m = 2 artanh s
    value = _polynomial(s * s, (*p.log, 2.0))
    value *= s
    exponent *= math.log(2)
    value += exponent
    return value


def cosine(x: Any) -> Any:
    """Cosine of numbers in [-pi/4, pi/4]."""
    return _polynomial(x * x, (*PRECISIONS[x.dtype.name].cosine, 1.0))


def sine(x: Any) -> Any:
    """Sine of numbers in [-pi/4, pi/4]."""
    value = _polynomial(x * x, (*PRECISIONS[x.dtype.name].sine, 1.0))
    value *= x
    return value


def joined(high: Any, low: Any) -> Any:
    """Two words as one whole number of 64 bits, in the place of the first."""
    high <<= 32
    high |= low
    return high


def uniform(whole: Any) -> Any:
    """((whole >> 11) + 1) 2^-53, in (0, 1]."""
    u = (whole >> 11).view("int64").astype("float64")
    u += 1
    u *= 2.0**-53
    return u


def _single(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Uniform number, angle and the word with the signs, from two words."""
    u = a.astype("uint32").astype("float32")
    u *= 2.0**-32
    u += 2.0**-33
    word = b.astype("uint32")
    angle = word.view("int32").astype("float32")
    angle *= math.pi / 4 * 2.0**-31
    return u, angle, word


def _double(words: Words) -> tuple[Any, Any, Any]:
    u = uniform(joined(*words[:2]))
    whole = joined(*words[2:])
    angle = (whole.view("int64") >> 11).astype("float64")
    angle *= math.pi / 4 * 2.0**-52
    return u, angle, whole


def normals(words: Words, out: Any, xp: Any) -> None:
    """Normals of blocks (..., blocks) into `out`, (..., size), in its precision; the words are used up."""
    p, size = PRECISIONS[out.dtype.name], out.shape[-1]
    for first in range(0, min(p.per, size), 2):
        radius, angle, signs = _double(words) if p is DOUBLE else _single(*words[first : first + 2])
        radius = log(radius)
        xp.negative(radius, out=radius)
        xp.sqrt(radius, out=radius)
        c, s = cosine(angle), sine(angle)
        for k, combine in enumerate((xp.subtract, xp.add)):
            n = combine(c, s, out=angle)
            n *= radius
            bits = n.view(p.unsigned)
            bits ^= (signs >> k) << (8 * n.itemsize - 1)
            columns = out[..., first + k :: p.per]
            columns[...] = n[..., : columns.shape[-1]]
