"""Rules with states that only the step moves, their closed forms, and some that are one step or one number off."""

from accelsim import first, maximum, momentum, optimizer, positive, sqrt, step_size, warmup, weight, where

ADAM = dict(lr=step_size(), beta1=momentum(), beta2=momentum(), eps=positive())


@optimizer(positions="w", memories="k", returns="w", lr=step_size())
def counter(s, t, h):
    """SGD with lr over a counter that starts at 0 and is raised before use."""
    g = yield s.w
    k = s.k + 1
    return dict(w=s.w - h.lr / k * g, k=k)


@optimizer(positions="w", memories={"k": 1}, returns="w", lr=step_size())
def counter_raised_late(s, t, h):
    """SGD with lr over a counter that starts at 1 and is raised after use."""
    g = yield s.w
    return dict(w=s.w - h.lr / s.k * g, k=s.k + 1)


@optimizer(positions="w", memories={"k": 1}, returns="w", lr=step_size())
def counter_ahead(s, t, h):
    """SGD with lr over a counter that starts at 1 and is raised before use."""
    g = yield s.w
    k = s.k + 1
    return dict(w=s.w - h.lr / k * g, k=k)


def difference_form(name, factor):
    @optimizer(positions="w prev", memories={"last": 1}, returns="w", lr=positive(), beta=momentum())
    def rule(s, t, h):
        """Momentum from the last move, rescaled by how the step size changed, or not."""
        g = yield s.w
        return dict(w=s.w - h.lr * g + factor(s, h) * (s.w - s.prev), prev=s.w, last=h.lr)

    return _named(rule, name)


def _named(rule, name):
    """The rule under another name, which certificates know it by."""
    made = rule.rule
    made.__name__ = name
    return optimizer(
        positions=" ".join(rule.positions),
        memories=dict(rule.memories),
        returns=rule.returns,
        **rule.hyperparameters,
    )(made)


last_move = difference_form("last_move", lambda s, h: h.beta * h.lr / s.last)
last_move_unscaled = difference_form("last_move_unscaled", lambda s, h: h.beta)
last_move_inverted = difference_form("last_move_inverted", lambda s, h: h.beta * s.last / h.lr)


@optimizer(positions="w", memories="squares", returns="w", lr=positive())
def over_root_of_squares(s, t, h):
    """SGD with lr over the root of the sum of squares of lr."""
    g = yield s.w
    squares = s.squares + h.lr**2
    return dict(w=s.w - h.lr / sqrt(squares) * g, squares=squares)


@optimizer(positions="w", memories={"squares": 1}, returns="w", lr=positive())
def over_root_of_squares_and_one(s, t, h):
    """SGD with lr over the root of one plus the sum of squares of lr."""
    g = yield s.w
    squares = s.squares + h.lr * h.lr
    return dict(w=s.w - h.lr / sqrt(squares) * g, squares=squares)


@optimizer(positions="w", returns="w", lr=positive())
def over_root_in_closed_form(s, t, h):
    """SGD with lr over the root of one plus t+1 squares of lr."""
    g = yield s.w
    return dict(w=s.w - h.lr / sqrt(1 + (t + 1) * h.lr**2) * g)


def averaging(name, start, power=2):
    @optimizer(positions="x z", memories={"weights": start}, returns="x", lr=step_size(), beta=weight())
    def rule(s, t, h):
        """Schedule-Free with weights (t+1)^power, whose sum is a memory that starts at 0, or not."""
        g = yield h.beta * s.x + (1 - h.beta) * s.z
        w = (t + 1) ** power
        weights = s.weights + w
        z = s.z - h.lr * g
        return dict(x=s.x + w / weights * (z - s.x), z=z, weights=weights)

    return _named(rule, name)


squares_averaged = averaging("squares_averaged", 0)
squares_averaged_from_one = averaging("squares_averaged_from_one", 1)


@optimizer(positions="x z", returns="x", lr=step_size(), beta=weight())
def squares_averaged_in_closed_form(s, t, h):
    """The same, by the sum of the first squares."""
    g = yield h.beta * s.x + (1 - h.beta) * s.z
    z = s.z - h.lr * g
    return dict(x=s.x + 6 * (t + 1) / ((t + 2) * (2 * t + 3)) * (z - s.x), z=z)


def warmed(name, power):
    @optimizer(positions="x z", memories="largest weights", returns="x", lr=positive(), beta=weight())
    def rule(s, t, h):
        """Schedule-Free with a warm-up of four steps, averaging weights largest lr to a power."""
        g = yield h.beta * s.x + (1 - h.beta) * s.z
        lr = h.lr * warmup(t, 4)
        largest = maximum(s.largest, lr)
        weights = s.weights + largest**power
        z = s.z - lr * g
        return dict(x=s.x + largest**power / weights * (z - s.x), z=z, largest=largest, weights=weights)

    return _named(rule, name)


warmed_memories = warmed("warmed_memories", 2)
warmed_memories_power_one = warmed("warmed_memories_power_one", 1)


