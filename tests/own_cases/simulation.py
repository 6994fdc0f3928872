"""Both rules of an answer, run side by side in floats with the printed map applied: no algebra, no tracer.

What is printed is read as text: a map of hyperparameters in t, in the first rule's hyperparameters and in the sequences
that it has itself, and conditions. The rules are run as the generators that they are.
"""

import ast
import math
import random
import re
from contextlib import suppress
from fractions import Fraction
from types import SimpleNamespace

import numpy as np

from accelsim.schedules import Recurrence

STEPS, COORDINATES, TOLERANCE = 12, 3, 1e-7

FUNCTIONS = {
    **{name: getattr(math, name) for name in ("sqrt", "exp", "log", "cos", "pi")},
    **dict(minimum=min, maximum=max, Min=min, Max=max, min=min, max=max, abs=abs, Abs=abs),
    "sign": lambda x: (x > 0) - (x < 0),
    "first": lambda t: t == 0,
    "warmup": lambda t, steps: min(1, (t + 1) / steps) if steps else 1,
    "cosine": lambda t, steps: (1 + math.cos(math.pi * min(1, t / steps))) / 2,
    "linear": lambda t, steps: 1 - min(1, t / steps),
}


class Vacuous(Exception):
    """No hyperparameters were found that satisfy an answer's conditions."""


def value(text, names, t):
    """A printed expression at step t."""
    code = re.sub(r"(?<![\w.])[^\W\d]\w*", lambda name: f"known[{name[0]!r}]", text)
    tree = ast.fix_missing_locations(_Lazily().visit(ast.parse(code, mode="eval")))
    return eval(compile(tree, text, "eval"), {"known": FUNCTIONS | names | {"t": t}})


class _Lazily(ast.NodeTransformer):
    """where(condition, a, b) as a if condition else b: what is not chosen may divide by zero."""

    def visit_Call(self, node):
        self.generic_visit(node)
        return ast.IfExp(*node.args) if ast.unparse(node.func) == "known['where']" else node


def drawn(declared, chance):
    """A number in a range, at times its end."""
    low, high = max(declared.low, -2), declared.high
    if declared.switch:
        return int(declared.default or 0)
    ends = [x for x in (low, high) if math.isfinite(x) and declared.holds(x)]
    if ends and chance.random() < 0.15:
        return float(chance.choice(ends))
    return chance.uniform(low, high if math.isfinite(high) else max(low, 0) + 2)


def hyperparameters(rule, given, freed, chance):
    """What a rule's hyperparameters are at steps 0, 1, ..: a row (a dict of numbers) for each.

    `given` maps names to functions of t; recurrences that are freed are any numbers in their ranges.
    """
    constants = {k: drawn(d, chance) for k, d in rule.hyperparameters.items() if k not in given}
    recurrences = {
        k: d.default for k, d in rule.hyperparameters.items() if k not in given and isinstance(d.default, Recurrence)
    }
    memories = {k: dict(recurrence.start) for k, recurrence in recurrences.items()}
    rows = []
    for t in range(STEPS):
        h = constants | {k: function(t) for k, function in given.items()}
        h = {k: x for k, x in h.items() if k not in recurrences}
        for k, recurrence in recurrences.items():
            if k in freed:
                h[k] = drawn(rule.hyperparameters[k], chance)
                continue
            h[k], memories[k] = recurrence.update(SimpleNamespace(**memories[k]), float(t), SimpleNamespace(**h))
        rows.append(h)
    return rows


def run(rule, rows, start, gradients):
    """The states before each step, and the points that are queried, shape (steps, queries, d)."""
    states = dict.fromkeys(rule.positions, start) | {k: 0 * start + x for k, x in rule.memories.items()}
    seen, points = [], []
    for t, h in enumerate(rows):
        seen.append(states)
        step = rule.rule(SimpleNamespace(**states), float(t), SimpleNamespace(**h))
        point = next(step)
        while True:
            points.append(point)
            several = isinstance(point, tuple)
            g = tuple(gradients[t] for _ in point) if several else gradients[t]
            try:
                point = step.send(g)
            except StopIteration as stop:
                states = dict(stop.value)
                break
    return seen, points


def drawn_run(chance, scale):
    """An initial point, shape (d,), and gradients of some size, shape (steps, d)."""
    start = np.array([chance.gauss(0, 1) for _ in range(COORDINATES)])
    return start, scale * np.array([[chance.gauss(0, 1) for _ in range(COORDINATES)] for _ in range(STEPS)])


def sequences(rule, rows, states, chance):
    """What the first rule's own numbers are as a map names them: constants, or functions of the step."""
    before = chance.uniform(0.5, 1.5)  # of what there was before the first step nothing may depend

    def sequence(values):
        return lambda t: values[int(t)] if 0 <= t < STEPS else before

    known = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        varies = isinstance(rule.hyperparameters[name].default, Recurrence)
        known[name] = sequence(values) if varies else values[0]
    for name in rule.memories:
        known[name] = sequence([float(np.ravel(s[name])[0]) for s in states])
    return known


