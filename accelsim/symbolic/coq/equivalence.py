"""Claims as Coq text: hypotheses, definitions, theorems and the scripts that prove them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from accelsim.errors import InputError
from accelsim.language import evaluated
from accelsim.program import Node, Tape, exact, operate, reachable
from accelsim.symbolic.check.equivalence import Equivalence, linear_parts
from accelsim.symbolic.coq.divisors import Divisors
from accelsim.symbolic.coq.rule import ATOM, Key, Rule, Terms, joined, names, shift, step_in_z
from accelsim.symbolic.system.rule_sequences import recurrences


class Texts:
    """What a claim says, its map and its transform, as nodes of one tape over the source's hyperparameters.

    Attributes
    ----------
    given : the given sequences of both rules.
    sequences : all names that stand for unknown functions of t.
    """

    def __init__(self, claim: Equivalence, given: set[str]) -> None:
        self.claim, self.given = claim, given
        self.tape = Tape()
        self.t = self.tape.node("step", kind="uniform")
        self.sequences = {*claim.open, *given} - {*claim.constant}
        clash = sorted(given & {*claim.source.hyperparameters})
        if clash:
            raise InputError(f"{clash[0]} is both a hyperparameter of {claim.source} and a given sequence")

    def node(self, text: str, /, **names: Node) -> Node:
        """A text as a node; more names than the source's may have a meaning, t another one."""
        own = {name: self.known(name) for name in (*self.claim.source.hyperparameters, *self.given)}
        return self.tape.lift(evaluated(text, {**own, "t": self.t, **names}, apply=self._applied))

    def _applied(self, node: Node, values: list[Any]) -> Any:
        """An operation on nodes; of steps other than t, too, it is asked whether they are the first."""
        if node.op == "first":
            return self.tape.node("first", value=shift(values[0]), kind="uniform")
        return operate(node, values)

    def known(self, name: str) -> Any:
        """What a name of the source's stands for: a node, a number, or a function of a step's node."""
        given = self.claim.given.get(name)
        if name in self.sequences:
            return partial(self._value, name)
        if isinstance(given, str):
            return lambda t: self.node(given, t=t)
        return self.tape.node("hyperparameter", value=name, kind="uniform") if given is None else exact(given)

    def now(self, name: str) -> Node:
        """What a name of the source's is at step t."""
        value = self.known(name)
        return self.tape.lift(value(self.t) if callable(value) else value)

    def state(self, name: str) -> Node:
        """A state at step t."""
        return self.tape.node("state", value=name, kind="vector")

    def _value(self, name: str, t: Any) -> Node:
        k = shift(t)
        if k is None:
            raise InputError(f"{name}({t}) is no value at a step t + k")
        return self.tape.node("sequence", value=(name, k), kind="uniform")


