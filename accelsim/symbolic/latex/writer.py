"""LaTeX: of a rule as it is written, of its matrices, of its normal form; and its source as BibTeX.

Symbols are the same everywhere: the step size lr is eta, weight decay lambda, a preconditioner P, and what belongs to
accelerated SGD rather than to the rule carries a hat, so that a rule's own beta is never taken for the coefficient.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from accelsim.program import Node, Program
from accelsim.rule import Optimizer
from accelsim.schedules import Recurrence

if TYPE_CHECKING:
    from accelsim.symbolic.system.minimal_realization import Block
    from accelsim.symbolic.system.normal_form import Canonical
    from accelsim.symbolic.system.tableau import Tableau

_GREEK = {"alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "kappa", "mu", "nu", "xi", "rho", "tau", "omega"}
# Greek letters that are typed as such; Unicode spells one of them otherwise.
LETTERS = {unicodedata.lookup(f"GREEK SMALL LETTER {name}"): rf"\{name}" for name in (*_GREEK, "sigma", "phi", "psi")}
LETTERS |= {unicodedata.lookup("GREEK SMALL LETTER LAMDA"): r"\lambda"}
_RENAMED = {"eps": r"\varepsilon", "lr": r"\eta", "weight_decay": r"\lambda"}
_RENAMED |= {name: rf"\mathtt{{{name}}}" for name in "pq"}  # for p and q are coefficients of the block form
_NAMED = {"minimum": r"\min", "maximum": r"\max", "exp": r"\exp", "log": r"\log", "cos": r"\cos"}
_NAMED |= {"sign": r"\mathrm{sign}", "total": r"\mathrm{total}"}


def symbol(name: str) -> tuple[str, str]:
    r"""LaTeX of a name, and its subscript: of beta1 a beta, and 1.

    >>> symbol("beta1")
    ('\\beta', '1')
    """
    base, digits = re.fullmatch(r"(.*?)_?(\d*)", name).groups()  # type: ignore[union-attr]
    if base in _RENAMED:
        return _RENAMED[base], digits
    if base in _GREEK or base in LETTERS:
        return LETTERS.get(base, rf"\{base}"), digits
    return (base if len(base) == 1 else r"\mathrm{" + base.replace("_", r"\ ") + "}"), digits


def indexed(name: str, time: str) -> str:
    r"""A name with its subscript and, behind it, a time.

    >>> indexed("beta1", "t+1")
    '\\beta_{1,t+1}'
    """
    base, digits = symbol(name)
    below = ",".join(filter(None, (digits, time)))
    return f"{base}_{{{below}}}" if below else base


def given(name: str, time: str) -> str:
    """A given sequence with its time, of p or p1 a P, whatever a rule's states are called.

    >>> given("p1", "t")
    'P_{1,t}'
    """
    return indexed(name.replace("p", "P"), time)


class Names:
    """LaTeX of the names of a rule, distinct for distinct names.

    Two names that would look alike (lr and eta), or one that would look like a gradient, are written as they are typed.

    Parameters
    ----------
    names : all that are to be told from one another.
    hat : whether they carry a hat, as those of a second rule do.
    """

    def __init__(self, names: Iterable[str], hat: bool = False) -> None:
        self.names, self.hat = frozenset(names), hat
        seen = [symbol(name) for name in self.names]
        taken = {("g", ""), ("t", "")}
        self._alike = {name for name in self.names if symbol(name) in taken or seen.count(symbol(name)) > 1}

    def __call__(self, name: str, time: str = "") -> str:
        r"""A name, and behind it a time.

        >>> Names(["beta1"], hat=True)("beta1", "t")
        '\\hat{\\beta}_{1,t}'
        """
        if name in self._alike:
            base, digits = r"\mathtt{" + name.replace("_", r"\_") + "}", ""
        else:
            base, digits = symbol(name)
        if self.hat:
            base = rf"\hat{{{base}}}" if "{" not in base else rf"\widehat{{{base}}}"
        below = ",".join(filter(None, (digits, time)))
        return f"{base}_{{{below}}}" if below else base

    def unused(self, *wanted: str) -> str:
        """First of some names that is not among these."""
        return next(name for name in wanted if name not in self.names)


def rule_latex(optimizer: Optimizer, **switches: Any) -> str:
    """The rule as its paper prints it, one line each for query points and new states, in an aligned environment.

    Hyperparameters that are recurrences carry the index t; `switches` are those on which the rule branches.
    """
    return aligned(rule_lines(optimizer, **switches))


def rule_lines(optimizer: Optimizer, **switches: Any) -> list[str]:
    """The lines of `rule_latex`, each ``left &= right``."""
    return Writer(optimizer, optimizer.program(switches)).lines()


class Writer:
    """Writer of the nodes of a rule in LaTeX; states, and nodes used in several lines, are written by name.

    Parameters
    ----------
    called : names, of this rule alone by default.
    varying : hyperparameters that are functions of t, beside recurrences.
    """

    def __init__(
        self, optimizer: Optimizer, program: Program, called: Names | None = None, varying: Collection[str] = ()
    ) -> None:
        self.optimizer, self.program = optimizer, program
        self.varying = {k for k, v in optimizer.hyperparameters.items() if isinstance(v.default, Recurrence)} | {
            *varying
        }
        self.called = called or Names([*optimizer.states, *optimizer.hyperparameters])
        queried = [node for stage in program.queries for node in stage]
        self.names: dict[int, str] = {}
        for state, node in program.updates.items():
            if node.op not in ("state", "gradient", "const"):
                self.names.setdefault(node.index, self.called(state, "t+1"))
        self.points: dict[int, str] = {}
        point = self.called.unused("y", "query", "point")
        many = len({node.index for node in queried if node.op != "state"}) > 1
        for j, node in enumerate(queried):
            if node.op != "state" and node.index not in self.names:
                self.points.setdefault(node.index, self.called(f"{point}{j + 1}" if many else point, "t"))
        self.names |= self.points
        self.shared = self._shared(program)
        self.names |= self.shared
        self.queried = queried
        self.asked = [indexed("g" if len(queried) == 1 else f"g{j + 1}", "t") for j in range(len(queried))]

    def _shared(self, program: Program) -> dict[int, str]:
        """Names of nodes that are used more than once and are no state, query point or product of two."""
        uses: dict[int, int] = {}
        pending, seen = [*program.updates.values(), *(n for stage in program.queries for n in stage)], set()
        while pending:
            node = pending.pop()
            if node.index in seen:
                continue
            seen.add(node.index)
            pending.extend(node.args)
            for arg in node.args:
                uses[arg.index] = uses.get(arg.index, 0) + 1
        found = [
            place
            for place, count in sorted(uses.items())
            if count > 1
            and place not in self.names
            and program.nodes[place].op in ("add", "sub", "div", "where")
            and program.nodes[place].kind != "uniform"
        ]
        name = self.called.unused("u", "shared", "term")
        return {place: self.called(f"{name}{i + 1}" if len(found) > 1 else name, "t") for i, place in enumerate(found)}

    def lines(self) -> list[str]:
        """The rule, a line ``left &= right`` for each query point, gradient and new state."""
        lines = [f"{left} &= {self.text(self.program.nodes[place])}" for place, left in self.points.items()]
        lines += [f"{name} &= {self.gradient(j)}" for j, name in enumerate(self.asked)]
        named = [(node.index, self.called(s, "t+1"), node, s) for s, node in self.program.updates.items()]
        named += [(place, name, self.program.nodes[place], "") for place, name in self.shared.items()]
        ordered = sorted(named, key=itemgetter(0))
        return lines + [f"{name} &= {self.text(node, own=own)}" for _, name, node, own in ordered]

    def gradient(self, j: int) -> str:
        """LaTeX of a gradient at its query point."""
        return rf"\nabla f_t({self._expression(self.queried[j])})"

    def text(self, node: Node, own: str = "") -> str:
        """LaTeX of a node at its definition: its operation is written out, with names inside."""
        mine = self.names.pop(node.index, None)
        if own and mine not in (None, self.called(own, "t+1")):  # two states take the same value
            self.names[node.index] = mine
            return mine
        written = self._expression(node)
        if mine is not None:
            self.names[node.index] = mine
        return written

    def _expression(self, node: Node, rank: int = 0) -> str:
        """The node; in parentheses where it binds less than what is around it."""
        if node.index in self.names:
            return self.names[node.index]
        if not node.args:
            return self._leaf(node)
        own = {"add": 1, "sub": 1, "neg": 1, "mul": 2, "pow": 3, "div": 3}.get(node.op, 4)
        method = getattr(self, f"_{node.op}", self._call)
        written = method(node)
        return rf"\left({written}\right)" if own < rank else written

    def _leaf(self, node: Node) -> str:
        if node.op == "step":
            return "t"
        if node.op == "state":
            return self.called(node.value, "t")
        if node.op == "gradient":
            return self.asked[node.value]
        if node.op == "hyperparameter":
            return self.called(node.value, "t" if node.value in self.varying else "")
        return f"{node.value:g}" if isinstance(node.value, float) else str(node.value)

    def _add(self, node: Node) -> str:
        left, right = node.args
        return f"{self._expression(left, 1)} + {self._expression(right, 1)}"

    def _sub(self, node: Node) -> str:
        left, right = node.args
        return f"{self._expression(left, 1)} - {self._expression(right, 2)}"

    def _neg(self, node: Node) -> str:
        return f"-{self._expression(node.args[0], 2)}"

    def _mul(self, node: Node) -> str:
        left, right = node.args
        if left.index == right.index:
            return f"{self._expression(left, 4)}^2"
        for one, other in (node.args, node.args[::-1]):  # warm-up that is switched off leaves a factor 1
            if one.op == "const" and one.value == 1:
                return self._expression(other, 2)
        return rf"{self._expression(left, 2)}\,{self._expression(right, 2)}"

    def _div(self, node: Node) -> str:
        return rf"\frac{{{self._expression(node.args[0])}}}{{{self._expression(node.args[1])}}}"

    def _mod(self, node: Node) -> str:
        return rf"\left({self._expression(node.args[0], 2)} \bmod {self._expression(node.args[1], 4)}\right)"

    def _pow(self, node: Node) -> str:
        return f"{self._expression(node.args[0], 4)}^{{{self._expression(node.args[1])}}}"

    def _sqrt(self, node: Node) -> str:
        return rf"\sqrt{{{self._expression(node.args[0])}}}"

    def _abs(self, node: Node) -> str:
        return rf"\left|{self._expression(node.args[0])}\right|"

    def _where(self, node: Node) -> str:
        zero = node.args[1]
        if zero.op == "mul" and any(arg.op == "const" and arg.value == 0 for arg in zero.args):
            return rf"\mathbf{{1}}_{{t>0}}\,\left({self._expression(node.args[2])}\right)"
        first, later = (self._expression(arg) for arg in node.args[1:])
        return rf"\left\{{{first}\ \mathrm{{if}}\ t=0,\ {later}\ \mathrm{{otherwise}}\right\}}"

    def _orthogonalize(self, node: Node) -> str:
        return rf"\mathrm{{orthogonalize}}\left({self._expression(node.args[0])}\right)"

    def _call(self, node: Node) -> str:
        if node.value:  # 1 where a condition holds, else 0: Iverson's bracket
            words = {"%": r"\bmod", "==": "=", "<=": r"\le", ">=": r"\ge", "!=": r"\ne"}
            return rf"\left[{' '.join(words.get(word, word) for word in node.value.split())}\right]"
        inside = ",\\ ".join(self._expression(arg) for arg in node.args)
        return rf"{_NAMED[node.op]}\left({inside}\right)"


def expression_latex(expression: Any, called: Callable[[str, str], str] | None = None) -> str:
    """A SymPy expression with the time indices of this module, and its names unless `called` writes others."""
    import sympy
    from sympy.core.function import AppliedUndef

    called, written = called or _canonical, {}
    for call in expression.atoms(AppliedUndef):
        name, time = call.func.__name__, str(call.args[0]).replace(" ", "")
        sequence = call.is_positive and re.fullmatch(r"p\d*", name)
        written[call] = sympy.Dummy((given if sequence else called)(name, time))
    for plain in expression.free_symbols:
        if plain.name != "t":
            written[plain] = sympy.Dummy(called(plain.name, ""))
    printer = _printer()({"symbol_names": {dummy: dummy.name for dummy in written.values()}})
    return str(printer.doprint(expression.xreplace(written)))


def _canonical(name: str, time: str) -> str:
    """LaTeX of a name of a rule; m(t) is the momentum of accelerated SGD."""
    return (r"\hat " if name == "m" and time else "") + indexed(name, time)


@cache
def _printer() -> Any:
    from sympy.printing.latex import LatexPrinter

    class Printer(LatexPrinter):
        """SymPy's own, except that a sum with minus signs in it begins with its positive constant: 1 - b + b c."""

        def _as_ordered_terms(self, expr: Any, order: Any = None) -> Any:
            terms = super()._as_ordered_terms(expr, order)
            negative = any(term.could_extract_minus_sign() for term in terms)
            return terms[::-1] if negative and terms[-1].is_positive and terms[-1].is_number else terms

    return Printer


