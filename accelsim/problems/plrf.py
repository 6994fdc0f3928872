"""Power-law random features: least squares on random projections of inputs with a power-law spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from accelsim import spectra
from accelsim.errors import InputError
from accelsim.problems._problem import Draw
from accelsim.problems.linear_regression import LinearRegression
from accelsim.spectra import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Plrf(LinearRegression):
    """Least squares of sum_j j^-b x_j on the features W^T x, with x_j = j^-a z_j, z Gaussian, W (hidden, dim).

    Given W, with entries N(0, 1/dim), it is Gaussian least squares in H = W^T diag(j^-2a) W; what no feature explains
    is independent of the features, and so it is label noise. Without a W, its deterministic proxy: eigenvalues j^-2a,
    target coefficients j^-b in the eigenbasis, no label noise. A run starts at w = 0.

    Parameters
    ----------
    data_exponent : a.
    target_exponent : b.
    dim : number of features d; 12 unless given.
    features_seed : seed of W; without it the deterministic proxy.
    hidden : number v >= d of inputs; 4 d unless given, only with a W.
    batch : samples a gradient.

    References
    ----------
    Paquette, Paquette, Xiao, Pennington 2024, arXiv:2405.15074; Ferbach et al. 2025.
    """

    name: ClassVar[str] = "plrf"

    data_exponent: float
    target_exponent: float
    features_seed: int | None = None
    hidden: int | None = None
    spectrum: Any = field(init=False, repr=False)
    label_noise: float = field(init=False, repr=False)
    init: Any = field(init=False, repr=False)
    _basis: Array | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        for name in ("data_exponent", "target_exponent"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
                raise InputError(f"the {name.replace('_', ' ')} must be a finite number, not {value}")
        dim = spectra.DIM if self.dim is None else spectra.whole(self.dim, "dimension")
        if self.features_seed is not None:
            if not isinstance(self.features_seed, Integral) or self.features_seed < 0:
                raise InputError(
                    f"the seed of the features must be a whole number of at least 0, not {self.features_seed}"
                )
            self._settle(**self._projected(dim))
        elif self.hidden is not None:
            raise InputError("hidden inputs are for random features: give their features_seed too, or leave hidden out")
        else:
            eigenvalues, target = self._powers(dim)
            self._settle(spectrum=eigenvalues, init=-target, label_noise=0.0, dim=dim)
        super().__post_init__()

    def _powers(self, size: int) -> tuple[Array, Array]:
        """Variances j^-2a of the inputs and target coefficients j^-b."""
        j = np.arange(1, size + 1, dtype=np.float64)
        with np.errstate(over="ignore", under="ignore"):
            variances, target = j ** (-2 * self.data_exponent), j**-self.target_exponent
        if not (variances.all() and np.isfinite(variances * target**2).all()):
            raise InputError("the exponents leave the range of float64: take them closer to 0, or a smaller dimension")
        return variances, target

    def _projected(self, dim: int) -> dict[str, Any]:
        hidden = 4 * dim if self.hidden is None else spectra.whole(self.hidden, "number of hidden inputs")
        if hidden < dim:
            raise InputError(f"{hidden} hidden inputs do not fill {dim} features: hidden must be at least {dim}")
        variances, target = self._powers(hidden)
        w = np.random.default_rng(self.features_seed).standard_normal((hidden, dim)) / math.sqrt(dim)
        left, singular, right = np.linalg.svd(variances[:, None] ** 0.5 * w, full_matrices=False)
        if singular[-1] <= singular[0] * hidden * np.finfo(np.float64).eps:
            raise InputError("the features are dependent in float64: take a smaller dimension or data exponent")
        explained = left.T @ (variances**0.5 * target)
        rest = variances**0.5 * target - left @ explained
        solution = right.T @ (explained / singular)
        return dict(spectrum=singular**2, init=-solution, label_noise=float(rest @ rest), dim=dim, _basis=right.T)

    @property
    def basis(self) -> Array | None:
        return self._basis

    def sample(self, errors: tuple[Any, ...], draw: Draw) -> tuple[Any, ...]:
        basis = self.arrays(errors[0])["basis"]
        if basis is None:
            return super().sample(errors, draw)
        return tuple(g @ basis.T for g in super().sample(tuple(e @ basis for e in errors), draw))
