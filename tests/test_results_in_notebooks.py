"""Results in a notebook: what they say in HTML, as data frames and figures, is what commands print, write and draw."""

import json
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure

import accelsim as package
from accelsim import plotting
from accelsim.errors import InputError
from accelsim.rule import optimizer, step_size

PROBLEM = package.problems.make("quadratic", dim=3, grad_noise=1)
SET = dict(lr=0.1, beta=0.5)


def hostile():
    def rule(s, t, h):
        g = yield s.w
        return dict(w=s.w - h.lr * g)

    rule.__name__ = "<script>alert(1)</script>&$x$"
    return optimizer(positions="w", returns="w", lr=step_size(0.1))(rule)


HOSTILE = hostile()
MADE = {
    "rate": lambda rule, **h: package.rate(rule, PROBLEM, **h),
    "risk": lambda rule, **h: package.risk(rule, PROBLEM, 300, **h),
    "tune": lambda rule, **h: package.tune(rule, PROBLEM, budget=9),
    "compare": lambda rule, **h: package.compare(rule, PROBLEM, batches=[1, 9], values={str(rule): h}),
    "simulate": lambda rule, **h: package.simulate(rule, PROBLEM, 30, 4, backend="numpy", **h),
    "response": lambda rule, **h: package.response(rule, 40, **h),
    "canonical": lambda rule, **h: package.canonical(rule),
    "equivalent": lambda rule, **h: package.equivalent(rule, "sgd"),
}
TABLES = ["risk", "compare", "simulate", "response"]


@cache
def made(kind, rule="heavy_ball"):
    return MADE[kind](rule, **(SET if rule == "heavy_ball" else {}))


class Tags(HTMLParser):
    """The tags of a document, those that are opened and not closed, and its texts."""

    def __init__(self, document):
        super().__init__()
        self.seen, self.open, self.texts = set(), [], []
        self.feed(document)

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.open += [tag] * (tag != "br")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("kind", MADE)
def test_every_result_is_a_table_in_a_notebook_and_every_text_in_it_is_text(kind):
    for rule in ("heavy_ball", HOSTILE):
        document = Tags(made(kind, rule)._repr_html_())
        assert document.seen <= {"table", "tr", "th", "td", "br", "div"}
        assert "table" in document.seen
        assert document.open == []
    if kind not in ("rate", "tune"):
        assert str(HOSTILE) in document.texts


@pytest.mark.parametrize("kind", ["canonical", "equivalent"])
def test_a_formula_alone_is_set_as_one(kind):
    """A dollar in a name is none: tables are not looked at by what sets formulas."""
    document = made(kind, HOSTILE)._repr_html_()
    formula, _, tables = document.partition("</div>")
    assert formula.startswith('<div class="tex2jax_process mathjax_process">$')
    assert tables.count("<table") == tables.count('<table class="tex2jax_ignore mathjax_ignore">') == 1


def test_a_refutation_is_shown_without_a_formula():
    found = package.equivalent("heavy_ball", "sgd")
    assert found.status == "refuted"
    assert "<div" not in found._repr_html_()
    assert "heavy_ball has 1 memory" in found._repr_html_()


def test_an_answer_that_is_not_known_is_told_as_unknown():
    from dataclasses import replace

    assert "<td>stable</td><td>unknown</td>" in replace(made("rate"), stable=None)._repr_html_()


@pytest.mark.parametrize(("steps", "rows"), [(19, 20), (20, 21), (1000, 21)])
def test_the_middle_of_a_long_table_is_left_out(steps, rows):
    document = package.response("heavy_ball", steps, **SET)._repr_html_()
    table = document[document.rindex("<table") :]
    assert table.count("<tr><td>") == rows
    assert ("<td>...</td>" in table) == (steps > 19)
    assert f"<td>{steps}</td>" in table


@pytest.mark.parametrize("kind", TABLES)
def test_a_data_frame_has_the_columns_of_the_result(kind):
    found = made(kind)
    frame = found.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    columns = {
        "risk": {"risk": "risk", "bias": "bias", "steps": "steps", "error": "error"},
        "simulate": {"risk": "mean", "steps": "steps", "standard_error": "standard_error", "diverged": "diverged"},
        "response": {"heavy_ball": "weights"},
        "compare": {},
    }
    for column, attribute in columns[kind].items():
        np.testing.assert_array_equal(frame[column], getattr(found, attribute))
    if kind == "compare":
        assert frame["rate"].tolist() == [cell.value for cell in found.cells]
        assert frame["lr"].tolist() == [0.1, 0.1]


def test_without_pandas_a_data_frame_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas") as refused:
        made("risk").to_dataframe()
    assert "\n" not in str(refused.value)
    assert made("risk")._repr_html_()


@pytest.mark.parametrize("kind", TABLES)
def test_a_result_is_drawn_on_axes_given_or_new_in_the_colour_of_its_rule(kind):
    from matplotlib import pyplot

    axes = Figure().subplots()
    assert made(kind).plot(axes) is axes
    assert axes.lines[0].get_color() == plotting.look("heavy_ball")["color"]
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    new = made(kind).plot()
    np.testing.assert_array_equal(new.lines[0].get_ydata(), axes.lines[0].get_ydata())
    pyplot.close(new.figure)


ON = ("--problem", "quadratic", "--dim", "3", "--grad-noise", "1", "--set", "lr=0.1", "--set", "beta=0.5")
COMMANDS = {
    "risk": ("risk", "heavy_ball", *ON, "--steps", "300"),
    "simulate": ("simulate", "heavy_ball", *ON, "--steps", "30", "--seeds", "4", "--backend", "numpy"),
    "compare": ("compare", "heavy_ball", *ON, "--batch", "1,9", "--objective", "rate"),
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_what_a_result_draws_is_what_its_command_draws(kind, accelsim, tmp_path):
    code, _, err = accelsim(*COMMANDS[kind], "--out", tmp_path / "it.svg", "--out", tmp_path / "it.csv")
    assert (code, err) == (0, "")
    assert plotting.figure(made(kind).plot, "svg") == (tmp_path / "it.svg").read_bytes()
    written = pandas.read_csv(tmp_path / "it.csv", comment="#")
    assert [*written] == [*made(kind).to_dataframe()][: len(written.columns)]


def test_what_cannot_be_drawn_is_refused():
    flat = package.response("heavy_ball", 5, lr=0, beta=0.5)
    with pytest.raises(InputError, match="add up to zero"):
        flat.plot(Figure().subplots())


def test_a_result_alone_imports_neither_pandas_nor_matplotlib():
    code = (
        "import sys, json, accelsim\n"
        "problem = accelsim.problems.make('quadratic', dim=2)\n"
        "accelsim.risk('sgd', problem, steps=3, lr=0.1)._repr_html_()\n"
        "print(json.dumps([name for name in ('pandas', 'matplotlib') if name in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []
