"""The command line: every reading command has --json, errors are one line, exit codes 0, 1 (verdict) and 2 (input)."""

from __future__ import annotations

import sys
from typing import NoReturn

from accelsim.cli._common import app
from accelsim.errors import InputError, reason

# A command is known once its module is imported, and the help lists them in this order.
# isort: off
from accelsim.cli import _rules, _prediction, _simulation, _experiments  # noqa: F401

# isort: on


def main() -> None:
    """Entry point: run a command; what goes wrong by the user's hand is one line and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except MemoryError as error:
        _fail(f"this needs more memory than there is ({error}): take a smaller --dim, --batch or number of --seeds")
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except Exception as error:
        # The option parser's own exceptions know how to say what was wrong.
        if not hasattr(error, "format_message"):
            _fail(f"internal error, please report it: {reason(error)}", 1)
        _fail(error.format_message())
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int = 2) -> NoReturn:
    print(f"accelsim: {message}", file=sys.stderr)
    sys.exit(code)
