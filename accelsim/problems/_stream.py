"""What problems with fresh samples and noisy linear labels share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from accelsim import spectra
from accelsim.errors import InputError
from accelsim.problems._problem import Draw, Uncoupled, variance
from accelsim.spectra import Array

_RANGE = 2**32  # of the whole numbers that chances are compared with


@dataclass(frozen=True, eq=False, kw_only=True)
class Stream(Uncoupled):
    """Least squares on a stream: inputs x with E x x^T = H diagonal, label <w*, x> + noise, fresh samples each time."""

    dim: Any = None
    spectrum: Any = "geometric:1e3"
    label_noise: float = 0.0
    init: Any = "ones"

    def __post_init__(self) -> None:
        super().__post_init__()
        spectrum = spectra.spectrum(self.spectrum, self.dim)
        start = spectra.initial(self.init, spectrum.size)
        noise = variance(self.label_noise, "label noise")
        self._settle(spectrum=spectrum, dim=spectrum.size, start=start, label_noise=noise)

    @cached_property
    def floor(self) -> Array:
        return self.label_noise * self.spectrum / self.batch


def kurtoses(given: Any, least: Array) -> Array:
    """Kurtosis E x_i^4 / (E x_i^2)^2 by coordinate, from a number, its text, an array (d,), or ``file:c.npy``.

    Parameters
    ----------
    least : (d,) what the design allows at least, 1 or more.

    Raises
    ------
    InputError
        If it is something else, or below its least value.
    """
    values = spectra.coordinatewise(given, least.size, "kurtosis")
    if (values < least * (1 - 1e-12)).any():
        place = int((values / least).argmin())
        raise InputError(
            f"the kurtosis {values[place]:g} of coordinate {place} is too small: here it is at least {least[place]:g}"
        )
    return values


def three_point(draw: Draw, stream: int, chance: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Variables +-chance^-1/2 with the probability `chance`, else 0: mean 0, variance 1, kurtosis 1/chance.

    Parameters
    ----------
    chance : 1 / kurtosis in float64, broadcast against (replicas, *shape).
    """
    size = 1
    for length in shape:
        size *= length
    number = draw.integers(stream, _RANGE, size)
    number = number.reshape(len(number), *shape)
    sign = 1 - 2 * (number & 1)
    return (sign * (number < chance * _RANGE) * chance**-0.5).astype(dtype)
