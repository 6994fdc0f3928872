"""Proofs of claimed equivalences: a map of hyperparameters and a transform of states are given, and are checked.

Two rules that query the same points on every sequence of gradients are the same method. For a transform T_t of
states it is enough that, as identities between rational functions of hyperparameters and of unknown functions of t,

    T_{t+1} A_t = A'_t T_t,    T_{t+1} B_t = B'_t,    C_t = C'_t T_t,    T_0 s_0 = s'_0,

the primed matrices being those of the rule that the transform leads to. Where the first step is a case of its own
there is but one state at it, s_0, and the identities are asked of that one alone. A verdict is confirmed on a second
route without SymPy: both rules are run in fractions on the same gradients. Linear rules are run by their own program,
and so are rules that both apply a sign; of the others, the linear part is, signs set aside and preconditioners given.
Where a claim says what preconditioners are, both rules are run as they are, in floating point.

Where the source has a sign or a preconditioner that the target has not, or the map itself contains a preconditioner,
all this is about linear parts: the rules are the same *up to* what is set aside, and the claim has to say so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from accelsim.errors import InputError, unknown
from accelsim.language import VOCABULARY
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import elsewhere, reduced, shifted, special_steps
from accelsim.symbolic.algebra.language import divided_by, expression, number, rooted, states_read
from accelsim.symbolic.algebra.nonvanishing import conditions, poles
from accelsim.symbolic.algebra.radicals import Roots
from accelsim.symbolic.algebra.recurrences import Recursions, Texts, put
from accelsim.symbolic.check.preconditioners import Preconditioners, Rule, nonlinear
from accelsim.symbolic.check.runs import STEPS, Replay
from accelsim.symbolic.system.closed_forms import related_forms
from accelsim.symbolic.system.formulas import formulas, structure
from accelsim.symbolic.system.linear_part import LinearPart, linear_part
from accelsim.symbolic.system.positivity import at_least_zero
from accelsim.symbolic.system.rule_sequences import reads, recurrences
from accelsim.symbolic.system.tableau import distinct, time

DRAWS = 3  # replays at random rational hyperparameters that must agree exactly
UNROLLED = 2  # steps that sequences are followed where values at one step do not show that an identity holds
OF_TARGET = "\N{PRIME}"  # after the name of a sequence of the target, lest it be taken for one of the source
TRIES = 50  # replays in which a counterexample is looked for
SIGN, PRECONDITIONER = "sign", "preconditioner"  # up to which rules may be the same


@dataclass(frozen=True)
class Equivalence:
    """Claim that a rule, the source, is another one, the target, at mapped hyperparameters.

    Attributes
    ----------
    source, target : the rules.
    map : by hyperparameter of the target, a text in t and the source's hyperparameters, as ``"lr*(1 - nu)"``. One that
        varies is written as a function, as ``"lr(t-1)"``.
    transform : by state of one rule, a linear combination of the states of the other at the same step, as
        ``"w + lr*m"``: the rows of T_t. A state whose name is also one of a hyperparameter or function of t is told by
        its rule, as ``"b[m]"``.
    backward : whether the transform leads from the target's states to the source's.
    varying : the source's hyperparameters that are unknown functions of t.
    given : the source's hyperparameters that are known: numbers, or schedules written in t.
    constant : recurrences and given sequences (preconditioners) for which the claim supposes that they do not vary.
    free : recurrences that are any functions of t, as if they were hyperparameters without a default: the source's are
        arbitrary, and the map gives the target's. The others are what their recursions make of them.
    replaced : recurrences of the target in place of which the map gives values, though the source's are not free.
    returned : whether the rules are claimed to return the same, beside querying the same points.
    sequences : functions of t that the map and the transform may use, by name: the value at t = 0, and the one at
        t + 1 in values at t, as ``("1", "1 + beta(t+1)*weights(t)")``.
    preconditioners : given sequences of the target that are another formula than the source's, each written in the
        source's, as ``{"p": "p(t)*sqrt(beta2)"}``; hyperparameters in their formulas then have to be mapped too.
    nonlinear : by nonlinear state of the target that such a formula reads, a text in the source's nonlinear states at
        the same step; by default the state of the same name.
    up_to : kinds of what the claim sets aside, of "sign" and "preconditioner"; empty for the rules as they are.

    Raises
    ------
    InputError
        For a name that no rule has, or a recurrence that is mapped and not free.
    """

    source: Optimizer
    target: Optimizer
    map: Mapping[str, str]
    transform: Mapping[str, str]
    backward: bool = False
    varying: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    constant: tuple[str, ...] = ()
    returned: bool = False
    sequences: Texts = field(default_factory=dict)
    preconditioners: Mapping[str, str] = field(default_factory=dict)
    nonlinear: Mapping[str, str] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    up_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        own = {name: rule for rule in (self.source, self.target) for name in recurrences(rule)}
        for name in self.free:
            if name not in own:
                raise unknown(f"recurrence of {self.source} or {self.target}:", name, own)
        for name in self.replaced:
            if own.get(name) != self.target:
                raise unknown(f"recurrence of {self.target}:", name, recurrences(self.target))
        taken = {"t", *VOCABULARY, *self.source.hyperparameters, *self.source.states, *self.target.states}
        for name in self.sequences:
            if name in taken or not name.isidentifier():
                raise InputError(f"a sequence cannot be called {name!r}: use a name that nothing else has")
        for name in self.map:
            if name not in self.target.hyperparameters:
                raise unknown(f"hyperparameter of {self.target}:", name, self.target.hyperparameters)
            if name in self.derived:
                raise InputError(
                    f"{name} of {self.target} is the recurrence {self.target.hyperparameters[name].default}: "
                    "a map says what it is where it is among those that are free"
                )
        to = self.source if self.backward else self.target
        for states, of in ((self.transform, to), (self.nonlinear, self.target)):
            for name in states:
                if name not in of.states:
                    raise unknown(f"state of {of}:", name, of.states)

    @property
    def end(self) -> str:
        """The rule from whose states the transform leads: ``a``, the source, or ``b``, the target."""
        return "b" if self.backward else "a"

    @property
    def open(self) -> tuple[str, ...]:
        """The source's hyperparameters that are functions of t: those that may be any, and its recurrences."""
        return (*self.varying, *recurrences(self.source, (*self.given, *self.constant)))

    @property
    def anything(self) -> tuple[str, ...]:
        """The source's hyperparameters that may be any functions of t, constant ones among them."""
        own = recurrences(self.source, self.given)
        return (*self.varying, *(name for name in own if name in (*self.free, *self.constant)))

    @property
    def derived(self) -> tuple[str, ...]:
        """The target's hyperparameters that follow a recurrence."""
        return tuple(recurrences(self.target, (*self.free, *self.replaced)))

    @property
    def direction(self) -> str:
        """Direction of the transform in words: from one rule to the other."""
        ends = (self.target, self.source) if self.backward else (self.source, self.target)
        return f"{ends[0]} -> {ends[1]}"


