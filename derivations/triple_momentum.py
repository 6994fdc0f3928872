from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.triple_momentum import triple_momentum
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "Triple momentum is accelerated SGD in its gradient's point; its fourth number only moves what it returns."
SOURCE = "Van Scoy, Freeman and Lynch 2018, doi:10.1109/LCSYS.2017.2722406, Equation 4"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        triple_momentum,
        accelerated_sgd,
        map=dict(beta="beta", eta=eta, alpha="alpha*gamma/beta"),
        transform=dict(
            xi="w + alpha*gamma*m",
            previous="w + alpha*(1 + gamma)*m",
            x="w + alpha*(gamma - delta)*m",
        ),
        backward=True,
    )


def certificate() -> Equivalence:
    return claimed(eta="alpha*(beta - gamma*(1 - beta))/beta")


def near_miss() -> Equivalence:
    """What is right where gamma = beta, Nesterov's method."""
    return claimed(eta="alpha*beta")
