"""Pairs of rules made by chance: the second one is the first in other states and other hyperparameters."""

import random
from fractions import Fraction

from accelsim.rule import Optimizer, real

STATES = ("n1", "n2", "n3")


def _nonzero(chance, size=3):
    return Fraction(chance.choice([-1, 1]) * chance.randint(1, size), chance.randint(1, size))


class _Change:
    """New memories s and a new position v by n_i = scale_i(t) s_i + sum over j < i, and w = v + sum shift_i(t) s_i."""

    def __init__(self, chance, memories, trivial=False):
        def along():
            return (Fraction(0), Fraction(0)) if trivial else (_nonzero(chance), chance.choice([0, _nonzero(chance)]))

        self.below = [[along() for _ in range(i)] for i in range(memories)]
        self.shifts = [along() for _ in range(memories)]
        self.scales = [Fraction(1) if trivial else _nonzero(chance) for _ in range(memories)]
        self.growing = [not trivial and chance.random() < 0.5 for _ in range(memories)]

    def scale(self, i, t):
        return self.scales[i] * (t + 2) if self.growing[i] else self.scales[i]

    def old(self, v, s, t):
        n = [
            self.scale(i, t) * s[i] + sum((c + k * t) * s[j] for j, (c, k) in enumerate(self.below[i]))
            for i in range(len(s))
        ]
        return v + sum((c + k * t) * s[i] for i, (c, k) in enumerate(self.shifts)), n

    def new(self, w, n, t):
        s = []
        for i in range(len(n)):
            rest = n[i] - sum((c + k * t) * s[j] for j, (c, k) in enumerate(self.below[i]))
            s.append(rest / self.scale(i, t))
        return w - sum((c + k * t) * s[i] for i, (c, k) in enumerate(self.shifts)), s


def _rule(name, memories, coefficients, change):
    """n+ = a n + b g, w+ = w + p n + q g, in changed states."""
    names = STATES[:memories]

    def rule(s, t, h):
        a, b, p, q = coefficients(h)
        w, n = change.old(s.v, [getattr(s, k) for k in names], t)
        g = yield w
        ahead = [sum(a[i][j] * n[j] for j in range(i + 1)) + b[i] * g for i in range(memories)]
        v, new = change.new(w + sum(p[i] * n[i] for i in range(memories)) + q * g, ahead, t + 1)
        return dict(v=v, **dict(zip(names, new, strict=True)))

    return Optimizer(name, rule, ("v",), dict.fromkeys(names, 0), "v", hyperparameters={"r": real(), "s": real()})


def pair(seed, memories, perturbed=False):
    """Two rules in hyperparameters r and s, the same but for the states and hyperparameters they are written in.

    Where perturbed, one coefficient of the second one is another number: r scales the step, so no r makes up for it.
    """
    chance = random.Random(f"{seed} {memories}")
    a = [[_nonzero(chance) for _ in range(i)] for i in range(memories)]
    decay = chance.sample([Fraction(k, 7) for k in (-5, -3, -2, 1, 2, 3, 4, 6)], memories)
    b, p = ([_nonzero(chance) for _ in range(memories)] for _ in range(2))
    q, scale, shift, mix = (_nonzero(chance) for _ in range(4))
    change = [Fraction(0)] * 3
    if perturbed:
        change[chance.randrange(3)] = _nonzero(chance)

    def coefficients(r, s, change=(0, 0, 0)):
        rows = [[*a[i], decay[i] + (s if i == 0 else 0)] for i in range(memories)]
        first = [r * b[0] + change[0], *(r * x for x in b[1:])]
        return rows, first, [p[0] + change[1], *p[1:]], r * q + change[2]

    one = _rule("one", memories, lambda h: coefficients(h.r, h.s), _Change(chance, memories, trivial=True))
    two = _rule(
        "two",
        memories,
        lambda h: coefficients(scale * h.r + shift, h.s + mix * h.r, change),
        _Change(chance, memories),
    )
    return one, two
