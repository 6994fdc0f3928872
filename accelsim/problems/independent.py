"""Linear regression on inputs with independent coordinates of given kurtosis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from accelsim.problems._problem import Draw
from accelsim.problems._stream import Stream, kurtoses, three_point
from accelsim.spectra import Array

_BLOCKS, _NUMBERS = 128, 4096  # a batch is drawn in so many blocks at most, each of so many numbers at least


@dataclass(frozen=True, eq=False, kw_only=True)
class Independent(Stream):
    """Least squares on a stream whose inputs have independent, symmetric coordinates of kurtosis c_i.

    With Y the second moment of the query error, E[Cov(g_i | e)] = ((c_i - 2) lam_i^2 Y_ii + lam_i sum_j lam_j Y_jj +
    label_noise lam_i) / batch; at c_i = 3 that of Gaussian inputs. Inputs are drawn as lam_i^(1/2) times +-c_i^(1/2)
    with probability 1/c_i, else 0; second moments of linear rules feel nothing of the law but the kurtosis.

    Parameters
    ----------
    kurtosis : c_i >= 1: a number, an array (d,) or ``file:c.npy``. Gaussian inputs have 3, signs have 1.
    dim : number of eigendirections d; without it the size of the spectrum given, else 12.
    spectrum : eigenvalues of H, see `spectra.spectrum`.
    batch : samples a gradient.
    label_noise : variance of the labels' noise.
    init : initial error by eigendirection, see `spectra.initial`.
    """

    name: ClassVar[str] = "independent"
    assumptions: ClassVar[tuple[str, ...]] = (
        "inputs with independent coordinates of the kurtosis given, noisy linear labels",
        "a fresh batch at each query",
    )

    kurtosis: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        self._settle(kurtosis=kurtoses(self.kurtosis, np.ones(self.dim)))

    @cached_property
    def own(self) -> Array:
        return (self.kurtosis - 2) * self.spectrum**2 / self.batch

    @cached_property
    def left(self) -> Array:
        return self.spectrum / self.batch

    @cached_property
    def right(self) -> Array:
        return self.spectrum

    def constants(self) -> dict[str, Any]:
        return {"root": self.spectrum**0.5, "chance": np.minimum(1 / self.kurtosis, 1)}

    def sample(self, errors: tuple[Any, ...], draw: Draw) -> tuple[Any, ...]:
        like = errors[0]
        root = self.arrays(like)["root"]
        chance = self.arrays(like.astype("float64"))["chance"]  # in single precision it would be another chance
        noise = self.label_noise**0.5 * draw.normal(_BLOCKS, self.batch) if self.label_noise else None
        count = max(-(-self.batch // _BLOCKS), _NUMBERS // self.dim)
        gradients: tuple[Any, ...] = tuple(0 * error for error in errors)
        for stream, first in enumerate(range(0, self.batch, count)):
            rows = range(first, min(first + count, self.batch))
            x = root * three_point(draw, stream, chance, (len(rows), self.dim), like.dtype)
            residuals = ((x @ error[..., None])[..., 0] for error in errors)
            if noise is not None:
                residuals = (residual + noise[:, rows.start : rows.stop] for residual in residuals)
            terms = ((x * residual[..., None]).sum(axis=1) for residual in residuals)
            gradients = tuple(g + term for g, term in zip(gradients, terms, strict=True))
        return tuple(g / self.batch for g in gradients)
