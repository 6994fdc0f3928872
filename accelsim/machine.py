"""Machine code from generated source, kept in the user's cache where that can be written."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any


def compiled(text: str, **options: Any) -> Callable[..., Any]:
    """The function ``kernel`` of a source, compiled by Numba when it is first called.

    Parameters
    ----------
    **options : of `numba.njit`.
    """
    name = f"accelsim_kernel_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    path = _kept(name, text)
    function = _made(name, text, path, options)
    if path is None:
        return function

    def careful(*arguments: Any) -> Any:
        """The function; where what was kept of it cannot be read, made anew."""
        nonlocal function
        if not function.overloads:
            try:
                function.compile(tuple(map(function.typeof_pyval, arguments)))
            except Exception:  # a damaged file raises whatever reading it comes upon
                for damaged in path.parent.glob(f"__pycache__/{name}.*"):
                    damaged.unlink(missing_ok=True)
                function = _made(name, text, path, options)
        return function(*arguments)

    return careful


def _made(name: str, text: str, path: Path | None, options: Mapping[str, Any]) -> Any:
    from numba import njit

    # A module of its own: machine code names its functions after it, and two with one name would be one function.
    module = ModuleType(name)
    sys.modules[name] = module  # where Numba looks for it when it loads machine code
    exec(compile(text, str(path or name), "exec"), module.__dict__)
    return njit(nogil=True, cache=path is not None, **options)(module.__dict__["kernel"])


def _kept(name: str, text: str) -> Path | None:
    """The source in a file, which is what Numba keeps machine code beside; None where nothing can be kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accelsim"
    path = home / f"{name}.py"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK | os.X_OK):
            return None
        if not path.exists():
            draft = path.with_suffix(f".{os.getpid()}")
            draft.write_text(text)
            draft.replace(path)
    except OSError:
        return None
    return path
