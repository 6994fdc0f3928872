"""The command line as a user meets it: documents on stdout, one clear line and exit code 2 for bad input."""

import gzip
import io
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from accelsim import problems
from accelsim.errors import InputError, UserCode
from accelsim.schedules import Recurrence, rows

REGRESSION = ("--problem", "linear_regression", "--dim", "4")
SGD = ("--set", "lr=0.1")


@pytest.fixture
def document(accelsim):
    """Run a command line with --json and read its one document."""

    def run(*arguments):
        code, out, err = accelsim(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


def test_list_knows_what_the_folders_hold(document):
    found = document("list")
    assert {"schedule_free", "lion", "mars_exact_sgd"} <= set(found["optimizers"])
    assert set(found["problems"]) == set(problems.known())
    assert "schedule_free" in found["derivations"]
    assert "moments_match_simulation" in found["experiments"]


@pytest.mark.parametrize("optimizer", ["schedule_free", "adamw", "mars_exact_sgd", "tail_average(sgd)"])
def test_show_says_everything_of_any_rule(document, optimizer):
    found = document("show", optimizer)
    assert "yield" in found["rule"]
    assert found["linear"] == (optimizer != "adamw")
    assert found["latex"]["rule"]
    assert found["bibtex"].startswith("@")


@pytest.mark.parametrize(("language", "begins"), [("numba", "def kernel("), ("cuda", "__global__ void kernel(")])
def test_show_prints_the_kernel_of_any_rule_on_any_problem(accelsim, document, language, begins):
    quiet = document("show", "accelerated_sgd", "--kernel", language)["source"]
    noisy = document("show", "accelerated_sgd", "--kernel", language, *REGRESSION, "--batch", 3)["source"]
    for source, problem in ((quiet, "quadratic"), (noisy, "linear_regression")):
        assert f"A step of accelerated_sgd on {problem}." in source
        assert begins in source
        assert "rows: 0 w, 1 m" in source
        assert "eta, " in source.partition("columns: ")[2].partition("\n")[0]
    assert noisy.count("chi_square") > quiet.count("chi_square")
    _, printed, _ = accelsim("show", "accelerated_sgd", "--kernel", language)
    assert printed == quiet
    code, _, err = accelsim("show", "sgd", "--kernel", "fortran")
    assert (code, "is not one of 'numba', 'cuda'" in err) == (2, True)
    code, _, err = accelsim("show", "sgd", "--kernel", "numba", "--latex")
    assert (code, "give one of them" in err) == (2, True)


def test_canonical_is_found_with_values_set(document):
    found = document("canonical", "nesterov", "--set", "lr=0.5", "--set", "beta=0.9")
    assert (found["memory"], found["beta"], found["eta"], found["alpha"]) == (1, "9/10", "9/20", "1/2")


def test_verify_of_one_derivation(document):
    (found,) = document("verify", "nesterov")
    assert (found["status"], found["expected"], found["near_miss"]) == ("proved", "proved", "refuted")
    assert found["assumptions"]


def test_a_certificate_is_checked_from_its_file(accelsim, document, tmp_path):
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(document("equivalent", "qhm", "accelerated_sgd")))
    assert document("verify", "--certificate", path)["holds"] is True
    path.write_text(path.read_text().replace('"lr*(1 - nu)"', '"lr*(1 + nu)"'))
    code, out, _ = accelsim("verify", "--certificate", path)
    assert (code, "holds: False" in out) == (1, True)
    path.write_text("no document")
    code, _, err = accelsim("verify", "--certificate", path)
    assert (code, "cannot read a certificate" in err) == (2, True)


@pytest.mark.parametrize(
    ("a", "b", "set_a", "set_b", "same"),
    [
        ("schedule_free", "accelerated_sgd", ["warmup_steps=10"], [], True),
        ("sgd", "sgd", ["lr=1/3/(t+1)"], ["lr=1/(3*t+3)"], True),
        ("sgd", "sgd", ["lr=1/3/(t+1)"], ["lr=0.3333/(t+1)"], False),
        ("heavy_ball", "heavy_ball", ["lr=0.1*cosine(t,100)"], ["lr=0.05*(1+cos(pi*min(1,t/100)))"], True),
        ("heavy_ball", "heavy_ball", ["lr=0.1*cosine(t,100)"], ["lr=0.05*(1+cos(pi*t/100))"], False),  # after 100 steps
        ("sgd", "sgd", ["lr=minimum(30,t+1)"], ["lr=t+1"], False),
        ("sgd", "sgd", ["lr=exp(-t/10)"], ["lr=exp(-t/9)"], False),
        ("sgd", "sgd", ["lr=2**0.5/sqrt(t+1)"], ["lr=sqrt(2/(t+1))"], True),
    ],
)
def test_schedules_of_any_kind_are_compared_and_certified(accelsim, document, tmp_path, a, b, set_a, set_b, same):
    options = [*(x for text in set_a for x in ("--set-a", text)), *(x for text in set_b for x in ("--set-b", text))]
    found = document("equivalent", a, b, *options)
    assert found["equivalent"] is same, found["reason"]
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(found))
    assert document("verify", "--certificate", path)["holds"] is True


