"""Answers as a paper states them: both rules, a theorem with map and proof, or gradients that tell the rules apart.

All formulas are read from the texts of the answer and its certificate. Names of the second rule carry a hat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

from accelsim.errors import InputError
from accelsim.language import called
from accelsim.language import names as names_in
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.language import as_given, entered, expression, given_value, states_read
from accelsim.symbolic.certify.schema import read
from accelsim.symbolic.check.apart import Apart
from accelsim.symbolic.check.counterexample import MOST
from accelsim.symbolic.check.equivalence import up_to_words
from accelsim.symbolic.find.answer import OUTSIDE, REFUTED, SAME, UP_TO, Answer
from accelsim.symbolic.latex.blocks import HEAD, code, display, items, table, words
from accelsim.symbolic.latex.writer import Names, Writer, aligned, expression_latex, given
from accelsim.symbolic.system.rule_sequences import recurrences, sequences
from accelsim.symbolic.system.tableau import NoLinearPart, tableau, time

LONG = 24  # characters of a number beyond which decimals are told
SHORT, FEW = 130, 9  # characters of a formula, and rows, up to which an identity is written out
_PREAMBLE = r"\usepackage{amsthm}" + "\n" + r"\newtheorem{theorem}{Theorem}" + "\n"
_NEEDS = "% needs amsmath, amsthm, graphicx and \\newtheorem{theorem}{Theorem}"
_HAT = "b."  # before names of the second rule in expressions
_STATE = "state "  # before those of states, which may be the names of given sequences


def document(answer: Answer) -> str:
    """Complete LaTeX document of an answer."""
    title = words(f"Is {answer.a} {answer.b}?")
    head = HEAD + _PREAMBLE + rf"\title{{{title}}}"
    parts = [head, r"\date{}", r"\begin{document}", r"\maketitle", *_Statement(answer).parts(), r"\end{document}", ""]
    return "\n\n".join(parts)


def fragment(answer: Answer) -> str:
    """Body of that document, for use in another one; its first line says which packages it needs."""
    return "\n\n".join([_NEEDS, *_Statement(answer).parts(), ""])


def formula(answer: Answer) -> str:
    """Map of an equivalence as one LaTeX formula."""
    return rf"$\displaystyle {aligned(_Statement(answer).map_lines(answer.map) or ['&'])}$"


def _given(rule: Optimizer, switches: Mapping[str, Any]) -> list[str]:
    """Names of a rule's given sequences."""
    try:
        return [factor.symbol for factor in tableau(rule, **switches).factors.values()]
    except NoLinearPart:
        return []


