"""Whether a value of a hyperparameter is the edge of stability next to another, by the signs of rho - 1 about it."""

import numpy as np

from reference.radius import gap
from reference.search import rough

NEAR = 1e-6  # relative distance of the two sides of an edge, along the axis
DIGITS = 1e-12  # or this part of the value, where that is more
LARGEST = 1e300
EVEN = 1e-20  # rho - 1 nearer to 0 than this is neither stable nor not
ROUGH = 1e-8  # what is nearer to an edge is not looked at closely where many places are
DOUBLINGS = 30  # how far is looked where no edge is named
PER_DOUBLING = 2
EVENLY = 16  # places between a value and the lower end of a bounded range
BETWEEN = 24  # places looked at between the value given and the edge named


class Axis:
    """Values of a hyperparameter by their distance from its finite upper bound, or from 0 without one."""

    def __init__(self, rule, name):
        self.declared = rule.hyperparameters[name]
        self.high = self.declared.high if self.declared.high < np.inf else None

    def place(self, value):
        return value if self.high is None else self.high - value

    def value(self, place):
        return float(place if self.high is None else self.high - place)

    def holds(self, place):
        return 0 < place <= LARGEST and self.declared.holds(self.value(place))

    def beyond(self, place, up):
        """Places of doubled and halved distances, within the range; near a lower end evenly."""
        grows = up == (self.high is None)
        factors = 2.0 ** (np.arange(1, DOUBLINGS * PER_DOUBLING + 1) / PER_DOUBLING * (1 if grows else -1))
        with np.errstate(over="ignore"):
            places = [p for p in place * factors if self.holds(p)]
        if up or self.high is None:
            return places
        low = self.place(self.declared.low)
        return [p for p in sorted([*places, *np.linspace(place, low, EVENLY)[1:]]) if self.holds(p)]


def fault(rule, problem, name, found, **given):
    """What is wrong with an edge that is named (None: that there is none); None where nothing is.

    Raises
    ------
    NotImplementedError
        Where the value given is itself too near to an edge.
    """
    axis = Axis(rule, name)

    def stable(place):
        """Whether it is stable there; None within roundings of an edge, and where the range has ended."""
        if not axis.declared.holds(axis.value(place)):
            return None
        close = gap(rule, problem, **given, **{name: axis.value(place)})
        return None if abs(close) < EVEN else close < 0

    def other(places, side):
        """The first place that is certainly on the other side, screened in double precision."""
        for place in places:
            try:
                quick = rough(rule, problem, **given, **{name: axis.value(place)}) - 1
            except np.linalg.LinAlgError:  # a map beyond the range of floats
                continue
            if (quick > ROUGH if side else quick < -ROUGH) and stable(place) is (not side):
                return place
        return None

    given = dict(given)
    value = float(given.pop(name))
    first = axis.place(value)
    side = stable(first) if first > 0 else None
    if side is None:
        raise NotImplementedError("a value that is an edge itself, or at the end of the range")
    begins = "stable" if side else "unstable"
    if found is None:
        place = other([*axis.beyond(first, side), *axis.beyond(first, not side)], side)
        return place and f"no edge from {begins}, but {name}={axis.value(place)!r} is on its other side"
    edge = axis.place(float(found))
    if not axis.declared.holds(found):
        return f"the edge {found!r} is out of the range"
    near = max(NEAR, DIGITS * abs(float(found)) / edge) if edge > 0 else NEAR
    sides = [stable(edge * (1 + near if (edge > first) == out else 1 - near)) for out in (True, False)]
    here = abs(edge - first) <= near * edge  # the value given is as good as on it
    ways = [[not side, side], [side, not side]] if here else [[not side, side]]
    if not any(all(one in (None, other) for one, other in zip(sides, way, strict=True)) for way in ways):
        return f"from {begins}: beyond the edge {found!r} stable is {sides[0]}, before it {sides[1]}"
    between = np.geomspace(first, edge * (1 - near if edge > first else 1 + near), BETWEEN)
    place = None if here else other(between, side)
    if place is not None:
        return f"not the edge next to it: {found!r} from {begins}, but {name}={axis.value(place)!r} lies across"
    if (float(found) > value) != side:
        place = other(axis.beyond(first, side), side)
        if place is not None:
            return f"the edge {found!r} is not the one first looked for: {name}={axis.value(place)!r}"
    return None
