from accelsim.optimizers.averaging import tail_average
from accelsim.optimizers.schedule_free import schedule_free
from accelsim.optimizers.sgd import sgd
from accelsim.symbolic.check.equivalence import Equivalence

START = 3  # any number of steps will do, and 0 is Polyak's average
CLAIM = "Tail-averaged SGD is Schedule-Free SGD with beta = 0 and c = 1 until its start, then 1 over the steps since."
SOURCE = "Jain, Kakade, Kidambi, Netrapalli and Sidford 2018, arXiv:1704.08227"


def claimed(c: str) -> Equivalence:
    return Equivalence(
        tail_average(sgd),
        schedule_free,
        map=dict(lr="lr(t)", beta="0", c=c),
        transform=dict(x="tail_average", z="w"),
        varying=("lr",),
        free=("c",),
        given=dict(start=START),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(c=f"1/maximum(1, t + 1 - {START})")


def near_miss() -> Equivalence:
    """The average of all iterates."""
    return claimed(c="1/(t + 1)")
