from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.dana import dana
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "DANA is accelerated SGD with beta = 1 - delta/(delta + t), eta = g1 g3 and alpha = g2."
SOURCE = "Ferbach et al. 2025, arXiv:2505.16098, Section 2"


def claimed(beta: str) -> Equivalence:
    return Equivalence(
        dana,
        accelerated_sgd,
        map=dict(beta=beta, eta="g1(t)*g3(t)", alpha="g2(t)"),
        transform=dict(w="w", y="g1(t-1)*m"),
        backward=True,
        varying=("g1", "g2", "g3"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(beta="(1 - delta/(delta + t))*g1(t-1)/g1(t)")


def near_miss() -> Equivalence:
    """The formula of constant g1, where it varies."""
    return claimed(beta="1 - delta/(delta + t)")