def matrix_latex(matrix: Any) -> str:
    """A SymPy matrix, row by row."""
    rows = [" & ".join(map(expression_latex, row)) for row in matrix.tolist()]
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


def tableau_latex(tableau: Tableau, **values: Any) -> str:
    """The matrices, one line each, with the order of the states; D only where a query knows an earlier gradient."""
    matrices = tableau.symbolic(**values)._asdict()
    shown = {k: m for k, m in matrices.items() if k != "D" or any(entry != 0 for entry in m)}
    state = r",\ ".join(indexed(state, "t") for state in tableau.states)
    lines = [rf"s_t &= \left({state}\right)"]
    lines += [f"{name}_t &= {matrix_latex(m)}" for name, m in shown.items()]
    return aligned(lines)


def canonical_latex(form: Canonical) -> str:
    """The normal form: accelerated SGD and its coefficients, or the block form where it is not that."""
    return aligned(canonical_lines(form))


def aligned(lines: list[str]) -> str:
    """Lines in an aligned environment."""
    return r"\begin{aligned}" + "\n" + " \\\\\n".join(lines) + "\n" + r"\end{aligned}"


def canonical_lines(form: Canonical) -> list[str]:
    """The lines of `canonical_latex`; the query point is w."""
    if form.canonical:
        lines = [*method_lines("w", form.memory), *coefficient_lines(form)]
    else:
        lines = [*block_lines("w", form.block)]
    if form.returned is not None:
        lines.append(rf"\mathrm{{returned}}_t &= {expression_latex(form.returned)}")
    return lines


