"""A run that was interrupted goes on to the bits that it would have had."""

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from accelsim import cli, optimizers, problems
from accelsim.errors import InputError
from accelsim.rule import optimizer, step_size
from accelsim.simulation import backends, checkpoint
from accelsim.simulation.checkpoint import CHECKPOINT, RESULT, SESSIONS
from accelsim.simulation.driver import simulate

PROBLEM = problems.make("linear_regression", dim=5, batch=3, label_noise=1.0)


@optimizer(positions="w", memories={"last": 0.5}, returns="w", lr=step_size(0.1))
def with_a_number(s, t, h):
    """One of its states is a plain number after the first step."""
    g = yield s.w
    return dict(w=s.w - h.lr * s.last * g, last=0.7)


CASES = {
    "sgd": (optimizers.find("sgd"), dict(lr="0.1/(t+1)")),
    "schedule_free": (optimizers.find("schedule_free"), dict(lr=0.3, warmup_steps=5)),
    "nadam": (optimizers.find("nadam"), {}),
    "number": (with_a_number, {}),
}


SPLITS = [("numpy", name, dtype) for name in CASES for dtype in ("float64", "float32")]


@pytest.mark.parametrize(("place", "name", "dtype"), [*SPLITS, ("numba", "schedule_free", "float64")])
def test_a_run_depends_neither_on_how_its_steps_are_split_nor_on_saving_in_between(place, name, dtype):
    rule, values = CASES[name]

    def make():
        return backends.find(place).make(rule, PROBLEM, values, 3, 7, 11, dtype)

    whole, split, late = make(), make(), make()
    whole.advance(30)
    taken = 0
    for steps in (1, 0, 12, 17):
        saved = split.save()
        split = make()
        split.load(saved, taken)
        split.advance(steps)
        taken += steps
    late.load(saved, taken - 17 - 1)
    late.advance(17)
    assert {k: v.dtype for k, v in split.save().items()} == {k: v.dtype for k, v in whole.save().items()}
    np.testing.assert_array_equal(split.risks(), whole.risks())
    assert not np.array_equal(late.risks(), whole.risks())


# -- a folder of its own -----------------------------------------------------------------------------------------------

RULE, VALUES = optimizers.find("schedule_free"), dict(lr=0.3, warmup_steps=5)


def measure(out, **changes):
    given = {"steps": 60, "seeds": 30, "chunk": 8, "backend": "numpy", **VALUES, "problem": PROBLEM, **changes}
    place = given.pop("problem"), given.pop("steps"), given.pop("seeds")
    return simulate(given.pop("rule", RULE), *place, out=out, **given)


class Interrupting:
    """A progress report that presses Ctrl-C some calls later."""

    def __init__(self, calls):
        self.calls = calls

    def __call__(self, backend, done, total):
        self.calls -= 1
        if not self.calls:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The stored result of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    measure(folder)
    return (folder / RESULT).read_bytes()


@pytest.mark.parametrize("place", ["numpy", "numba"])
def test_interruptions_leave_no_trace_in_the_result(place, tmp_path):
    whole = measure(tmp_path / "whole", backend=place)
    folder, sessions = tmp_path / "parts", 0
    while not (folder / RESULT).exists():
        sessions += 1
        try:
            found = measure(folder, resume=True, backend=place, progress=Interrupting(5))
        except KeyboardInterrupt:
            assert (folder / CHECKPOINT).exists()
    assert sessions > 5
    assert (folder / RESULT).read_bytes() == (tmp_path / "whole" / RESULT).read_bytes()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert sorted(path.name for path in folder.iterdir()) == [SESSIONS, RESULT]
    assert len(json.loads((folder / SESSIONS).read_text())["sessions"]) == sessions
    np.testing.assert_array_equal(found.mean, whole.mean)


def test_a_finished_run_is_read_not_run_again(tmp_path, whole):
    first = measure(tmp_path)
    again = measure(tmp_path, resume=True, progress=lambda *_: pytest.fail("it ran"))
    for name in ("steps", "mean", "standard_error", "diverged"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    assert {k: v.tolist() for k, v in again.quantiles.items()} == {k: v.tolist() for k, v in first.quantiles.items()}
    assert (tmp_path / RESULT).read_bytes() == whole


def test_another_seed_has_another_result(tmp_path, whole):
    measure(tmp_path, seed=1)
    assert json.loads((tmp_path / RESULT).read_text())["risk"] != json.loads(whole)["risk"]


def test_a_diverged_run_is_stored_and_read_back(tmp_path):
    first = measure(tmp_path, lr=1e6)
    assert np.isinf(first.mean[-1])
    np.testing.assert_array_equal(measure(tmp_path, lr=1e6, resume=True).mean, first.mean)


@pytest.fixture
def interrupted(tmp_path):
    """A folder with a checkpoint in the middle of the second chunk."""
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, progress=Interrupting(30))
    return tmp_path


