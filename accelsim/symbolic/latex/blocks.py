"""Building blocks of LaTeX documents: plain words, displays, tables and lists."""

from __future__ import annotations

import re
from collections.abc import Iterable

from accelsim.symbolic.latex.writer import LETTERS, aligned

WIDE = 85  # characters of a displayed line beyond which it is scaled down
LAST = "\u0180"  # after the letters that LaTeX's fonts have
HEAD = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[margin=2.5cm]{geometry}
\usepackage{amsmath,amssymb,graphicx}
\setlength{\parindent}{0pt}
\setlength{\parskip}{6pt}
\setlength{\emergencystretch}{3em}
"""


def words(plain: str) -> str:
    """Plain words in LaTeX, special characters escaped."""
    special = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}"}
    special |= {letter: rf"\ensuremath{{{name}}}" for letter, name in LETTERS.items()}
    return "".join(special.get(c, rf"\{c}" if c in "_%&#${}" else c if c < LAST else f"U+{ord(c):04X}") for c in plain)


def sentence(plain: str) -> str:
    """Words as a sentence, with a capital and a full stop."""
    return words(plain[:1].upper() + plain[1:].rstrip(".") + ".")


def code(name: str) -> str:
    """Name in typewriter letters."""
    return rf"\texttt{{{words(name)}}}"


def display(lines: Iterable[str]) -> str:
    """Aligned lines as a display, scaled down where they are wider than the text."""
    columns = [line.partition("&") for line in lines]
    block = aligned([left + mark + right for left, mark, right in columns])
    if max(width(left) for left, _, _ in columns) + max(width(right) for _, _, right in columns) > WIDE:
        return rf"\[\resizebox{{\linewidth}}{{!}}{{$\displaystyle {block}$}}\]"
    return rf"\[{block}\]"


def width(line: str) -> int:
    """Estimate of the number of characters that a line shows; it takes each command, and letters after it, for one."""
    bare = re.sub(r"\\(left|right|hat|mathrm|displaystyle|,)|[{}_^&\s]", "", line)
    return len(re.sub(r"\\[a-zA-Z]+", "x", bare))


def table(columns: str, rows: list[str]) -> str:
    """A centred table of rows that end in double backslashes."""
    inside = "\n".join(["", *rows, ""])
    return rf"\begin{{center}}\begin{{tabular}}{{{columns}}}{inside}\end{{tabular}}\end{{center}}"


def items(entries: Iterable[str]) -> str:
    """A list of entries."""
    return "\n".join([r"\begin{itemize}", *(rf"\item {item}" for item in entries), r"\end{itemize}"])
