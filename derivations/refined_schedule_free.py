from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.refined_schedule_free import refined_schedule_free
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Refined Schedule-Free is accelerated SGD, also while its step size warms up and its average is all of z."
SOURCE = "Song, Baek, Ahn and Yun 2025, arXiv:2507.09846"


def claimed(beta: str) -> Equivalence:
    return Equivalence(
        refined_schedule_free,
        accelerated_sgd,
        map=dict(beta=beta, eta="beta*lr(t)*c(t)", alpha="(1 - beta)*lr(t)"),
        transform=dict(
            x="w + (1 - beta)*lr(t-1)*(1 - c(t-1))*m",
            z="w - beta*lr(t-1)*(1 - c(t-1))*m",
        ),
        backward=True,
        varying=("lr",),
        free=("c",),
    )


def certificate() -> Equivalence:
    return claimed(beta="(1 - c(t-1))*lr(t-1)/lr(t)")


def near_miss() -> Equivalence:
    """The momentum of a constant step size, where it varies."""
    return claimed(beta="1 - c(t-1)")
