from accelsim.optimizers.cautious import cautious_heavy_ball
from accelsim.optimizers.heavy_ball import heavy_ball
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Cautious heavy ball is heavy ball with its step size times a mask p_t, which may be 0; its memory has none."
SOURCE = "Liang, Chen, Liu and Liu 2024, arXiv:2411.16085, Algorithm 1"


def claimed(lr: str, beta: str) -> Equivalence:
    return Equivalence(
        cautious_heavy_ball,
        heavy_ball,
        map=dict(lr=lr, beta=beta),
        transform=dict(w="w", m="m"),
        backward=True,
        varying=("lr",),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(lr="lr(t)*p(t)", beta="beta")


def near_miss() -> Equivalence:
    """A mask that what is remembered goes through too."""
    return claimed(lr="lr(t)*p(t)", beta="beta*p(t)")
