"""Linear regression on inputs with independent coordinates of given kurtosis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from accelsim.problems._problem import Draw
from accelsim.problems._stream import Stream, kurtoses
from accelsim.spectra import Array


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
        return {"root": self.spectrum**0.5}

    def tables(self) -> dict[str, Any]:
        return {"chance": np.minimum(1 / self.kurtosis, 1)}

    def sample(self, errors: tuple[Any, ...], draw: Draw) -> tuple[Any, ...]:
        placed = self.arrays(errors[0])

        def body(sample: Draw, *errors: Any) -> tuple[Any, ...]:
            return self.at_input(placed["root"] * sample.three_point(0, placed["chance"]), errors, sample, 1)

        return draw.mean(self.batch, body, errors)
