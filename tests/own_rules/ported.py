"""Rules carried over from training code, line by line."""

from accelsim import Hyperparameter, momentum, optimizer, positive, step_size, switch, weight
from accelsim.elementary import first, maximum, minimum, sqrt, where

ADAM = dict(lr=step_size(1e-3), beta1=momentum(0.9), beta2=momentum(0.999), eps=positive(1e-8))


@optimizer(
    positions="param",
    memories="buf",
    returns="param",
    lr=step_size(1e-2),
    momentum=momentum(0.9),
    dampening=weight(0),
    weight_decay=step_size(0),
    nesterov=switch(1),
)
def torch_sgd(state, t, h):
    """SGD with momentum as torch has it: the first buffer is the gradient, undampened."""
    grad = yield state.param
    grad = grad + h.weight_decay * state.param
    buf = where(first(t), grad, h.momentum * state.buf + (1 - h.dampening) * grad)
    grad = grad + h.momentum * buf if h.nesterov else buf
    return {"param": state.param - h.lr * grad, "buf": buf}


@optimizer(positions="w", memories="velocity", returns="w", lr=step_size(0.01), mu=momentum(0.9))
def keras_nesterov(s, t, h):
    """Keras's velocity is a displacement, lr and sign inside."""
    g = yield s.w
    velocity = h.mu * s.velocity - h.lr * g
    return dict(w=s.w + h.mu * velocity - h.lr * g, velocity=velocity)


@optimizer(positions="w", memories="exp_avg exp_avg_sq step", returns="w", **ADAM)
def torch_adam(s, t, h):
    """Adam with a step counter in the state, the corrections split between step size and denominator."""
    grad = yield s.w
    step = s.step + 1
    exp_avg = s.exp_avg + (grad - s.exp_avg) * (1 - h.beta1)
    exp_avg_sq = s.exp_avg_sq * h.beta2 + grad * grad * (1 - h.beta2)
    bias_correction1 = 1 - h.beta1**step
    bias_correction2 = 1 - h.beta2**step
    step_size_ = h.lr / bias_correction1
    denom = sqrt(exp_avg_sq) / sqrt(bias_correction2) + h.eps
    return dict(w=s.w - step_size_ * (exp_avg / denom), exp_avg=exp_avg, exp_avg_sq=exp_avg_sq, step=step)


@optimizer(
    positions="w",
    memories=dict(exp_avg=0, exp_avg_sq=0, mu_product=1),
    returns="w",
    momentum_decay=positive(4e-3),
    **ADAM,
)
def torch_nadam(s, t, h):
    """NAdam with the product of momenta in the state, and the next momentum from its formula."""
    grad = yield s.w
    step = t + 1
    mu = h.beta1 * (1.0 - 0.5 * 0.96 ** (step * h.momentum_decay))
    mu_next = h.beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * h.momentum_decay))
    mu_product = s.mu_product * mu
    exp_avg = h.beta1 * s.exp_avg + (1 - h.beta1) * grad
    exp_avg_sq = h.beta2 * s.exp_avg_sq + (1 - h.beta2) * grad**2
    denom = sqrt(exp_avg_sq / (1 - h.beta2**step)) + h.eps
    w = s.w - h.lr * (1.0 - mu) / (1.0 - mu_product) * grad / denom
    w = w - h.lr * mu_next / (1.0 - mu_product * mu_next) * exp_avg / denom
    return dict(w=w, exp_avg=exp_avg, exp_avg_sq=exp_avg_sq, mu_product=mu_product)


@optimizer(
    positions="y z x",
    memories="weight_sum lr_max k",
    returns="x",
    lr=step_size(0.1),
    beta=Hyperparameter(0.9, low=0, high=1, open_low=True),
    warmup_steps=positive(10),
    weight_lr_power=2,
)
def released_schedule_free(s, t, h):
    """Schedule-Free SGD as it was released: y is trained, x is recovered from y and z, weights are summed up."""
    grad = yield s.y
    sched = minimum(1, (s.k + 1) / h.warmup_steps)
    lr = h.lr * sched
    lr_max = maximum(lr, s.lr_max)
    weight = lr_max**h.weight_lr_power
    weight_sum = s.weight_sum + weight
    ckp1 = weight / weight_sum
    y = s.y + ckp1 * (s.z - s.y)
    y = y + grad * (lr * (h.beta * (1 - ckp1) - 1))
    z = s.z - lr * grad
    return dict(y=y, z=z, x=y + (1 - 1 / h.beta) * (z - y), weight_sum=weight_sum, lr_max=lr_max, k=s.k + 1)


@optimizer(
    positions="p ax", memories="step", returns="ax", lr=step_size(1e-2), lambd=step_size(1e-4), alpha=weight(0.75)
)
def torch_asgd(s, t, h):
    """Averaged SGD as torch has it, with t0 = 0: a decaying step, and the running mean of all iterates."""
    g = yield s.p
    step = s.step + 1
    eta = h.lr / (1 + h.lambd * h.lr * s.step) ** h.alpha
    p = s.p - eta * (g + h.lambd * s.p)
    return dict(p=p, ax=s.ax + (p - s.ax) / step, step=step)


@optimizer(
    positions="w",
    memories="square_avg grad_avg buf",
    returns="w",
    lr=step_size(1e-2),
    alpha=momentum(0.99),
    momentum=momentum(0.0),
    eps=positive(1e-8),
)
def torch_centered_rmsprop(s, t, h):
    """RMSprop over the deviation of gradients from their moving average."""
    g = yield s.w
    square_avg = h.alpha * s.square_avg + (1 - h.alpha) * g * g
    grad_avg = s.grad_avg + (1 - h.alpha) * (g - s.grad_avg)
    avg = sqrt(square_avg - grad_avg * grad_avg) + h.eps
    buf = h.momentum * s.buf + g / avg
    return dict(w=s.w - h.lr * buf, square_avg=square_avg, grad_avg=grad_avg, buf=buf)


@optimizer(positions="w", memories="exp_avg exp_inf", returns="w", **ADAM)
def torch_adamax(s, t, h):
    """Adamax: Adam in the maximum norm."""
    g = yield s.w
    exp_avg = s.exp_avg + (1 - h.beta1) * (g - s.exp_avg)
    exp_inf = maximum(h.beta2 * s.exp_inf, abs(g) + h.eps)
    clr = h.lr / (1 - h.beta1 ** (t + 1))
    return dict(w=s.w - clr * exp_avg / exp_inf, exp_avg=exp_avg, exp_inf=exp_inf)