class Section:
    """Rules at their rows, over all that is free: hypotheses and definitions of a file.

    Attributes
    ----------
    rows : each rule's hyperparameters and given sequences at step t.
    more : what the claim says besides.
    absorbed : what a rule's gradients are multiplied by before it sees them, by the rule's name.
    """

    def __init__(
        self,
        texts: Texts,
        rules: tuple[Rule, ...],
        rows: Mapping[str, Mapping[Key, Node]],
        more: Iterable[Node] = (),
        absorbed: Mapping[str, list[Node]] | None = None,
    ) -> None:
        self.texts, self.rules, self.rows, self.absorbed = texts, rules, rows, absorbed or {}
        parameters = (node for row in rows.values() for node in row.values())
        preconditioners = (node for nodes in self.absorbed.values() for node in nodes)
        nodes = reachable([*parameters, *more, *preconditioners])
        self.divisors = Divisors(rules, rows, nodes, texts.given)
        sequences = (("sequence", node.value[0]) for node in nodes if node.op == "sequence")
        numbers = (("hyperparameter", node.value) for node in nodes if node.op == "hyperparameter")
        self.names = names([*sequences, *numbers])
        self.terms = Terms(self.leaf, {})

    def leaf(self, node: Node) -> str:
        """A schedule at a step, or a number, by name."""
        if node.op == "sequence":
            name, k = node.value
            return f"{self.names['sequence', name]} {step_in_z(k)}"
        return self.names["hyperparameter", node.value]

    def text(self, body: Iterable[str], theorems: Iterable[str]) -> str:
        """Modules, the section with a body, and what its theorems rest on."""
        blocks = [
            *self._variables(),
            *self._hypotheses(),
            *map(self._row, self.rules),
            *(self._wrapped(rule, what) for rule in self.rules for what in ("step", "query")),
            *body,
        ]
        lines = [f"  {line}" for block in blocks for line in block.splitlines()]
        printed = [f"Print Assumptions {theorem}." for theorem in theorems]
        section = "\n".join(["", "Section Claim.", *lines, "End Claim.", *printed, ""])
        return "".join(rule.text() for rule in self.rules) + section

    def _variables(self) -> Iterator[str]:
        for kind, type_ in (("sequence", "Z -> R"), ("hyperparameter", "R")):
            called = [name for key, name in self.names.items() if key[0] == kind]
            if called:
                yield f"Variables {' '.join(called)} : {type_}."

    def _hypotheses(self) -> Iterator[str]:
        for (kind, name), p in self.names.items():
            if name in self.divisors.positive:
                says = f"forall t : Z, 0 < {p} t" if kind == "sequence" else f"0 < {p}"
                yield f"Hypothesis {p}_positive : {says}."
        for j, divisor in enumerate(self.divisors.found.values()):
            every = f"forall t : {divisor.steps}, " if divisor.steps else ""
            yield f"Hypothesis nonzero{j} : {every}{self.terms(self.texts.node(divisor.text))} <> 0."

    def instances(self, t: str) -> Iterator[str]:
        """Tactics that bring in the hypotheses at all steps that proofs about the steps t and t + 1 come across."""
        return (f"generalize {fact}." for fact in self._instances(t))

    def _instances(self, t: str) -> Iterator[str]:
        for (kind, name), p in self.names.items():
            for k in self.divisors.positive.get(name, ()):
                at = f" {step_in_z(k, t)}" if kind == "sequence" else ""
                yield f"(Rgt_not_eq _ _ ({p}_positive{at}))"
        for j, divisor in enumerate(self.divisors.found.values()):
            if divisor.steps == "Z":
                yield from (f"(nonzero{j} {step_in_z(k, t)})" for k in divisor.needed)
            elif divisor.steps == "nat":
                yield from (f"(nonzero{j} {t})", f"(nonzero{j} (S {t}))")
            else:
                yield f"nonzero{j}"

    def _row(self, rule: Rule) -> str:
        values = "".join(f"\n  {self.terms(node, ATOM)}" for node in self.rows[rule.name].values())
        return f"Definition {rule.name.lower()} (t : nat) : {rule.name}.row := {rule.name}.Row{values}."

    def _wrapped(self, rule: Rule, what: str) -> str:
        """A rule's step or query at step t's row."""
        name, gradients = rule.name.lower(), "g"
        factors = [self.terms(node, 3) for node in self.absorbed.get(rule.name, ())]
        if factors:
            gradients = f"({rule.opened}{joined(' * '.join([*factors, g]) for g in rule.gradients)})"
        result = f"{rule.name}.state" if what == "step" else rule.several
        return (
            f"Definition {name}_{what} (t : nat) (s : {rule.name}.state) (g : {rule.several}) : {result} :=\n"
            f"  {rule.name}.{what} t ({name} t) s {gradients}."
        )

    def unfolded(self, *more: str) -> str:
        """The tactic that unfolds all definitions, and nothing of the real numbers."""
        made = list(more)
        for rule in self.rules:
            made += (f"{rule.name.lower()}{what}" for what in ("", "_step", "_query"))
            made += (f"{rule.name}.{name}" for name in ("start", "query", "step", "returned", *rule.names.values()))
        lines = textwrap.wrap(" ".join(made), 100, initial_indent="  ", subsequent_indent="  ")
        return "\n".join(["Ltac unfolded := cbv beta iota zeta delta [", *lines, "]."])


def proof(*lines: str) -> str:
    """A script as a proof."""
    return "\n".join(["Proof.", *(f"  {line}" for line in lines), "Qed."])


