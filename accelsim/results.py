"""Results: what an experiment found, stored so that it explains itself and is the same bytes on a second run.

Nothing of the clock is stored. Infinity and NaN, which JSON has no numbers for, are stored as the strings "inf",
"-inf" and "nan", and these three strings are read back as numbers. A file is written beside its place under another
name and then renamed: it is there whole or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import metadata
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from accelsim import files
from accelsim.errors import InputError

FORMAT = "accelsim result 1"
PACKAGES = ("accelsim", "numpy", "scipy", "sympy")
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def plain(value: Any) -> Any:
    """A value in lists, dictionaries, strings, booleans, None and Python numbers: arrays and tuples become lists.

    Paths become strings, fractions numbers.

    Raises
    ------
    TypeError
        For anything else, and for keys that are no strings.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"keys must be strings, not {list(value)}")
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if hasattr(value, "tolist"):  # arrays, and scalars of NumPy
        return plain(value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"{type(value).__name__} cannot be stored: {value!r}")


def jsonable(value: Any) -> Any:
    """A value as JSON can hold it: `plain`, and numbers that are not finite as strings."""
    return _spelled(plain(value))


def _spelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _spelled(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_spelled(part) for part in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def numbers(value: Any) -> Any:
    """Inverse of `jsonable` on numbers, arrays and collections of them: strings for numbers are read back."""
    if isinstance(value, dict):
        return {key: numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [numbers(part) for part in value]
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Result:
    """Result of an experiment. Arrays and tuples are held as lists, as they are when it is read back.

    Attributes
    ----------
    name : the experiment.
    claim : the sentence that was tested.
    assumptions : under which it was tested.
    config : everything that the numbers depend on, the seed included.
    measured, predicted, published : numbers by label; `published` holds those printed by others.
    relation : the comparison that was made, in words.
    holds : whether the claim holds; None where the experiment failed.
    expected : whether our evidence says it should.
    series : arrays for the figure, by name.
    versions : of Python and the packages used.
    error : why the experiment failed, in one line; None where it did not, which is not stored.
    """

    name: str
    claim: str
    assumptions: list[str]
    config: dict[str, Any]
    measured: dict[str, Any]
    predicted: dict[str, Any]
    relation: str
    holds: bool | None
    expected: bool
    published: dict[str, Any] = field(default_factory=dict)
    series: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)
    error: str | None = None

    def __post_init__(self) -> None:
        for entry in fields(self):
            object.__setattr__(self, entry.name, plain(getattr(self, entry.name)))

    @property
    def as_expected(self) -> bool:
        """Whether it ran, and its verdict is the expected one."""
        return self.error is None and self.holds == self.expected


_KINDS: dict[str, Any] = {
    "name": str,
    "claim": str,
    "relation": str,
    "holds": bool | None,
    "expected": bool,
    "assumptions": list,
    "error": str,
}


def write(path: Path | str, data: bytes) -> None:
    """Write a file whole or not at all; its folder must exist.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with open(draft, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error) from None


def prepare(folder: Path | str) -> Path:
    """Make a folder where there is none, and make sure that files can be written in it.

    Raises
    ------
    InputError
        If they cannot.
    """
    folder = Path(folder)
    trial = folder / f".trial.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def _unwritable(path: Path, error: OSError) -> InputError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "make room; what was saved before is kept" if full else "name a folder that can be written"
    return InputError(f"cannot write {path}: {error.strerror or error}; {hint}")


def write_document(path: Path | str, form: str, document: Mapping[str, Any]) -> None:
    """Write a document of some format as JSON, whole or not at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    content = jsonable(document)
    whole = {"format": form, "checksum": _checksum(content), **content}
    write(path, (json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode())


def _checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of a document, however it is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_document(path: Path | str, form: str) -> dict[str, Any]:
    """A document that `write_document` wrote, numbers that are not finite as strings.

    Raises
    ------
    InputError
        If the file cannot be read, is of another format, or is not as it was written.
    """
    try:
        document = json.loads(files.content(path))
    except InputError:
        raise
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not a stored result: it is not JSON, or was cut short") from None
    if not isinstance(document, dict) or document.pop("format", None) != form:
        raise InputError(f"{path} is not a stored result: its format must be {form!r}")
    if document.pop("checksum", None) != _checksum(document):
        raise InputError(f"{path} is not as it was stored, its checksum is another: remove it and run again")
    return document


def save(result: Result, folder: Path | str) -> Path:
    """Store a result as ``<name>.json`` in a folder, which is made where there is none; returns the path.

    Raises
    ------
    InputError
        If the folder or the file cannot be written.
    """
    path = prepare(folder) / f"{result.name}.json"
    document = asdict(result)
    if result.error is None:
        del document["error"]
    write_document(path, FORMAT, document)
    return path


def load(path: Path | str) -> Result:
    """A stored result.

    Raises
    ------
    InputError
        If the file cannot be read, or is not a stored result.
    """
    document = read_document(path, FORMAT)
    wrong = (set(document) | {"error"}) ^ {entry.name for entry in fields(Result)}
    wrong |= {name for name in set(document) - wrong if not isinstance(document[name], _KINDS.get(name, dict))}
    if not wrong and (document["holds"] is None) != ("error" in document):
        wrong = {"holds"}
    if not wrong and document["name"] != Path(path).stem:  # what is drawn of it would be written elsewhere
        wrong = {"name"}
    if wrong:
        raise InputError(f"{path} is not a stored result: wrong or missing {', '.join(sorted(wrong))}")
    return Result(**{name: value if name in _KINDS else numbers(value) for name, value in document.items()})
