"""Claims of equivalence as Coq text: hypotheses, definitions, theorems, and the scripts that prove them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from accelsim.errors import InputError
from accelsim.language import evaluated
from accelsim.program import Node, Tape, evaluate, exact, operate, reachable
from accelsim.symbolic.algebra.language import states_read, text_of
from accelsim.symbolic.algebra.recurrences import put
from accelsim.symbolic.check.bisimulation import Bisimulation
from accelsim.symbolic.check.equivalence import Equivalence, linear_parts
from accelsim.symbolic.check.runs import Replay
from accelsim.symbolic.coq.divisors import Divisors
from accelsim.symbolic.coq.orbit import TRIES, Recursion, ever_hold
from accelsim.symbolic.coq.rule import ATOM, Key, Rule, Terms, joined, names, shift, step_in_z
from accelsim.symbolic.system.linear_part import LinearPart
from accelsim.symbolic.system.rule_sequences import memory, recurrences
from accelsim.symbolic.system.tableau import time


class Texts:
    """Texts of a claim, its map and transform, as nodes of one tape over the source's hyperparameters.

    Attributes
    ----------
    given : names of the given sequences of both rules.
    uniform : updates of the source's uniform states.
    sequences : all names that stand for functions of t.
    """

    def __init__(self, claim: Equivalence, given: set[str], part: LinearPart) -> None:
        import sympy

        self.claim, self.given, self.uniform = claim, given, part.tableau.uniform
        self.tape = Tape()
        self.t = self.tape.node("step", kind="uniform")
        self.sequences = {*claim.open, *given, *self.uniform, *claim.sequences} - {*claim.constant}
        own = recurrences(claim.source, {*claim.given, *claim.anything}).items()
        self.memories = [self._memory(name, each) for name, recurrence in own for each in recurrence.start]
        named = {memory(name, each): self._memory(name, each) for name, recurrence in own for each in recurrence.start}
        called = {f: sympy.Function(named.get(f.__name__, f.__name__), real=True) for f in part.forms}
        calls = {f: own(time()) for f, own in called.items()}
        self._forms = {called[f].__name__: text_of(put(form, calls)) for f, form in part.forms.items()}
        clash = sorted(given & {*claim.source.hyperparameters})
        if clash:
            raise InputError(f"{clash[0]} is both a hyperparameter of {claim.source} and a given sequence")

    @property
    def read(self) -> tuple[str, ...]:
        """Names that texts read beside t, memories and states."""
        return (*self.claim.source.hyperparameters, *self.given, *self.uniform, *self.claim.sequences)

    def node(self, text: str, /, **names: Node) -> Node:
        """Node of a text; `names` adds meanings to those of the source's names, and may change that of t."""
        own = {name: self.known(name) for name in self.read}
        own |= {name: partial(self._value, name) for name in self.memories}
        return self.tape.lift(evaluated(text, {**own, "t": self.t, **names}, apply=self._applied))

    def _applied(self, node: Node, values: list[Any]) -> Any:
        """Value of an operation on nodes; the condition first is decided for shifted steps too."""
        if node.op == "first":
            return self.tape.node("first", value=shift(values[0]), kind="uniform")
        return operate(node, values)

    def known(self, name: str) -> Any:
        """Meaning of a name of the source: a node, a number, or a function from a step's node to a node."""
        given = self.claim.given.get(name)
        if name in self.sequences:
            return partial(self._value, name)
        if isinstance(given, str):
            return lambda t: self.node(given, t=t)
        return self.tape.node("hyperparameter", value=name, kind="uniform") if given is None else exact(given)

    def now(self, name: str) -> Node:
        """Node of a name of the source at step t."""
        value = self.known(name)
        return self.tape.lift(value(self.t) if callable(value) else value)

    def state(self, name: str) -> Node:
        """A state at step t."""
        return self.tape.node("state", value=name, kind="vector")

    def recursions(self) -> Iterator[Recursion]:
        """Recursions of the claim's sequences, and of the source's uniform states and recurrences."""
        for each in self._recursions():
            form = self._forms.get(each.name)
            yield each if form is None or each.start is None else replace(each, form=self.node(form))

    def _recursions(self) -> Iterator[Recursion]:
        claim, zero = self.claim, self.tape.lift(0)
        for name, (start, later) in claim.sequences.items():
            yield Recursion(name, self.node(start, t=zero), self.node(later))
        for name, update in self.uniform.items():
            yield Recursion(name, self.tape.lift(claim.source.memories[name]), self._own(update))
        switches = {k: v.default for k, v in claim.source.hyperparameters.items() if v.switch} | {
            k: v for k, v in claim.given.items() if claim.source.hyperparameters[k].switch
        }
        for name, recurrence in recurrences(claim.source, {*claim.given, *claim.anything}).items():
            if formula := recurrence.formula(switches):
                yield Recursion(name, None, self._own(formula.value, name))
                for each, node in formula.following.items():
                    own = self._memory(name, each)
                    yield Recursion(own, self.tape.lift(recurrence.start[each]), self._own(node, name))

    def _memory(self, recurrence: str, name: str) -> str:
        """Unused name for a recurrence's memory."""
        taken = {*self.sequences, *self.claim.source.hyperparameters, *self.claim.source.states}
        found = f"{recurrence}_{name}"
        while found in taken:
            found += "_"
        return found

    def _own(self, node: Node, recurrence: str = "") -> Node:
        """A node of the source's program, or of one of its recurrences."""

        def leaf(node: Node) -> Any:
            if node.op == "step":
                return self.t
            if node.op == "state":
                return self._value(self._memory(recurrence, node.value) if recurrence else node.value, self.t)
            return self.now(node.value) if node.op == "hyperparameter" else self.tape.lift(node.value)

        return self.tape.lift(evaluate(node, leaf, self._applied, {}))

    def _value(self, name: str, t: Any) -> Node:
        k = shift(t)
        if k is None:
            raise InputError(f"{name}({t}) is no value at a step t + k")
        return self.tape.node("sequence", value=(name, k), kind="uniform")


