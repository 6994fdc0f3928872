"""Two drawings of one figure, compared but for rounding.

Processors differ in the last digits of a logarithm. In an SVG file that moves a coordinate by some 1e-6 points, and
renames what is named by a hash of its coordinates (clip paths, markers); in a PNG file it moves a pixel by one level.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np

from accelsim.spectra import Array

POINTS = 0.01  # that a coordinate of an SVG file may move
LEVELS = 4  # of 255 that a pixel of a PNG file may change: a line that moves by POINTS makes some seven
_COORDINATES = re.compile(r'( (?:d|x|y|width|height|transform)=")([^"]*)')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_HASHED = re.compile(r"\b([a-z])[0-9a-f]{10}\b")


def same(form: str, stored: bytes, drawn: bytes) -> bool:
    """Whether two drawings of a format (``svg``, ``png``) are the same but for rounding; other files, byte for byte."""
    alike = _SAME.get(form)
    return stored == drawn or (alike is not None and alike(stored, drawn))


def _same_vectors(stored: bytes, drawn: bytes) -> bool:
    (text, numbers), (other, others) = _parsed(stored), _parsed(drawn)
    return text == other and bool((np.abs(numbers - others) <= POINTS).all())


def _parsed(data: bytes) -> tuple[str, Array]:
    """An SVG file's text without its coordinates, and they; hashed names are counted instead."""
    names: dict[str, str] = {}
    numbers: list[float] = []

    def counted(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"{match[1]}{len(names)}")

    def emptied(match: re.Match[str]) -> str:
        numbers.extend(map(float, _NUMBER.findall(match[2])))
        return match[1] + _NUMBER.sub("0", match[2])

    text = _HASHED.sub(counted, data.decode(errors="replace"))
    return _COORDINATES.sub(emptied, text), np.array(numbers)


def _same_pixels(stored: bytes, drawn: bytes) -> bool:
    from matplotlib.image import imread

    try:
        before, after = (imread(io.BytesIO(data), format="png") for data in (stored, drawn))
    except Exception:  # a damaged file raises whatever reading it comes upon
        return False
    return before.shape == after.shape and bool((np.abs(before - after) * 255 < LEVELS + 0.5).all())


_SAME: dict[str, Callable[[bytes, bytes], bool]] = {"svg": _same_vectors, "png": _same_pixels}
