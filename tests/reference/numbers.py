"""Extended precision: mpmath numbers for scalars, whole numbers over a power of two for arrays.

A number of the private context `mp` answers what `accelsim.elementary` asks of it, so that a rule or a schedule that is
run on such numbers keeps their digits.
"""

import mpmath
import numpy as np

BITS = 420  # of the fraction of an array's numbers: what is below 1e-120 is lost, however large the others are
mp = mpmath.MPContext()
mp.prec = BITS + 60

FUNCTIONS = {
    "sqrt": mp.sqrt,
    "exp": mp.exp,
    "log": mp.log,
    "cos": mp.cos,
    "sign": mp.sign,
    "minimum": min,
    "maximum": max,
    "first": lambda t: t == 0,
    "where": lambda condition, a, b: a if condition else b,
}


def _called(self, name, *values):
    return FUNCTIONS[name](*values)


mp.mpf.traced_call = _called


def number(value):
    """The extended number that is exactly a float (or a whole number)."""
    return mp.mpf(value)


def fixed(values, bits=BITS):
    """Numbers as whole multiples of 2^-bits, in an object array of the same shape."""
    array = np.asarray(values, dtype=object)
    flat = [int(mp.nint(mp.ldexp(mp.mpf(value), bits))) for value in array.reshape(-1)]
    return np.array([*flat, None], dtype=object)[:-1].reshape(array.shape)


def extended(value, bits=BITS):
    """A whole multiple of 2^-bits as an extended number."""
    return mp.ldexp(mp.mpf(int(value)), -bits)


class Fixed:
    """Arrays of whole multiples of 2^-BITS: products keep every digit above that."""

    one = 1 << BITS
    of = staticmethod(fixed)

    @staticmethod
    def times(a, b):
        """Entrywise product."""
        return (a * b) >> BITS

    @staticmethod
    def dot(a, b):
        """Matrix product, over leading axes alike."""
        return np.matmul(a, b) >> BITS

    @staticmethod
    def number(value):
        """One of the numbers as an extended number."""
        return extended(value)


class Double:
    """The same in double precision, to screen many points with."""

    one = 1.0
    times = staticmethod(np.multiply)
    dot = staticmethod(np.matmul)
    number = staticmethod(float)

    @staticmethod
    def of(values):
        """Extended numbers, rounded."""
        return np.asarray(values, dtype=object).astype(float)