@dataclass(frozen=True)
class Verdict:
    """Outcome of checking a claim.

    Attributes
    ----------
    status : "proved" (all identities hold and all runs agree), "refuted" (with a counterexample), or "failed": the
        identities do not hold though the runs agree, so that the transform is wrong, or the two routes disagree.
    residuals : by name of an identity, the text of its left side less its right side, "0" where it holds.
    conditions : texts of what has to be nonzero, or positive.
    assumptions : sentences on what the claim takes for granted, such as preconditioners that are set aside.
    counterexample : hyperparameters, gradients and the first step at which runs differ; None where none do.
    reason : why the status is what it is, in one line.
    up_to : kinds of what was set aside, "sign" and "preconditioner". Where there are some, nothing is said of the rules
        as they are.
    """

    status: str
    residuals: Mapping[str, str]
    conditions: tuple[str, ...]
    assumptions: tuple[str, ...]
    counterexample: Mapping[str, Any] | None
    reason: str
    up_to: tuple[str, ...] = ()


def up_to_words(kinds: Iterable[str]) -> str:
    """Kinds of what is set aside as the end of a sentence; empty for none.

    >>> up_to_words(["sign", "preconditioner"])
    ' up to a sign and a preconditioner'
    """
    named = " and ".join(f"a {kind}" for kind in kinds)
    return f" up to {named}" if named else ""


def check(claim: Equivalence) -> Verdict:
    """Prove or refute a claimed equivalence by symbolic identities, and confirm the verdict by runs in fractions.

    Returns
    -------
    Verdict
        "proved" only where both routes agree.

    Raises
    ------
    InputError
        If the claim cannot be read: a name that no rule has, a transform that is not linear, a hyperparameter without a
        value, different numbers of gradients, or a sign that the target alone applies.

    References
    ----------
    Kalman 1963, doi:10.1137/0301010 (equivalence of linear systems by a transform of states).
    """
    proof = _Proof(claim)
    residuals = proof.residuals()
    left = {name: value for name, value in residuals.items() if value != 0}
    runs, rational, counterexample = _replayed(proof, TRIES if left else DRAWS)
    status, kind = "failed", "rational " if rational else ""
    if left:
        name, value = next(iter(left.items()))
        reason = f"the {name} differs by {value}"
        if counterexample:
            status = "refuted"
        else:
            reason += f", but {runs} {kind}runs agree: the rules may be the same, by another transform"
    elif counterexample:
        maps = sorted({name for part in linear_parts(claim) for name, _ in part.tableau.maps})
        why = (
            f"identities say nothing of factors inside {' and '.join(maps)}"
            if maps
            else "one of the two routes is wrong"
        )
        reason = f"the identities hold, but {kind}runs differ: {why}"
    elif gap := next(proof.gaps(), None):
        reason = gap
    elif runs < DRAWS:
        reason = f"the identities hold, but no {kind}run satisfies the conditions: nothing confirms them"
    else:
        exactly = "exactly" if kind else "up to rounding"
        reason = f"all {len(residuals)} identities hold, and {runs} {kind}runs of {STEPS} steps agree {exactly}"
        reason += f": the same{up_to_words(proof.up_to)}" if proof.up_to else ""
        status = "proved"
    texts = {name: str(value) for name, value in residuals.items()}
    return Verdict(status, texts, proof.conditions(), proof.assumptions(), counterexample, reason, proof.up_to)


