"""Machine code from generated source, kept in the user's cache where that can be written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def compiled(text: str, **options: Any) -> Callable[..., Any]:
    """The function ``kernel`` of a source, compiled by Numba when it is called.

    Parameters
    ----------
    **options : of `numba.njit`.
    """
    from numba import njit

    path = _kept(text)
    names: dict[str, Any] = {"__name__": __name__}  # Numba imports it when it loads machine code
    exec(compile(text, str(path or "<kernel>"), "exec"), names)
    function: Callable[..., Any] = njit(nogil=True, cache=path is not None, **options)(names["kernel"])
    return function


def _kept(text: str) -> Path | None:
    """The source in a file, which is what Numba keeps machine code beside."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accelsim"
    path = home / f"kernel_{hashlib.sha256(text.encode()).hexdigest()[:16]}.py"
    if path.exists():
        return path
    try:
        home.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(text)
        draft.replace(path)
    except OSError:
        return None
    return path
