"""What the tests share."""

import zlib


def seed_of(name: str) -> int:
    """The seed of a stochastic case, derived from its name: cases do not share one fluctuation."""
    return zlib.crc32(name.encode())