class Section:
    """Section of a Coq file: rules at their rows, with hypotheses and definitions over all that is free.

    Attributes
    ----------
    rows : by rule, its hyperparameters and given sequences at step t.
    more : further nodes of the claim.
    recursions : of sequences, those that proofs use.
    absorbed : by rule, the factor of its gradients.
    """

    def __init__(
        self,
        texts: Texts,
        rules: tuple[Rule, ...],
        rows: Mapping[str, Mapping[Key, Node]],
        more: Iterable[Node] = (),
        absorbed: Mapping[str, list[Node]] | None = None,
        recursions: Iterable[Recursion] = (),
    ) -> None:
        self.texts, self.rules, self.rows, self.absorbed = texts, rules, rows, absorbed or {}
        self.recursions = list(recursions)
        parameters = (node for row in rows.values() for node in row.values())
        preconditioners = (node for nodes in self.absorbed.values() for node in nodes)
        parts = ((each.start, each.value, each.form) for each in self.recursions)
        followed = (node for nodes in parts for node in nodes if node is not None)
        nodes = reachable([*parameters, *more, *preconditioners, *followed])
        read = [node.value for node in nodes if node.op == "sequence"]
        self.ahead = 1 + max((k for _, k in read), default=0)
        of = {each.name for each in self.recursions}
        self.behind = any(k < 0 for name, k in read if name in of)
        self.divisors = Divisors(rules, rows, nodes, texts.given)
        sequences = [("sequence", name) for name, _ in read] + [("sequence", each.name) for each in self.recursions]
        numbers = (("hyperparameter", node.value) for node in nodes if node.op == "hyperparameter")
        self.names = names([*sequences, *numbers])
        self.terms = Terms(self.leaf, {})

    def leaf(self, node: Node) -> str:
        """Coq name of a schedule at a step, or of a hyperparameter."""
        if node.op == "sequence":
            name, k = node.value
            return f"{self.names['sequence', name]} {step_in_z(k)}"
        return self.names["hyperparameter", node.value]

    def text(self, body: Iterable[str], theorems: Iterable[str]) -> str:
        """Text of the modules, the section with a body, and the print of its axioms."""
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
        for each in self.recursions:
            p, value = self.names["sequence", each.name], self.terms(each.value)
            if each.start is None:
                yield f"Hypothesis {p}_value : forall t : nat, {p} t = {value}."
            else:
                yield f"Hypothesis {p}_start : {p} (Z.of_nat 0) = {self.terms(each.start)}."
                yield f"Hypothesis {p}_next : forall t : nat, {p} (t + 1)%Z = {value}."

    def instances(self, t: str) -> Iterator[str]:
        """Tactics that add the hypotheses at all steps which proofs about t and t + 1 need."""
        return (f"generalize {fact}." for fact in self._instances(t))

    def _instances(self, t: str) -> Iterator[str]:
        for each in self.recursions:
            p = self.names["sequence", each.name]
            known = "value" if each.start is None else "next" if each.form is None else "form"
            yield from (f"({p}_{known} {_later(t, k)})" for k in range(self.ahead + (known != "next")))
            if known == "next" and (t == "0" or self.behind):
                yield f"{p}_start"
            if t != "0" and self.behind:
                yield f"({p}_{known} (Nat.pred {t}))"
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

    def forms(self) -> Iterator[str]:
        """Lemmas that sequences equal their closed forms, by induction, each after those that it may use."""
        nonzero = [fact for fact in self._instances("t") if fact.startswith(("nonzero", "(nonzero"))]
        before: list[str] = []
        for each in self.recursions:
            if each.form is None:
                continue
            p = self.names["sequence", each.name]
            first, later = ([f"({lemma} {t})" for lemma in before for t in steps] for steps in (("0",), ("t", "(S t)")))
            ended = "all: unfolded; tidy; intros; followed; agree."
            yield f"Lemma {p}_form : forall t : nat, {p} t = {self.terms(each.form)}.\n" + proof(
                "induction t as [| t known].",
                *(f"1: generalize {fact}." for fact in (f"{p}_start", *first)),
                *(f"2: generalize {fact}." for fact in (f"({p}_next t)", "known", *later, *nonzero)),
                "2: clear known.",
                ended,
            )
            before.append(f"{p}_form")

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
        """Tactic that unfolds all definitions, those of the real numbers left alone."""
        made = list(more)
        for rule in self.rules:
            made += (f"{rule.name.lower()}{what}" for what in ("", "_step", "_query"))
            made += (f"{rule.name}.{name}" for name in ("start", "query", "step", "returned", *rule.names.values()))
        lines = textwrap.wrap(" ".join(made), 100, initial_indent="  ", subsequent_indent="  ")
        return "\n".join(["Ltac unfolded := cbv beta iota zeta delta [", *lines, "]."])


