"""accelsim: one rule gives the proof, the exact risk, the simulation and the figure."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from accelsim.optimizer import optimizer

_HOMES = {
    "canonical": "accelsim.symbolic.normal_form",
    "equivalent": "accelsim.symbolic.finder",
    "verify": "accelsim.symbolic.verify",
    "verify_certificate": "accelsim.symbolic.certificate",
    "rate": "accelsim.exact.rates",
    "risk": "accelsim.exact.moments",
    "simulate": "accelsim.simulation.driver",
    "tune": "accelsim.exact.tuning",
}

__all__ = [
    "canonical",
    "equivalent",
    "optimizer",
    "rate",
    "risk",
    "simulate",
    "tune",
    "verify",
    "verify_certificate",
]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: a rule needs none of the heavy packages.
    if name not in _HOMES:
        raise AttributeError(f"module 'accelsim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
