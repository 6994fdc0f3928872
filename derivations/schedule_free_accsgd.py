from accelsim.optimizers.accsgd import accsgd
from accelsim.optimizers.schedule_free import schedule_free
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Schedule-Free SGD with a constant averaging weight c is AccSGD, with condition numbers that c and beta set."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 4"


def claimed(kappa: str) -> Equivalence:
    # AccSGD's own constant e may be any number above 0; it is as published.
    return Equivalence(
        schedule_free,
        accsgd,
        map=dict(lr="(1 - beta)*lr", kappa=kappa, xi="(1 + 0.7*beta)/(0.7*(1 - beta))", e="0.7"),
        transform=dict(
            w="beta*x + (1 - beta)*z",
            average="beta*x + (1 - beta)*z - beta*(1.7 - c)/(1 - c)*(x - z)",
        ),
        constant=("c",),
    )


def certificate() -> Equivalence:
    return claimed(kappa="(1 + 0.7*beta)*(1.7 - c)/((1 - beta)*c)")


def near_miss() -> Equivalence:
    """What is left of kappa for small c."""
    return claimed(kappa="(1 + 0.7*beta)*1.7/((1 - beta)*c)")
