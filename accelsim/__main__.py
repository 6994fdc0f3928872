"""``python -m accelsim`` is the command line."""

from accelsim.cli import main

if __name__ == "__main__":
    main()
