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
    "problems": tuple(f"accelsim.{x}" for x in ("optimizers", "rule", "symbolic", "exact", "simulation")),
    "plotting": ("accelsim.simulation", "accelsim.exact", "accelsim.symbolic"),
    "derivations": ("accelsim.simulation", "accelsim.exact"),
}

# Rooms of symbolic, and those that each may know. The verifier of certificates knows no code that searches.
ROOMS = {
    "algebra": (),
    "system": ("algebra",),
    "check": ("algebra", "system"),
    "refute": ("algebra", "system", "check"),
    "certify": ("algebra", "system", "check"),
    "find": ("algebra", "system", "check", "refute", "certify", "latex"),
    "coq": ("algebra", "system", "check", "certify"),
    "latex": ("algebra", "system"),
}
# Rooms of exact. Modules beside them take one step at a time, and know no room; `risk` chooses among ways of many.
EXACT_ROOMS = {
    "stationary": (),
    "long_runs": (),
    "tune": ("stationary", "long_runs", "risk"),
    "risk": ("long_runs",),
}
SEARCHES = {"find", "refute", "algebra.elimination", "algebra.groebner", "algebra.cofactors"}
# Imports that break this, to be mended: a line is taken out when its import is, and none is added.
EXCEPTIONS = {
    # A normal form prints itself.
    "system.normal_form imports latex.writer",
}


def graph_of(package: str) -> dict[str, set[str]]:
    """The modules of a package by `room.module`, each with those of the package that it imports."""
    found = {}
    for path in files(package):
        if path.name != "__init__.py":
            names = [name.split(".") for name in imports(path)]
            known = {".".join(parts[2:4]) for parts in names if parts[:2] == ["accelsim", package]}
            found[".".join(path.relative_to(ROOT / package).with_suffix("").parts)] = known
    return found


def strangers(graph: dict[str, set[str]], rooms: dict[str, tuple[str, ...]]) -> set[str]:
    """Imports of a room that the importing module, in a room or beside them, may not know."""
    return {
        f"{module} imports {name}"
        for module, known in graph.items()
        for room in [module.split(".")[0]]
        for name in known
        if (other := name.split(".")[0]) in rooms and other not in (room, *rooms.get(room, ()))
    }


def reached(graph: dict[str, set[str]], room: str) -> set[str]:
    """The modules of symbolic that a room imports, directly or through others."""
    known, left = set(), {name for module in graph if module.split(".")[0] == room for name in graph[module]}
    while left:
        known |= left
        left = set().union(*(graph.get(name, ()) for name in left)) - known
    return known


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_room_knows_one_it_must_not(package):
    assert offenders(package, FORBIDDEN[package]) == []


def test_the_check_sees_an_import_that_is_there():
    assert offenders("exact", ("accelsim.symbolic",))


def test_rooms_of_symbolic_know_only_those_below_them():
    graph = graph_of("symbolic")
    assert {module.split(".")[0] for module in graph} == {*ROOMS, "verify"}
    del graph["verify"]  # it knows them all
    assert strangers(graph, ROOMS) == EXCEPTIONS


def test_rooms_of_exact_know_only_those_below_them():
    graph = graph_of("exact")
    assert {*EXACT_ROOMS} <= {module.split(".")[0] for module in graph}
    assert not strangers(graph, EXACT_ROOMS)
    graph["moments"] = {*graph["moments"], "long_runs.travel"}
    assert strangers(graph, EXACT_ROOMS) == {"moments imports long_runs.travel"}


def test_a_room_that_knows_one_it_must_not_is_seen():
    graph = graph_of("symbolic")
    del graph["verify"]
    graph["certify.verifier"] = {*graph["certify.verifier"], "find.finder"}
    assert strangers(graph, ROOMS) - EXCEPTIONS == {"certify.verifier imports find.finder"}


def test_the_verifier_reaches_no_code_that_searches():
    def searching(room):
        return {name for name in reached(graph_of("symbolic"), room) if SEARCHES & {name, name.split(".")[0]}}

    assert not searching("certify")
    assert {"refute.impulses", "algebra.elimination", "algebra.groebner", "algebra.cofactors"} <= searching("find")


def untested(known: set[str]) -> list[str]:
    """Modules of symbolic that are not among imported names, nor anything of theirs."""
    modules = (f"accelsim.symbolic.{module}" for module in graph_of("symbolic"))
    return [module for module in modules if not any(f"{name}.".startswith(f"{module}.") for name in known)]


def test_every_module_of_symbolic_is_imported_by_a_test_of_its_own():
    known = set().union(*(imports(path) for path in Path(__file__).parent.rglob("*.py")))
    assert untested(known) == []
    finder = {name for name in known if name.startswith("accelsim.symbolic.find.finder")}
    assert untested(known - finder) == ["accelsim.symbolic.find.finder"]


def test_what_shipped_rules_are_written_in_is_importable_from_accelsim():
    language = ("accelsim.rule.", "accelsim.elementary.", "accelsim.schedules.")
    needed = {
        name.rpartition(".")[2]
        for path in files("optimizers")
        if path.name not in ("__init__.py", "averaging.py")  # combinators are made of rules, not written as one
        for name in imports(path)
        if name.startswith(language)
    }
    assert {"optimizer", "momentum", "recurrence", "sqrt"} <= needed
    assert needed <= {*accelsim.__all__} & {*vars(accelsim)}


def test_optimizers_know_only_the_language_of_rules():
    allowed = {f"accelsim.{name}" for name in ("errors", "rule", "elementary", "schedules", "optimizers")}
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
