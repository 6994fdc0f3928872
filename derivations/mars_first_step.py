from accelsim.elementary import first, where
from accelsim.optimizers.accelerated_sgd import accelerated_sgd
from accelsim.optimizers.mars import corrected, mars_sgd
from accelsim.optimizers.qhm import mean
from accelsim.rule import optimizer
from accelsim.symbolic.check.equivalence import Equivalence

# Against MARS, whose last gradient is zero before the first, the step t is off by lr gamma beta^(t+1) g_0.
CLAIM = "MARS whose first gradient is not corrected is accelerated SGD, but the second step forgets more of the first."
SOURCE = "Yuan et al. 2024, arXiv:2411.10438, Algorithm 1"


@optimizer(positions="w", memories="m last", returns="w", source=SOURCE, **mars_sgd.hyperparameters)
def uncorrected_first(s, t, h):
    """MARS, approximate, whose first difference is zero."""
    g = yield s.w
    m = mean(s.m, where(first(t), g, corrected(g, s.last, h.beta, h.gamma)), h.beta)
    return dict(w=s.w - h.lr * m, m=m, last=g)


def claimed(second: str) -> Equivalence:
    usual, early = "(1 - gamma)*(1 - beta)", "(1 - gamma - beta)"
    weight = f"where(first(t), {early}, where(first(t-1), {early}, {usual}))"
    return Equivalence(
        uncorrected_first,
        accelerated_sgd,
        map=dict(
            beta=f"where(first(t-1), {second}, beta)",
            eta=f"where(first(t), lr*{early}, lr*{usual})",
            alpha="lr*gamma",
        ),
        transform=dict(w="w", m=f"m/{weight} - where(first(t), 0, gamma)/{weight}*last"),
        returned=True,
    )


def certificate() -> Equivalence:
    return claimed(second="beta*(1 - gamma - beta)/((1 - gamma)*(1 - beta))")


def near_miss() -> Equivalence:
    """No transient, as in MARS itself."""
    return claimed(second="beta")
