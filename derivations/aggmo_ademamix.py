from accelsim.optimizers.ademamix import ademamix_sgd
from accelsim.optimizers.aggmo import aggmo
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Aggregated momentum with two velocities is AdEMAMix on SGD, both with two memories."
SOURCE = "Pagliardini, Ablin and Grangier 2024, arXiv:2409.03137"


def claimed(alpha: str) -> Equivalence:
    return Equivalence(
        aggmo,
        ademamix_sgd,
        map=dict(lr="lr(t)/(2*(1 - beta1))", beta1="beta1", beta3="beta2", alpha=alpha),
        transform=dict(w="w", m1="-(1 - beta1)*v1", m2="-(1 - beta2)*v2"),
        varying=("lr",),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(alpha="(1 - beta1)/(1 - beta2)")


def near_miss() -> Equivalence:
    """Equal weights of averages, where sums have equal weights."""
    return claimed(alpha="1")
