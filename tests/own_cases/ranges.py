"""Rules with ranges, roots of hyperparameters and first steps of their own."""

from accelsim import (
    Hyperparameter,
    exp,
    first,
    log,
    maximum,
    minimum,
    momentum,
    optimizer,
    positive,
    real,
    sqrt,
    step_size,
    weight,
    where,
)

BALL = dict(lr=step_size(), beta=momentum())


def scaled(name, scale, declared):
    """SGD with a step size that is a function of a."""

    def rule(s, t, h):
        g = yield s.w
        return dict(w=s.w - scale(h.a) * g)

    rule.__name__ = name
    return optimizer(positions="w", returns="w", a=declared)(rule)


any_step = scaled("any_step", lambda a: a, real())
root_of_square = scaled("root_of_square", lambda a: sqrt(a**2), real())
square_of_root = scaled("square_of_root", lambda a: sqrt(a) ** 2, step_size())
size_of_step = scaled("size_of_step", abs, real())
squared_step = scaled("squared_step", lambda a: a**2, real())
cubed_step = scaled("cubed_step", lambda a: a**3, real())
upper_step = scaled("upper_step", lambda a: maximum(a, 0), real())
at_most_one = scaled("at_most_one", lambda a: a, weight())
at_least_one = scaled("at_least_one", lambda a: a, Hyperparameter(low=1))
above_one = scaled("above_one", lambda a: 1 + a, positive())
one_and_more = scaled("one_and_more", lambda a: 1 + a, step_size())
fraction_of_one = scaled("fraction_of_one", lambda a: a / (1 + a), step_size())
below_one = scaled("below_one", lambda a: a, momentum())
at_most_100 = scaled("at_most_100", lambda a: a, Hyperparameter(low=0, high=100))
exp_of_log = scaled("exp_of_log", lambda a: exp(log(a)), real())
product_of_roots = scaled("product_of_roots", lambda a: (a + 5) ** 0.5 * (a + 5) ** 0.5 - 5, real())
beside_log = scaled("beside_log", lambda a: a + 0 * log(a + 5), real())
limited_to_one = scaled("limited_to_one", lambda a: minimum(a, 1), step_size())


def ball(name, rate, low, high, **more):
    """Heavy ball with a rate in a range."""

    def rule(s, t, h):
        g = yield s.w
        m = rate(h) * s.m + g
        return dict(w=s.w - h.lr * m, m=m)

    rule.__name__ = name
    return optimizer(
        positions="w", memories="m", returns="w", lr=step_size(), beta=Hyperparameter(low=low, high=high), **more
    )(rule)


low_ball = ball("low_ball", lambda h: h.beta, 0.1, 0.4)
wide_ball = ball("wide_ball", lambda h: h.beta, 0.1, 0.6)
squared_ball = ball("squared_ball", lambda h: h.beta**2, 0.2, 0.5)  # rates from .04 to .25
low_squares_ball = ball("low_squares_ball", lambda h: h.beta, 0.04, 0.25)
lower_squares_ball = ball("lower_squares_ball", lambda h: h.beta, 0.04, 0.24)
reversed_ball = ball("reversed_ball", lambda h: 1 - h.beta, 0.6, 0.9)


@optimizer(positions="w", memories="m", returns="w", **BALL, damp=weight())
def dampened(s, t, h):
    """Momentum with dampening, of the first gradient too."""
    g = yield s.w
    m = h.beta * s.m + (1 - h.damp) * g
    return dict(w=s.w - h.lr * m, m=m)


def starting(name, begin, declared):
    """Momentum with a first step of its own: the buffer is then a function of (g, h)."""

    def rule(s, t, h):
        g = yield s.w
        m = where(first(t), begin(g, h), h.beta * s.m + (1 - h.damp) * g)
        return dict(w=s.w - h.lr * m, m=m)

    rule.__name__ = name
    return optimizer(positions="w", memories="m", returns="w", **BALL, damp=declared)(rule)


half = Hyperparameter(low=0, high=0.5)
torch_dampened = starting("torch_dampened", lambda g, h: g, half)
torch_dampened_doubled = starting("torch_dampened_doubled", lambda g, h: 2 * g, half)
torch_dampened_skipped = starting("torch_dampened_skipped", lambda g, h: 0 * g, half)
torch_dampened_plainly = starting("torch_dampened_plainly", lambda g, h: (1 - h.damp) * g, half)


@optimizer(positions="w", memories="m", returns="w", **BALL, damp=half)
def torch_dampened_rewritten(s, t, h):
    """Dampening that the first gradient is spared, by a weight on gradients."""
    g = yield s.w
    m = h.beta * s.m + (1 - where(first(t), 0, h.damp)) * g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", **BALL)
def average_from_first_gradient(s, t, h):
    """The moving average of gradients that starts at the first one."""
    g = yield s.w
    m = where(first(t), g, h.beta * s.m + (1 - h.beta) * g)
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="last", returns="w", lr=step_size())
def optimistic(s, t, h):
    """Optimistic gradient: twice the newest less the last gradient."""
    g = yield s.w
    return dict(w=s.w - h.lr * (2 * g - s.last), last=g)


@optimizer(positions="w", memories="last", returns="w", lr=step_size())
def optimistic_from_first(s, t, h):
    """Optimistic gradient whose first step is a plain one."""
    g = yield s.w
    return dict(w=s.w - h.lr * (g + where(first(t), 0 * g, g - s.last)), last=g)


@optimizer(positions="w", memories="last", returns="w", lr=step_size())
def optimistic_seeded(s, t, h):
    """Optimistic gradient that takes the first gradient for the one before it."""
    g = yield s.w
    before = where(first(t), g, s.last)
    return dict(w=s.w - h.lr * (2 * g - before), last=g)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), p=momentum(), q=momentum())
def geometric_rate(s, t, h):
    """Heavy ball with the geometric mean of two rates."""
    g = yield s.w
    m = sqrt(h.p * h.q) * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), c=step_size())
def conjugate_root(s, t, h):
    """Heavy ball with rate sqrt(1+c) - sqrt(c), in (0, 1]."""
    g = yield s.w
    m = (sqrt(1 + h.c) - sqrt(h.c)) * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), c=step_size())
def inverse_root(s, t, h):
    """Heavy ball with rate 1/(sqrt(1+c) + sqrt(c))."""
    g = yield s.w
    m = s.m / (sqrt(1 + h.c) + sqrt(h.c)) + g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), c=step_size())
def inverse_root_off(s, t, h):
    """Heavy ball with rate 1/(sqrt(2+c) + sqrt(c))."""
    g = yield s.w
    m = s.m / (sqrt(2 + h.c) + sqrt(h.c)) + g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), kappa=Hyperparameter(low=1))
def tuned_for_condition(s, t, h):
    """Nesterov's method with the momentum that is best at a condition number."""
    g = yield s.w
    beta = (sqrt(h.kappa) - 1) / (sqrt(h.kappa) + 1)
    m = beta * s.m + g
    return dict(w=s.w - h.lr * (g + beta * m), m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), kappa=Hyperparameter(low=1))
def tuned_otherwise(s, t, h):
    """The same momentum, (sqrt(kappa) - 1)^2 over kappa - 1: 0/0 at kappa = 1."""
    g = yield s.w
    beta = (h.kappa + 1 - 2 * sqrt(h.kappa)) / (h.kappa - 1)
    m = beta * s.m + g
    return dict(w=s.w - h.lr * (g + beta * m), m=m)
