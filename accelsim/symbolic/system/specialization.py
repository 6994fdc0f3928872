"""Rules at special hyperparameters: some written in others, or switches set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import wraps
from typing import Any

from accelsim.language import evaluated
from accelsim.language import names as names_in
from accelsim.rule import Hyperparameter, Optimizer
from accelsim.schedules import Recurrence


def restricted(rule: Optimizer, values: Mapping[str, str]) -> Optimizer:
    """Rule restricted to a subfamily: some hyperparameters are texts in its others.

    Parameters
    ----------
    values : by hyperparameter, a text in t and the hyperparameters that are left, as ``{"beta1": "beta3"}``.
    """

    def run(s: Any, t: Any, h: Any) -> Any:
        return (yield from rule.rule(s, t, _Overlaid(h, t, values)))

    run.__doc__ = rule.rule.__doc__
    kept = {k: _overlaid(v, values) for k, v in rule.hyperparameters.items() if k not in values}
    return replace(rule, rule=run, hyperparameters=kept)


def _overlaid(declared: Hyperparameter, values: Mapping[str, str]) -> Hyperparameter:
    """Declaration of a hyperparameter; one that is a recurrence reads the others as they are restricted."""
    if not isinstance(declared.default, Recurrence):
        return declared
    update = declared.default.update

    @wraps(update)
    def fixed(memory: Any, t: Any, h: Any) -> Any:
        return update(memory, t, _Overlaid(h, t, values))

    return replace(declared, default=Recurrence(fixed, declared.default.start))


def switched(rule: Optimizer, values: dict[str, Any]) -> Optimizer:
    """Rule with its switches at the given values, which are taken out of `values`."""
    switches = {k: v for k, v in rule.hyperparameters.items() if v.switch and k in values}
    if not switches:
        return rule
    known = {k: replace(v, default=rule.value(k, values.pop(k))) for k, v in switches.items()}
    return replace(rule, hyperparameters={**rule.hyperparameters, **known})


class _Overlaid:
    """Hyperparameters at a step, some of them texts in the others that are read when they are asked for."""

    def __init__(self, h: Any, t: Any, values: Mapping[str, str]) -> None:
        self._h, self._t, self._values = h, t, values

    def __getattr__(self, name: str) -> Any:
        if name not in self._values:
            return getattr(self._h, name)
        text = self._values[name]
        return evaluated(text, {"t": self._t, **{k: getattr(self._h, k) for k in names_in(text) - {"t"}}})
