"""Machine code from generated source, kept in the user's cache where that can be written."""

from __future__ import annotations

import _thread
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from accelsim.errors import InputError

_SEAL = ".sha256"
_CALLBACK, _SOON = "_raw_object_cache_", 0.05  # LLVM's callbacks into Python; seconds until an interrupt is tried again
_OLDEST, _LARGEST = 90 * 86400.0, 2**28  # seconds since its last use, and bytes of all, up to which code is kept


def require() -> None:
    """Raise `InputError` where Numba compiles nothing."""
    from numba import config

    if getattr(config, "DISABLE_JIT", False):
        raise InputError(
            "nothing is compiled while NUMBA_DISABLE_JIT is set: unset it, or simulate with --backend numpy"
        )


def called_back(frame: FrameType | None) -> bool:
    """Whether a frame belongs to a call of Python by the compiler, where what is raised is dropped."""
    while frame is not None and not frame.f_code.co_name.startswith(_CALLBACK):
        frame = frame.f_back
    return frame is not None


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise `KeyboardInterrupt`, a moment later where it would be dropped: a handler of signals."""
    if not called_back(frame):
        raise KeyboardInterrupt
    again = threading.Timer(_SOON, _thread.interrupt_main, (number,))
    again.daemon = True
    again.start()


def compiled(text: str, **options: Any) -> Callable[..., Any]:
    """The function ``kernel`` of a source, compiled by Numba when it is first called.

    Parameters
    ----------
    **options : of `numba.njit`.

    Raises
    ------
    InputError
        Where Numba compiles nothing.
    """
    require()
    name = f"accelsim_kernel_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    path = _kept(name, text)
    function, known = _made(name, text, path, options), set[Any]()

    def careful(*arguments: Any) -> Any:
        """The function; for arguments of new types, where what is kept of it cannot be read or kept, made anew."""
        nonlocal function, path
        types = tuple(map(function.typeof_pyval, arguments))
        if types not in known:
            try:
                _compiled(function, types, path)
            except Exception:  # a damaged file raises whatever reading it comes upon, a full disk what writing does
                if path is None:
                    raise
                _forget(path)
                path, function = None, _made(name, text, None, options)
                _compiled(function, types, None)
            known.add(types)
        return function(*arguments)

    return careful


def _compiled(function: Any, types: tuple[Any, ...], path: Path | None) -> None:
    """Have the machine code for these types: read where it is kept and as it was written, else made, and kept."""
    if path is not None and not _sealed(path):
        _forget(path)
    function.compile(types)
    if path is not None and function.stats.cache_misses:
        _seal(path)


def _made(name: str, text: str, path: Path | None, options: Mapping[str, Any]) -> Any:
    from numba import njit

    # A module of its own: machine code names its functions after it, and two with one name would be one function.
    module = ModuleType(name)
    sys.modules[name] = module  # where Numba looks for it when it loads machine code
    exec(compile(text, str(path or name), "exec"), module.__dict__)
    return njit(nogil=True, cache=path is not None, **options)(module.__dict__["kernel"])


def _kept(name: str, text: str) -> Path | None:
    """The source in a file, which is what Numba keeps machine code beside; None where nothing can be kept."""
    try:
        home = _home()
        if home is None:
            return None
        path = home / f"{name}.py"
        if not path.is_file() or path.read_bytes() != text.encode():
            _clean(home)
            _write(path, text.encode())
    except (OSError, RuntimeError):  # the latter where there is neither HOME nor a user of this number
        return None
    return path


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


# Numba does not look whether the machine code that it reads is what it wrote, and runs it: a digest does.


def _files(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"__pycache__/{path.stem}.*"))


def _digest(path: Path) -> bytes:
    """Digest of all that Numba keeps of a kernel."""
    found = hashlib.sha256()
    for file in _files(path):
        data = file.read_bytes()
        found.update(f"{file.name} {len(data)} ".encode() + data)
    return found.hexdigest().encode()


def _sealed(path: Path) -> bool:
    """Whether what is kept of a kernel is what was written; so it is where nothing is."""
    try:
        return not _files(path) or path.with_suffix(_SEAL).read_bytes() == _digest(path)
    except OSError:
        return False


def _seal(path: Path) -> None:
    with suppress(OSError):
        _write(path.with_suffix(_SEAL), _digest(path))


def _forget(path: Path) -> None:
    """Remove what is kept of a kernel, but for its source."""
    with suppress(OSError):
        for file in (*_files(path), path.with_suffix(_SEAL)):
            file.unlink(missing_ok=True)


def _home() -> Path | None:
    """The folder of what is kept; None where it cannot be written, or others could: what is in it is run."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accelsim"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.access(home, os.W_OK | os.X_OK):
        return None
    state = home.stat()
    foreign = hasattr(os, "getuid") and (state.st_uid != os.getuid() or bool(state.st_mode & 0o022))
    return None if foreign else home


def _clean(home: Path) -> None:
    """Remove kernels that nobody used for long, and those used longest ago while all take too much room."""
    kernels: dict[str, list[Path]] = {}
    for path in (*home.glob("*.*"), *home.glob("__pycache__/*.*")):
        kernels.setdefault(path.name.partition(".")[0], []).append(path)
    used, sizes = dict[str, float](), dict[str, int]()
    for name, files in kernels.items():
        states = [path.stat() for path in files]
        used[name] = max(max(state.st_atime, state.st_mtime) for state in states)
        sizes[name] = sum(state.st_size for state in states)
    room, now = sum(sizes.values()), time.time()
    for name in sorted(kernels, key=used.__getitem__):
        if now - used[name] < _OLDEST and room < _LARGEST:
            break
        room -= sizes[name]
        for path in kernels[name]:
            path.unlink(missing_ok=True)
