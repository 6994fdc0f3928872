"""Answers as they are told: whose name stands where, as LaTeX, and what each kind of answer must say, or must not."""

import json
import re
import sys

import pytest
from easy_pairs import easy_pair
from test_latex import sound
from told_answers import KINDS, answer, asked, awkward, velocity

from accelsim import cli
from accelsim.optimizers import find
from accelsim.symbolic.check.counterexample import Counterexample
from accelsim.symbolic.find.answer import EQUIVALENT, SAME, Answer, sided
from accelsim.symbolic.latex.writer import Names

# -- whose name stands where ------------------------------------------------------------------------------------------


def test_the_map_says_whose_hyperparameter_stands_on_which_side():
    told = answer("for a constant step size").to_text()
    assert told["map"] == ["b.beta = a.beta", "b.lr = a.lr"] or set(told["map"]) == {"b.beta = a.beta", "b.lr = 1"}
    assert told["equivalent"] == "yes, for constant lr; under a schedule b.beta = a.beta*a.lr(t - 1)/a.lr(t)"


def test_states_are_told_with_the_rule_that_has_them():
    told = answer("free").to_text()
    assert "a.x = b.w + a.lr*(1 - a.beta)*(1 - a.c(t - 1))*b.m" in told["transform"]
    assert told["initial"] == ["a.x = w0", "a.z = w0"]
    related = answer("relation")
    assert all(re.match(r"[ab]\.\w+ = ", line) for line in related.to_text()["transform"])


def test_special_cases_and_conditions_say_whose_hyperparameter_is_meant():
    told = answer("minor").to_text()["special"]
    assert any(line.startswith("a.beta1 = 0: b.beta = a.beta3, ") and "(if 1 - a.beta3 != 0)" in line for line in told)
    assert "b.nu = -1 is outside its range [0, 1]" in answer("outside").to_text()["conditions"]
    assert "a.beta2 != 0" in answer("sign").to_text()["conditions"]


def test_a_special_case_of_the_second_rule_is_told_as_its():
    case = {"when": "beta = 0 in nesterov", "status": EQUIVALENT, "map": {"lr": "lr"}, "conditions": ()}
    told = Answer(find("sgd"), find("nesterov"), "refuted", special=({**case, "assumptions": ()},)).to_text()
    assert told["special"] == ["b.beta = 0: b.lr = a.lr"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lr*x", "a.lr*x"),
        ("lr2*lr", "lr2*a.lr"),  # a name inside another one
        ("1e5*lr(t - 1)", "1e5*a.lr(t - 1)"),
        ("e*sqrt(lr)", "a.e*sqrt(a.lr)"),
        ("a[m]*b[lr]", "a.m*b.lr"),
        ("a*lr", "a.a*a.lr"),  # a hyperparameter called as the rule is
    ],
)
def test_names_are_told_apart_from_what_looks_like_them(text, told):
    assert sided(text, dict.fromkeys(("lr", "e", "a"), "a")) == told


def test_json_is_as_it_was():
    document = answer("free").to_json()
    assert document["map"]["beta"] == "1 - c(t - 1)"
    assert document["transform"].keys() == {"x", "z"}
    assert document["initial"] == {"x": "w0", "z": "w0"}


def test_every_kind_of_counterexample_is_told():
    kinds = {found.kind for found in descendants(Counterexample) if "kind" in vars(found)}
    assert {"apart", "cases", "identity", "itself", "minor", "scale"} <= kinds
    assert kinds <= {kind for *_, kind in KINDS.values()}


def descendants(kind):
    return {kind}.union(*map(descendants, kind.__subclasses__()))


# -- as LaTeX ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_answer_is_a_sound_document_of_its_fragment(name):
    found, (_, status, kind) = answer(name), KINDS[name]
    known = found.certificate or {}
    assert (found.status, (known.get("counterexample") or known).get("kind")) == (status, kind)
    text, fragment = found.to_latex(), found.to_latex(fragment=True)
    assert sound(text.replace(r"\$", ""))
    assert text.startswith(r"\documentclass")
    assert fragment.startswith("% needs")
    assert fragment.partition("\n")[2].strip() in text
    assert r"\documentclass" not in fragment
    assert not re.search(r"\b(nan|None|zoo|Piecewise)\b", text)


@pytest.mark.parametrize("name", KINDS)
def test_a_document_claims_what_the_answer_says_and_no_more(name):
    text, status = answer(name).to_latex(), answer(name).status
    plainly = r"Rule $A$ is rule $B$" in text
    assert plainly == (status in SAME and status != "equivalent up to a sign or preconditioner")
    assert ("Rule $A$ is not rule $B$" in text) == (status == "refuted")
    assert ("outside the ranges" in text) == (status == "equivalent outside ranges")
    assert ("Of the rules as they are, this says nothing." in text) == status.startswith("equivalent up to")
    assert (r"\begin{theorem}" in text) == (status != "undecided")
    assert (r"\begin{proof}" in text) == (status != "undecided" and name != "gradients")


