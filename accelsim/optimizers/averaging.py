"""Combinators: averages of the iterate that any rule returns, as ``tail_average(jain)``, and Lookahead."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import cache
from typing import Any

from accelsim.elementary import maximum, minimum
from accelsim.errors import InputError
from accelsim.rule import Hyperparameter, Optimizer, momentum, switch, weight
from accelsim.schedules import recurrence

COMBINATORS: dict[str, Callable[[Optimizer], Optimizer]] = {}


def combinator(
    restart: Callable[[Any], Any] | None = None, /, **declared: Hyperparameter
) -> Callable[[Callable[[Any, Any], Any]], Callable[[Optimizer], Optimizer]]:
    """Decorator: the weight (t, h) of the newest iterate in an average becomes a wrapper of rules, known by its name.

    `restart` is how far (of h, 1 is all the way) the rule itself is taken back to the average.
    """

    def make(weight: Callable[[Any, Any], Any]) -> Callable[[Optimizer], Optimizer]:
        name = weight.__name__

        @cache  # one wrapped rule is one object, traced once
        def wrap(base: Optimizer) -> Optimizer:
            if declared.keys() & base.hyperparameters.keys() or name in base.states:
                raise InputError(f"{name} cannot wrap {base}: both have a hyperparameter or state of the same name")

            def rule(s: Any, t: Any, h: Any) -> Generator[Any, Any, Any]:
                new = yield from base.rule(s, t, h)
                newest, old = new[base.returns], getattr(s, name)
                average = old + weight(t, h) * (newest - old)
                if restart:
                    back = restart(h) * (average - newest)
                    new = {k: v + back if k in base.positions else v for k, v in new.items()}
                return {**new, name: average}

            rule.__doc__ = f"{(weight.__doc__ or '').partition(':')[0]} of what {base} returns."
            return replace(
                base,
                name=f"{name}({base})",
                rule=rule,
                positions=(*base.positions, name),
                returns=name,
                hyperparameters={**base.hyperparameters, **declared},
            )

        wrap.__doc__ = weight.__doc__
        COMBINATORS[name] = wrap
        return wrap

    return make


@combinator(start=switch(0))
def tail_average(t: Any, h: Any) -> Any:
    """Mean: of the iterates after step `start`; the newest alone until then. Polyak's average where start is 0."""
    return 1 / maximum(1, t + 1 - h.start) if h.start else 1 / (t + 1)


@combinator(decay=momentum())
def ema(t: Any, h: Any) -> Any:
    """Exponential moving average: from the initial point on."""
    return 1 - h.decay


@recurrence()
def periodic(memory: Any, t: Any, h: Any) -> tuple[Any, dict[str, Any]]:
    """1 at the last step of each period, else 0."""
    return 1 - minimum(1, (t + 1) % h.period), {}


@combinator(
    lambda h: h.sync,
    period=Hyperparameter(5, low=1, switch=True),
    slow=weight(0.5),
    sync=weight(periodic),
)
def lookahead(t: Any, h: Any) -> Any:
    """Slow iterate: a step `slow` towards the last of each `period`, where the rule goes on, its memories kept.

    Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610, Algorithm 1.
    """
    return h.sync * h.slow
