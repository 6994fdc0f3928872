"""Tables and figures that commands write: what is in them is what was printed."""

import csv
import errno
import json
import os
import subprocess
import sys

import pytest

import accelsim as accelsim_package
from accelsim import files
from accelsim.__main__ import main
from accelsim.errors import InputError
from accelsim.simulation import driver

RISK = ("risk", "schedule_free", "--problem", "linear_regression", "--dim", "4", "--label-noise", "1", "--steps", "50")
RUN = ("simulate", "sgd", "--problem", "linear_regression", "--dim", "4", "--steps", "20", "--seeds", "20", "--exact")
SETTINGS = {RISK: ("--set", "lr=0.3", "--set", "beta=0.9"), RUN: ("--set", "lr=0.1")}


@pytest.mark.parametrize("command", [RISK, RUN], ids=lambda command: command[0])
def test_a_table_holds_what_is_printed_and_figures_are_drawn_of_it(command, accelsim, tmp_path):
    names = [tmp_path / "new" / f"it.{form}" for form in ("csv", "svg", "png", "pdf")]
    places = [word for name in names for word in ("--out", name)]
    code, out, _ = accelsim(*command, *SETTINGS[command], *places, "--x", "samples", "--json")
    document = json.loads(out)
    assert (code, document["written"]) == (0, [str(name) for name in names])
    rows = list(csv.DictReader(names[0].read_text().splitlines()[1:]))
    for column in rows[0]:
        assert [float(row[column]) for row in rows] == [float(value) for value in document[column]]
    assert {"samples", "risk"} < {*rows[0]}
    begins = b"<?xml", b"\x89PNG", b"%PDF-"
    for name, begin in zip(names[1:], begins, strict=True):
        assert name.read_bytes().startswith(begin)
    drawn = names[3].read_bytes()
    accelsim(*command, *SETTINGS[command], *places, "--x", "samples")
    assert names[3].read_bytes() == drawn


def test_shares_of_eigendirections_are_a_table_and_no_figure(accelsim, tmp_path):
    case = (*RISK, *SETTINGS[RISK], "--split", "--out")
    code, _, _ = accelsim(*case, tmp_path / "it.csv")
    rows = list(csv.DictReader((tmp_path / "it.csv").read_text().splitlines()[1:]))
    assert (code, len(rows), [*rows[0]]) == (0, 4, ["eigenvalue", "bias", "variance"])
    code, _, err = accelsim(*case, tmp_path / "it.svg")
    assert (code, err.count("\n")) == (2, 1)
    assert "--split is written as .csv alone" in err


def test_a_run_is_saved_in_one_folder_and_written_beside_it(accelsim, tmp_path):
    code, out, _ = accelsim(*RUN, *SETTINGS[RUN], "--out", tmp_path / "run", "--out", tmp_path / "it.csv", "--json")
    assert (code, json.loads(out)["written"]) == (0, [str(tmp_path / "it.csv")])
    assert (tmp_path / "run" / "simulation.json").exists()
    code, _, err = accelsim(*RUN, *SETTINGS[RUN], "--out", tmp_path / "a", "--out", tmp_path / "b")
    assert (code, "a run is saved in one" in err, err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize(("steps", "name", "said"), [("50", "it.txt", "end its name in"), ("0", "it.svg", "no steps")])
def test_what_cannot_be_written_is_one_line(steps, name, said, accelsim, tmp_path):
    code, out, err = accelsim(*RISK[:-1], steps, *SETTINGS[RISK], "--out", tmp_path / name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_a_run_that_diverges_at_once_is_printed_and_not_drawn(accelsim, tmp_path):
    case = ("risk", "sgd", *RISK[2:], "--set", "lr=1e200", "--out", tmp_path / "it.svg")
    code, out, err = accelsim(*case)
    assert (code, "diverged" in out) == (2, True)
    assert "no risk can be drawn" in err
    assert not list(tmp_path.iterdir())


def test_a_coefficient_beyond_floats_is_one_line(accelsim, tmp_path):
    rules = tmp_path / "rules.py"
    rules.write_text(
        "from accelsim import exp, optimizer\n@optimizer(positions='w', returns='w', lr=10)\ndef steep(s, t, h):\n"
        "    g = yield s.w\n    return dict(w=s.w - exp(1000 * h.lr) * g)\n"
    )
    for command in (("risk", "--steps", "3"), ("rate",)):
        code, out, err = accelsim(command[0], f"{rules}:steep", "--problem", "quadratic", *command[1:])
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "leaves the range of float64" in err


def test_no_command_is_answered_by_the_help_and_the_version_is_told(accelsim):
    code, out, err = accelsim()
    assert code in (0, 2)
    assert len((out + err).splitlines()) > 10
    code, out, _ = accelsim("--version")
    assert (code, out.split()[0]) == (0, "accelsim")


def test_a_drawing_knows_neither_the_users_backend_nor_their_style(tmp_path):
    """The environment's backend need not be there; a style of one's own would change every byte."""
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: black\ntext.usetex: True\nlines.linewidth: 9\n")
    drawn = []
    for folder, backend in ((tmp_path, "module://not.there"), (tmp_path / "elsewhere", "")):
        folder.mkdir(exist_ok=True)
        environment = {**os.environ, "MPLBACKEND": backend}
        command = [sys.executable, "-m", "accelsim", "show", "sgd", "--set", "lr=0.1", "--plot", "--steps", "5"]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        drawn.append((folder / "sgd_coefficients.svg").read_bytes())
    assert drawn[0] == drawn[1]


def test_a_folder_on_a_full_disk_is_named(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(InputError, match=f"cannot write into {tmp_path}: No space left"), files.locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_an_interrupt_before_anything_was_saved_is_not_called_saved(accelsim, monkeypatch, tmp_path):
    def pressed(*given, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "simulate", pressed)
    code, _, err = accelsim(*RUN, *SETTINGS[RUN], "--out", tmp_path)
    assert (code, "before anything was saved" in err) == (130, True)
    (tmp_path / "checkpoint").write_bytes(b"")
    code, _, err = accelsim(*RUN, *SETTINGS[RUN], "--out", tmp_path)
    assert (code, "interrupted, and saved" in err) == (130, True)
    code, _, err = accelsim(*RUN, *SETTINGS[RUN])
    assert (code, err) == (130, "accelsim: interrupted\n")


def test_an_interrupt_while_the_commands_are_loaded_is_one_line(monkeypatch, capsys):
    class Pressed:
        def find_spec(self, name, *_):
            if name == "accelsim.cli":
                raise KeyboardInterrupt

    for name in [name for name in sys.modules if name.startswith("accelsim.cli")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(accelsim_package, "cli")
    monkeypatch.setattr(sys, "meta_path", [Pressed(), *sys.meta_path])
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code, capsys.readouterr().err) == (130, "accelsim: interrupted\n")
