"""The random numbers of the contract (see `philox`) as Numba source.

Vectors are made in loops split by kind of work, over all blocks of a tile: so the compiler vectorises each. Numbers of
which there is one a replica are made one by one.
"""

from __future__ import annotations

import math
from string import Template

from accelsim.simulation import philox
from accelsim.simulation.expressions import horner
from accelsim.simulation.layout import Layout
from accelsim.simulation.normals import DOUBLE, PRECISIONS, SINGLE, Precision

_WORDS = Template('''
@njit
def philox(block, time, replica, place, key0, key1):
    """The four words of a block."""
    c0, c1, c2, c3 = block, time, replica, place
    for _ in range($rounds):
        p0, p1 = (c0 & LOW) * u64($m0), (c2 & LOW) * u64($m1)
        c0, c1, c2, c3 = (p1 >> S32) ^ c1 ^ key0, p1 & LOW, (p0 >> S32) ^ c3 ^ key1, p0 & LOW
        key0, key1 = (key0 + u64($w0)) & LOW, (key1 + u64($w1)) & LOW
    return c0, c1, c2, c3


@njit
def fill_words(words, block0, time, replica0, place, key0, key1):
    """The words of all blocks of a tile."""
    for l in range($lanes):
        c0, c1, c2, c3 = $block, time, $replica, place
        a, b = key0, key1
        for _ in range($rounds):
            p0, p1 = (c0 & LOW) * u64($m0), (c2 & LOW) * u64($m1)
            c0, c1, c2, c3 = (p1 >> S32) ^ c1 ^ a, p1 & LOW, (p0 >> S32) ^ c3 ^ b, p0 & LOW
            a, b = (a + u64($w0)) & LOW, (b + u64($w1)) & LOW
        words[l] = u32(c0)
        words[$lanes + l] = u32(c1)
        words[2 * $lanes + l] = u32(c2)
        words[3 * $lanes + l] = u32(c3)


@njit
def integer(block, time, replica, place, key0, key1, high):
    """A whole number below `high`."""
    w0, w1, _, _ = philox(block, time, replica, place, key0, key1)
    return int64((w0 * u64(high) + ((w1 * u64(high)) >> S32)) >> S32)


@njit
def position(below, number):
    """Number of entries of an ascending table that do not exceed a number."""
    low, high = 0, len(below)
    while low < high:
        middle = (low + high) // 2
        if below[middle] <= number:
            low = middle + 1
        else:
            high = middle
    return low
''')

_NUMBER = Template('''
@njit
def log_$float(x, bits):
    """Natural logarithm; `bits` is a place to look at a number's bits in."""
    floats = bits.view($float)
    floats[0] = x
    moved = $signed(bits[0] + $signed($one_less_root))
    bits[0] = $signed($signed(moved & $signed($mask)) + $signed($root))
    m = floats[0]
    s = (m - $float(1)) / (m + $float(1))
    z = s * s
    return ($log) * s + $float($signed(moved >> $signed($mantissa)) - $signed($bias)) * $float($ln2)


@njit
def normal_$float(words, bits):
    """The normal of a block's first coordinate."""
    w0, w1, w2, w3 = words
    r = sqrt(-log_$float($uniform, bits))
    b = $angle
    z = b * b
    n = (($cosine) - ($sine) * b) * r
    return -n if $last & u64(1) else n
''')

_CHI_SQUARES = """
@njit
def chi_squares(out, start, count, time, replica, place, key0, key1, dof, bits):
    \"\"\"Chi squares, one a replica, by Marsaglia and Tsang's rejection.\"\"\"
    d = dof / 2 - 1 / 3
    c = 1 / math.sqrt(9 * d) if dof > 1 else 0.0
    for l in range(count):
        attempt, value = u64(0), -1.0
        while value < 0:
            z = normal_float64(philox(u64(0), time, replica + u64(l), place + attempt, key0, key1), bits)
            if dof == 1:
                value = z * z
            else:
                v = 1 + c * z
                v = v * v * v
                if v > 0:
                    w0, w1, w2, w3 = philox(u64(1), time, replica + u64(l), place + attempt, key0, key1)
                    u = (float64(int64(((w0 << S32) | w1) >> u64(11))) + 1.0) * 2.0**-53
                    if log_float64(u, bits) < 0.5 * (z * z) + d - d * v + d * log_float64(v, bits):
                        value = 2 * (d * v)
            attempt += u64(1)
        out[start + l] = real(value)
"""

