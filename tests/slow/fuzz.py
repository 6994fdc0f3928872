"""Random questions of many kinds against independent references: ``fuzz.py --seed N [--count N]``.

Each answer is right, refused (with a message), wide (it says itself that it is not known so well), or WRONG: confident
and wrong, printed as a line that asks it again. Questions depend on the seed and their place alone: ``--only K``.
The exit code is 1 where one is wrong. The package that is asked is the one that Python finds.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

from reference.answers import judge
from reference.questions import KINDS, question

import accelsim

VERDICTS = ("right", "wide", "refused", "skipped", "wrong")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--only", type=int, help="ask the question of this place alone")
    parser.add_argument("--kind", choices=KINDS, help="ask these alone")
    parser.add_argument("--setting", help="and of this setting alone, such as critical, edge, swelling")
    parser.add_argument("--folder", help="tables are left here")
    parser.add_argument("--show", default="wrong", help="print these verdicts, separated by commas")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    counts, refusals, began = Counter(), Counter(), time.perf_counter()
    print(f"seed {given.seed}, {accelsim.__file__}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.folder or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for place in range(given.count) if given.only is None else [given.only]:
            try:
                asked = question(given.seed, place, folder)
            except NotImplementedError:  # the way to a critical point has no reference
                counts["rate", "skipped"] += 1
                continue
            if given.kind not in (None, asked.kind) or given.setting not in (None, asked.setting):
                continue
            try:
                verdict, why = judge(asked)
            except Exception as error:  # an answer that is no answer and no refusal
                verdict = "wrong"
                where = traceback.extract_tb(error.__traceback__)[-1]
                why = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
            counts[asked.kind, verdict] += 1
            if verdict == "refused":
                refusals[f"{asked.kind}: {why[:110]}"] += 1
            if verdict in given.show.split(",") or given.only is not None:
                print(f"{verdict.upper()} {place} ({asked.setting}): {asked}\n    {why}", flush=True)
    for message, many in refusals.most_common(12):
        print(f"refused {many}: {message}")
    for kind in KINDS:
        parts = [f"{counts[kind, v]} {v}" for v in VERDICTS]
        print(f"{kind}: {', '.join(parts)}")
    total = {v: sum(n for (_, w), n in counts.items() if w == v) for v in VERDICTS}
    seconds = time.perf_counter() - began
    print(
        f"{total['right'] + total['wide'] + total['refused']} passed, {total['wrong']} failed (of the passed "
        f"{total['wide']} wide, {total['refused']} refused; {total['skipped']} without a reference; {seconds:.0f} s)"
    )
    sys.exit(total["wrong"] > 0)


if __name__ == "__main__":
    main()
