"""No command line ends in a traceback or hangs: valid ones with values, files, rules and settings spoiled by chance.

`pytest tests/slow/command_lines.py` tries a few hundred, `python tests/slow/command_lines.py SEED...` as many for each
seed. An answer is exit code 0, 1 (a verdict), 2 or 130, within a minute of computing, and errors are one line.
"""

import contextlib
import io
import random
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from accelsim import cli, machine
from accelsim.language import read

SEEDS, COUNT, LIMIT = range(3), 45, 60.0  # commands a seed, seconds of computing each

ON = ["--problem", "linear_regression", "--dim", "3", "--batch", "2", "--spectrum", "power:1.5"]
TABLE = ["--problem", "dataset", "--data", "table.csv", "--target", "y", "--drop", "a", "--skip-lines", "0"]
SGD, BALL = ["--set", "lr=0.1"], ["--set", "lr=0.1", "--set", "beta=0.9"]
VALID = [
    ["canonical", "heavy_ball", *BALL],
    ["canonical", "rule.py:mine", *BALL],
    ["canonical", "tail_average(sgd)", *SGD],
    ["show", "rule.py:mine"],
    ["show", "sgd", *SGD, "--latex", "--json"],
    ["equivalent", "rule.py:mine", "heavy_ball", "--budget", "0.2"],
    ["equivalent", "qhm", "sgd", "--set-a", "lr=0.1", "--set-b", "lr=1/(t+1)", "--budget", "0.2"],
    ["rate", "heavy_ball", *ON, *BALL, "--json"],
    ["rate", "rule.py:mine", *ON, *BALL],
    ["rate", "sgd", *TABLE, *SGD],
    ["risk", "sgd", *ON, "--label-noise", "1", "--set", "lr=1/(t+1)", "--steps", "9", "--x", "samples"],
    ["risk", "rule.py:mine", *TABLE, *BALL, "--steps", "5", "--json"],
    ["simulate", "heavy_ball", *ON, *BALL, "--steps", "5", "--seeds", "2", "--backend", "numpy", "--seed", "1"],
    ["simulate", "rule.py:mine", *TABLE, *BALL, "--steps", "5", "--seeds", "2", "--backend", "numpy", "--out", "run"],
    ["tune", "sgd", *ON, "--objective", "risk@9", "--budget", "20", "--tune", "lr"],
    ["verify", "nesterov"],
    ["verify", "--certificate", "document.json"],
    ["figures", "--out", "."],
    ["run", "additive_theory_fails", "--quiet"],
    ["list", "--rules", "rule.py"],
]
ODD = [
    "",
    " ",
    "-",
    "--",
    "--json",
    "=",
    "a=b",
    ":",
    "(",
    "()",
    "'",
    '"',
    "\\",
    "\n",
    "\t",
    "\0",
    "λ",
    "\u202e",
    "\udcff",
]
ODD += ["nan", "-nan", "inf", "-inf", "0", "-0.0", "-1", "0.5", "1.5", "1e400", "1e-400", "1e308", "1e19", "9" * 400]
ODD += [
    "9007199254740993",
    "4294967295",
    "1_000",
    "0x10",
    "1e",
    "True",
    "None",
    "t",
    "-t",
    "1/t",
    "1/0",
    "0**-1",
    "t**t",
]
ODD += [
    "2**9**9",
    "10**400",
    "where(t,1,2)",
    "where(first(t),1,1/t)",
    "first(t)",
    "sqrt(-t)",
    "log(0)",
    "exp(t)",
    "h.lr",
]
ODD += [
    "x" * 5000,
    "(" * 500,
    "sgd" * 100,
    "ema(" * 40 + "sgd" + ")" * 40,
    "lookahead(sgd)",
    "sgd(sgd)",
    "1+" * 300 + "1",
]
ODD += [
    "power:1e300",
    "power:-400",
    "geometric:0",
    "geometric:nan",
    "file:",
    "file:table.csv",
    "file:.",
    "ones",
    "H",
    "I",
]
ODD += [
    "rule.py",
    "rule.py:",
    "rule.py:other",
    ":mine",
    "table.csv",
    "document.json",
    ".",
    "..",
    "/",
    "/dev/null",
    "none",
]
ODD += [
    "lr=t:1",
    "lr=1e300:1e308",
    "lr=2:1",
    "lr",
    "lr=",
    "=1",
    "beta=1",
    "beta=nan",
    "rate",
    "risk@0",
    "steps@0",
    "risk@t",
]
ODD += ["diabetes", "iris", "linnerud", "dataset", "one_hot", "plrf", "float16", "cupy", "adamw", "mars_exact_sgd"]
RULE = """from accelsim import momentum, optimizer, recurrence, step_size
from accelsim.elementary import *
@recurrence(k=0)
def c(m, t, h):
    return {value}, dict(k={memory})
@optimizer(positions="w", memories={memories}, returns="w", lr=step_size(), beta=momentum({default}), c=step_size(c))
def mine(s, t, h):
    g = yield {point}
    m = {momentum}
    return {returned}
"""
GOOD = dict(value="1", memory="m.k", memories='"m"', default="0.9", point="s.w", momentum="h.beta * s.m + g")
GOOD |= dict(returned="dict(w=s.w - h.lr * m, m=m)")
PARTS = [
    "s.w / 0",
    "s.w / (h.lr - h.lr)",
    "10**400 * s.w",
    "s.w * h.lr**(10**9)",
    "1 / 0",
    "None",
    "'w'",
    "[s.w]",
    "{}",
]
PARTS += [
    "s.none",
    "h.none",
    "s.w if t else s.m",
    "where(t, 1, 2)",
    "where(first(t), s.w, g)",
    "total(s.w)",
    "sqrt(s.w)",
]
PARTS += [
    "(s.w, s.w)",
    "()",
    "exit(3)",
    "print('x') or s.w",
    "abs(s.w)",
    "s.w ** s.w",
    "sign(s.w)",
    "__import__('os').getpid()",
]
PARTS += [
    "dict(w=s.w)",
    "dict(w=1, m=2)",
    "1j",
    "True",
    "float('nan')",
    "0",
    "-1",
    "m.k + 1",
    "1 / t",
    "t",
    "(lambda f: f(f))(lambda f: f(f))",
]
PARTS += [
    "(_ for _ in ()).throw(KeyboardInterrupt)",
    "(_ for _ in ()).throw(GeneratorExit)",
    "(_ for _ in ()).throw(StopIteration)",
]
TEXTS = {
    "table.csv": "a,b,y\n1,2,3\n4,5,7\n0,1,1\n3,2,2\n",
    "document.json": '{"format": "accelsim result 1", "certificate": {"format": 8, "claim": [1, "t"]}}',
}


