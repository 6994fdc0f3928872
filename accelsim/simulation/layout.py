"""Memory layout of a kernel's numbers: on a CPU in tiles of random blocks, so that inner loops run over neighbours.

A random block serves `per` coordinates (see `philox`). A tile holds the numbers of `lanes` blocks, first all those of
the blocks' first coordinates, then of their second ones, and so on: what is made together lies together. Where there
are few coordinates the lanes of a tile are replicas, with one block each; else they are blocks of one replica. Which of
the two depends on the number of coordinates only, so that the order of sums, and with it a replica's path, depends on
nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from accelsim.simulation.normals import PRECISIONS
from accelsim.spectra import Array

ACROSS = 256  # coordinates up to which lanes are replicas


@dataclass(frozen=True)
class Blocks:
    """The random blocks of a replica, one after the other: how numbers lie on a GPU.

    Attributes
    ----------
    dim : number of coordinates.
    dtype : of all numbers.
    """

    dim: int
    dtype: str

    @property
    def per(self) -> int:
        """Coordinates a random block."""
        return PRECISIONS[self.dtype].per

    @property
    def blocks(self) -> int:
        """Random blocks a replica."""
        return -(-self.dim // self.per)

    @property
    def tiles(self) -> int:
        """A tile is a block."""
        return self.blocks

    def constant(self, values: Array) -> Array:
        """Values (..., dim) by block: (..., blocks * per), zero beyond."""
        return _filled(values, self.blocks * self.per)


class Layout(Blocks):
    """The tiles of a run on a CPU."""

    @property
    def across(self) -> bool:
        """Whether lanes are replicas."""
        return self.dim <= ACROSS

    @cached_property
    def lanes(self) -> int:
        """Blocks a tile: a few vectors of any width, and the less padding the better."""
        return 64 if self.across else min((128, 64), key=lambda lanes: -(-self.blocks // lanes) * lanes)

    @property
    def width(self) -> int:
        """Numbers of a row of a tile."""
        return self.per * self.lanes

    @property
    def tiles(self) -> int:
        """Tiles a group of replicas."""
        return self.blocks if self.across else -(-self.blocks // self.lanes)

    @property
    def group(self) -> int:
        """Replicas whose numbers share tiles."""
        return self.lanes if self.across else 1

    @property
    def padded(self) -> bool:
        """Whether some numbers of a tile belong to no coordinate."""
        return self.dim != self.tiles * (self.per if self.across else self.width)

    def constant(self, values: Array) -> Array:
        """Values (..., dim) by tile: (..., tiles, per, lanes), or (..., tiles, per) where lanes are replicas."""
        lanes = 1 if self.across else self.lanes
        size = self.tiles * self.per * lanes
        split = _filled(values, size).reshape(*values.shape[:-1], self.tiles, lanes, self.per).swapaxes(-1, -2)
        return np.ascontiguousarray(split[..., 0] if self.across else split)

    def packed(self, values: Array) -> Array:
        """Values (replicas, dim) by group and tile, (groups, tiles, per, lanes), zero where there is no replica."""
        groups = -(-len(values) // self.group)
        padded = np.zeros((groups * self.group, self.dim), values.dtype)
        padded[: len(values)] = values
        tiles = self.constant(padded)
        if self.across:
            tiles = tiles.reshape(groups, self.lanes, self.tiles, self.per).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(tiles)

    def unpacked(self, tiles: Array, replicas: int) -> Array:
        """The values (replicas, dim) of tiles (groups, tiles, per, lanes)."""
        order = (0, 3, 1, 2) if self.across else (0, 1, 3, 2)
        return np.ascontiguousarray(tiles.transpose(order).reshape(len(tiles) * self.group, -1)[:replicas, : self.dim])


def _filled(values: Array, size: int) -> Array:
    padded = np.zeros((*values.shape[:-1], size), values.dtype)
    padded[..., : values.shape[-1]] = values
    return padded
