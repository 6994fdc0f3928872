"""Noisy quadratic: g = H e + xi, with noise xi that does not depend on the state; the batch only scales it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from accelsim import spectra
from accelsim.errors import InputError
from accelsim.problems._problem import Draw, Uncoupled, variance
from accelsim.spectra import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Quadratic(Uncoupled):
    """Quadratic with additive gradient noise, E xi xi^T = grad_noise V / batch.

    Parameters
    ----------
    dim : number of eigendirections d; without it the size of the spectrum given, else 12.
    spectrum : eigenvalues, see `spectra.spectrum`.
    batch : samples a gradient.
    grad_noise : scale of the noise.
    noise_shape : V: ``H``, ``I``, a .npy file or an array: variances (d,) or a covariance (d, d).
    init : initial error by eigendirection, see `spectra.initial`.

    References
    ----------
    Zhang et al. 2019, arXiv:1907.04164, Section 3.
    """

    name: ClassVar[str] = "quadratic"
    assumptions: ClassVar[tuple[str, ...]] = ("gradient noise independent of the state", "fresh noise at each query")

    dim: Any = None
    spectrum: Any = "geometric:1e3"
    grad_noise: float = 0.0
    noise_shape: Any = "H"
    init: Any = "ones"
    _factor: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        spectrum = spectra.spectrum(self.spectrum, self.dim)
        scale = variance(self.grad_noise, "gradient noise")
        factor = _root(self._shape(spectrum)) * np.sqrt(scale / self.batch)
        start = spectra.initial(self.init, spectrum.size)
        self._settle(spectrum=spectrum, dim=spectrum.size, start=start, _factor=factor)

    def _shape(self, spectrum: Array) -> Array:
        """V as variances (d,) or as a covariance (d, d)."""
        if isinstance(self.noise_shape, str) and self.noise_shape in ("H", "I"):
            return spectrum if self.noise_shape == "H" else np.ones_like(spectrum)
        what = "noise shape (H, I, or variances or a covariance"
        if isinstance(self.noise_shape, str):
            shape = spectra.load(self.noise_shape.removeprefix("file:"), f"{what} in a .npy file)")
        else:
            shape = spectra.numbers(self.noise_shape, f"{what} in an array)")
        if shape.shape not in ((spectrum.size,), (spectrum.size, spectrum.size)):
            d = spectrum.size
            raise InputError(f"the noise shape has shape {shape.shape}: it must be ({d},) or ({d}, {d})")
        return shape

    @cached_property
    def floor(self) -> Array:
        return self._factor**2 if self._factor.ndim == 1 else np.sum(self._factor**2, axis=0)

    def constants(self) -> dict[str, Any]:
        return {"factor": self._factor}

    def sample(self, errors: tuple[Any, ...], draw: Draw) -> tuple[Any, ...]:
        placed = self.arrays(errors[0])
        normal = draw.normal(0)
        xi = normal * placed["factor"] if self._factor.ndim == 1 else normal @ placed["factor"]
        return tuple(error * placed["spectrum"] + xi for error in errors)


def _root(covariance: Array) -> Array:
    """R with R^T R = covariance, by coordinate where variances are given."""
    if covariance.ndim == 1:
        lowest, symmetric = covariance.min(), True
    else:
        symmetric = np.allclose(covariance, covariance.T, rtol=1e-12, atol=1e-12 * np.abs(covariance).max())
        values, vectors = np.linalg.eigh(covariance)
        lowest = values[0] + 1e-12 * abs(values[-1])
    if not symmetric or lowest < 0:
        raise InputError("the noise shape is no covariance: it must be symmetric, without negative variances")
    return np.sqrt(covariance) if covariance.ndim == 1 else np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
