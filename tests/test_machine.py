"""Generated functions stay apart, also when their machine code comes from other processes."""

import os
import subprocess
import sys

import pytest

from accelsim import machine

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


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("left", [0, 20])
def test_what_was_kept_and_is_damaged_is_made_anew(kind, left, tmp_path):
    assert results(tmp_path, 2.0) == ["2.0"]
    (kept,) = tmp_path.rglob(f"*.{kind}")
    kept.write_bytes(kept.read_bytes()[:left])
    assert results(tmp_path, 2.0) == ["2.0"]
    assert all(path.stat().st_size > left for path in tmp_path.rglob("*.nb?"))
    assert results(tmp_path, 2.0) == ["2.0"]


@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_folder_that_cannot_be_written_keeps_nothing_and_stops_nothing(mode, tmp_path, monkeypatch):
    folder = tmp_path / "accelsim"
    folder.mkdir()
    folder.chmod(mode)
    if os.access(folder, os.W_OK):  # nothing is refused to root: its answer is that of another user
        monkeypatch.setattr(os, "access", lambda path, wanted: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        assert machine.compiled(SOURCE.format(value=4.0))(1.0) == 4.0
    finally:
        folder.chmod(0o700)
    assert not list(tmp_path.rglob("*.nb?"))
