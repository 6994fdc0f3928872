"""What is printed is executed: doctests, the README's commands, the bench marks of what its text says."""

import doctest
import importlib
import pkgutil
import re
import shlex
import sys
from pathlib import Path

import pytest

import accelsim
from accelsim import cli, experiment, optimizers
from accelsim.symbolic import verify

ROOT = Path(accelsim.__file__).parent
README = (ROOT.parent / "README.md").read_text()
MODULES = [info.name for info in pkgutil.walk_packages([str(ROOT)], "accelsim.")]
BLOCKS = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [part for block in BLOCKS for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    assert sum(doctest.testmod(importlib.import_module(name)).attempted for name in MODULES) > 10


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.partition("\n")[0])
def test_the_readme_prints_what_its_commands_print(command, monkeypatch, capsys, tmp_path):
    line, _, shown = command.partition("\n")
    (tmp_path / "my_rules.py").write_text(re.search(r"```python\n(.*?)```", README, flags=re.DOTALL).group(1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(shown.strip())


def test_every_name_promised_in_python_is_there():
    for name in accelsim.__all__:
        assert callable(getattr(accelsim, name))
    with pytest.raises(AttributeError):
        _ = accelsim.nothing


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
