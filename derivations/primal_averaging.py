from accelsim.optimizers.heavy_ball import heavy_ball
from accelsim.optimizers.schedule_free import schedule_free
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Primal averaging, which is Schedule-Free SGD with beta = 1, is heavy ball with step size c lr."
SOURCE = "Defazio 2020, arXiv:2010.00406, Section 2"


def claimed(lr: str) -> Equivalence:
    return Equivalence(
        schedule_free,
        heavy_ball,
        map=dict(lr=lr, beta="(1 - c(t-1))*lr(t-1)/lr(t)"),
        transform=dict(x="w", z="w - lr(t-1)*(1 - c(t-1))*m"),
        backward=True,
        varying=("lr",),
        free=("c",),
        given=dict(beta=1),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(lr="lr(t)*c(t)")


def near_miss() -> Equivalence:
    """The averaging weight of the last step."""
    return claimed(lr="lr(t)*c(t-1)")