def method_lines(point: str, memory: int) -> list[str]:
    """Accelerated SGD, or SGD, in a query point of some name."""
    step = rf"{point}_{{t+1}} &= {point}_t"
    if not memory:
        return [rf"{step} - \hat\alpha_t\,g_t"]
    return [
        r"\hat m_t &= \hat\beta_t\,\hat m_{t-1} + g_t",
        rf"{step} - \hat\eta_t\,\hat m_t - \hat\alpha_t\,g_t",
    ]


def coefficient_lines(form: Canonical) -> list[str]:
    """Values of the coefficients of accelerated SGD, one line each."""
    names = ("beta", "eta", "alpha") if form.memory else ("alpha",)
    return [rf"\hat\{name}_t &= {expression_latex(getattr(form, name))}" for name in names]


def block_lines(point: str, block: Block) -> list[str]:
    """The block form in a query point of some name."""
    lines = [r"n_{t+1} &= a_t\,n_t + b_t\,g_t", rf"{point}_{{t+1}} &= {point}_t + p_t\,n_t + q_t\,g_t"]
    return lines + [rf"{name}_t &= {matrix_latex(matrix)}" for name, matrix in block._asdict().items()]


_SOURCE = re.compile(
    r"(?P<authors>.+?) (?P<year>\d{4}), "
    r"(?:arXiv:(?P<eprint>\d{4}\.\d{4,5})|doi:(?P<doi>\S+?)|(?P<where>[^,]+))(?:, (?P<note>.+))?$"
)


def bibtex(optimizer: Optimizer) -> str:
    """The rule's source as a BibTeX entry; empty where the rule names none.

    A source reads ``Authors year, arXiv:number, place`` (or ``doi:...``); what does not is quoted as it is.
    """
    found = _SOURCE.match(optimizer.source)
    if not found:
        return f"@misc{{{optimizer.name},\n  note = {{{optimizer.source}}},\n}}" if optimizer.source else ""
    part = found.groupdict()
    authors = re.sub(r" et al\.$", " and others", part["authors"]).replace(", ", " and ")
    fields = {"author": authors, "year": part["year"], "eprint": part["eprint"]}
    fields |= {"archiveprefix": "arXiv" if part["eprint"] else None, "doi": part["doi"]}
    fields |= {"howpublished": part["where"], "note": part["note"]}
    key = re.split(r"[ ,]", part["authors"])[0].lower() + part["year"]
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{key},", *lines, "}"])
