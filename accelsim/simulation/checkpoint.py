"""A simulation's folder: checkpoints while it runs, its result once it is done, timings in a file of their own.

Files are written whole or not at all, so that a run killed at any moment goes on from its last checkpoint. Nothing of
the clock is in the result: it is the same bytes whether or not the run was interrupted.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import Field, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim import files, results
from accelsim.errors import InputError
from accelsim.rule import LOOKED_AT, Optimizer, program_hash
from accelsim.simulation.engine import Problem

EVERY = 30.0  # seconds between checkpoints
RESULT, CHECKPOINT, SESSIONS = "simulation.json", "checkpoint", "sessions.json"
FORMAT = "accelsim simulation 1"
_HEADER = "accelsim checkpoint 1"
_SESSIONS = "accelsim sessions 1"
_DIGEST = "sha256:"


@dataclass(frozen=True)
class Checkpoint:
    """State of a simulation on disk.

    Attributes
    ----------
    chunk : replicas at once.
    first : the first replica of the chunk that was running.
    t : steps that this chunk had taken.
    risks : (n, replicas) of this chunk at the recorded steps that it had passed.
    run, statistics : what their `save` gave, the latter of the chunks before.
    """

    chunk: int
    first: int
    t: int
    risks: NDArray[np.float64]
    run: Mapping[str, NDArray[Any]]
    statistics: Mapping[str, NDArray[Any]]


def settings_of(
    optimizer: Optimizer, problem: Problem, hyperparameters: Mapping[str, Any], steps: int, **others: Any
) -> dict[str, Any]:
    """Everything that a simulation's numbers depend on, in strings and numbers; what is long as a hash.

    A schedule is known by its text and by its values at the first steps.
    """
    values = optimizer.resolve(**hyperparameters)
    early = list(islice(optimizer.rows(**hyperparameters), min(steps, LOOKED_AT)))
    described: tuple[Field[Any], ...] = fields(problem) if is_dataclass(problem) else ()
    return {
        "optimizer": optimizer.name,
        "rule": _DIGEST + program_hash(optimizer, values),
        "hyperparameters": {name: str(value) for name, value in values.items()},
        "schedules": _digest(repr(early)),
        "problem": {"name": problem.name, "dim": problem.dim, "start": _digest(problem.start)}
        | {e.name.lstrip("_"): _shown(getattr(problem, e.name)) for e in described if e.name != "_given"},
        "steps": steps,
        **others,
    }


def _shown(value: Any) -> Any:
    """A setting as it can be told, or the hash of one that is long."""
    if value is None or isinstance(value, str | int | float):
        return value
    return os.fspath(value) if isinstance(value, os.PathLike) else _digest(value)


def _digest(value: Any) -> str:
    array = np.asarray(value)
    content = repr(value).encode() if array.dtype.hasobject else array.tobytes()
    return _DIGEST + hashlib.sha256(f"{array.dtype} {array.shape} ".encode() + content).hexdigest()


class Folder:
    """The folder of one simulation, see the module's docstring.

    Parameters
    ----------
    folder : one that is there, and this process's alone (`files.locked`).
    settings : of `settings_of`.
    resume : whether to go on with a simulation that is there.

    Attributes
    ----------
    done : the result's numbers, where the simulation had been finished.
    reached : where it was, where it had been interrupted.

    Raises
    ------
    InputError
        If the folder holds a simulation and `resume` is false, or one of other settings.
    """

    def __init__(self, folder: Path | str, settings: Mapping[str, Any], resume: bool) -> None:
        self._folder = Path(folder)
        self._settings = results.jsonable(settings)
        self._began = self._saved = time.perf_counter()
        self.done: dict[str, Any] | None = None
        self.reached: Checkpoint | None = None
        if resume:
            self._read()
        elif any((self._folder / name).exists() for name in (RESULT, CHECKPOINT)):
            what = "go on with it by --resume (resume=True), or name another folder"
            raise InputError(f"{folder} holds a simulation already: {what}")
        for name in (RESULT, CHECKPOINT, SESSIONS):
            for draft in self._folder.glob(f".{name}.*"):  # of a process killed while it wrote
                draft.unlink(missing_ok=True)
        self._sessions = self._earlier()
        self._session = {"host": platform.node(), "began": datetime.now(UTC).isoformat(timespec="seconds")}

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.perf_counter() - self._saved >= EVERY

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint by a later one.

        Raises
        ------
        InputError
            If it cannot be written; the earlier one is still there then.
        """
        arrays = {f"run.{name}": value for name, value in checkpoint.run.items()}
        arrays |= {f"statistics.{name}": value for name, value in checkpoint.statistics.items()}
        arrays |= {
            "settings": np.frombuffer(json.dumps(self._settings).encode(), dtype=np.uint8),
            "place": np.array([checkpoint.chunk, checkpoint.first, checkpoint.t]),
            "risks": checkpoint.risks,
        }
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **arrays)
        content = packed.getvalue()
        header = f"{_HEADER} {hashlib.sha256(content).hexdigest()}\n"
        results.write(self._folder / CHECKPOINT, header.encode() + content)
        self._log()
        self._saved = time.perf_counter()

    def finish(self, found: Mapping[str, Any]) -> None:
        """Store the result; checkpoints are no longer needed then."""
        document = {"settings": self._settings, **found, "versions": results.versions()}
        results.write_document(self._folder / RESULT, FORMAT, document)
        (self._folder / CHECKPOINT).unlink(missing_ok=True)
        self._log()

    def _read(self) -> None:
        path = self._folder / RESULT
        if path.exists():
            document = results.read_document(path, FORMAT)
            self._compare(document.pop("settings", {}))
            self.done = results.numbers(document)
            (self._folder / CHECKPOINT).unlink(missing_ok=True)
            return
        path = self._folder / CHECKPOINT
        if path.exists():
            arrays = _unpacked(path)
            self._compare(json.loads(arrays["settings"].tobytes()))
            chunk, first, t = map(int, arrays["place"])
            parts = [
                {name.removeprefix(part): value for name, value in arrays.items() if name.startswith(part)}
                for part in ("run.", "statistics.")
            ]
            self.reached = Checkpoint(chunk, first, t, arrays["risks"], *parts)

    def _compare(self, stored: Mapping[str, Any]) -> None:
        before, now = dict(_flat(stored)), dict(_flat(self._settings))
        changes = [
            f"{label} has changed"
            if str(now.get(label)).startswith(_DIGEST)
            else f"{label} was {before.get(label)}, now {now.get(label)}"
            for label in sorted(before.keys() | now.keys())
            if before.get(label) != now.get(label)
        ]
        if changes:
            what = "give the same settings, or name another folder"
            raise InputError(f"{self._folder} holds another simulation: {'; '.join(changes)}: {what}")

    def _earlier(self) -> list[Any]:
        """Earlier sessions; timings that cannot be read are no reason to lose a run."""
        with suppress(InputError, KeyError):
            return list(results.read_document(self._folder / SESSIONS, _SESSIONS)["sessions"])
        return []

    def _log(self) -> None:
        session = {**self._session, "seconds": round(time.perf_counter() - self._began, 3)}
        results.write_document(self._folder / SESSIONS, _SESSIONS, {"sessions": [*self._sessions, session]})


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name.removesuffix('s')} ")
        else:
            yield prefix + name, value


def _unpacked(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a checkpoint that is as it was written."""
    header, _, content = files.content(path).partition(b"\n")
    if header != f"{_HEADER} {hashlib.sha256(content).hexdigest()}".encode():
        raise InputError(f"{path} is damaged, or of another version: remove it to start from the beginning")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
