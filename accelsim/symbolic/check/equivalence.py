"""A checker of claimed equivalences: given a map of hyperparameters and a transform of states, is it one?

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
from accelsim.symbolic.algebra.language import divided_by, expression, number
from accelsim.symbolic.algebra.nonvanishing import conditions, poles
from accelsim.symbolic.algebra.radicals import Roots
from accelsim.symbolic.algebra.recurrences import Recursions, Texts, put
from accelsim.symbolic.check.positivity import HALF, at_least_zero, positive_sequence
from accelsim.symbolic.check.preconditioners import Preconditioners, Rule, nonlinear
from accelsim.symbolic.check.runs import STEPS, Replay
from accelsim.symbolic.system.closed_forms import related_forms
from accelsim.symbolic.system.formulas import formulas, structure
from accelsim.symbolic.system.normal_form import LinearPart, linear_part
from accelsim.symbolic.system.rule_sequences import reads, recurrences
from accelsim.symbolic.system.tableau import distinct, time

DRAWS = 3  # replays at random rational hyperparameters that must agree exactly
UNROLLED = 2  # steps that sequences are followed where values at one step do not show that an identity holds
OF_TARGET = "\N{PRIME}"  # after the name of a sequence of the target, lest it be taken for one of the source
TRIES = 50  # replays in which a counterexample is looked for
POSITIVE, NOT_POSITIVE = "a given positive sequence", "a given sequence, which may be zero or negative"
SIGN, PRECONDITIONER = "sign", "preconditioner"  # up to which rules may be the same


@dataclass(frozen=True)
class Equivalence:
    """The claim that a rule, the source, is another one, the target, at mapped hyperparameters.

    Attributes
    ----------
    source, target : the rules.
    map : each hyperparameter of the target, written in t and the source's hyperparameters, as ``"lr*(1 - nu)"``.
        What varies is written as a function, as ``"lr(t-1)"``.
    transform : each state of one rule, written in the states of the other at the same step, as ``"w + lr*m"``.
    backward : whether the transform leads from the target's states to the source's.
    varying : the source's hyperparameters that are unknown functions of t.
    given : the source's hyperparameters that are known: numbers, or schedules written in t.
    constant : recurrences and given sequences (preconditioners) that are claimed for no change in time only.
    free : recurrences that are any functions of t, as if they were hyperparameters without a default: the source's
        may be anything, and the map says what the target's are. The others are what their recursions make of them.
    replaced : recurrences of the target in place of which the map gives values, though the source's are not free.
    returned : whether the rules are claimed to return the same, beside querying the same points.
    sequences : functions of t that the map and the transform may use, by name: the value at t = 0, and that at t + 1
        in values at t, as ``("1", "1 + beta(t+1)*weights(t)")``.
    preconditioners : given sequences of the target that are another formula than the source's, each written in those of
        the source, as ``{"p": "p(t)*sqrt(beta2)"}``; all that their formulas contain is then mapped, too.
    nonlinear : what their formulas depend on of the target's states that are not linear, each written in those of the
        source at the same step; where nothing is said, the state of the same name.
    up_to : what the claim sets aside, of "sign" and "preconditioner"; nothing where the rules are the same as they are.
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
        """Which rule's states the transform makes of which."""
        ends = (self.target, self.source) if self.backward else (self.source, self.target)
        return f"{ends[0]} -> {ends[1]}"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes
    ----------
    status : "proved" (all identities hold, all replays agree), "refuted" (a counterexample), or "failed" (identities
        do not hold, yet the runs agree: the transform is wrong; or the two routes disagree).
    residuals : what each identity leaves, "0" where it holds.
    conditions : what must not be zero.
    assumptions : what the claim is modulo of.
    counterexample : hyperparameters, gradients and the first step at which the runs differ.
    reason : one line.
    up_to : what was set aside, of "sign" and "preconditioner": about the rules as they are, nothing is said then.
    """

    status: str
    residuals: Mapping[str, str]
    conditions: tuple[str, ...]
    assumptions: tuple[str, ...]
    counterexample: Mapping[str, Any] | None
    reason: str
    up_to: tuple[str, ...] = ()


def up_to_words(kinds: Iterable[str]) -> str:
    """What something is up to, as the end of a sentence; nothing where it is so as it stands.

    >>> up_to_words(["sign", "preconditioner"])
    ' up to a sign and a preconditioner'
    """
    named = " and ".join(f"a {kind}" for kind in kinds)
    return f" up to {named}" if named else ""


def check(claim: Equivalence) -> Verdict:
    """Prove or refute a claimed equivalence."""
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
        reason = f"the identities hold, but {kind}runs differ: one of the two routes is wrong"
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
    """Whether a run shows that a claim is false, which is sooner seen than how its identities fail."""
    for seed in range(DRAWS):
        with suppress(ArithmeticError, ValueError):
            return Replay(claim, linear_parts(claim), seed).difference() is not None
    return False


def _replayed(proof: _Proof, wanted: int) -> tuple[int, bool, dict[str, Any] | None]:
    """How many of the wanted runs agreed, whether all in fractions, and the first difference or None."""
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
    """Source and target, of which the target's hyperparameters are unknown functions of t.

    A preconditioner that both rules have is taken into the gradient by both or by neither: it is one gradient that
    they are given.

    Raises
    ------
    InputError
        If what one of the rules calls a state or hyperparameter is a given sequence of the other.
    """
    variable = _variable(claim)
    source = linear_part(claim.source, claim.anything, **claim.given)
    target = linear_part(claim.target, variable)
    for rule, other in ((claim.source, target), (claim.target, source)):
        distinct(rule, other.tableau.factors.values())
    if claim.preconditioners:  # which are not one gradient
        return _outside(source, source.absorbed), _outside(target, target.absorbed)
    return _outside(source, _elsewhere(source, target)), _outside(target, _elsewhere(target, source))


def _variable(claim: Equivalence) -> tuple[str, ...]:
    """The target's hyperparameters of which the map may say anything."""
    declared = claim.target.hyperparameters.items()
    return tuple(k for k, v in declared if not v.switch and k not in claim.derived)


