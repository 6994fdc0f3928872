from accelsim.elementary import maximum
from accelsim.optimizers.adamw import debiased, decayed, denominator, preconditioner, second_moment
from accelsim.optimizers.qhm import mean
from accelsim.rule import momentum, optimizer, step_size


@optimizer(
    positions="w",
    memories="m v largest",
    returns="w",
    source="Reddi, Kale and Kumar 2018, arXiv:1904.09237, Algorithm 2, with AdamW's bias corrections as in torch",
    lr=step_size(1e-3),
    beta1=momentum(0.9),
    **preconditioner(0.999),
    **decayed(),
)
def amsgrad(s, t, h):
    """AMSGrad: Adam whose second moment is the largest so far, and decoupled weight decay."""
    g = yield s.w
    m, v = mean(s.m, g, h.beta1), second_moment(s, g, h)
    largest = maximum(s.largest, v)
    direction = debiased(m, h.beta1, t) / denominator(largest, t, h)
    return dict(w=s.w - h.lr * (direction + h.weight_decay * s.w), m=m, v=v, largest=largest)
