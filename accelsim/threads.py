"""BLAS on one thread while the library works.

The matrices are small. Shared among threads, a product of them waits for the slowest core, on a busy machine for many
times as long as it takes by itself; and sums in another order have other last digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ContextDecorator
from functools import cache
from threading import Lock
from typing import Any


@cache
def _libraries() -> list[Any]:
    """The BLAS libraries of this process; looking for them takes milliseconds."""
    import scipy.linalg  # noqa: F401  SciPy brings a BLAS of its own
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def _set(counts: Iterable[int]) -> None:
    for library, count in zip(_libraries(), counts, strict=True):
        # OpenBLAS is held by the thread that set it last, and does not hear others.
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(count)
        release(force=True)


class _SingleThreaded(ContextDecorator):
    """A context, and a decorator of functions, in which BLAS takes one thread.

    The setting is the whole process's: the first one in saves it, the last one out restores it, in whatever threads
    they are.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._before = Lock(), 0, [0]

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = [library.num_threads for library in _libraries()]
                _set([1] * len(self._before))
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                _set(self._before)


single_threaded = _SingleThreaded()
