"""Files of a user's: read only where reading ends, and folders that one process at a time writes into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from accelsim.errors import InputError


def regular(path: Path | str, what: str = "file") -> Path:
    """The path of a regular file: a pipe would be waited for, a device may have no end.

    Raises
    ------
    InputError
        If there is none.
    """
    found = Path(path)
    try:
        if found.is_file():
            return found
        there, why = found.exists(), "it is a folder" if found.is_dir() else "it is no regular file"
    except (OSError, ValueError) as error:  # a name too long, or with a zero byte in it
        there, why = True, getattr(error, "strerror", None) or str(error)
    raise InputError(f"cannot read {path}: {why}" if there else f"no {what} at {path}")


def content(path: Path | str, what: str = "file") -> bytes:
    """The bytes of a regular file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return regular(path, what).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


_LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder for this process alone, where the system can; the lock of a process that died is none.

    Raises
    ------
    InputError
        If another process, or another run of this one, has it.
    """
    try:
        import fcntl
    except ImportError:  # not on this system
        yield
        return
    path = folder / _LOCK
    while True:
        handle = _opened(path)
        try:
            with suppress(OSError):  # of a file system that knows no locks
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    owner = os.read(handle, 20).decode(errors="replace").strip()
                    what = "wait for it, or name another folder"
                    raise InputError(f"process {owner or 'unknown'} is writing into {folder}: {what}") from None
            if not _is_at(handle, path):  # its owner has just removed it
                continue
            try:
                _sign(handle, folder)
                yield
            finally:
                path.unlink(missing_ok=True)
            return
        finally:
            os.close(handle)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InputError(f"cannot write into {path.parent}: {error.strerror or error}") from None


def _sign(handle: int, folder: Path) -> None:
    """Write this process's number into the lock, for whoever meets it."""
    try:
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:  # as on a full disk
        raise InputError(f"cannot write into {folder}: {error.strerror or error}") from None


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
