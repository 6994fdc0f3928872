from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.averaging import lookahead
from accelsim.optimizers.sgd import sgd
from accelsim.symbolic.check.equivalence import Equivalence

# sync is 1 at the last step of a period and 0 elsewhere: beta_t is then lr_{t-1}/lr_t within a period and 0 at its
# first step, and eta_t is 0 but at its last step, where 1 - slow of all that was gained since the first is taken back.
CLAIM = "Lookahead around SGD is accelerated SGD with alpha = lr, a reset momentum, and a negative eta at each return."
SOURCE = "Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610, Algorithm 1"


def claimed(beta: str) -> Equivalence:
    return Equivalence(
        lookahead(sgd),
        accelerated_sgd,
        map=dict(beta=beta, eta="-lr(t)*sync(t)*(1 - slow*sync(t))", alpha="lr(t)"),
        transform=dict(w="w", lookahead="w + lr(t-1)*(1 - sync(t-1))*(1 - slow*sync(t-1))*m"),
        backward=True,
        varying=("lr",),
        free=("sync",),
    )


def certificate() -> Equivalence:
    return claimed(beta="(1 - sync(t-1))*(1 - slow*sync(t-1))*lr(t-1)/lr(t)")


def near_miss() -> Equivalence:
    """A momentum that is not reset."""
    return claimed(beta="lr(t-1)/lr(t)")
