"""Linear rules: other states, states that cancel, step sizes inside and outside of memories."""

from accelsim import Hyperparameter, first, momentum, optimizer, step_size, weight, where

RATE = Hyperparameter(low=0.1, high=0.9)
BALL = dict(lr=step_size(), beta=momentum())


@optimizer(positions="w", memories="v", returns="w", **BALL)
def velocity(s, t, h):
    """Momentum with the step size inside."""
    g = yield s.w
    v = h.beta * s.v + h.lr * g
    return dict(w=s.w - v, v=v)


@optimizer(positions="w", memories="v", returns="w", **BALL)
def velocity_decayed_late(s, t, h):
    """Momentum with the step size inside, the buffer decayed after use."""
    g = yield s.w
    v = s.v + h.lr * g
    return dict(w=s.w - v, v=h.beta * v)


@optimizer(positions="w prev", returns="w", **BALL)
def last_move(s, t, h):
    """Polyak's form: the last move times beta."""
    g = yield s.w
    return dict(w=s.w - h.lr * g + h.beta * (s.w - s.prev), prev=s.w)


@optimizer(positions="w prev", returns="w", **BALL)
def last_move_at_extrapolation(s, t, h):
    """Nesterov's form: the gradient is taken at the extrapolated point."""
    y = s.w + h.beta * (s.w - s.prev)
    g = yield y
    return dict(w=y - h.lr * g, prev=s.w)


@optimizer(positions="w", memories="v", returns="w", **BALL)
def nesterov_velocity(s, t, h):
    """Nesterov's method as deep-learning frameworks have it, with the step size inside."""
    g = yield s.w
    v = h.beta * s.v - h.lr * g
    return dict(w=s.w + h.beta * v - h.lr * g, v=v)


@optimizer(positions="w", memories="m", returns="w", **BALL)
def average(s, t, h):
    """A step along the moving average."""
    g = yield s.w
    m = h.beta * s.m + (1 - h.beta) * g
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=RATE, amp=step_size())
def amplified(s, t, h):
    """Grokfast: the gradient and amp times its moving average."""
    g = yield s.w
    m = h.beta * s.m + (1 - h.beta) * g
    return dict(w=s.w - h.lr * (g + h.amp * m), m=m)


@optimizer(positions="w", memories="slow m", returns="w", lr=step_size(), beta=RATE, amp=step_size(), mu=RATE)
def amplified_ball(s, t, h):
    """Grokfast before heavy ball: two memories."""
    g = yield s.w
    slow = h.beta * s.slow + (1 - h.beta) * g
    m = h.mu * s.m + g + h.amp * slow
    return dict(w=s.w - h.lr * m, slow=slow, m=m)


@optimizer(positions="w", memories="i last", returns="w", lr=step_size(), mu=RATE, ki=step_size(), kd=step_size())
def three_terms(s, t, h):
    """Gradient, decayed sum, and difference of gradients."""
    g = yield s.w
    i = h.mu * s.i + g
    return dict(w=s.w - h.lr * (g + h.ki * i + h.kd * (g - s.last)), i=i, last=g)


@optimizer(positions="w", memories="d", returns="w", lr=step_size(), mu=RATE, kd=step_size())
def proportional_and_difference(s, t, h):
    """Gradient and smoothed difference of gradients, by the average that is taken away."""
    g = yield s.w
    d = h.mu * s.d + (1 - h.mu) * g
    return dict(w=s.w - h.lr * (g + h.kd * (g - d)), d=d)


@optimizer(positions="w", memories="a b", returns="w", lr=step_size(), beta=momentum())
def two_that_are_one(s, t, h):
    """Heavy ball along a third of one buffer and two thirds of the same one."""
    g = yield s.w
    a, b = h.beta * s.a + g, h.beta * s.b + g
    return dict(w=s.w - h.lr * (a / 3 + 2 * b / 3), a=a, b=b)


@optimizer(positions="w", memories="a b", returns="w", lr=step_size(), beta=RATE)
def two_that_are_two(s, t, h):
    """Heavy ball along the mean of two buffers, one of which decays a little faster."""
    g = yield s.w
    a, b = h.beta * s.a + g, (h.beta - 0.01) * s.b + g
    return dict(w=s.w - h.lr * (a + b) / 2, a=a, b=b)


