"""Machine code from generated source, kept in the user's cache where that can be written."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


def compiled(text: str, **options: Any) -> Callable[..., Any]:
    """The function ``kernel`` of a source, compiled by Numba when it is called.

    Parameters
    ----------
    **options : of `numba.njit`.
    """
    from numba import njit

    name = f"accelsim_kernel_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    path = _kept(name, text)
    # A module of its own: machine code names its functions after it, and two with one name would be one function.
    module = ModuleType(name)
    sys.modules[name] = module  # where Numba looks for it when it loads machine code
    exec(compile(text, str(path or name), "exec"), module.__dict__)
    function: Callable[..., Any] = njit(nogil=True, cache=path is not None, **options)(module.__dict__["kernel"])
    return function


def _kept(name: str, text: str) -> Path | None:
    """The source in a file, which is what Numba keeps machine code beside."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accelsim"
    path = home / f"{name}.py"
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
