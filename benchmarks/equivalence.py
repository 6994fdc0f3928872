"""How long it takes to decide whether one shipped rule is another one: every ordered pair, one process a core.

    python benchmarks/equivalence.py [processes]

Writes benchmarks/results/equivalence.json: median and worst seconds of computing, verdicts, the slowest pairs, and the
machine.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections import Counter
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from time import process_time

from accelsim.optimizers import shipped
from accelsim.symbolic.find.finder import BUDGET, equivalent

OUT = Path(__file__).parent / "results" / "equivalence.json"
NAMED = ("ademamix_sgd", "simplified_ademamix_sgd")


def timed(pair: tuple[str, str]) -> tuple[str, str, str, float]:
    """The verdict on a pair, and the seconds of computing it took."""
    start = process_time()
    answer = equivalent(*(shipped()[name] for name in pair))
    return *pair, answer.status, process_time() - start


def main() -> None:
    """Decide all pairs."""
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count()
    with get_context("spawn").Pool(processes) as pool:
        found = pool.map(timed, list(product(shipped(), repeat=2)), chunksize=8)
    seconds = [row[3] for row in found]
    slowest = sorted(found, key=lambda row: -row[3])[:10]
    document = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "processes": processes,
            "python": platform.python_version(),
        },
        "budget": BUDGET,
        "pairs": len(found),
        "median": statistics.median(seconds),
        "worst": max(seconds),
        " -> ".join(NAMED): next(row[3] for row in found if row[:2] == NAMED),
        "verdicts": dict(Counter(row[2] for row in found)),
        "slowest": slowest,
        "undecided": [row[:2] for row in found if row[2] == "undecided"],
    }
    OUT.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
