"""Verification of certificates from anybody, in a process of their own with limits on time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelsim.errors import InputError, reason
from accelsim.symbolic.certify.verdict import Verified
from accelsim.symbolic.certify.verifier import verify_certificate

LARGEST = 20_000_000  # bytes of a file
SECONDS = 300.0
MEMORY = 8 << 30  # bytes


def verify_file(path: Path, rules: Iterable[str] = (), seconds: float = SECONDS) -> Verified:
    """Check a stored certificate, or the output of `equivalent --json`, in a process of its own.

    Parameters
    ----------
    rules : files whose rules are known by name.
    seconds : limit of the process; a certificate that takes longer does not count as checked.

    Raises
    ------
    InputError
        If the file holds no certificate, or names a rule that does not exist.
    """
    return Verified(**asked(__spec__.name, path, rules, seconds))


def asked(module: str, path: Path, rules: Iterable[str], seconds: float) -> dict[str, Any]:
    """Answer of a module, run in a process of its own, about a file (see `answer`).

    Raises
    ------
    InputError
        With the message of the process, where it refuses the file.
    """
    command = [sys.executable, "-P", "-m", module, str(path), *rules]  # without modules of this folder
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return {"holds": False, "reason": f"it could not be checked within {seconds:g} s"}
    try:
        found = json.loads(done.stdout.strip().rpartition("\n")[2])  # a file of rules may print, too
    except ValueError:
        said = done.stderr.strip().rpartition("\n")[2]
        raise InputError(f"the check of {path} ended with code {done.returncode}: {said}") from None
    if "error" in found:
        raise InputError(found["error"])
    return dict(found)


def read(path: Path) -> Any:
    """Document of the certificate in a file.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        if not path.is_file():
            raise InputError(f"cannot read a certificate from {path}: it is no file")
        if path.stat().st_size > LARGEST:
            raise InputError(f"cannot read a certificate from {path}: it has more than {LARGEST} bytes")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read a certificate from {path}: {error}") from None
    return document["certificate"] if isinstance(document, dict) and "certificate" in document else document


def answer(check: Callable[[Any], Mapping[str, Any]], path: str, *rules: str) -> None:
    """Print the result of a check of the certificate in a file, or the error, as JSON."""
    from accelsim import optimizers

    limit_memory()
    try:
        for file in rules:
            optimizers.add(file)
        print(json.dumps(check(read(Path(path)))))
    except InputError as error:
        print(json.dumps({"error": str(error)}))
    except (MemoryError, RecursionError) as error:
        print(json.dumps({"holds": False, "reason": f"it could not be checked: {reason(error)}"}))


def limit_memory(process: int = 0) -> None:
    """Limit the memory of a process, this one by default, where the system can."""
    with suppress(ImportError, AttributeError, ProcessLookupError):  # not on this system, or at its end
        import resource

        resource.prlimit(process, resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _verified(document: Any) -> dict[str, Any]:
    return asdict(verify_certificate(document))


if __name__ == "__main__":
    answer(_verified, *sys.argv[1:])
