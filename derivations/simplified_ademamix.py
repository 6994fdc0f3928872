from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.simplified_ademamix import simplified_ademamix_sgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Simplified-AdEMAMix on SGD is accelerated SGD with eta = lr and alpha = lr times its alpha."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 5"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        simplified_ademamix_sgd,
        accelerated_sgd,
        map=dict(beta="beta(t)", eta=eta, alpha="lr(t)*alpha(t)"),
        transform=dict(w="w", m="m"),
        varying=("lr", "beta", "alpha"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(eta="lr(t)")


def near_miss() -> Equivalence:
    """Momentum in average style."""
    return claimed(eta="lr(t)*(1 - beta(t))")
