from accelsim.optimizers.lion import lion
from accelsim.optimizers.signum import signum
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Signum is Lion with both rates equal."
SOURCE = "Chen et al. 2023, arXiv:2302.06675, Section 3"


def claimed(beta1: str) -> Equivalence:
    return Equivalence(
        signum,
        lion,
        map=dict(lr="lr(t)", beta1=beta1, beta2="beta(t)", weight_decay="0"),
        transform=dict(w="w", m="m"),
        varying=("lr", "beta"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(beta1="beta(t)")


def near_miss() -> Equivalence:
    """The rate of the last step."""
    return claimed(beta1="beta(t-1)")
