from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.mars import mars
from accelsim.symbolic.check.equivalence import Equivalence

# p1 is what clipping multiplies by, p2 Adam's preconditioner. What is left of the last gradient in a step is clipped
# with that step, so eta_t and alpha_t hold what the *next* step is clipped by.
CLAIM = "Clipped MARS is accelerated SGD too, but its coefficients know the clipping of the next step."
SOURCE = "Yuan et al. 2024, arXiv:2411.10438, Algorithm 1"
BEFORE, NOW = (
    f"((1 - beta1 + beta1*gamma)*p1({here}) - gamma*p1({after}))" for here, after in (("t-1", "t"), ("t", "t+1"))
)


def claimed(alpha: str) -> Equivalence:
    return Equivalence(
        mars,
        accelerated_sgd,
        map=dict(beta=f"beta1*{BEFORE}/{NOW}", eta=f"lr(t)*{NOW}/(1 - beta1**(t+1))*p2(t)", alpha=alpha),
        transform=dict(w="w", m=f"(m - gamma*p1(t)*last)/{BEFORE}"),
        varying=("lr",),
        given=dict(weight_decay=0),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(alpha="lr(t)*gamma*p1(t+1)/(1 - beta1**(t+1))*p2(t)")


def near_miss() -> Equivalence:
    """The clipping of this step alone."""
    return claimed(alpha="lr(t)*gamma*p1(t)/(1 - beta1**(t+1))*p2(t)")
