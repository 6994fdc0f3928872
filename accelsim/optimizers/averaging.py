"""Combinators: averages of the iterate that any rule returns, as ``tail_average(jain)``."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import cache
from typing import Any

from accelsim.elementary import maximum
from accelsim.errors import InputError
from accelsim.optimizer import Hyperparameter, Optimizer, momentum, switch

COMBINATORS: dict[str, Callable[[Optimizer], Optimizer]] = {}


def combinator(hyperparameter: str, declared: Hyperparameter) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: a weight function (t, its hyperparameter) becomes a wrapper of rules, known by its name."""

    def make(weight: Callable[[Any, Any], Any]) -> Callable[[Optimizer], Optimizer]:
        name = weight.__name__

        @cache  # one wrapped rule is one object, traced once
        def wrap(base: Optimizer) -> Optimizer:
            if hyperparameter in base.hyperparameters or name in base.states:
                raise InputError(f"{name} cannot wrap {base}: both have a hyperparameter or state of the same name")

            def rule(s: Any, t: Any, h: Any) -> Generator[Any, Any, Any]:
                new = yield from base.rule(s, t, h)
                average, c = getattr(s, name), weight(t, getattr(h, hyperparameter))
                return {**new, name: average + c * (new[base.returns] - average)}

            rule.__doc__ = f"{(weight.__doc__ or '').partition(':')[0]} of what {base} returns."
            return replace(
                base,
                name=f"{name}({base})",
                rule=rule,
                positions=(*base.positions, name),
                returns=name,
                hyperparameters={**base.hyperparameters, hyperparameter: declared},
            )

        COMBINATORS[name] = wrap
        return wrap

    return make


@combinator("start", switch(0))
def tail_average(t: Any, start: Any) -> Any:
    """Mean: of the iterates after step `start`; the newest alone until then. Polyak's average where start is 0."""
    return 1 / maximum(1, t + 1 - start) if start else 1 / (t + 1)


@combinator("decay", momentum())
def ema(t: Any, decay: Any) -> Any:
    """Exponential moving average: from the initial point on."""
    return 1 - decay
