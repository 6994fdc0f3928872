"""Pairs of rules made by chance that are easily decided: the same in other states, or nearly so."""

import random
from fractions import Fraction

from accelsim.elementary import first, sign, sqrt, total, where
from accelsim.rule import Hyperparameter, Optimizer, momentum, positive, step_size

RATE = Hyperparameter(low=0.1, high=0.9)
WAYS = ("dead", "double", "scaled", "dual", "first", "sign", "unit", "folded")


def _optimizer(name, rule, memories, positions="w", **hyperparameters):
    rule.__name__ = name
    starts = dict.fromkeys(memories.split(), 0)
    return Optimizer(name, rule, tuple(positions.split()), starts, "w", hyperparameters=hyperparameters)


def _factor(chance, sizes=(2, 3, 5)):
    return Fraction(chance.choice(sizes), chance.choice((1, 7)))


def dead(chance, wrong):
    """A memory that nothing reads, and in the wrong one is read a little."""
    k, little = _factor(chance), Fraction(int(wrong), 11)

    def one(s, t, h):
        g = yield s.w
        m = h.r * s.m + g
        return dict(w=s.w - h.lr * (k * m + g), m=m)

    def other(s, t, h):
        g = yield s.w
        m, d = h.r * s.m + g, s.d / 3 + g
        return dict(w=s.w - h.lr * (k * m + g + little * s.d), m=m, d=d)

    return one, other, "m", "m d", {}


def double(chance, wrong):
    """A memory in two parts, which in the wrong one decay at different rates."""
    k, apart = _factor(chance), Fraction(int(wrong), 9)

    def one(s, t, h):
        g = yield s.w
        m, n = h.r * s.m + k * g, (h.r - apart) * s.n + g
        return dict(w=s.w - h.lr * (m + n), m=m, n=n)

    def other(s, t, h):
        g = yield s.w
        m = h.r * s.m + g
        return dict(w=s.w - h.lr * (k + 1) * m, m=m)

    return one, other, "m n", "m", {}


def scaled(chance, wrong):
    """A buffer in other units, which grow; the wrong one takes the old ones."""
    k = _factor(chance)

    def one(s, t, h):
        g = yield s.w
        m = h.r * s.m + g
        return dict(w=s.w - h.lr * m, m=m)

    def other(s, t, h):
        g = yield s.w
        m = (h.r * s.m * (t + k) + g) / (t + k + 1 - int(wrong))
        return dict(w=s.w - h.lr * (t + k + 1) * m, m=m)

    return one, other, "m", "m", {}


def dual(chance, wrong):
    """The start less a multiple of the sum of gradients; the wrong sum forgets."""
    k = _factor(chance)

    def one(s, t, h):
        g = yield s.w
        z = (1 - Fraction(int(wrong), 8)) * s.z + k * g
        return dict(w=s.x - h.lr * z, x=s.x, z=z)

    def other(s, t, h):
        g = yield s.w
        return dict(w=s.w - h.lr * k * g)

    return one, other, "z", "", {"positions": ("w x", "w")}


def first_step(chance, wrong):
    """A buffer that is something else at the first step, and one that is begun so; the wrong one at twice that."""
    k = _factor(chance)

    def one(s, t, h):
        g = yield s.w
        m = where(first(t), k * g, h.r * s.m + g)
        return dict(w=s.w - h.lr * m, m=m)

    def other(s, t, h):
        g = yield s.w
        m = h.r * s.m + where(first(t), k * (1 + int(wrong)), 1) * g
        return dict(w=s.w - h.lr * where(first(t), 1, 1) * m, m=m)

    return one, other, "m", "m", {}


def signed(chance, wrong):
    """The sign of a mixture, in other positive units; the wrong one is another mixture."""
    k = _factor(chance)

    def one(s, t, h):
        g = yield s.w
        m = h.r * s.m + (1 - h.r) * g
        return dict(w=s.w - h.lr * sign(k * (h.r * s.m + (1 - h.r) * g)), m=m)

    def other(s, t, h):
        g = yield s.w
        m = h.r * s.m + k * g
        return dict(w=s.w - h.lr * sign(h.r * s.m + k * g * (1 + 8 * int(wrong))), m=m)

    return one, other, "m", "m", {}


def unit(chance, wrong):
    """A step along a buffer over its length, in other positive units; the wrong one divides by something longer."""
    k = _factor(chance)

    def one(s, t, h):
        g = yield s.w
        m = h.r * s.m + (1 - h.r) * g
        return dict(w=s.w - h.lr * m / sqrt(total(m * m)), m=m)

    def other(s, t, h):
        g = yield s.w
        m = h.r * s.m + k * g
        return dict(w=s.w - h.lr * m / sqrt(total(m * m) + total(g * g) * int(wrong)), m=m)

    return one, other, "m", "m", {}


def folded(chance, wrong):
    """Second moments over the sum of their weights, as running means; the wrong ones are a step behind."""
    k = _factor(chance)

    def one(s, t, h):
        g = yield s.w
        v = h.r * s.v + (1 - h.r) * g * g
        return dict(w=s.w - h.lr * g / (sqrt(k * v / (1 - h.r ** (t + 1))) + h.eps), v=v)

    def other(s, t, h):
        g = yield s.w
        c = (1 - h.r) / (1 - h.r ** (t + 1 + int(wrong)))
        v = s.v + c * (k * g * g - s.v)
        return dict(w=s.w - h.lr * g / (sqrt(v) + h.eps), v=v)

    return one, other, "v", "v", {"eps": positive()}


MAKERS = dict(zip(WAYS, (dead, double, scaled, dual, first_step, signed, unit, folded), strict=True))


def easy_pair(way, seed, wrong=False):
    """Two rules: the same ones, or not the same at any hyperparameters that go by equal names."""
    chance = random.Random(f"{way} {seed}")
    one, other, ours, theirs, more = MAKERS[way](chance, wrong)
    more = dict(more)
    positions = more.pop("positions", ("w", "w"))
    rate = momentum() if way in ("sign", "unit", "folded") else RATE
    read = {"lr": step_size(), **({} if way == "dual" else {"r": rate}), **more}
    return tuple(
        _optimizer(f"{way}_{end}", rule, memories, where_, **read)
        for end, rule, memories, where_ in zip("ab", (one, other), (ours, theirs), positions, strict=True)
    )
