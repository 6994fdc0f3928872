"""Completions in a shell and the help of options: names are those there are, and nothing heavy is loaded for them."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import pytest
from test_structure import HEAVY

from accelsim import discovery, experiment, optimizers, problems, spectra
from accelsim.symbolic import verify

RULE = (
    "from accelsim import optimizer\n@optimizer(positions='w', returns='w', own=0.1)\ndef mine(s, t, h):\n"
    "    '''Mine.'''\n    g = yield s.w\n    return dict(w=s.w - h.own * g)\nprint('loaded')\n"
)
ASK = "import sys; sys.argv = ['accelsim']; from accelsim.__main__ import main; main()"


@pytest.fixture
def completed(accelsim, monkeypatch):
    """The completions of a command line, of which the last word is begun."""

    def ask(*words):
        line = " ".join(["accelsim", *map(str, words)])
        monkeypatch.setenv("_ACCELSIM_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        return accelsim()[1].split()

    return ask


@pytest.mark.parametrize("words", [("rate",), ("compare", "sgd"), ("equivalent", "sgd"), ("show", "sgd", "--with")])
def test_rules_are_completed(completed, words):
    assert completed(*words, "heavy") == ["heavy_ball"]
    assert set(completed(*words, "")) >= {*optimizers.shipped()}


def test_problems_derivations_and_experiments_are_completed(completed):
    assert completed("risk", "sgd", "--problem", "") == [*problems.known()]
    assert completed("verify", "") == [*verify.known()]
    assert completed("run", "") == [*experiment.known()]


def test_names_of_files_are_names_of_what_is_in_them():
    """What is completed, and told by the help, without an import."""
    assert discovery.names("accelsim.problems") == [*problems.known()]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("rate", "heavy_ball", "--set", ""), ["lr=", "beta="]),
        (("rate", "heavy_ball", "--set", "b"), ["beta="]),
        (("compare", "sgd", "heavy_ball", "--set", ""), ["lr=", "beta="]),
        (("tune", "nesterov", "--tune", ""), ["lr", "beta"]),
        (("rate", "ema(sgd)", "--edge", ""), ["decay", "lr"]),
        (("equivalent", "sgd", "heavy_ball", "--set-a", ""), ["lr="]),
        (("equivalent", "sgd", "heavy_ball", "--set-b", ""), ["lr=", "beta="]),
        (("rate", "no_such_rule", "--set", ""), []),
    ],
)
def test_hyperparameters_of_the_rules_named_are_completed(completed, words, names):
    assert sorted(completed(*words)) == sorted(names)


def test_rules_of_ones_own_are_completed(completed, tmp_path):
    (tmp_path / "mine.py").write_text(RULE)
    (tmp_path / "broken.py").write_text("raise ValueError")
    files = ("--rules", tmp_path / "broken.py", "--rules", tmp_path / "mine.py")
    assert completed("canonical", *files, "mi") == ["mine"]
    assert completed("canonical", *files, "mine", "--set", "") == ["own="]


@pytest.mark.parametrize("line", ["accelsim ra", "accelsim rate he", "accelsim rate sgd --problem o", "accelsim run s"])
def test_a_completion_loads_nothing_heavy(line):
    code = ASK.replace(
        "main()", "sys.unraisablehook = print\ntry:\n    main()\nfinally:\n    print(json.dumps([*sys.modules]))"
    )
    told = {"_ACCELSIM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    run = subprocess.run(
        [sys.executable, "-c", f"import json; {code}"],
        capture_output=True,
        text=True,
        env=os.environ | told,
        check=True,
    )
    *names, loaded = run.stdout.splitlines()
    assert names
    assert not HEAVY & {name.split(".")[0] for name in json.loads(loaded)}


# -- the help of problems' options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["rate", "risk", "tune", "compare", "simulate", "show"])
def test_the_help_tells_the_problems_and_defaults_of_each_option(command, accelsim):
    code, out, _ = accelsim(command, "--help")
    assert code == 0
    told = dict(re.findall(r"--(\S+) (.*?)(?=\s--|$)", " ".join(out.partition("Options:")[2].split())))
    assert ", ".join(problems.known()) in told["problem"]
    for name, kind in problems.known().items():
        for option in dataclasses.fields(kind):
            if not option.init:
                continue
            text = told[option.name.replace("_", "-")]
            owners = [owner.partition(": ") for owner in re.findall(r"\[([^\]]+)\]", text)]
            listed = [default for names, _, default in owners if _among(name, names)]
            default = option.default
            empty = default is None or default is False
            shown = "needed" if default is dataclasses.MISSING else "" if empty else default
            assert [value if isinstance(shown, str) else float(value) for value in listed] == [shown], (
                name,
                option.name,
            )
    assert f"else {spectra.DIM}." in told["dim"]


def _among(name, names):
    listed = names.removeprefix("all but ").split(", ")
    return names == "all" or (name in listed) != names.startswith("all but ")