def differs(claim: Equivalence) -> bool:
    """Refutation of a claim by one run in fractions: sooner done than `check`, and True only where the run shows it."""
    for seed in range(DRAWS):
        with suppress(ArithmeticError, ValueError):
            return Replay(claim, linear_parts(claim), seed).difference() is not None
    return False


def _replayed(proof: _Proof, wanted: int) -> tuple[int, bool, dict[str, Any] | None]:
    """Outcome of runs: how many agreed of those wanted, whether all in fractions, first difference or None."""
    agreed, rational = 0, not proof.claim.preconditioners
    for seed in range(TRIES):
        try:
            replay = Replay(proof.claim, (proof.source, proof.target), seed)
            if not all(map(replay.positive, proof.positive)):
                continue
            found = replay.difference()
        except (ArithmeticError, ValueError):
            continue  # this draw violates a condition of the claim, or rounding hides the difference
        if found:
            return agreed, rational, found
        agreed += 1
        rational &= replay.rational
        if agreed == wanted:
            break
    return agreed, rational, None


def linear_parts(claim: Equivalence) -> tuple[LinearPart, LinearPart]:
    """Linear parts of source and target of a claim (see `parts_of`).

    Raises
    ------
    InputError
        If a rule has no linear part, or a name means different things in the two rules.
    """
    source = linear_part(claim.source, claim.anything, **claim.given)
    target = linear_part(claim.target, _variable(claim))
    return parts_of(source, target, one_gradient=not claim.preconditioners)


def parts_of(source: LinearPart, target: LinearPart, one_gradient: bool = True) -> tuple[LinearPart, LinearPart]:
    """Linear parts of two rules with their given sequences in places where they can be compared.

    A preconditioner that both rules have is taken into the gradient of both or of neither, since they are given one
    gradient.

    Parameters
    ----------
    source, target : linear parts, each by itself.
    one_gradient : whether preconditioners of one name are one sequence; if not, neither is taken into the gradient.

    Returns
    -------
    source, target : the parts to be compared.

    Raises
    ------
    InputError
        If a given sequence of one rule has the name of a state or hyperparameter of the other.
    """
    for part, other in ((source, target), (target, source)):
        distinct(part.tableau.optimizer, other.tableau.factors.values())
    if not one_gradient:
        return _outside(source, source.absorbed), _outside(target, target.absorbed)
    return _outside(source, _elsewhere(source, target)), _outside(target, _elsewhere(target, source))


def _variable(claim: Equivalence) -> tuple[str, ...]:
    """The target's hyperparameters that the map may give."""
    declared = claim.target.hyperparameters.items()
    return tuple(k for k, v in declared if not v.switch and k not in claim.derived)


def _elsewhere(part: LinearPart, other: LinearPart) -> frozenset[str]:
    """Given sequences that one part has taken into the gradient while the other has them in its matrices."""
    return (part.absorbed - other.absorbed) & {factor.symbol for factor in other.tableau.factors.values()}


def _outside(part: LinearPart, names: frozenset[str]) -> LinearPart:
    """The part with some given sequences moved from the gradient back into its matrices."""
    import sympy

    for name in names:
        matrices = part.matrices._replace(B=part.matrices.B * sympy.Function(name, positive=True)(time()))
        notes = [
            note for note in part.assumptions if not note.startswith(f"g is the preconditioned gradient {name}(t)")
        ]
        notes.append(f"{name}(t) is a given positive sequence, acting before the momentum")
        part = replace(part, matrices=matrices, assumptions=tuple(notes), absorbed=part.absorbed - {name})
    return part


def _set_aside(source: LinearPart, target: LinearPart) -> None:
    """Raise `InputError` if the target applies a sign that the source does not, or at another place.

    Arguments of signs are compared in place of signs. That is sound where both rules apply them alike, or the source
    alone does.
    """
    theirs, ours = target.tableau.maps, source.tableau.maps
    if theirs and theirs != ours:
        (name, when), *_ = sorted(theirs - ours or theirs)
        raise InputError(
            f"{target.tableau.optimizer} applies {name} {when} the momentum and {source.tableau.optimizer} does not: "
            "their linear parts say nothing of whether they are the same"
        )


