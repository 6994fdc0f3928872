"""The one table of cases: which rule is stepped against which implementation, at which hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.schedules import recurrence
from oracles import recursions as paper
from oracles.common import Run
from oracles.implementations import (
    filtered_by_torch,
    lookahead_of_optax,
    lookahead_of_torch,
    momentum_of,
    optax_like,
    outer_of_torch,
    torch_like,
)

Options = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A rule and an implementation of it.

    Attributes
    ----------
    rule, hyperparameters : what agrees with the implementation.
    oracle : who stepped it; "paper" for an array recursion of our own, which needs no recording.
    nominal : where the implementation deviates from its paper, the hyperparameters of the same names, which therefore
        do *not* agree; `hyperparameters` then says what the implementation really does.
    size : the relative distance that the deviation makes.
    why : the deviation in words.
    scale : of the gradients.
    """

    rule: str
    oracle: str
    run: Run
    hyperparameters: Mapping[str, Any]
    label: str = ""
    nominal: Mapping[str, Any] | None = None
    size: float = 0.0
    why: str = ""
    scale: float = 1.0

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.rule, self.oracle, self.label)))


def half_life_shifted(start: float, end: float, steps: int) -> str:
    """The released warm-up of a rate, 1e-8 added in its logarithms, as an expression in t."""
    return f"exp(1/((1-warmup(t,{steps}))/log({start}+1e-8) + warmup(t,{steps})/log({end}+1e-8)))"


@recurrence(total=0)
def optax_weights(memory: Any, t: Any, h: Any) -> Any:
    """The averaging weights of optax's warm-up over 16 steps: those of the released code."""
    weight = min(1, (t + 1) / 16) ** 2
    return weight / (memory.total + weight), dict(total=memory.total + weight)


@recurrence(total=0)
def corrected_weights(memory: Any, t: Any, h: Any) -> Any:
    """Weights by the square of a step size that carries Adam's bias correction."""
    weight = 1 - h.beta2 ** (t + 1)
    return weight / (memory.total + weight), dict(total=memory.total + weight)


