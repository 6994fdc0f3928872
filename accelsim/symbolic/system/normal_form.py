"""The normal form of a rule with one query: what its gradients do to the query point, and nothing else.

A translation-equivariant linear rule has a position, its query point y, and memories, functionals of the state
that a translation leaves alone. What no gradient reaches and what no later query point shows is left out, so
the form does not depend on how the rule was written:

    n+ = a_t n + b_t g,    y+ = y + p_t n + q_t g.

With one memory this is accelerated SGD, m_t = beta_t m_{t-1} + g_t, y_{t+1} = y_t - eta_t m_t - alpha_t g_t, with

    beta_t = a_t b_{t-1} / b_t,    eta_t = -p_t b_t / a_t,    alpha_t = -q_t - eta_t,

because n_t = b_{t-1} m_{t-1}. All is computed in the field of rational functions of hyperparameters and of unknown
functions of t, so a coefficient is finite if it is finite after cancellation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from accelsim.errors import InputError
from accelsim.notebook import Told
from accelsim.optimizers import find
from accelsim.rule import Optimizer
from accelsim.symbolic.algebra.field import divisors, reduced, shifted
from accelsim.symbolic.system.linear_part import LinearPart, left_behind, linear_part, without_decay
from accelsim.symbolic.system.minimal_realization import Block, Drift, Reduction
from accelsim.symbolic.system.tableau import time

_LATE = "the first step is different; this form holds from t = 1 on"
AVERAGE = "returned(t+1) = (1 - weight)*returned(t) + weight*w(t+1)"


@dataclass(frozen=True)
class Average:
    """Returned iterate x as a running average of query points: x+ = (1 - weight) x + weight y+.

    Attributes
    ----------
    weight : of the newest query point (SymPy); 1 where that itself is returned.
    conditions : texts of what has to be nonzero.
    """

    weight: Any
    conditions: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The average in strings."""
        law = "what is returned is the query point" if self.weight == 1 else AVERAGE
        return {"law": law, "weight": str(self.weight), "conditions": list(self.conditions)}


@dataclass(frozen=True)
class Decay:
    """The form of a rule that a translation does not leave alone, as with weight decay: a linear recurrence.

    With one memory, or with none where there is no m,

        m_t = beta_t m_{t-1} + g_t + mu_t w_t,    w_{t+1} = (1 - kappa_t) w_t - eta_t m_t - alpha_t g_t.

    Where kappa = alpha mu, the decay is a part of the gradient: accelerated SGD on g + mu w. About a point w_0,
    w = w_0 + e, the recurrence in e is the same with an affine drive: mu w_0 on m and -kappa w_0 on e.

    Attributes
    ----------
    memory : number of memories beside the query point, with the decay.
    beta, eta, alpha, kappa, mu : None with more memories.
    block, pull, feed : the gauge-free form n+ = a n + feed y + b g, y+ = (1 - pull) y + p n + q g.
    memories : what each memory is.
    conditions : what must not be zero.
    """

    memory: int
    beta: Any
    eta: Any
    alpha: Any
    kappa: Any
    mu: Any
    block: Block
    pull: Any
    feed: Any
    memories: tuple[str, ...]
    conditions: tuple[str, ...]

    @property
    def in_gradient(self) -> bool:
        """Whether the decay is a penalty in the gradient: kappa = alpha mu."""
        return self.mu is not None and reduced(self.kappa - self.alpha * self.mu) == 0

    @property
    def law(self) -> str:
        """The recurrence in words."""
        if self.in_gradient:
            return "accelerated SGD on g(t) + mu*w(t) in place of g(t)"
        if self.mu is None:
            return "n(t+1) = a*n(t) + feed*w(t) + b*g(t), w(t+1) = (1 - pull)*w(t) + p*n(t) + q*g(t)"
        fed = " + mu*w(t)" if self.mu != 0 else ""
        m = f"m(t) = beta*m(t-1) + g(t){fed}, " if self.memory else ""
        step = "- eta*m(t) " if self.memory else ""
        return f"{m}w(t+1) = (1 - kappa)*w(t) {step}- alpha*g(t)"

    def to_json(self) -> dict[str, Any]:
        """The form in strings."""
        found: dict[str, Any] = {"law": self.law, "memory": self.memory}
        if self.mu is not None:
            found |= {name: str(getattr(self, name)) for name in ("beta", "eta", "alpha", "kappa", "mu")}
        else:
            drive = {"pull": str(self.pull), "feed": list(map(str, self.feed))}
            found["block"] = {"memories": list(self.memories), **_texts(self.block), **drive}
        return found | {"conditions": list(self.conditions)}


