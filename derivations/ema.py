from accelsim.optimizers.averaging import ema
from accelsim.optimizers.schedule_free import schedule_free
from accelsim.optimizers.sgd import sgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "The exponential moving average of SGD is Schedule-Free SGD with beta = 0 and c = 1 - decay."
SOURCE = "Defazio et al. 2024, arXiv:2405.15682, Section 2"


def claimed(c: str) -> Equivalence:
    return Equivalence(
        ema(sgd),
        schedule_free,
        map=dict(lr="lr(t)", beta="0", c=c),
        transform=dict(x="ema", z="w"),
        varying=("lr", "decay"),
        free=("c",),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(c="1 - decay(t)")


def near_miss() -> Equivalence:
    """The decay of the next step."""
    return claimed(c="1 - decay(t+1)")
