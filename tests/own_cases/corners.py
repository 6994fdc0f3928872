"""Rules at the corners of definitions: sequences that reach zero, signs of nothing, drifts, factors that cancel."""

from accelsim import (
    Hyperparameter,
    maximum,
    momentum,
    optimizer,
    positive,
    real,
    recurrence,
    sign,
    sqrt,
    step_size,
    total,
    weight,
)

BALL = dict(lr=step_size(), beta=momentum())


# -- sequences that reach zero or leave a range late


def faded(name, start, following, inside):
    """Heavy ball with a step size times a memory that only the step moves, outside or inside the buffer."""

    def rule(s, t, h):
        g = yield s.w
        if inside:
            v = h.beta * s.v + h.lr * s.k * g
            return dict(w=s.w - v, v=v, k=following(s.k))
        v = h.beta * s.v + g
        return dict(w=s.w - h.lr * s.k * v, v=v, k=following(s.k))

    rule.__name__ = name
    return optimizer(positions="w", memories=dict(v=0, k=start), returns="w", **BALL)(rule)


countdown_outside = faded("countdown_outside", 3, lambda k: k - 1, False)
countdown_inside = faded("countdown_inside", 3, lambda k: k - 1, True)
blinking_outside = faded("blinking_outside", 1, lambda k: k * k - 1, False)  # 1, 0, -1, 0, -1, ...
blinking_inside = faded("blinking_inside", 1, lambda k: k * k - 1, True)
lasting_outside = faded("lasting_outside", 2, lambda k: k * k - 2, False)  # 2, 2, 2, ...
lasting_inside = faded("lasting_inside", 2, lambda k: k * k - 2, True)


def stepped(name, size, declared, memories=None, **more):
    """SGD with a step that is a function of (a, t)."""

    def rule(s, t, h):
        g = yield s.w
        return dict(w=s.w - size(h, t) * g)

    rule.__name__ = name
    return optimizer(positions="w", returns="w", a=declared, **more)(rule)


slowly_growing = stepped("slowly_growing", lambda h, t: h.a * (t + 1) / 100, weight())
at_most_two_over_time = stepped("at_most_two_over_time", lambda h, t: h.a / (t + 1), Hyperparameter(low=0, high=2))
at_most_one_over_time = stepped("at_most_one_over_time", lambda h, t: h.a / (t + 1), weight())
within_one = stepped("within_one", lambda h, t: h.a, weight())
product_of_two = stepped("product_of_two", lambda h, t: h.a * h.b, weight(), b=weight())
one_of_a_sum = stepped("one_of_a_sum", lambda h, t: h.a + h.b, weight(), b=weight())
mean_of_two = stepped("mean_of_two", lambda h, t: (h.a + h.b) / 2, weight(), b=weight())


# -- drifts that no gradient makes


