"""Rules with signs, masks, roots and quotients of gradients."""

from accelsim import first, maximum, minimum, momentum, optimizer, positive, sign, sqrt, step_size, total, where

BALL = dict(lr=step_size(), beta=momentum())
SCALED = dict(**BALL, rho=momentum(), eps=positive())


def ball(name, move, memories="m", **declared):
    """Heavy ball whose move is a function of (m, g, h, t)."""

    def rule(s, t, h):
        g = yield s.w
        m = h.beta * s.m + g
        return dict(w=s.w - h.lr * move(m, g, h, t), m=m)

    rule.__name__ = name
    return optimizer(positions="w", memories=memories, returns="w", **BALL, **declared)(rule)


signed_ball = ball("signed_ball", lambda m, g, h, t: sign(m))
signed_average = ball("signed_average", lambda m, g, h, t: sign((1 - h.beta) * m))
signed_mixture = ball("signed_mixture", lambda m, g, h, t: sign(m + g))
signed_doubled_mixture = ball("signed_doubled_mixture", lambda m, g, h, t: sign(3 * (m + g)))
signed_minus = ball("signed_minus", lambda m, g, h, t: -sign(-m))
signed_wrongly = ball("signed_wrongly", lambda m, g, h, t: sign(-m))
sized_sign = ball("sized_sign", lambda m, g, h, t: abs(m) * sign(m))
sized_sign_of_gradient = ball("sized_sign_of_gradient", lambda m, g, h, t: abs(m) * sign(g))
over_size = ball("over_size", lambda m, g, h, t: m / abs(m))
over_total = ball("over_total", lambda m, g, h, t: m / sqrt(total(m * m)))
double_over_total = ball("double_over_total", lambda m, g, h, t: 2 * m / sqrt(total(4 * m * m)))
signed_triple_at_double = ball("signed_triple_at_double", lambda m, g, h, t: 2 * sign(3 * m))
triple_over_total_at_double = ball(
    "triple_over_total_at_double", lambda m, g, h, t: 2 * (3 * m) / sqrt(total(9 * m * m))
)
over_sizes_sum = ball("over_sizes_sum", lambda m, g, h, t: m / total(abs(m)))
over_gradient_total = ball("over_gradient_total", lambda m, g, h, t: m / sqrt(total(g * g)))
cautious = ball("cautious", lambda m, g, h, t: m * (1 + sign(m * g)) / 2)
cautious_average = ball("cautious_average", lambda m, g, h, t: m * (1 + sign((1 - h.beta) * m * g)) / 2)
cautious_otherwise = ball("cautious_otherwise", lambda m, g, h, t: m * (1 - sign(m * g)) / 2)
masked_by_maximum = ball("masked_by_maximum", lambda m, g, h, t: m * maximum(0, sign(m * g)))
damped_where_opposed = ball("damped_where_opposed", lambda m, g, h, t: m * (3 + sign(m * g)) / 2)
cancelled_sign = ball("cancelled_sign", lambda m, g, h, t: m + sign(g) - sign(g))
sign_after_first = ball("sign_after_first", lambda m, g, h, t: where(first(t), m, sign(m)))
soft_clipped = ball("soft_clipped", lambda m, g, h, t: m / (1 + abs(m)))
clipped = ball("clipped", lambda m, g, h, t: m * minimum(1, h.c / abs(m)), c=positive())
clipped_by_ends = ball("clipped_by_ends", lambda m, g, h, t: maximum(-h.c, minimum(h.c, m)), c=positive())
clipped_by_halves = ball("clipped_by_halves", lambda m, g, h, t: (abs(m + h.c) - abs(m - h.c)) / 2, c=positive())
largest_or_self = ball("largest_or_self", lambda m, g, h, t: maximum(m, m))
sum_of_parts = ball("sum_of_parts", lambda m, g, h, t: maximum(m, 0) + minimum(m, 0))
upper_part = ball("upper_part", lambda m, g, h, t: maximum(m, 0))
fourth_root = ball("fourth_root", lambda m, g, h, t: m / sqrt(sqrt(m**4)))


@optimizer(positions="w", memories="m", returns="w", **BALL)
def signed_old(s, t, h):
    """The sign of the momentum before the newest gradient enters it."""
    g = yield s.w
    return dict(w=s.w - h.lr * sign(s.m), m=h.beta * s.m + g)


