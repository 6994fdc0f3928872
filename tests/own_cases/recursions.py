"""Rules with recurrences: the same in other words, and slightly wrong."""

from accelsim import (
    Hyperparameter,
    momentum,
    optimizer,
    positive,
    ratio,
    recurrence,
    sqrt,
    step_size,
    weight,
)

NADAM = dict(lr=step_size(), beta1=momentum(), momentum_decay=Hyperparameter(low=0), beta2=momentum(), eps=positive())


# -- averaging weights


@recurrence(inverse=0)
def by_inverse(memory, t, h):
    """1/(t+1): the inverse grows by one."""
    inverse = memory.inverse + 1
    return 1 / inverse, dict(inverse=inverse)


@recurrence(c=1)
def by_itself(memory, t, h):
    """1, 1/2, 1/3, ...: c/(1+c) follows c."""
    return memory.c, dict(c=memory.c / (1 + memory.c))


@recurrence(c=1)
def by_itself_twice(memory, t, h):
    """1, 1/3, 1/7, ...: c/(2+c) follows c."""
    return memory.c, dict(c=memory.c / (2 + memory.c))


@recurrence(weights=1)
def from_one(memory, t, h):
    """1/2, 1/3, ...: as if there had been a weight of 1 before."""
    weights = memory.weights + 1
    return 1 / weights, dict(weights=weights)


@recurrence(weights=0)
def linear_weights(memory, t, h):
    """Weight t+1 over the sum of weights: 2/(t+2)."""
    weights = memory.weights + (t + 1)
    return ratio(t + 1, weights), dict(weights=weights)


def averaged_by(name, c):
    def rule(s, t, h):
        """Schedule-Free with averaging weights from a recurrence."""
        g = yield h.beta * s.x + (1 - h.beta) * s.z
        z = s.z - h.lr * g
        return dict(x=s.x + h.c * (z - s.x), z=z)

    rule.__name__ = name
    return optimizer(positions="x z", returns="x", lr=step_size(), beta=weight(), c=weight(c))(rule)


averaged_by_inverse = averaged_by("averaged_by_inverse", by_inverse)
averaged_by_itself = averaged_by("averaged_by_itself", by_itself)
averaged_by_itself_twice = averaged_by("averaged_by_itself_twice", by_itself_twice)
averaged_from_one = averaged_by("averaged_from_one", from_one)
averaged_linearly = averaged_by("averaged_linearly", linear_weights)


@optimizer(positions="x z", returns="x", lr=step_size(), beta=weight())
def averaged_plainly(s, t, h):
    """Schedule-Free with averaging weights 1/(t+1)."""
    g = yield h.beta * s.x + (1 - h.beta) * s.z
    z = s.z - h.lr * g
    return dict(x=s.x + (z - s.x) / (t + 1), z=z)


# -- Nesterov's sequence


def fista(name, following):
    @recurrence(a=1)
    def extrapolation(memory, t, h):
        """(a - 1) over the next a."""
        ahead = following(memory.a)
        return (memory.a - 1) / ahead, dict(a=ahead)

    def rule(s, t, h):
        """FISTA on smooth losses: the point is extrapolated by (a - 1) over the next a."""
        g = yield s.y
        x = s.y - h.lr * g
        return dict(y=x + h.mix * (x - s.x), x=x)

    extrapolation.update.__name__ = f"extrapolation_{name}"
    rule.__name__ = name
    return optimizer(positions="y x", returns="x", lr=step_size(), mix=weight(extrapolation))(rule)


fista_as_printed = fista("fista_as_printed", lambda a: (1 + sqrt(1 + 4 * a**2)) / 2)
fista_by_halves = fista("fista_by_halves", lambda a: sqrt(a * a + 1 / 4) + 1 / 2)
fista_wrong_bracket = fista("fista_wrong_bracket", lambda a: 1 + sqrt(1 + 4 * a**2) / 2)


@optimizer(positions="y x", memories={"a": 1}, returns="x", lr=step_size())
def fista_with_memory(s, t, h):
    """FISTA that keeps a as a memory."""
    g = yield s.y
    ahead = (1 + sqrt(1 + 4 * s.a**2)) / 2
    x = s.y - h.lr * g
    return dict(y=x + (s.a - 1) / ahead * (x - s.x), x=x, a=ahead)


# -- NAdam


def _warm(t, h):
    return h.beta1 * (1 - 0.96 ** ((t + 1) * h.momentum_decay) / 2)


def nadam_with_memory(name, start, ahead):
    def rule(s, t, h):
        """NAdam that keeps the product of its momenta as a memory."""
        g = yield s.w
        mu, following = _warm(t, h), _warm(t + 1, h)
        product = s.product * mu
        m = mu * s.m + (1 - mu) * g
        v = h.beta2 * s.v + (1 - h.beta2) * g * g
        top = (1 - mu) / (1 - product) * g + following / (1 - ahead(product, following)) * m
        return dict(
            w=s.w - h.lr * top / (sqrt(h.beta2 * v / (1 - h.beta2 ** (t + 1))) + h.eps),
            m=m,
            v=v,
            product=product,
        )

    rule.__name__ = name
    return optimizer(positions="w", memories={"m": 0, "v": 0, "product": start}, returns="w", **NADAM)(rule)


nadam_product = nadam_with_memory("nadam_product", 1, lambda product, following: product * following)
nadam_product_late = nadam_with_memory("nadam_product_late", 1, lambda product, following: product)
nadam_product_from_half = nadam_with_memory(
    "nadam_product_from_half", 0.5, lambda product, following: product * following
)


# -- a step size that doubles


@recurrence(size=1)
def doubling(memory, t, h):
    return memory.size, dict(size=2 * memory.size)


@recurrence(size=1)
def adding_itself(memory, t, h):
    return memory.size, dict(size=memory.size + memory.size)


@recurrence(size=1)
def tripling(memory, t, h):
    """1, 2, 5, ...: equal to doubling for two steps."""
    return memory.size, dict(size=3 * memory.size - 1)


def grown_by(name, size):
    def rule(s, t, h):
        """SGD with a step size from a recurrence."""
        g = yield s.w
        return dict(w=s.w - h.lr * h.size * g)

    rule.__name__ = name
    return optimizer(positions="w", returns="w", lr=step_size(), size=positive(size))(rule)


grown_by_doubling = grown_by("grown_by_doubling", doubling)
grown_by_adding = grown_by("grown_by_adding", adding_itself)
grown_by_tripling = grown_by("grown_by_tripling", tripling)


@optimizer(positions="w", returns="w", lr=step_size())
def grown_in_closed_form(s, t, h):
    """SGD with a step size of lr 2^t."""
    g = yield s.w
    return dict(w=s.w - h.lr * 2**t * g)