@optimizer(positions="w", memories={"m": 1}, returns="w", **BALL)
def started(s, t, h):
    """Heavy ball whose buffer starts at one."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


def drifting(name, start):
    @optimizer(positions="w", memories=dict(n=0, u=start), returns="w", **BALL)
    def rule(s, t, h):
        """Heavy ball beside a decaying number, which is added to its buffer."""
        g = yield s.w
        n, u = h.beta * s.n + g, h.beta * s.u
        return dict(w=s.w - h.lr * (n + u), n=n, u=u)

    made = rule.rule
    made.__name__ = name
    return optimizer(positions="w", memories=dict(n=0, u=start), returns="w", **BALL)(made)


drifting_from_one = drifting("drifting_from_one", 1)
drifting_from_half = drifting("drifting_from_half", 1 / 2)
drifting_from_zero = drifting("drifting_from_zero", 0)


# -- signs of scaled, shifted and vanishing numbers


def ball(name, move, **declared):
    """Heavy ball whose move is a function of (m, g, h, t)."""

    def rule(s, t, h):
        g = yield s.w
        m = h.beta * s.m + g
        return dict(w=s.w - h.lr * move(m, g, h, t), m=m)

    rule.__name__ = name
    return optimizer(positions="w", memories="m", returns="w", **BALL, **declared)(rule)


plain_sign = ball("plain_sign", lambda m, g, h, t: sign(m))
sign_over_time = ball("sign_over_time", lambda m, g, h, t: sign(m / (t + 1)))
sign_of_thrice_doubled = ball("sign_of_thrice_doubled", lambda m, g, h, t: 2 * sign(3 * m))
sign_of_negative_doubled = ball("sign_of_negative_doubled", lambda m, g, h, t: 2 * sign(-3 * m))
sign_turning = ball("sign_turning", lambda m, g, h, t: sign(m * (5 - 2 * t)))
sign_of_any_multiple = ball("sign_of_any_multiple", lambda m, g, h, t: sign(h.a * m), a=real())
sign_of_positive_multiple = ball("sign_of_positive_multiple", lambda m, g, h, t: sign(h.a * m), a=positive())
sign_of_nonnegative_multiple = ball("sign_of_nonnegative_multiple", lambda m, g, h, t: sign(h.a * m), a=step_size())
sign_of_rate = ball("sign_of_rate", lambda m, g, h, t: sign((1 - 2 * h.beta) * m))
sign_of_square = ball("sign_of_square", lambda m, g, h, t: sign((h.a**2 + 1) * m), a=real())
sign_of_shifted = ball("sign_of_shifted", lambda m, g, h, t: sign(m - 1 / (t + 1)))
sign_of_sign = ball("sign_of_sign", lambda m, g, h, t: sign(sign(m)))
sign_cubed = ball("sign_cubed", lambda m, g, h, t: sign(m) ** 3)
sign_squared = ball("sign_squared", lambda m, g, h, t: sign(m) ** 2)
moved_where_gradient = ball("moved_where_gradient", lambda m, g, h, t: m * sign(g) ** 2)
moved_where_buffer = ball("moved_where_buffer", lambda m, g, h, t: m * sign(m) ** 2)
moved_by_size = ball("moved_by_size", lambda m, g, h, t: m * abs(g) / abs(g))
over_own_size = ball("over_own_size", lambda m, g, h, t: m / abs(m))
total_over_total = ball("total_over_total", lambda m, g, h, t: m * total(2 * g * g) / (2 * total(g * g)))
total_over_other = ball("total_over_other", lambda m, g, h, t: m * total(2 * m * m) / (2 * total(g * g)))
root_of_own_square = ball("root_of_own_square", lambda m, g, h, t: sqrt(m * m))
size = ball("size", lambda m, g, h, t: abs(m))
size_by_maximum = ball("size_by_maximum", lambda m, g, h, t: maximum(m, -m))
inner_length = ball("inner_length", lambda m, g, h, t: m / (h.eps + sqrt(total(m * m))), eps=positive())
inner_length_scaled = ball(
    "inner_length_scaled", lambda m, g, h, t: 3 * m / (h.eps + 3 * sqrt(total(m * m))), eps=positive()
)

by_negative_power = ball("by_negative_power", lambda m, g, h, t: m * m * m**-1)
by_root_of_size = ball("by_root_of_size", lambda m, g, h, t: sqrt(m * m) * sign(m))
over_length = ball("over_length", lambda m, g, h, t: m / sqrt(total(m * m)))
thrice_over_length = ball("thrice_over_length", lambda m, g, h, t: 2 * (3 * m) / sqrt(total(9 * m * m)))


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), p=momentum(), q=momentum())
def mean_of_momenta(s, t, h):
    """Heavy ball whose rate is the mean of two."""
    g = yield s.w
    m = (h.p + h.q) / 2 * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), p=Hyperparameter(low=0, high=0.5), q=weight())
def sum_of_rates(s, t, h):
    """Heavy ball whose rate is a sum of two, one of them at most a half."""
    g = yield s.w
    m = (h.p + h.q) * s.m + g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", **BALL, decay=step_size())
def average_signed_decaying(s, t, h):
    """The sign of a moving average, and weight decay."""
    g = yield s.w
    m = h.beta * s.m + (1 - h.beta) * g
    return dict(w=(1 - h.lr * h.decay) * s.w - h.lr * sign(m), m=m)


@optimizer(positions="w", memories="m", returns="w", **BALL, decay=step_size())
def sum_signed_decaying(s, t, h):
    """Twice the sign of a sum, and weight decay as much as a step of lr makes."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=(1 - h.lr * h.decay) * s.w - 2 * h.lr * sign(m), m=m)


def adaptive(name, move, unit=1, weigh=lambda h: 1 - h.rho):
    """A move as a function of (m, v, g, h), v a moving average of squares."""

    def rule(s, t, h):
        g = yield s.w
        m = h.beta * s.m + g
        v = h.rho * s.v + weigh(h) * unit * g * g
        return dict(w=s.w - h.lr * move(m, v, g, h), m=m, v=v)

    rule.__name__ = name
    declared = dict(**BALL, rho=momentum(), eps=positive())
    return optimizer(positions="w", memories="m v", returns="w", **declared)(rule)


