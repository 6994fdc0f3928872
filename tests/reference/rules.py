"""The linear map of one step of a rule, read off a run of the rule itself on formal sums."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from accelsim.rule import step
from accelsim.schedules import Recurrence, Schedule
from reference.numbers import mp, number

SMALLEST = 1e-60  # of coefficients; products of several have to be above what arrays resolve, see `numbers`
ROUNDING = 1e-100  # of sums of coefficients
PROBED = (1, 2, 17, 1000)  # steps at which a rule of constant hyperparameters is the one of step 0, or varies in time


class Form:
    """A formal sum: coefficients by name. Products of two have no meaning, so a rule that is not linear fails."""

    def __init__(self, terms):
        self.terms = terms

    def __add__(self, other):
        if not isinstance(other, Form):
            return NotImplemented
        return Form({k: self.terms.get(k, 0) + other.terms.get(k, 0) for k in {**self.terms, **other.terms}})

    def __mul__(self, scale):
        if isinstance(scale, Form):
            return NotImplemented
        return Form({k: v * scale for k, v in self.terms.items()})

    __rmul__ = __mul__

    def __truediv__(self, scale):
        if isinstance(scale, Form):
            return NotImplemented
        return Form({k: v / scale for k, v in self.terms.items()})

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -other


@dataclass
class Step:
    """One step on x = (states, gradients): queries[j] of stage j, and the new states.

    Positions are errors, w - w*. A rule that they do not tell all of, as it is pulled to the origin, has w* / e_0 = -1
    as its last state, the same at all times (a run starts at w = 0, so that the first error e_0 is -w*).

    Attributes
    ----------
    queries : for each stage an array (points, states + gradients before it).
    update : (states, states + gradients).
    answer : (1, states) what the user gets.
    start : (states,) 1 for positions, 0 for memories.
    pulled : whether the last state is that constant.
    """

    queries: list
    update: np.ndarray
    answer: np.ndarray
    start: np.ndarray
    pulled: bool = False

    @property
    def states(self):
        return len(self.update)


def step_of(rule, t, h):
    """The linear map of step t of a rule, in extended numbers."""
    names, asked = list(rule.states), []
    if any(rule.memories.values()):
        raise NotImplementedError("memories that start elsewhere than at zero")

    def gradient(*points):
        base = len(rule.states) + sum(map(len, asked))
        asked.append([point.terms for point in points])
        names.extend(range(base, base + len(points)))
        fresh = tuple(Form({base + k: mp.one}) for k in range(len(points)))
        return fresh if len(points) > 1 else fresh[0]

    state = {name: Form({name: mp.one}) for name in rule.states}
    new = step(rule, state, t, h, gradient)
    queries, known = [], len(rule.states)
    for points in asked:
        queries.append(_rows(points, names[:known]))
        known += len(points)
    update = _rows([new[name].terms for name in rule.states], names)
    if any(0 < abs(value) < SMALLEST for matrix in (update, *queries) for value in matrix.flat):
        raise NotImplementedError("coefficients that the references' arrays take for zero")
    start = np.array([mp.mpf(name in rule.positions) for name in rule.states], dtype=object)
    return _about_optimum(Step(queries, update, _rows([{rule.returns: mp.one}], rule.states), start))


def _about_optimum(step, always=False):
    """A step on points as one on errors: what it does to w* in all positions, less w* there, is its pull."""
    n = step.states
    pull = step.update[:, :n] @ step.start - step.start
    shifts = [q[:, :n] @ step.start - 1 for q in step.queries]
    shift = step.answer @ step.start - 1
    if not always and all(abs(value) < ROUNDING for value in [*pull, *shift, *(x for each in shifts for x in each)]):
        return step
    constant = np.insert(np.zeros(step.update.shape[1], dtype=int), n, 1).astype(object) * mp.one
    update = np.vstack([np.insert(step.update, n, pull, axis=1), constant])
    queries = [np.insert(q, n, each, axis=1) for q, each in zip(step.queries, shifts, strict=True)]
    answer = np.insert(step.answer, n, shift, axis=1)
    return Step(queries, update, answer, np.append(step.start, -mp.one), pulled=True)


def _rows(forms, names):
    return np.array([[mp.mpf(form.get(name, 0)) for name in names] for form in forms], dtype=object)


def rows(rule, given):
    """(t, hyperparameters) step by step, without end, in extended numbers."""
    values = rule.resolve(**given)
    memories = {k: dict(v.start) for k, v in values.items() if isinstance(v, Recurrence)}
    constants = {k: number(v) for k, v in values.items() if not isinstance(v, Schedule | Recurrence)}
    count = 0
    while True:
        t, h = number(count), dict(constants)
        h.update((name, mp.mpf(v.function(t))) for name, v in values.items() if isinstance(v, Schedule))
        for name, memory in memories.items():
            h[name], memories[name] = values[name].update(SimpleNamespace(**memory), t, SimpleNamespace(**h))
        yield t, h
        count += 1


def step_at(rule, given, t):
    """Step t of a rule without recurrences."""
    values, t = rule.resolve(**given), number(t)
    return step_of(
        rule, t, {k: mp.mpf(v.function(t)) if isinstance(v, Schedule) else number(v) for k, v in values.items()}
    )


def same(a, b):
    """Whether two steps are one linear map."""
    return (a.update == b.update).all() and all((p == q).all() for p, q in zip(a.queries, b.queries, strict=True))


def constant_step(rule, given, last=0):
    """The one step of a rule whose coefficients do not vary in time, else None."""
    values = rule.resolve(**given)
    if any(isinstance(value, Schedule | Recurrence) for value in values.values()):
        return None
    # a float is the decimal number that it prints as, as on a command line
    h = {k: mp.mpf(repr(float(v))) if isinstance(v, float) else number(v) for k, v in values.items()}
    first = step_of(rule, number(0), h)
    return first if all(same(first, step_of(rule, number(t), h)) for t in (*PROBED, last)) else None


def steps_of(rule, given, count):
    """The steps 0, 1, ..., count of a rule."""
    constant = constant_step(rule, given, count)
    if constant is not None:
        yield from [constant] * (count + 1)
        return
    found = [step_of(rule, t, h) for (t, h), _ in zip(rows(rule, given), range(count + 1), strict=False)]
    pulled = any(step.pulled for step in found)  # one step may pull to the origin as others, of step size 0, do not
    yield from (_about_optimum(step, always=True) if pulled and not step.pulled else step for step in found)
