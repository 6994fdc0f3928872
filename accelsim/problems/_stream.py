"""Problems with fresh samples and noisy linear labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from accelsim import spectra
from accelsim.elementary import total
from accelsim.errors import InputError
from accelsim.problems._problem import Draw, Uncoupled, variance
from accelsim.spectra import Array


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

    def at_input(self, x: Any, errors: tuple[Any, ...], draw: Draw, stream: int) -> tuple[Any, ...]:
        """A sample's gradients x (x^T e + noise) at its input x, the noise from a stream of its own."""
        noise = self.label_noise**0.5 * draw.number(stream) if self.label_noise else 0
        return tuple(x * (total(x * error) + noise) for error in errors)


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
