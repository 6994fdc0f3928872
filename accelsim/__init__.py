"""accelsim: one rule gives the proof, the exact risk, the simulation and the figure."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from accelsim.elementary import cos, exp, first, log, maximum, minimum, sign, sqrt, total, where
from accelsim.rule import Hyperparameter, momentum, optimizer, positive, real, step_size, switch, weight
from accelsim.schedules import ratio, recurrence, warmup

_HOMES = {
    "canonical": "accelsim.symbolic.system.normal_form",
    "equivalent": "accelsim.symbolic.find.finder",
    "verify": "accelsim.symbolic.verify",
    "verify_certificate": "accelsim.symbolic.certify.verifier",
    "rate": "accelsim.exact.rates",
    "risk": "accelsim.exact.moments",
    "simulate": "accelsim.simulation.driver",
    "tune": "accelsim.exact.tuning",
}

__all__ = [
    "Hyperparameter",
    "canonical",
    "cos",
    "equivalent",
    "exp",
    "first",
    "log",
    "maximum",
    "minimum",
    "momentum",
    "optimizer",
    "positive",
    "rate",
    "ratio",
    "real",
    "recurrence",
    "risk",
    "sign",
    "simulate",
    "sqrt",
    "step_size",
    "switch",
    "total",
    "tune",
    "verify",
    "verify_certificate",
    "warmup",
    "weight",
    "where",
]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: a rule needs none of the heavy packages.
    if name not in _HOMES:
        raise AttributeError(f"module 'accelsim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
