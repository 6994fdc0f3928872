"""The random numbers of the contract (see `philox`) as CUDA source; each thread makes all numbers of a block."""

from __future__ import annotations

import math
from string import Template

from accelsim.simulation import philox
from accelsim.simulation.expressions import horner
from accelsim.simulation.normals import DOUBLE, PRECISIONS, SINGLE, Precision

_WORDS = Template("""
struct Words { u32 w[4]; };

// The four words of a block: Philox-4x32-10.
__device__ Words philox(u32 c0, u32 c1, u32 c2, u32 c3, u32 key0, u32 key1) {
    for (int round = 0; round < $rounds; ++round) {
        u32 high0 = __umulhi(${m0}u, c0), low0 = ${m0}u * c0;
        u32 high1 = __umulhi(${m1}u, c2), low1 = ${m1}u * c2;
        c0 = high1 ^ c1 ^ key0;
        c1 = low1;
        c2 = high0 ^ c3 ^ key1;
        c3 = low0;
        key0 += ${w0}u;
        key1 += ${w1}u;
    }
    return {c0, c1, c2, c3};
}

__device__ double unit(u32 high, u32 low) {
    return (double((i64)((((u64)high << 32) | low) >> 11)) + 1.0) * $unit;
}

// A whole number below `high`.
__device__ i64 integer(Words words, i64 high) {
    return (i64)(((u64)words.w[0] * high + (((u64)words.w[1] * high) >> 32)) >> 32);
}

// How many of a table's ascending numbers do not exceed a number.
__device__ i64 position(const double* below, i64 size, i64 number) {
    i64 low = 0, high = size;
    while (low < high) {
        i64 middle = (low + high) / 2;
        if (below[middle] <= number) low = middle + 1; else high = middle;
    }
    return low;
}
""")

_PAIR = Template("""
__device__ $float log_$float($float x) {
    union { $float number; $signed bits; } m = {x};
    $signed moved = m.bits + $signed($one_less_root);
    m.bits = (moved & $signed($mask)) + $signed($root);
    $float s = (m.number - $float(1)) / (m.number + $float(1));
    $float z = s * s;
    return ($log) * s + $float((moved >> $mantissa) - $bias) * $float($ln2);
}

// A number, its sign flipped where a word's bit is set.
__device__ $float flipped_$float($float x, u32 word, int bit) {
    union { $float number; $unsigned bits; } n = {x};
    n.bits ^= ($unsigned)(word >> bit & 1) << $sign;
    return n.number;
}

// Two normals: Box-Muller on a quarter of the circle, with signs.
__device__ void pair_$float($parameters, $float* even, $float* odd) {
    $float r = sqrt(-log_$float($uniform));
    $float b = $angle;
    $float z = b * b;
    $float c = $cosine;
    $float s = ($sine) * b;
    *even = flipped_$float((c - s) * r, $last, 0);
    *odd = flipped_$float((c + s) * r, $last, 1);
}
""")

_CHI_SQUARE = """
// A chi square, by Marsaglia and Tsang's rejection.
__device__ real chi_square(u32 time, u32 replica, u32 place, u32 key0, u32 key1, i64 dof) {
    double d = dof / 2.0 - 1 / 3.0;
    double c = dof > 1 ? 1 / sqrt(9 * d) : 0.0;
    for (;; ++place) {
        Words w = philox(0, time, replica, place, key0, key1);
        double z, odd;
        pair_double(w.w[0], w.w[1], w.w[2], w.w[3], &z, &odd);
        if (dof == 1) return real(z * z);
        double v = 1 + c * z;
        v = v * v * v;
        if (v > 0) {
            w = philox(1, time, replica, place, key0, key1);
            double u = unit(w.w[0], w.w[1]);
            if (log_double(u) < 0.5 * (z * z) + d - d * v + d * log_double(v)) return real(2 * (d * v));
        }
    }
}
"""

_THREE_POINT = """
// +-chance^-1/2 with a probability, else 0.
__device__ real three_point(Words words, const i64* chance, const double* size, i64 index) {
    i64 word = words.w[0];
    real value = word < chance[index] ? real(size[index]) : real(0);
    return word & 1 ? -value : value;
}
"""

_NORMALS = {
    2: """
// Standard normals, one a coordinate of a block.
__device__ void normals(real* out, Words w) {
    pair_double(w.w[0], w.w[1], w.w[2], w.w[3], out, out + 1);
}

// The normal of a block's first coordinate.
__device__ real normal(Words w) {
    real even, odd;
    pair_double(w.w[0], w.w[1], w.w[2], w.w[3], &even, &odd);
    return even;
}
""",
    4: """
// Standard normals, one a coordinate of a block.
__device__ void normals(real* out, Words w) {
    pair_float(w.w[0], w.w[1], out, out + 1);
    pair_float(w.w[2], w.w[3], out + 2, out + 3);
}

// The normal of a block's first coordinate.
__device__ real normal(Words w) {
    real even, odd;
    pair_float(w.w[0], w.w[1], &even, &odd);
    return even;
}
""",
}


def _pair(p: Precision) -> str:
    number, signed, unsigned = ("float", "int", "u32") if p is SINGLE else ("double", "i64", "u64")
    if p is SINGLE:
        words = {
            "parameters": "u32 radius, u32 turn",
            "uniform": f"float(radius) * float({2.0**-32!r}) + float({2.0**-33!r})",
            "angle": f"float((int)turn) * float({math.pi / 4 * 2.0**-31!r})",
            "last": "turn",
        }
    else:
        words = {
            "parameters": "u32 w0, u32 w1, u32 w2, u32 w3",
            "uniform": "unit(w0, w1)",
            "angle": f"double((i64)(((u64)w2 << 32) | w3) >> 11) * {math.pi / 4 * 2.0**-52!r}",
            "last": "w3",
        }
    return _PAIR.substitute(
        words,
        float=number,
        signed=signed,
        unsigned=unsigned,
        sign=31 if p is SINGLE else 63,
        log=horner((*p.log, 2.0), number),
        sine=horner((*p.sine, 1.0), number),
        cosine=horner((*p.cosine, 1.0), number),
        ln2=repr(math.log(2)),
        mantissa=p.mantissa,
        mask=(1 << p.mantissa) - 1,
        bias=p.bias,
        root=p.sqrt_half,
        one_less_root=(p.bias << p.mantissa) - p.sqrt_half,
    )


def source(dtype: str) -> str:
    """Functions that make the numbers of a block, and numbers one a replica."""
    p = PRECISIONS[dtype]
    (m0, m1), (w0, w1) = philox.MULTIPLIERS, philox.WEYL
    words = _WORDS.substitute(rounds=philox.ROUNDS, m0=m0, m1=m1, w0=w0, w1=w1, unit=repr(2.0**-53))
    pairs = [_pair(kind) for kind in dict.fromkeys((DOUBLE, p))]
    return "\n".join([words, *pairs, _CHI_SQUARE, _THREE_POINT, _NORMALS[p.per]]).strip("\n")