def test_a_fault_of_our_own_is_one_line(accelsim, monkeypatch):
    from accelsim.symbolic.find import finder

    def broken(*_, **__):
        raise RuntimeError("what nobody\nexpected")

    monkeypatch.setattr(finder, "equivalent", broken)
    code, out, err = accelsim("equivalent", "sgd", "sgd")
    assert (code, out) == (1, "")
    assert err == "accelsim: internal error, please report it: RuntimeError: what nobody expected\n"


def test_a_rate_beyond_floats_is_unstable_with_its_edge(document):
    found = document("rate", "sgd", *REGRESSION, "--set", "lr=1e300")
    small = document("rate", "sgd", *REGRESSION, *SGD)
    assert (found["stable"], small["stable"]) == (False, True)
    assert found["edge"]["lr"] == pytest.approx(small["edge"]["lr"], rel=1e-9)


def test_rate_of_sgd_without_noise_is_the_textbook_one(document):
    found = document("rate", "sgd", "--problem", "quadratic", "--spectrum", "geometric:1e3", "--set", "lr=1")
    assert found["rho"] == pytest.approx((1 - 1e-3) ** 2, rel=1e-12)
    assert found["tau"] == pytest.approx(-1 / (2 * np.log1p(-1e-3)), rel=1e-9)
    assert found["stable"] is True


def test_unstable_rates_name_the_edge(document):
    quadratic = ("--problem", "quadratic", "--spectrum", "geometric:10", "--grad-noise", 1)
    found = document("rate", "sgd", *quadratic, "--set", "lr=3")
    assert (found["stable"], found["tau"], found["floor"]) == (False, "inf", None)
    assert found["edge"] == {"lr": pytest.approx(2)}
    assert document("rate", "sgd", *quadratic, *SGD)["floor"] > 0
    ball = ("rate", "heavy_ball", *quadratic, "--set", "lr=3", "--set", "beta=0.2", "--edge", "beta")
    assert document(*ball)["edge"] == {"beta": pytest.approx(0.5)}


def test_rates_are_drawn_over_two_hyperparameters(accelsim, document, tmp_path):
    command = ("rate", "heavy_ball", *REGRESSION, *SGD, "--set", "beta=0.5", "--map", "lr=0.01:10")
    found = document(*command, "--map", "beta=0:0.99", "--out", tmp_path / "map.svg")
    assert (tmp_path / "map.svg").read_text().count("<image") >= 1
    assert found["drawn"] == str(tmp_path / "map.svg")
    for wrong in ((), ("--map", "beta=0.5"), ("--map", "beta=0.5:1"), ("--map", "beta=0.9:0.5")):
        code, _, err = accelsim(*command, *wrong, "--out", tmp_path / "map.svg")
        assert (code, "--map" in err or "[0, 1)" in err) == (2, True)


@pytest.mark.parametrize("sampler", [(), ("--direct",)], ids=["of the law", "direct"])
def test_simulated_risk_agrees_with_the_exact_one(document, sampler):
    arguments = ("simulate", "schedule_free", *REGRESSION, "--batch", 8, "--steps", 20, "--seeds", 2000, *sampler)
    found = document(*arguments, "--set", "lr=0.3", "--exact")
    assert np.abs(found["z"]).max() < 5
    assert found["diverged"] == [0] * len(found["steps"])


def test_a_billion_steps_are_leapt_and_say_so(document):
    found = document("risk", "sgd", *REGRESSION, *SGD, "--steps", "1e9", "--label-noise", 1)
    assert (found["way"], found["steps"][-1]) == ("leaps", 10**9)
    assert found["risk"][-1] == pytest.approx(found["variance"][-1])
    assert all(0 < error < 1e-9 * risk for error, risk in zip(found["error"], found["risk"], strict=True))
    short = document("risk", "sgd", *REGRESSION, *SGD, "--steps", "1e2", "--label-noise", 1)
    assert short["way"] == "step by step"
    assert all(0 < error < 1e-12 * risk for error, risk in zip(short["error"], short["risk"], strict=True))


