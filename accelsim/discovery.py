"""Files are discovered, never listed: what a package or a user's file defines."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from accelsim.errors import InputError

T = TypeVar("T")


def modules(package: str) -> list[ModuleType]:
    """The modules of a package, imported, by name."""
    found = importlib.import_module(package)
    names = sorted(info.name for info in pkgutil.iter_modules(found.__path__) if not info.name.startswith("_"))
    return [importlib.import_module(f"{package}.{name}") for name in names]


def load(path: str) -> ModuleType:
    """A user's own file as a module.

    Raises
    ------
    InputError
        If there is no such file, or if it raises.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"no Python file at {path}")
    module = ModuleType(f"accelsim_rules_{file.stem}")
    module.__file__ = str(file)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout may be the one JSON document
            exec(compile(file.read_bytes(), str(file), "exec"), vars(module))  # an import would leave a cache beside it
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (Exception, SystemExit) as error:
        raise InputError(f"{path} raised {type(error).__name__}: {error}") from None
    return module


def members(module: ModuleType, kind: type[T]) -> dict[str, T]:
    """The objects of a kind that a module holds, by their own name."""
    return {str(value): value for value in vars(module).values() if isinstance(value, kind)}
