from accelsim.optimizers.ema_mixture import ema_mixture_sgd
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "A mixture of three moving averages, one of them of rate 0, is one of two with the newest gradient mixed in."
SOURCE = "Pagliardini, Ablin and Grangier 2024, arXiv:2409.03137"


def claimed(lr: str) -> Equivalence:
    return Equivalence(
        ema_mixture_sgd,
        ema_mixture_sgd,
        map=dict(
            lr=lr,
            beta1="beta2",
            beta2="beta3",
            beta3="0",
            alpha2="alpha3(t)/alpha2(t)",
            alpha3="0",
            nu="alpha2(t)/(1 + alpha2(t))",
        ),
        transform=dict(w="w", m1="m2", m2="m3", m3="m1"),
        varying=("lr", "alpha2", "alpha3"),
        given=dict(beta1=0, nu=1),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(lr="lr(t)*(1 + alpha2(t))")


def near_miss() -> Equivalence:
    """Averages that are added to the gradient, not mixed with it."""
    return claimed(lr="lr(t)")