def set_aside(
    source: LinearPart, target: LinearPart, mapped: Iterable[Any], constant: Iterable[str] = ()
) -> tuple[str, ...]:
    """Kinds of what keeps rules with equal linear parts from being the same: of "sign" and "preconditioner".

    It is empty where both apply the same signs and are given the same sequences. A given sequence that is supposed not
    to vary, or that a hyperparameter of the target is written in, is a preconditioner that is set aside.

    Parameters
    ----------
    mapped : the target's hyperparameters, as SymPy expressions.
    constant : names of sequences that the claim supposes not to vary.
    """
    from sympy.core.function import AppliedUndef

    ours, theirs = given_sequences(source), given_sequences(target)
    used = {x.name if x.is_Symbol else x.func.__name__ for e in mapped for x in e.free_symbols | e.atoms(AppliedUndef)}
    found = []
    if source.tableau.maps != target.tableau.maps:
        found.append(SIGN)
    if ours != theirs or used & ours or {*constant} & ours:
        found.append(PRECONDITIONER)
    return tuple(found)


def given_sequences(part: LinearPart) -> set[str]:
    """Names of a rule's given sequences (preconditioners)."""
    return {factor.symbol for factor in part.tableau.factors.values()}


class _Proof:
    """The identities of a claim: both rules' matrices over the source's hyperparameters, and the transform T_t."""

    def __init__(self, claim: Equivalence) -> None:
        self.claim = claim
        source, target = linear_parts(claim)
        _set_aside(source, target)
        functions = {factor.symbol for part in (source, target) for factor in part.tableau.factors.values()}
        functions |= set(recurrences(claim.source))
        for name in claim.constant:
            if name not in functions:
                raise unknown(f"function of t in {claim.source} or {claim.target}:", name, functions)
        self.source = self._steady(source)
        self.recursions = self._recursions() | self.source.sequences
        self.mapped = self._mapped(target)
        self.scales = self._scales(target)
        self.target = self._steady(self._placed(target).replaced(self.scales))
        self.recursions |= self.target.sequences.without(self.target.sequences.values)
        counts = [part.tableau.gradients for part in (self.source, self.target)]
        for name in functions & claim.sequences.keys():
            raise InputError(f"a sequence cannot be called {name!r}: it is given")
        if counts[0] != counts[1]:
            raise InputError(
                f"{claim.source} takes {counts[0]} and {claim.target} {counts[1]} gradients a step: "
                "no transform makes one of the other"
            )
        self.onto = (self.target, self.source) if claim.backward else (self.source, self.target)
        self.transform = self._transform()
        self.related = self._related() if claim.preconditioners else None
        self.up_to = set_aside(source, target, self.mapped.values(), claim.constant)
        self.squared: list[Any] = []  # what roots that identities square are taken of

    def _placed(self, target: LinearPart) -> LinearPart:
        """The target's part in the source's terms; its sequences that are multiples of the source's are written so."""
        import sympy

        self._readable(target)
        part = target.put({f.func: value for f, value in self.mapped.items()}).defined(self.claim.derived)
        own = {f: sympy.Function(f"{f.__name__}{OF_TARGET}", real=True) for f in part.sequences.following}
        part = part.renamed(own).closed()
        return part.with_forms(related_forms(self.recursions | part.sequences, part.sequences.following))

    def _readable(self, target: LinearPart) -> None:
        """Raise `InputError` for a recurrence of the target that is no formula and not the source's at equal values."""
        claim = self.claim
        defined = {f.__name__ for f in (*target.sequences.values, *target.forms)}
        for name in needed(target):
            if name in claim.derived and name not in defined:
                one, other = (rule.hyperparameters.get(name) for rule in (claim.source, claim.target))
                equal = one == other and name in claim.open and name not in claim.anything
                if not equal or not all(map(self._same, claim.map)):
                    raise InputError(
                        f"{name} of {claim.target} cannot be read as a formula in t, its memory and hyperparameters, "
                        "so that nothing is known of it: free it, or write it without comparing, indexing or rounding"
                    )

    def _steady(self, part: LinearPart) -> LinearPart:
        """The part with a symbol for each function of t that the claim has constant."""
        return part.replaced(self._held(part.matrices))

    def _held(self, expressions: Iterable[Any]) -> dict[Any, Any]:
        import sympy
        from sympy.core.function import AppliedUndef

        functions = {f for e in expressions for f in e.atoms(AppliedUndef) if f.func.__name__ in self.claim.constant}
        return {f: sympy.Symbol(f.func.__name__, real=True, positive=f.is_positive) for f in functions}

    def _names(self) -> dict[str, Any]:
        """Meanings of the names in a claim's texts: t, hyperparameters of the source, sequences, functions of t."""
        import sympy

        known: dict[str, Any] = {"t": time()}
        for factor in self.source.tableau.factors.values():
            kind = sympy.Symbol if factor.symbol in self.claim.constant else sympy.Function
            known[factor.symbol] = kind(factor.symbol, positive=True)
        for name in self.claim.source.hyperparameters:
            given = self.claim.given.get(name)
            if name in self.claim.open:
                known[name] = self._called(name)
            elif isinstance(given, str):
                known[name] = partial(self._schedule, given)
            else:
                known[name] = sympy.Symbol(name, real=True) if given is None else number(given)
        known |= {name: self._called(name) for name in self.source.tableau.uniform}
        return known | {name: sympy.Function(name, real=True) for name in self.claim.sequences}

    def _called(self, name: str) -> Any:
        """A function of t of the source by its name: its closed form, where it has one."""
        import sympy

        function = sympy.Function(name, real=True)
        form = self.source.forms.get(function)
        return function if form is None else lambda t: form.subs(time(), t)

    def _recursions(self) -> Recursions:
        """The claim's own sequences."""
        import sympy

        functions = {name: sympy.Function(name, real=True) for name in self.claim.sequences}
        texts = self.claim.sequences.items()
        following = {functions[name]: self._written(text) for name, (_, text) in texts}
        start = {functions[name]: self._written(text).subs(time(), 0) for name, (text, _) in texts}
        for name, (first, later) in self.claim.sequences.items():
            own = {f.func for f in start[functions[name]].atoms(sympy.core.function.AppliedUndef)}
            late = following[functions[name]].atoms(sympy.core.function.AppliedUndef)
            if own & set(following):
                raise InputError(f"{name} at t = 0 is written in sequences: {first}")
            if any(f.func in following and f.args[0] != time() for f in late):
                raise InputError(f"the next {name} must be written in values of sequences at t: {later}")
        return Recursions(following, start)

    def _schedule(self, text: str, t: Any) -> Any:
        return expression(text, {"t": t})

    def _written(self, text: str, **more: Any) -> Any:
        return expression(text, {**self._names(), **more})

    def _mapped(self, target: LinearPart) -> dict[Any, Any]:
        """Values of the target's hyperparameters, by the unknown function of t that stood for each."""
        import sympy

        mapped = {}
        for name in parameters(self.claim, target):
            text = mapping(self.claim, name)
            mapped[sympy.Function(name, real=True)(time())] = self._written(text)
        return mapped

    def _scales(self, target: LinearPart) -> dict[Any, Any]:
        """Values of the target's given sequences that are other formulas than the source's, by sequence."""
        import sympy

        given = [factor.symbol for factor in target.tableau.factors.values()]
        found = {}
        for name, text in self.claim.preconditioners.items():
            if name not in given:
                raise unknown(f"given sequence of {self.claim.target}:", name, given)
            found[sympy.Function(name, positive=True)(time())] = self._written(text)
        return found

    def _related(self) -> Preconditioners:
        """The identities about these given sequences."""
        import sympy

        def at_t(name: str) -> Any:
            own = known[name]
            return own if isinstance(own, sympy.Basic) else own(time())

        claim, known = self.claim, self._names()
        read = claim.source.program(claim.given).reads
        values = {name: at_t(name) for name in read if not claim.source.hyperparameters[name].switch}
        mapped = {f.func.__name__: value for f, value in self.mapped.items()}
        scales = {f.func.__name__: value for f, value in self.scales.items()}
        rules = Rule(self.source, claim.given, values), Rule(self.target, {}, mapped)
        told = partial(nonlinear, claim.nonlinear, rules, self._written)
        return Preconditioners(rules, claim.backward, self.transform, told, scales, self.recursions)

    def _transform(self) -> Any:
        """T_t as a matrix, from the written states."""
        import sympy

        before, after = (part.tableau.states for part in self.onto)
        symbols = {name: sympy.Dummy(name) for name in before}
        read = {text: symbols[s] for text, s in states_read(self.claim.end, before, self._names()).items()}
        matrix = sympy.zeros(len(after), len(before))
        for i, state in enumerate(after):
            if state not in self.claim.transform:
                raise InputError(f"the transform {self.claim.direction} does not say what {state} is")
            row = sympy.expand(self._written(self.claim.transform[state], **read))
            for j, name in enumerate(before):
                matrix[i, j] = row.coeff(symbols[name])
            rest = sympy.expand(row - sum(matrix[i, j] * symbols[name] for j, name in enumerate(before)))
            if rest != 0 or matrix.row(i).has(*symbols.values()):
                raise InputError(f"the transform is not linear in the states: {self.claim.transform[state]}")
        return matrix

    def residuals(self) -> dict[str, Any]:
        """Left side less right side of each identity, by name.

        Each is looked at at its special steps and at all others together; at a special first step from the start alone.
        """
        found = self._start()
        for name, columns, row, of_states in self._rows():
            special = special_steps(row)
            alone = of_states and (0 in special or bool(self.recursions.early))
            if alone:
                for start, states in self._starts():
                    first = self._left((row * states)[0], 0)
                    found[f"{name} from the initial {start} at t = 0"] = first
            for column, entry in zip(columns, row, strict=True):
                found |= self._entry(f"{name}, coefficient of {column}", entry, special, alone)
        found = {name: self._without_roots(value) for name, value in found.items()}
        return found | (self.related.residuals if self.related else {})

    def _without_roots(self, residual: Any) -> Any:
        """Residual of an identity once its roots are products of independent ones.

        Squares that had to be positive for this are added to `squared`.
        """
        if residual == 0 or not any(power.exp.is_Rational and not power.exp.is_Integer for power in _powers(residual)):
            return residual
        roots = Roots([])
        left = roots.left(residual)
        if left != 0:
            return residual
        self.squared += [square for square in roots.positive if square not in self.squared]
        return left

    def _entry(self, name: str, equation: Any, special: list[int], started: bool) -> dict[str, Any]:
        """Residuals of one equation, by name: at those of some steps that are special to it, and at all others.

        Where `started`, nothing is asked of step 0.
        """
        own = special_steps(equation)
        steps = [step for step in special if step in own and not (started and step == 0)]
        found = {f"{name} at t = {step}": self._left(equation, step) for step in steps}
        done = {*own, *({0} if started else ())}
        found[f"{name} elsewhere" if own else name] = self._left(equation, None, done)
        return found

    def _left(self, equation: Any, step: int | None, done: Collection[int] = ()) -> Any:
        """Residual of an equation at a step, or (None) at all steps but those that are done.

        An equation that holds for any values of the source's recurrences is seen to do so without their recursions.
        Otherwise all sequences are written in those of some step t and the steps before it are looked at one by one: by
        induction that is every step.
        """
        here = self.recursions
        left = reduced(here.onward(elsewhere(equation)) if step is None else here.at(equation, step))
        if left == 0 or not (here.early or here.values):
            return left
        full = here.defined(equation)
        if step is not None:
            return reduced(here.at(full, step))
        special = {s for s in special_steps(full) if s >= 0}
        lag = here.lag(full)
        remainders = []
        for begin in range(lag, lag + UNROLLED + 1):
            remainders.append(reduced(here.onward(elsewhere(shifted(full, begin)))))
            if remainders[-1] == 0:
                early = sorted({*range(begin), *special} - set(done))
                return next((x for x in (reduced(here.at(full, s)) for s in early) if x != 0), remainders[-1])
        return remainders[0]

    def _rows(self) -> Iterator[tuple[str, list[str], Any, bool]]:
        """Equations that hold at all steps, row by row: of each new state, query and returned point.

        Yields
        ------
        name : of the row.
        columns : names of the coefficients in it.
        row : SymPy matrix (1, columns) that vanishes.
        of_states : whether the columns are states rather than gradients.
        """
        before, after = self.onto
        ahead, here = shifted(self.transform, 1), self.transform
        inputs = [f"g{j or ''}" for j in range(before.tableau.gradients)]
        rows = after.tableau.states
        states = [f"state {name}" if name in inputs else name for name in before.tableau.states]
        left, right = before.matrices, after.matrices
        groups: list[tuple[Any, str, Any, Any]] = [
            (ahead * left.A - right.A * here, "update of", rows, states),
            (ahead * left.B - right.B, "update of", rows, inputs),
            (left.C - right.C * here, "query for", inputs, states),
            (left.D - right.D, "query for", inputs, inputs),
        ]
        if self.claim.returned:
            groups.append((left.F - right.F * here, "returned", ("state",), states))
        for matrix, what, names, columns in groups:
            for i, row in enumerate(names):
                yield f"{what} {row}", columns, matrix.row(i), columns is states

    def _starts(self, after: bool = False) -> Iterator[tuple[str, Any]]:
        """Initial states (before or after the transform) as columns: in units of the point w0, and constant."""
        import sympy

        table = self.onto[after].tableau
        for what, values in (("point", table.translation), ("memories", table.start)):
            yield what, sympy.Matrix(list(map(number, values)))

    def _start(self) -> dict[str, Any]:
        """Residuals of T_0 s_0 = s'_0: the initial point goes to the initial point, memories to memories."""
        states = self.onto[1].tableau.states
        found: dict[str, Any] = {}
        for (what, left), (_, right) in zip(self._starts(), self._starts(after=True), strict=True):
            names = (f"initial {what} in {state}" for state in states)
            equations = self.transform * left - right
            found |= {name: self._left(value, 0) for name, value in zip(names, equations, strict=True)}
        return found

    def conditions(self) -> tuple[str, ...]:
        """Texts of what has to be nonzero or positive: divisors of rules, map and transform, and squares of roots."""
        more = (*(f"{text} > 0" for text in self.positive), *self.related.vanishing()) if self.related else ()
        return (*conditions(self._values), *dict.fromkeys((*self._roots_exist(), *self._not_zero(), *more)))

    def _roots_exist(self) -> Iterator[str]:
        """Conditions that squares of roots are not negative, where ranges do not prove it."""
        claim = self.claim
        variable = tuple(k for k, v in claim.target.hyperparameters.items() if not v.switch)
        ours = self.source.tableau.rooted(claim.varying, **claim.given)
        theirs = (square.xreplace(self.mapped) for square in self.target.tableau.rooted(variable))
        names, texts = self._names(), (*claim.map.values(), *claim.given.values())
        said = (x for text in texts if isinstance(text, str) for x in rooted(text, names))
        for square in (x.xreplace(self._held([x])) for x in (*ours, *theirs, *said, *self.squared)):
            if not at_least_zero(square, claim.source):
                yield f"{square} >= 0"

    def _not_zero(self) -> Iterator[str]:
        """Conditions that given sequences that are divided by are nonzero, where that is not proved."""
        import sympy
        from sympy.core.function import AppliedUndef

        below = [sympy.fraction(sympy.together(value))[1] for value in self._values]
        for part in (self.source, self.target):
            for factor in part.tableau.factors.values():
                sequence = sympy.Function(factor.symbol, positive=True)
                called = {f for d in below for f in d.atoms(AppliedUndef) if f.func == sequence}
                if called and factor.symbol not in part.positive:
                    yield from (f"{f} != 0" for f in sorted(called, key=str))

    @property
    def positive(self) -> list[str]:
        """Texts of expressions that have to be positive for the claim to hold."""
        return self.related.positive() if self.related else []

    @cached_property
    def _values(self) -> list[Any]:
        """Expressions whose poles are conditions of the claim."""
        written = [*self.mapped.values(), *self.scales.values(), *self.transform, *(1 / d for d in self._divided_by())]
        return [*self.recursions.expressions(), *map(self.recursions.onward, written)]

    def _divided_by(self) -> Iterator[Any]:
        """Divisors in the rules and in the texts of the claim, before any cancellation."""
        claim = self.claim
        known = self._names()
        states = (*states_read(claim.end, self.onto[0].tableau.states, known), *self.source.tableau.dropped)
        names = {**known, **dict.fromkeys(states, time())}
        own = [text for texts in claim.sequences.values() for text in texts]
        own += [*claim.preconditioners.values(), *claim.nonlinear.values()]
        for text in (*claim.map.values(), *claim.transform.values(), *claim.given.values(), *own):
            if isinstance(text, str):
                yield from divided_by(text, names)
        mapped = {f.func: value for f, value in self.mapped.items()}
        ours = (put(d, self.source.forms) for d in self.source.tableau.divided_by(claim.anything, **claim.given))
        theirs = (put(put(d, mapped), self.target.forms) for d in self.target.tableau.divided_by(_variable(claim)))
        more = self.related.divided_by() if self.related else ()
        yield from (divisor.xreplace(self._held([divisor])) for divisor in (*ours, *theirs, *more))

    def gaps(self) -> Iterator[str]:
        """Reasons why the rules may differ though all identities hold."""
        yield from poles(self._values)
        yield from self._unlike()
        yield from self._undeclared()
        signs, tables = self.target.tableau.maps, (self.source.tableau, self.target.tableau)
        given = [name for table in tables for name in (*(f.symbol for f in table.factors.values()), *table.dropped)]
        if signs and given and not self._verbatim():
            yield f"both rules apply {min(signs)[0]}, which no run confirms where {given[0]} is given"
        elif any(name != "sign" for name, _ in signs) and not self._verbatim() and self._apart_on_matrices():
            yield f"both rules apply {min(signs)[0]}, and no run on matrices shows that they apply it alike"

    def _apart_on_matrices(self) -> bool:
        """Whether runs of both rules on matrices differ, or none has a value."""
        for seed in range(TRIES):
            with suppress(ArithmeticError, ValueError):
                replay = Replay(self.claim, (self.source, self.target), seed)
                if all(map(replay.positive, self.positive)):
                    return replay.apart_on_matrices()
        return True

    def _undeclared(self) -> Iterator[str]:
        """Reasons of that kind: given sequences of the target alone, kinds set aside that the claim omits."""
        claim = self.claim
        for name in sorted(given_sequences(self.target) - given_sequences(self.source)):
            what = f"{name}(t), which depends on state or gradient"
            yield f"{claim.target} multiplies by {what}, and {claim.source} does not"
        if set(claim.up_to) != set(self.up_to):
            words = up_to_words(self.up_to) or " as they are"
            yield f"the rules are the same{words}, and the claim says{up_to_words(claim.up_to) or ' as they are'}"

    def _unlike(self) -> Iterator[str]:
        """Reasons of that kind: given sequences of one name in both rules that need not be one sequence."""
        source, target = self.claim.source, self.claim.target
        ours, theirs = formulas(self.source, self.claim.given), formulas(self.target, {})
        for name in (ours.keys() & theirs.keys()) - self.claim.preconditioners.keys():
            if ours[name] != theirs[name]:
                yield f"{name}(t) is {ours[name]} in {source} and {theirs[name]} in {target}"
            for state in ours[name].states:
                if not self._kept(state):
                    yield f"{name}(t) reads {state}, which is not the same in {source} and {target}"
            for read in ours[name].hyperparameters:
                if not self._same(read):
                    yield f"{name}(t) contains {read}, which is {self.claim.map[read]} in {target}"
        taken = [part.absorbed for part in (self.source, self.target)]
        if all(taken) and taken[0] != taken[1]:
            one, other = (", ".join(sorted(names)) for names in taken)
            yield f"g is preconditioned by {one} in {source} and by {other} in {target}"

    def _kept(self, state: str) -> bool:
        """Identity of a state with the one of the same name, by the transform."""
        before, after = (part.tableau.states for part in self.onto)
        if state not in before or state not in after:
            return False
        row = self.transform.row(after.index(state))
        return all(reduced(entry - int(name == state)) == 0 for entry, name in zip(row, before, strict=True))

    def _same(self, name: str) -> bool:
        """Equality of a hyperparameter of the target with the source's of that name; taken so if not mapped."""
        import sympy

        if name not in self.claim.map or self.claim.target.hyperparameters[name].switch:
            return True
        if name not in self.claim.source.hyperparameters:
            return False
        own = self._names()[name]
        own = own if isinstance(own, sympy.Basic) else own(time())
        return bool(reduced(self._written(self.claim.map[name]) - own) == 0)

    def _verbatim(self) -> bool:
        """Identity of both rules as programs, at the same hyperparameters."""
        source, target = self.claim.source, self.claim.target
        one, other = source.program(self.claim.given), target.program()
        if (source.positions, dict(source.memories)) != (target.positions, dict(target.memories)):
            return False
        roots = [
            [*(point for stage in traced.queries for point in stage), *map(traced.updates.__getitem__, source.states)]
            for traced in (one, other)
        ]
        return (
            list(map(len, one.queries)) == list(map(len, other.queries))
            and structure(roots[0]) == structure(roots[1])
            and all(map(self._kept, self.source.tableau.states))
            and all(map(self._same, other.reads))
        )

    def assumptions(self) -> tuple[str, ...]:
        """Sentences on what was set aside in either rule, and on what every claim is about."""
        parts = (self.source, self.target)
        notes = [f"{part.tableau.optimizer}: {note}" for part in parts for note in part.assumptions]
        given = [f"{name} = {value}" for name, value in self.claim.given.items()]
        given += [f"{name} does not vary in time" for name in self.claim.constant]
        anything = self.claim.anything
        given += [f"{name} is any function of t" for name in anything if name not in self.claim.constant]
        theirs = recurrences(self.claim.target, self.claim.derived)
        placed = {k: self.claim.map[k] for k in theirs if k in self.claim.map}
        given += [f"{k} of {self.claim.target} is {text} in place of {theirs[k]}" for k, text in placed.items()]
        given += [f"{k} is {v}" for k, v in recurrences(self.claim.source, (*self.claim.given, *anything)).items()]
        given += [f"{k}(0) = {start}, {k}(t+1) = {following}" for k, (start, following) in self.claim.sequences.items()]
        if self.related:
            said = self.claim.preconditioners.items()
            notes += [f"{name}(t) of {self.claim.target} is {text} of {self.claim.source}" for name, text in said]
            notes += [f"{name} of {self.claim.target} is {text}" for name, text in self.claim.nonlinear.items()]
            notes += self.related.assumptions()
        elif self.source.tableau.factors and self.target.tableau.factors:
            notes.append("given sequences of one name are one formula in both rules, with equal parameters in it")
        more = " and what is returned" if self.claim.returned else " (what is returned is not compared)"
        equal = f"the points where gradients are taken{more}"
        notes.append(f"equal: {equal}, whether or not mapped values lie in their ranges")
        notes.append("coordinate by coordinate, from the same start, on the same gradients")
        return tuple(dict.fromkeys([*given, *notes]))


