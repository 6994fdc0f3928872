"""CUDA kernels, checked without a GPU: compiled for one, and run on the host under threads that take turns."""

import importlib.util
import shutil
import subprocess
from functools import partial
from pathlib import Path

import cuda_host
import kernel_rules
import numpy as np
import pytest
from conftest import seed_of

from accelsim import optimizers, problems
from accelsim.simulation import backends, cuda_run, driver
from accelsim.simulation.cuda_run import CudaRun
from accelsim.simulation.cuda_source import OPTIONS, CudaWriter
from accelsim.simulation.joined import joined

FIRST, STEPS = 3, 10
ROUNDINGS = 64  # of the largest entry of a replica, from sums in another order
ACCELERATED = dict(eta=0.005, alpha=0.01, beta=0.9)
find = optimizers.find

compiled_for_the_host = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++, which is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


def quadratic(dim, **options):
    return problems.make("quadratic", dim=dim, grad_noise=1.0, **options)


def regression(dim, batch=5):
    return problems.make("linear_regression", dim=dim, batch=batch, label_noise=0.1)


def dataset(dim):
    return problems.make("dataset", data="table.npy", target=0, batch=3)


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("table.npy", np.random.default_rng(seed_of("table")).standard_normal((40, 12)))


def taken(run, steps=STEPS):
    run.advance(1)
    run.advance(steps - 1)
    return run


def on_cuda(folder, rule, problem, values, dtype, seed, count, first=FIRST, **options):
    """States (states, replicas, d), padding left out, and risks."""
    run = CudaRun(rule, problem, values, first, count, seed, dtype, device=cuda_host.device(folder, **options))
    taken(run)
    return run.save()["states"][:, :, : problem.dim], run.risks()


def plain(rule, problem, values, dtype, seed, count, first=FIRST):
    run = taken(backends.find("numpy").make(rule, problem, values, first, count, seed, dtype))
    saved = run.save()
    names = [name for name in rule.states if name not in rule.program().uniform]
    return np.array([np.broadcast_to(saved[name], (count, problem.dim)) for name in names], dtype), run.risks()


def apart(found, expected):
    """The largest difference of a replica's states, in roundings of its largest entry; infinite where one is NaN."""
    scale = np.abs(expected).max(axis=(0, 2)) * np.finfo(expected.dtype).eps
    return np.nan_to_num(np.abs(found - expected).max(axis=(0, 2)) / scale, nan=np.inf).max()


# -- on the host -------------------------------------------------------------------------------------------------------

FREE = {
    "accelerated_sgd": (find("accelerated_sgd"), quadratic, ACCELERATED, (1, 3, 5, 300)),
    "adamw": (find("adamw"), quadratic, dict(lr="0.01/sqrt(t+1)", weight_decay=0.1), (5,)),
    "unusual": (kernel_rules.unusual, quadratic, {}, (3, 300)),
    "lion on one_hot": (
        find("lion"),
        lambda dim: problems.make("one_hot", dim=dim, batch=3, kurtosis=50.0, label_noise=0.1),
        dict(lr=0.01),
        (9,),
    ),
}


@compiled_for_the_host
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", FREE)
def test_without_totals_paths_are_the_same_bits(case, dtype, folder):
    rule, problem_of, values, dims = FREE[case]
    for dim in dims:
        problem = problem_of(dim)
        for count in (1, 70):
            seed = seed_of(f"{case} {dim} {dtype}") + 2**40
            states, risks = plain(rule, problem, values, dtype, seed, count)
            for descending in (False, True):
                found, found_risks = on_cuda(folder, rule, problem, values, dtype, seed, count, descending=descending)
                np.testing.assert_array_equal(found, states)
                np.testing.assert_allclose(found_risks, risks, rtol=ROUNDINGS * np.finfo(dtype).eps)
            for other in (dict(seed=seed - 2**40), dict(first=FIRST + 1)):
                found, _ = on_cuda(folder, rule, problem, values, dtype, **{"seed": seed, "count": count, **other})
                assert not np.array_equal(found, states)


