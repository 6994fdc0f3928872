"""Progress of commands that may take long, on stderr."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PATIENCE = 2.0  # seconds without a word

Report = Callable[[float, str], None]


@contextmanager
def shown(what: str) -> Iterator[Report]:
    """A bar with the time taken, after two seconds, where stderr is a terminal.

    Yields
    ------
    Report
        Takes the fraction done and a remark; until it is called the bar only shows that work goes on.
    """
    if not sys.stderr.isatty():
        yield lambda fraction, remark: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[remark]}"), TimeElapsedColumn()
    bars = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bars.add_task(what, total=None, remark="")
    timer = threading.Timer(_PATIENCE, bars.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda fraction, remark: bars.update(task, total=1.0, completed=fraction, remark=remark)
    finally:
        timer.cancel()
        timer.join()
        bars.stop()
