"""accelsim: one rule gives the proof, the exact risk, the simulation and the figure."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from accelsim.elementary import cos, exp, first, log, maximum, mean, minimum, orthogonalize, sign, sqrt, total, where
from accelsim.rule import Hyperparameter, momentum, optimizer, positive, real, step_size, switch, weight
from accelsim.schedules import ratio, recurrence, warmup

if TYPE_CHECKING:
    from accelsim import optimizers, problems
    from accelsim.exact.limit import limit
    from accelsim.exact.response import response
    from accelsim.exact.risk import risk
    from accelsim.exact.stationary.rates import rate
    from accelsim.exact.tune.comparing import compare
    from accelsim.exact.tune.tuning import tune
    from accelsim.simulation.driver import simulate
    from accelsim.symbolic.certify.verifier import verify_certificate
    from accelsim.symbolic.find.finder import equivalent
    from accelsim.symbolic.system.normal_form import canonical
    from accelsim.symbolic.verify import verify

_ROOMS = "optimizers", "problems"
_HOMES = {
    "canonical": "accelsim.symbolic.system.normal_form",
    "compare": "accelsim.exact.tune.comparing",
    "equivalent": "accelsim.symbolic.find.finder",
    "verify": "accelsim.symbolic.verify",
    "verify_certificate": "accelsim.symbolic.certify.verifier",
    "limit": "accelsim.exact.limit",
    "rate": "accelsim.exact.stationary.rates",
    "response": "accelsim.exact.response",
    "risk": "accelsim.exact.risk",
    "simulate": "accelsim.simulation.driver",
    "tune": "accelsim.exact.tune.tuning",
}

__all__ = [
    "Hyperparameter",
    "canonical",
    "compare",
    "cos",
    "equivalent",
    "exp",
    "first",
    "limit",
    "log",
    "maximum",
    "mean",
    "minimum",
    "momentum",
    "optimizer",
    "optimizers",
    "orthogonalize",
    "positive",
    "problems",
    "rate",
    "ratio",
    "real",
    "recurrence",
    "response",
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


if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> Any:
        # Loaded when first asked for: a rule needs none of the heavy packages.
        if name == "__version__":
            from importlib.metadata import version

            return version("accelsim")
        if name in _ROOMS:
            return import_module(f"accelsim.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'accelsim' has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