OTHERS = {
    "seed was 0, now 1": dict(seed=1),
    "steps was 60, now 61": dict(steps=61),
    "seeds was 30, now 31": dict(seeds=31),
    "dtype was float64, now float32": dict(dtype="float32"),
    "hyperparameter lr was 0.3, now 0.2": dict(lr=0.2),
    "hyperparameter beta was 0.9, now 0.8; hyperparameter lr was 0.3, now 0.2": dict(lr=0.2, beta=0.8),
    "problem batch was 3, now 4": dict(problem=problems.make("linear_regression", dim=5, batch=4, label_noise=1.0)),
    "problem spectrum has changed": dict(
        problem=problems.make("linear_regression", dim=5, batch=3, label_noise=1.0, spectrum=[5.0, 4.0, 3.0, 2.0, 1.0])
    ),
    "optimizer was schedule_free, now schedule_free_adamw": dict(rule=optimizers.find("schedule_free_adamw")),
}


@pytest.mark.parametrize("difference", OTHERS)
@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_are_refused_and_named(difference, finished, interrupted):
    if finished:
        measure(interrupted, resume=True)
    before = {path.name: path.read_bytes() for path in interrupted.iterdir()}
    with pytest.raises(InputError) as error:
        measure(interrupted, resume=True, **OTHERS[difference])
    assert difference in str(error.value)
    assert "holds another simulation" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert {path.name: path.read_bytes() for path in interrupted.iterdir()} == before


def redefined(power):
    @optimizer(positions="w", returns="w", lr=step_size(0.1))
    def mine(s, t, h):
        """One name, several rules."""
        g = yield s.w
        return dict(w=s.w - h.lr * g / (t + 1) ** power)

    return mine


def test_a_rule_that_was_rewritten_is_noticed(tmp_path):
    def run(rule, schedule):
        simulate(rule, PROBLEM, 9, 2, backend="numpy", out=tmp_path, resume=True, lr=schedule)

    run(redefined(1), lambda t: 0.1 / (t + 1))
    run(redefined(1), lambda t: 0.1 / (t + 1))
    with pytest.raises(InputError, match="rule has changed"):
        run(redefined(2), lambda t: 0.1 / (t + 1))
    with pytest.raises(InputError, match="schedules has changed"):
        run(redefined(1), lambda t: 0.2 / (t + 1))


def test_a_damaged_checkpoint_is_refused(interrupted, whole):
    path = interrupted / CHECKPOINT
    good = path.read_bytes()
    for bad in (
        good[:-1],
        good[:200],
        b"",
        good[:-300] + b"x" + good[-299:],
        good.replace(b"checkpoint 1", b"checkpoint 9"),
    ):
        path.write_bytes(bad)
        with pytest.raises(InputError, match="is damaged, or of another version: remove it") as error:
            measure(interrupted, resume=True)
        assert len(str(error.value).splitlines()) == 1
        assert path.read_bytes() == bad
    path.write_bytes(good)
    measure(interrupted, resume=True)
    assert (interrupted / RESULT).read_bytes() == whole


def test_a_folder_in_use_is_not_written_over(interrupted, whole):
    for _ in range(2):
        with pytest.raises(InputError, match="holds a simulation already: go on with it by --resume"):
            measure(interrupted)
        measure(interrupted, resume=True)
    assert (interrupted / RESULT).read_bytes() == whole


def test_timings_that_cannot_be_read_do_not_stop_a_run(interrupted, whole):
    (interrupted / SESSIONS).write_text("{")
    measure(interrupted, resume=True)
    assert (interrupted / RESULT).read_bytes() == whole


def test_a_full_disk_loses_nothing_that_was_saved(interrupted, whole, monkeypatch):
    before = (interrupted / CHECKPOINT).read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for every in (0, checkpoint.EVERY):  # the next checkpoint, the result
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            patch.setattr(checkpoint, "EVERY", every)
            with pytest.raises(InputError, match="No space left on device; make room; what was saved before is kept"):
                measure(interrupted, resume=True)
        assert (interrupted / CHECKPOINT).read_bytes() == before
        assert sorted(path.name for path in interrupted.iterdir()) == [CHECKPOINT, SESSIONS]
    measure(interrupted, resume=True)
    assert (interrupted / RESULT).read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_noticed_before_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        measure(tmp_path / "file" / "run", progress=lambda *_: pytest.fail("it ran"))


def test_a_folder_is_one_runs_at_a_time_and_free_once_its_run_has_died(interrupted, whole):
    ended = []

    def second(*_):
        if not ended:
            with pytest.raises(InputError, match=rf"process {os.getpid()} is writing into .*: wait for it") as error:
                measure(interrupted, resume=True)
            ended.append(error)

    (interrupted / ".lock").write_text("1\n")  # of a process that left it behind
    measure(interrupted, resume=True, progress=second)
    assert ended
    assert (interrupted / RESULT).read_bytes() == whole
    assert not (interrupted / ".lock").exists()


