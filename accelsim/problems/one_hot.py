"""Linear regression on one-hot inputs: each sample shows one coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from accelsim import spectra
from accelsim.errors import InputError
from accelsim.problems._problem import Draw
from accelsim.problems._sampling import at, pick
from accelsim.problems._stream import Stream, kurtoses
from accelsim.spectra import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class OneHot(Stream):
    """Least squares on a stream whose inputs are x = s_i z e_i with probability p_i, z symmetric.

    With Y the second moment of the query error, E[Cov(g_i | e)] = ((c_i - 1) lam_i^2 Y_ii + label_noise lam_i) / batch,
    where c_i = E x_i^4 / lam_i^2 >= 1 / p_i: no direction feels another. Inputs are drawn as (lam_i / p_i)^(1/2) times
    a z of the three values 0 and +-(p_i c_i)^(1/2); second moments of linear rules feel no more of its law.

    Parameters
    ----------
    probabilities : p_i: ``uniform`` (1/d), an array (d,) or ``file:p.npy``.
    kurtosis : c_i: a number, an array (d,) or ``file:c.npy``; without it 1 / p_i, z a sign. A Gaussian z has 3 / p_i.
    dim : number of eigendirections d; without it the size of the spectrum given, else 12.
    spectrum : eigenvalues lam_i of H, see `spectra.spectrum`.
    batch : samples a gradient.
    label_noise : variance of the labels' noise.
    init : initial error by eigendirection, see `spectra.initial`.

    References
    ----------
    Kidambi, Netrapalli, Jain, Kakade 2018, arXiv:1803.05591, Proposition 3: d = 2, p = 1/2.
    """

    name: ClassVar[str] = "one_hot"
    assumptions: ClassVar[tuple[str, ...]] = (
        "inputs with one nonzero coordinate, of a symmetric law, noisy linear labels",
        "a fresh batch at each query",
    )

    probabilities: Any = "uniform"
    kurtosis: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        chances = _probabilities(self.probabilities, self.dim)
        given = 1 / chances if self.kurtosis is None else self.kurtosis
        self._settle(probabilities=chances, kurtosis=kurtoses(given, 1 / chances))

    @cached_property
    def own(self) -> Array:
        return (self.kurtosis - 1) * self.spectrum**2 / self.batch

    def constants(self) -> dict[str, Any]:
        return {"length": (self.spectrum / self.probabilities) ** 0.5}

    def tables(self) -> dict[str, Any]:
        return {
            "below": np.cumsum(self.probabilities)[:-1] * 2**32,
            "chance": np.minimum(1 / (self.probabilities * self.kurtosis), 1),
        }

    def sample(self, errors: tuple[Any, ...], draw: Draw) -> tuple[Any, ...]:
        placed = self.arrays(errors[0])

        def body(sample: Draw, *errors: Any) -> tuple[Any, ...]:
            place = sample.place(0, placed["below"])
            x = pick(placed["length"], place) * sample.three_point(1, pick(placed["chance"], place))
            noise = self.label_noise**0.5 * sample.number(2) if self.label_noise else 0
            return tuple(at(place, x * (x * pick(error, place) + noise), self.dim) for error in errors)

        return draw.mean(self.batch, body, errors)


def _probabilities(given: Any, dim: int) -> Array:
    if isinstance(given, str) and given == "uniform":
        return np.full(dim, 1 / dim)
    if isinstance(given, str) and not given.startswith("file:"):
        raise InputError(f"the probabilities must be uniform, an array or file:p.npy, not {given!r}")
    chances = spectra.coordinatewise(given, dim, "probabilities")
    if (chances <= 0).any():
        place = int(chances.argmin())
        raise InputError(f"the probabilities must be positive; that of coordinate {place} is {chances[place]:g}")
    if abs(chances.sum() - 1) > 1e-9:
        raise InputError(f"the probabilities must sum to 1, not to {chances.sum():g}")
    return chances / chances.sum()