def _later(t: str, steps: int) -> str:
    """Coq term of the natural number t + k."""
    return f"(S {_later(t, steps - 1)})" if steps else t


def proof(*lines: str) -> str:
    """Coq text of a proof with some script."""
    return "\n".join(["Proof.", *(f"  {line}" for line in lines), "Qed."])


class Same:
    """Claim that two rules are one method.

    Sequences that follow recursions are arbitrary functions of t, unless proofs are to use their recursions: a theorem
    about all sequences holds for these, if its hypotheses do.

    Attributes
    ----------
    recursive : whether there are such sequences.
    unchecked : parts of the claim that the theorems do not state, in words.
    """

    def __init__(self, claim: Equivalence, follow: bool = False) -> None:
        self.claim = claim
        source, target = linear_parts(claim)
        for name in target.tableau.uniform:
            raise InputError(f"{name} of {claim.target} follows a recursion of its own, which is not exported")
        shared = _shared(claim)
        self.source, self.target = Rule("Source", source, claim.given), Rule("Target", target, {})
        if self.source.several != self.target.several:
            raise InputError(f"{claim.source} and {claim.target} take different numbers of gradients a step")
        rules = (self.source, self.target)
        self.onto = rules[::-1] if claim.backward else rules
        given = {f.symbol for rule in rules for f in rule.table.factors.values()}
        texts = Texts(claim, given, source)
        mapped = {}
        for key in self.target.row:
            kind, name = key
            if kind == "given":
                said = claim.preconditioners.get(name)
                mapped[key] = texts.now(name) if said is None else texts.node(said)
            elif name in claim.derived:
                if name not in shared:
                    raise InputError(f"{name} of {claim.target} follows a recursion of its own, which is not exported")
                mapped[key] = texts.now(name)
            else:
                mapped[key] = texts.node(_said(claim.map, name, "map", claim))
        before, after = self.onto
        read = states_read(claim.end, before.table.states, texts.read)
        states = {text: texts.state(state) for text, state in read.items()}
        self.transform = [
            texts.node(_said(claim.transform, state, "transform", claim), **states) for state in after.table.states
        ]
        absorbed = source.absorbed ^ target.absorbed  # by one rule: the other is given the gradient times it
        recursions = list(texts.recursions())
        self.recursive = bool(recursions)
        self.parts = source, target
        self.section = Section(
            texts,
            rules,
            {"Source": {key: texts.now(key[1]) for key in self.source.row}, "Target": mapped},
            self.transform,
            {rule.name: [texts.now(p) for p in sorted(absorbed - rule.part.absorbed)] for rule in rules},
            recursions if follow else (),
        )
        if recursions and not self._speaks(recursions):
            raise InputError("what would be assumed not to be zero is zero in every run: nothing would be shown")
        self.terms = Terms(self._leaf, {})
        self.unchecked = tuple(self._unchecked({k[1] for k in mapped if k[1] in shared}))

    def _speaks(self, recursions: list[Recursion]) -> bool:
        """Existence of a run in which the hypotheses hold along the recursions."""
        section = self.section
        divisors = [section.texts.node(divisor.text) for divisor in section.divisors.found.values()]
        return ever_hold((Replay(self.claim, self.parts, seed) for seed in range(TRIES)), recursions, divisors)

    def _unchecked(self, shared: Iterable[str]) -> Iterator[str]:
        claim, source, target = self.claim, self.source.table, self.target.table
        if source.maps and source.maps == target.maps:
            yield "that both rules apply the same signs at the same places: they are taken as the identity"
        ours, theirs = ({f.symbol for f in table.factors.values()} for table in (source, target))
        for name in sorted(ours & theirs):
            text = claim.preconditioners.get(name)
            said = f"{text} of {claim.source}" if text else "one formula in both rules"
            yield f"that {name}(t) of {claim.target} is {said}, and positive"
        for name in sorted(shared):
            yield f"that {name}(t) is one sequence in both rules: the same recurrence, of the same hyperparameters"

    def _leaf(self, node: Node) -> str:
        if node.op == "state":
            return f"{self.onto[0].name}.{self.onto[0].names['state', node.value]} s"
        return self.section.leaf(node)

    def text(self) -> str:
        """Text of the file, the lemmas of ``method.v`` left out."""
        theorems = ["same_queries"] + ["same_returned"] * self.claim.returned
        body = [self._transform(), self.section.unfolded("transform"), *self.section.forms(), *self._proofs()]
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
        """Lemmas that a quantity is equal at every state; at a first step of its own, from the start."""
        g = f"(g : {self.source.several})"
        everywhere = says.format(ahead="(S t)", t="t", s="s", moved="(transform t s)")
        if not self._begun:
            yield f"Lemma {name} t s {g} : {everywhere}.\n{self._script()}"
            return
        first = says.format(ahead="1", t="0", s=starts[0], moved=starts[1])
        yield f"Lemma {name}_first w0 {g} : {first}.\n{self._script('0')}"
        yield f"Lemma {name} t s {g} : t <> O -> {everywhere}.\n{self._script()}"

    def _theorem(self, name: str, shown: str, shows: str, by: str) -> str:
        """Theorem that a quantity is equal in both runs, by lemmas that the transform preserves it."""
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
        """Script of a proof: hypotheses, special steps one by one, unfolding, and algebra."""
        lines = ["intros; taken_apart."] if t == "0" else ["intros; destruct s; taken_apart."]
        lines += self.section.instances(t)
        special = 0 if t == "0" else self.section.divisors.special
        if special:
            lines.append("destruct t as [| t]; [exfalso; congruence |].")
            lines += ["destruct t as [| t]; [| " * (special - 1) + "idtac" + "]" * (special - 1) + "."] * (special > 1)
        elif t != "0" and self.section.behind:  # of what is before the first step, nothing is known
            lines.append("destruct t as [| t].")
        followed = " followed;" if self.section.recursions else ""
        return proof(*lines, f"all: cbn [Nat.pred]; unfolded; tidy; intros;{followed} agree.")


def _shared(claim: Equivalence) -> tuple[str, ...]:
    """The target's recurrences that are the source's, since all that they read has equal values."""
    same = ("source", "target", "map", "varying", "given", "free", "replaced")
    return Bisimulation(relation={}, **{name: getattr(claim, name) for name in same}).shared


def _said(texts: Mapping[str, str], name: str, what: str, claim: Equivalence) -> str:
    if name not in texts:
        raise InputError(f"the {what} of {claim.source} and {claim.target} does not say what {name} is")
    return texts[name]
