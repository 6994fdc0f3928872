"""Generated functions stay apart, also when their machine code comes from other processes."""

import ctypes
import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from accelsim import machine
from accelsim.errors import InputError

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


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A home in which one function is kept."""
    home = tmp_path_factory.mktemp("once")
    assert results(home, 2.0) == ["2.0"]
    return home


@pytest.fixture
def home(once, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(once, tmp_path / "home"))


def test_what_was_kept_is_read(home):
    (kept,) = home.rglob("*.nbc")
    written = kept.stat().st_mtime_ns
    assert results(home, 2.0) == ["2.0"]
    assert kept.stat().st_mtime_ns == written


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("left", [0, 20])
def test_what_was_kept_and_is_damaged_is_made_anew(kind, left, home):
    (kept,) = home.rglob(f"*.{kind}")
    kept.write_bytes(kept.read_bytes()[:left])
    assert results(home, 2.0) == ["2.0"]
    assert all(path.stat().st_size > left for path in home.rglob("*.nb?"))
    assert results(home, 2.0) == ["2.0"]


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7, 0.9, 0.97])
def test_machine_code_with_a_bit_changed_is_not_run(place, home):
    (kept,) = home.rglob("*.nbc")
    code = kept.read_bytes()
    spoilt = bytearray(code)
    spoilt[int(place * len(code))] ^= 0x10
    kept.write_bytes(spoilt)
    assert results(home, 2.0) == ["2.0"]
    (again,) = home.rglob("*.nbc")
    assert again.read_bytes() != spoilt
    written = again.stat().st_mtime_ns
    assert results(home, 2.0) == ["2.0"]
    assert again.stat().st_mtime_ns == written  # and what is kept now is read


def test_a_source_that_was_cut_is_written_again(home):
    (source,) = home.rglob("accelsim_kernel_*.py")
    text = source.read_bytes()
    for left in (0, len(text) // 2, len(text) - 3):
        source.write_bytes(text[:left])
        assert results(home, 2.0) == ["2.0"]
        assert source.read_bytes() == text


def test_where_code_cannot_be_kept_it_is_run_all_the_same(tmp_path, monkeypatch):
    """As on a disk that is full once the source is written, and when an index is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    from numba.core.caching import IndexDataCacheFile

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(IndexDataCacheFile, "save", full)
    assert machine.compiled(SOURCE.format(value=8.0))(1.0) == 8.0
    monkeypatch.setattr(os, "getpid", full)  # in the name of a draft
    assert machine.compiled(SOURCE.format(value=9.0))(1.0) == 9.0
    assert not list(tmp_path.rglob("*.nb?"))


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


@pytest.mark.parametrize(("mode", "kept"), [(0o700, True), (0o755, True), (0o775, False), (0o757, False)])
def test_code_is_kept_where_no_other_user_can_write(mode, kept, tmp_path):
    folder = tmp_path / "accelsim"
    folder.mkdir()
    folder.chmod(mode)
    assert results(tmp_path, 5.0) == ["5.0"]
    assert bool(list(tmp_path.rglob("*.nb?"))) is kept


def test_the_folder_of_kept_code_is_its_owners_alone(tmp_path):
    assert results(tmp_path, 5.0) == ["5.0"]
    assert stat.S_IMODE((tmp_path / "accelsim").stat().st_mode) == 0o700


def test_without_a_home_or_a_user_code_is_compiled_and_not_kept(tmp_path, monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert machine.compiled(SOURCE.format(value=6.0))(1.0) == 6.0


def test_code_that_nobody_used_for_long_is_removed_and_the_oldest_where_room_is_short(tmp_path, monkeypatch):
    def keep(name, age, size):
        for path in (tmp_path / f"{name}.py", tmp_path / "__pycache__" / f"{name}.kernel.1.nbc"):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x" * size)
            os.utime(path, (time.time() - age, time.time() - age))

    for name, age in (("old", machine._OLDEST + 1), ("middle", 1000), ("new", 1)):
        keep(name, age, 10)
    machine._clean(tmp_path)
    assert {path.name.partition(".")[0] for path in tmp_path.rglob("*.*")} == {"middle", "new"}
    monkeypatch.setattr(machine, "_LARGEST", 30)
    machine._clean(tmp_path)
    assert {path.name.partition(".")[0] for path in tmp_path.rglob("*.*")} == {"new"}


def test_no_kernel_is_compiled_where_the_compiler_is_off(monkeypatch):
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(InputError, match="NUMBA_DISABLE_JIT is set"):
        machine.compiled(SOURCE.format(value=7.0))


def called_back(name):
    """Have the keyboard interrupt within a callback of this name; whether that is heard."""
    namespace = {"press": lambda: signal.raise_signal(signal.SIGINT)}
    exec(f"def {name}():\n    press()", namespace)
    try:
        ctypes.CFUNCTYPE(None)(namespace[name])()
        time.sleep(0.5)
    except KeyboardInterrupt:
        return True
    return False


def test_an_interrupt_is_heard_though_it_comes_in_a_callback_of_the_compiler(monkeypatch):
    from llvmlite.binding import ExecutionEngine  # type: ignore[import-untyped]

    dropped = []
    monkeypatch.setattr(sys, "unraisablehook", dropped.append)
    before = signal.signal(signal.SIGINT, machine.interrupt)
    try:
        for name in ("_raw_object_cache_notify", "_raw_object_cache_getbuffer"):
            assert hasattr(ExecutionEngine, name)
            assert called_back(name)
        assert not dropped
        assert not called_back("another")
    finally:
        signal.signal(signal.SIGINT, before)
    assert [type(each.exc_value) for each in dropped] == [KeyboardInterrupt]


def test_the_command_line_hears_interrupts_so(monkeypatch):
    from accelsim import __main__, cli

    seen = []
    monkeypatch.setattr(cli, "main", lambda: seen.append(signal.getsignal(signal.SIGINT)))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        __main__.main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a background job
        __main__.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [machine.interrupt, signal.SIG_IGN]


def test_the_second_interrupt_of_a_run_is_heard_in_a_callback_too(monkeypatch):
    from accelsim.simulation import driver

    dropped = []
    monkeypatch.setattr(sys, "unraisablehook", dropped.append)
    before = signal.signal(signal.SIGINT, machine.interrupt)
    try:
        with driver._held_back(True) as pressed:
            signal.raise_signal(signal.SIGINT)
            assert pressed == [signal.SIGINT]  # the first is answered where the run can be saved
            assert called_back("_raw_object_cache_notify")
    finally:
        signal.signal(signal.SIGINT, before)
    assert not dropped