rooted = adaptive("rooted", lambda m, v, g, h: m / (sqrt(v) + h.eps))
rooted_sum = adaptive("rooted_sum", lambda m, v, g, h: m / (sqrt(v) + h.eps), weigh=lambda h: 1)
rooted_in_other_units = adaptive("rooted_in_other_units", lambda m, v, g, h: m / (sqrt(v) + h.eps), unit=9)
rooted_and_masked = adaptive("rooted_and_masked", lambda m, v, g, h: m / (sqrt(v) + h.eps) * (1 + sign(m * g)) / 2)
rooted_negative = adaptive("rooted_negative", lambda m, v, g, h: -m / (sqrt(v) + h.eps))
rooted_twice = adaptive("rooted_twice", lambda m, v, g, h: m / (sqrt(v) + h.eps) ** 2)
rooted_gradient_only = adaptive("rooted_gradient_only", lambda m, v, g, h: m - g + g / (sqrt(v) + h.eps))


# -- averaging weights that follow the step size


def following_lr(name, power):
    def rule(s, t, h):
        """Schedule-Free whose averaging weights are powers of the step size, their sum a memory."""
        g = yield h.beta * s.x + (1 - h.beta) * s.z
        weights = s.weights + h.lr**power
        z = s.z - h.lr * g
        return dict(x=s.x + h.lr**power / weights * (z - s.x), z=z, weights=weights)

    rule.__name__ = name
    return optimizer(positions="x z", memories="weights", returns="x", lr=positive(), beta=weight())(rule)


averaged_by_lr_squared = following_lr("averaged_by_lr_squared", 2)
averaged_by_lr = following_lr("averaged_by_lr", 1)


@optimizer(positions="w", returns="w", lr=step_size())
def one_and_three(s, t, h):
    """SGD with steps of lr and 3 lr in turn."""
    g = yield s.w
    return dict(w=s.w - h.lr * (2 - (-1) ** t) * g)


# -- recurrences that branch, or read a step size


def switched_after(name, steps):
    @recurrence()
    def branching(memory, t, h):
        """1 for some steps, then 1/2: decided by Python, which no node can answer."""
        return (1 if t < steps else 1 / 2), {}

    def rule(s, t, h):
        """Schedule-Free whose averaging weights change at a step."""
        g = yield h.beta * s.x + (1 - h.beta) * s.z
        z = s.z - h.lr * g
        return dict(x=s.x + h.c * (z - s.x), z=z)

    rule.__name__ = name
    return optimizer(positions="x z", returns="x", lr=step_size(), beta=weight(), c=weight(branching))(rule)


switched_after_three = switched_after("switched_after_three", 3)
switched_after_four = switched_after("switched_after_four", 4)


@recurrence(size=1)
def fading(memory, t, h):
    """1, then over 1 + lr at each step."""
    return memory.size, dict(size=memory.size / (1 + h.lr))


def fading_by(name, unit):
    def rule(s, t, h):
        """SGD with a step of unit lr times a number that fades by lr."""
        g = yield s.w
        return dict(w=s.w - unit * h.lr * h.size * g)

    rule.__name__ = name
    return optimizer(positions="w", returns="w", lr=step_size(), size=positive(fading))(rule)


fading_by_own_lr = fading_by("fading_by_own_lr", 1)
fading_by_double_lr = fading_by("fading_by_double_lr", 1 / 2)


# -- one name for several things, and starts that are no whole numbers


def growing(name, following, start=1):
    def rule(s, t, h):
        """SGD with a step of lr k, k a memory that only the step moves."""
        g = yield s.w
        return dict(w=s.w - h.lr * s.k * g, k=following(s.k))

    rule.__name__ = name
    return optimizer(positions="w", memories={"k": start}, returns="w", lr=step_size())(rule)


adding_one = growing("adding_one", lambda k: k + 1)
taking_double = growing("taking_double", lambda k: 2 * k)
started_at_a_tenth = growing("started_at_a_tenth", lambda k: k, 0.1)
started_at_a_third = growing("started_at_a_third", lambda k: k, 1 / 3)


def plain(name, size):
    def rule(s, t, h):
        """SGD with a fixed part of lr."""
        g = yield s.w
        return dict(w=s.w - h.lr * size * g)

    rule.__name__ = name
    return optimizer(positions="w", returns="w", lr=step_size())(rule)


a_tenth = plain("a_tenth", 0.1)
a_ninth = plain("a_ninth", 1 / 9)
a_third = plain("a_third", 1 / 3)


@optimizer(positions="w", returns="w", k=step_size())
def step_called_k(s, t, h):
    """SGD whose step size is called k."""
    g = yield s.w
    return dict(w=s.w - h.k * g)


@optimizer(positions="w", memories="m v", returns="w", p=step_size(), beta=momentum(), rho=momentum(), eps=positive())
def rooted_with_step_p(s, t, h):
    """Heavy ball over a root, whose step size is called p."""
    g = yield s.w
    m = h.beta * s.m + g
    v = h.rho * s.v + (1 - h.rho) * g * g
    return dict(w=s.w - h.p * m / (sqrt(v) + h.eps), m=m, v=v)
