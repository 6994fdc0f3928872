"""The command line, also as ``python -m accelsim``."""

import sys


def main() -> None:
    """Entry point; Ctrl-C while the commands are loaded is one line too."""
    try:
        from accelsim import cli
    except KeyboardInterrupt:
        print("accelsim: interrupted", file=sys.stderr)
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