def test_the_theorem_has_the_map_and_the_proof_the_transform():
    text = answer("free").to_latex()
    for line in (
        r"\hat{\beta}_{t} &= 1 - c_{t-1}",
        r"\hat{\eta}_{t} &= \beta \eta c_{t}",
        r"\hat{\alpha} &= \eta \left(1 - \beta\right)",
        r"z_{t} &= - \beta \eta \hat{m}_{t} \left(1 - c_{t-1}\right) + \hat{w}_{t}",
        r"Any functions of $t$ are $c_{t}$.",
        r"\hat{w}_{t+1} &= \hat{w}_{t} - \hat{\eta}_{t}\,\hat{m}_{t+1} - \hat{\alpha}\,g_{t}",
        r"$\hat{\beta}_{t} = 1 - c_{t-1}$ ",
    ):
        assert line in text, line


def test_a_step_size_that_has_to_be_constant_is_said_to_be():
    text = answer("for a constant step size").to_latex()
    assert r"Rule $A$ is rule $B$, for constant $\eta$" in text
    assert r"\hat{\beta}_{t} &= \frac{\beta \eta_{t-1}}{\eta_{t}}" in text
    assert "for constant" not in answer("equivalent").to_latex()


def test_sequences_are_told_with_start_and_recursion():
    text = answer("sequences").to_latex()
    assert r"b_{0} &= \frac{1}{2}, \qquad b_{t+1} = \frac{1 - c_{t}}{2 - c_{t} - b_{t}}" in text
    recurrent = answer("recurrences").to_latex()
    assert r"\mathrm{c.k}_{0} &= 1, \qquad \mathrm{c.k}_{t+1} = \eta + \mathrm{c.k}_{t}" in recurrent
    assert r"n_{t+1} &= n_{t} + 1" in recurrent
    assert r"n_{0} = 2" in recurrent
    assert r"\eta_{t} &= \frac{1}{t + 1}" in answer("given").to_latex()


def test_a_refutation_has_the_gradients_and_the_points_of_both_rules():
    found = answer("identity")
    text = found.to_latex()
    for run in found.counterexample["shown"]["runs"]:
        for t, (g, a, b) in enumerate(zip(run["gradients"], run["a"], run["b"], strict=True)):
            assert f"${t}$ & ${g[0]}$ & ${a[0]}$ & ${b[0]}$" in text
    assert "the sum is $1$" in text
    assert text.count("& $t = ") == len(found.counterexample["answers"])
    assert r"for $B$, which has fewer memories, it is $0$" in answer("minor").to_latex()
    assert "gradients of either length are the same" in answer("scale").to_latex()


def test_what_was_tried_is_told_where_nothing_is_decided():
    found = answer("undecided")
    text = found.to_latex()
    assert r"\paragraph{Undecided.}" in text
    assert found.tried
    assert r"\paragraph{What was tried.}" in text


def test_names_that_look_alike_are_told_apart():
    text = answer("awkward").to_latex()
    assert r"\mathtt{lr}\,m_{t+1}" not in text  # m is not its name
    assert r"\mathtt{lr}\,\mathrm{m\ slow}_{t+1} - \mathtt{eta}\,g_{t}" in text
    assert r"\mathtt{g}_{t+1} &= " in text
    assert r"\lambda\,\mathrm{m\ slow}_{t}" in text
    assert "U+2261" in text
    names = Names([*awkward.states, *awkward.hyperparameters])
    assert len({names(name) for name in names.names}) == len(names.names)


def test_a_notebook_shows_the_map():
    assert r"\hat{\eta}_{t} &= \beta \eta c_{t}" in answer("free")._repr_latex_()
    assert answer("minor")._repr_latex_() is None


def test_a_rule_without_hyperparameters_has_a_document():
    one, other = easy_pair("unit", 1)
    assert sound(asked(one, other)().to_latex())


def _run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["accelsim", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_the_command_prints_the_document_or_its_fragment(monkeypatch, capsys):
    pair = ("equivalent", "nesterov", "accelerated_sgd")
    found = answer("equivalent")
    assert _run(monkeypatch, capsys, *pair, "--latex") == found.to_latex()
    assert _run(monkeypatch, capsys, *pair, "--fragment") == found.to_latex(fragment=True)
    told = json.loads(_run(monkeypatch, capsys, *pair, "--latex", "--json"))
    assert told.pop("inputs")["hyperparameters"].keys() == {"a", "b"}
    assert told == {"document": found.to_latex()}
    assert velocity.doc  # a rule of one's own is told of as a shipped one is
