from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.adamw import adam
from accelsim.symbolic.check.equivalence import Equivalence

from ._gradients import scaled

CLAIM = "Adam is heavy ball on preconditioned gradients p_t g_t, with a momentum beta p_t/p_{t-1} for every coordinate."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 4"


def claimed(beta: str) -> Equivalence:
    return Equivalence(
        adam,
        scaled(accelerated_sgd),
        map=dict(beta=beta, eta="lr(t)*(1 - beta1)/(1 - beta1**(t+1))", alpha="0", scale="p(t)"),
        transform=dict(w="w", m="p(t-1)/(1 - beta1)*m"),
        varying=("lr",),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(beta="beta1*p(t)/p(t-1)")


def near_miss() -> Equivalence:
    """One momentum for all coordinates, which is LaProp."""
    return claimed(beta="beta1")
