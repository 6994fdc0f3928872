"""NAdam, whose momentum warms up: its products of momenta are kept on the host."""

from accelsim.optimizers.adamw import denominator, preconditioner, second_moment
from accelsim.optimizers.qhm import mean
from accelsim.rule import Hyperparameter, momentum, optimizer, step_size, weight
from accelsim.schedules import recurrence


def warm(t, h):
    """The momentum of step t, which grows from about beta1/2 to beta1."""
    return h.beta1 * (1 - 0.96 ** ((t + 1) * h.momentum_decay) / 2)


@recurrence()
def warming(memory, t, h):
    """The momentum of this step."""
    return warm(t, h), {}


@recurrence(product=1)
def newest(memory, t, h):
    """Weight of the current gradient after the bias correction of this step."""
    product = memory.product * warm(t, h)
    return (1 - warm(t, h)) / (1 - product), dict(product=product)


@recurrence(product=1)
def ahead(memory, t, h):
    """The momentum of the next step after the bias correction of the next step."""
    product = memory.product * warm(t, h)
    return warm(t + 1, h) / (1 - product * warm(t + 1, h)), dict(product=product)


@optimizer(
    positions="w",
    memories="m v",
    returns="w",
    source="Dozat 2016, Incorporating Nesterov momentum into Adam, openreview:OM0jvwB8jIp57ZJjtNEZ, Algorithm 2",
    lr=step_size(0.002),
    beta1=momentum(0.9),
    momentum_decay=Hyperparameter(0.004, low=0),
    mu=momentum(warming),
    fresh=weight(newest),
    past=Hyperparameter(ahead, low=0),
    **preconditioner(0.999),
)
def nadam(s, t, h):
    """NAdam: Adam that steps along the momentum of the next step, in which the gradient weighs more.

    The second moment is multiplied by beta2, as printed; torch and optax leave that factor out, which is another step
    size and epsilon.
    """
    g = yield s.w
    m, v = mean(s.m, g, h.mu), second_moment(s, g, h)
    return dict(w=s.w - h.lr * (h.fresh * g + h.past * m) / denominator(h.beta2 * v, t, h), m=m, v=v)
