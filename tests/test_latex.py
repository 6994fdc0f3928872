"""The document of a rule compiles as it stands and says what it does; its coefficients over time are the rule's."""

import json
import random
import re
import shutil
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
from conftest import seed_of

from accelsim import cli, optimizers, plotting
from accelsim.errors import InputError
from accelsim.rule import optimizer, step
from accelsim.symbolic.find import statement
from accelsim.symbolic.find.finder import equivalent
from accelsim.symbolic.latex import blocks
from accelsim.symbolic.latex import document as documents
from accelsim.symbolic.latex.document import document
from accelsim.symbolic.latex.writer import indexed, symbol
from accelsim.symbolic.system.coefficients import coefficients


def sound(text):
    """Whether braces and environments of a LaTeX document close what they open, in order."""
    open_ = []
    bare = text.replace(r"\{", "").replace(r"\}", "")
    for begin, end, brace in re.findall(r"\\begin\{(\w+\*?)\}|\\end\{(\w+\*?)\}|([{}])", bare):
        if begin or brace == "{":
            open_.append(begin or brace)
        elif not open_ or open_.pop() != (end or "{"):
            return False
    return not open_ and text.count("$") % 2 == 0


@pytest.mark.parametrize("name", optimizers.shipped())
def test_every_rule_has_a_sound_document(name):
    rule = optimizers.find(name)
    text = document(rule)
    assert text.startswith(r"\documentclass")
    assert text.rstrip().endswith(r"\end{document}")
    assert sound(text)
    for hyperparameter in rule.hyperparameters:
        assert rf"\texttt{{{hyperparameter.replace('_', chr(92) + '_')}}}" in text
    for state in rule.states:
        assert indexed(state, "t+1") in text
    assert not re.search(r"\b(nan|None|zoo|Piecewise)\b", text)


def test_unsound_documents_are_seen():
    assert not sound(r"\begin{a} { \end{a} }")
    assert not sound("$x")
    assert sound(r"\begin{a} {x} \{ \end{a}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX on this machine")
@pytest.mark.parametrize("name", ["schedule_free", "ademamix", "mars", "adan", "lion", "mars_exact_sgd", "sgd"])
def test_document_compiles_and_fits_the_page(name, tmp_path):
    (tmp_path / "rule.tex").write_text(document(optimizers.find(name)))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "rule.tex"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-2000:]
    assert (tmp_path / "rule.pdf").stat().st_size > 10_000
    assert "Overfull" not in found.stdout
    assert "undefined" not in found.stdout


def test_document_of_schedule_free_reads_as_a_paper_does():
    text = document(optimizers.find("schedule_free"))
    for line in (
        r"x_{t+1} &= x_{t} + c_{t}\,\left(z_{t+1} - x_{t}\right)",  # the rule, with its intermediate named
        r"n_{t} &= z_{t} - x_{t}",
        r"x_{t} &= y_t - \left(1 - \beta\right)\,n_{t}",
        r"n_{t+1} &= z_{t+1} - x_{t+1}",  # substitute
        r"n_{t+1} &= \left(1 - c_{t}\right)\,n_{t} - \eta \left(1 - c_{t}\right)\,g_t",  # collect
        r"\hat\eta_t &= -\frac{p_t b_t}{a_t} = \beta \eta c_{t}",  # identify
        r"\omega_t = \frac{c_{t}}{1 - \beta + \beta c_{t}}",
        r"$1 - \beta + \beta c_{t}$ is not zero",
    ):
        assert line in text, line


def test_document_says_what_decay_changes():
    coupled, beside = (document(optimizers.find(name)) for name in ("schedule_free_adamw", "lion"))
    assert "method without decay on" in coupled
    assert "method without decay on" not in beside
    assert r"\hat\kappa_t &= \eta \lambda" in beside
    assert "affine drive" in beside
    assert "decay" not in document(optimizers.find("heavy_ball"))