@optimizer(positions="w", memories="m", returns="w", **BALL)
def sum_of_signs(s, t, h):
    """Heavy ball on the signs of gradients."""
    g = yield s.w
    m = h.beta * s.m + sign(g)
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", **BALL)
def average_of_signs(s, t, h):
    """The moving average of signs of gradients."""
    g = yield s.w
    m = h.beta * s.m + (1 - h.beta) * sign(g)
    return dict(w=s.w - h.lr * m, m=m)


def adaptive(name, below, square=lambda g, m: g * g, start=0.0, weigh=lambda h: 1 - h.rho):
    def rule(s, t, h):
        """Heavy ball over a root of a moving average of squares."""
        g = yield s.w
        m = h.beta * s.m + g
        v = h.rho * s.v + weigh(h) * square(g, m)
        return dict(w=s.w - h.lr * m / below(v, h, t), m=m, v=v)

    rule.__name__ = name
    return optimizer(positions="w", memories={"m": 0, "v": start}, returns="w", **SCALED)(rule)


rooted = adaptive("rooted", lambda v, h, t: sqrt(v) + h.eps)
rooted_of_double = adaptive("rooted_of_double", lambda v, h, t: (sqrt(4 * v) + 2 * h.eps) / 2)
rooted_squares_of_momentum = adaptive("rooted_squares_of_momentum", lambda v, h, t: sqrt(v) + h.eps, lambda g, m: m * m)
rooted_from_one = adaptive("rooted_from_one", lambda v, h, t: sqrt(v) + h.eps, start=1)
rooted_around = adaptive("rooted_around", lambda v, h, t: sqrt(v + h.eps))
rooted_sum = adaptive("rooted_sum", lambda v, h, t: sqrt((1 - h.rho) * v) + h.eps, weigh=lambda h: 1)
rooted_by_size = adaptive("rooted_by_size", lambda v, h, t: sqrt(v) + h.eps, lambda g, m: abs(g) ** 2)
rooted_sizes = adaptive("rooted_sizes", lambda v, h, t: v + h.eps, lambda g, m: abs(g))


@optimizer(positions="w", memories="m v", returns="w", **SCALED)
def rooted_then_signed(s, t, h):
    """The sign of heavy ball's buffer over a root: the root changes no sign."""
    g = yield s.w
    m = h.beta * s.m + g
    v = h.rho * s.v + (1 - h.rho) * g * g
    return dict(w=s.w - h.lr * sign(m / (sqrt(v) + h.eps)), m=m, v=v)


@optimizer(positions="w", memories="m v", returns="w", **SCALED)
def rooted_before(s, t, h):
    """Heavy ball over the root of the moving average before the newest square."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * m / (sqrt(s.v) + h.eps), m=m, v=h.rho * s.v + (1 - h.rho) * g * g)


@optimizer(positions="w", memories="m v", returns="w", **SCALED)
def rooted_inside(s, t, h):
    """Heavy ball on gradients over a root."""
    g = yield s.w
    v = h.rho * s.v + (1 - h.rho) * g * g
    m = h.beta * s.m + g / (sqrt(v) + h.eps)
    return dict(w=s.w - h.lr * m, m=m, v=v)


@optimizer(positions="w", memories="m v", returns="w", **BALL)
def normalised_sums(s, t, h):
    """The decayed sum over the root of the decayed sum of squares, with nothing beside the root."""
    g = yield s.w
    m, v = h.beta * s.m + g, h.beta * s.v + g * g
    return dict(w=s.w - h.lr * m / sqrt(v), m=m, v=v)


@optimizer(positions="w", memories="m v", returns="w", **BALL)
def normalised_averages(s, t, h):
    """The moving average over the root of the moving average of squares: a factor of sqrt(1 - beta) less."""
    g = yield s.w
    m, v = h.beta * s.m + (1 - h.beta) * g, h.beta * s.v + (1 - h.beta) * g * g
    return dict(w=s.w - h.lr * m / sqrt(v), m=m, v=v)


@optimizer(positions="w", memories="m v", returns="w", **BALL)
def normalised_mixed(s, t, h):
    """The moving average over the root of the decayed sum of squares, at a rate beta squared."""
    g = yield s.w
    m, v = h.beta * s.m + (1 - h.beta) * g, h.beta**2 * s.v + g * g
    return dict(w=s.w - h.lr * m / sqrt(v), m=m, v=v)