_NORMALS = Template('''
@njit
def normals(out, block0, time, replica0, place, key0, key1, words, last, waste, bits):
    """Standard normals for all numbers of a tile: Box-Muller on a quarter of the circle, with signs."""
    fill_words(words, block0, time, replica0, place, key0, key1)
    for h in range($pairs):
        for l in range($lanes):
            waste[h * $lanes + l] = $uniform
    for i in range($half):
        moved = $signed(bits[i] + $signed($one_less_root))
        bits[$half + i] = $signed(moved >> $signed($mantissa)) - $signed($bias)
        bits[i] = $signed($signed(moved & $signed($mask)) + $signed($root))
    for h in range($pairs):
        for l in range($lanes):
            i = h * $lanes + l
            s = (waste[i] - real(1)) / (waste[i] + real(1))
            z = s * s
            r = sqrt(-(($log) * s + real(bits[$half + i]) * real($ln2)))
            b = $angle
            z = b * b
            c = $cosine
            s = ($sine) * b
            even, odd = np.$float((c - s) * r), np.$float((c + s) * r)
            v = $signed($last)
            even_bits = np.$signed(even.view(np.$signed) ^ $signed(v << $signed($top)))
            odd_bits = np.$signed(odd.view(np.$signed) ^ $signed($signed(v >> $signed(1)) << $signed($top)))
            out[2 * h * $lanes + l] = even_bits.view(np.$float)
            out[(2 * h + 1) * $lanes + l] = odd_bits.view(np.$float)
''')


def _words_in(p: Precision, words: list[str], last: str) -> dict[str, str]:
    """Uniform number, angle, and the word with the signs, from what a pair's words are called."""
    if p is SINGLE:
        a, b = words
        return {
            "uniform": f"float32(u32({a})) * float32({2.0**-32!r}) + float32({2.0**-33!r})",
            "angle": f"float32(int32(u32({b}))) * float32({math.pi / 4 * 2.0**-31!r})",
            "last": last or b,
        }
    high, low = (f"((u64({a}) << S32) | u64({b}))" for a, b in (words[:2], words[2:]))
    return {
        "uniform": f"(float64(int64({high} >> u64(11))) + 1.0) * {2.0**-53!r}",
        "angle": f"float64(int64({low}) >> 11) * {math.pi / 4 * 2.0**-52!r}",
        "last": last or words[3],
    }


def _formulas(p: Precision) -> dict[str, object]:
    root = p.sqrt_half
    return {
        "float": p.name,
        "signed": p.signed,
        "log": horner((*p.log, 2.0), p.name),
        "sine": horner((*p.sine, 1.0), p.name),
        "cosine": horner((*p.cosine, 1.0), p.name),
        "ln2": repr(math.log(2)),
        "mantissa": p.mantissa,
        "mask": (1 << p.mantissa) - 1,
        "bias": p.bias,
        "root": root,
        "one_less_root": (p.bias << p.mantissa) - root,
        "top": 31 if p is SINGLE else 63,
    }


def source(layout: Layout) -> str:
    """Functions that fill a layout's tiles with normals and words, and make numbers one a replica."""
    p = PRECISIONS[layout.dtype]
    lanes, pairs = layout.lanes, p.per // 2
    m0, m1 = philox.MULTIPLIERS
    w0, w1 = philox.WEYL
    counter = {
        "block": "block0" if layout.across else "block0 + u64(l)",
        "replica": "replica0 + u64(l)" if layout.across else "replica0",
    }
    constants = {"rounds": philox.ROUNDS, "m0": m0, "m1": m1, "w0": w0, "w1": w1, "lanes": lanes}
    parts = [_WORDS.substitute(constants, **counter)]
    for kind in dict.fromkeys((DOUBLE, p)):
        called = ["w0", "w1"] if kind is SINGLE else ["w0", "w1", "w2", "w3"]
        parts.append(_NUMBER.substitute({**_formulas(kind), **_words_in(kind, called, "")}))
    parts.append(_CHI_SQUARES)
    places = [f"words[2 * h * {lanes} + l]", f"words[(2 * h + 1) * {lanes} + l]"]
    if p is DOUBLE:
        places = [f"words[{k * lanes} + l]" for k in range(4)]
    filled = _words_in(p, places, places[-1].replace("words", "last"))
    parts.append(_NORMALS.substitute({**_formulas(p), **filled}, lanes=lanes, pairs=pairs, half=pairs * lanes))
    return "\n".join(parts).strip("\n")
