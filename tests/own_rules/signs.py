"""Signs, clipping and other functions of gradients."""

from accelsim import momentum, optimizer, positive, step_size
from accelsim.elementary import maximum, minimum, sign, sqrt, total


@optimizer(positions="p", memories="buf", returns="p", lr=step_size(1e-3), beta=momentum(0.9))
def sign_momentum(s, t, h):
    """The sign of heavy ball's buffer."""
    g = yield s.p
    buf = h.beta * s.buf + g
    return dict(p=s.p - h.lr * sign(buf), buf=buf)


@optimizer(
    positions="p",
    memories="exp_avg",
    returns="p",
    lr=step_size(1e-4),
    b1=momentum(0.9),
    b2=momentum(0.99),
    wd=step_size(0),
)
def lion_inplace(s, t, h):
    """Lion as it was released: decay first, then the sign."""
    g = yield s.p
    p = s.p * (1 - h.lr * h.wd)
    update = sign(s.exp_avg * h.b1 + g * (1 - h.b1))
    return dict(p=p - h.lr * update, exp_avg=s.exp_avg * h.b2 + g * (1 - h.b2))


@optimizer(positions="p", memories="exp_avg", returns="p", lr=step_size(1e-4), b1=momentum(0.9), b2=momentum(0.99))
def cautious_lion(s, t, h):
    """Lion that moves only where its direction and the gradient agree."""
    g = yield s.p
    u = h.b1 * s.exp_avg + (1 - h.b1) * g
    mask = maximum(sign(u * g), 0)
    return dict(p=s.p - h.lr * sign(u) * mask, exp_avg=h.b2 * s.exp_avg + (1 - h.b2) * g)


@optimizer(positions="p", memories="m", returns="p", lr=step_size(0.01), beta=momentum(0.9), max_norm=positive(1))
def norm_clipped(s, t, h):
    """Heavy ball on gradients of at most a norm, as torch's clip_grad_norm_ has it."""
    g = yield s.p
    norm = sqrt(total(g**2))
    coef = minimum(h.max_norm / (norm + 1e-6), 1.0)
    m = h.beta * s.m + coef * g
    return dict(p=s.p - h.lr * m, m=m)


@optimizer(positions="p", returns="p", lr=step_size(0.01), clip=positive(1))
def value_clipped(s, t, h):
    """SGD on gradients clamped in each coordinate."""
    g = yield s.p
    return dict(p=s.p - h.lr * maximum(-h.clip, minimum(h.clip, g)))


@optimizer(positions="p", memories="acc", returns="p", lr=step_size(0.1), eps=positive(1e-10))
def adagrad_norm(s, t, h):
    """One step size for all, from the sum of squared norms."""
    g = yield s.p
    acc = s.acc + total(g * g)
    return dict(p=s.p - h.lr * g / (sqrt(acc) + h.eps), acc=acc)


@optimizer(positions="p", memories="acc", returns="p", lr=step_size(0.1), lr_decay=step_size(0), eps=positive(1e-10))
def torch_adagrad(s, t, h):
    """Adagrad with torch's decaying step."""
    g = yield s.p
    clr = h.lr / (1 + t * h.lr_decay)
    acc = s.acc + g * g
    return dict(p=s.p - clr * g / (sqrt(acc) + h.eps), acc=acc)


@optimizer(
    positions="p",
    memories="m v",
    returns="p",
    lr=step_size(0.01),
    beta1=momentum(0.9),
    beta2=momentum(0.999),
    eps=positive(1e-3),
)
def yogi(s, t, h):
    """Yogi: the second moment moves by a signed amount."""
    g = yield s.p
    m = h.beta1 * s.m + (1 - h.beta1) * g
    v = s.v - (1 - h.beta2) * sign(s.v - g**2) * g**2
    return dict(p=s.p - h.lr * m / (sqrt(v) + h.eps), m=m, v=v)


@optimizer(
    positions="p",
    memories="m s",
    returns="p",
    lr=step_size(1e-3),
    beta1=momentum(0.9),
    beta2=momentum(0.999),
    eps=positive(1e-16),
)
def adabelief(s, t, h):
    """AdaBelief: squares of the gradient's deviation from its moving average."""
    g = yield s.p
    m = h.beta1 * s.m + (1 - h.beta1) * g
    var = h.beta2 * s.s + (1 - h.beta2) * (g - m) ** 2 + h.eps
    mhat = m / (1 - h.beta1 ** (t + 1))
    shat = var / (1 - h.beta2 ** (t + 1))
    return dict(p=s.p - h.lr * mhat / (sqrt(shat) + h.eps), m=m, s=var)


@optimizer(
    positions="p",
    memories="m v",
    returns="p",
    lr=step_size(0.01),
    beta1=momentum(0.9),
    beta2=momentum(0.999),
    eps=positive(1e-6),
    wd=step_size(0.01),
)
def lamb(s, t, h):
    """LAMB: Adam's direction, as long as the parameters are."""
    g = yield s.p
    m = h.beta1 * s.m + (1 - h.beta1) * g
    v = h.beta2 * s.v + (1 - h.beta2) * g * g
    u = m / (1 - h.beta1 ** (t + 1)) / (sqrt(v / (1 - h.beta2 ** (t + 1))) + h.eps) + h.wd * s.p
    trust = sqrt(total(s.p**2)) / (sqrt(total(u**2)) + 1e-6)
    return dict(p=s.p - h.lr * trust * u, m=m, v=v)


@optimizer(positions="p", memories="m", returns="p", lr=step_size(0.1), mu=momentum(0.9), eps=positive(1e-8))
def normalised(s, t, h):
    """A step of length lr along heavy ball's buffer."""
    g = yield s.p
    m = h.mu * s.m + (1 - h.mu) * g
    return dict(p=s.p - h.lr * m / (sqrt(total(m * m)) + h.eps), m=m)