def _powers(expression: Any) -> set[Any]:
    """The powers in an expression whose exponents are numbers."""
    import sympy

    return {power for power in expression.atoms(sympy.Pow) if power.exp.is_Rational}


def needed(part: LinearPart) -> list[str]:
    """Names of the hyperparameters in a part's matrices, those that are functions of t there."""
    from sympy.core.function import AppliedUndef

    called = {f.func.__name__ for m in part.matrices for f in m.atoms(AppliedUndef)}
    return [name for name in part.tableau.optimizer.hyperparameters if name in called]


def parameters(claim: Equivalence, target: LinearPart) -> list[str]:
    """Names of the target's hyperparameters that a run of it reads: of its linear part where only that is compared."""
    whole = target.tableau.nonlinearity is None or claim.preconditioners
    names = claim.target.program().reads if whole else target.tableau.reads
    own = [name for name in reads(claim.target, (*claim.free, *claim.replaced)) if name not in names]
    declared = claim.target.hyperparameters
    return [name for name in (*names, *own) if not declared[name].switch and name not in claim.derived]


def mapping(claim: Equivalence, name: str) -> str:
    """Text of a hyperparameter of the target, by the claim's map.

    Raises
    ------
    InputError
        Where the map has none.
    """
    if name in claim.map:
        return claim.map[name]
    raise InputError(f"the map from {claim.source} does not say what {name} of {claim.target} is")
