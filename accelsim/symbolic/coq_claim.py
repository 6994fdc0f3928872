"""A claimed equivalence as Coq text: hypotheses, definitions, theorems and the scripts that prove them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from accelsim.elementary import maximum, minimum
from accelsim.errors import InputError
from accelsim.program import Node, Tape, exact
from accelsim.symbolic.algebra import evaluated
from accelsim.symbolic.coq_divisors import Divisors
from accelsim.symbolic.coq_rule import ATOM, Key, Rule, Terms, joined, names, reachable, shift, step_in_z
from accelsim.symbolic.equivalence import Equivalence
from accelsim.symbolic.normal_form import linear_part


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
        self.sequences = {*claim.open, *given}
        clash = sorted(given & {*claim.source.hyperparameters})
        if clash:
            raise InputError(f"{clash[0]} is both a hyperparameter of {claim.source} and a given sequence")

    def node(self, text: str, /, **names: Node) -> Node:
        """A text as a node; more names than the source's may have a meaning, t another one."""
        own = {name: self.known(name) for name in (*self.claim.source.hyperparameters, *self.sequences)}
        said = {"t": self.t, "first": self._first, "Min": minimum, "Max": maximum}
        return self.tape.lift(evaluated(text, {**own, **said, **names}))

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

    def _first(self, t: Any) -> Node:
        return self.tape.node("first", value=shift(t), kind="uniform")


