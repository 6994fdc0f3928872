"""Experiments end in stored results, and results in the same figures every time."""

import io
import json
import re
import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread, imsave

from accelsim import cli, experiment, plotting, results
from accelsim.errors import InputError
from accelsim.symbolic import verify

CHEAP = "additive_theory_fails"
ENDS = ("json", "svg", "png")


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


def moved(svg, points):
    """An SVG file in which the first curve (a style's width is a curve's, not a grid's) is moved."""
    text = svg.decode()
    end = text.index("stroke-width: 1.6")
    begin = text.rindex('d="M ', 0, end) + 5
    x, rest = text[begin:end].split(" ", 1)
    return f"{text[:begin]}{float(x) + points:.6f} {rest}{text[end:]}".encode()


def lighter(png, levels):
    """A PNG file of which one pixel is changed."""
    pixels = (imread(io.BytesIO(png), format="png") * 255).round().astype(np.uint8)
    pixels[len(pixels) // 2, 0, 0] -= levels
    stream = io.BytesIO()
    imsave(stream, pixels, format="png")
    return stream.getvalue()


def renamed(svg):
    """An SVG file whose clip paths and markers have other names, as other last digits make them."""
    return re.sub(rb'(?<=["#][mp])[0-9a-f]{10}', lambda name: name[0][::-1], svg)


ROUNDING = {
    "coordinates": ("svg", lambda svg: moved(svg, 1e-5)),
    "hashed names": ("svg", renamed),
    "pixels": ("png", lambda png: lighter(png, 2)),
}
DRIFTED = {
    "a moved curve": ("svg", lambda svg: moved(svg, 0.1)),
    "a curve at no place": ("svg", lambda svg: moved(svg, np.nan)),
    "another color": ("svg", lambda svg: svg.replace(b"#0072b2", b"#0073b2").replace(b"#d55e00", b"#d55e01")),
    "another word": ("svg", lambda svg: re.sub(rb"DejaVuSans-[0-9a-f]+", b"DejaVuSans-61", svg)),
    "one marker for another": ("svg", lambda svg: re.sub(rb'(?<=href="#)m[0-9a-f]{10}', b"m0123456789", svg)),
    "more": ("svg", lambda svg: svg + b" "),
    "another pixel": ("png", lambda png: lighter(png, 20)),
    "half a picture": ("png", lambda png: png[: len(png) // 2]),
    "no picture": ("png", lambda png: b""),
}


@pytest.mark.parametrize("case", [*ROUNDING, *DRIFTED])
def test_check_finds_a_drawing_that_drifted_by_more_than_rounding(folder, monkeypatch, capsys, case):
    form, spoil = {**ROUNDING, **DRIFTED}[case]
    drawing = folder / f"{CHEAP}.{form}"
    kept = drawing.read_bytes()
    spoilt = spoil(kept)
    assert spoilt != kept
    drawing.write_bytes(spoilt)
    found = accelsim(monkeypatch, "figures", "--check", "--out", folder, "--json")
    assert json.loads(capsys.readouterr().out)["drifted"] == [str(drawing)] * found
    assert found == (case in DRIFTED)
    drawing.write_bytes(kept)


def test_check_finds_a_drawing_that_is_missing(folder, monkeypatch):
    assert accelsim(monkeypatch, "figures", "--check", "--out", folder) == 0
    drawing = folder / f"{CHEAP}.png"
    kept = drawing.read_bytes()
    drawing.unlink()
    assert accelsim(monkeypatch, "figures", "--check", "--out", folder) == 1
    drawing.write_bytes(kept)


@dataclass(frozen=True)
class Nothing:
    """The size of an experiment that has none."""


def line(result, figure):
    figure.subplots().plot(result.series["risk"])


def toy(claim, expected):
    """An experiment that only says whether its claim holds."""
    outcome = experiment.Outcome({"ratio": 1.0}, {}, "none", expected, series={"risk": [1.0, 2.0]})
    return SimpleNamespace(
        CLAIM=claim,
        ASSUMPTIONS=(),
        EXPECTED=expected,
        TINY=Nothing(),
        FULL=Nothing(),
        run=lambda config, progress: outcome,
        draw=line,
    )


FIRST, OTHER = "apples", "pears"


def breaks(error):
    def raising(*_):
        raise error

    return raising


@pytest.fixture
def few(monkeypatch):
    """Two experiments and two derivations only."""
    chosen = {FIRST: toy("Apples are pears.", False), OTHER: toy("Pears are pears.", True)}
    proofs = {name: verify.known()[name] for name in ("nesterov", "qhm")}
    monkeypatch.setattr(experiment, "known", lambda: chosen)
    monkeypatch.setattr(verify, "known", lambda: proofs)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


RAISED = [InputError("the rate is\nbeyond"), MemoryError(), SystemExit(3), RecursionError("too deep")]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_what_raises_is_listed_with_its_reason_and_the_others_go_on(few, tmp_path, monkeypatch, capsys, error):
    assert accelsim(monkeypatch, "run", "--out", tmp_path, "--quiet") == 0  # an earlier run, in which it did not raise
    assert accelsim(monkeypatch, "figures", "--out", tmp_path) == 0
    earlier = (tmp_path / f"{FIRST}.svg").read_bytes()
    capsys.readouterr()
    monkeypatch.setattr(experiment.known()[FIRST], "run", breaks(error))
    monkeypatch.setattr(verify.known()["nesterov"], "near_miss", breaks(error))
    said = f"{type(error).__name__}: {error}".replace("\n", " ").removesuffix(": ")
    assert accelsim(monkeypatch, "reproduce", "--out", tmp_path, "--json", "--quiet") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["as_expected"] is False
    failed, fine = document["run"]
    assert (failed["name"], failed["holds"], failed["error"]) == (FIRST, None, said)
    assert (fine["name"], fine["holds"], fine["error"]) == (OTHER, fine["expected"], None)
    failed, fine = document["verify"]
    assert (failed["name"], failed["holds"], failed["status"], failed["error"]) == ("nesterov", None, "failed", said)
    assert (fine["name"], fine["holds"], fine["error"]) == ("qhm", True, None)
    assert names(tmp_path) == sorted(["README.md", f"{FIRST}.json", *(f"{OTHER}.{end}" for end in ENDS)])
    assert f"**Failed**: {said}" in (tmp_path / "README.md").read_text()
    assert results.load(tmp_path / f"{FIRST}.json").error == said
    assert accelsim(monkeypatch, "figures", "--check", "--out", tmp_path) == 0
    (tmp_path / f"{FIRST}.svg").write_bytes(earlier)
    assert accelsim(monkeypatch, "figures", "--check", "--out", tmp_path) == 1


def test_tables_say_what_failed(few, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment.known()[FIRST], "run", breaks(ValueError("no such luck")))
    monkeypatch.setattr(verify.known()["qhm"], "certificate", breaks(ZeroDivisionError("by nothing")))
    for command in ("reproduce", "--out", tmp_path), ("run",), ("verify", "--json"), ("verify",):
        assert accelsim(monkeypatch, *command) == 1
        printed = capsys.readouterr().out
        assert ("ValueError: no such luck" in printed) == (command[0] != "verify")
        assert ("ZeroDivisionError: by nothing" in printed) == (command[0] != "run")
        assert "nesterov" in printed or OTHER in printed


def test_a_failed_experiment_that_ought_not_to_hold_is_not_as_expected(few, monkeypatch, capsys):
    assert experiment.known()[FIRST].EXPECTED is False
    monkeypatch.setattr(experiment.known()[FIRST], "run", breaks(ValueError()))
    assert accelsim(monkeypatch, "run", FIRST, "--json", "--quiet") == 1
    assert json.loads(capsys.readouterr().out)[0]["as_expected"] is False


def test_a_drawing_that_raises_is_said_and_the_others_are_drawn(few, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment.known()[FIRST], "draw", breaks(ValueError("no ink")))
    assert accelsim(monkeypatch, "reproduce", "--out", tmp_path, "--json", "--quiet") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["undrawn"] == {FIRST: "ValueError: no ink"}
    assert all(claim["as_expected"] for claim in document["run"])
    assert names(tmp_path) == sorted(["README.md", f"{FIRST}.json", *(f"{OTHER}.{end}" for end in ENDS)])
    assert "**Not drawn**: ValueError: no ink" in (tmp_path / "README.md").read_text()
    for check in ((), ("--check",)):
        assert accelsim(monkeypatch, "figures", "--out", tmp_path, *check) == 1
        assert f"{FIRST} cannot be drawn: ValueError: no ink" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "reproduce"])
def test_the_keyboard_interrupts_at_once(few, tmp_path, monkeypatch, command):
    monkeypatch.setattr(experiment.known()[FIRST], "run", breaks(KeyboardInterrupt()))
    assert accelsim(monkeypatch, command, "--out", tmp_path, "--quiet") == 130
    assert names(tmp_path) == []


def test_the_gallery_shows_every_result_with_its_verdict(folder):
    page = (folder / "README.md").read_text()
    assert experiment.known()[CHEAP].CLAIM in page
    assert "does not hold, as expected" in page
    assert f"({CHEAP}.svg)" in page


def test_what_results_say_makes_no_tags_links_or_headings_in_the_gallery(folder):
    found = results.load(folder / f"{CHEAP}.json")
    hostile = "<script>alert(1)</script> ![x](http://y)\n# z"
    texts = dict(claim=hostile, relation=hostile, assumptions=[hostile], config={"size": hostile})
    for changed in (replace(found, **texts), replace(found, **texts, error=hostile, holds=None)):
        page = plotting.gallery([changed], {})
        assert "alert(1)" in page
        for mark in ("<script", "![x]", "[x](", "\n# z"):
            assert mark not in page


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
