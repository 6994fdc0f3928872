from accelsim.optimizers.schedule_free import schedule_free
from accelsim.optimizers.simplified_ademamix import simplified_ademamix_sgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Schedule-Free SGD with a constant averaging weight c is Simplified-AdEMAMix with alpha = (1 - beta)/(beta c)."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 5"


def claimed(alpha: str) -> Equivalence:
    return Equivalence(
        schedule_free,
        simplified_ademamix_sgd,
        map=dict(lr="lr*beta*c", beta="1 - c", alpha=alpha),
        transform=dict(x="w + (1 - beta)*lr*(1 - c)*m", z="w - beta*lr*(1 - c)*m"),
        backward=True,
        constant=("c",),
    )


def certificate() -> Equivalence:
    return claimed(alpha="(1 - beta)/(beta*c)")


def near_miss() -> Equivalence:
    """Weights of average style."""
    return claimed(alpha="(1 - beta)/beta")
