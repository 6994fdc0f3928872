"""Quadratic problems: the base of all, and of those without coupling between eigendirections."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from numbers import Real
from typing import Any, ClassVar, Protocol

import numpy as np

from accelsim.errors import InputError
from accelsim.spectra import Array, whole


class Draw(Protocol):
    """The random numbers of one stage of one step; `stream` names a purpose within the stage.

    `normal` and `three_point` with a chance a coordinate make vectors, all others one number a replica, and a sample in
    the body of `mean`, which averages over the samples of a batch.
    """

    def normal(self, stream: int) -> Any: ...

    def three_point(self, stream: int, chance: Any) -> Any: ...

    def number(self, stream: int, index: int = 0) -> Any: ...

    def chi_square(self, stream: int, dof: int) -> Any: ...

    def integer(self, stream: int, high: int) -> Any: ...

    def place(self, stream: int, below: Any) -> Any: ...

    def mean(self, batch: int, body: Callable[..., tuple[Any, ...]], errors: tuple[Any, ...]) -> tuple[Any, ...]: ...


def _told(value: Any) -> Any:
    """An option as it can be printed."""
    if isinstance(value, str):
        return value
    if isinstance(value, Real):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, list | tuple) and all(isinstance(part, str | int) for part in value):
        return list(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    shape = getattr(value, "shape", None)
    return f"an array of shape {shape}" if shape is not None else f"a {type(value).__name__}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """A quadratic risk (1/2) e^T H e in the error e = w - w*, and stochastic gradients of it.

    Attributes
    ----------
    name : how a user calls it.
    batch : samples a gradient.
    dim : number of coordinates d that the optimizer sees.
    start : (d,) initial error in the coordinates that the optimizer sees.
    spectrum : (m,) the positive eigenvalues of H.
    assumptions : what every statement about the problem takes for granted.
    coupled : whether second moments must be carried for pairs of eigendirections; if not, one each suffices.
    notices : what was done to the input that the user should know.
    """

    name: ClassVar[str]
    coupled: ClassVar[bool]
    assumptions: ClassVar[tuple[str, ...]]

    batch: int = 1
    dim: Any = field(init=False, repr=False)
    start: Array = field(init=False, repr=False)
    spectrum: Any = field(init=False, repr=False)
    notices: tuple[str, ...] = field(init=False, repr=False, default=())
    _given: Mapping[str, Any] = field(init=False, repr=False, default_factory=dict)

    @classmethod
    def options(cls) -> list[str]:
        """Names of what may be given at construction."""
        return sorted(f.name for f in fields(cls) if f.init)

    @classmethod
    def required(cls) -> list[str]:
        """Names of what must be given at construction."""
        return sorted(f.name for f in fields(cls) if f.init and f.default is MISSING)

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        self._settle(batch=whole(self.batch, "batch size"), _given=given)

    @property
    def described(self) -> dict[str, Any]:
        """Name and options, as given or by default; what is long in words."""
        told = {option: _told(value) for option, value in self._given.items() if value is not None}
        return {"name": self.name, **told, "batch": self.batch, "dim": self.dim}

    def _settle(self, **values: Any) -> None:
        """Set attributes, at construction only."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def multiplicative(self) -> bool:
        """Whether the gradient noise grows with the error."""
        return True

    @property
    def basis(self) -> Array | None:
        """(d, m) eigenvectors of H in columns, or None where the coordinates are the eigendirections."""
        return None

    def constants(self) -> dict[str, Any]:
        """Arrays that the sampler computes with, in the precision of the run."""
        return {}

    def tables(self) -> dict[str, Any]:
        """Arrays that chances are read from, in double precision whatever the run's: rounded, they would be others."""
        return {}

    def sample(self, errors: tuple[Any, ...], draw: Draw) -> tuple[Any, ...]:
        """Batch gradients at query errors, each (replicas, d), all on the same sample.

        It is run on arrays, and once on the nodes of a trace, of which kernels are made: it may use arithmetic, `@`
        with a constant matrix, `elementary`, `_sampling` and the draw, and look at no array's shape or type.
        """
        raise NotImplementedError

    def noise(self, second: Array, mean: Array, noisy: bool) -> Array:
        """Covariance that sampling adds to E[g g'^T] beyond H E[e e'^T] H, in the eigenbasis.

        Parameters
        ----------
        second : (q, q, m), or (q, q, m, m) if coupled, second moments E[e_a e_b^T] of the query errors.
        mean : (q, m) their means.
        noisy : whether noise that stays at the optimum (labels, residuals, additive) is present.

        Returns
        -------
        Array of the shape of `second`.
        """
        raise NotImplementedError

    def modes(self, errors: Any) -> Any:
        """Errors (..., d) in the eigenbasis, (..., m)."""
        basis = self.arrays(errors)["basis"]
        return errors if basis is None else errors @ basis

    def risk(self, errors: Any) -> Any:
        """Excess risk (1/2) e^T H e of errors (replicas, d), as (replicas,)."""
        return (self.modes(errors) ** 2) @ self.arrays(errors)["spectrum"] / 2

    @cached_property
    def _placed(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {}

    def arrays(self, like: Any) -> dict[str, Any]:
        """The constants and tables in the module (and the constants in the precision) of an array, made once each."""
        cast = {"spectrum": self.spectrum, "basis": self.basis, **self.constants()}
        if hasattr(like, "traced_constant"):
            values = {**cast, **self.tables()}
            return {name: None if value is None else like.traced_constant(name) for name, value in values.items()}
        xp = like.__array_namespace__()
        key = (xp.__name__, str(like.dtype))
        if key not in self._placed:
            placed = {k: v if v is None else xp.asarray(v, dtype=like.dtype) for k, v in cast.items()}
            self._placed[key] = placed | {k: xp.asarray(v) for k, v in self.tables().items()}
        return self._placed[key]


@dataclass(frozen=True, eq=False, kw_only=True)
class Uncoupled(Problem):
    """A problem whose second moments stay apart by eigendirection but for one shared sum.

    With Y_i the second moment of the query error in direction i, sampling adds
    own_i Y_i + left_i sum_j right_j Y_j, and floor_i where noise that stays at the optimum is present.
    """

    coupled: ClassVar[bool] = False

    @cached_property
    def own(self) -> Array:
        """(m,) noise of a direction from its own error."""
        return np.zeros_like(self.spectrum)

    @cached_property
    def left(self) -> Array:
        """(m,) noise of a direction from the shared sum."""
        return np.zeros_like(self.spectrum)

    @cached_property
    def right(self) -> Array:
        """(m,) weights of the shared sum."""
        return np.zeros_like(self.spectrum)

    @cached_property
    def floor(self) -> Array:
        """(m,) variance of the gradient at the optimum."""
        raise NotImplementedError

    @property
    def multiplicative(self) -> bool:
        return bool(self.own.any() or self.left.any())

    def noise(self, second: Array, mean: Array, noisy: bool) -> Array:
        shared = (second @ self.right)[..., None]
        return self.own * second + self.left * shared + (self.floor if noisy else 0.0)


def variance(value: Any, what: str) -> float:
    """A variance: a finite number of at least 0.

    Raises
    ------
    InputError
        For anything else; `what` names it.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        raise InputError(f"the {what} must be a finite variance of at least 0, not {value}")
    return float(value)