def test_risk_is_of_the_point_asked_for_and_split_by_direction(document, accelsim):
    case = ("risk", "tail_average(sgd)", *REGRESSION, *SGD, "--steps", 50, "--label-noise", 1)
    returned, query = document(*case), document(*case, "--of", "query")
    plain = document("risk", "sgd", *case[2:])
    assert query["risk"] == plain["risk"] != returned["risk"]
    assert any("returned iterate" in text for text in returned["assumptions"])
    assert any("query point" in text for text in query["assumptions"])
    split = document(*case, "--split")
    assert sum(split["bias"] + split["variance"]) == pytest.approx(returned["risk"][-1])
    assert len(split["eigenvalue"]) == 4
    assert accelsim(*case, "--split")[1].split()[:3] == ["eigenvalue", "bias", "variance"]


def test_the_right_options_reach_the_problem(document):
    small = document("risk", "sgd", *REGRESSION, *SGD, "--steps", 5, "--label-noise", 1)
    large = document("risk", "sgd", *REGRESSION, *SGD, "--steps", 5, "--label-noise", 1, "--batch", 10)
    assert small["variance"][-1] > 2 * large["variance"][-1] > 0
    assert small["risk"] == pytest.approx(np.add(small["bias"], small["variance"]))


def test_a_rule_of_the_users_own_works_in_every_command(tmp_path, document):
    rules = tmp_path / "mine.py"
    rules.write_text(
        "from accelsim import optimizer\n"
        "@optimizer(positions='w', memories='m', returns='w')\n"
        "def mine(s, t, h):\n"
        "    g = yield s.w\n"
        "    m = h.beta * s.m + g\n"
        "    return dict(w=s.w - h.lr * (g + 2 * m), m=m)\n"
    )
    mine = ("mine", "--rules", rules)
    values = ("--set", "lr=0.01", "--set", "beta=0.5")
    assert "mine" in document("list", "--rules", rules)["optimizers"]
    assert document("show", *mine)["linear"] is True
    assert document("canonical", *mine)["eta"] == "2*lr"
    assert document("rate", *mine, *REGRESSION, *values)["stable"] is True
    assert document("risk", *mine, *REGRESSION, *values, "--steps", 3)["risk"]
    assert document("simulate", *mine, *REGRESSION, *values, "--steps", 3, "--seeds", 2)["risk"]


def test_text_output_reads_as_a_table(accelsim):
    code, out, err = accelsim("risk", "sgd", *REGRESSION, *SGD, "--steps", 3)
    assert (code, err) == (0, "")
    assert out.split()[:4] == ["steps", "risk", "bias", "variance"]


RECURRENCES = """
from accelsim import optimizer, recurrence, weight

@recurrence()
def key(memory, t, h):
    return {}["key"], {}

@recurrence()
def one(memory, t, h):
    return 1

def rule(s, t, h):
    g = yield s.w
    return dict(w=s.w - 0.1 * h.c * g)

for name, c in (("raising", key), ("single", one)):
    rule.__name__ = name
    globals()[name] = optimizer(positions="w", returns="w", c=weight(c))(rule)
"""


