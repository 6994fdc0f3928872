"""Kernels take the plain engine's path: to the bit where there are only arithmetic and roots by coordinate, else within
its rounding."""

import json
import os
import subprocess
import sys

import kernel_rules
import numpy as np
import pytest
from conftest import seed_of

from accelsim import cli, optimizers, problems
from accelsim.elementary import sqrt
from accelsim.errors import InputError
from accelsim.rule import optimizer, step_size
from accelsim.simulation import backends, driver, numba_run
from accelsim.simulation.layout import ACROSS, Layout

FIRST, COUNT, STEPS = 3, 70, 12  # more replicas than a tile has lanes, and no multiple of them
ROUNDINGS = 64  # of the largest entry of a replica, from sums in another order


def made(backend, rule, problem, values, dtype, seed, first=FIRST, count=COUNT):
    return backends.find(backend).make(rule, problem, values, first, count, seed, dtype)


def states(run, rule, problem, dtype, count=COUNT):
    """State by replica and coordinate, (states, replicas, d), of either engine; but for uniform states."""
    saved = run.save()
    names = [name for name in rule.states if name not in rule.program().uniform]
    if set(saved) == set(rule.states):
        return np.array([np.broadcast_to(saved[name], (count, problem.dim)) for name in names], dtype)
    layout = Layout(problem.dim, dtype)
    return np.array([layout.unpacked(saved["states"][:, :, i], count) for i in range(len(names))])


def paths(rule, problem, values, dtype, change=None):
    """States and risks of both engines; with a change, the kernel's run has these values or this seed instead."""
    seed = seed_of(f"{rule.name} {problem.name} {problem.dim} {dtype}")
    other = {"seed": seed, "values": values, **(change or {})}
    runs = made("numpy", rule, problem, values, dtype, seed), made("numba", rule, problem, dtype=dtype, **other)
    for run in runs:
        run.advance(1)
        run.advance(STEPS - 1)
    return [(states(run, rule, problem, dtype), run.risks()) for run in runs]


def apart(plain, fast):
    """The largest difference of a replica's states, in roundings of its largest entry."""
    largest = np.abs(plain).max(axis=(0, 2))
    return (np.abs(plain - fast).max(axis=(0, 2)) / largest / np.finfo(plain.dtype).eps).max()


def quadratic(dim):
    return problems.make("quadratic", dim=dim, grad_noise=1.0)


# -- rules -------------------------------------------------------------------------------------------------------------

find = optimizers.find
FREE = {
    "nesterov": (find("nesterov"), dict(lr=0.05, beta=0.9), "float32", 5),
    "adamw": (find("adamw"), dict(lr="0.01/sqrt(t+1)", weight_decay=0.1), "float64", 300),
    "lion": (find("lion"), dict(lr=0.01), "float32", 5),
    "schedule_free": (find("schedule_free"), dict(lr=0.3, warmup_steps=5), "float64", 5),
    "extragradient": (kernel_rules.extragradient, dict(lr=0.1), "float32", 300),
    "littered": (kernel_rules.littered, {}, "float64", 5),
    "timed": (kernel_rules.timed, {}, "float64", 5),
    "bare": (kernel_rules.bare, {}, "float64", 5),
    "unusual": (kernel_rules.unusual, {}, "float32", 1),
    "unusual, three coordinates": (kernel_rules.unusual, {}, "float32", 3),
    "unusual, five coordinates": (kernel_rules.unusual, {}, "float32", 5),
    "unusual, many coordinates": (kernel_rules.unusual, {}, "float64", ACROSS + 1),
}


@pytest.mark.parametrize("case", FREE)
def test_without_totals_paths_are_the_same_bits(case):
    rule, values, dtype, dim = FREE[case]
    (plain, risks), (fast, fast_risks) = paths(rule, quadratic(dim), values, dtype)
    np.testing.assert_array_equal(fast, plain)
    np.testing.assert_allclose(fast_risks, risks, rtol=ROUNDINGS * np.finfo(dtype).eps)
    assert np.isfinite(fast_risks).all()
    other = [dict(values={**values, "lr": 0.0101})] if rule.hyperparameters else []
    for change in (dict(seed=1), *other):
        (plain, _), (fast, _) = paths(rule, quadratic(dim), values, dtype, change)
        assert not np.array_equal(fast, plain)


