from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.accsgd import accsgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "AccSGD is accelerated SGD with beta = (kappa - e^2 xi)/(kappa + e xi)."
SOURCE = "Kidambi, Netrapalli, Jain and Kakade 2018, arXiv:1803.05591, Algorithm 3"


def claimed(beta: str) -> Equivalence:
    return Equivalence(
        accsgd,
        accelerated_sgd,
        map=dict(beta=beta, eta="lr*e*xi*(e*xi - 1)/(kappa + e*xi)", alpha="lr"),
        transform=dict(w="w", average="w - lr*kappa*(e*xi - 1)/(kappa + e*xi)*m"),
        backward=True,
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(beta="(kappa - e**2*xi)/(kappa + e*xi)")


def near_miss() -> Equivalence:
    """One factor e lost."""
    return claimed(beta="(kappa - e*xi)/(kappa + e*xi)")