@dataclass(frozen=True)
class Canonical(Told):
    """The normal form of a rule.

    Attributes
    ----------
    memory : number of memories beside the query point.
    beta, eta, alpha : canonical coefficients in t and the hyperparameters; None where the rule has none.
    returned : what the user gets, in the query point w(t) and m(t-1) (or the memories n of the block form);
        None where it needs a memory of its own.
    average : the returned iterate as a running average of query points; None where it is none.
    decay : what weight decay, or whatever else stands against translation, makes of the form; None where nothing does.
    conditions : what must not be zero, and where coefficients are not determined.
    assumptions : what was set aside (signs, preconditioners, weight decay).
    block : the gauge-free form that the coefficients were printed from.
    memories : what each memory of the block form is, in the rule's own states.
    sequences : the start and the recursion of each uniform state (a counter, a sum of weights) that stands in the form.
    """

    optimizer: Optimizer
    memory: int
    beta: Any
    eta: Any
    alpha: Any
    returned: Any
    conditions: tuple[str, ...]
    assumptions: tuple[str, ...]
    block: Block
    memories: tuple[str, ...]
    average: Average | None = None
    decay: Decay | None = None
    sequences: tuple[str, ...] = ()

    @property
    def canonical(self) -> bool:
        """Whether the rule is accelerated SGD."""
        return self.beta is not None

    def to_json(self) -> dict[str, Any]:
        """The form in strings; the block form only where there are no canonical coefficients."""
        found: dict[str, Any] = {"optimizer": str(self.optimizer), "memory": self.memory}
        if self.canonical:
            found |= {name: str(getattr(self, name)) for name in ("beta", "eta", "alpha")}
        else:
            found["block"] = {"memories": list(self.memories), **_texts(self.block)}
        found["returned"] = None if self.returned is None else str(self.returned)
        found |= {"conditions": list(self.conditions), "assumptions": list(self.assumptions)}
        found["sequences"] = list(self.sequences)
        none = {"law": f"no running average of query points: no weight makes {AVERAGE} in every state", "weight": None}
        found["average"] = self.average.to_json() if self.average else none
        return found | {"decay": self.decay.to_json() if self.decay else None}

    def _statement(self) -> dict[str, Any]:
        formula = ("beta", "eta", "alpha", "block", "returned")
        return {name: value for name, value in self.to_json().items() if name not in formula}

    def _repr_latex_(self) -> str:
        from accelsim.symbolic.latex.writer import canonical_latex

        return f"$\\displaystyle {canonical_latex(self)}$"


def canonical(optimizer: Optimizer | str, /, varying: Iterable[str] = (), **values: Any) -> Canonical:
    """Normal form of a rule, computed from its tableau.

    Parameters
    ----------
    varying : hyperparameters that are unknown functions of t. Recurrences, and uniform states without a closed form,
        are arbitrary functions of t too.
    **values : hyperparameters that are known (numbers, schedules, texts); the others stay symbols.

    Returns
    -------
    Canonical
        With beta_t, eta_t, alpha_t for at most one memory, and the block form that they are printed from.

    Raises
    ------
    InputError
        If the rule has no linear part or takes more than one gradient a step.

    References
    ----------
    Morwani et al. 2025, arXiv:2502.02431, Section 3.
    """
    part = linear_part(find(optimizer), varying, **values)
    _one_gradient(part)
    without, name = without_decay(part)
    still = not left_behind(without)
    system = Reduction(without) if still else None
    found = _canonical(system) if system else None
    if found is None or name is not None:
        drift = Drift(part, system)
        decay = _decay(drift)
        found = replace(found or _drifting(drift, decay), decay=decay)
    return replace(found, sequences=_followed(found, part))


