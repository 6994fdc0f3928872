from accelsim.optimizers.nesterov import nesterov_sequences
from accelsim.optimizers.schedule_free import schedule_free
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Schedule-Free SGD with c = 1 - beta = 2/(t+2) and steps (t+2)/2 lr, which is AC-SA, is Nesterov's method."
SOURCE = "Lan 2012, doi:10.1007/s10107-010-0434-y"


def claimed(lr: str) -> Equivalence:
    return Equivalence(
        nesterov_sequences,
        schedule_free,
        map=dict(lr=lr, beta="t/(t+2)", c="2/(t+2)"),
        transform=dict(x="x", z="y + t/2*(y - x)"),
        given=dict(mu="t/(t+3)"),
        free=("c",),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(lr="(t+2)/2*lr")


def near_miss() -> Equivalence:
    """Steps that are one index late: another method."""
    return claimed(lr="(t+1)/2*lr")