# Two nearly equal query points: what the second error adds to the first is known up to a larger part of itself.
AMPLIFIED = {"two queries": 16}
COUPLED = {
    "mars": (find("mars"), regression, dict(lr=0.01, gamma=0.5), 600),
    "coupled": (kernel_rules.coupled, quadratic, {}, 300),
    "two queries": (find("mars_exact_sgd"), regression, dict(lr=0.01, beta=0.5, gamma=0.5), 12),
    "independent": (
        find("accelerated_sgd"),
        lambda dim: problems.make("independent", dim=dim, batch=3, kurtosis=5.0, label_noise=0.5),
        ACCELERATED,
        9,
    ),
    "plrf": (
        find("sgd"),
        lambda dim: problems.make("plrf", dim=dim, features_seed=1, data_exponent=1.0, target_exponent=0.7, batch=2),
        dict(lr=0.02),
        200,
    ),
    "dataset": (find("schedule_free"), dataset, dict(lr=0.05, warmup_steps=5), 11),
}


@compiled_for_the_host
@pytest.mark.parametrize("case", COUPLED)
def test_with_totals_paths_differ_by_rounding_whichever_thread_goes_first(case, folder):
    rule, problem_of, values, dim = COUPLED[case]
    problem, most = problem_of(dim), ROUNDINGS * AMPLIFIED.get(case, 1)
    for dtype in ("float64", "float32") if case in ("mars", "two queries") else ("float32",):
        seed = seed_of(f"{case} {dtype}") + 2**40
        states, risks = plain(rule, problem, values, dtype, seed, 5)
        orders = [on_cuda(folder, rule, problem, values, dtype, seed, 5, descending=down) for down in (False, True)]
        np.testing.assert_array_equal(orders[0][0], orders[1][0])
        assert apart(orders[0][0], states) < most
        np.testing.assert_allclose(orders[0][1], risks, rtol=most * np.finfo(dtype).eps)
        assert apart(on_cuda(folder, rule, problem, values, dtype, seed - 2**40, 5)[0], states) > 50 * most


def test_no_problem_is_left_out():
    named = {case[1](12).name for case in FREE.values()} | {case[1](12).name for case in COUPLED.values()}
    assert named == set(problems.known())


@compiled_for_the_host
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_paths_are_those_of_the_numba_kernel(dtype, folder):
    rule, problem, seed = find("accelerated_sgd"), quadratic(300), seed_of(dtype)
    numba = taken(backends.find("numba").make(rule, problem, ACCELERATED, FIRST, 70, seed, dtype))
    found, risks = on_cuda(folder, rule, problem, ACCELERATED, dtype, seed, 70)
    saved = numba.save()["states"]
    states = np.array([numba._layout.unpacked(saved[:, :, i], 70) for i in range(len(rule.states))])
    np.testing.assert_array_equal(found, states)
    np.testing.assert_allclose(numba.risks(), risks, rtol=ROUNDINGS * np.finfo(dtype).eps)


WRONG = {
    "a multiplier of Philox": ("3528531795u * c0", "3528531797u * c0"),
    "a round of Philox": ("round < 10", "round < 9"),
    "a sign": ("word >> bit & 1", "word >> 2 & 1"),
    "a coefficient of the sine": ("0.0083321", "0.0083331"),
    "the place of a block": ("first_replica + thread / blocks", "first_replica + thread % blocks"),
}


@compiled_for_the_host
@pytest.mark.parametrize("fault", WRONG)
def test_a_fault_in_the_source_shows(fault, folder):
    rule, problem = find("accelerated_sgd"), quadratic(5)
    right, wrong = WRONG[fault]

    def change(source):
        assert right in source
        return source.replace(right, wrong)

    states, _ = plain(rule, problem, ACCELERATED, "float32", 1, 5)
    found, _ = on_cuda(folder, rule, problem, ACCELERATED, "float32", 1, 5, change=change)
    assert not np.array_equal(found, states)


def without_barriers(source, reduction):
    """The source without the barriers of its reduction, or without those of its kernel."""
    head, kernel = source.split('extern "C"')
    parts = [
        part.replace("__syncthreads();", ";") if here else part
        for part, here in ((head, reduction), (kernel, not reduction))
    ]
    return 'extern "C"'.join(parts)