def test_document_takes_known_values():
    text = document(optimizers.find("ademamix_sgd"), beta1=0, lr="1/(t+1)")
    assert "accelerated SGD" in text
    assert r"\hat\alpha_t &= -q_t - \hat\eta_t = \frac{1}{t + 1}" in text
    with pytest.raises(InputError, match="did you mean"):
        document(optimizers.find("ademamix_sgd"), betta1=0)


def test_rule_without_a_normal_form_gets_a_document_that_says_why():
    text = document(optimizers.find("mars_exact_sgd"))
    assert "takes 2 gradients a step, on the same sample" in text


def test_rule_of_ones_own_has_a_document():
    @optimizer(positions="w", memories="m_slow", returns="w")
    def own_rule(s, t, h):
        """Mine: 50% & more {of} it_all #1 $."""
        g = yield s.w
        m = h.beta * s.m_slow + g
        return dict(w=0.99 * s.w - h.lr * m, m_slow=m)

    text = document(own_rule)
    assert sound(text.replace(r"\$", ""))
    assert r"50\% \& more \{of\} it\_all \#1 \$." in text
    assert r"\hat\kappa_t &= \frac{1}{100}" in text


def test_conditions_are_written_as_formulas_and_what_cannot_be_read_as_code():
    assert documents._math("beta*c(t) - beta + 1") == r"$1 - \beta + \beta c_{t}$"
    assert documents._math("sqrt(t + 1)*lr(t - 1)") == r"$\eta_{t-1} \sqrt{t + 1}$"
    assert documents._math("a if b else c") == r"\texttt{a if b else c}"


@pytest.mark.parametrize("name", optimizers.shipped())
def test_no_two_names_of_a_rule_are_written_the_same(name):
    rule = optimizers.find(name)
    names = [*rule.states, *rule.hyperparameters]
    assert len({symbol(n) for n in names}) == len(names)


# -- coefficients over time -------------------------------------------------------------------------------------------

CASES = {
    "schedule_free": dict(lr="0.3/(t+2)", beta=0.8),
    "schedule_free_warmed": dict(lr=0.3, warmup_steps=5),
    "ademamix_sgd": dict(lr="cosine(t, 30)", beta1=0, beta3="1 - 1/(t+10)", alpha="minimum(1, t/7)"),
    "mars_sgd": dict(lr=0.1),
    "nesterov": dict(lr=0.2, beta="t/(t+3)"),
    "accsgd": dict(lr=0.1, kappa=100, xi=10),
}


@pytest.mark.parametrize("case", CASES)
def test_coefficients_step_by_step_make_the_run_of_the_rule(case):
    rule, values, steps = optimizers.find(case.removesuffix("_warmed")), CASES[case], 25
    found = coefficients(rule, steps, **values)
    chance = random.Random(seed_of(case))
    state, w, m = rule.start(1.0), 1.0, 0.0
    for t, h in islice(rule.rows(**values), steps):
        points = []

        def answer(point, points=points):
            points.append(point)
            return 2 * point + chance.uniform(-1, 1)

        asked = []
        state = step(rule, state, t, h, lambda point, asked=asked: asked.append(answer(point)) or asked[-1])
        assert points == pytest.approx([w], rel=1e-11)
        (g,) = asked
        m = (found.beta[t] * m if t else 0) + g
        w -= found.eta[t] * m + found.alpha[t] * g
    assert np.isnan(found.beta[0])


def test_coefficients_of_another_schedule_make_another_run():
    rule = optimizers.find("nesterov")
    one, other = (coefficients(rule, 9, lr=1, beta=beta) for beta in ("t/(t+3)", "t/(t+4)"))
    assert one.eta[1] == pytest.approx(1 / 4)
    assert other.eta[1] == pytest.approx(1 / 5)


