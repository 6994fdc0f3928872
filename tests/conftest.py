"""What the tests share."""

import os
import signal
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # tests look inside too, and pytest's workers share the cores
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job: tests interrupt runs
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def seed_of(name: str) -> int:
    """The seed of a stochastic case, derived from its name: cases do not share one fluctuation."""
    return zlib.crc32(name.encode())


@pytest.fixture
def accelsim(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command line; returns (exit code, stdout, stderr)."""
    from accelsim import cli

    def run(*arguments: Any) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["accelsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code, printed.out, printed.err

    return run
