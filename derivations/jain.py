from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.jain import jain
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "The four-parameter accelerated SGD is canonical accelerated SGD with three, in the point of the gradient."
SOURCE = "Jain, Kakade, Kidambi, Netrapalli and Sidford 2018, arXiv:1704.08227, Algorithm 1"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        jain,
        accelerated_sgd,
        map=dict(beta="alpha*(1 - beta)", eta=eta, alpha="delta"),
        transform=dict(w="w + (1 - alpha)*(gamma - delta)*m", v="w - alpha*(gamma - delta)*m"),
        backward=True,
    )


def certificate() -> Equivalence:
    return claimed(eta="(1 - alpha)*(gamma - delta)")


def near_miss() -> Equivalence:
    """The long step alone, without what the short step has done already."""
    return claimed(eta="(1 - alpha)*gamma")
