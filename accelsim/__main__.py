"""The command line, also as ``python -m accelsim``."""

import signal
import sys


def main() -> None:
    """Entry point; Ctrl-C while the commands are loaded is one line too."""
    try:
        from accelsim import cli, machine
    except KeyboardInterrupt:
        print("accelsim: interrupted", file=sys.stderr)
        sys.exit(130)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, machine.interrupt)
    cli.main()


if __name__ == "__main__":
    main()