# Epsilon is large in every case with a preconditioner, so that its placement shows at once.
MOMENTUM: Options = dict(lr=0.1, beta=0.9)
ACCSGD: Options = dict(lr=0.1, kappa=100.0, xi=5.0)
MUON: Options = dict(lr=0.05, beta=0.9, weight_decay=0.1)
NESTEROV: Options = dict(lr=0.1, mu="t/(t+3)")
QHM: Options = dict(lr=0.1, beta=0.95, nu=0.7)
SIGNUM: Options = dict(lr=0.01, beta=0.9)
LION: Options = dict(lr=0.01, beta1=0.9, beta2=0.99, weight_decay=0.1)
ADAM: Options = dict(lr=0.02, beta1=0.9, beta2=0.99, eps=0.01)
ADAMW: Options = dict(lr=0.02, beta1=0.9, beta2=0.99, eps=0.01, weight_decay=0.1)
ADEMAMIX: Options = dict(lr=0.01, beta1=0.9, beta2=0.99, beta3=0.999, alpha=5, eps=0.01, weight_decay=0.1)
SIMPLIFIED: Options = dict(lr=0.005, beta1=0.95, beta2=0.99, alpha=2, eps=0.01, weight_decay=0.1)
JAIN: Options = dict(alpha=0.8, beta=0.3, gamma=0.4, delta=0.2)
NADAM: Options = dict(lr=0.01, beta1=0.9, beta2=0.99, eps=0.01, momentum_decay=0.1)
LAPROP: Options = dict(lr=0.02, beta1=0.9, beta2=0.99, eps=0.01)
QHADAM: Options = dict(lr=0.02, beta1=0.95, beta2=0.99, nu1=0.7, nu2=0.8, eps=0.01)
MARS: Options = dict(lr=0.02, beta1=0.9, beta2=0.99, gamma=0.5, eps=0.01, weight_decay=0.1)
ADAN: Options = dict(lr=0.02, beta1=0.9, beta2=0.8, beta3=0.99, eps=0.01, weight_decay=0.1)
AGGMO: Options = dict(lr=0.1, beta1=0.5, beta2=0.9)
EMA_MIXTURE: Options = dict(lr=0.05, beta1=0.5, beta2=0.9, beta3=0.98, alpha2=2, alpha3=3, nu=0.8)
AGNES: Options = dict(lr=0.1, alpha=0.05, rho=0.9)
TRIPLE: Options = dict(alpha=0.1, beta=0.8, gamma=0.6, delta=0.7)
GPA: Options = dict(lr=0.3, mu_x=0.9, mu_y=0.7)
EMA_NESTEROV: Options = dict(lr=0.1, beta=0.6, gamma=0.8)
OVERSHOOT: Options = dict(lr=0.05, beta=0.8, gamma=3)
GROKFAST: Options = dict(lr=0.1, alpha=0.95, lamb=2)
STORM: Options = dict(lr=0.2, a=0.1)
RMSPROP: Options = dict(lr=0.02, beta1=0.8, beta2=0.97, eps=0.01)
ADAGRAD: Options = dict(lr=0.3, eps=0.01)
AMSGRAD: Options = dict(lr=0.02, beta1=0.9, beta2=0.9, eps=0.01, weight_decay=0.1)
NADAMW: Options = dict(lr=0.02, beta1=0.9, beta2=0.99, eps=0.01, weight_decay=0.1)
ADOPT: Options = dict(lr=0.02, beta1=0.9, beta2=0.99, eps=0.01)
LOOKAHEAD: Options = dict(lr=0.1, beta=0.9, period=7, slow=0.4)
OUTER: Options = dict(lr=0.1, beta=0.5, period=7, outer_lr=0.4, outer_beta=0.8)
SF: Options = dict(lr=0.5, beta=0.9)
SF_WEIGHTS: Options = dict(lr=0.5, beta=0.8, r=0.7, weight_lr_power=1.5, warmup_steps=20)
SF_ADAMW: Options = dict(lr=0.05, beta1=0.9, beta2=0.99, eps=0.01, weight_decay=0.1)
SF_ADAMW_WEIGHTS: Options = SF_ADAMW | dict(r=0.7, weight_lr_power=1.5, warmup_steps=20)


