"""How long it takes to decide whether one shipped rule is another one: every ordered pair, one process a core.

    python benchmarks/equivalence.py [--processes N] [--before FILE]

Writes benchmarks/results/equivalence.json: every pair with its verdict and its seconds of computing, median and worst,
and the machine. With the results of an earlier run, also the ratio of its seconds to these, and the verdicts that are
not what they were.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections import Counter
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any

from accelsim.optimizers import shipped
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.find.outcome import BUDGET

OUT = Path(__file__).parent / "results" / "equivalence.json"
SLOWEST = 10  # pairs that are listed for it


def timed(pair: tuple[str, str]) -> tuple[str, str, str, float]:
    """The verdict on a pair, and the seconds of computing it took."""
    start = process_time()
    answer = equivalent(*(shipped()[name] for name in pair))
    return *pair, answer.status, round(process_time() - start, 3)


def compared(before: list[Any], after: list[Any]) -> dict[str, Any]:
    """An earlier run beside this one, on the pairs that both have."""
    now = {(a, b): (verdict, seconds) for a, b, verdict, seconds in after}
    both = [(a, b, verdict, seconds, *now[a, b]) for a, b, verdict, seconds in before if (a, b) in now]
    times = {name: [row[place] for row in both] for name, place in (("before", 3), ("after", 5))}
    least = {name: {f.__name__: f(row) for f in (statistics.median, max, sum)} for name, row in times.items()}
    return {
        "before": least["before"],
        "ratio": {f: least["before"][f] / least["after"][f] for f in least["before"]},
        "other verdicts": [[a, b, old, new] for a, b, old, _, new, _ in both if old != new],
    }


def main() -> None:
    """Decide all pairs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--before", type=Path, help="the results of an earlier run")
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    before = json.loads(chosen.before.read_text())["pairs"] if chosen.before else None
    with get_context("spawn").Pool(chosen.processes) as pool:
        found = pool.map(timed, list(product(shipped(), repeat=2)), chunksize=8)
    seconds = [row[3] for row in found]
    document = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "processes": chosen.processes,
            "python": platform.python_version(),
        },
        "budget": BUDGET,
        "count": len(found),
        "median": statistics.median(seconds),
        "worst": max(seconds),
        "verdicts": dict(Counter(row[2] for row in found)),
        "slowest": sorted(found, key=lambda row: -row[3])[:SLOWEST],
        "undecided": [row[:2] for row in found if row[2] == "undecided"],
        **(compared(before, found) if before else {}),
        "pairs": found,
    }
    rows = ",\n    ".join(map(json.dumps, document.pop("pairs")))
    head = json.dumps(document, indent=2).removesuffix("\n}")
    chosen.out.write_text(f'{head},\n  "pairs": [\n    {rows}\n  ]\n}}\n')
    print(head)


if __name__ == "__main__":
    main()
