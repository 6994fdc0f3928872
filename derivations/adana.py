from accelsim.optimizers.adana import adana
from accelsim.optimizers.dana import dana
from accelsim.symbolic.check.equivalence import Equivalence

# alpha_t = (1+t)^(1-kappa) makes g3 decay as (1+t)^(1-kappa)/(delta+t): DANA's kappa3 is kappa only asymptotically.
CLAIM = "ADANA is DANA with delta - 1, then a preconditioner, and g3 = delta alpha_t/(delta + t) beside g2 = lr."
SOURCE = "Ferbach et al. 2026, arXiv:2602.05298"


def claimed(g3: str) -> Equivalence:
    return Equivalence(
        adana,
        dana,
        map=dict(delta="delta - 1", g1="1", g2="lr(t)*p(t)", g3=g3),
        transform=dict(w="w", y="(delta + t - 1)/delta*m"),
        varying=("lr",),
        free=("alpha",),
        returned=True,
        up_to=("preconditioner",),
    )


def certificate() -> Equivalence:
    return claimed(g3="lr(t)*p(t)*delta*alpha(t)/(delta + t)")


def near_miss() -> Equivalence:
    """A power of the step alone, kappa3 = kappa."""
    return claimed(g3="lr(t)*p(t)*delta*alpha(t)/(1 + t)")
