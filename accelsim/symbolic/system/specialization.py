"""Rules some of whose hyperparameters are known."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import evaluated


def specialized(rule: Optimizer, values: Mapping[str, str]) -> Optimizer:
    """The rule with hyperparameters written in its others, as ``{"beta1": "beta3"}``."""
    names = {text: _names(text) & set(rule.hyperparameters) for text in values.values()}

    def run(s: Any, t: Any, h: Any) -> Any:
        fixed = {k: evaluated(v, {"t": t, **{n: getattr(h, n) for n in names[v]}}) for k, v in values.items()}
        return (yield from rule.rule(s, t, _Overlaid(h, fixed)))

    run.__doc__ = rule.rule.__doc__
    kept = {k: v for k, v in rule.hyperparameters.items() if k not in values}
    return replace(rule, rule=run, hyperparameters=kept)


def switched(rule: Optimizer, values: dict[str, Any]) -> Optimizer:
    """The rule with its switches at what is given for them, which is taken out of the values."""
    switches = {k: v for k, v in rule.hyperparameters.items() if v.switch and k in values}
    if not switches:
        return rule
    known = {k: replace(v, default=rule.value(k, values.pop(k))) for k, v in switches.items()}
    return replace(rule, hyperparameters={**rule.hyperparameters, **known})


def _names(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


class _Overlaid:
    """Hyperparameters, some of them fixed; the others are read where they are asked for."""

    def __init__(self, h: Any, fixed: Mapping[str, Any]) -> None:
        self._h, self._fixed = h, fixed

    def __getattr__(self, name: str) -> Any:
        return self._fixed[name] if name in self._fixed else getattr(self._h, name)