def _followed(form: Canonical, part: LinearPart) -> tuple[str, ...]:
    """Start and recursion of each uniform state in a normal form, and of those that it follows."""
    import sympy
    from sympy.core.function import AppliedUndef

    own = {f: onward for f, onward in part.sequences.following.items() if f.__name__ in part.tableau.uniform}
    shown = [form.beta, form.eta, form.alpha, form.returned, *form.block]
    shown += [form.average.weight] if form.average else []
    if form.decay:
        decay = form.decay
        shown += [decay.beta, decay.eta, decay.alpha, decay.kappa, decay.mu, *decay.block, decay.pull, decay.feed]
    found: list[Any] = []
    while shown:
        calls = [call for e in shown if e is not None for call in sympy.sympify(e).atoms(AppliedUndef)]
        new = [f for f in own if f not in found and f in {call.func for call in calls}]
        found, shown = [*found, *new], [own[f] for f in new]
    start = part.sequences.start
    return tuple(f"{f.__name__}(0) = {start[f]}, {f.__name__}(t + 1) = {own[f]}" for f in found)


def _one_gradient(part: LinearPart) -> None:
    stages = part.tableau.stages
    if sum(stages) > 1:
        sample = "on the same sample" if len(stages) == 1 else "one after the other"
        raise InputError(
            f"{part.tableau.optimizer} takes {sum(stages)} gradients a step, {sample}: "
            "it is no recurrence in one gradient, and only such rules have a canonical form"
        )


def _texts(block: Block) -> dict[str, list[list[str]]]:
    return {name: [list(map(str, row)) for row in matrix.tolist()] for name, matrix in block._asdict().items()}


class _Coefficients(NamedTuple):
    """Canonical coefficients of a block form of at most one memory, and b of the step before, with n_t = b m_{t-1}."""

    beta: Any
    eta: Any
    alpha: Any
    before: Any


def _read(block: Block) -> _Coefficients | None:
    """Canonical coefficients; None for more memories, or for one that is not kept or never written."""
    import sympy

    zero = sympy.Integer(0)
    if not block.a.rows:
        return _Coefficients(zero, zero, -block.q[0], zero)
    if block.a.rows > 1 or block.a[0] == 0 or block.b[0] == 0:
        return None
    a, b, p, q = (m[0] for m in block)
    before = shifted(b, -1)
    eta = reduced(-p * b / a)
    return _Coefficients(reduced(a * before / b), eta, reduced(-q - eta), before)


def _canonical(system: Reduction) -> Canonical:
    """Normal form of a translation-equivariant rule."""
    block, row = system.block(), system.solve(system.at("R"))
    read = _read(block)
    found = _coefficients(system, block, read, row) if read else _in_blocks(system, block, row)
    notes = _notes(system)
    if row is None:
        notes.append(f"the returned {found.optimizer.returns} needs a memory of its own")
    return replace(found, assumptions=tuple(notes), average=_average(system))


def _notes(system: Reduction) -> list[str]:
    transient = "memories start at zero: the values that the rule declares leave a transient"
    return [*system.part.assumptions, *([transient] if any(system.table.start) else [])]