def test_a_changed_digit_of_a_result_is_noticed(interrupted, whole):
    measure(interrupted, resume=True)
    path = interrupted / RESULT
    place = whole.index(b"1", whole.index(b'"risk"'))
    path.write_bytes(whole[:place] + b"2" + whole[place + 1 :])
    with pytest.raises(InputError, match="is not as it was stored"):
        measure(interrupted, resume=True)
    path.write_bytes(whole)
    measure(interrupted, resume=True)


def test_resuming_needs_a_folder():
    with pytest.raises(InputError, match="name it with --out"):
        measure(None, resume=True)


# -- the command, really killed ----------------------------------------------------------------------------------------

COMMAND = [
    "simulate",
    "schedule_free",
    "--problem",
    "quadratic",
    "--dim",
    "1024",
    "--grad-noise",
    "1",
    "--steps",
    "150",
]
COMMAND += ["--seeds", "70", "--backend", "numpy", "--set", "lr=0.3", "--set", "warmup_steps=5", "--out"]
# A process that kills itself in the middle of its k-th call of a function of `os`, a file it writes being half there.
KILLED = """
import os, signal, sys
from accelsim import cli
from accelsim.simulation import checkpoint
checkpoint.EVERY = float(sys.argv.pop(1))
name, left = sys.argv.pop(1), int(sys.argv.pop(1))
real = getattr(os, name)
def dying(file, *rest):
    global left
    left -= 1
    if not left:
        if name == "fsync":
            os.ftruncate(file, os.fstat(file).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    return real(file, *rest)
setattr(os, name, dying)
cli.main()
"""


def run(*arguments):
    """Run the command in this process; returns its exit code."""
    before, sys.argv = sys.argv, ["accelsim", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as stop:
            cli.main()
    finally:
        sys.argv = before
    return stop.value.code


def start(*arguments, every=0.0, dies=("fsync", -1)):
    code = [sys.executable, "-c", KILLED, str(every), *map(str, dies), *map(str, arguments)]
    return subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert run(*COMMAND, folder) == 0
    return (folder / RESULT).read_bytes()


MOMENTS = {
    "before the first checkpoint": (0.0, "fsync", 1),
    "between a checkpoint and its timings": (0.0, "fsync", 2),
    "while a later checkpoint is written": (0.0, "fsync", 17),
    "before a checkpoint takes its place": (0.0, "replace", 23),
    "while the result is written": (1e9, "fsync", 1),
    "between the result and its timings": (1e9, "fsync", 2),
    "before the checkpoint is removed": (0.0, "unlink", 2),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_to_the_same_bytes(moment, tmp_path, uninterrupted):
    every, *dies = MOMENTS[moment]
    process = start(*COMMAND, tmp_path, every=every, dies=dies)
    assert (process.communicate()[1], process.returncode) == ("", -signal.SIGKILL)
    assert run(*COMMAND, tmp_path, "--resume") == 0
    assert (tmp_path / RESULT).read_bytes() == uninterrupted
    assert {path.name for path in tmp_path.iterdir()} <= {SESSIONS, RESULT}


def until(condition, seconds=20):
    for _ in range(100 * seconds):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("the run did not get there")


def test_a_run_killed_from_outside_again_and_again_goes_on_to_the_same_bytes(tmp_path, uninterrupted):
    path, places = tmp_path / CHECKPOINT, []
    for _ in range(3):
        process = start(*COMMAND, tmp_path, "--resume")
        until(lambda: path.exists() and path.read_bytes() not in places)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        places.append(path.read_bytes())
    assert len(set(places)) == 3
    assert run(*COMMAND, tmp_path, "--resume") == 0
    assert (tmp_path / RESULT).read_bytes() == uninterrupted


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_end_save_and_print_the_command_that_goes_on(sent, tmp_path, uninterrupted):
    process = start(*COMMAND, tmp_path, every=0.0)
    until((tmp_path / CHECKPOINT).exists)
    process.send_signal(sent)
    _, printed = process.communicate()
    assert process.returncode == 130
    (line,) = printed.splitlines()
    said, _, command = line.partition("go on with: ")
    assert said == "accelsim: interrupted, and saved; "
    assert run(*shlex.split(command)[1:]) == 0
    assert (tmp_path / RESULT).read_bytes() == uninterrupted


def test_progress_is_told_to_a_terminal_only(tmp_path, capsys, monkeypatch):
    assert run(*COMMAND, tmp_path / "silent") == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(*COMMAND, tmp_path / "quiet", "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert run(*COMMAND, tmp_path / "bar") == 0
    printed = capsys.readouterr().err
    for part in ("on numpy", "100%", "coordinate-steps/s", "left"):
        assert part in printed