@compiled_for_the_host
@pytest.mark.parametrize(("case", "reduction"), [("mars", True), ("mars", False), ("plrf", False)])
def test_a_missing_barrier_shows(case, reduction, folder):
    rule, problem_of, values, dim = COUPLED[case]
    problem = problem_of(dim)
    states, _ = plain(rule, problem, values, "float32", 1, 2)

    def change(source):
        return without_barriers(source, reduction)

    found = [
        on_cuda(folder, rule, problem, values, "float32", 1, 2, change=change, descending=down)[0]
        for down in (False, True)
    ]
    assert max(apart(path, states) for path in found) > 50 * ROUNDINGS


@compiled_for_the_host
def test_threads_that_part_ways_are_found(folder):
    def change(source):
        return source.replace(
            "for (int step = 0; step < steps; ++step) {",
            "if (threadIdx.x > 40) return;\n    for (int step = 0; step < steps; ++step) {",
        )

    rule, problem_of, values, dim = COUPLED["mars"]
    with pytest.raises(AssertionError, match="never come"):
        on_cuda(folder, rule, problem_of(dim), values, "float32", 1, 2, change=change)


# -- the run -----------------------------------------------------------------------------------------------------------


@compiled_for_the_host
@pytest.mark.parametrize(("case", "dtype"), [("accelerated_sgd", "float64"), ("mars", "float32")])
def test_a_path_does_not_depend_on_how_its_steps_are_split_nor_on_the_other_replicas(case, dtype, folder, monkeypatch):
    rule, problem_of, values, _ = (FREE | COUPLED)[case]
    problem = problem_of(200)
    device = cuda_host.device(folder)

    def made(first, count):
        return CudaRun(rule, problem, values, first, count, 2**40 + 1, dtype, device=device)

    def path(pieces, first=0, count=3, stretch=4096):
        monkeypatch.setattr(cuda_run, "STRETCH", stretch)
        run, done = made(first, count), 0
        for steps in pieces:
            saved, run = run.save(), made(first, count)
            run.load(saved, done)
            run.advance(steps)
            done += steps
        return run.save()["states"]

    whole = path([20])
    np.testing.assert_array_equal(path([1, 0, 12, 7]), whole)
    np.testing.assert_array_equal(path([20], stretch=7), whole)
    np.testing.assert_array_equal(path([20], first=1, count=1), whole[:, 1:2])
    assert not np.array_equal(path([1, 12, 6]), whole)
    assert not np.array_equal(path([20], first=1, count=3), whole)


@compiled_for_the_host
def test_simulations_run_on_it_in_chunks_of_any_size(folder, monkeypatch):
    backend = backends.Backend("cuda", partial(CudaRun, device=cuda_host.device(folder)), 2**20)
    monkeypatch.setitem(backends.BACKENDS, "cuda", lambda: backend)

    def means(place, **options):
        found = driver.simulate(find("mars"), regression(5), 20, 9, backend=place, lr=0.01, **options)
        assert found.backend == (place if place != "auto" else "cuda")
        return found.mean

    whole = means("auto")
    np.testing.assert_array_equal(means("cuda", chunk=4), whole)
    np.testing.assert_allclose(whole, means("numpy"), rtol=1e-10)
    assert np.abs(means("cuda", seed=1) / whole - 1).max() > 1e-3


# -- for a GPU ---------------------------------------------------------------------------------------------------------

SOURCES = [
    (find("accelerated_sgd"), quadratic, "float32"),
    (find("adamw"), quadratic, "float64"),
    (find("mars"), regression, "float32"),
    (find("mars_exact_sgd"), regression, "float64"),
    (kernel_rules.coupled, FREE["lion on one_hot"][1], "float64"),
    (find("lion"), COUPLED["plrf"][1], "float32"),
    (kernel_rules.unusual, COUPLED["independent"][1], "float32"),
    (kernel_rules.unusual, dataset, "float64"),
]


def source_of(rule, problem, dtype):
    values = ACCELERATED if rule.name == "accelerated_sgd" else dict(lr=0.1)
    return CudaWriter(joined(rule, problem, rule.resolve(**values)), dtype).source


def together(sources):
    """One source of several, each in a namespace of its own."""
    named = [
        s.replace('extern "C" __global__ void kernel(', f"__global__ void kernel{i}(") for i, s in enumerate(sources)
    ]
    return "\n".join(f"namespace space{i} {{\n{text}\n}}" for i, text in enumerate(named))


