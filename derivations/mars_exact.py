from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.mars import mars_exact_sgd
from accelsim.symbolic.check.equivalence import Equivalence

from ._gradients import on_quadratics

# Two gradients on one sample are no recurrence in one of them. On a quadratic they differ by H_t (x_t - x_{t-1}), and
# x_t - x_{t-1} = -lr_{t-1} m_{t-1}: all that is left of the second gradient is a smaller momentum along each curvature.
CLAIM = "Exact MARS on a quadratic is heavy ball with momentum beta (1 - gamma lr H_t), H_t the sample's curvature."
SOURCE = "Yuan et al. 2024, arXiv:2411.10438, Algorithm 1"


def claimed(beta: str) -> Equivalence:
    return Equivalence(
        on_quadratics(mars_exact_sgd),
        accelerated_sgd,
        map=dict(beta=beta, eta="lr(t)*(1 - beta)", alpha="0"),
        transform=dict(w="w", previous="w + lr(t-1)*(1 - beta)*m", m="(1 - beta)*m"),
        backward=True,
        varying=("lr", "curvature"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(beta="beta*(1 - gamma*lr(t-1)*curvature(t))")


def near_miss() -> Equivalence:
    """The curvature of the last sample, where both gradients are on this one."""
    return claimed(beta="beta*(1 - gamma*lr(t-1)*curvature(t-1))")
