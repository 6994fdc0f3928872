"""On a GPU: kernels take the paths of the plain engine and of Numba's kernels, replica by replica.

To the bit where no total couples coordinates, and elsewhere within the rounding of sums in another order.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import pytest
from conftest import seed_of
from test_cuda import (
    AMPLIFIED,
    COUPLED,
    FIRST,
    FREE,
    ROUNDINGS,
    STEPS,
    apart,
    find,
    quadratic,
    taken,
)
from test_cuda import plain as on_numpy
from test_cuda import table as table

from accelsim.errors import InputError
from accelsim.rule import optimizer, step_size
from accelsim.simulation import backends, driver

try:
    CUDA, CUPY = backends.find("cuda"), backends.find("cupy")
except InputError as error:
    pytest.skip(str(error), allow_module_level=True)

COUNT = 70


@optimizer(positions="w", memories=dict(m=1e-37), returns="w", lr=step_size(0.01))
def fading(s, t, h):
    """A memory that halves, through the subnormal numbers of single precision."""
    g = yield s.w
    return dict(w=s.w - h.lr * g, m=0.5 * s.m)


CASES = {
    f"{case}, {dim} coordinates": (rule, problem_of(dim), values)
    for case, (rule, problem_of, values, dims) in FREE.items()
    for dim in dims
} | {"subnormal": (fading, quadratic(5), {})}


def on_cuda(rule, problem, values, dtype, seed, count=COUNT):
    run = taken(CUDA.make(rule, problem, values, FIRST, count, seed, dtype))
    return run.save()["states"][:, :, : problem.dim], run.risks()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_without_totals_replicas_take_the_same_paths_to_the_bit(case, dtype):
    rule, problem, values = CASES[case]
    seed = seed_of(f"{case} {dtype}") + 2**40
    states, risks = on_numpy(rule, problem, values, dtype, seed, COUNT)
    numba = taken(backends.find("numba").make(rule, problem, values, FIRST, COUNT, seed, dtype)).risks()
    found, found_risks = on_cuda(rule, problem, values, dtype, seed)
    np.testing.assert_array_equal(found, states)
    np.testing.assert_allclose(found_risks, risks, rtol=ROUNDINGS * np.finfo(dtype).eps)
    np.testing.assert_allclose(found_risks, numba, rtol=ROUNDINGS * np.finfo(dtype).eps)
    assert not np.array_equal(on_cuda(rule, problem, values, dtype, seed - 2**40)[0], states)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", COUPLED)
def test_with_totals_replicas_take_the_same_paths_within_rounding(case, dtype):
    rule, problem_of, values, dim = COUPLED[case]
    problem, most = problem_of(dim), ROUNDINGS * AMPLIFIED.get(case, 1)
    seed = seed_of(f"{case} {dtype}") + 2**40
    states, risks = on_numpy(rule, problem, values, dtype, seed, COUNT)
    found, found_risks = on_cuda(rule, problem, values, dtype, seed)
    assert apart(found, states) < most
    np.testing.assert_allclose(found_risks, risks, rtol=most * np.finfo(dtype).eps)
    np.testing.assert_array_equal(on_cuda(rule, problem, values, dtype, seed)[0], found)
    assert apart(on_cuda(rule, problem, values, dtype, seed - 2**40)[0], states) > 50 * most


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", ["accelerated_sgd", "mars", "plrf"])
def test_the_plain_engine_on_the_gpu_takes_its_path_on_the_cpu(case, dtype):
    rule, problem_of, values, dims = (FREE | COUPLED)[case]
    problem, seed = problem_of(dims if isinstance(dims, int) else 5), seed_of(f"{case} {dtype}")
    _, risks = on_numpy(rule, problem, values, dtype, seed, COUNT)
    run = taken(CUPY.make(rule, problem, values, FIRST, COUNT, seed, dtype))
    np.testing.assert_allclose(run.risks(), risks, rtol=ROUNDINGS * STEPS * np.finfo(dtype).eps)
    other = taken(CUPY.make(rule, problem, values, FIRST, COUNT, seed + 1, dtype))
    assert np.abs(other.risks() / risks - 1).max() > 50 * ROUNDINGS * STEPS * np.finfo(dtype).eps


def test_simulations_on_cpu_and_gpu_agree():
    rule, problem = find("accelerated_sgd"), quadratic(300)
    values = dict(eta=0.005, alpha=0.01, beta=0.9)
    numba, cuda = (
        driver.simulate(rule, problem, 1000, 200, backend=place, dtype="float64", **values)
        for place in ("numba", "cuda")
    )
    assert cuda.backend == "cuda"
    np.testing.assert_allclose(cuda.mean, numba.mean, rtol=1e-12)
    other = driver.simulate(rule, problem, 1000, 200, backend="cuda", dtype="float64", seed=1, **values)
    assert np.abs(other.mean / numba.mean - 1).max() > 1e-6
