from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.ema_nesterov import ema_nesterov
from accelsim.symbolic.check.equivalence import Equivalence

CLAIM = "EMA-Nesterov around SGD is accelerated SGD whose momentum is gamma + beta (1 - gamma) at a constant lr."
SOURCE = "Yau, Li, Glentis, Boreiko, Wai and Hong 2026, arXiv:2605.25395"


def claimed(momentum: str) -> Equivalence:
    last = "lr(t-1)*(1 - gamma(t-1))"
    return Equivalence(
        ema_nesterov,
        accelerated_sgd,
        map=dict(
            beta=f"({momentum})*{last}/(lr(t)*(1 - gamma(t)))",
            eta="beta(t+1)*lr(t)*(1 - gamma(t))",
            alpha="lr(t)",
        ),
        transform=dict(w=f"w + beta(t)*{last}*m", m=f"-{last}*m"),
        backward=True,
        varying=("lr", "beta", "gamma"),
    )


def certificate() -> Equivalence:
    return claimed(momentum="gamma(t) + beta(t)*(1 - gamma(t))")


def near_miss() -> Equivalence:
    """The rate of the moving average alone, as if steps did not begin ahead."""
    return claimed(momentum="gamma(t)")
