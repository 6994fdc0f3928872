"""LaTeX documents of rules: the rule, its parameters, the theorem and its derivation.

The derivation follows the normal form: write the states in the query point y and in quantities that a translation
leaves alone, substitute the rule, collect terms, and read the coefficients off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from accelsim.errors import InputError
from accelsim.language import called
from accelsim.language import names as names_in
from accelsim.rule import Hyperparameter, Optimizer
from accelsim.schedules import Recurrence
from accelsim.symbolic.algebra.field import reduced, shifted, upright
from accelsim.symbolic.algebra.language import expression
from accelsim.symbolic.latex import writer as latex
from accelsim.symbolic.latex.blocks import HEAD, WIDE, code, display, items, sentence, table, width, words
from accelsim.symbolic.latex.writer import Writer, expression_latex, indexed
from accelsim.symbolic.system.linear_part import LinearPart, linear_part, without_decay
from accelsim.symbolic.system.minimal_realization import Reduction
from accelsim.symbolic.system.normal_form import Canonical, Decay, canonical
from accelsim.symbolic.system.tableau import Factor, time


def document(optimizer: Optimizer, **values: Any) -> str:
    """LaTeX document of a rule.

    Parameters
    ----------
    **values : hyperparameters that are known; the others are symbols.

    Raises
    ------
    InputError
        For an unknown hyperparameter, or a value out of its range.
    """
    known = {name: optimizer.value(name, value) for name, value in values.items()}
    named, colon, _ = optimizer.doc.partition(":")
    title = words(f"{named if colon else optimizer.name}: the rule and its normal form")
    parts = [HEAD + rf"\title{{{title}}}", r"\date{}", r"\begin{document}", r"\maketitle", *_rule(optimizer, known)]
    try:
        parts += _Form(optimizer, known).sections()
    except InputError as error:
        parts += [r"\section{No normal form}", sentence(str(error))]
    return "\n\n".join([*parts, r"\end{document}", ""])


def _math(text: str) -> str:
    """LaTeX of a text; as code where it is no expression."""
    import sympy

    try:
        names: dict[str, Any] = {name: sympy.Symbol(name, real=True) for name in names_in(text)}
        names |= {name: sympy.Function(name, real=True) for name in called(text)} | {"t": time()}
        return f"${expression_latex(expression(text, names))}$"
    except InputError:
        return code(text)


def _condition(condition: str) -> str:
    left, unequal, _ = condition.partition(" != 0")
    return rf"{_math(left)} is not zero" if unequal else words(condition)


def _combination(terms: Iterable[tuple[Any, str]]) -> str:
    """LaTeX of a linear combination of quantities."""
    shown = []
    for coefficient, name in terms:
        minus, factor = _signed(reduced(coefficient))
        if factor != 0:
            text = expression_latex(factor)
            text = rf"\left({text}\right)" if factor.is_Add or factor.is_Piecewise else text
            shown.append((minus, name if factor == 1 else rf"{text}\,{name}"))
    lead = next((i for i, (minus, _) in enumerate(shown) if not minus), 0)
    shown = shown[lead : lead + 1] + shown[:lead] + shown[lead + 1 :]
    written = "".join(f" {'-' if minus else '+'} {term}" for minus, term in shown)
    written = written.removeprefix(" + ")
    written = f"-{written[3:]}" if written.startswith(" - ") else written
    return written or "0"


def _signed(factor: Any) -> tuple[bool, Any]:
    """Sign and rest of a factor, in the form that reads best: minus and 1 - c rather than plus and c - 1."""
    import sympy

    def awkward(expression: Any) -> int:
        parts = sympy.Mul.make_args(expression)
        constants = [part.as_coeff_Add()[0] if part.is_Add else part for part in parts if part.is_Add or part.is_Number]
        return sum(bool(constant < 0) for constant in constants)

    other = upright(-factor)
    return (True, other) if awkward(other) < awkward(factor) else (False, factor)


# -- sections ---------------------------------------------------------------------------------------------------------


def _rule(optimizer: Optimizer, known: dict[str, Any]) -> Iterator[str]:
    switches = {k: v for k, v in known.items() if optimizer.hyperparameters[k].switch}
    yield r"\section{The rule}"
    yield words(optimizer.doc) + (rf" Source: {words(optimizer.source)}." if optimizer.source else "")
    yield display(latex.rule_lines(optimizer, **switches))
    start = "$" + " = ".join(indexed(s, "0") for s in optimizer.positions) + "$ is the initial point"
    memories = [f"${indexed(s, '0')} = {value:g}$" for s, value in optimizer.memories.items()]
    yield f"Here {', '.join([start, *memories])}, and the hyperparameters are"
    rows = [r"symbol & name & range & value \\ \hline"]
    for name, declared in optimizer.hyperparameters.items():
        value = known.get(name, declared.default)
        written = "" if value is None else f"{value:g}" if isinstance(value, int | float) else code(str(value))
        index = "t" if isinstance(value, Recurrence) else ""
        rows.append(rf"${indexed(name, index)}$ & {code(name)} & {_range(declared)} & {written} \\")
    yield table("llll", rows)


def _range(declared: Hyperparameter) -> str:
    return (
        f"${declared.range.removeprefix('in ')}$".replace("inf", r"\infty") if not declared.switch else declared.range
    )


class _Form:
    """Sections on the normal form of a rule."""

    def __init__(self, optimizer: Optimizer, known: dict[str, Any]) -> None:
        self.optimizer, self.known = optimizer, known
        self.form: Canonical = canonical(optimizer, **known)
        self.part: LinearPart = linear_part(optimizer, **known)
        program = optimizer.program(known)
        ((node,),) = program.queries
        self.writer = Writer(optimizer, program)
        self.point = latex.symbol(node.value)[0] if node.op == "state" else "y"
        index = [""] if self.form.memory == 1 else [str(i + 1) for i in range(self.form.memory)]
        self.here, self.later = ([indexed(f"n{i}", when) for i in index] for when in ("t", "t+1"))

    def sections(self) -> Iterator[str]:
        """All sections, one paragraph after the other."""
        without, _ = without_decay(self.part)
        decay = self.form.decay
        yield r"\section{Normal form}"
        yield from self._aside()
        if decay is None or self.form.assumptions != self.part.assumptions:
            yield from self._statement()
            yield r"\section{Derivation}"
            yield from self._derivation(Reduction(without))
            yield r"\section{The returned iterate}"
            yield from self._returned()
        if decay:
            yield r"\section{With decay}"
            yield from self._decayed(decay)
        yield r"\section{Conditions and assumptions}"
        notes = map(words, self.form.assumptions)
        everywhere = "all of this holds coordinate by coordinate, for any gradients"
        yield items([*map(_condition, self.form.conditions), *notes, everywhere])

    def _aside(self) -> Iterator[str]:
        """Sentences on what was set aside: signs and given sequences."""
        table = self.part.tableau
        for name, when in sorted(table.maps):
            yield f"The {name}, which acts {when} the momentum, is set aside."
        for factor in table.factors.values():
            symbol = latex.given(factor.symbol, "t")
            absorbed = factor.symbol in self.part.absorbed
            told = rf" From here on $g_t$ is ${symbol}$ times the gradient." if absorbed else ""
            positive = " and positive" if factor.symbol in self.part.positive else ", and may be zero or negative"
            yield rf"The sequence \[{self._given(factor)}\] counts as given{positive}.{told}"

    def _given(self, factor: Factor) -> str:
        op, place = factor.node.value
        written = self.writer.text(factor.node.tape.nodes[place])
        return f"{latex.given(factor.symbol, 't')} = " + (written if op == "mul" else rf"\frac{{1}}{{{written}}}")

    def _statement(self) -> Iterator[str]:
        form, point = self.form, self.point
        where = f"the point ${point}_t$ where the gradient is taken"
        if not form.canonical:
            yield f"In {where}, the rule has {words(form.conditions[0])}. Its block form is derived below."
            return
        yield f"In {where}, the rule is {'accelerated SGD' if form.memory else 'SGD'},"
        yield display(latex.method_lines(point, form.memory))
        start = r" $\hat m_{-1} = 0$ and" if form.memory else ""
        yield f"with{start} the following coefficients; hats tell them from the rule's own symbols."
        lines = latex.coefficient_lines(form)
        if max(map(width, lines)) > WIDE / 2:
            yield display(lines)
            return
        rows = [r"coefficient & meaning & value \\ \hline"]
        for line in lines:
            left, _, value = line.partition(" &= ")
            rows.append(rf"\rule{{0pt}}{{16pt}}${left}$ & {_ROLES[left]} & $\displaystyle {value}$ \\[6pt]")
        yield table("lll", rows)

    def _derivation(self, system: Reduction) -> Iterator[str]:
        """Name the memories, substitute, collect, identify."""
        form, point, block = self.form, self.point, self.form.block
        a, b, c, _ = system.inputs()
        now, ahead = ([indexed(s, when) for s in system.table.states] for when in ("t", "t+1"))
        rows = system.memories()
        count = {0: "remains no memory", 1: "remains one memory"}.get(form.memory, f"remain {form.memory} memories")
        yield (
            rf"A translation of all positions moves ${point}_t$ along. Of the rest of the state, what no gradient "
            f"reaches and no later query point shows is left out; there {count}."
        )
        if form.memory:
            defined = [
                f"{n} &= {_combination(zip(r, now, strict=True))}" for n, (r, _) in zip(self.here, rows, strict=True)
            ]
            yield display([*defined, *self._states(system)])
        yield r"\textbf{Substitute.} One step of the rule makes of them"
        lines = []
        for name, row in [(f"{point}_{{t+1}}", shifted(c, 1)), *zip(self.later, [r for _, r in rows], strict=True)]:
            written = _combination(zip(row, ahead, strict=True))
            lines += [f"{name} &= {written}"] if written != name else []
            terms = [*zip(row * a, now, strict=True), ((row * b)[0], "g_t")]
            lines.append(f"{name if written == name else ''} &= {_combination(terms)}")
        yield display(lines)
        entering = ", ".join(f"${x}$" for x in (f"{point}_t", *self.here, "g_t"))
        yield rf"\textbf{{Collect.}} In terms of {entering} this is"
        step = [(1, f"{point}_t"), *zip(block.p, self.here, strict=True), (block.q[0], "g_t")]
        collected = [f"{point}_{{t+1}} &= {_combination(step)}"]
        for i, name in enumerate(self.later):
            row = [*zip(block.a[i, :], self.here, strict=True), (block.b[i], "g_t")]
            collected.append(f"{name} &= {_combination(row)}")
        yield display(collected)
        if form.canonical:
            yield from self._identified()

    def _states(self, system: Reduction) -> Iterator[str]:
        """Each state in the query point and the memories, where they determine it."""
        moves = dict(zip(system.table.states, system.table.translation, strict=True))
        for name, row in system.states().items():
            if row is None:
                continue
            written = _combination([(moves[name], f"{self.point}_t"), *zip(row, self.here, strict=True)])
            if written not in (f"{self.point}_t", *self.here):
                yield f"{indexed(name, 't')} &= {written}"

    def _identified(self) -> Iterator[str]:
        form, point = self.form, self.point
        if not form.memory:
            yield rf"\textbf{{Identify.}} This is SGD, $\hat\alpha_t = {expression_latex(form.alpha)}$."
            return
        yield (
            r"\textbf{Identify.} Write this as $n_{t+1} = a_t\,n_t + b_t\,g_t$ and "
            rf"${point}_{{t+1}} = {point}_t + p_t\,n_t + q_t\,g_t$, and let $n_t = b_{{t-1}}\,\hat m_{{t-1}}$. Then "
            r"$\hat m_t = \frac{a_t b_{t-1}}{b_t}\,\hat m_{t-1} + g_t$, and as "
            r"$b_{t-1}\,\hat m_{t-1} = \frac{b_t}{a_t}\,(\hat m_t - g_t)$,"
        )
        yield rf"\[{point}_{{t+1}} = {point}_t + \frac{{p_t b_t}}{{a_t}}\,(\hat m_t - g_t) + q_t\,g_t,\]"
        yield "so that"
        formulas = {"beta": r"\frac{a_t b_{t-1}}{b_t}", "eta": r"-\frac{p_t b_t}{a_t}", "alpha": r"-q_t - \hat\eta_t"}
        yield display(
            rf"\hat\{name}_t &= {formula} = {expression_latex(getattr(form, name))}"
            for name, formula in formulas.items()
        )

    def _returned(self) -> Iterator[str]:
        form, point, name = self.form, self.point, indexed(self.optimizer.returns, "t")
        average = form.average
        if average and average.weight == 1:
            yield f"The rule returns the query point ${point}_t$."
            return
        if form.returned is not None:
            shown = form.returned.subs(_query(), 0)
            terms = rf"{point}_t + {expression_latex(reduced(shown))}"
            yield rf"In the normal form, what the rule returns is \[{name} = {terms}.\]"
        if average is None:
            yield r"It is no running average of query points with one weight a step."
            return
        after = indexed(self.optimizer.returns, "t+1")
        law = rf"{after} = (1 - \omega_t)\,{name} + \omega_t\,{point}_{{t+1}}"
        where = f", where {' and '.join(map(_condition, average.conditions))}" if average.conditions else ""
        yield f"It is a running average of query points{where}:"
        yield rf"\[{law}, \qquad \omega_t = {expression_latex(average.weight)}.\]"

    def _decayed(self, decay: Decay) -> Iterator[str]:
        point = self.point
        if decay.mu is None:
            yield "With decay, the block form becomes"
            feed, pull = latex.matrix_latex(decay.feed), expression_latex(decay.pull)
            yield display(
                [
                    rf"n_{{t+1}} &= a_t\,n_t + {feed}\,{point}_t + b_t\,g_t",
                    rf"{point}_{{t+1}} &= \left(1 - {pull}\right)\,{point}_t + p_t\,n_t + q_t\,g_t",
                    *latex.block_lines(point, decay.block)[2:],
                ]
            )
            return
        yield "With its decay the rule does not move along with a translation: it is drawn to zero. It is then"
        fed = rf" + \hat\mu_t\,{point}_t" if decay.mu != 0 else ""
        pulled = rf"(1 - \hat\kappa_t)\,{point}_t" if decay.kappa != 0 else rf"{point}_t"
        along = r" - \hat\eta_t\,\hat m_t" if decay.memory else ""
        lines = [rf"\hat m_t &= \hat\beta_t\,\hat m_{{t-1}} + g_t{fed}"] if decay.memory else []
        lines.append(rf"{point}_{{t+1}} &= {pulled}{along} - \hat\alpha_t\,g_t")
        named = (("beta", "eta") if decay.memory else (), ("alpha", "kappa"), ("mu",) if decay.memory and fed else ())
        names = [name for group in named for name in group]
        yield display([*lines, *(rf"\hat\{k}_t &= {expression_latex(getattr(decay, k))}" for k in names)])
        if decay.in_gradient:
            yield (
                rf"As $\hat\kappa_t = \hat\alpha_t\,\mu_t$ with $\mu_t = {expression_latex(decay.mu)}$, this is the "
                rf"method without decay on $g_t + \mu_t\,{point}_t$ in place of $g_t$."
            )
        yield (
            rf"About another point $w_0$, in ${point}_t - w_0$, the same recurrence holds with an affine drive: "
            rf"$-\hat\kappa_t\,w_0$ on the position" + (r" and $\hat\mu_t\,w_0$ on the momentum." if fed else ".")
        )


_ROLES = {
    r"\hat\beta_t": "momentum",
    r"\hat\eta_t": "step along the momentum",
    r"\hat\alpha_t": "step along the current gradient",
}


def _query() -> Any:
    import sympy

    return sympy.Function("w", real=True)(time())