class Same:
    """The claim that two rules are one method."""

    def __init__(self, claim: Equivalence) -> None:
        for name in claim.sequences:
            raise InputError(f"{name}(t) is defined by a recursion of the claim's own, which is not exported")
        for name in claim.preconditioners:
            raise InputError(f"{name}(t) is another formula in either rule, which is not exported")
        self.claim = claim
        source, target = linear_parts(claim)
        own = dict.fromkeys(recurrences(claim.source, {*claim.given, *claim.anything}), claim.source)
        own |= dict.fromkeys(claim.derived, claim.target)
        own |= {name: part.tableau.optimizer for part in (source, target) for name in part.tableau.uniform}
        for name, rule in own.items():
            raise InputError(f"{name} of {rule} follows a recursion, which is not exported")
        self.source, self.target = Rule("Source", source, claim.given), Rule("Target", target, {})
        if self.source.several != self.target.several:
            raise InputError(f"{claim.source} and {claim.target} take different numbers of gradients a step")
        rules = (self.source, self.target)
        self.onto = rules[::-1] if claim.backward else rules
        texts = Texts(claim, {f.symbol for rule in rules for f in rule.table.factors.values()})
        mapped = {
            key: texts.now(key[1]) if key[0] == "given" else texts.node(_said(claim.map, key[1], "map", claim))
            for key in self.target.row
        }
        before, after = self.onto
        states = {state: texts.state(state) for state in before.table.states}
        self.transform = [
            texts.node(_said(claim.transform, state, "transform", claim), **states) for state in after.table.states
        ]
        absorbed = source.absorbed ^ target.absorbed  # by one rule: the other is given the gradient times it
        self.section = Section(
            texts,
            rules,
            {"Source": {key: texts.now(key[1]) for key in self.source.row}, "Target": mapped},
            self.transform,
            {rule.name: [texts.now(p) for p in sorted(absorbed - rule.part.absorbed)] for rule in rules},
        )
        self.terms = Terms(self._leaf, {})

    def _leaf(self, node: Node) -> str:
        if node.op == "state":
            return f"{self.onto[0].name}.{self.onto[0].names['state', node.value]} s"
        return self.section.leaf(node)

    def text(self) -> str:
        """The file, but for the lemma."""
        theorems = ["same_queries"] + ["same_returned"] * self.claim.returned
        body = [self._transform(), self.section.unfolded("transform"), *self._proofs()]
        return self.section.text(body, theorems)

    def _transform(self) -> str:
        before, after = (rule.name for rule in self.onto)
        values = "".join(f"\n  {self.terms(node, ATOM)}" for node in self.transform)
        return f"Definition transform (t : nat) (s : {before}.state) : {after}.state := {after}.State{values}."

    def _proofs(self) -> Iterator[str]:
        before, after = self.onto
        this, that = before.name.lower(), after.name.lower()
        starts = (f"({before.name}.start w0)", f"({after.name}.start w0)")
        yield f"Lemma starts w0 : transform 0 {starts[0]} = {starts[1]}.\n{self._script('0')}"
        step = f"transform {{ahead}} ({this}_step {{t}} {{s}} g) = {that}_step {{t}} {{moved}} g"
        yield from self._lemmas("steps", step, *starts)
        query = f"{this}_query {{t}} {{s}} g = {that}_query {{t}} {{moved}} g"
        yield from self._lemmas("queries", query, *starts)
        yield self._theorem("same_queries", "{0}_query t {run} (g t)", f"{this}_query {that}_query", "queries")
        if self.claim.returned:
            returned = f"{before.name}.returned {{s}} = {after.name}.returned {{moved}}"
            yield from self._lemmas("returned", returned, *starts)
            show = " ".join(f"(fun _ s _ => {rule.name}.returned s)" for rule in self.onto)
            yield self._theorem("same_returned", "{1}.returned {run}", show, "returned")

    @property
    def _begun(self) -> bool:
        """Whether the first step is a case of its own, at which there is no other state than the start."""
        return self.section.divisors.special > 0

    def _lemmas(self, name: str, says: str, *starts: str) -> Iterator[str]:
        """What is the same at every state, but for a first step that is a case of its own: there from the start."""
        g = f"(g : {self.source.several})"
        everywhere = says.format(ahead="(S t)", t="t", s="s", moved="(transform t s)")
        if not self._begun:
            yield f"Lemma {name} t s {g} : {everywhere}.\n{self._script()}"
            return
        first = says.format(ahead="1", t="0", s=starts[0], moved=starts[1])
        yield f"Lemma {name}_first w0 {g} : {first}.\n{self._script('0')}"
        yield f"Lemma {name} t s {g} : t <> O -> {everywhere}.\n{self._script()}"

    def _theorem(self, name: str, shown: str, shows: str, by: str) -> str:
        """A quantity is the same in both runs, by what shows it and lemmas that the transform preserves it."""
        sides = []
        for rule in (self.source, self.target):
            run = f"(run {rule.name.lower()}_step ({rule.name}.start w0) g t)"
            sides.append(shown.format(rule.name.lower(), rule.name, run=run))
        this, that = (rule.name.lower() for rule in self.onto)
        lemma, first, same = "shown", "", f"(fun t s g => {by} t s g)"
        if self._begun:
            lemma, first = "shown_once_begun", "(steps_first w0) "
            same = f"(fun g => {by}_first w0 g) {same}"
        lemma += f" _ _ _ _ {this}_step {that}_step transform _ _ (starts w0) {first}steps\n    {shows} {same} g t"
        return (
            f"Theorem {name} : forall (w0 : R) (g : nat -> {self.source.several}) (t : nat),\n"
            f"  {sides[0]}\n  = {sides[1]}.\n"
            + proof(f"intros w0 g t; {'symmetry; ' if self.claim.backward else ''}exact ({lemma}).")
        )

    def _script(self, t: str = "t") -> str:
        """A proof: what is not zero there, special steps one by one, everything unfolded, then algebra."""
        lines = ["intros; taken_apart."] if t == "0" else ["intros; destruct s; taken_apart."]
        lines += self.section.instances(t)
        special = 0 if t == "0" else self.section.divisors.special
        if special:
            lines.append("destruct t as [| t]; [exfalso; congruence |].")
            lines += ["destruct t as [| t]; [| " * (special - 1) + "idtac" + "]" * (special - 1) + "."] * (special > 1)
        return proof(*lines, "all: unfolded; tidy; intros; agree.")


def _said(texts: Mapping[str, str], name: str, what: str, claim: Equivalence) -> str:
    if name not in texts:
        raise InputError(f"the {what} of {claim.source} and {claim.target} does not say what {name} is")
    return texts[name]
