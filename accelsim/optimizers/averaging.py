"""Combinators: averages of the iterate that any rule returns, as ``tail_average(jain)``, Lookahead, outer momentum."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import cache, wraps
from typing import Any

from accelsim.elementary import maximum, minimum
from accelsim.errors import InputError
from accelsim.rule import Faulty, Hyperparameter, Optimizer, momentum, real, step_size, switch, weight
from accelsim.schedules import recurrence

Restart = Callable[[Any], Any]
Update = Callable[[Any, Any, Any, Any], tuple[Any, dict[str, Any]]]

COMBINATORS: dict[str, Callable[[Optimizer], Optimizer]] = {}


def combinator(
    restart: Restart | None = None, positions: str = "", memories: str = "", /, **declared: Hyperparameter
) -> Callable[[Update], Callable[[Optimizer], Optimizer]]:
    """Decorator: the update of an iterate that follows what any rule returns becomes a wrapper, known by its name.

    The update (s, newest, t, h) gives that iterate and its other states by name, `positions` and `memories`; `restart`
    is how far (of h, 1 is all the way) the rule itself is taken back to the iterate.
    """

    def make(update: Update) -> Callable[[Optimizer], Optimizer]:
        name = update.__name__
        behind, beside = (name, *positions.split()), memories.split()

        @cache  # one wrapped rule is one object, traced once
        def wrap(base: Optimizer) -> Optimizer:
            if isinstance(base, Faulty):  # which says so itself when it is asked for
                return base
            if declared.keys() & base.hyperparameters.keys() or {*behind, *beside} & {*base.states}:
                raise InputError(f"{name} cannot wrap {base}: both have a hyperparameter or state of the same name")

            def rule(s: Any, t: Any, h: Any) -> Generator[Any, Any, Any]:
                new = yield from base.rule(s, t, h)
                newest = new[base.returns]
                iterate, others = update(s, newest, t, h)
                if restart:
                    back = restart(h) * (iterate - newest)
                    new = {k: v + back if k in base.positions else v for k, v in new.items()}
                return {**new, name: iterate, **others}

            rule.__doc__ = f"{(update.__doc__ or '').partition(':')[0]} of what {base} returns."
            return replace(
                base,
                name=f"{name}({base})",
                rule=rule,
                positions=(*base.positions, *behind),
                memories={**base.memories, **dict.fromkeys(beside, 0)},
                returns=name,
                hyperparameters={**base.hyperparameters, **declared},
            )

        wrap.__doc__ = update.__doc__
        COMBINATORS[name] = wrap
        return wrap

    return make


def average(
    restart: Restart | None = None, /, **declared: Hyperparameter
) -> Callable[[Callable[[Any, Any], Any]], Callable[[Optimizer], Optimizer]]:
    """Decorator: the weight (t, h) of the newest iterate in an average becomes a wrapper, as by `combinator`."""

    def make(weight: Callable[[Any, Any], Any]) -> Callable[[Optimizer], Optimizer]:
        @combinator(restart, **declared)
        @wraps(weight)
        def update(s: Any, newest: Any, t: Any, h: Any) -> tuple[Any, dict[str, Any]]:
            old = getattr(s, weight.__name__)
            return old + weight(t, h) * (newest - old), {}

        return update

    return make


@average(start=switch(0))
def tail_average(t: Any, h: Any) -> Any:
    """Mean: of the iterates after step `start`; the newest alone until then. Polyak's average where start is 0."""
    return 1 / maximum(1, t + 1 - h.start) if h.start else 1 / (t + 1)


@average(decay=momentum())
def ema(t: Any, h: Any) -> Any:
    """Exponential moving average: from the initial point on."""
    return 1 - h.decay


@combinator(None, "ema", decay=momentum(), share=real(1))
def blend(s: Any, newest: Any, t: Any, h: Any) -> tuple[Any, dict[str, Any]]:
    """Mixture with the exponential moving average: newest + share (ema - newest), where share may be above 1."""
    average = s.ema + (1 - h.decay) * (newest - s.ema)
    return newest + h.share * (average - newest), dict(ema=average)


@recurrence()
def periodic(memory: Any, t: Any, h: Any) -> tuple[Any, dict[str, Any]]:
    """1 at the last step of each period, else 0."""
    return 1 - minimum(1, (t + 1) % h.period), {}


PERIODIC = dict(period=Hyperparameter(5, low=1, switch=True), sync=weight(periodic))


def returning(h: Any) -> Any:
    """All the way at the last step of each period."""
    return h.sync


@average(returning, slow=weight(0.5), **PERIODIC)
def lookahead(t: Any, h: Any) -> Any:
    """Slow iterate: a step `slow` towards the last of each `period`, where the rule goes on, its memories kept.

    Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610, Algorithm 1.
    """
    return h.sync * h.slow


@combinator(
    returning, "", "velocity", outer_lr=step_size(0.7), outer_beta=momentum(0.9), nesterov=switch(1), **PERIODIC
)
def outer_momentum(s: Any, newest: Any, t: Any, h: Any) -> tuple[Any, dict[str, Any]]:
    """Outer iterate: a step of Nesterov's method (heavy ball where nesterov is 0) along each `period`'s way.

    DiLoCo with one worker, whose period is 500: Douillard et al. 2023, arXiv:2311.08105, Algorithm 1. The rule goes on
    from there, its memories kept.
    """
    way = newest - s.outer_momentum
    velocity = (1 - h.sync * (1 - h.outer_beta)) * s.velocity + h.sync * way
    direction = h.outer_beta * velocity + way if h.nesterov else velocity
    return s.outer_momentum + h.sync * h.outer_lr * direction, dict(velocity=velocity)


LATEST = 6  # checkpoints in LAWA's mean, as in its paper
CHECKPOINTS = [f"checkpoint{i + 1}" for i in range(LATEST)]


@combinator(None, " ".join(CHECKPOINTS), **PERIODIC)
def lawa(s: Any, newest: Any, t: Any, h: Any) -> tuple[Any, dict[str, Any]]:
    """Latest weight average: the mean of six checkpoints, one a `period`; the initial point stands for those to come.

    Kaddour 2022, arXiv:2209.14981, where a period is an epoch.
    """
    kept = [getattr(s, name) for name in CHECKPOINTS]
    shifted = [old + h.sync * (new - old) for new, old in zip((newest, *kept), kept, strict=False)]
    return s.lawa + h.sync * (newest - kept[-1]) / LATEST, dict(zip(CHECKPOINTS, shifted, strict=True))
