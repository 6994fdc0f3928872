"""Files are discovered, never listed: what a package or a user's file defines."""

from __future__ import annotations

import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from accelsim import files
from accelsim.errors import UserCode

T = TypeVar("T")


def modules(package: str) -> list[ModuleType]:
    """The modules of a package, imported, by name."""
    return [importlib.import_module(f"{package}.{name}") for name in names(package)]


def names(package: str) -> list[str]:
    """The names of the modules of a package, which is not imported, in order."""
    found = importlib.util.find_spec(package)
    places = found.submodule_search_locations if found else None
    return sorted(info.name for info in pkgutil.iter_modules(places or []) if not info.name.startswith("_"))


def load(path: str) -> ModuleType:
    """A user's own file as a module.

    Raises
    ------
    InputError
        If it cannot be read, or raises.
    """
    content, file = files.content(path, "Python file"), Path(path)
    module = ModuleType(f"accelsim_rules_{file.stem}")
    module.__file__ = str(file)
    with UserCode(path):
        exec(compile(content, str(file), "exec"), vars(module))  # an import would leave a cache beside it
    return module


def members(module: ModuleType, kind: type[T]) -> dict[str, T]:
    """The objects of a kind that a module holds, by their own name."""
    # by type: an object of a user's may raise when it is asked for its class
    return {str(value): value for value in vars(module).values() if issubclass(type(value), kind)}
