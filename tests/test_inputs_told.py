"""Every answer says what it is of: rules, all hyperparameters, the problem with its defaults, seeds and the version."""

import json
from typing import Any

import numpy as np
import pandas
import pytest

import accelsim as package
from accelsim import problems
from accelsim.optimizers.averaging import COMBINATORS

BALL = ("heavy_ball", "--set", "lr=0.1/(t+1)", "--set", "beta=1/2")
ON = ("--problem", "linear_regression", "--dim", "3", "--label-noise", "2")
DESCRIBED = {"name": "linear_regression", "dim": 3, "batch": 1, "label_noise": 2.0, "init": "ones", "direct": False}
COMMANDS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "risk": (("risk", *BALL, *ON, "--steps", "5"), {"steps": 5}),
    "simulate": (
        ("simulate", *BALL, *ON, "--steps", "5", "--seeds", "3", "--seed", "7", "--backend", "numpy"),
        {"steps": 5, "seed": 7, "dtype": "float64"},
    ),
    "tune": (
        ("tune", *BALL[:3], *ON, "--objective", "risk@5", "--budget", "30", "--seed", "2"),
        {"budget": 30, "seed": 2},
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_answer_tells_what_was_asked(name, accelsim):
    command, others = COMMANDS[name]
    code, out, _ = accelsim(*command, "--json")
    inputs = json.loads(out)["inputs"]
    assert (code, inputs["version"]) == (0, package.__version__)
    assert inputs["problem"].items() >= DESCRIBED.items()
    given = {"lr": "0.1/(t+1)"} if name == "tune" else {"lr": "0.1/(t+1)", "beta": 0.5}
    assert inputs["hyperparameters"] == {"heavy_ball": given}
    assert {key: inputs[key] for key in others} == others
    code, out, _ = accelsim(*command)
    told = out.splitlines()[-1]
    assert told.startswith("asked: heavy_ball with lr = 0.1/(t+1)")
    assert told.endswith(f"accelsim {package.__version__}")
    assert "label_noise = 2.0" in told


def test_defaults_are_told_as_much_as_what_was_given(accelsim):
    _, out, _ = accelsim("rate", "ademamix_sgd", "--problem", "quadratic", "--set", "lr=0.01", "--json")
    inputs = json.loads(out)["inputs"]
    assert inputs["hyperparameters"]["ademamix_sgd"] == {
        name: 0.01 if name == "lr" else h.default
        for name, h in package.optimizers.find("ademamix_sgd").hyperparameters.items()
    }
    assert inputs["problem"] == problems.make("quadratic").described
    assert inputs["problem"]["spectrum"] == "geometric:1e3"


def test_a_comparison_tells_its_seed_where_it_searches(accelsim):
    command = ("compare", "sgd", *ON, "--batch", "2,4", "--objective", "risk@3", "--json")
    _, out, _ = accelsim(*command, "--set", "lr=0.1")
    assert "seed" not in json.loads(out)["inputs"]
    _, out, _ = accelsim(*command, "--tune", "--budget", "20", "--seed", "3")
    document = json.loads(out)
    assert (document["inputs"]["seed"], document["inputs"]["budget"]) == (3, 20)
    assert "batch" not in document["inputs"]["problem"]  # there are several
    assert document["batches"] == [2, 4]


def test_options_that_are_long_are_told_in_words(tmp_path):
    np.save(tmp_path / "noise.npy", np.eye(3))
    assert (
        problems.make("plrf", data_exponent=1, target_exponent=1, features_seed=1, dim=2, hidden=np.int64(9)).described[
            "hidden"
        ]
        == 9
    )
    made = problems.make("quadratic", spectrum=np.ones(3), noise_shape=str(tmp_path / "noise.npy"), init=[1.0, 2, 3])
    assert made.described["spectrum"] == "an array of shape (3,)"
    assert made.described["noise_shape"] == str(tmp_path / "noise.npy")
    assert made.described["init"] == "a list"
    assert json.dumps(made.described)


def test_a_map_needs_no_value_of_what_it_is_over(accelsim, tmp_path):
    command = ("rate", "heavy_ball", *ON, "--map", "lr=0.01:10", "--map", "beta=0:0.9", "--out", tmp_path / "map.svg")
    code, out, err = accelsim(*command, "--json")
    assert (code, json.loads(out)["drawn"]) == (0, str(tmp_path / "map.svg")), err
    assert "rho" not in json.loads(out)
    assert (tmp_path / "map.svg").read_bytes()
    code, out, _ = accelsim(*command, "--set", "lr=0.1", "--set", "beta=0.5", "--json")
    assert (code, json.loads(out)["stable"]) == (0, True)
    code, _, err = accelsim(*command, "--edge", "beta")
    assert (code, "--edge is at values" in err) == (2, True), err
    code, _, err = accelsim("rate", "heavy_ball", *ON, "--map", "lr=0.1:1", "--map", "bta=0:0.9", "--out", "map.svg")
    assert (code, "did you mean 'beta'" in err) == (2, True), err


def test_what_is_piped_is_not_wrapped(accelsim):
    _, out, _ = accelsim("verify", "simplified_ademamix")
    assert max(map(len, out.splitlines())) > 120
    assert not any(line.endswith(" or not mapped values lie in their") for line in out.splitlines())


def test_combinators_are_listed(accelsim):
    _, out, _ = accelsim("list", "--json")
    assert json.loads(out)["combinators"] == [f"{name}(OPTIMIZER)" for name in sorted(COMBINATORS)]
    _, out, _ = accelsim("list")
    assert "ema(OPTIMIZER)" in out
    assert "Exponential moving average" in out


RUN = ("--problem", "linear_regression", "--dim", "3", "--label-noise", "2")
TABLES: dict[str, tuple[str, ...]] = {
    "risk": ("risk", *BALL, *RUN, "--steps", "5", "--of", "query"),
    "split": ("risk", *BALL, *RUN, "--steps", "5", "--split"),
    "simulate": ("simulate", *BALL, *RUN, "--steps", "5", "--seeds", "3", "--seed", "7", "--backend", "numpy"),
    "compare": ("compare", "heavy_ball", "sgd", *BALL[1:], *RUN, "--objective", "risk@5"),
    "tuned": ("compare", "heavy_ball", *BALL[1:3], *RUN, "--objective", "risk@5", "--tune", "--budget", "20"),
    "response": ("show", *BALL, "--response", "--steps", "9", "--with", "sgd"),
    "coefficients": ("show", *BALL, "--plot", "--steps", "9"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_begins_with_what_it_is_of(name, accelsim, tmp_path):
    """In one comment, which is the inputs of the answer as JSON; pandas and NumPy read the rest."""
    file = tmp_path / "it.csv"
    code, out, err = accelsim(*TABLES[name], "--out", file, "--json")
    assert (code, err) == (0, "")
    first, columns, *rows = file.read_text().splitlines()
    assert json.loads(first.removeprefix("# ")) == json.loads(out)["inputs"]
    inputs = json.loads(first.removeprefix("# "))
    assert inputs["hyperparameters"]["heavy_ball"].items() >= {"lr": "0.1/(t+1)"}.items()
    assert inputs["version"] == package.__version__
    if name not in ("response", "coefficients"):
        assert inputs["problem"].items() >= {**DESCRIBED, "batch": inputs["problem"].get("batch")}.items() - {
            ("batch", None)
        }
    read = pandas.read_csv(file, comment="#")
    assert (",".join(read.columns), len(read)) == (columns, len(rows))
    if name not in ("compare", "tuned"):  # whose rules have names
        assert np.genfromtxt(file, delimiter=",", skip_header=2).shape == read.shape
    assert inputs.get("of") == {"risk": "query", "split": "returned"}.get(name)
    assert inputs.get("seeds") == {"simulate": 3}.get(name)


def test_the_table_of_a_search_tells_what_was_found(accelsim, tmp_path):
    """A row for each rule and step: the tuned rule and the best one-memory method, at all hyperparameters told."""
    file, figure = tmp_path / "it.csv", tmp_path / "it.pdf"
    command = ("tune", *BALL[:3], *ON, "--objective", "risk@5", "--budget", "60", "--seed", "2", "--json")
    code, out, _ = accelsim(*command, "--out", file, "--out", figure)
    document = json.loads(out)
    assert (code, document["written"]) == (0, [str(file), str(figure)])
    assert figure.read_bytes().startswith(b"%PDF-")
    inputs = json.loads(file.read_text().partition("\n")[0].removeprefix("# "))
    best = document["envelope"] or document["best_constant_one_memory"]
    assert inputs["hyperparameters"] == {
        "heavy_ball": document["hyperparameters"],
        "best_constant_one_memory": best["hyperparameters"],
    }
    assert (inputs["objective"], inputs["seed"], inputs["budget"]) == ("risk@5", 2, 60)
    rows = pandas.read_csv(file, comment="#")
    last = rows[rows.steps == 5].set_index("optimizer").risk
    assert last["heavy_ball"] == pytest.approx(document["value"], rel=1e-9)
    assert last["best_constant_one_memory"] == pytest.approx(best["value"], rel=1e-9)


def test_a_text_of_several_lines_stays_in_the_comment(accelsim, tmp_path):
    command = ("risk", "sgd", *RUN, "--steps", "3", "--set", "lr=0.1\n/(t+1)", "--out", tmp_path / "it.csv")
    code, _, _ = accelsim(*command)
    assert code == 0
    assert len(pandas.read_csv(tmp_path / "it.csv", comment="#")) == 4


SET = {"lr": "1/2", "c": "averaging", "warmup_steps": 0}  # beta, r and weight_lr_power stay symbols
QUESTIONS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "canonical": (("canonical", "schedule_free"), {"schedule_free": SET}),
    "show": (("show", "schedule_free"), {"schedule_free": SET}),
    "latex": (("show", "sgd", "--latex"), {"sgd": {"lr": "1/2"}}),
    "kernel": (("show", "sgd", "--kernel", "numba"), {"sgd": {"lr": "1/2"}}),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_is_known_of_a_rule_is_told_and_what_stays_a_symbol_is_not(name, accelsim):
    command, told = QUESTIONS[name]
    code, out, _ = accelsim(*command, "--set", "lr=1/2", "--json")
    inputs = json.loads(out)["inputs"]
    assert (code, inputs["version"], inputs["hyperparameters"]) == (0, package.__version__, told)
    assert ("problem" in inputs) == (name == "kernel")


def test_a_question_about_two_rules_tells_both(accelsim):
    code, out, _ = accelsim("equivalent", "sgd", "sgd", "--set-a", "lr=1/2", "--returned", "--budget", "3", "--json")
    inputs = json.loads(out)["inputs"]
    assert code == 0
    assert inputs.pop("version") == package.__version__
    assert inputs == {"hyperparameters": {"a": {"lr": "1/2"}, "b": {}}, "returned": True, "free": [], "budget": 3.0}
    _, out, _ = accelsim("equivalent", "schedule_free", "sgd", "--free", "c", "--latex", "--json")
    assert "c" not in json.loads(out)["inputs"]["hyperparameters"]["a"]
