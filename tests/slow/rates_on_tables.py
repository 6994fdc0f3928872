"""Rates on random tables under every BLAS kernel that this processor can play, against sixty digits.

Near critical damping, near the edge, with tiny steps and huge batches; the references and the cases are those of
`reference.tables`, which know nothing of the engine.
"""

import json
import math
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
from machines import KERNELS, run  # noqa: E402
from reference import tables  # noqa: E402

SEED, COUNT = 11, 250
ASKED = """
import json, sys, warnings
warnings.simplefilter("ignore")
from accelsim import rate
from accelsim.optimizers import find
from accelsim.problems import make
folder, found = sys.argv[1], []
for number, case in enumerate(json.load(open(f"{folder}/cases.json"))):
    problem = make("dataset", data=f"{folder}/{number}.npy", target=case["target"], batch=case["batch"])
    try:
        found.append(vars(rate(find(case["rule"]), problem, **case["hyperparameters"])))
    except Exception as error:
        found.append(dict(error=f"{type(error).__name__}: {error}"))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A folder with the tables and the questions, and rho - 1 of each."""
    folder = tmp_path_factory.mktemp("tables")
    cases = tables.cases(SEED, COUNT)
    truths = []
    for number, case in enumerate(cases):
        table = case.pop("table")
        np.save(folder / f"{number}.npy", np.array(table))
        case["target"] = len(table[0]) - 1
        truths.append(tables.gap(table, case["rule"], case["hyperparameters"], case["batch"]))
    (folder / "cases.json").write_text(json.dumps(cases))
    return folder, cases, truths


def fault(answer, truth):
    """What is wrong with an answer; None where nothing is.

    Right is rho - 1 within 1e-6 of itself (1e-9 where it is below 1e-6), in bounds that are a thousandth of it apart at
    most (1e-6 where that is less), and the verdict on stability (none where rho - 1 is below 1e-6 will do).
    """
    if "error" in answer:
        return answer["error"]
    gap, low, high = -answer["one_minus_rho"], -answer["one_minus_rho_high"], -answer["one_minus_rho_low"]
    allowed = 1e-9 if abs(truth) < 1e-6 else 1e-6 * abs(truth)
    if not abs(gap - truth) <= allowed:
        return f"rho - 1 is {gap}"
    slack = 2.0**-52
    if not low - slack <= truth <= high + slack or not high - low <= max(1e-6, 1e-3 * abs(truth)):
        return f"rho - 1 between {low} and {high}"
    if answer["stable"] not in ((truth < 0, None) if abs(truth) < 1e-6 else (truth < 0,)):
        return f"stable: {answer['stable']}"
    return None


@pytest.mark.parametrize("kernel", KERNELS)
def test_rates_are_right_on_every_kernel(asked, kernel):
    folder, cases, truths = asked
    command = (sys.executable, "-c", ASKED, str(folder))
    answers = json.loads(run({"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": "1"}, *command))
    faults = {number: fault(*both) for number, both in enumerate(zip(answers, truths, strict=True))}
    wrong = [f"{cases[n]}: {why}, right is {mpmath.nstr(truths[n], 12)}" for n, why in faults.items() if why]
    assert not wrong, "\n".join(wrong)
    decided = [answer["stable"] for answer in answers]
    assert min(decided.count(True), decided.count(False)) > COUNT / 20


def test_a_spoilt_answer_is_seen():
    right = dict(one_minus_rho=0.1, one_minus_rho_low=0.1 - 1e-8, one_minus_rho_high=0.1 + 1e-8, stable=True)
    assert fault(right, -0.1) is None
    for spoilt in (
        dict(one_minus_rho=0.1001),
        dict(stable=False),
        dict(stable=None),
        dict(one_minus_rho_low=0.1 + 1e-9),
        dict(one_minus_rho_high=1.0),
        dict(one_minus_rho=math.nan),
    ):
        assert fault({**right, **spoilt}, -0.1)