def test_coefficients_are_in_units_of_the_preconditioner_and_without_decay():
    found = coefficients(optimizers.find("adamw"), 4, lr=0.1, beta1=0.5)
    assert found.eta == pytest.approx([0.05 / (1 - 0.5 ** (t + 1)) for t in range(4)])
    assert any("given positive sequence" in note for note in found.assumptions)
    assert any("weight_decay = 0" in note for note in found.assumptions)


def test_rule_with_two_memories_has_no_coefficients():
    with pytest.raises(InputError, match="no coefficients at these hyperparameters: 2 memories"):
        coefficients(optimizers.find("ademamix_sgd"), 5, lr=1)
    with pytest.raises(InputError, match="lr"):
        coefficients(optimizers.find("ademamix_sgd"), 5)


def test_drawing_of_coefficients_is_the_same_twice():
    found = coefficients(optimizers.find("schedule_free"), 50)
    drawn = [plotting.coefficients("schedule_free", found.beta, found.eta, found.alpha) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {"svg", "png"}


def _run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["accelsim", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_command_prints_the_document_and_nothing_else(monkeypatch, capsys):
    assert _run(monkeypatch, "show", "schedule_free", "--latex") == 0
    assert capsys.readouterr().out == document(optimizers.find("schedule_free"))
    assert _run(monkeypatch, "show", "schedule_free", "--latex", "--set", "lr=0.5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["document"] == document(optimizers.find("schedule_free"), lr=0.5)


def test_command_draws_into_a_folder(monkeypatch, capsys, tmp_path):
    folder = tmp_path / "new"
    arguments = ("show", "schedule_free", "--plot", "--steps", "40", "--set", "warmup_steps=5", "--out", str(folder))
    assert _run(monkeypatch, *arguments, "--json") == 0
    paths = json.loads(capsys.readouterr().out)["drawn"]
    assert sorted(paths) == [str(folder / f"schedule_free_coefficients.{form}") for form in ("png", "svg")]
    assert all((folder / path).stat().st_size > 1000 for path in paths)
    assert _run(monkeypatch, "show", "ademamix_sgd", "--plot", "--set", "lr=1", "--out", str(folder)) == 2
    assert "2 memories" in capsys.readouterr().err


def test_command_shows_a_rule_at_known_hyperparameters(monkeypatch, capsys):
    assert _run(monkeypatch, "show", "heavy_ball", "--set", "beta=0.9", "--json") == 0
    assert json.loads(capsys.readouterr().out)["canonical"]["beta"] == "9/10"
    assert _run(monkeypatch, "show", "heavy_ball", "--set", "betta=0.9") == 2
    assert "did you mean 'beta'" in capsys.readouterr().err


def test_plain_words_mean_nothing_to_latex():
    assert blocks.words("50% of $m_1$ & {β}") == r"50\% of \$m\_1\$ \& \{\ensuremath{\beta}\}"
    assert blocks.code("a_b") == r"\texttt{a\_b}"
    assert blocks.sentence("steps of lr.") == "Steps of lr."
    assert blocks.words("plain") == "plain"


def test_only_lines_that_are_too_wide_are_scaled_down():
    short, long = r"x &= \frac{a}{b}", "x &= " + " + ".join("abcdefgh"[i % 8] for i in range(blocks.WIDE))
    assert blocks.width(r"\alpha + 12") == 4
    assert "resizebox" not in blocks.display([short])
    assert "resizebox" in blocks.display([short, long])


def test_a_map_is_one_formula_of_both_rules_hyperparameters():
    answer = equivalent(optimizers.find("nesterov"), optimizers.find("qhm"))
    told = statement.formula(answer)
    assert sound(told)
    assert all(rf"\hat{{{symbol}}}" in told or rf"\hat {symbol}" in told for symbol in (r"\beta", r"\nu"))
    part = statement.fragment(answer).partition("\n")[2].strip()
    assert part in statement.document(answer)
    assert sound(statement.document(answer))
    other = statement.formula(equivalent(optimizers.find("qhm"), optimizers.find("nesterov")))
    assert other != told
