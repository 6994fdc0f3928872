from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.ademamix import ademamix
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "AdEMAMix with beta1 = 0 is accelerated SGD, then Adam's preconditioner p_t."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 4"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        ademamix,
        accelerated_sgd,
        map=dict(beta="beta3", eta=eta, alpha="lr(t)*p(t)"),
        transform=dict(w="w", m="m2/(1 - beta3)"),
        varying=("lr", "alpha"),
        given=dict(beta1=0, weight_decay=0),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)*alpha(t)*(1 - beta3)*p(t)")


def near_miss() -> Equivalence:
    """A bias correction of the slow average, which AdEMAMix leaves out."""
    return claimed(eta="lr(t)*alpha(t)*(1 - beta3)/(1 - beta3**(t+1))*p(t)")
