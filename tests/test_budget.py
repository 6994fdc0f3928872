"""A budget is counted work: the same question has the same answer and the same count, whatever else a machine does."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction

import pytest
import sympy
from typer.testing import CliRunner

from accelsim.cli._common import app
from accelsim.optimizers import find
from accelsim.symbolic.algebra import budget
from accelsim.symbolic.algebra.budget import Clock, OutOfTime, charge, done, kept, of_number
from accelsim.symbolic.algebra.factor import factors
from accelsim.symbolic.algebra.field import Field, reduced
from accelsim.symbolic.find.finder import equivalent

QUESTIONS = [("heavy_ball", "accelerated_sgd"), ("mass", "mars_sgd"), ("nesterov", "heavy_ball")]
PAIRS = [(find(a), find(b)) for a, b in QUESTIONS]


def counted(a, b, budget=10.0):
    """An answer, and the work that it took."""
    before = done()
    answer = equivalent(a, b, budget=budget)
    return json.dumps(answer.to_json(), sort_keys=True, default=str), done() - before


@pytest.fixture
def busy():
    """Another thread that takes turns with this one."""
    ended = threading.Event()

    def work():
        x = sympy.Symbol("x")
        while not ended.is_set():
            reduced(1 / (1 + x))

    thread = threading.Thread(target=work)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.fixture(scope="module")
def alone():
    return [counted(*pair) for pair in PAIRS]


def test_a_question_takes_the_same_work_beside_a_busy_thread(alone, busy):
    assert [counted(*pair) for pair in PAIRS] == alone
    assert all(work > 0 for _, work in alone)


def test_a_question_takes_the_same_work_in_another_process_with_other_hashes(alone):
    script = "import sys, json, test_budget as t; print(json.dumps([t.counted(*pair) for pair in t.PAIRS]))"
    here = os.path.dirname(__file__)
    options = dict(os.environ, PYTHONHASHSEED="7", PYTHONPATH=here)
    run = subprocess.run([sys.executable, "-c", script], env=options, capture_output=True, text=True, check=True)
    assert [tuple(each) for each in json.loads(run.stdout)] == alone


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_a_budget_that_is_too_small_ends_at_the_same_place(alone, share):
    """What is remembered by now took no time, and is counted all the same."""
    work = alone[1][1] / 700_000
    first = counted(*PAIRS[1], budget=share * work)
    for cache in (reduced, factors):
        cache.cache_clear()
    assert counted(*PAIRS[1], budget=share * work) == first


def test_threads_count_their_own_work(alone):
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda pair: counted(*pair), PAIRS)) == alone


def test_nothing_of_the_caller_is_touched():
    before = [signal.getsignal(number) for number in (signal.SIGPROF, signal.SIGALRM, signal.SIGVTALRM)]
    with suppress(OutOfTime), Clock(0.001).enforced():
        assert [signal.getsignal(number) for number in (signal.SIGPROF, signal.SIGALRM, signal.SIGVTALRM)] == before
        assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)
        power = sum(sympy.symbols("x:9")) ** 5
        Field([power]).element(power)
        pytest.fail("a budget was exceeded")
    charge(10**9)  # which no budget counts any more


def test_an_inner_budget_leaves_the_outer_one_as_it_was():
    outer = Clock(1)
    with outer.enforced():
        with pytest.raises(OutOfTime), outer.at_most(0.1).enforced():
            charge(10**9)
        outer.check()
        assert outer.left == pytest.approx(0.9)
        with pytest.raises(OutOfTime), outer.at_most(5).enforced():
            charge(10**9)
        assert outer.left == 0
        with pytest.raises(OutOfTime):
            outer.check()


def test_work_that_is_remembered_counts_as_it_did():
    calls = []

    @kept(4)
    def laborious(n):
        calls.append(n)
        charge(n)
        return n

    for _ in range(2):
        before = done()
        assert laborious(100) == 100
        assert done() - before == 100
    assert calls == [100]


def test_an_undecided_answer_says_what_would_decide_it():
    answer = equivalent(*PAIRS[0], budget=0.001)
    assert answer.status == "undecided"
    assert answer.reason == "not decided within a budget of 0.001: --budget 0.002 asks for more"
    assert equivalent(*PAIRS[0]).status == "equivalent"


def asked(*options):
    shown = CliRunner().invoke(app, ["equivalent", "heavy_ball", "accelerated_sgd", "--json", *options])
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


def test_a_limit_in_seconds_ends_the_search_and_changes_no_answer():
    late = asked("--seconds", "0.1")
    assert late["status"] == "undecided"
    assert late["reason"] == "not decided within 0.1 s: --seconds asks for more"
    assert asked("--seconds", "120") == asked()


def test_numbers_of_many_digits_count_for_more():
    assert of_number(Fraction(3, 7)) == of_number(0) == 0
    assert of_number(Fraction(3**2000, 7**2000)) > 50 * of_number(Fraction(3**200, 7**200)) > 0


def test_computing_time_ends_what_is_counted_too_low(monkeypatch):
    def goes_on():
        with Clock(1.0).enforced():
            for _ in range(4):
                charge(1 << budget.LOOKED)

    goes_on()
    monkeypatch.setattr(budget, "SECONDS", 0.0)
    with pytest.raises(OutOfTime):
        goes_on()
    charge(1 << budget.LOOKED)  # outside, nothing is enforced any more
