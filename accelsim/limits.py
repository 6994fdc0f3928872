"""Memory that this process may have: the machine's, or less where its control group or its own limit says so."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # versions 2 and 1


def memory() -> float:
    """Bytes, infinite where the system does not say."""
    found = [math.inf]
    with suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(ImportError):  # not on this system
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        found += [soft] if soft != resource.RLIM_INFINITY else []
    for group in _GROUPS:
        with suppress(OSError, ValueError):  # "max" is no number
            found.append(int(Path(group).read_text()))
    return min(found)
