from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.agnes import agnes
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "AGNES is accelerated SGD with beta = rho, eta = alpha rho and its step size as alpha."
SOURCE = "Gupta, Siegel and Wojtowytsch 2024, arXiv:2302.05515, Algorithm 1"


def claimed(eta: str) -> Equivalence:
    return Equivalence(
        agnes,
        accelerated_sgd,
        map=dict(beta="rho(t-1)", eta=eta, alpha="lr(t)"),
        transform=dict(x="w + alpha*rho(t-1)*m", v="-rho(t-1)*m"),
        backward=True,
        varying=("lr", "rho"),
    )


def certificate() -> Equivalence:
    return claimed(eta="alpha*rho(t)")


def near_miss() -> Equivalence:
    """The velocity before it is damped."""
    return claimed(eta="alpha")