def spoiled_text(text, chance):
    """A text with a piece cut out, doubled or replaced."""
    i, j = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    if chance.random() < 0.1:
        return chance.choice(["", "\0", "[" * 100_000, text * 3, text.encode("utf-16").decode("latin-1"), "\n" * 9])
    return text[:i] + chance.choice(["", text[i:j] * 2, *chance.sample(ODD, 4)]) + text[j:]


def write_files(chance):
    """The files that commands name, some of them spoiled."""
    parts = dict(GOOD)
    for name in chance.sample(sorted(parts), chance.choice([0, 1, 1, 2])):
        parts[name] = chance.choice([*PARTS, *GOOD.values()])
    rule = RULE.format(**parts)
    Path("rule.py").write_text(spoiled_text(rule, chance) if chance.random() < 0.1 else rule, errors="surrogateescape")
    for name, text in TEXTS.items():
        text = spoiled_text(text, chance) if chance.random() < 0.3 else text
        Path(name).write_text(text, encoding="utf-8", errors="surrogateescape")


def spoiled(command, chance):
    """A command with some of its words, or what stands in them after an equals sign, replaced, removed or doubled."""
    words = list(command)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        i = chance.randrange(1, len(words)) if len(words) > 1 else 0
        name, equals, _ = words[i].partition("=")
        odd = chance.choice(ODD)
        how = chance.random()
        if how < 0.6:
            words[i] = name + equals + odd if equals and chance.random() < 0.7 else odd
        elif how < 0.7:
            del words[i]
        elif how < 0.8:
            words.insert(i, chance.choice(words))
        else:
            words[i:i] = [chance.choice([w for c in VALID for w in c if w.startswith("--")]), odd]
    return words or ["list"]


class Hang(BaseException):
    """Raised where a command takes longer than it may."""


def stop(_, frame):
    if not machine.called_back(frame):
        raise Hang
    signal.setitimer(signal.ITIMER_PROF, 0.05)  # as what is raised there is dropped


def answer(words, limit=LIMIT):
    """Exit code, or what came instead, and the lines on stderr of a command run in this process."""
    printed, told, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["accelsim", *words]
    handler = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told):
            cli.main()
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:
        code = repr(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        sys.argv = before
    return code, told.getvalue().splitlines()


def fault(code, lines):
    """What is wrong with an answer, None where nothing is."""
    if code not in (0, 1, 2, 130):
        return f"ended with {code}"
    ours = [line for line in lines if line.startswith("accelsim: ")]
    if any("internal error" in line or line.startswith("Traceback") for line in lines):
        return "a traceback"
    return "no word of what is wrong" if code in (2, 130) and not ours else None


def faults(seed, count=COUNT):
    """Commands of a seed whose answers are none."""
    chance, here = random.Random(seed), Path.cwd()
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        for _ in range(count):
            write_files(chance)
            words = spoiled(chance.choice(VALID), chance)
            if len(words) > 1 and words[-1] in ("", "/", ".."):  # nobody's folder is written into
                continue
            code, lines = answer(words)
            wrong = fault(code, lines)
            if wrong:
                yield wrong, words, Path("rule.py").read_text(errors="replace"), lines[-1:]
    assert Path.cwd() == here


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """What is compiled once on a machine, which takes its time, is."""
    for command in (
        ["rate", "heavy_ball", *ON, *BALL],
        ["tune", "sgd", *ON, "--objective", "risk@9", "--budget", "20"],
    ):
        assert answer(command, 3600.0)[0] == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_spoiled_command_lines_are_answered_in_one_line(seed):
    read.cache_clear()
    assert list(faults(seed)) == []


@pytest.mark.parametrize("raised", [RuntimeError("x"), Hang(), SystemExit(3)])
def test_what_is_no_answer_is_seen(monkeypatch, raised):
    from accelsim.symbolic.system import normal_form

    def broken(*_, **__):
        raise raised

    assert fault(*answer(["canonical", "sgd"])) is None
    monkeypatch.setattr(normal_form, "canonical", broken)
    assert fault(*answer(["canonical", "sgd"])) is not None


if __name__ == "__main__":
    found = [(seed, *each) for seed in map(int, sys.argv[1:]) for each in faults(seed)]
    for seed, wrong, words, rule, last in found:
        print(f"seed {seed}: {wrong}: {words}\n  {last}\n{rule}")
    sys.exit(bool(found))
