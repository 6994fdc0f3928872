"""Several rules side by side: each cell is what the command of its own says, and one that fails costs no other."""

import csv
import json
import os
from functools import partial

import numpy as np
import pytest

from accelsim import exp, optimizer, results, risk
from accelsim.errors import InputError
from accelsim.exact.stationary.rates import rate
from accelsim.exact.tune import comparing
from accelsim.exact.tune.comparing import compare
from accelsim.exact.tune.tuning import tune
from accelsim.optimizers import find
from accelsim.problems import make

REGRESSION = dict(dim=6, spectrum="geometric:30", label_noise=0.1)
BATCHES = (1, 8, 64)
VALUES = {"sgd": {"lr": 0.2}, "heavy_ball": {"lr": 0.1, "beta": 0.5}, "schedule_free": {"lr": 0.3, "beta": 0.9}}
PROBLEM = ("--problem", "linear_regression", "--dim", "6", "--spectrum", "geometric:30")


def problem(batch):
    return make("linear_regression", batch=batch, **REGRESSION)


@pytest.fixture
def command(accelsim):
    return partial(accelsim, "compare")


def test_values_as_set_are_those_of_each_rule_alone():
    found = compare(["sgd", "heavy_ball"], problem(1), "rate", batches=BATCHES, values=without("schedule_free"))
    for cell in found.cells:
        alone = rate(find(cell.optimizer), problem(cell.batch), **VALUES[cell.optimizer]).tau
        assert cell.value == pytest.approx(alone, rel=1e-9)
    assert [(cell.optimizer, cell.batch) for cell in found.cells] == [(r, b) for r in found.optimizers for b in BATCHES]


def without(name):
    return {rule: values for rule, values in VALUES.items() if rule != name}


def test_risks_and_steps_to_a_risk_are_those_of_the_exact_run():
    risks = compare(list(VALUES), problem(1), "risk@40", batches=BATCHES, values=VALUES)
    steps = compare(list(VALUES), problem(1), "steps@0.3", batches=BATCHES, values=VALUES)
    for at_40, reached in zip(risks.cells, steps.cells, strict=True):
        rule, own = at_40.optimizer, VALUES[at_40.optimizer]
        runs = [risk(rule, problem(at_40.batch), count, **own).risk[-1] for count in range(1, 41)]
        assert at_40.value == pytest.approx(runs[-1], rel=1e-9)
        assert reached.value == 1 + int(np.argmax(np.array(runs) <= 0.3)), (rule, at_40.batch)
        assert min(runs) <= 0.3


def test_a_tuned_cell_is_what_tuning_finds_and_beats_what_is_set():
    found = compare(["heavy_ball"], problem(1), "risk@40", batches=(1, 64), tuned=True, budget=200)
    own = {"heavy_ball": VALUES["heavy_ball"]}
    as_set = compare(["heavy_ball"], problem(1), "risk@40", batches=(1, 64), values=own)
    for cell, before in zip(found.cells, as_set.cells, strict=True):
        alone = tune("heavy_ball", problem(cell.batch), "risk@40", budget=200)
        assert (cell.value, cell.hyperparameters) == (alone.value, alone.hyperparameters)
        assert cell.value < before.value


def test_what_diverges_is_said_and_costs_no_other_cell():
    values = {"sgd": {"lr": 0.2}, "heavy_ball": {"lr": 0.4, "beta": 0.9}}
    for objective in ("rate", "risk@20000", "steps@1e-9"):
        found = compare(["heavy_ball", "sgd"], problem(1), objective, batches=(1, 64), values=values)
        assert found.at("heavy_ball", 1).failed == ("not stable" if objective == "rate" else "diverged")
        assert found.at("heavy_ball", 1).value == np.inf
        assert (found.at("sgd", 64).failed is None) == (objective != "steps@1e-9"), objective


