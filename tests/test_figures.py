"""Experiments end in stored results, and results in the same figures every time."""

import json
import sys

import pytest

from accelsim import cli, experiment, plotting, results

CHEAP = "additive_theory_fails"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one stored result and its drawings."""
    place = tmp_path_factory.mktemp("results")
    results.save(experiment.run(CHEAP, "tiny"), place)
    plotting.draw(place)
    return place


def accelsim(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["accelsim", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_a_second_run_stores_the_same_bytes(folder, tmp_path):
    again = results.save(experiment.run(CHEAP, "tiny"), tmp_path)
    assert again.read_bytes() == (folder / again.name).read_bytes()


def test_drawing_twice_gives_the_same_bytes(folder):
    result = results.load(folder / f"{CHEAP}.json")
    assert plotting.render(result) == plotting.render(result)


def test_check_finds_a_drawing_that_drifted(folder, monkeypatch, capsys):
    assert accelsim(monkeypatch, "figures", "--check", "--out", folder) == 0
    drawing = folder / f"{CHEAP}.svg"
    kept = drawing.read_bytes()
    drawing.write_bytes(kept + b" ")
    assert accelsim(monkeypatch, "figures", "--check", "--out", folder, "--json") == 1
    assert str(drawing) in capsys.readouterr().out
    drawing.write_bytes(kept)


def test_the_gallery_shows_every_result_with_its_verdict(folder):
    page = (folder / "README.md").read_text()
    assert experiment.known()[CHEAP].CLAIM in page
    assert "does not hold, as expected" in page
    assert f"({CHEAP}.svg)" in page


def test_an_unexpected_verdict_is_exit_code_1(monkeypatch, capsys):
    assert accelsim(monkeypatch, "run", CHEAP, "--json", "--quiet") == 0
    (claim,) = json.loads(capsys.readouterr().out)
    assert (claim["holds"], claim["expected"]) == (False, False)
    monkeypatch.setattr(experiment.known()[CHEAP], "EXPECTED", True)
    assert accelsim(monkeypatch, "run", CHEAP, "--quiet") == 1
    assert "UNEXPECTED" in capsys.readouterr().out


def test_every_optimizer_of_a_figure_has_a_look_of_its_own():
    looks = [plotting.look(name) for name in ("sgd", "heavy_ball", "nesterov", "accelerated_sgd", "jain")]
    assert len({(look["color"], str(look["linestyle"])) for look in looks}) == len(looks)
