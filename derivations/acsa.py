from accelsim.optimizers.acsa import acsa
from accelsim.optimizers.schedule_free import schedule_free
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "AC-SA is Schedule-Free SGD with c = 1 - beta = 1/beta_t and steps that grow with beta_t."
SOURCE = "Lan 2012, doi:10.1007/s10107-010-0434-y, Section 3"


def claimed(lr: str) -> Equivalence:
    return Equivalence(
        acsa,
        schedule_free,
        map=dict(lr=lr, beta="1 - 1/beta(t)", c="1/beta(t)"),
        transform=dict(x="ag", z="x"),
        varying=("lr",),
        free=("beta", "c"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(lr="lr(t)*beta(t)")


def near_miss() -> Equivalence:
    """Steps that do not grow."""
    return claimed(lr="lr(t)")