@pytest.mark.parametrize(
    ("rules", "values", "said"),
    [
        (["sgd", "sgd"], {}, "sgd is named twice"),
        (["sgd", "lion"], {"sgd": {"lr": 0.1}}, "not linear"),
        (["sgd", "heavy_ball"], {"sgd": {"lr": 0.1}, "heavy_ball": {"lr": 0.1}}, "needs beta"),
        (["sgd"], {"sgd": {"lrr": 0.1}}, "did you mean 'lr'"),
        (["sgd"], {"sdg": {"lr": 0.1}}, "did you mean 'sgd'"),
        ([], {}, "nothing to compare"),
        ("sdg", {}, "did you mean 'sgd'"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_computed(rules, values, said):
    with pytest.raises(InputError, match=said):
        compare(rules, problem(1), values=values, progress=lambda done, cell: pytest.fail("begun"))


def test_the_command_writes_table_and_figures_of_what_it_prints(command, tmp_path):
    table, figure = tmp_path / "new" / "t.csv", tmp_path / "f.pdf"
    sets = ("--set", "lr=0.2", "--set", "heavy_ball.lr=0.1", "--set", "beta=0.5")
    code, out, _ = command(
        "sgd", "heavy_ball", *PROBLEM, "--batch", "1,64", "--objective", "rate", *sets,
        "--out", table, "--out", figure, "--out", tmp_path / "f.svg", "--json",
    )  # fmt: skip
    document = json.loads(out)
    assert code == 0
    rows = list(csv.DictReader(table.read_text().splitlines()[1:]))
    assert [float(row["rate"]) for row in rows] == [cell["value"] for cell in document["values"]]
    assert [row["lr"] for row in rows] == ["0.2", "0.2", "0.1", "0.1"]
    assert figure.read_bytes()[:5] == b"%PDF-"
    assert b"<svg" in (tmp_path / "f.svg").read_bytes()
    drawn = figure.read_bytes()
    command("sgd", "heavy_ball", *PROBLEM, "--batch", "1,64", "--objective", "rate", *sets, "--out", figure)
    assert figure.read_bytes() == drawn


def test_one_line_says_what_is_wrong(command, tmp_path):
    for arguments, said in (
        (("--batch", "1,x"), "whole numbers with commas"),
        (("--set", "foo.lr=1"), "unknown rule in --set foo.lr"),
        (("--set", "mu=1"), "unknown hyperparameter of sgd, heavy_ball"),
        (("--out", tmp_path / "x.txt"), "end its name in .csv, .svg, .png, .pdf"),
        (("--batch", "0"), "batch size must be a whole number of at least 1"),
    ):
        code, out, err = command("sgd", "heavy_ball", *PROBLEM, "--objective", "rate", "--tune", *arguments)
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1


def test_an_interrupt_prints_what_is_done(command, monkeypatch):
    real, asked = comparing._given, []

    def given(rule, *more):
        asked.append(rule)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(rule, *more)

    monkeypatch.setattr(comparing, "_given", given)
    sets = ("--set", "lr=0.1", "--set", "beta=0.5")
    code, out, _ = command("sgd", "heavy_ball", *PROBLEM, "--batch", "1,4", "--objective", "rate", *sets, "--json")
    document = json.loads(out)
    assert (code, len(document["values"])) == (130, 2)
    assert document["notices"] == ["interrupted after 2 of 4 values"]


def test_doubts_of_many_values_are_a_line_a_kind(command):
    options = ("--batch", "1,4,16", "--objective", "rate", "--tune", "--budget", "5", "--json")
    code, out, _ = command("sgd", "heavy_ball", *PROBLEM, *options)
    notices = json.loads(out)["notices"]
    assert code == 0
    assert 1 <= len(notices) <= 2
    told = " ".join(notices)
    assert all(f"{name} at batch size " in told for name in ("sgd", "heavy_ball"))


def test_a_target_that_a_run_begins_at_is_refused():
    for target in ("0.5555", "2", "100"):
        with pytest.raises(InputError, match="at the start: take a target below it"):
            compare("sgd", make("linear_regression", dim=4), f"steps@{target}", values={"sgd": {"lr": 0.1}})


def test_a_risk_below_what_floats_hold_is_zero():
    noiseless = make("linear_regression", dim=4)
    (cell,) = compare("sgd", noiseless, "risk@1e9", values={"sgd": {"lr": 0.1}}).cells
    assert (cell.value, cell.failed) == (0, None)


def test_a_rule_that_cannot_be_computed_costs_no_other():
    @optimizer(positions="w", returns="w", lr=0.1)
    def steep(s, t, h):
        """A coefficient that overflows."""
        g = yield s.w
        return dict(w=s.w - exp(1000 * h.lr) * g)

    values = {"steep": {"lr": 10}, "sgd": {"lr": 0.1}}
    one, other = compare([steep, "sgd"], problem(1), "risk@10", values=values).cells
    assert (one.value, one.hyperparameters, other.failed) == (np.inf, {"lr": 10}, None)
    assert one.failed


def test_what_was_computed_is_printed_also_where_it_cannot_be_written(command, monkeypatch, tmp_path):
    def full(*_):
        raise InputError("cannot write it")

    monkeypatch.setattr(results, "write", full)
    sets = ("--set", "lr=0.1", "--objective", "rate", "--out", tmp_path / "it.csv", "--json")
    code, out, err = command("sgd", *PROBLEM, *sets)
    assert (code, err) == (2, "accelsim: cannot write it\n")
    assert len(json.loads(out)["values"]) == 1


def test_places_that_cannot_be_written_and_values_that_cannot_be_drawn_are_said(command, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for place, said in ((tmp_path / "folder.csv", "is a folder"), ("/proc/none.csv", "is no folder that can be")):
        if said == "is a folder" or not os.access("/proc", os.W_OK):
            found = command("sgd", *PROBLEM, "--set", "lr=0.1", "--objective", "rate", "--out", place)
            assert (found[0], found[1], said in found[2]) == (2, "", True)
    figure = tmp_path / "it.svg"
    code, out, err = command("sgd", *PROBLEM, "--set", "lr=100", "--objective", "rate", "--out", figure)
    assert (code, "not stable" in out, "no value can be drawn" in err) == (2, True, True)
    assert not figure.exists()
