from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.muon import muon
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Muon orthogonalizes the direction of Nesterov's momentum: accelerated SGD with alpha/eta = 1/beta."
SOURCE = "Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv:2502.16982, Section 2.1"


def claimed(alpha: str) -> Equivalence:
    return Equivalence(
        muon,
        accelerated_sgd,
        map=dict(beta="beta", eta="lr*beta*(1 - beta)", alpha=alpha),
        transform=dict(w="w", m="m/(1 - beta)"),
        given=dict(weight_decay=0),
        returned=True,
        up_to=("sign",),
    )


def certificate() -> Equivalence:
    return claimed(alpha="lr*(1 - beta)")


def near_miss() -> Equivalence:
    """The weight that the gradient has in the moving average and beside it."""
    return claimed(alpha="lr*(1 - beta**2)")