def renamed(options: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """The same options under an implementation's names."""
    return {names.get(k, k): v for k, v in options.items()}


def without(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The options but these."""
    return {k: v for k, v in options.items() if k not in names}


def betas(options: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The same options as torch names them: the moving averages' rates in one tuple."""
    rates = [f"beta{i + 1}" for i in range(count)]
    return {k: v for k, v in options.items() if k not in rates} | {"betas": tuple(options[k] for k in rates)}


def optax_names(options: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """The same options as optax names them."""
    return renamed(options, lr="learning_rate", beta1="b1", beta2="b2", beta3="b3", **names)


def case(
    rule: str,
    path: str,
    hyperparameters: Mapping[str, Any],
    label: str = "",
    /,
    nominal: Mapping[str, Any] | None = None,
    size: float = 0.0,
    why: str = "",
    **options: Any,
) -> Case:
    """The case of an optimizer at a dotted path, made with these options."""
    like = optax_like if path.startswith("optax.") else torch_like
    return Case(rule, path, like(path, **options), hyperparameters, label, nominal, size, why)


def growing(t: int) -> float:
    """Nesterov's momentum."""
    return t / (t + 3)


def decayed(t: int) -> float:
    """0.5 cosine(t, 150), as an implementation is given it."""
    return (1 + math.cos(math.pi * t / 150)) / 4


BEFORE_CORRECTION = "0.01/(1 - 0.99**(t+1))**0.5"  # epsilon, where it is added before the bias correction


def root_of_beta2(options: Mapping[str, float]) -> dict[str, float]:
    """Step size and epsilon that take a factor beta2 out of the second moment."""
    return {name: options[name] * math.sqrt(options["beta2"]) for name in ("lr", "eps")}


TORCH_SGD = "torch.optim.SGD"
SF_SGD, SF_ADAM = "schedulefree.SGDScheduleFree", "schedulefree.AdamWScheduleFree"
OPTAX, PO = "optax.contrib", "pytorch_optimizer"

IMPLEMENTATIONS = [
    case("sgd", TORCH_SGD, dict(lr=0.1), lr=0.1),
    case("sgd", "optax.sgd", dict(lr=0.1), learning_rate=0.1),
    case("heavy_ball", TORCH_SGD, MOMENTUM, lr=0.1, momentum=0.9),
    case("heavy_ball", TORCH_SGD, MOMENTUM | dict(lr="0.5*cosine(t, 150)"), "decayed", lr=decayed, momentum=0.9),
    case("heavy_ball", "optax.sgd", MOMENTUM, learning_rate=0.1, momentum=0.9),
    case("nesterov", TORCH_SGD, MOMENTUM, lr=0.1, momentum=0.9, nesterov=True),
    case("nesterov", "optax.sgd", MOMENTUM, learning_rate=0.1, momentum=0.9, nesterov=True),
    case("accsgd", f"{PO}.AccSGD", ACCSGD, **ACCSGD),
    case("accsgd", f"{PO}.AccSGD", ACCSGD | dict(e=0.5), "constant", constant=0.5, **ACCSGD),
    case("qhm", f"{PO}.QHM", QHM, **renamed(QHM, beta="momentum")),
    case("signum", f"{PO}.SignSGD", SIGNUM, **renamed(SIGNUM, beta="momentum")),
    case("signum", "optax.signum", SIGNUM, **optax_names(SIGNUM)),
    case("lion", f"{PO}.Lion", LION, weight_decouple=True, **betas(LION, 2)),
    case("lion", "optax.lion", LION, **optax_names(LION)),
    case("cautious_lion", f"{PO}.Lion", LION | dict(xi=1), cautious=True, weight_decouple=True, **betas(LION, 2)),
    case(
        "cautious_adamw",
        f"{PO}.AdEMAMix",  # without its slow average
        ADAMW | dict(xi=1),
        cautious=True,
        weight_decouple=True,
        alpha=0,
        **betas(ADAMW | dict(beta3=0.999), 3),
    ),
    case("schedule_free", SF_SGD, SF, **renamed(SF, beta="momentum")),
    case("schedule_free", SF_SGD, SF_WEIGHTS, "weights", **renamed(SF_WEIGHTS, beta="momentum")),
    case("schedule_free", SF_SGD, SF | dict(lr="0.5*cosine(t, 150)"), "decayed", lr=decayed, momentum=0.9),
    case("schedule_free", f"{PO}.ScheduleFreeSGD", SF_WEIGHTS, "weights", **renamed(SF_WEIGHTS, beta="momentum")),
    case("schedule_free", f"{OPTAX}.schedule_free_sgd", SF, **optax_names(SF, beta="b1")),
    case("schedule_free_adamw", SF_ADAM, SF_ADAMW, **betas(SF_ADAMW, 2)),
    case("schedule_free_adamw", SF_ADAM, SF_ADAMW_WEIGHTS, "weights", **betas(SF_ADAMW_WEIGHTS, 2)),
    case("schedule_free_adamw", f"{PO}.ScheduleFreeAdamW", SF_ADAMW_WEIGHTS, "weights", **betas(SF_ADAMW_WEIGHTS, 2)),
    case("schedule_free_adamw", f"{OPTAX}.schedule_free_adamw", SF_ADAMW, **optax_names(SF_ADAMW)),
    case("adam", "torch.optim.Adam", ADAM, **betas(ADAM, 2)),
    case("adam", "optax.adam", ADAM, **optax_names(ADAM)),
    case("adamw", "torch.optim.AdamW", ADAMW, **betas(ADAMW, 2)),
    case("adamw", "optax.adamw", ADAMW, **optax_names(ADAMW)),
    case("ademamix", f"{PO}.AdEMAMix", ADEMAMIX, weight_decouple=True, **betas(ADEMAMIX, 3)),
    case(
        "ademamix",
        f"{PO}.AdEMAMix",
        ADEMAMIX | dict(alpha_warmup=40, beta3_warmup=40),
        "warm",
        weight_decouple=True,
        t_alpha_beta3=40,
        **betas(ADEMAMIX, 3),
    ),
    case("ademamix", f"{OPTAX}.ademamix", ADEMAMIX, **optax_names(ADEMAMIX)),
    case("simplified_ademamix", f"{OPTAX}.simplified_ademamix", SIMPLIFIED, **optax_names(SIMPLIFIED)),
    Case(
        "mars_sgd",
        f"{PO}.MARS",
        momentum_of(f"{PO}.MARS", "exp_avg", lr=5, betas=(0.9, 0.99), gamma=0.5, optimize_1d=True),
        dict(lr=5, beta=0.9, gamma=0.5),
        scale=0.02,  # small enough for its clipping to stay inactive
    ),
    case("aggmo", f"{PO}.AggMo", AGGMO, **betas(AGGMO, 2)),
    # Three velocities of aggregated momentum, whose sums weigh alike: averages over 1 - beta.
    case(
        "ema_mixture_sgd",
        f"{PO}.AggMo",
        dict(lr=0.1 / 3 / 0.5, beta1=0.5, beta2=0.9, beta3=0.98, alpha2=0.5 / 0.1, alpha3=0.5 / 0.02),
        lr=0.1,
        betas=(0.5, 0.9, 0.98),
    ),
    case("qhadam", f"{PO}.QHAdam", QHADAM, widened=True, nus=(0.7, 0.8), **betas(without(QHADAM, "nu1", "nu2"), 2)),
    case("adan", f"{PO}.Adan", ADAN, **betas(ADAN, 3)),
    Case(
        "lookahead(heavy_ball)",
        f"{PO}.Lookahead",
        lookahead_of_torch(TORCH_SGD, lr=0.1, momentum=0.9, k=7, alpha=0.4),
        LOOKAHEAD,
    ),
    Case(
        "lookahead(heavy_ball)",
        "optax.lookahead",
        lookahead_of_optax("optax.sgd", 7, 0.4, learning_rate=0.1, momentum=0.9),
        LOOKAHEAD,
    ),
    *(
        Case(
            "outer_momentum(heavy_ball)",
            TORCH_SGD,
            outer_of_torch(TORCH_SGD, 7, dict(lr=0.1, momentum=0.5), lr=0.4, momentum=0.8, nesterov=bool(nesterov)),
            OUTER | dict(nesterov=nesterov),
            "nesterov" if nesterov else "heavy_ball",
        )
        for nesterov in (1, 0)
    ),
    case("rmsprop", "torch.optim.RMSprop", RMSPROP, **renamed(RMSPROP, beta1="momentum", beta2="alpha")),
    case(
        "rmsprop",
        "optax.rmsprop",
        RMSPROP,
        eps_in_sqrt=False,
        **renamed(RMSPROP, lr="learning_rate", beta1="momentum", beta2="decay"),
    ),
    case("adagrad", "torch.optim.Adagrad", ADAGRAD, **ADAGRAD),
    case("amsgrad", "torch.optim.AdamW", AMSGRAD, amsgrad=True, **betas(AMSGRAD, 2)),
    case("nadamw", "optax.nadamw", NADAMW, **optax_names(NADAMW)),
    case("adopt", f"{PO}.ADOPT", ADOPT, clip_lambda=None, **betas(ADOPT, 2)),
    case("mars_sgd", f"{PO}.QHM", dict(lr=0.1, beta=0.9, gamma=0.4), lr=0.1, momentum=0.9, nu=0.6),
    # From here on, implementations that deviate from their papers.
    case(
        "qhm",
        TORCH_SGD,
        dict(lr=0.1, beta="where(first(t), 0, 0.9)", nu=1),
        "dampening",
        nominal=dict(lr=0.1, beta=0.9, nu=1),
        size=0.28,
        why="dampening spares the first gradient: the buffer starts at g_0, not at (1 - beta) g_0",
        lr=0.1,
        momentum=0.9,
        dampening=0.9,
    ),
    case(
        "schedule_free",
        f"{OPTAX}.schedule_free_sgd",
        SF | dict(lr="0.5*minimum(1, t/16)", c=optax_weights),
        "warm",
        nominal=SF | dict(warmup_steps=16),
        size=0.055,
        why="the step size lags its averaging weight by a step: the first step has size 0 and yet weight 1. "
        "(Its schedule is rounded to float32 too; 16 steps of warm-up are exact there.)",
        learning_rate=0.5,
        b1=0.9,
        warmup_steps=16,
    ),
    Case(
        "grokfast",
        f"{PO}.gradfilter_ema",
        filtered_by_torch(f"{PO}.optimizer.grokfast.gradfilter_ema", TORCH_SGD, lr=0.1, alpha=0.95, lamb=2),
        GROKFAST | dict(alpha="where(first(t), 0, 0.95)"),
        nominal=GROKFAST,
        size=0.62,
        why="the filter begins at the first gradient, not at zero",
    ),
    case(
        "schedule_free_adamw",
        f"{SF_ADAM}Paper",
        SF_ADAMW
        | dict(c=corrected_weights, eps="0.01/(1 - 0.99**(t+1))**0.5", weight_decay="0.1*(1 - 0.99**(t+1))**0.5"),
        nominal=SF_ADAMW,
        size=0.067,
        why="the paper's bias correction scales the step size: averaging weights, epsilon and weight decay feel it",
        **betas(SF_ADAMW, 2),
    ),
    case(
        "nadam",
        "torch.optim.NAdam",
        NADAM | dict(mu=0.9, **root_of_beta2(NADAM)),
        nominal=NADAM,
        size=0.016,
        why="the moving average keeps the rate beta1, where the paper has the momentum of the step, and the second "
        "moment is not multiplied by beta2",
        momentum_decay=0.1,
        **betas(without(NADAM, "momentum_decay"), 2),
    ),
    case(
        "nadam",
        "optax.nadam",
        NADAM | dict(mu=0.9, fresh="(1 - 0.9)/(1 - 0.9**(t+1))", past="0.9/(1 - 0.9**(t+2))", **root_of_beta2(NADAM)),
        nominal=NADAM,
        size=0.025,
        why="the momentum does not warm up, and the second moment is not multiplied by beta2",
        **optax_names(without(NADAM, "momentum_decay")),
    ),
    case(
        "laprop",
        f"{PO}.LaProp",
        LAPROP | dict(eps=BEFORE_CORRECTION),
        nominal=LAPROP,
        size=0.0091,
        why="epsilon is added before the bias correction. (Its batched path rounds steps to float32.)",
        foreach=False,
        **betas(LAPROP, 2),
    ),
    case(
        "radam",
        "torch.optim.RAdam",
        ADAM | dict(threshold=5, eps=BEFORE_CORRECTION),
        nominal=ADAM,
        size=0.007,
        why="the threshold is 5, not 4: one more step is plain; and epsilon is added before the bias correction",
        **betas(ADAM, 2),
    ),
    case(
        "radam",
        "optax.radam",
        ADAM | dict(threshold=5),
        nominal=ADAM,
        size=0.007,
        why="the threshold is 5, not 4",
        **optax_names(ADAM),
    ),
    case(
        "mars",
        f"{PO}.MARS",
        MARS | dict(eps=BEFORE_CORRECTION),
        nominal=MARS,
        size=0.0055,
        why="epsilon is added before the bias correction",
        optimize_1d=True,
        **betas(MARS, 2),
    ),
    # Adan's differences weigh beta2 in paper and released code, but 1 - beta2 in optax: the same at 1/2 only.
    case(
        "adan",
        "optax.adan",
        ADAN | dict(beta2=0.5, weight_decay=0),
        "half",
        eps_root=0,
        **optax_names(ADAN | dict(beta2=0.5, weight_decay=0)),
    ),
    case(
        "simplified_ademamix",
        f"{PO}.SimplifiedAdEMAMix",
        SIMPLIFIED | dict(lr="0.005*(1 - 0.95)/(1 - 0.99**(t+1))", alpha=2 / (1 - 0.95), weight_decay=0),
        nominal=SIMPLIFIED | dict(weight_decay=0),
        size=0.75,
        why="momentum is an average there, so alpha stands for alpha / (1 - beta1), and the second moment's bias "
        "correction divides where it must multiply. (Its batched path rounds that correction to float32.)",
        foreach=False,
        **betas(SIMPLIFIED | dict(weight_decay=0), 2),
    ),
]

PAPERS = [
    Case(
        "accelerated_sgd",
        "paper",
        paper.linear_in_the_past("accelerated_sgd", eta=0.05, alpha=0.2, beta=0.9),
        dict(eta=0.05, alpha=0.2, beta=0.9),
    ),
    Case("jain", "paper", paper.jain(**JAIN), JAIN),
    Case("tail_average(jain)", "paper", paper.jain(**JAIN, burn_in=30), JAIN | dict(start=30)),
    Case("tail_average(jain)", "paper", paper.jain(**JAIN, burn_in=0), JAIN, "polyak"),
    Case("ema(sgd)", "paper", paper.ema_of_sgd(0.1, 0.95), dict(lr=0.1, decay=0.95)),
    Case("blend(sgd)", "paper", paper.ema_of_sgd(0.1, 0.95, 1.3), dict(lr=0.1, decay=0.95, share=1.3)),
    Case("lawa(sgd)", "paper", paper.lawa_of_sgd(0.1, 4), dict(lr=0.1, period=4)),
    Case("accsgd", "paper", paper.accsgd(0.1, 100, 5), ACCSGD),
    Case(
        "ademamix_sgd",
        "paper",
        paper.linear_in_the_past("ademamix_sgd", lr=0.05, beta1=0.5, beta3=0.98, alpha=3),
        dict(lr=0.05, beta1=0.5, beta3=0.98, alpha=3),
    ),
    Case(
        "simplified_ademamix_sgd",
        "paper",
        paper.linear_in_the_past("simplified_ademamix_sgd", lr=0.02, beta=0.95, alpha=4),
        dict(lr=0.02, beta=0.95, alpha=4),
    ),
    Case("mars_exact_sgd", "paper", paper.mars(2, 0.9, 0.5), dict(lr=2, beta=0.9, gamma=0.5), scale=0.05),
    Case("nadam", "paper", paper.nadam(0.01, 0.9, 0.1, 0.99, 0.01), NADAM),
    Case("radam", "paper", paper.radam(0.02, 0.9, 0.99, 0.01), ADAM),
    Case("laprop", "paper", paper.laprop(0.02, 0.9, 0.99, 0.01), LAPROP),
    Case("mars", "paper", paper.mars_adamw(0.02, (0.9, 0.99), 0.5, 0.01, 0.1, clip=True), MARS),
    Case("mars", "paper", paper.mars_adamw(0.02, (0.9, 0.99), 0.5, 0.01, 0.1, clip=False), MARS | dict(clip=0), "long"),
    Case("dana", "paper", paper.dana(0.5, 0.2, 0.3, 0.6, 5), dict(g1=0.5, g2=0.2, g3="0.3*(1+t)**-0.6", delta=5)),
    Case("adana", "paper", paper.adana(0.01, 5, 0.6, 0.01), dict(lr=0.01, delta=5, kappa=0.6, eps=0.01)),
    Case(
        "mass",
        "paper",
        paper.mass(0.1, 0.05, 12),
        dict(eta1=0.1, eta2=0.1 * (1 - 1 / 12) / (1 + 0.05), gamma=(1 - 0.05) / (1 + 0.05)),
    ),
    Case("muon", "paper", paper.muon_of_a_row(**MUON), MUON),
    Case("gpa", "paper", paper.gpa(**GPA), GPA),
    Case("ema_nesterov", "paper", paper.ema_nesterov(**EMA_NESTEROV), EMA_NESTEROV),
    Case("overshoot", "paper", paper.overshoot(**renamed(OVERSHOOT, beta="mu")), OVERSHOOT),
    Case("grokfast", "paper", paper.linear_in_the_past("grokfast", **GROKFAST), GROKFAST),
    Case("storm", "paper", paper.storm(**STORM), STORM),
    Case(
        "refined_schedule_free",
        "paper",
        paper.refined_schedule_free(0.5, 0.8, 20, 16),
        dict(lr=0.5, beta=0.8, C=20, warmup_steps=16),
    ),
    Case("adagrad", "paper", paper.adagrad(**ADAGRAD), ADAGRAD),
    Case("agnes", "paper", paper.agnes(0.1, 0.05, 0.9), AGNES),
    Case("aggmo", "paper", paper.linear_in_the_past("aggmo", **AGGMO), AGGMO),
    Case("nesterov_velocity", "paper", paper.nesterov_velocity(0.1, growing), NESTEROV),
    Case("nesterov_sequences", "paper", paper.nesterov_sequences(0.1, growing), NESTEROV),
    Case("cautious_heavy_ball", "paper", paper.cautious_heavy_ball(0.1, 0.9), MOMENTUM),
    Case(
        "cautious_adamw",
        "paper",
        paper.cautious_adamw_released(0.02, (0.9, 0.99), 0.01, 0.1),
        ADAMW | dict(eps=BEFORE_CORRECTION),
        "released",
        nominal=ADAMW,
        size=0.0071,
        why="epsilon is added before the bias correction",
    ),
    Case("ema_mixture_sgd", "paper", paper.linear_in_the_past("ema_mixture_sgd", **EMA_MIXTURE), EMA_MIXTURE),
    Case("triple_momentum", "paper", paper.triple_momentum(**TRIPLE), TRIPLE),
    Case("acsa", "paper", paper.acsa(0.1), dict(lr=0.1)),
    Case("lookahead(heavy_ball)", "paper", paper.lookahead_of_heavy_ball(0.1, 0.9, 7, 0.4), LOOKAHEAD),
    Case(
        "adamw",
        "paper",
        paper.adamw(0.02, 0.9, 0.99, 0.01, 0.1 * 0.02),
        ADAMW,
        nominal=ADAMW | dict(weight_decay=0.1 * 0.02),
        size=0.16,
        why="the paper does not multiply weight decay by the step size; torch, optax and the rule do",
    ),
    Case(
        "ademamix",
        "paper",
        paper.ademamix_released(0.01, (0.9, 0.99, 0.999), 5, 120, 0.01, 0.1),
        ADEMAMIX | dict(alpha_warmup=120, beta3=half_life_shifted(0.9, 0.999, 120)),
        "released",
        nominal=ADEMAMIX | dict(alpha_warmup=120, beta3_warmup=120),
        size=1.7e-6,
        why="the released warm-up adds 1e-8 inside its logarithms, the paper's formula does not",
    ),
    Case(
        "simplified_ademamix",
        "paper",
        paper.simplified_ademamix_released(0.005, (0.95, 0.99), 2, 0.8, 120, 0.01, 0.1),
        SIMPLIFIED | dict(beta1=half_life_shifted(0.8, 0.95, 120)),
        "released",
        nominal=SIMPLIFIED | dict(beta1_warmup=120, min_beta1=0.8),
        size=2.6e-8,
        why="the released warm-up adds 1e-8 inside its logarithms",
    ),
]

CASES = {case.name: case for case in (*IMPLEMENTATIONS, *PAPERS)}
