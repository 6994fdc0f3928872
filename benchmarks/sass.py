"""What a GPU can do at most of a kernel: instructions of its inner loop, counted in the machine code.

Rates are results a clock and multiprocessor, from the table of arithmetic instructions in NVIDIA's CUDA C++ programming
guide. Memory, control and uniform instructions count as issued only, and all waiting is left out: a bound from above.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

ISSUED = 128  # instructions of a thread a clock and multiprocessor: four warps of 32 threads
RATES: dict[str, dict[str, int]] = {  # by compute capability
    "8.0": {"float32": 64, "float64": 32, "multiply": 64, "integer": 64, "special": 16},
    "8.6": {"float32": 128, "float64": 2, "multiply": 64, "integer": 64, "special": 16},
    "8.9": {"float32": 128, "float64": 2, "multiply": 64, "integer": 64, "special": 16},
    "9.0": {"float32": 128, "float64": 64, "multiply": 64, "integer": 64, "special": 16},
}
_KINDS = {
    "float64": r"D(ADD|MUL|FMA|SETP|MNMX)",
    "special": r"MUFU|FCHK|I2F\b|F2I|F2F",
    "float32": r"F(ADD|MUL|FMA)",
    "multiply": r"IMAD",
    "integer": r"LOP3|IADD3|VIADD|SHF|LEA|ISETP|FSETP|SEL|FSEL|FMNMX|IMNMX|I2FP|PRMT|BFE|BFI",
}
_LINE = re.compile(r"\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_]+)([^;]*);")


def machine_code(cubin: bytes) -> str | None:
    """What cuobjdump makes of a binary, None where it is not installed."""
    if shutil.which("cuobjdump") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        return subprocess.run(["cuobjdump", "-sass", path], capture_output=True, text=True, check=True).stdout


def loop(sass: str) -> list[str]:
    """Names of the instructions of the longest loop; what a branch skips that ends in a call is for rare arguments."""
    lines = [(int(at, 16), name, rest) for at, name, rest in _LINE.findall(sass)]
    jumps = [(at, int(to.group(1), 16)) for at, name, rest in lines if name == "BRA" and (to := _target(rest))]
    begin, end = max(((to, at) for at, to in jumps if to < at), key=lambda ends: ends[1] - ends[0])
    inside = [line for line in lines if begin <= line[0] <= end]
    calls = [at for at, name, _ in inside if name == "CALL"]
    rare = [(at, to) for at, to in jumps if begin <= at < to <= end and any(at < call < to for call in calls)]
    return [name for at, name, _ in inside if not any(jump < at < to for jump, to in rare)]


def _target(rest: str) -> re.Match[str] | None:
    return re.search(r"0x([0-9a-f]+)", rest)


def counted(names: list[str]) -> dict[str, int]:
    """How many of each kind."""
    found = Counter(next((kind for kind, of in _KINDS.items() if re.match(of, name)), "issued") for name in names)
    return dict(sorted(found.items()))


def clocks(names: list[str], capability: str) -> float | None:
    """A multiprocessor's clocks a thread's turn through a loop, at least; None for a capability not in the table."""
    rates = RATES.get(capability)
    if rates is None:
        return None
    kinds = counted(names)
    return max(len(names) / ISSUED, *(kinds.get(kind, 0) / rate for kind, rate in rates.items()))
