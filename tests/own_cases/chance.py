"""Pairs of rules composed by chance: linear memories, a state that only the step moves, a first step of its own, a
function that knows no scale, a range. The second rule is the first one in other states, names and words, or differs
from it in one coefficient."""

import copy
import random
from fractions import Fraction

import numpy as np

from accelsim import Hyperparameter, first, optimizer, sign, sqrt, step_size, total, where
from own_cases import simulation

NAMES = ("n1", "n2")
FAR = 1e-4  # between queries of rules that are not the same
FEW = (1, 2, 3, 1 / 2, 1 / 3, 3 / 2)

# A number that only the step moves: start, next, and what a step multiplies its step size by; then that in closed form.
STEP_ONLY = {
    "counter": (0, lambda k, t: k + 1, lambda k, t: 1 / k, lambda t: 1 / (t + 1)),
    "sum": (0, lambda k, t: k + (t + 1), lambda k, t: (t + 1) / k, lambda t: 2 / (t + 2)),
    "power": (1, lambda k, t: k / 3, lambda k, t: 1 + k, lambda t: 1 + (1 / 3) ** (t + 1)),
    "approach": (0, lambda k, t: k / 2 + 1, lambda k, t: k, lambda t: 2 - 2 * 0.5 ** (t + 1)),
    "none": (0, lambda k, t: k, lambda k, t: 1, lambda t: 1),
}
SCALE_FREE = {
    "linear": lambda u: u,
    "sign": sign,
    "length": lambda u: u / sqrt(total(u * u)),
}


class Composed:
    """What both rules of a pair do, in coefficients that are drawn."""

    def __init__(self, chance):
        self.count = chance.choice([1, 1, 2])
        self.decay = chance.choice([1 / 5, 2 / 3])  # of the second memory
        self.b = [chance.choice(FEW) for _ in range(self.count)]
        self.p = [chance.choice(FEW) for _ in range(self.count)]
        self.q = chance.choice([0, *FEW])
        self.step_only = chance.choice([*STEP_ONLY])
        self.function = chance.choice(["linear", "linear", "sign", "length"])
        if self.function == "length" and self.q == 0:
            self.q = 1  # a first step without momentum would be 0/0
        self.first_move = chance.choice([1, 1, 2, 1 / 2])
        self.first_entry = chance.choice([1, 1, 0, 2])
        self.low, self.high = (Fraction(end, 8) for end in sorted(chance.sample(range(1, 8), 2)))

    def altered(self, chance):
        """The same with another number for one coefficient."""
        other = copy.deepcopy(self)
        what = chance.choice(["b", "p", "q", "first_move", "first_entry", *["decay"] * (self.count - 1)])
        if what in ("b", "p"):
            getattr(other, what)[chance.randrange(self.count)] += 1 / 2
        else:
            setattr(other, what, getattr(self, what) + 1 / 7)
        return other


class Words:
    """How a rule is written: n = scale(t) s, the second memory with a share of the first, the point with a shift."""

    def __init__(self, chance, plain):
        self.scale = [1 if plain else chance.choice(FEW) for _ in NAMES]
        self.grows = not plain and chance.random() < 0.3
        self.share = 0 if plain else chance.choice([0, 1, 1 / 2])
        self.shift = 0 if plain else chance.choice([0, 0, 1, 1 / 3])
        self.remembers = chance.random() < 0.5  # the number that only the step moves, in place of its closed form
        self.factor = 1 if plain else chance.choice(FEW)  # within a function that knows no scale
        self.unit = 1 if plain else chance.choice(FEW)  # of the step size
        self.reverse = not plain and chance.random() < 0.5  # 1 - rate for the rate
        self.names = ("lr", "rate") if plain else chance.choice([("lr", "rate"), ("step", "r"), ("rate", "lr")])

    def size(self, t):
        return t + 2 if self.grows else 1

    def memories(self, s, t):
        n1 = self.scale[0] * self.size(t) * s[0]
        return [n1, *(self.scale[1] * x + self.share * n1 for x in s[1:])]

    def states(self, n, t):
        return [n[0] / (self.scale[0] * self.size(t)), *((x - self.share * n[0]) / self.scale[1] for x in n[1:])]


def written(name, does, words):
    """A rule that does something, in some words."""
    start, following, factor, closed = STEP_ONLY[does.step_only]
    remembers = words.remembers and does.step_only != "none"
    names, (lr_name, rate_name) = NAMES[: does.count], words.names
    function, scale_free = SCALE_FREE[does.function], does.function != "linear"

    def rule(s, t, h):
        lr, rate = words.unit * getattr(h, lr_name), getattr(h, rate_name)
        rate = 1 - rate if words.reverse else rate
        old = words.memories([getattr(s, k) for k in names], t)
        w = s.w + words.shift * getattr(s, names[0])
        g = yield w
        entered = where(first(t), does.first_entry, 1) * g if does.first_entry != 1 else g
        decays = (rate, does.decay)
        n = [decays[i] * old[i] + does.b[i] * entered for i in range(does.count)]
        u = sum(does.p[i] * n[i] for i in range(does.count)) + does.q * g
        u = function((words.factor if scale_free else 1) * u)
        k = following(s.k, t) if remembers else None
        size = lr * (factor(k, t) if remembers else closed(t))
        size = where(first(t), does.first_move, 1) * size if does.first_move != 1 else size
        new = dict(zip(names, words.states(n, t + 1), strict=True))
        return dict(w=w - size * u - words.shift * new[names[0]], **new, **({"k": k} if remembers else {}))

    rule.__name__ = name
    low, high = (1 - does.high, 1 - does.low) if words.reverse else (does.low, does.high)
    ranges = {lr_name: step_size(), rate_name: Hyperparameter(low=float(low), high=float(high))}
    memories = dict.fromkeys(names, 0) | ({"k": start} if remembers else {})
    return optimizer(positions="w", memories=memories, returns="w", **ranges)(rule)


class Pair:
    """Two rules, and numbers of both at which they are the same, or would be but for the coefficient.

    Attributes
    ----------
    one, two : the rules.
    set_a, set_b : their numbers.
    """

    def __init__(self, seed, altered):
        chance = random.Random(f"composed {seed} {altered}")
        while True:
            does, plain, words = Composed(chance), Words(chance, True), Words(chance, False)
            rate = does.low + (does.high - does.low) * Fraction(chance.randint(1, 6), 7)
            lr = Fraction(chance.randint(1, 6), 4)
            theirs = (lr / Fraction(words.unit).limit_denominator(9), 1 - rate if words.reverse else rate)
            self.one = written("one", does, plain)
            self.two = written("two", does.altered(chance) if altered else does, words)
            self.set_a = {"lr": str(lr), "rate": str(rate)}
            self.set_b = dict(zip(words.names, map(str, theirs), strict=True))
            if not altered or self.apart(seed) > FAR:  # not every coefficient matters to every function
                return

    def apart(self, seed):
        """How far apart queries of the rules are at their numbers, on gradients drawn by chance."""
        chance, far = random.Random(seed), 0.0
        for _ in range(3):
            start, gradients = simulation.drawn_run(chance, 1)
            runs = []
            for rule, numbers in ((self.one, self.set_a), (self.two, self.set_b)):
                rows = [{k: float(Fraction(x)) for k, x in numbers.items()}] * simulation.STEPS
                runs.append(np.array(simulation.run(rule, rows, start, gradients)[1]))
            far = max(far, float(np.max(np.abs(runs[0] - runs[1]))))
        return far