def _coefficients(system: Reduction, block: Block, read: _Coefficients, row: Any) -> Canonical:
    beta, eta, alpha, before = read
    memory = len(system.rows)
    exist = [beta, eta, alpha]
    shown = None if row is None else reduced(row[0] * before) if memory else before
    if system.special:
        b0, q0 = system.first_input()
        if memory:
            exist.append(reduced((block.a[0] * b0[0] / block.b[0]).subs(time(), 1)))
            beta = _from(2, beta, exist[-1])
            shown = None if row is None else _from(2, shown, reduced((row[0] * b0[0]).subs(time(), 1)))
        exist.append(reduced(-q0[0] - eta.subs(time(), 0)))
        alpha = _from(1, alpha, exist[-1])
    conditions = _nonzero(*exist)
    if memory:
        conditions += ("at t = 0 the memory is zero: only eta + alpha is determined there",)
    returned = None if row is None else _position() + shown * _function("m")(time() - 1)
    names = tuple(system.names)
    return Canonical(system.table.optimizer, memory, beta, eta, alpha, returned, conditions, (), block, names)


def _in_blocks(system: Reduction, block: Block, row: Any) -> Canonical:
    memory = len(system.rows)
    reasons = [f"{memory} memories: no accelerated SGD, which has one"]
    if memory == 1:
        reasons = ["one memory, of one step only: not accelerated SGD but a limit of it"]
        if block.b[0] == 0:
            reasons = ["one memory, which the first gradient alone writes: not accelerated SGD"]
    if system.special:
        reasons.append(_LATE)
    returned = None if row is None else _position() + _in_memories(row)
    form = (tuple(reasons), (), block, tuple(system.names))
    return Canonical(system.table.optimizer, memory, None, None, None, returned, *form)


def _in_memories(row: Any) -> Any:
    names = ["n"] if len(row) == 1 else [f"n{i + 1}" for i in range(len(row))]
    return sum(r * _function(n)(time()) for r, n in zip(row, names, strict=True))


def _average(system: Reduction) -> Average | None:
    kept = system.kept()
    if kept is None:
        return None
    general, first = kept
    conditions = _nonzero(general)
    if system.special:
        return Average(_from(1, reduced(1 - general), reduced(1 - first)), conditions)
    return Average(reduced(1 - general), conditions)


def _decay(system: Drift) -> Decay:
    import sympy

    block, pull, feed = system.drifting()
    read = _read(block)
    names = tuple(system.names[1:])
    memory = len(names)
    late = (_LATE,) if system.special else ()
    if read is None:
        reason = f"{memory} memories" if memory > 1 else "one memory, not kept or not written after the first step"
        return Decay(memory, None, None, None, None, None, block, pull, feed, names, (reason, *late))
    beta, eta, alpha, _ = read
    fed, entering = (feed[0], block.b[0]) if memory else (pull, alpha)
    mu = reduced(fed / entering) if entering != 0 else sympy.Integer(0)
    kappa = reduced(pull - eta * mu)
    conditions = (*_nonzero(beta, eta, alpha, kappa, mu), *late)
    return Decay(memory, beta, eta, alpha, kappa, mu, block, pull, feed, names, conditions)


def _drifting(system: Drift, decay: Decay) -> Canonical:
    """Normal form of a rule that no zero of a hyperparameter makes translation-equivariant."""
    row = system.solve(system.at("R"))
    returned = None
    if row is not None:
        returned = row[0] * _position() + _in_memories(row[:, 1:])
    reason = "it does not move along with a translation of all positions: the recurrence under decay holds instead"
    form = ((reason,), tuple(_notes(system)), decay.block, decay.memories, _average(system))
    return Canonical(system.table.optimizer, decay.memory, None, None, None, returned, *form)


def _nonzero(*expressions: Any) -> tuple[str, ...]:
    """Conditions that some expressions are finite."""
    return tuple(f"{x} != 0" for x in dict.fromkeys(d for e in expressions for d in divisors(e)))


def _function(name: str) -> Any:
    import sympy

    return sympy.Function(name, real=True)


def _position() -> Any:
    return _function("w")(time())


def _from(step: int, general: Any, earlier: Any) -> Any:
    """The general value from a step on, another one at the step before; what is earlier still does not matter."""
    import sympy

    return sympy.Piecewise((earlier, time() < step), (general, True)) if earlier != general else general
