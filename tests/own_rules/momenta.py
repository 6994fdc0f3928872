"""Momentum in the many ways in which it is written."""

from accelsim import momentum, optimizer, positive, real, step_size, weight
from accelsim.elementary import cos, first, minimum, pi, sqrt, where


@optimizer(positions="x x_prev", returns="x", alpha=step_size(), beta=momentum())
def difference(s, t, h):
    """Polyak's own writing: the last displacement, again."""
    g = yield s.x
    return {"x": s.x - h.alpha * g + h.beta * (s.x - s.x_prev), "x_prev": s.x}


@optimizer(positions="y x", returns="y", lr=step_size(), beta=momentum())
def two_sequences(s, t, h):
    """Nesterov's two sequences, asked at the point looked ahead to."""
    grad = yield s.y
    x_new = s.y - h.lr * grad
    return {"y": x_new + h.beta * (x_new - s.x), "x": x_new}


@optimizer(positions="y x", memories=dict(theta=1), returns="y", lr=step_size())
def fista(s, t, h):
    """Nesterov's sequence of momenta, from (1 + sqrt(1 + 4 theta^2)) / 2."""
    g = yield s.y
    theta = (1 + sqrt(1 + 4 * s.theta**2)) / 2
    x = s.y - h.lr * g
    return dict(y=x + (s.theta - 1) / theta * (x - s.x), x=x, theta=theta)


@optimizer(positions="w x0", memories="z k", returns="w", lr=step_size(), c=weight())
def dual_averaged(s, t, h):
    """Modernized dual averaging: the sum of gradients gives a point, which the iterate follows."""
    g = yield s.w
    z = s.z - h.lr * g
    return dict(w=(1 - h.c) * s.w + h.c * (s.x0 + z), x0=s.x0, z=z, k=s.k + 1)


@optimizer(positions="w", memories="prev", returns="w", lr=step_size())
def optimistic(s, t, h):
    """Optimistic gradient: twice the newest less the last."""
    g = yield s.w
    return dict(w=s.w - h.lr * (2 * g - s.prev), prev=g)


@optimizer(positions="w", returns="w", lr=step_size())
def extragradient(s, t, h):
    """A trial step, and the gradient there taken from where it began."""
    g = yield s.w
    trial = s.w - h.lr * g
    g = yield trial
    return dict(w=s.w - h.lr * g)


@optimizer(positions="w", memories="m weight", returns="w", lr=step_size(), beta=momentum())
def normalised_average(s, t, h):
    """The weighted mean of all gradients, by their decayed sum and the decayed sum of weights."""
    g = yield s.w
    m = h.beta * s.m + g
    weight = h.beta * s.weight + 1
    return dict(w=s.w - h.lr * m / weight, m=m, weight=weight)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum(0.9), warm=positive(5), total=200)
def warmed_then_cosine(s, t, h):
    """Heavy ball under a linear warm-up and half a cosine, all inside the rule."""
    g = yield s.w
    warm = minimum(1, (t + 1) / h.warm)
    decay = 0.5 * (1 + cos(pi * minimum(t, h.total) / h.total))
    m = h.beta * s.m + (1 - h.beta) * g
    return dict(w=s.w - h.lr * warm * decay * m, m=m)


@optimizer(positions="w avg", memories="shadow power", returns="avg", lr=step_size(), decay=momentum(0.99))
def shadowed(s, t, h):
    """SGD that returns an exponential moving average of iterates, which starts at zero and is unbiased."""
    g = yield s.w
    w = s.w - h.lr * g
    shadow = h.decay * s.shadow + (1 - h.decay) * w
    return dict(w=w, shadow=shadow, avg=shadow / (1 - h.decay ** (t + 1)), power=s.power)


@optimizer(positions="w prev_w", memories="d", returns="w", lr=step_size(), a=weight())
def recursive_momentum(s, t, h):
    """STORM: the newest gradient plus the old estimate, corrected by the old gradient on the same sample."""
    g, g_prev = yield s.w, s.prev_w
    d = where(first(t), g, g + (1 - h.a) * (s.d - g_prev))
    return dict(w=s.w - h.lr * d, prev_w=s.w, d=d)


@optimizer(positions="w", memories="m g_last", returns="w", lr=step_size(), b=momentum(0.95), gamma=real(0.025))
def variance_reduced(s, t, h):
    """MARS: momentum of the gradient extrapolated by its last change."""
    g = yield s.w
    correction = h.gamma * h.b / (1 - h.b) * (g - s.g_last)
    m = h.b * s.m + (1 - h.b) * (g + correction)
    return dict(w=s.w - h.lr * m, m=m, g_last=g)


@optimizer(positions="w", returns="w", lr=step_size())
def twice_sampled(s, t, h):
    """SGD along the mean of two samples' gradients."""
    a = yield s.w
    b = yield s.w
    return dict(w=s.w - h.lr * (a + b) / 2)