COUPLED = {
    "mars": (find("mars"), dict(lr=0.01, gamma=0.5), "float64", 5),
    "coupled": (kernel_rules.coupled, {}, "float32", ACROSS + 1),
    "coupled, padded less": (kernel_rules.coupled, {}, "float32", 300),
}


@pytest.mark.parametrize("case", COUPLED)
def test_with_totals_paths_differ_by_rounding(case):
    rule, values, dtype, dim = COUPLED[case]
    (plain, risks), (fast, fast_risks) = paths(rule, quadratic(dim), values, dtype)
    assert apart(plain, fast) < ROUNDINGS
    np.testing.assert_allclose(fast_risks, risks, rtol=ROUNDINGS * np.finfo(dtype).eps)
    for change in (dict(seed=1), dict(values={**values, "lr": 0.0101})):
        (plain, _), (fast, _) = paths(rule, quadratic(dim), values, dtype, change)
        assert apart(plain, fast) > 50 * ROUNDINGS


# -- problems ----------------------------------------------------------------------------------------------------------

SGD = find("sgd"), dict(lr=0.02)
PROBLEMS = {
    "linear_regression": (*FREE["schedule_free"][:2], "float64", dict(dim=5, batch=3, label_noise=1.0)),
    "independent": (
        *(find("mars_exact_sgd"), dict(lr=0.1, beta=0.5, gamma=0.5), "float64"),
        dict(dim=5, batch=3, kurtosis=5.0, label_noise=0.5),
    ),
    "one_hot": (*SGD, "float32", dict(dim=300, batch=3, kurtosis=1000.0, label_noise=0.5)),
    "plrf": (*SGD, "float32", dict(dim=9, features_seed=1, data_exponent=1.0, target_exponent=0.7)),
    "dataset": (*SGD, "float64", dict(data="table.npy", target=0, batch=3)),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_sampler_runs_in_kernels(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("table.npy", np.random.default_rng(seed_of(name)).standard_normal((40, 300)))
    rule, values, dtype, options = PROBLEMS[name]
    problem = problems.make(name, **options)
    (plain, risks), (fast, fast_risks) = paths(rule, problem, values, dtype)
    assert apart(plain, fast) < ROUNDINGS
    np.testing.assert_allclose(fast_risks, risks, rtol=ROUNDINGS * np.finfo(dtype).eps)
    (plain, _), (fast, _) = paths(rule, problem, values, dtype, dict(seed=1))
    assert apart(plain, fast) > 50 * ROUNDINGS


def test_no_problem_is_left_out():
    assert {"quadratic", *PROBLEMS} == set(problems.known())


# -- the run -----------------------------------------------------------------------------------------------------------

RUNS = {case: FREE[case] for case in ("adamw", "schedule_free")} | {case: COUPLED[case] for case in ("mars", "coupled")}


@pytest.mark.parametrize("case", RUNS)
def test_a_path_depends_neither_on_the_other_replicas_nor_on_threads(case, monkeypatch):
    rule, values, dtype, dim = RUNS[case]
    problem = quadratic(dim)

    def path(threads, first, count, seed=7):
        monkeypatch.setattr(numba_run, "_threads", lambda: threads)
        run = made("numba", rule, problem, values, dtype, seed, first, count)
        run.advance(STEPS)
        return states(run, rule, problem, dtype, count)

    whole = path(1, 0, 150)
    for threads, first, count in ((2, 0, 150), (7, 0, 150), (2, 0, 1), (3, 1, 65), (1, 149, 1)):
        np.testing.assert_array_equal(path(threads, first, count), whole[:, first : first + count])
    assert not np.array_equal(path(1, 1, 1), whole[:, :1])
    assert not np.array_equal(path(1, 0, 1, seed=7 + 2**40), whole[:, :1])


@pytest.mark.parametrize("case", RUNS)
def test_a_path_does_not_depend_on_how_its_steps_are_split(case, monkeypatch):
    rule, values, dtype, dim = RUNS[case]
    problem = quadratic(dim)

    def path(pieces, stretch):
        monkeypatch.setattr(numba_run, "STRETCH", stretch)
        run, taken = made("numba", rule, problem, values, dtype, 7), 0
        for steps in pieces:
            saved, run = run.save(), made("numba", rule, problem, values, dtype, 7)
            run.load(saved, taken)
            run.advance(steps)
            taken += steps
        return states(run, rule, problem, dtype)

    whole = path([30], 4096)
    np.testing.assert_array_equal(path([30], 7), whole)
    np.testing.assert_array_equal(path([1, 0, 12, 17], 7), whole)
    assert not np.array_equal(path([1, 12, 16], 7), whole)


def test_divergence_is_found_where_the_plain_engine_finds_it():
    rule, values, dtype, options = PROBLEMS["independent"]
    problem = problems.make("independent", **{**options, "kurtosis": 50.0})
    plain, fast = (
        driver.simulate(rule, problem, 300, 99, backend=place, dtype=dtype, **{**values, "lr": 0.3})
        for place in ("numpy", "numba")
    )
    np.testing.assert_array_equal(fast.diverged, plain.diverged)
    assert 0 < plain.diverged[-1] < 99
    for level, risks in plain.quantiles.items():
        np.testing.assert_allclose(fast.quantiles[level], risks, rtol=1e-9)


def raised(place, scale):
    @optimizer(positions="w", returns="w", lr=step_size(0.1))
    def scaled(s, t, h):
        """Its step is a function of t."""
        g = yield s.w
        return dict(w=s.w - h.lr * scale(t) * g)

    run = made(place, scaled, quadratic(5), {}, "float64", 7)
    with pytest.raises(InputError) as error:
        run.advance(10)
    return str(error.value)


WRONG = {
    "'scaled' raised ZeroDivisionError at step 4": lambda t: 1 / (t - 4),
    "'scaled' raised ValueError at step 5": lambda t: sqrt(4 - t),
    "'scaled' raised OverflowError at step 2": lambda t: 10 ** (200 * t),
    "'scaled' took a root of a negative number": lambda t: (4 - t) ** 0.5,
}


@pytest.mark.parametrize("what", WRONG)
def test_a_rule_that_cannot_go_on_is_told_so_in_the_same_words(what):
    assert raised("numba", WRONG[what]) == raised("numpy", WRONG[what])
    assert what in raised("numba", WRONG[what])


def measured(capsys, monkeypatch, *arguments):
    command = ["accelsim", "simulate", *arguments, "--steps", "9", "--seeds", "70", "--grad-noise", "1", "--json"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    printed = capsys.readouterr()
    assert stop.value.code == 0, printed.err
    return json.loads(printed.out)


def test_a_users_rule_is_accelerated_like_a_shipped_one(capsys, monkeypatch):
    given = ("unusual", "--rules", kernel_rules.__file__, "--problem", "quadratic", "--dim", "5", "--dtype", "float32")
    plain, fast, other = (
        measured(capsys, monkeypatch, *given, *more)
        for more in (("--backend", "numpy"), ("--backend", "numba"), ("--backend", "numba", "--seed", "1"))
    )
    assert fast["backend"] == "numba"
    np.testing.assert_allclose(fast["risk"], plain["risk"], rtol=1e-5)
    assert abs(np.array(other["risk"]) / plain["risk"] - 1).max() > 1e-3


FORKED = """
import os, signal
import accelsim
from accelsim import problems
from accelsim.optimizers import find

def run():
    problem = problems.make("quadratic", dim=2000)
    return accelsim.simulate(find("sgd"), problem, 50, 64, backend="numba", lr=0.1).mean.tolist()

before = run()
child = os.fork()
if not child:
    signal.alarm(60)  # a child that waits for its parent's threads would do so for ever
    os._exit(run() != before)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_simulates_what_its_parent_did():
    assert subprocess.run([sys.executable, "-c", FORKED], check=False, timeout=240).returncode == 0