def _elsewhere(part: LinearPart, other: LinearPart) -> frozenset[str]:
    """What a part has taken into the gradient, and the other has elsewhere."""
    return (part.absorbed - other.absorbed) & {factor.symbol for factor in other.tableau.factors.values()}


def _outside(part: LinearPart, names: frozenset[str]) -> LinearPart:
    """The part with what it has taken into the gradient in its matrices again."""
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
    """What a sign is applied to is compared; that is sound where both rules apply it alike, or the source alone does.

    Raises
    ------
    InputError
        If the target applies a sign that the source does not, or at another place.
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
    """What rules whose linear parts are the same are the same up to.

    Nothing, where both apply the same signs and are given the same sequences. A sequence in a hyperparameter of the
    target, or one that is supposed not to vary, is set aside.

    Parameters
    ----------
    mapped : the target's hyperparameters, as SymPy expressions.
    constant : what is claimed for no change in time only.
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


def set_aside_notes(part: LinearPart) -> list[str]:
    """What stands between a rule and its linear part; no given sequence is called positive that need not be."""
    unsure = {f.symbol for f in part.tableau.factors.values() if not positive_sequence(part, f)}
    found = []
    for note in part.assumptions:
        named = any(
            f"{name}(t) is a given positive" in note or f"{name}(t) a given positive" in note for name in unsure
        )
        found.append(note.replace(POSITIVE, NOT_POSITIVE) if named else note)
    return found


def given_sequences(part: LinearPart) -> set[str]:
    """The symbols of a rule's given sequences."""
    return {factor.symbol for factor in part.tableau.factors.values()}


