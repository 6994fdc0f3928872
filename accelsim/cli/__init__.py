"""The command line: every reading command has --json, errors are one line, exit codes 0, 1 (verdict) and 2 (input)."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import NoReturn

from accelsim.cli._common import app
from accelsim.errors import InputError, reason

# A command is known once its module is imported, and the help lists them in this order.
# isort: off
from accelsim.cli import _rules, _prediction, _comparison, _simulation, _experiments  # noqa: F401

# isort: on

_INTERRUPTED = 130
_LONGEST = 1000  # characters of a message, which may name a path or an expression of any length


def main() -> None:
    """Entry point: run a command; what goes wrong by the user's hand is one line and exit code 2."""
    _settle_streams()
    try:
        code = app(prog_name="accelsim", standalone_mode=False)
        sys.stdout.flush()
        if code == _INTERRUPTED:  # as the option parser answers Ctrl-C
            _fail("interrupted", _INTERRUPTED)
    except InputError as error:
        _fail(str(error))
    except MemoryError as error:
        _fail(f"this needs more memory than there is ({error}): take a smaller --dim, --batch or number of --seeds")
    except OverflowError as error:
        _fail(f"a number on the way leaves the range of float64 ({error}): take other hyperparameters")
    except RecursionError:
        _fail("this is too long or too deeply nested to be read: take a shorter rule or expression")
    except KeyboardInterrupt:
        _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:  # who reads has seen enough
        _close_stdout()
        sys.exit(1)
    except OSError as error:
        if error.errno is None:
            _fail(str(error))
        if error.filename is None:  # a stream, and at its end Python would try again
            _close_stdout()
        _fail(f"{error.filename or 'cannot print'}: {error.strerror or error}")
    except Exception as error:
        # The option parser's own exceptions know how to say what was wrong.
        if type(error).__name__ == "NoArgsIsHelpError":  # whose message is the help, as it is to be printed
            print(error.format_message(), file=sys.stderr)  # type: ignore[attr-defined]
            sys.exit(2)
        if hasattr(error, "format_message"):
            _fail(error.format_message())
        _fail(f"internal error, please report it: {reason(error)}", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _settle_streams() -> None:
    """Have streams that take every letter, whatever the locale, and that are there."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, for as long as the process lives
    if sys.stdout is None:
        _fail("there is nowhere to print, as stdout is closed")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _close_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int = 2) -> NoReturn:
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST // 2]} ... {message[-_LONGEST // 2 :]}"
    with suppress(OSError):  # where there is nobody to tell
        print("accelsim:", " ".join(message.split()), file=sys.stderr)
    sys.exit(code)