class _Statement:
    """Paragraphs on an answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.found = answer, answer.counterexample
        self.certificate = known = answer.certificate or {}
        self.own: Mapping[str, Mapping[str, str]] = known.get("sequences", {})
        self.given = [dict(known.get("given", known.get("set_a", {}))), dict(known.get("set_b", {}))]
        self.freed = [{*known.get("varying", ()), *known.get("free", ())}, {*known.get("free", ()), *answer.map}]
        ends = ("a", "b") if "a" in known else ("source", "target")
        self.switches = [known.get(end, {}).get("switches", {}) for end in ends]
        self.names = [
            Names([*rule.states, *rule.hyperparameters, *(self.own if end == 0 else ())], hat=end == 1)
            for end, rule in enumerate((answer.a, answer.b))
        ]
        set_to = zip((answer.a, answer.b), self.switches, strict=True)
        self.sequences = {name for rule, switches in set_to for name in _given(rule, switches)}

    def parts(self) -> Iterator[str]:
        """All paragraphs, in order."""
        yield from self._rule(0, self.answer.a)
        yield from self._rule(1, self.answer.b)
        if self.answer.status in SAME:
            yield from self._same()
        elif self.answer.status == REFUTED:
            yield from self._refuted()
        else:
            yield r"\paragraph{Undecided.} " + f"Whether $A$ is $B$ is not decided: {_broken(self.answer.reason)}."
            yield from self._listed("What was tried", map(_broken, self.answer.tried))
        yield from self._listed("Special cases", map(self._case, self.answer.special))
        yield from self._listed("Conditions", map(self._condition, self.answer.conditions))
        yield from self._listed("Setting", map(_broken, self.answer.assumptions))

    @staticmethod
    def _listed(title: str, entries: Iterable[str]) -> Iterator[str]:
        if told := list(entries):
            yield rf"\paragraph{{{title}.}}" + "\n" + items(told)

    # -- formulas --

    def called(self, name: str, when: str) -> str:
        """LaTeX of a name in an expression, of either rule, with its time index."""
        if name in self.sequences:
            return given(name, when)
        second, own = name.startswith(_HAT), name.removeprefix(_HAT).removeprefix(_STATE)
        return self.names[second](own, when)

    def latex(self, text: str, own: Mapping[str, Any] | None = None, second: bool = False) -> str:
        """LaTeX of a text; as code where it is no expression.

        Parameters
        ----------
        own : by name, its meaning (SymPy), for names that are neither hyperparameters nor sequences.
        second : whether all names are those of the second rule.
        """
        import sympy

        hat = _HAT if second else ""
        try:
            names: dict[str, Any] = {name: self._named(hat, name) for name in names_in(text)}
            names |= {name: sympy.Function(hat + name, real=True) for name in called(text)}
            return self._shown(expression(text, {**names, "t": time(), **(own or {})}))
        except InputError:
            return code(text)

    @staticmethod
    def _named(hat: str, name: str) -> Any:
        """Meaning of a name (SymPy): of ``lr[3]`` the value at step 3."""
        import sympy

        place = re.fullmatch(r"(\w+)\[(\d+)\]", name)
        return sympy.Function(hat + place[1])(int(place[2])) if place else sympy.Symbol(hat + name, real=True)

    def _shown(self, value: Any, second: bool = False) -> str:
        return expression_latex(value, self.names[1] if second else self.called)

    def map_lines(self, values: Mapping[str, str]) -> list[str]:
        """Values of hyperparameters of the second rule, one LaTeX line each."""
        return [f"{self.names[1](k, _index(text))} &= {self.latex(text)}" for k, text in values.items()]

    # -- the rules --

    def _rule(self, end: int, rule: Optimizer) -> Iterator[str]:
        names, given = self.names[end], self.given[end]
        varying = {*self.freed[0], *(k for k, text in given.items() if _index(text))}
        if end:
            varying = {k for k, text in {**self.answer.map, **given}.items() if _index(text)}
        writer = Writer(rule, rule.program(self.switches[end]), names, varying)
        yield rf"\paragraph{{Rule ${'AB'[end]}$: {code(str(rule))}.}} {_broken(rule.doc)}" + (
            rf" Source: {words(rule.source)}." if rule.source else ""
        )
        yield display(writer.lines())
        start = "$" + " = ".join(names(s, "0") for s in rule.positions) + "$ is the initial point"
        memories = [f"${names(s, '0')} = {value:g}$" for s, value in rule.memories.items()]
        yield f"Here {', '.join([start, *memories])}."
        if lines := [*self._known(end, rule, given), *self._followed(end, rule, given)]:
            yield "Of its hyperparameters,"
            yield display(lines)
        free = [f"${names(name, 't')}$" for name in recurrences(rule, given) if name in self.freed[end]]
        if free and end == 0:
            yield f"Any functions of $t$ are {', '.join(free)}."

    def _known(self, end: int, rule: Optimizer, given: Mapping[str, str]) -> Iterator[str]:
        for name, text in given.items():
            if not rule.hyperparameters[name].switch:
                yield f"{self.names[end](name, _index(text))} &= {self._shown(given_value(as_given(text)), end == 1)}"

    def _followed(self, end: int, rule: Optimizer, given: Mapping[str, str]) -> Iterator[str]:
        """Recurrences and their memories, with their starts."""
        known = {name: entered(rule, name, as_given(text)) for name, text in given.items()} | dict(self.switches[end])
        found = sequences(rule, self.freed[end] - {*given}, known)
        names = self.names[end]
        for function, value in found.values.items():
            yield f"{names(function.__name__, 't')} &= {self._shown(value, end == 1)}"
        for function, value in found.following.items():
            if (name := function.__name__) not in rule.states:
                start = self._shown(found.start[function], end == 1)
                yield rf"{names(name, '0')} &= {start}, \qquad {names(name, 't+1')} = {self._shown(value, end == 1)}"

    # -- the same --

    def _same(self) -> Iterator[str]:
        answer = self.answer
        steady = "".join(rf", for constant ${self.names[0](name)}$" for name in answer.schedules)
        aside = up_to_words(self.certificate.get("up_to", ())).removeprefix(" up to ").replace(" and ", " or ")
        what = f"The linear part of $A$, from which {aside} is set aside, is that of" if aside else "Rule $A$ is rule"
        told = [r"\begin{theorem}", rf"{what} $B${steady}"]
        lines = self.map_lines(answer.map)
        told += [f"{'at' if lines else ', which has no hyperparameters'}", *([display(lines)] if lines else [])]
        told += ["where", display(self._own_lines())] if self.own else []
        where = ", and return the same" if self.certificate.get("returned") else ""
        told.append(
            "for all hyperparameters of $A$ that satisfy the conditions below: for every start $w_0$, every sequence "
            f"of gradients and every step, both take their gradients at the same points{where}."
        )
        if answer.status == UP_TO:
            told.append("Of the rules as they are, this says nothing.")
        if answer.status == OUTSIDE:
            told.append("Some of these values are, or may be, outside the ranges that $B$ declares.")
        yield "\n".join([*told, r"\end{theorem}"])
        yield "Hats tell what belongs to $B$ from what belongs to $A$."
        for name in answer.schedules:
            other = answer.scheduled(name)
            yield f"Where ${self.names[0](name, 't')}$ varies, " + ("the map is" if other else "no map was found.")
            if other:
                yield display(self.map_lines(other))
        if answer.free:
            free = ", ".join(map(code, answer.free))
            yield f"Another choice would have done for {free}."
        yield "\n\n".join([r"\begin{proof}", *self._proof(), r"\end{proof}"])

    def _own_lines(self) -> list[str]:
        lines = []
        for name, texts in self.own.items():
            start, later = (self.latex(texts[key]) for key in ("start", "next"))
            lines.append(rf"{self.names[0](name, '0')} &= {start}, \qquad {self.names[0](name, 't+1')} = {later}")
        return lines

    def _proof(self) -> Iterator[str]:
        if self.certificate["kind"] == "bisimulation":
            yield from self._by_relation()
            return
        import sympy

        backward = self.answer.backward
        rules = (self.answer.b, self.answer.a) if backward else (self.answer.a, self.answer.b)
        ends = "BA" if backward else "AB"
        read = states_read(ends[0].lower(), rules[0].states, {*self.answer.a.hyperparameters, *self.own})
        hat = _HAT if backward else ""
        states = {text: sympy.Function(hat + _STATE + state, real=True)(time()) for text, state in read.items()}
        onto = self.names[not backward]
        yield f"Of the states of ${ends[0]}$ before step $t$, make states of ${ends[1]}$ by"
        yield display(f"{onto(k, 't')} &= {self.latex(text, states)}" for k, text in self.answer.transform.items())
        starts = ", ".join(f"${onto(k, '0')} = {_start(text)}$" for k, text in self.answer.initial.items())
        yield (
            f"The start of ${ends[0]}$ is made the start of ${ends[1]}$"
            + (f", {starts}" if starts else "")
            + ". Where the states before a step are so related, both rules take their gradients at the same points, "
            "and on the same gradients the states after it are so related again: put the transform in, and compare the "
            "coefficients of states and gradients. By induction on $t$ this is so at every step."
        )
        names = self.certificate["identities"]
        yield f"The {len(names)} identities between rational functions that this takes all hold:"
        yield r"{\small " + "; ".join(map(words, names)) + ".}"

    def _by_relation(self) -> Iterator[str]:
        """A relation of states that steps keep."""
        import sympy

        both = {f"a[{s}]": sympy.Function(_STATE + s, real=True)(time()) for s in self.answer.a.states}
        both |= {f"b[{s}]": sympy.Function(_HAT + _STATE + s, real=True)(time()) for s in self.answer.b.states}
        since = self.certificate["since"]
        yield f"From step {since} on, the states of both rules are related by"
        yield display(f"{self.latex(k, both)} &= {self.latex(text, both)}" for k, text in self.answer.transform.items())
        before = "The first steps, from the start, query the same points and lead" if since else "The starts lead"
        yield (
            f"{before} to states that are so related. Where states are, both rules, as they are, take their gradients "
            "at the same points, and on the same gradients the states after the step are so related again."
        )

    # -- not the same --

    def _refuted(self) -> Iterator[str]:
        found = self.found
        if not found:
            yield "\n".join([r"\begin{theorem}", f"Rule $A$ is not rule $B$: {_broken(self.answer.reason)}."])
            yield r"\end{theorem}"
            return
        whatever = "schedules" if found["unknown"] == "one a step" else "constants"
        factors = [f"${self.latex(text, second=True)}$" for text in found.get("unless", ()) if "[" not in text]
        unless = f", unless {' or '.join(factors)} is zero" if factors else ""
        cannot = f"cannot do what $A$ does, whatever {whatever} its hyperparameters are{unless}"
        if found["kind"] == Apart.kind:
            cannot = "does not do what $A$ does"
        yield "\n".join(
            [
                r"\begin{theorem}",
                "Rule $A$ is not rule $B$: there are hyperparameters of $A$ inside their ranges, and gradients, on "
                f"which $B$ {cannot}.",
                r"\end{theorem}",
            ]
        )
        yield f"In words: {_broken(self.answer.reason)}."
        yield r"\begin{proof}" + "\n" + "Take $A$ at"
        yield display(self._values(0, found["hyperparameters"])) if found["hyperparameters"] else "no hyperparameters."
        shown = found["shown"]["hyperparameters"]
        yield "Take $B$ at" if found["kind"] == Apart.kind else "Of what was tried, $B$ comes nearest at"
        yield display(self._values(1, shown)) if shown else "no hyperparameters."
        returned = read(found).shows_returned
        yield f"The points that both rules{' return' if returned else ' query'} then, run as they are:"
        for run in found["shown"]["runs"]:
            yield _run(run, returned)
        yield from self._algebra(found)
        yield r"\end{proof}"

    def _values(self, end: int, values: Mapping[str, Any]) -> Iterator[str]:
        for name, value in values.items():
            if isinstance(value, str):
                yield f"{self.names[end](name, _index(value))} &= {self.latex(value)}"
            else:
                told = r",\ ".join([*map(_told, value[:4]), *([r"\ldots"] if len(value) > 4 else [])])
                yield f"{self.names[end](name, 't')} &= {told}"

    def _algebra(self, found: Mapping[str, Any]) -> Iterator[str]:
        """Sentences on why no hyperparameters of the second rule do it."""
        if (only := read(found).otherwise()) is not None:
            yield f"Where $B$ does the same otherwise, it can only be at {words(only)}."
        kind, latex = found["kind"], partial(self.latex, second=True)
        if kind == Apart.kind:
            yield "Nothing of $B$ is left to choose."
        elif kind == "scale":
            yield "To $B$, gradients of either length are the same."
        elif kind == "minor":
            told = f"A determinant of what the past shows is ${latex(found['determinant'])}$ for $A$; for $B$"
            fewer = found["other"] == "0"
            yield (
                f"{told}, which has fewer memories, it is $0$."
                if fewer
                else rf"{told} it is \[{latex(found['other'])}.\]"
            )
        elif kind == "identity" and self._is_short(found):
            yield (
                "Let $f_i$ be what $B$ answers, in its unknown hyperparameters, less what $A$ answers, and multiply it "
                f"by $c_i$: the sum is ${latex(found['left'])}$, which is not zero in the ranges of $B$, so that the "
                "$f_i$ cannot all be zero."
            )
            rows = [r"$i$ & step & gradient at & $A$ answers \\ \hline"]
            for i, (key, value) in enumerate(zip(found["answers"], found["values"], strict=True), start=1):
                at = f"$t = {key['impulse']}$" if key["impulse"] >= 0 else "start"
                rows.append(rf"{i} & {key['step']} & {at} & ${_told(value)}$ \\")
            yield table("llll", rows)
            yield display(f"c_{{{i}}} &= {latex(text)}" for i, text in enumerate(found["cofactors"], start=1))
        else:
            yield (
                "That $B$ does the same leads to a contradiction by a combination of these answers; its algebra is in "
                "the certificate, which \\texttt{accelsim verify} checks."
            )

    @staticmethod
    def _is_short(found: Mapping[str, Any]) -> bool:
        """Whether an identity of answers to impulses is short enough to be written out."""
        impulses = not found["gradients"] and all(key["query"] == key["gradient"] == 0 for key in found["answers"])
        return impulses and len(found["cofactors"]) <= FEW and max(map(len, found["cofactors"])) <= SHORT

    # -- notes --

    def _case(self, case: Mapping[str, Any]) -> str:
        answer = replace(self.answer, map=case["map"], conditions=case["conditions"])
        lines = (line.replace(" &= ", " = ") for line in self.map_lines(answer.map))
        conditions = [f"if {_Statement(answer)._condition(condition)}" for condition in answer.conditions]
        told = ", ".join(f"${line}$" for line in lines) or "the same"
        when = ", ".join(map(self._when, self.answer.valued(case["when"])))
        return f"{when}: {told}" + (f" ({'; '.join(conditions)})" if conditions else "")

    def _when(self, value: tuple[str, str, bool]) -> str:
        name, text, second = value
        return f"${self.names[second](name)} = {self.latex(text, second=second)}$"

    def _condition(self, condition: str) -> str:
        name, text, rest = self.answer.split(condition)
        if not text:
            return _broken(rest)
        left = f"{self.names[1](name, _index(text))} = " if name else ""
        sign = re.fullmatch(r"(!=|>=|>) 0(.*)", rest)
        if sign:
            return f"${left}{self.latex(text)} {_SIGNS[sign[1]]} 0${words(sign[2])}"
        return f"${left}{self.latex(text)}$ {words(rest)}"


_SIGNS = {"!=": r"\neq", ">=": r"\geq", ">": ">"}


def _index(text: str) -> str:
    """Time index of a value: "t" where its text depends on t, otherwise empty."""
    return "t" if called(text) or "t" in names_in(text) else ""


def _start(text: str) -> str:
    return "w_0" if text == "w0" else text


def _told(text: str) -> str:
    """Number as a text, in decimals where it is long."""
    if len(text) <= LONG:
        return text
    try:
        return rf"\approx {float(Fraction(text)):.10g}"
    except ValueError:
        return code(text)


def _broken(plain: str) -> str:
    """Words in LaTeX, with line breaks allowed behind operations of long formulas."""
    return re.sub(r"(?<=[*/])(?=\S)", r"\\allowbreak{}", words(plain))


def _run(run: Mapping[str, Any], returned: bool) -> str:
    """A table of gradients and points, of many steps the last ones."""

    def point(row: Sequence[str]) -> str:
        return r",\ ".join(map(_told, row[-1:] if returned else row[:-1]))

    steps = list(enumerate(zip(run["gradients"], run["a"], run["b"], strict=True)))
    rows = [r"$t$ & gradient & $A$ & $B$ \\ \hline"]
    rows += [r"$\vdots$ & $\vdots$ & $\vdots$ & $\vdots$ \\"] * (len(steps) > MOST)
    for t, (gradients, mine, theirs) in steps[-MOST:]:
        row = (str(t), r",\ ".join(map(_told, gradients)), point(mine), point(theirs))
        rows.append(" & ".join(f"${cell}$" for cell in row) + r" \\")
    start = f"From {run['start']}:" if Fraction(run["start"]) else ""
    return start + table("rlll", rows)