class _Proof:
    """Both rules' matrices over the source's hyperparameters, and the transform between them."""

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
        """The target in the source's terms, its own sequences among them where they are multiples of the source's."""
        import sympy

        self._readable(target)
        part = target.put({f.func: value for f, value in self.mapped.items()}).defined(self.claim.derived)
        own = {f: sympy.Function(f"{f.__name__}{OF_TARGET}", real=True) for f in part.sequences.following}
        part = part.renamed(own).closed()
        return part.with_forms(related_forms(self.recursions | part.sequences, part.sequences.following))

    def _readable(self, target: LinearPart) -> None:
        """Raise `InputError` where a recurrence of the target is no formula, and not the source's at equal values."""
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
        """What is known by name in a claim's texts: t, the source's hyperparameters, given sequences, functions."""
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
        """What stands for each of the target's hyperparameters, unknown functions until now."""
        import sympy

        mapped = {}
        for name in parameters(self.claim, target):
            text = mapping(self.claim, name)
            mapped[sympy.Function(name, real=True)(time())] = self._written(text)
        return mapped

    def _scales(self, target: LinearPart) -> dict[Any, Any]:
        """What stands for the target's given sequences that are other formulas than the source's."""
        import sympy

        given = [factor.symbol for factor in target.tableau.factors.values()]
        found = {}
        for name, text in self.claim.preconditioners.items():
            if name not in given:
                raise unknown(f"given sequence of {self.claim.target}:", name, given)
            found[sympy.Function(name, positive=True)(time())] = self._written(text)
        return found

    def _related(self) -> Preconditioners:
        """What is to be proved of these sequences."""
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
        matrix = sympy.zeros(len(after), len(before))
        for i, state in enumerate(after):
            if state not in self.claim.transform:
                raise InputError(f"the transform {self.claim.direction} does not say what {state} is")
            row = sympy.expand(self._written(self.claim.transform[state], **symbols))
            for j, name in enumerate(before):
                matrix[i, j] = row.coeff(symbols[name])
            rest = sympy.expand(row - sum(matrix[i, j] * symbols[name] for j, name in enumerate(before)))
            if rest != 0 or matrix.row(i).has(*symbols.values()):
                raise InputError(f"the transform is not linear in the states: {self.claim.transform[state]}")
        return matrix

    def residuals(self) -> dict[str, Any]:
        """What each identity leaves, by name, at special steps (at the first from the start alone) and all others."""
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
        """What is left of an identity once roots are products of independent ones, where their squares are positive."""
        if residual == 0 or not any(power.exp.is_Rational and not power.exp.is_Integer for power in _powers(residual)):
            return residual
        roots = Roots([])
        left = roots.left(residual)
        if left != 0:
            return residual
        self.squared += [square for square in roots.positive if square not in self.squared]
        return left

    def _entry(self, name: str, equation: Any, special: list[int], started: bool) -> dict[str, Any]:
        """What is left of an equation at those of some special steps that are special to it, and elsewhere.

        Where `started`, nothing is asked of the first step.
        """
        own = special_steps(equation)
        steps = [step for step in special if step in own and not (started and step == 0)]
        found = {f"{name} at t = {step}": self._left(equation, step) for step in steps}
        done = {*own, *({0} if started else ())}
        found[f"{name} elsewhere" if own else name] = self._left(equation, None, done)
        return found

    def _left(self, equation: Any, step: int | None, done: Collection[int] = ()) -> Any:
        """What is left of an equation at a step, or (None) at all others than those that are done.

        What is true of any values of the source's recurrences is seen without their recursions. With them, sequences
        are written in those of some step t, and the steps before that looked at one by one: by induction that is all.
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
        """What vanishes at all steps: of each new state, query and return the coefficients of states or gradients."""
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
        """What the rules that the transform leads from or to start at, as columns: in units of w0, and besides."""
        import sympy

        table = self.onto[after].tableau
        for what, values in (("point", table.translation), ("memories", table.start)):
            yield what, sympy.Matrix(list(map(number, values)))

    def _start(self) -> dict[str, Any]:
        """Same start: T_0 takes the initial point to the initial point and initial memories to initial memories."""
        states = self.onto[1].tableau.states
        found: dict[str, Any] = {}
        for (what, left), (_, right) in zip(self._starts(), self._starts(after=True), strict=True):
            names = (f"initial {what} in {state}" for state in states)
            equations = self.transform * left - right
            found |= {name: self._left(value, 0) for name, value in zip(names, equations, strict=True)}
        return found

    def conditions(self) -> tuple[str, ...]:
        """What the rules divide by at these hyperparameters, and what the map and the transform do."""
        more = (*(f"{text} > 0" for text in self.positive), *self.related.vanishing()) if self.related else ()
        return (*conditions(self._values), *dict.fromkeys((*self._roots_exist(), *self._not_zero(), *more)))

    def _roots_exist(self) -> Iterator[str]:
        """That what square roots are taken of is not negative, where ranges do not say so."""
        claim = self.claim
        variable = tuple(k for k, v in claim.target.hyperparameters.items() if not v.switch)
        ours = self.source.tableau.rooted(claim.varying, **claim.given)
        theirs = (square.xreplace(self.mapped) for square in self.target.tableau.rooted(variable))
        said = (power.base for value in self.mapped.values() for power in _powers(value) if power.exp.q == HALF)
        for square in (x.xreplace(self._held([x])) for x in (*ours, *theirs, *said, *self.squared)):
            if not at_least_zero(square, claim.source):
                yield f"{square} >= 0"

    def _not_zero(self) -> Iterator[str]:
        """That what is divided by is not zero, where it is a given sequence that may be."""
        import sympy
        from sympy.core.function import AppliedUndef

        below = [sympy.fraction(sympy.together(value))[1] for value in self._values]
        for part in (self.source, self.target):
            for factor in part.tableau.factors.values():
                sequence = sympy.Function(factor.symbol, positive=True)
                called = {f for d in below for f in d.atoms(AppliedUndef) if f.func == sequence}
                if called and not positive_sequence(part, factor):
                    yield from (f"{f} != 0" for f in sorted(called, key=str))

    @property
    def positive(self) -> list[str]:
        """What must be positive where the claim is to hold."""
        return self.related.positive() if self.related else []

    @cached_property
    def _values(self) -> list[Any]:
        """What must exist for the claim to mean anything."""
        written = [*self.mapped.values(), *self.scales.values(), *self.transform, *(1 / d for d in self._divided_by())]
        return [*self.recursions.expressions(), *map(self.recursions.onward, written)]

    def _divided_by(self) -> Iterator[Any]:
        """What is divided by in the rules and in what the claim says, as it is written."""
        claim = self.claim
        states = (*self.onto[0].tableau.states, *self.source.tableau.dropped)
        names = {**self._names(), **dict.fromkeys(states, time())}
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
        """Why the rules may differ though the identities hold."""
        yield from poles(self._values)
        yield from self._unlike()
        yield from self._undeclared()
        signs, tables = self.target.tableau.maps, (self.source.tableau, self.target.tableau)
        given = [name for table in tables for name in (*(f.symbol for f in table.factors.values()), *table.dropped)]
        if signs and given and not self._verbatim():
            yield f"both rules apply {min(signs)[0]}, which no run confirms where {given[0]} is given"

    def _undeclared(self) -> Iterator[str]:
        """What is set aside and the claim does not say so, or the target alone has."""
        claim = self.claim
        for name in sorted(given_sequences(self.target) - given_sequences(self.source)):
            what = f"{name}(t), which depends on state or gradient"
            yield f"{claim.target} multiplies by {what}, and {claim.source} does not"
        if set(claim.up_to) != set(self.up_to):
            words = up_to_words(self.up_to) or " as they are"
            yield f"the rules are the same{words}, and the claim says{up_to_words(claim.up_to) or ' as they are'}"

    def _unlike(self) -> Iterator[str]:
        """Given sequences that go by one name in both rules and need not be one."""
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
        """Whether the transform makes a state of the one of the same name, as it is."""
        before, after = (part.tableau.states for part in self.onto)
        if state not in before or state not in after:
            return False
        row = self.transform.row(after.index(state))
        return all(reduced(entry - int(name == state)) == 0 for entry, name in zip(row, before, strict=True))

    def _same(self, name: str) -> bool:
        """Whether a hyperparameter of the target is the source's of the same name; what is not mapped is assumed so."""
        import sympy

        if name not in self.claim.map or self.claim.target.hyperparameters[name].switch:
            return True
        if name not in self.claim.source.hyperparameters:
            return False
        own = self._names()[name]
        own = own if isinstance(own, sympy.Basic) else own(time())
        return bool(reduced(self._written(self.claim.map[name]) - own) == 0)

    def _verbatim(self) -> bool:
        """Whether both rules are one program, of the same hyperparameters."""
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
        """What was set aside in either rule, and what every claim is about."""
        parts = (self.source, self.target)
        notes = [f"{part.tableau.optimizer}: {note}" for part in parts for note in set_aside_notes(part)]
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
    """The hyperparameters that a rule's matrices contain, where all are functions of t."""
    from sympy.core.function import AppliedUndef

    called = {f.func.__name__ for m in part.matrices for f in m.atoms(AppliedUndef)}
    return [name for name in part.tableau.optimizer.hyperparameters if name in called]


def parameters(claim: Equivalence, target: LinearPart) -> list[str]:
    """The target's hyperparameters that a run of it takes: of its linear part alone, where that alone is compared."""
    whole = target.tableau.nonlinearity is None or claim.preconditioners
    names = claim.target.program().reads if whole else target.tableau.reads
    own = [name for name in reads(claim.target, (*claim.free, *claim.replaced)) if name not in names]
    declared = claim.target.hyperparameters
    return [name for name in (*names, *own) if not declared[name].switch and name not in claim.derived]


def mapping(claim: Equivalence, name: str) -> str:
    """What a claim says a hyperparameter of the target is."""
    if name in claim.map:
        return claim.map[name]
    raise InputError(f"the map from {claim.source} does not say what {name} of {claim.target} is")
