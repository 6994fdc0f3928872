"""Rules that are not shipped: an averaging window, two samples a step, states that are dead."""

from accelsim.rule import Hyperparameter, momentum, optimizer, step_size, weight


@optimizer(positions="base mean out", returns="out", lr=step_size(), beta=weight(), power=Hyperparameter(low=0))
def windowed(s, t, h):
    """Schedule-Free's points, averaged with weights that grow like a power of their number."""
    g = yield h.beta * s.mean + (1 - h.beta) * s.base
    base = s.base - h.lr * g
    mean = s.mean + (base - s.mean) / (t + 1)
    point = h.beta * mean + (1 - h.beta) * base
    return dict(base=base, mean=mean, out=s.out + (h.power + 1) / (t + h.power + 1) * (point - s.out))


@optimizer(positions="w", returns="w", lr=step_size(), ahead=step_size())
def extragradient(s, t, h):
    """A step along the gradient, on a fresh sample, at the end of a first step."""
    first = yield s.w
    second = yield s.w - h.ahead * first
    return dict(w=s.w - h.lr * second)


@optimizer(positions="w", memories="last", returns="w", lr=step_size(), past=step_size())
def optimistic(s, t, h):
    """A step along the gradient and along its change: a memory of one step."""
    g = yield s.w
    return dict(w=s.w - h.lr * g - h.past * (g - s.last), last=g)


@optimizer(positions="w", memories="m", returns="w", lr=step_size(), beta=momentum())
def with_dead_memory(s, t, h):
    """SGD, and a memory that nobody looks at."""
    g = yield s.w
    return dict(w=s.w - h.lr * g, m=h.beta * s.m + g)


@optimizer(positions="w twin", memories="idle", returns="w", lr=step_size(), beta=momentum())
def with_idle_states(s, t, h):
    """SGD, and a difference and a memory that are zero for ever."""
    g = yield s.w + (s.twin - s.w) / 2 + s.idle
    w = s.w - h.lr * g
    return dict(w=w, twin=s.twin - h.lr * g, idle=2 * s.idle + h.beta * (s.w - s.twin))


OWN = {rule.name: rule for rule in (windowed, extragradient, optimistic, with_dead_memory, with_idle_states)}