class Claim:
    """A claimed equivalence, ready to be written."""

    def __init__(self, claim: Equivalence) -> None:
        self.claim = claim
        variable = tuple(k for k, v in claim.target.hyperparameters.items() if not v.switch)
        self.source = Rule("Source", linear_part(claim.source, claim.varying, **claim.given), claim.given)
        self.target = Rule("Target", linear_part(claim.target, variable), {})
        if self.source.several != self.target.several:
            raise InputError(f"{claim.source} and {claim.target} take different numbers of gradients a step")
        self.rules = (self.source, self.target)
        self.onto = self.rules[::-1] if claim.backward else self.rules
        texts = Texts(claim, {f.symbol for rule in self.rules for f in rule.table.factors.values()})
        self.texts = texts
        self.rows = {rule.name: {key: self._parameter(rule, key) for key in rule.row} for rule in self.rules}
        before, after = self.onto
        states = {state: texts.state(state) for state in before.table.states}
        self.transform = [
            texts.node(_said(claim.transform, state, "transform", claim), **states) for state in after.table.states
        ]
        self.nodes = reachable([*(n for row in self.rows.values() for n in row.values()), *self.transform])
        self.divisors = Divisors(self.rules, self.rows, self.nodes, texts.given)
        self.names = names(self._free())
        self.terms = Terms(self._leaf, {})

    def _parameter(self, rule: Rule, key: Key) -> Node:
        """A hyperparameter or given sequence at step t, over the source's."""
        if key[0] == "given" or rule is self.source:
            return self.texts.now(key[1])
        return self.texts.node(_said(self.claim.map, key[1], "map", self.claim))

    def _free(self) -> Iterator[Key]:
        """What the theorem is for all of: schedules and given sequences, then numbers."""
        yield from (("sequence", node.value[0]) for node in self.nodes if node.op == "sequence")
        yield from (("sequence", name) for rule in self.rules for name in self._preconditioned(rule))
        yield from (("hyperparameter", node.value) for node in self.nodes if node.op == "hyperparameter")

    def _preconditioned(self, rule: Rule) -> list[str]:
        """The given sequences that the other rule has taken into its gradient, and this one has not."""
        (other,) = (r for r in self.rules if r is not rule)
        return sorted(other.part.absorbed - rule.part.absorbed)

    def _leaf(self, node: Node) -> str:
        if node.op == "state":
            before = self.onto[0]
            return f"{before.name}.{before.names['state', node.value]} s"
        if node.op == "sequence":
            name, k = node.value
            return f"{self.names['sequence', name]} {step_in_z(k)}"
        return self.names["hyperparameter", node.value]

    def text(self) -> str:
        """Both rules' modules, the theorems, and what they rest on."""
        theorems = ["same_queries"] + ["same_returned"] * self.claim.returned
        section = [
            *self._variables(),
            *self._hypotheses(),
            *map(self._row, self.rules),
            *(self._wrapped(rule, what) for rule in self.rules for what in ("step", "query")),
            self._transform(),
            *self._proofs(),
        ]
        lines = [line for block in section for line in block.splitlines()]
        printed = [f"Print Assumptions {theorem}." for theorem in theorems]
        parts = ["\nSection Claim.", *(f"  {line}" for line in lines), "End Claim.", *printed]
        return self.source.text() + self.target.text() + "\n".join(parts) + "\n"

    def _variables(self) -> Iterator[str]:
        for kind, type_ in (("sequence", "Z -> R"), ("hyperparameter", "R")):
            called = [name for key, name in self.names.items() if key[0] == kind]
            if called:
                yield f"Variables {' '.join(called)} : {type_}."

    def _hypotheses(self) -> Iterator[str]:
        for name in self.divisors.positive:
            p = self.names["sequence", name]
            yield f"Hypothesis {p}_positive : forall t : Z, 0 < {p} t."
        for j, divisor in enumerate(self.divisors.found.values()):
            every = f"forall t : {divisor.steps}, " if divisor.steps else ""
            yield f"Hypothesis nonzero{j} : {every}{self.terms(self.texts.node(divisor.text))} <> 0."

    def _instances(self, t: str) -> Iterator[str]:
        """The hypotheses at all steps that proofs about the step t and the next one come across."""
        for name, needed in self.divisors.positive.items():
            p = self.names["sequence", name]
            yield from (f"(Rgt_not_eq _ _ ({p}_positive {step_in_z(k, t)}))" for k in needed)
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
        """A rule's step or query at step t's row; gradients are multiplied by what only the other rule absorbed."""
        name, gradients = rule.name.lower(), "g"
        factors = [f"{self.names['sequence', p]} t" for p in self._preconditioned(rule)]
        if factors:
            gradients = f"({rule.opened}{joined(' * '.join([*factors, g]) for g in rule.gradients)})"
        result = f"{rule.name}.state" if what == "step" else rule.several
        return (
            f"Definition {name}_{what} (t : nat) (s : {rule.name}.state) (g : {rule.several}) : {result} :=\n"
            f"  {rule.name}.{what} t ({name} t) s {gradients}."
        )

    def _transform(self) -> str:
        before, after = (rule.name for rule in self.onto)
        values = "".join(f"\n  {self.terms(node, ATOM)}" for node in self.transform)
        return f"Definition transform (t : nat) (s : {before}.state) : {after}.state := {after}.State{values}."

    def _proofs(self) -> Iterator[str]:
        before, after = (rule.name for rule in self.onto)
        this, that = before.lower(), after.lower()
        start = f"transform 0 ({before}.start w0) = {after}.start w0"
        yield f"Lemma starts w0 : {start}.\n{self._script('0')}"
        step = f"transform (S t) ({this}_step t s g) = {that}_step t (transform t s) g"
        yield f"Lemma steps t s g : {step}.\n{self._script()}"
        yield f"Lemma queries t s g : {this}_query t s g = {that}_query t (transform t s) g.\n{self._script()}"
        yield self._theorem("same_queries", "{0}_query t {run} (g t)", f"{this}_query {that}_query queries")
        if self.claim.returned:
            show = " ".join(f"(fun _ s _ => {rule}.returned s)" for rule in (before, after))
            yield f"Lemma returned t s : {before}.returned s = {after}.returned (transform t s).\n{self._script()}"
            yield self._theorem("same_returned", "{1}.returned {run}", f"{show} (fun t s _ => returned t s)")

    def _theorem(self, name: str, shown: str, by: str) -> str:
        """A quantity is the same in both runs, by what shows it and a lemma that the transform preserves it."""
        sides = []
        for rule in self.rules:
            run = f"(run {rule.name.lower()}_step ({rule.name}.start w0) g t)"
            sides.append(shown.format(rule.name.lower(), rule.name, run=run))
        this, that = (rule.name.lower() for rule in self.onto)
        lemma = f"shown _ _ _ _ {this}_step {that}_step transform _ _ (starts w0) steps {by} g t"
        return (
            f"Theorem {name} : forall (w0 : R) (g : nat -> {self.source.several}) (t : nat),\n"
            f"  {sides[0]}\n  = {sides[1]}.\n"
            f"Proof.\n  intros w0 g t; {'symmetry; ' if self.claim.backward else ''}exact ({lemma}).\nQed."
        )

    def _script(self, t: str = "t") -> str:
        """A proof: what is not zero there, special steps one by one, everything unfolded, then algebra."""
        lines = ["intros."] if t == "0" else ["intros; destruct s; taken_apart."]
        lines += [f"generalize {fact}." for fact in self._instances(t)]
        if t != "0" and self.divisors.special:
            special = self.divisors.special
            lines.append("destruct t as [| t]; [| " * special + "idtac" + "]" * special + ".")
        unfolded = " ".join(self._definitions())
        lines.append(f"all: cbv beta iota zeta delta [{unfolded}]; tidy; intros; agree.")
        return "\n".join(["Proof.", *(f"  {line}" for line in lines), "Qed."])

    def _definitions(self) -> Iterator[str]:
        yield from ("transform", "source", "target", "source_step", "target_step", "source_query", "target_query")
        for rule in self.rules:
            yield from (f"{rule.name}.{name}" for name in ("start", "query", "step", "returned", *rule.names.values()))


def _said(texts: Mapping[str, str], name: str, what: str, claim: Equivalence) -> str:
    if name not in texts:
        raise InputError(f"the {what} of {claim.source} and {claim.target} does not say what {name} is")
    return texts[name]