@optimizer(positions="w", memories="a b", returns="w", lr=step_size(), beta=momentum(), rate=momentum())
def one_that_cancels(s, t, h):
    """Heavy ball beside a buffer that is added and taken away."""
    g = yield s.w
    a, b = h.beta * s.a + g, h.rate * s.b + g
    return dict(w=s.w - h.lr * (a + b) + h.lr * b, a=a, b=b)


@optimizer(positions="w shadow", memories="m", returns="w", lr=step_size(), beta=momentum())
def with_shadow(s, t, h):
    """Heavy ball beside an average of iterates that nothing reads."""
    g = yield s.w
    m = h.beta * s.m + g
    w = s.w - h.lr * m
    return dict(w=w, m=m, shadow=(s.shadow + w) / 2)


@optimizer(positions="w shadow", memories="m", returns="w", lr=step_size(), beta=momentum())
def with_read_shadow(s, t, h):
    """Heavy ball that is pulled a hundredth of the way to an average of its iterates."""
    g = yield s.w
    m = h.beta * s.m + g
    w = s.w - h.lr * m
    return dict(w=w + (s.shadow - s.w) / 100, m=m, shadow=(s.shadow + w) / 2)


@optimizer(positions="w", memories="c last", returns="w", lr=step_size(), gamma=RATE)
def telescoping(s, t, h):
    """SGD on a correction c that is the newest gradient plus (1 - gamma)(c - last): c is the gradient."""
    g = yield s.w
    c = g + (1 - h.gamma) * (s.c - s.last)
    return dict(w=s.w - h.lr * c, c=c, last=g)


@optimizer(positions="w", memories={"c": 1, "last": 0}, returns="w", lr=step_size(), gamma=RATE)
def telescoping_from_one(s, t, h):
    """The same, whose correction starts at one: it moves without gradients."""
    g = yield s.w
    c = g + (1 - h.gamma) * (s.c - s.last)
    return dict(w=s.w - h.lr * c, c=c, last=g)


@optimizer(positions="w start", memories="z", returns="w", **BALL)
def dual_averaging(s, t, h):
    """The start less lr times the sum of gradients, in a memory."""
    g = yield s.w
    z = s.z + g
    return dict(w=s.start - h.lr * z, start=s.start, z=z)


@optimizer(positions="w", memories="last", returns="w", lr=step_size())
def delayed(s, t, h):
    """SGD by the gradient of the step before."""
    g = yield s.w
    return dict(w=s.w - h.lr * s.last, last=g)


@optimizer(positions="w ahead", returns="w", lr=step_size())
def delayed_point(s, t, h):
    """The same, by a point that is one step ahead."""
    g = yield s.w
    return dict(w=s.ahead, ahead=s.ahead - h.lr * g)


@optimizer(positions="w", memories="m", returns="w", **BALL)
def late_buffer(s, t, h):
    """A step along the buffer before the newest gradient, and the gradient."""
    g = yield s.w
    return dict(w=s.w - h.lr * (h.beta * s.m + g), m=h.beta * s.m + g)


@optimizer(positions="w", memories="m", returns="w", **BALL)
def late_buffer_undecayed(s, t, h):
    """A step along the buffer before it is decayed, and the gradient."""
    g = yield s.w
    return dict(w=s.w - h.lr * (s.m + g), m=h.beta * s.m + g)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum(), nu=weight())
def mixed(s, t, h):
    """Quasi-hyperbolic momentum on the decayed sum."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * ((1 - h.nu) * g + h.nu * (1 - h.beta) * m), m=m)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum(), decay=step_size())
def decayed_ball(s, t, h):
    """Heavy ball whose gradients include weight decay."""
    g = yield s.w
    m = h.beta * s.m + g + h.decay * s.w
    return dict(w=s.w - h.lr * m, m=m)


@optimizer(positions="w", memories="v", returns="w", lr=step_size(), beta=momentum(), decay=step_size())
def decayed_velocity(s, t, h):
    """The same, with the step size inside."""
    g = yield s.w
    v = h.beta * s.v - h.lr * (g + h.decay * s.w)
    return dict(w=s.w + v, v=v)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum(), decay=step_size())
def decoupled_ball(s, t, h):
    """Heavy ball with decoupled weight decay."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - h.lr * (m + h.decay * s.w), m=m)


@optimizer(positions="w", memories="m", returns="w", **BALL)
def idle_at_first(s, t, h):
    """Heavy ball that does not move at its first step."""
    g = yield s.w
    m = h.beta * s.m + g
    return dict(w=s.w - where(first(t), 0, h.lr) * m, m=m)
