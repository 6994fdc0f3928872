"""Record what the implementations do: ``python -m oracles.record`` in tests/, with the versions beside the numbers."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np

from oracles.cases import IMPLEMENTATIONS
from oracles.common import trajectory

RECORDED = Path(__file__).with_name("recorded.npz")
LIBRARIES = ("numpy", "torch", "jax", "optax", "schedulefree", "pytorch_optimizer")


def versions() -> dict[str, str]:
    """Of Python and of every library that steps an optimizer."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def main() -> None:
    found = {case.name: trajectory(case.run, case.scale) for case in IMPLEMENTATIONS}
    np.savez_compressed(RECORDED, allow_pickle=False, versions=np.array(json.dumps(versions())), **found)


if __name__ == "__main__":
    main()
