"""Numbers do not depend on the threads that BLAS may take, and the setting is the caller's again afterwards."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

import accelsim
from accelsim import optimizers, problems
from accelsim.errors import InputError
from accelsim.exact.stationary import rates
from accelsim.exact.tune import tuning
from accelsim.threads import single_threaded

pytestmark = pytest.mark.numeric

WIDE = dict(features_seed=1, data_exponent=0.5, target_exponent=0.7, dim=300)


def allowed():
    """The numbers of threads that the BLAS libraries may take."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def two():
    """BLAS libraries that may take two threads."""
    np.linalg.inv(np.eye(2))
    with threadpool_limits(2, "blas"):
        if allowed() != {2}:
            pytest.skip("BLAS takes one thread only here")
        yield


def answers():
    table = problems.make("dataset", data="diabetes", batch=64)
    wide = problems.make("plrf", **WIDE)
    rule, values = optimizers.find("accelerated_sgd"), dict(eta=0.01, alpha=0.1, beta=0.9)
    risk = accelsim.risk(rule, table, 30, **values)
    simulation = accelsim.simulate(rule, wide, 20, 4, backend="numpy", **values)
    return [
        wide.spectrum,
        *(accelsim.rate(rule, problem, **values).rho for problem in (table, wide)),
        *(question(rule, table, **values) for question in (rates.gap, rates.stable, rates.floor)),
        risk.bias,
        risk.variance,
        simulation.mean,
        accelsim.tune(rule, table, "rate", budget=30).value,
    ]


QUESTIONS = {
    "rate": lambda rule, problem: rates.rate(rule, problem, lr=0.1, beta=0.5),
    "gap": lambda rule, problem: rates.gap(rule, problem, lr=0.1, beta=0.5),
    "stable": lambda rule, problem: rates.stable(rule, problem, lr=0.1, beta=0.5),
    "floor": lambda rule, problem: rates.floor(rule, problem, lr=0.1, beta=0.5),
    "edge": lambda rule, problem: rates.edge(rule, problem, "lr", lr=0.1, beta=0.5),
    "over_grid": lambda rule, problem: rates.over_grid(rule, problem, dict(lr=np.ones(1), beta=np.zeros(1))),
    "risk": lambda rule, problem: accelsim.risk(rule, problem, 3, lr=0.1, beta=0.5),
    "simulate": lambda rule, problem: accelsim.simulate(rule, problem, 3, 2, backend="numpy", lr=0.1, beta=0.5),
    "tune": lambda rule, problem: accelsim.tune(rule, problem, "risk@3", budget=10),
    "envelope": lambda rule, problem: tuning.envelope(problem, "rate", budget=10),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_whoever_asks_for_numbers_asks_on_one_thread(two, name):
    seen = set()
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    problem = problems.make("quadratic", dim=4, grad_noise=1.0)

    class Watched(type(problem)):
        def __getattribute__(self, attribute):
            if attribute in ("spectrum", "start"):
                seen.update(library.num_threads for library in libraries)
            return super().__getattribute__(attribute)

    object.__setattr__(problem, "__class__", Watched)
    QUESTIONS[name](optimizers.find("heavy_ball"), problem)
    assert seen == {1}
    assert problem.spectrum.size == 4
    assert seen == {1, 2}


def test_answers_are_the_same_bits_with_one_and_two_threads(two):
    with_two = answers()
    with threadpool_limits(1, "blas"):
        with_one = answers()
    for one, other in zip(with_one, with_two, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_setting_is_the_callers_again_afterwards(two):
    @single_threaded
    def inside(depth):
        assert allowed() == {1}
        if depth:
            inside(depth - 1)
        assert allowed() == {1}

    inside(3)
    assert allowed() == {2}
    with pytest.raises(InputError):
        accelsim.rate(optimizers.find("adamw"), problems.make("quadratic"))
    assert allowed() == {2}


def test_threads_that_overlap_keep_the_limit_until_the_last_one_is_out(two):
    inside, first_out = threading.Barrier(2, timeout=60), threading.Event()

    def first():
        with single_threaded:
            inside.wait()
        first_out.set()

    def second():
        with single_threaded:
            inside.wait()
            assert first_out.wait(60)
            return allowed()

    with ThreadPoolExecutor(2) as pool:
        pool.submit(first)
        assert pool.submit(second).result() == {1}
    assert allowed() == {2}


def test_the_limit_costs_less_than_fifty_microseconds_and_nothing_within_another():
    def each(count=50):
        began = perf_counter()
        for _ in range(count):
            with single_threaded:
                pass
        return (perf_counter() - began) / count

    outermost = min(each() for _ in range(20))
    with single_threaded:
        nested = min(each() for _ in range(20))
    assert outermost < 50e-6
    assert nested < 5e-6
