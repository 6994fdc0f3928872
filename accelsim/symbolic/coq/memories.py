"""Claims that a rule has two memories as Coq text: no rule of one memory has its queries."""

from __future__ import annotations

from collections.abc import Iterator

from accelsim.errors import InputError
from accelsim.symbolic.algebra.field import reduced
from accelsim.symbolic.check.memories import Memories, check
from accelsim.symbolic.coq.divisors import symbolic
from accelsim.symbolic.coq.equivalence import Section, Texts, proof
from accelsim.symbolic.coq.rule import Rule
from accelsim.symbolic.system.linear_part import linear_part
from accelsim.symbolic.system.tableau import time

_STEPS = 5  # what the minor depends on: two impulses, and the moves two steps on


class TwoMemories:
    """Claim that a rule has two memories, by the minor of its checker at the first step.

    Raises
    ------
    InputError
        For another number of memories, or a minor that is zero at the first step.
    """

    def __init__(self, claim: Memories) -> None:
        if claim.count != 2:
            raise InputError(f"only two memories are told from one in Coq, not {claim.count} from {claim.count - 1}")
        part = linear_part(claim.source, claim.own.anything, **claim.given)
        rule = Rule("Source", part, claim.given)
        given = {factor.symbol for factor in rule.table.factors.values()}
        texts = Texts(claim.own, given, part)
        self.minor = texts.node(check(claim).residuals["minor"])
        if reduced(symbolic(self.minor).subs(time(), 0)) == 0:
            raise InputError(f"the minor of {claim.source} at the first step is zero, which does not tell its memories")
        rows = {"Source": {key: texts.now(key[1]) for key in rule.row}}
        self.section = Section(texts, (rule,), rows, [self.minor])

    def text(self) -> str:
        """Text of the file, the lemmas of ``method.v`` left out."""
        return self.section.text(self._body(), ["two_memories"])

    def _body(self) -> Iterator[str]:
        yield f"Definition determinant (t : nat) : R := {self.section.terms(self.minor)}."
        yield "Hypothesis two : determinant 0 <> 0."
        yield self.section.unfolded("determinant", "minor", "response", "move", "impulse")
        facts = [fact for t in range(_STEPS) for fact in self.section.instances(str(t))]
        yield (
            "Lemma found : forall w0, minor source_query source_step (Source.start w0) = determinant 0.\n"
            + proof("intros w0.", *facts, "unfolded; cbn [run Nat.eqb]; unfolded; tidy; intros; agree.")
        )
        yield (
            "Theorem two_memories : forall (w0 : R) (a b p q : nat -> R) (start : R * R),\n"
            "  ~ (forall g t, source_query t (run source_step (Source.start w0) g t) (g t)\n"
            "    = position t (run (one_memory a b p q) start g t) (g t)).\n"
            + proof(
                "intros w0 a b p q start same; apply two.",
                "now rewrite <- (found w0), (minor_of_queries _ _ _ _ _ _ _ _ same), minor_of_one_memory.",
            )
        )
