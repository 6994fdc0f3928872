"""What is printed is executed: doctests, and the commands of the README and of the pages in docs/."""

import doctest
import importlib
import pkgutil
import re
import runpy
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from types import ModuleType

import pytest

import accelsim
from accelsim import cli, experiment, optimizers
from accelsim.symbolic import verify

ROOT = Path(accelsim.__file__).parent
PAGES = [ROOT.parent / "README.md", *sorted((ROOT.parent / "docs").glob("*.md"))]
MODULES = [info.name for info in pkgutil.walk_packages([str(ROOT)], "accelsim.")]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def commands(page):
    """Each command of a page with what is printed under it."""
    parts = (part for block in blocks(page, "console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:])
    return [part.partition("\n")[::2] for part in parts]


def prepared(page, folder, until=None):
    """Write the files of a page into a folder, and run there those that it runs by themselves before a command."""
    for code in blocks(page, "python"):
        (folder / re.match(r"# (\w+\.py)\n", code).group(1)).write_text(code)
    for line in takewhile(lambda line: line != until, (line for line, _ in commands(page))):
        if line.startswith("python "):
            runpy.run_path(str(folder / line.removeprefix("python ")), run_name="__main__")


def begins(output, shown):
    """Whether an output begins as it is shown, where a line of three dots stands for any lines."""
    pieces = re.split(r"^\.\.\.\n", shown.rstrip() + "\n" if shown.strip() else "", flags=re.MULTILINE)
    return re.match("(?:.*\n)*?".join(map(re.escape, pieces)), output) is not None


COMMANDS = [
    pytest.param(page, *command, id=f"{page.stem}: {command[0]}")
    for page in PAGES
    for command in commands(page)
    if not command[0].startswith("python ")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    assert sum(doctest.testmod(importlib.import_module(name)).attempted for name in MODULES) > 10


@pytest.mark.parametrize(("page", "line", "shown"), COMMANDS)
def test_a_page_prints_what_its_commands_print(page, line, shown, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    prepared(page, tmp_path, line)
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert begins(capsys.readouterr().out, shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_runs_by_itself_prints_nothing_and_is_a_file_of_it(page):
    files = {re.match(r"# (\w+\.py)\n", code).group(1) for code in blocks(page, "python")}
    for line, shown in commands(page):
        assert line.startswith("accelsim ") or (line.removeprefix("python ") in files and shown == "")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "pycon")], ids=lambda page: page.stem)
def test_a_page_prints_what_its_python_prints(page, tmp_path, monkeypatch):
    """In a process that has imported nothing yet."""
    monkeypatch.chdir(tmp_path)
    prepared(page, tmp_path)
    session = tmp_path / "session.txt"
    session.write_text("\n".join(blocks(page, "pycon")))
    run = subprocess.run(
        [sys.executable, "-m", "doctest", session], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "")


@pytest.mark.parametrize("shown", ["one\n", "...\ntwo\nthree\n", "one\n...\nthree\n", "one\n...\ntwo\n", ""])
def test_a_page_may_leave_lines_out(shown):
    assert begins("one\ntwo\nthree\nfour\n", shown)


@pytest.mark.parametrize("shown", ["on\n", "two\n", "...\nthree\ntwo\n", "one\nthree\n", "...\nhree\n", "...\nfive\n"])
def test_a_page_that_prints_something_else_is_caught(shown):
    assert not begins("one\ntwo\nthree\nfour\n", shown)


@pytest.mark.parametrize("page", [*PAGES, ROOT.parent / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_links_inside_the_repository_lead_somewhere(page):
    links = re.findall(r"\]\(([^):]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == []


def test_every_name_promised_in_python_is_there():
    for name in accelsim.__all__:
        assert callable(getattr(accelsim, name)) or isinstance(getattr(accelsim, name), ModuleType)
    assert {*accelsim.__all__} < {*dir(accelsim)}
    with pytest.raises(AttributeError):
        _ = accelsim.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", experiment.known())
def test_every_experiment_makes_one_claim_at_two_sizes(name):
    module = experiment.known()[name]
    assert module.CLAIM.endswith(".")
    assert module.ASSUMPTIONS
    assert isinstance(module.EXPECTED, bool)
    assert isinstance(module.FULL, module.Config)
    assert isinstance(module.TINY, module.Config)
    assert module.FULL != module.TINY


@pytest.mark.parametrize("name", verify.known())
def test_every_derivation_makes_one_claim(name):
    assert verify.known()[name].CLAIM.endswith(".")


@pytest.mark.parametrize("name", optimizers.known())
def test_every_optimizer_says_what_it_is_and_where_it_is_printed(name):
    optimizer = optimizers.find(name)
    assert optimizer.doc.endswith(".")
    assert re.search(r"(arXiv|doi):\S+", optimizer.source) or re.search(r"\b(19|20)\d\d\b", optimizer.source)
