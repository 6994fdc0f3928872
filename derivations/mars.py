from accelsim.optimizers.mars import mars_sgd
from accelsim.optimizers.qhm import qhm
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Approximate MARS, unclipped, is quasi-hyperbolic momentum with nu = 1 - gamma, hence accelerated SGD."
SOURCE = "Morwani et al. 2025, arXiv:2502.02431, Section 4"


def claimed(nu: str) -> Equivalence:
    return Equivalence(
        mars_sgd,
        qhm,
        map=dict(lr="lr", beta="beta", nu=nu),
        transform=dict(w="w", m="(m - gamma*last)/(1 - gamma)"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(nu="1 - gamma")


def near_miss() -> Equivalence:
    """The weight on the gradient in place of the weight on its average."""
    return claimed(nu="gamma")