@pytest.fixture
def files(tmp_path):
    """Bad input files by name."""
    texts = {
        "empty.csv": "",
        "ragged.csv": "a,y\n1,2\n3\n",
        "words.csv": "a,y\n1,2\nx,3\n",
        "missing.csv": "a,y\n1,2\n,3\n",
        "constant.csv": "a,y\n1,2\n1,3\n",
        "good.csv": "a,b,y\n1,1,2\n2,1,3\n4,1,7\n",
        "raises.py": "1/0\n",
        "recurrences.py": RECURRENCES,
        "prints.py": "from accelsim import optimizer\nprint('a file prints')\n@optimizer(positions='w', returns='w')\n"
        "def mine(s, t, h):\n    g = yield s.w\n    print('a rule prints')\n    return dict(w=s.w - 0.1 * g)\n",
        "exits.py": "import sys\nsys.exit(3)\n",
        "huge.csv": "a,y\n1e308,2\n-1e308,1\n1e-320,7\n",
        "branches.py": "from accelsim import optimizer\n@optimizer(positions='w', returns='w')\n"
        "def mine(s, t, h):\n    g = yield s.w\n    return dict(w=s.w if t > 3 else s.w - g)\n",
        "square.py": "from accelsim import optimizer\n@optimizer(positions='w', returns='w')\n"
        "def mine(s, t, h):\n    g = yield s.w\n    return dict(w=s.w - g * g)\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    np.save(tmp_path / "negative.npy", [1.0, -1.0])
    (tmp_path / "torn.csv.gz").write_bytes(gzip.compress(b"a,y\n1,2\n")[:10] + b"no deflated bytes")
    header = b"{'descr': '<f8',\n   'shape': (3,), }\n  x"
    (tmp_path / "header.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


BAD = {
    "part of a step": ("risk sgd --problem quadratic --steps 1.5 --set lr=.1", "whole number of at least 0, not 1.5"),
    "no number of steps": ("risk sgd --problem quadratic --steps many --set lr=.1", "'many' is not a number"),
    "no such point": ("risk sgd --problem quadratic --steps 3 --set lr=.1 --of mean", "returned or query, not"),
    "more than memory": ("risk sgd --problem quadratic --steps 3 --set lr=.1 --dim 1000000000000", "8e+04 GB"),
    "more than a day": ("risk sgd --problem quadratic --dim 1000 --steps 1e15 --set lr=1/(t+1)", "days"),
    "no such rule": ("risk sgdd --problem quadratic --steps 3", "did you mean 'sgd'"),
    "no such problem": ("risk sgd --problem quadratik --steps 3 --set lr=.1", "did you mean 'quadratic'"),
    "no such hyperparameter": ("risk sgd --problem quadratic --steps 3 --set lrr=.1", "did you mean 'lr'"),
    "no value": ("risk sgd --problem quadratic --steps 3", "needs lr"),
    "negative step size": ("risk sgd --problem quadratic --steps 3 --set lr=-1", "lr = -1"),
    "beta of 1": ("rate heavy_ball --problem quadratic --set lr=.1 --set beta=1", "[0, 1)"),
    "beta above 1 at step 4": ("risk heavy_ball --problem quadratic --steps 9 --set lr=.1 --set beta=t/4", "step 4"),
    "nan": ("risk sgd --problem quadratic --steps 3 --set lr=nan", "finite"),
    "overflow": ("risk sgd --problem quadratic --steps 3 --set lr=1e999", "1e999"),
    "not an expression": ("risk sgd --problem quadratic --steps 3 --set lr=(1", "(1"),
    "not a pair": ("risk sgd --problem quadratic --steps 3 --set lr", "name=value"),
    "negative eigenvalue": ("rate sgd --problem quadratic --spectrum file:{}/negative.npy --set lr=.1", "positive"),
    "torn table": ("rate sgd --problem dataset --data {}/torn.csv.gz --target y --set lr=.1", "cannot unpack"),
    "torn numbers": (
        "rate sgd --problem quadratic --spectrum file:{}/header.npy --set lr=.1",
        "a .npy file of numbers",
    ),
    "torn table of numbers": ("rate sgd --problem dataset --data {}/header.npy --target 0 --set lr=.1", "a .npy file"),
    "empty table": ("risk sgd --problem dataset --data {}/empty.csv --target y --steps 3 --set lr=.1", "empty"),
    "ragged table": ("risk sgd --problem dataset --data {}/ragged.csv --target y --steps 3 --set lr=.1", "ragged.csv"),
    "words in a table": ("risk sgd --problem dataset --data {}/words.csv --target y --steps 3 --set lr=.1", "x"),
    "missing value": ("risk sgd --problem dataset --data {}/missing.csv --target y --steps 3 --set lr=.1", "missing"),
    "no target": ("risk sgd --problem dataset --data {}/good.csv --target z --steps 3 --set lr=.1", "z"),
    "constant table": ("risk sgd --problem dataset --data {}/constant.csv --target y --steps 3 --set lr=.1", "varies"),
    "no such table": ("risk sgd --problem dataset --data {}/none.csv --target y --steps 3 --set lr=.1", "none.csv"),
    "batch of 0": ("risk sgd --problem quadratic --batch 0 --steps 3 --set lr=.1", "batch"),
    "dimension of 0": ("risk sgd --problem quadratic --dim 0 --steps 3 --set lr=.1", "dimension"),
    "negative steps": ("risk sgd --problem quadratic --steps -3 --set lr=.1", "steps"),
    "no replicas": ("simulate sgd --problem quadratic --steps 3 --seeds 0 --set lr=.1", "seeds"),
    "foreign option": ("risk sgd --problem quadratic --label-noise 1 --steps 3 --set lr=.1", "label_noise"),
    "file that raises": ("risk mine --rules {}/raises.py --problem quadratic --steps 3", "ZeroDivisionError"),
    "file that branches": ("risk mine --rules {}/branches.py --problem quadratic --steps 3", "where(t < 10, a, b)"),
    "nonlinear update": ("risk mine --rules {}/square.py --problem quadratic --steps 3", "not linear"),
    "risk of adamw": ("risk adamw --problem quadratic --steps 3", "not linear"),
    "rate of a schedule": ("rate sgd --problem quadratic --set lr=1/(t+1)", "risk"),
    "rounded batch": ("risk sgd --problem quadratic --batch 9007199254740993 --steps 3 --set lr=.1", "2^53"),
    "map over a schedule": (
        "rate heavy_ball --problem quadratic --set lr=.1 --set beta=.9 --map lr=t:1 --map beta=.1:.9 --out {}/m.svg",
        "two numbers LOW:HIGH",
    ),
    "pipe for a table": ("rate sgd --problem dataset --data {}/pipe --target 0 --set lr=.1", "no regular file"),
    "pipe of rules": ("canonical {}/pipe:mine", "no regular file"),
    "pipe of numbers": ("rate sgd --problem quadratic --spectrum file:{}/pipe --set lr=.1", "pipe"),
    "name too long for files": ("canonical {}/" + 3000 * "x" + ":mine", "ile name too long"),
    "combinators without end": ("canonical " + 900 * "ema(" + "sgd" + 900 * ")", "at most 32"),
    "run that no machine ends": (
        "simulate sgd --problem quadratic --set lr=.1 --steps 4294967295 --seeds 4294967295",
        "coordinate-steps",
    ),
    "recurrence that raises": ("simulate raising --rules {}/recurrences.py --problem quadratic --steps 3", "KeyError"),
    "recurrence of no pair": ("simulate single --rules {}/recurrences.py --problem quadratic --steps 3", "and a dict"),
    "no GPU": ("simulate sgd --problem quadratic --steps 3 --backend cupy --set lr=.1", "GPU"),
    "no such backend": ("simulate sgd --problem quadratic --steps 3 --backend tpu --set lr=.1", "backend"),
    "no such experiment": ("run speedup", "experiment"),
    "no such size": ("run speedup_against_batch --size huge", "size"),
    "no such experiment, new folder": ("run speedup --out {}/new", "experiment"),
    "no such size, new folder": ("run --size huge --out {}/new", "size"),
    "tower of powers": ("risk sgd --problem quadratic --steps 3 --set lr=9**9**9", "9**9**9"),
    "weights beyond floats": ("simulate schedule_free --problem quadratic --steps 3 --set r=1e308", "step 1"),
    "more than memory holds": ("risk sgd --problem quadratic --dim 99999999999 --steps 3 --set lr=.1", "memory"),
    "file that exits": ("list --rules {}/exits.py", "SystemExit"),
    "no such file of rules": ("canonical {}/none.py:mine", "no Python file at"),
    "no such rule in a file": ("equivalent {}/square.py:mime sgd", "it defines mine"),
    "no name after a file": ("canonical {}/square.py:", "it defines mine"),
    "no such derivation": ("verify nesterow", "did you mean 'nesterov'"),
    "no such command": ("rates", "rate"),
    "folder that cannot be": ("run speedup_against_batch --out {}/good.csv/results", "cannot write"),
    "figures of nothing": ("figures --out {}/nothing", "no stored results"),
}


OWN = """
from accelsim import optimizer


@optimizer(positions="w", memories="a b c", returns="w")
def sums(s, t, h):
    g = yield s.w
    a, b, c = h.beta * s.a + g, s.b / 2 + g, s.c / 4 + g
    return dict(w=s.w - h.lr * (a + b + c), a=a, b=b, c=c)


@optimizer(positions="w", memories="a b c", returns="w")
def averages(s, t, h):
    g = yield s.w
    a, b, c = (m + (1 - beta) * (g - m) for m, beta in ((s.a, h.decay), (s.b, 0.5), (s.c, 0.25)))
    return dict(w=s.w - h.rate * (a / (1 - h.decay) + 2 * b + 4 * c / 3), a=a, b=b, c=c)
"""


def test_a_rule_of_four_states_in_a_file_is_told_from_others(document, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    same = document("equivalent", f"{file}:sums", f"{file}:averages")
    assert same["equivalent"] is True
    assert same["map"] == {"decay": "beta", "rate": "lr"}
    assert "1 - beta != 0" in same["conditions"]
    other = document("equivalent", f"{file}:sums", "heavy_ball")
    assert other["equivalent"] is False
    assert "3 memories" in other["reason"]
    assert document("canonical", f"tail_average({file}:sums)")["memory"] == 3


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line_and_exit_code_2(accelsim, files, case):
    command, hint = BAD[case]
    before = sorted(files.iterdir())
    code, out, err = accelsim(*command.format(files).split())
    assert (code, out) == (2, "")
    assert err.startswith("accelsim: ")
    assert err.count("\n") == 1
    assert hint in err
    assert sorted(files.iterdir()) == before


def test_a_table_of_huge_and_tiny_numbers_is_standardized_all_the_same(document, files):
    table = ("--problem", "dataset", "--data", files / "huge.csv", "--target", "y")
    assert np.isfinite(document("risk", "sgd", *table, *SGD, "--steps", 3)["risk"]).all()


def test_the_edge_of_stability_is_where_it_must_be(document):
    found = document("rate", "heavy_ball", "--problem", "quadratic", "--set", "lr=0.1", "--set", "beta=0.9")
    assert found["edge"]["lr"] == pytest.approx(2 * 1.9, rel=1e-8)


def test_length_can_be_counted_in_samples(document):
    found = document("risk", "sgd", *REGRESSION, *SGD, "--steps", 3, "--batch", 8, "--x", "samples")
    assert found["samples"] == [8 * t for t in found["steps"]]


def test_constant_columns_are_dropped_with_a_notice(accelsim, files):
    table = ("--problem", "dataset", "--data", files / "good.csv", "--target", "y")
    code, _, err = accelsim("risk", "sgd", *table, *SGD, "--steps", 3, "--json")
    assert code == 0
    assert "dropped" in err
    assert "b" in err


def test_what_a_rule_prints_is_no_part_of_the_document(accelsim, files):
    for backend in ("numpy", "numba"):
        command = ("simulate", f"{files}/prints.py:mine", "--problem", "quadratic", "--steps", 3)
        code, out, err = accelsim(*command, "--seeds", 2, "--backend", backend, "--json")
        assert (code, json.loads(out)["replicas"]) == (0, 2)
        assert {"a file prints", "a rule prints"} <= set(err.splitlines())


@pytest.mark.parametrize(
    ("error", "code", "told"), [(OSError(28, "No space left on device"), 2, "No space"), (BrokenPipeError(), 1, "")]
)
def test_a_stream_that_takes_nothing_is_no_fault_of_ours(accelsim, monkeypatch, tmp_path, error, code, told):
    class Full(io.StringIO):
        def fileno(self):
            return handle

        def flush(self):
            raise error

    handle = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    monkeypatch.setattr(sys, "stdout", Full())
    found, _, err = accelsim("list", "--json")
    os.close(handle)
    assert found == code
    assert (told in err) if told else err == ""


def test_stdout_is_stdout_again_after_threads_that_run_rules_at_once():
    before, inside = sys.stdout, threading.Barrier(2, timeout=30)

    def first(left):
        with UserCode("one"):
            inside.wait()
        left.set()

    def second(left):
        with UserCode("another"):
            inside.wait()
            assert left.wait(30)
            assert sys.stdout is sys.stderr  # which it stays until the last is out

    with ThreadPoolExecutor(2) as pool:
        left = threading.Event()
        for job in [pool.submit(each, left) for each in (first, second)]:
            job.result()
    assert sys.stdout is before


def test_a_search_in_two_threads_over_a_schedule_prints_its_document_on_stdout(accelsim):
    problem = ("--problem", "linear_regression", "--dim", "4", "--label-noise", "1", "--objective", "risk@50")
    for rule in (("sgd", "--schedule", "lr=cosine"), ("schedule_free",)):
        code, out, _ = accelsim("tune", *rule, *problem, "--budget", "60", "--json")
        assert (code, json.loads(out)["evaluations"]) == (0, 60)


@pytest.mark.parametrize("error", [StopIteration, SystemExit, GeneratorExit])
def test_whatever_a_recurrence_raises_is_an_error_in_its_name(error):
    def odd(memory, t, h):
        raise error("enough")

    with pytest.raises(InputError, match=rf"^k = odd raised {error.__name__} at step 0: enough$"):
        next(rows({"k": Recurrence(odd, {})}))
