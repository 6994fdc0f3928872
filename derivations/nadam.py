from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.nadam import nadam
from accelsim.symbolic.check.equivalence import Equivalence

# fresh = (1 - mu_t)/(1 - mu_0...mu_t) and past = mu_{t+1}/(1 - mu_0...mu_{t+1}); the proof is for any such sequences.
CLAIM = (
    "NAdam is momentum, then its preconditioner p_t: accelerated SGD whose alpha_t corrects the newest's bias alone."
)
SOURCE = "Dozat 2016, Incorporating Nesterov momentum into Adam, openreview:OM0jvwB8jIp57ZJjtNEZ, Algorithm 2"


def claimed(alpha: str) -> Equivalence:
    return Equivalence(
        nadam,
        accelerated_sgd,
        map=dict(
            beta="mu(t)*(1 - mu(t-1))/(1 - mu(t))",
            eta="lr(t)*past(t)*(1 - mu(t))*p(t)",
            alpha=alpha,
        ),
        transform=dict(w="w", m="(1 - mu(t-1))*m"),
        backward=True,
        varying=("lr",),
        free=("mu", "fresh", "past"),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(alpha="lr(t)*fresh(t)*p(t)")


def near_miss() -> Equivalence:
    """The newest gradient without its bias correction."""
    return claimed(alpha="lr(t)*(1 - mu(t))*p(t)")