def condition_holds(text, known, rule_b, t):
    """Whether a printed condition holds at a step; None where it speaks of what only a run knows, or of other steps."""
    about = re.fullmatch(r"(.*) \((but )?at t = ([\d, ]+)\)", text)
    if about:
        text, steps = about[1], set(map(int, about[3].split(",")))
        if (t in steps) == bool(about[2]):
            return None
    stated = re.fullmatch(r"(\w+) = (.*) is in [\[(].*[\])]", text)
    compared = re.fullmatch(r"(.*?) (!=|>=|>|<=|<) (.*)", text)
    try:
        if stated:
            return inside(rule_b.hyperparameters[stated[1]], value(stated[2], known, t))
        if compared:
            x = value(compared[1], known, t) - value(compared[3], known, t)
            return {"!=": abs(x) > 1e-9, ">=": x >= 0, ">": x > 0, "<=": x <= 0, "<": x < 0}[compared[2]]
    except ZeroDivisionError:
        return t == 0
    except (KeyError, TypeError, ValueError):
        return None
    return None


def mapped(answer, known, t, chance):
    """The second rule's hyperparameters at a step, by the printed map; at t = 0 a quotient by zero may be anything."""
    values = {}
    for name, text in answer.map.items():
        try:
            values[name] = value(text, known, t)
        except ZeroDivisionError:
            if t:
                raise
            values[name] = chance.random()
    return values


def reproduces(answer, set_a, set_b, free, seed, draws=4):
    """Raise AssertionError where the second rule does not query what the first one does, by the answer's map.

    Draws that the answer's conditions exclude are drawn again; `Vacuous` where there is nothing else.
    """
    a, b, chance = answer.a, answer.b, random.Random(seed)
    ranged = answer.status == "equivalent"
    given = {k: lambda t, text=text: value(str(text), {}, t) for k, text in set_a.items()}
    done = 0
    for _ in range(60 * draws):
        start, gradients = drawn_run(chance, chance.choice([1, 1, 30, 0.03]))
        try:
            rows = hyperparameters(a, given, free, chance)
        except ZeroDivisionError:
            continue  # the first rule itself does not exist
        with np.errstate(all="ignore"):
            states, points = run(a, rows, start, gradients)
        if not np.all(np.isfinite(np.array(points))):
            continue
        known = sequences(a, rows, states, chance)
        if any(condition_holds(text, known, b, t) is False for text in answer.conditions for t in range(STEPS)):
            continue
        theirs = {k: (lambda t, k=k, known=known: mapped(answer, known, t, chance)[k]) for k in answer.map}
        theirs |= {k: (lambda t, text=text: value(str(text), {}, t)) for k, text in set_b.items()}
        others = hyperparameters(b, theirs, (), chance)
        for t, row in enumerate(others):
            exactly = {k: as_written(answer.map.get(k, ""), x) for k, x in row.items()}
            outside = [k for k, x in exactly.items() if not inside(b.hyperparameters[k], x)] if ranged else []
            assert not outside, f"{outside[0]} = {row[outside[0]]} at step {t} is out of range, at {rows[t]}"
        with np.errstate(all="ignore"):
            _, far = run(b, others, start, gradients)
        size = 1 + np.max(np.abs(points))
        for t, (one, other) in enumerate(zip(points, far, strict=True)):
            apart = np.max(np.abs(np.array(one) - np.array(other)))
            assert apart <= TOLERANCE * size, f"queries {one} and {other} at step {t}, at {rows[t]} and {others[t]}"
        done += 1
        if done == draws:
            return
    if not done:
        raise Vacuous(f"none of {60 * draws} draws satisfies {answer.conditions}")


def mapped_at(answer, set_a, values, step):
    """The printed map at a step, for values of the first rule's hyperparameters."""
    given = {k: lambda t, x=x: x for k, x in values.items()}
    given |= {k: lambda t, text=text: value(str(text), {}, t) for k, text in set_a.items()}
    chance, still = random.Random(0), np.ones(COORDINATES)
    rows = hyperparameters(answer.a, given, (), chance)
    states, _ = run(answer.a, rows, still, [still] * STEPS)
    return mapped(answer, sequences(answer.a, rows, states, chance), step, chance)


def as_written(text, x):
    """The number that a text is, where it is one; otherwise what it was rounded to."""
    with suppress(ValueError):
        return Fraction(text)
    return x


def inside(declared, x):
    """Whether a number lies in a range, or is off a closed end by rounding."""
    ends = [declared.low] * (not declared.open_low) + [declared.high] * (not declared.open_high)
    return declared.holds(x) or any(abs(x - end) < 1e-12 for end in ends)
