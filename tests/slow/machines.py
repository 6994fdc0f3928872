"""The same numbers on every machine: numerical tests as other processors run them, as far as this one can play them.

OpenBLAS and NumPy hold a kernel for each family of processors. An older family's is run on a newer one where a variable
of the environment asks for it; whether it was heard is asked of the libraries themselves.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
NEEDS = {"SkylakeX": "avx512vl", "Haswell": "avx2", "Sandybridge": "avx", "Nehalem": "sse4_2", "Prescott": "pni"}
PROBE = """
import json, numpy, scipy.linalg, threadpoolctl
blas = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
found = {key: sorted({library[key] for library in blas}) for key in ("architecture", "num_threads")}
print(json.dumps({**found, "simd": numpy.show_config(mode="dicts")["SIMD Extensions"].get("found", [])}))
"""


# Matrices that are large enough for BLAS to share them out among its threads.
THREADED = ["tests/test_rates.py", "tests/test_exact_moments.py", "tests/test_references.py", "tests/test_threads.py"]


def _flags() -> set[str]:
    """What this processor can do, as Linux says it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}


KERNELS = [kernel for kernel, flag in NEEDS.items() if flag in _flags()][:3]
SIMD = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
ENVIRONMENTS = {
    **{kernel: {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": "1"} for kernel in KERNELS},
    "two threads": {"OPENBLAS_NUM_THREADS": "2"},
    "NumPy without AVX2": {"OPENBLAS_NUM_THREADS": "1", "NPY_DISABLE_CPU_FEATURES": " ".join(SIMD)},
}


def run(environment, *command):
    """What a command prints in an environment; it must succeed."""
    known = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-10000:] + done.stderr[-3000:]
    return done.stdout


def loaded(environment):
    """BLAS kernels, their threads, and NumPy's extensions; a warning, such as that a variable does nothing, fails."""
    return json.loads(run(environment, sys.executable, "-W", "error", "-c", PROBE))


def test_three_kernels_are_three_kernels():
    architectures = [loaded({"OPENBLAS_CORETYPE": kernel})["architecture"] for kernel in KERNELS]
    assert [len(each) for each in architectures] == [1, 1, 1], architectures
    assert len({each[0] for each in architectures}) == 3, architectures


def test_a_variable_that_does_nothing_is_seen():
    with pytest.raises(AssertionError, match="cannot disable CPU features"):
        loaded({"NPY_DISABLE_CPU_FEATURES": "NO_SUCH_GROUP"})


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_numerical_tests_pass(name, capsys):
    environment = ENVIRONMENTS[name]
    found = loaded(environment)
    threads = int(environment["OPENBLAS_NUM_THREADS"])
    assert found["num_threads"] == [threads]
    assert SIMD, "NumPy uses no extension of this processor, so there is none to do without"
    assert found["simd"] == ([] if "NPY_DISABLE_CPU_FEATURES" in environment else SIMD)
    if name in KERNELS and found["architecture"] == loaded({})["architecture"]:
        pytest.skip(f"{name} is this processor's own kernel: make test runs them")
    tests = THREADED if threads > 1 else ["tests"]
    workers = str(2 // threads)  # as BLAS waits for its threads where they have to share a core
    command = (sys.executable, "-m", "pytest", "--numprocesses", workers, "-m", "numeric and not long", *tests)
    told = run(environment, *command)
    with capsys.disabled():
        print(f"\n{name}: {found}: {told.splitlines()[-1]}")


def test_everything_is_reproduced_on_another_kernel(tmp_path, capsys):
    usual = loaded({})["architecture"]
    kernel = next(k for k in KERNELS if loaded({"OPENBLAS_CORETYPE": k})["architecture"] != usual)
    command = (str(Path(sys.executable).with_name("accelsim")), "reproduce", "--out", str(tmp_path), "--quiet")
    told = run({"OPENBLAS_CORETYPE": kernel}, *command)
    with capsys.disabled():
        print(f"\n{kernel} in the place of {usual[0]}: {told.splitlines()[-1]}")