def adam_with_counter(name, start):
    @optimizer(positions="w", memories={"m": 0, "v": 0, "k": start}, returns="w", **ADAM)
    def rule(s, t, h):
        """Adam that counts its steps itself."""
        g = yield s.w
        k = s.k + 1
        m = h.beta1 * s.m + (1 - h.beta1) * g
        v = h.beta2 * s.v + (1 - h.beta2) * g * g
        top, below = m / (1 - h.beta1**k), sqrt(v / (1 - h.beta2**k)) + h.eps
        return dict(w=s.w - h.lr * top / below, m=m, v=v, k=k)

    return _named(rule, name)


counting_adam = adam_with_counter("counting_adam", 0)
counting_adam_from_one = adam_with_counter("counting_adam_from_one", 1)


@optimizer(positions="w", memories=dict(m=0, v=0, p1=1, p2=1), returns="w", **ADAM)
def multiplying_adam(s, t, h):
    """Adam that keeps the powers of its rates as memories."""
    g = yield s.w
    p1, p2 = s.p1 * h.beta1, s.p2 * h.beta2
    m = h.beta1 * s.m + (1 - h.beta1) * g
    v = h.beta2 * s.v + (1 - h.beta2) * g * g
    return dict(w=s.w - h.lr * m / (1 - p1) / (sqrt(v / (1 - p2)) + h.eps), m=m, v=v, p1=p1, p2=p2)


@optimizer(positions="w", memories=dict(a=1, b=1), returns="w", lr=step_size())
def fibonacci(s, t, h):
    """SGD with lr times the ratio of two Fibonacci numbers."""
    g = yield s.w
    return dict(w=s.w - h.lr * s.a / s.b * g, a=s.b, b=s.a + s.b)


def fraction(name, start):
    @optimizer(positions="w", memories={"r": start}, returns="w", lr=step_size())
    def rule(s, t, h):
        """SGD with lr times a continued fraction."""
        g = yield s.w
        return dict(w=s.w - h.lr * s.r * g, r=1 / (1 + s.r))

    return _named(rule, name)


continued_fraction = fraction("continued_fraction", 1)
continued_fraction_from_two = fraction("continued_fraction_from_two", 2)


@optimizer(positions="w", memories=dict(a=1, b=3), returns="w", lr=step_size())
def swapping(s, t, h):
    """SGD with steps of lr and 3 lr in turn, by two memories that change places."""
    g = yield s.w
    return dict(w=s.w - h.lr * s.a * g, a=s.b, b=s.a)


def reflecting_from(name, start):
    @optimizer(positions="w", memories={"c": start}, returns="w", lr=step_size())
    def rule(s, t, h):
        """SGD with steps of lr and 3 lr in turn, by a memory that is reflected at 2."""
        g = yield s.w
        return dict(w=s.w - h.lr * s.c * g, c=4 - s.c)

    return _named(rule, name)


reflecting = reflecting_from("reflecting", 1)
reflecting_from_three = reflecting_from("reflecting_from_three", 3)


@optimizer(positions="w", memories="m total_weight", returns="w", lr=step_size(), beta=momentum())
def mean_by_weights(s, t, h):
    """The discounted sum of gradients over the discounted sum of ones."""
    g = yield s.w
    m, total_weight = h.beta * s.m + g, h.beta * s.total_weight + 1
    return dict(w=s.w - h.lr * m / total_weight, m=m, total_weight=total_weight)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum())
def debiased_mean(s, t, h):
    """The moving average over what its weights sum to."""
    g = yield s.w
    m = h.beta * s.m + (1 - h.beta) * g
    return dict(w=s.w - h.lr * m / (1 - h.beta ** (t + 1)), m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum())
def debiased_mean_late(s, t, h):
    """The moving average over what its weights sum to a step later."""
    g = yield s.w
    m = h.beta * s.m + (1 - h.beta) * g
    return dict(w=s.w - h.lr * m / (1 - h.beta ** (t + 2)), m=m)


@optimizer(positions="w", memories="m k", returns="w", lr=step_size())
def running_mean(s, t, h):
    """A step along the plain mean of all gradients, updated by 1/k."""
    g = yield s.w
    k = s.k + 1
    m = s.m + (g - s.m) / k
    return dict(w=s.w - h.lr * m, m=m, k=k)


@optimizer(positions="w", memories="total_gradient", returns="w", lr=step_size())
def sum_over_count(s, t, h):
    """A step along the sum of all gradients over their number."""
    g = yield s.w
    total_gradient = s.total_gradient + g
    return dict(w=s.w - h.lr / (t + 1) * total_gradient, total_gradient=total_gradient)


@optimizer(positions="w", memories="total_gradient", returns="w", lr=step_size())
def sum_over_count_and_one(s, t, h):
    """A step along the sum of all gradients over their number and one, but for the first."""
    g = yield s.w
    total_gradient = s.total_gradient + g
    return dict(w=s.w - h.lr / where(first(t), 1, t + 2) * total_gradient, total_gradient=total_gradient)
