"""Who may know whom: the import graph is the design, and stays so."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import accelsim

ROOT = Path(accelsim.__file__).parent
PACKAGES = {"derivations": ROOT.parent / "derivations", "experiments": ROOT.parent / "experiments"}
HEAVY = {"numpy", "scipy", "sympy", "matplotlib", "numba", "cupy", "sklearn", "torch", "jax", "rich"}


def files(package: str) -> list[Path]:
    folder = PACKAGES.get(package, ROOT / package)
    return [folder.with_suffix(".py")] if folder.with_suffix(".py").is_file() else sorted(folder.rglob("*.py"))


def imports(path: Path, top_only: bool = False) -> set[str]:
    """Dotted names a file imports, `from a import b` as a.b."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def offenders(package: str, forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.name} imports {name}"
        for path in files(package)
        for name in imports(path)
        if any(name == f or name.startswith(f + ".") for f in forbidden)
    ]


FORBIDDEN = {
    "symbolic": ("accelsim.simulation", "accelsim.exact", "accelsim.problems", "accelsim.plotting", "accelsim.cli"),
    "simulation": ("accelsim.symbolic", "accelsim.exact", "accelsim.plotting", "accelsim.cli"),
    "exact": ("accelsim.simulation", "accelsim.plotting", "accelsim.cli"),
    "problems": tuple(f"accelsim.{x}" for x in ("optimizers", "optimizer", "symbolic", "exact", "simulation")),
    "plotting": ("accelsim.simulation", "accelsim.exact", "accelsim.symbolic"),
    "derivations": ("accelsim.simulation", "accelsim.exact"),
}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_room_knows_one_it_must_not(package):
    assert offenders(package, FORBIDDEN[package]) == []


def test_the_check_sees_an_import_that_is_there():
    assert offenders("exact", ("accelsim.symbolic",))


def test_optimizers_know_only_the_language_of_rules():
    allowed = {f"accelsim.{name}" for name in ("errors", "optimizer", "elementary", "schedules", "optimizers")}
    for path in files("optimizers"):
        if path.name == "__init__.py":
            continue
        ours = {name.rpartition(".")[0] for name in imports(path) if name.startswith("accelsim")}
        assert all(any(name == a or name.startswith(a + ".") for a in allowed) for name in ours), path


def test_one_file_knows_that_cupy_exists():
    knowing = [path.name for path in ROOT.rglob("*.py") if any(n.split(".")[0] == "cupy" for n in imports(path))]
    assert knowing == ["backends.py"]


def test_the_core_never_imports_torch_or_jax():
    for path in ROOT.rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & {"torch", "jax"}, path


def test_help_touches_nothing_heavy():
    code = "import sys, accelsim.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "typer" in loaded
    assert not HEAVY & set(loaded)
