"""What the tests share."""

import os
import zlib

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # tests look inside too, and pytest's workers share the cores


def seed_of(name: str) -> int:
    """The seed of a stochastic case, derived from its name: cases do not share one fluctuation."""
    return zlib.crc32(name.encode())
