"""One answer of each kind that there is, quickly found; what is told of them as LaTeX has to compile."""

from functools import cache

from easy_pairs import easy_pair
from test_bisimulation import emptied, masked

from accelsim.optimizers import find
from accelsim.rule import momentum, optimizer, positive, step_size, weight
from accelsim.schedules import recurrence
from accelsim.symbolic.certify.documents import of_equivalence
from accelsim.symbolic.check.equivalence import Equivalence, check
from accelsim.symbolic.find.answer import EQUIVALENT, Answer
from accelsim.symbolic.find.finder import equivalent

STEP = "beta*lr*c(t)/(1 - b(t)) + lr*(1 - beta)"
MOMENTUM = Equivalence(
    find("schedule_free"),
    find("qhm"),
    map=dict(beta="b(t)", lr=STEP, nu=f"beta*lr*c(t)/(1 - b(t))/({STEP})"),
    transform=dict(w="beta*x + (1 - beta)*z", m="(x - z)*(1 - b(t))/(b(t)*lr)"),
    sequences={"b": ("1/2", "(1 - c(t))/(2 - c(t) - b(t))")},
    free=("c",),
)


@optimizer(positions="w", memories="m_slow g", returns="w", lr=step_size(), eta=positive(), λ=momentum(), t_=momentum())
def awkward(s, t, h):
    """Mine & yours: 50% of {it}_all #1 $ \\ ~^ with names that look alike, and x\N{IDENTICAL TO}y."""
    g = yield s.w
    m = h.λ * s.m_slow + g
    return dict(w=s.w - h.lr * m - h.eta * g, m_slow=m, g=h.t_ * s.g + g)


@recurrence(k=1)
def counting(memory, t, h):
    """A weight that follows a counter."""
    return 1 / memory.k, {"k": memory.k + h.lr}


@optimizer(positions="w", memories={"m": 0, "n": 2}, returns="w", lr=step_size(), c=weight(counting))
def counted(s, t, h):
    """Heavy ball with a counter for a state."""
    g = yield s.w
    m = (1 - 1 / s.n) * s.m + h.c * g
    return dict(w=s.w - h.lr * m, m=m, n=s.n + 1)


@optimizer(positions="w", memories="v", returns="w", lr=step_size(), beta=momentum())
def velocity(s, t, h):
    """Momentum with the step size inside."""
    g = yield s.w
    v = h.beta * s.v + h.lr * g
    return dict(w=s.w - v, v=v)


def _sequences():
    verdict = check(MOMENTUM)
    return Answer(
        MOMENTUM.source,
        MOMENTUM.target,
        EQUIVALENT,
        map=MOMENTUM.map,
        transform=MOMENTUM.transform,
        direction=MOMENTUM.direction,
        conditions=verdict.conditions,
        assumptions=verdict.assumptions,
        reason=verdict.reason,
        certificate=of_equivalence(MOMENTUM, verdict),
    )


def asked(a, b, **more):
    """What is answered to a question about shipped rules or those of this file."""
    rules = (find(name) if isinstance(name, str) else name for name in (a, b))
    return lambda: equivalent(*rules, **more)


# By name, what is asked, the status, and the kind of the certificate or of its counterexample.
KINDS = {
    "equivalent": (asked("nesterov", "accelerated_sgd"), "equivalent", "equivalence"),
    "for a constant step size": (asked(velocity, "heavy_ball"), "equivalent", "equivalence"),
    "free": (asked("schedule_free", "accelerated_sgd", free=["c"]), "equivalent", "equivalence"),
    "sequences": (_sequences, "equivalent", "equivalence"),
    "recurrences": (asked(counted, counted), "equivalent", "equivalence"),
    "given": (asked("heavy_ball", "accelerated_sgd", set_a={"lr": "1/(t+1)"}), "equivalent", "equivalence"),
    "awkward": (asked(awkward, awkward), "equivalent", "equivalence"),
    "outside": (asked("mars_sgd", "qhm", set_a={"gamma": "2"}), "equivalent outside ranges", "equivalence"),
    "sign": (
        asked("lion", "accelerated_sgd", set_a={"weight_decay": 0}),
        "equivalent up to a sign or preconditioner",
        "equivalence",
    ),
    "relation": (lambda: equivalent(*easy_pair("folded", 1)), "equivalent", "bisimulation"),
    "minor": (asked("ademamix_sgd", "accelerated_sgd"), "refuted", "minor"),
    "identity": (asked("heavy_ball", "nesterov"), "refuted", "identity"),
    "scale": (asked("adamw", "mars"), "refuted", "scale"),
    "itself": (asked("mars", "adamw"), "refuted", "itself"),
    "cases": (asked(masked, emptied), "refuted", "cases"),
    "apart": (asked("nesterov", "sgd", set_a={"lr": 1, "beta": "1/2"}, set_b={"lr": 1}), "refuted", "apart"),
    "gradients": (asked("mars_exact_sgd", "sgd"), "refuted", None),
    "undecided": (asked("acsa", "schedule_free", budget=1), "undecided", None),
}


@cache
def answer(name):
    """The answer of a kind."""
    return KINDS[name][0]()
