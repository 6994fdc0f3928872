"""Verification of a certificate from anybody, in a process of its own that is ended when its time is over."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from accelsim.errors import InputError, reason
from accelsim.symbolic.certify.verifier import Verified, verify_certificate

LARGEST = 20_000_000  # bytes of a file
SECONDS = 300.0
MEMORY = 8 << 30  # bytes


def verify_file(path: Path, rules: Iterable[str] = (), seconds: float = SECONDS) -> Verified:
    """Check a stored certificate, or what `equivalent --json` printed.

    Parameters
    ----------
    rules : files whose rules are known by name.

    Raises
    ------
    InputError
        If the file holds no certificate, or names a rule that does not exist.
    """
    command = [sys.executable, "-P", "-m", __spec__.name, str(path), *rules]  # without modules of this folder
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return Verified(False, f"it could not be checked within {seconds:g} s")
    try:
        answer = json.loads(done.stdout.strip().rpartition("\n")[2])  # a file of rules may print, too
    except ValueError:
        said = done.stderr.strip().rpartition("\n")[2]
        raise InputError(f"the check of {path} ended with code {done.returncode}: {said}") from None
    if "error" in answer:
        raise InputError(answer["error"])
    return Verified(**answer)


def read(path: Path) -> Any:
    """The certificate in a file.

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
        document = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read a certificate from {path}: {error}") from None
    return document["certificate"] if isinstance(document, dict) and "certificate" in document else document


def main(path: str, *rules: str) -> None:
    """Print the verdict on a certificate in a file as JSON, or why there is none."""
    from accelsim import optimizers

    _limit_memory()
    try:
        for file in rules:
            optimizers.add(file)
        found = verify_certificate(read(Path(path)))
        print(json.dumps({"holds": found.holds, "reason": found.reason}))
    except InputError as error:
        print(json.dumps({"error": str(error)}))
    except (MemoryError, RecursionError) as error:
        print(json.dumps({"holds": False, "reason": f"it could not be checked: {reason(error)}"}))


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on this system
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
