"""Answers of every kind, and documents of all rules, compile with LaTeX and fit their pages; a broken one does not."""

import re
import shutil
import subprocess

import pytest
from told_answers import KINDS, answer

from accelsim import optimizers
from accelsim.symbolic.latex.document import document

pytestmark = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed: nothing was compiled")
WIDE = 5.0  # points by which a line may stick out
HOST = r"""\documentclass[twocolumn]{article}
\usepackage{amsmath,amsthm,graphicx}
\newtheorem{theorem}{Theorem}
\begin{document}
\input{fragment}
\end{document}
"""


def compiled(text, folder):
    """What pdflatex says of a document: its exit status, and by how many points lines stick out."""
    (folder / "it.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "it.tex"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120, check=False
    )
    assert "undefined" not in done.stdout
    return done.returncode, list(map(float, re.findall(r"Overfull .hbox .([\d.]+)pt", done.stdout)))


@pytest.mark.parametrize("name", KINDS)
def test_an_answer_compiles_and_fits_the_page(name, tmp_path):
    status, wide = compiled(answer(name).to_latex(), tmp_path)
    assert (status, [points for points in wide if points > WIDE]) == (0, [])


@pytest.mark.parametrize("name", KINDS)
def test_a_fragment_compiles_in_a_document_of_ones_own(name, tmp_path):
    (tmp_path / "fragment.tex").write_text(answer(name).to_latex(fragment=True))
    assert compiled(HOST, tmp_path)[0] == 0


@pytest.mark.parametrize("name", optimizers.shipped())
def test_the_document_of_a_rule_compiles_and_fits_the_page(name, tmp_path):
    status, wide = compiled(document(optimizers.find(name)), tmp_path)
    assert (status, [points for points in wide if points > WIDE]) == (0, [])


def test_what_is_broken_or_too_wide_is_seen(tmp_path):
    text = answer("equivalent").to_latex()
    assert compiled(text.replace(r"\end{proof}", "", 1), tmp_path)[0] != 0
    wide = text.replace(r"\begin{proof}", r"\mbox{" + "wide " * 60 + r"}\begin{proof}")
    assert max(compiled(wide, tmp_path)[1]) > WIDE
