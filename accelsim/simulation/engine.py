"""The plain engine: the rule itself, run step by step on arrays of replicas by coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UserCode
from accelsim.rule import Optimizer, step
from accelsim.simulation.philox import Draw, Draws


class Problem(Protocol):
    """Sampler and risk of a problem, as an engine uses them."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def start(self) -> Any: ...

    def sample(self, errors: tuple[Any, ...], draw: Draw) -> tuple[Any, ...]: ...

    def risk(self, errors: Any) -> Any: ...


class Run(Protocol):
    """Some neighbouring replicas of a simulation, on their way.

    Their paths depend neither on how the steps are split among calls, nor on a `save` and `load` in between.
    """

    def advance(self, steps: int) -> None:
        """Take some steps."""

    def risks(self) -> NDArray[np.float64]:
        """Excess risk of the returned iterate, (count,), on the host."""

    def save(self) -> dict[str, NDArray[Any]]:
        """All that is needed to go on, on the host."""

    def load(self, saved: Mapping[str, NDArray[Any]], t: int) -> None:
        """Go on from what `save` gave after t steps."""


@dataclass(frozen=True)
class Arrays:
    """An array module.

    Attributes
    ----------
    xp : the module.
    host : turns an array of the module into a NumPy array.
    tile : random blocks to make at once.
    """

    xp: Any
    host: Callable[[Any], Any]
    tile: int


class PlainRun:
    """Replicas ``first`` to ``first + count - 1``, run by the rule itself on arrays (count, d); see `Run`."""

    def __init__(
        self,
        optimizer: Optimizer,
        problem: Problem,
        hyperparameters: Mapping[str, Any],
        first: int,
        count: int,
        seed: int,
        dtype: str,
        *,
        arrays: Arrays,
    ) -> None:
        self._optimizer, self._problem, self._hyperparameters = optimizer, problem, hyperparameters
        self._arrays = arrays
        self._draws = Draws(seed, count, problem.dim, arrays.xp, first=first, dtype=dtype, tile=arrays.tile)
        kind = getattr(arrays.xp, dtype)
        self._start = arrays.xp.asarray(problem.start, dtype=kind)
        self._zeros = arrays.xp.zeros((count, problem.dim), dtype=kind)
        self._uniform = optimizer.program(hyperparameters).uniform  # numbers, the same for all coordinates and replicas
        self._state = optimizer.start(self._zeros) | {name: float(optimizer.memories[name]) for name in self._uniform}
        self._rows = optimizer.rows(**hyperparameters)

    def advance(self, steps: int) -> None:
        with np.errstate(all="ignore"):  # divergence is found and counted, not warned of
            for t, h in islice(self._rows, steps):
                with UserCode(f"rule {self._optimizer.name!r}", f" at step {t}"):
                    state = step(self._optimizer, self._state, t, h, self._gradient(t))
                self._state = {k: v if k in self._uniform else self._vector(v) for k, v in state.items()}
        if any("complex" in str(getattr(value, "dtype", type(value))) for value in self._state.values()):
            raise InputError(f"rule {self._optimizer.name!r} took a root of a negative number: that is not real")

    def risks(self) -> NDArray[np.float64]:
        with np.errstate(all="ignore"):
            errors = self._state[self._optimizer.returns] + self._start
            risks = self._problem.risk(self._arrays.xp.astype(errors, self._arrays.xp.float64))
        return np.asarray(self._arrays.host(risks), dtype=np.float64)

    def save(self) -> dict[str, NDArray[Any]]:
        return {k: np.asarray(v if k in self._uniform else self._arrays.host(v)) for k, v in self._state.items()}

    def load(self, saved: Mapping[str, NDArray[Any]], t: int) -> None:
        self._state = {k: float(v) if k in self._uniform else self._arrays.xp.asarray(v) for k, v in saved.items()}
        self._rows = self._optimizer.rows(float, t, **self._hyperparameters)

    def _gradient(self, t: int) -> Callable[..., Any]:
        """Answers the queries of one step; each `yield` is a stage with a sample of its own."""
        stages = count()

        def gradient(*points: Any) -> Any:
            draw = self._draws.at(t, next(stages))
            gradients = self._problem.sample(tuple(self._vector(point) + self._start for point in points), draw)
            return gradients if len(points) > 1 else gradients[0]

        return gradient

    def _vector(self, value: Any) -> Any:
        """A state or a point as a vector: a rule may make it a number, the same for all replicas or coordinates."""
        vector = value if getattr(value, "shape", ()) == self._zeros.shape else value + self._zeros
        wider = vector.dtype == self._arrays.xp.float64  # as a NumPy scalar makes of single precision
        return self._arrays.xp.astype(vector, self._zeros.dtype, copy=False) if wider else vector