def by_nvcc(source, path, *options):
    """What the compiler says, None where it is content."""
    path.with_suffix(".cu").write_text(source)
    done = subprocess.run(
        ["nvcc", *OPTIONS, *options, "-o", path, path.with_suffix(".cu")], capture_output=True, text=True, check=False
    )
    return done.stderr or done.stdout or "failed" if done.returncode else None


def by_nvrtc(source, architecture):
    nvrtc = pytest.importorskip("cupy.cuda.nvrtc", reason="needs nvcc, or CuPy with NVRTC; neither is installed")
    program = nvrtc.createProgram(source, "kernel.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*OPTIONS, f"-arch={architecture}"))
    except nvrtc.NVRTCError as error:
        return str(error)
    return None


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_kernels_compile_for_a_gpu(architecture, tmp_path):
    def said(source):
        if shutil.which("nvcc") is None:
            return by_nvrtc(source, architecture)
        return by_nvcc(source, tmp_path / "kernels", "-cubin", f"-arch={architecture}")

    assert said(together([source_of(rule, problem(12), dtype) for rule, problem, dtype in SOURCES])) is None
    assert said(source_of(find("sgd"), quadratic(12), "float32").replace("__umulhi", "umulhi")) is not None


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, which is not installed")
def test_no_product_is_fused_with_a_sum(tmp_path):
    source = source_of(find("accelerated_sgd"), quadratic(12), "float32")
    for options, fused in (((), False), (("--fmad=true",), True)):
        path = tmp_path / "kernel.ptx"
        command = ["nvcc", *(o for o in OPTIONS if not (options and "fmad" in o)), *options, "-ptx", "-o", path]
        (tmp_path / "kernel.cu").write_text(source)
        subprocess.run([*command, tmp_path / "kernel.cu"], check=True, capture_output=True)
        assert ("fma.rn" in path.read_text()) is fused


# -- what a GPU can do at most -----------------------------------------------------------------------------------------

_spec = importlib.util.spec_from_file_location("sass", Path(__file__).parent.parent / "benchmarks" / "sass.py")
sass = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sass)

MACHINE_CODE = """
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/              @!P0 IMAD.WIDE.U32 R2, R3, -0x2daee0ad, RZ ;
        /*0020*/                   FMUL R4, R4, R5 ;
        /*0030*/                   FCHK P0, R4, R5 ;
        /*0040*/              @!P0 BRA 0x70 ;
        /*0050*/                   MOV R46, 0x70 ;
        /*0060*/                   CALL.REL.NOINC 0xb0 ;
        /*0070*/                   DADD R6, R6, R8 ;
        /*0080*/                   LOP3.LUT R4, R4, R5, RZ, 0x3c, !PT ;
        /*0090*/               @P1 BRA 0x10 ;
        /*00a0*/                   EXIT ;
        /*00b0*/                   FADD R4, R4, R5 ;
        /*00c0*/                   BRA 0xc0;
"""


def test_instructions_of_the_loop_are_counted_but_for_those_of_rare_arguments():
    names = sass.loop(MACHINE_CODE)
    assert names == ["IMAD", "FMUL", "FCHK", "BRA", "DADD", "LOP3", "BRA"]
    assert sass.counted(names) == dict(float32=1, float64=1, integer=1, issued=2, multiply=1, special=1)
    assert sass.clocks(names, "9.0") == 1 / 16  # of a rare division: the special unit is the slowest
    assert sass.clocks(names, "8.6") == 1 / 2  # two double precision units a multiprocessor
    assert sass.clocks(names[:2], "9.0") == 2 / 128
    assert sass.clocks(names, "2.0") is None


@pytest.mark.skipif(not all(map(shutil.which, ("nvcc", "cuobjdump", "nvdisasm"))), reason="needs nvcc and cuobjdump")
def test_every_round_of_the_generator_is_in_the_loop_that_is_counted(tmp_path):
    def multiplications(source):
        assert by_nvcc(source, tmp_path / "kernel", "-cubin", "-arch=sm_90") is None
        return sass.counted(sass.loop(sass.machine_code((tmp_path / "kernel").read_bytes())))["multiply"]

    source = source_of(find("sgd"), quadratic(12), "float32")
    assert 18 <= multiplications(source) < multiplications(source.replace("round < 10", "round < 14"))
