"""Generated functions stay apart, also when their machine code comes from other processes."""

import subprocess
import sys

# A helper too long to be inlined: it stays a function with a name of its own in the machine code.
SOURCE = f"""
import math

from numba import njit


@njit
def helper(x):
    {"; ".join(["x = math.sin(x) + math.cos(x * x)"] * 40)}
    return {{value}} + 0 * x


def kernel(x):
    return helper(x) + helper(x + 1) - helper(x + 2)
"""
CALL = "import sys; from accelsim import machine; print(*(machine.compiled(text)(1.0) for text in sys.argv[1:]))"


def results(home, *values):
    texts = [SOURCE.format(value=value) for value in values]
    command = [sys.executable, "-c", CALL, *texts]
    environment = {"PATH": "", "XDG_CACHE_HOME": str(home)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()


def test_functions_compiled_in_separate_processes_and_loaded_together_remain_two(tmp_path):
    assert results(tmp_path, 2.0) == ["2.0"]
    assert results(tmp_path, 3.0) == ["3.0"]
    assert len(list(tmp_path.rglob("*.nbc"))) == 2
    assert results(tmp_path, 2.0, 3.0) == ["2.0", "3.0"]
    assert results(tmp_path, 3.0, 2.0) == ["3.0", "2.0"]
