from accelsim.optimizers.averaging import lawa
from accelsim.optimizers.heavy_ball import heavy_ball
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "LAWA takes gradients where the rule does whose checkpoints it averages: only what it returns is another point."
SOURCE = "Kaddour 2022, arXiv:2209.14981"


def claimed(returned: bool) -> Equivalence:
    return Equivalence(
        lawa(heavy_ball),
        heavy_ball,
        map=dict(lr="lr(t)", beta="beta(t)"),
        transform=dict(w="w", m="m"),
        varying=("lr", "beta"),
        free=("sync",),
        returned=returned,
    )


def certificate() -> Equivalence:
    return claimed(returned=False)


def near_miss() -> Equivalence:
    """What both return."""
    return claimed(returned=True)
