"""The limit of all linear methods: the least risk that one of them can have after a number of stochastic gradients.

A linear method that moves along with translations, with scalar coefficients, asks for gradients at
y_s = w_0 + sum over u < s of a_{s,u} g_u and returns w_T = w_0 + sum over s of b_s g_s. With noise of its own in every
gradient, of variance v_i in eigendirection i, the error is left

    w_T - w* = (1 + H Q(H)) (w_0 - w*) + sum over s of q_s(H) xi_s,    Q = sum over s of q_s,

where q_s = b_s + H (sum over u > s of a_{u,s} q_u) has degree T - 1 - s at most, and all such polynomials belong to a
method or are limits of such. In polynomials phi_k orthonormal with weights lam_i v_i at the eigenvalues,
Q = sum over k of S_k phi_k, noise costs least where each phi_k is shared equally by the T - k gradients whose degree
allows it, and what is left to choose is a least-squares problem:

    limit = min over S of (1/2) [ sum over i of lam_i e_i^2 (1 + lam_i Q(lam_i))^2 + sum over k of S_k^2 / (T - k) ].

Without noise that is the bound of conjugate gradients; of one eigenvalue it is Wiener's filter. Where noise grows with
the error, as in streaming regression, noise that stays at the optimum alone makes it a bound from below.

The polynomials are Lanczos vectors (with the roots of the weights). Not all are needed: the first few give an upper
bound, and a lower one where the others cost no more than the next one does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import islice
from numbers import Real
from typing import Any

import numpy as np

from accelsim.elementary import where
from accelsim.errors import InputError
from accelsim.exact.linear import linear_tableau
from accelsim.notebook import Tabular
from accelsim.optimizers import find
from accelsim.problems import Problem, Uncoupled
from accelsim.rule import Optimizer, optimizer
from accelsim.spectra import Array, whole
from accelsim.symbolic.system.tableau import Tableau
from accelsim.threads import single_threaded

_BEGUN = 32  # Lanczos vectors looked at first
_SMALL, _WORK = 1e9, 1e11  # operations that all of them take anyway, and that more of them may take
_CLOSE = 1e-9  # of the limit: bounds nearer than this are near enough
_EPS = float(np.finfo(float).eps)
_SHAKEN, _DOUBT = 8 * _EPS, 256  # roundings that vectors are shaken by, and bounds are moved by for what that changes
_LOUD = 1e150  # signal over noise, of which the square is no float64
_SAME = 1e-6  # of the largest weight, that they may change
SHORT = 12  # steps of which the method is written down
MOST, WEIGHED = 2**53, 10**6  # steps that can be counted, and of which weights are told
_LOOKED = 4096  # steps of a rule that are looked at, where its coefficients vary; of later ones a proof is needed
_APART = 1e-3  # relative distance of bounds from which on no ratio is told
_ROUNDING = 1e-12  # of coefficients


@dataclass(frozen=True)
class Limit(Tabular):
    """Least risk that a linear method can have after some gradients, each on a fresh sample.

    Attributes
    ----------
    steps : number of gradients T.
    limit : the least risk; a bound from above, which a method attains up to rounding.
    limit_low : a bound from below. What rounding does to polynomials on nearly equal eigenvalues is estimated in both,
        on the safe side, from what a few more roundings change.
    exact : whether methods attain it; where noise grows with the error it only bounds them from below.
    weights : (T,) of gradients in what the best method returns, w_T = w_0 - sum of weights[s] g_s; None where they are
        lost to rounding, as many eigenvalues make them, of more than a million steps, and without noise, where many
        methods are best.
    """

    steps: int
    limit: float
    limit_low: float
    exact: bool
    weights: Array | None
    _shares: _Shares | None = field(repr=False, compare=False, default=None)

    def _statement(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("steps", "limit", "limit_low", "exact")}

    def table(self) -> dict[str, Any]:
        """The weights by step.

        Raises
        ------
        InputError
            Where there are none.
        """
        if self.weights is None:
            lost = "they are lost to rounding" if self.steps <= WEIGHED else "there are too many steps"
            raise InputError(f"there are no weights: {lost if self._shares else 'without noise many methods are best'}")
        return {"step": np.arange(self.steps), "weight": self.weights}

    def _columns(self) -> dict[str, Any]:
        return {} if self.weights is None else self.table()

    def _drawing(self) -> tuple[Any, ...]:
        return "weights_by_step", self.table()["weight"]

    def method(self) -> Optimizer:
        """The method that has this risk, as a rule that remembers all gradients.

        Raises
        ------
        InputError
            Of more than `SHORT` steps, and where there is no noise: then many methods have it.
        """
        if self._shares is None or self.steps > SHORT:
            raise InputError(
                f"the method is written down for at most {SHORT} steps, with noise in every direction: "
                f"{self.steps} {'are too many' if self.steps > SHORT else 'steps here have none'}"
            )
        return _rule(*self._shares.coefficients())


@dataclass(frozen=True)
class _Measure:
    """Different eigenvalues lam (m,), the energy e^2 of the initial error there, and lam v, the weights of noise."""

    lam: Array
    energy: Array
    noise: Array

    @property
    def start(self) -> Array:
        """Roots of twice the risk at w_0, by eigenvalue."""
        return np.sqrt(self.lam * self.energy)

    @property
    def scale(self) -> Array:
        """What changes of it are over values of Q times the roots of the weights of noise."""
        return np.sqrt(self.energy) * self.lam * (np.sqrt(self.lam) / np.sqrt(self.noise))


@single_threaded
def limit(problem: Problem, /, steps: int) -> Limit:
    """The least risk of a linear method after some gradients.

    Parameters
    ----------
    problem : without coupling of eigendirections: its gradient noise either does not depend on the error, or grows with
        it.
    steps : number of gradients T, each on a fresh sample.

    Returns
    -------
    Limit
        For methods that move along with translations and have scalar coefficients: no weight decay, no preconditioner.

    Raises
    ------
    InputError
        On a table, where noise may shrink away from the optimum; where some directions are noisy and some are not; and
        for a number of steps that cannot be counted.
    """
    steps = whole(steps, "number of steps")
    if steps > MOST:
        raise InputError(f"{steps} steps are more than can be counted exactly: take at most {MOST:.3g}")
    if not isinstance(problem, Uncoupled):
        raise InputError(
            f"the limit of linear methods is not known on {problem.name}: away from the optimum rows may be less noisy"
        )
    measure = _measured(problem)
    if not measure.noise.any():
        low, high = _noiseless(measure, steps)
        return Limit(steps, high, low, not problem.multiplicative, None)
    if not measure.noise.all():
        raise InputError("the limit is computed where all directions are noisy, or none: some have noise here")
    if measure.scale.max() > _LOUD:
        raise InputError("the noise is too small beside the start for float64: take more of it, or none")
    most = min(steps, measure.lam.size)
    vectors, shaken = (_Lanczos(measure.lam, np.sqrt(measure.noise), size) for size in (0.0, _SHAKEN))
    count = most if _operations(measure, most) <= _SMALL else min(_BEGUN, most)
    while True:
        basis = vectors.first(count)
        reached, shares = _above(measure, basis, steps)
        least = reached.least if count == most else _below(measure, basis, steps)
        if count == most or reached.value - least <= _CLOSE * reached.value or _operations(measure, 2 * count) > _WORK:
            break
        count = min(2 * count, most)
    found = _Shares(measure, basis, shares, steps)
    other, shares = _above(measure, shaken.first(count), steps)
    doubt = _DOUBT * abs(reached.value - other.value)
    weights, again = found.weights(vectors), _Shares(measure, basis, shares, steps).weights(shaken)
    if weights is None or again is None or np.abs(weights - again).max() > _SAME * np.abs(weights).max():
        weights = None
    low, high = max(min(least, reached.value) - doubt, 0.0), reached.value + doubt
    return Limit(steps, high, low, not problem.multiplicative, weights, found)


def _operations(measure: _Measure, count: int) -> float:
    return 16.0 * measure.lam.size * count**2


def _measured(problem: Uncoupled) -> _Measure:
    """Eigendirections of one eigenvalue together."""
    lam, place = np.unique(problem.spectrum, return_inverse=True)
    energy, noise = np.zeros(lam.size), np.zeros(lam.size)
    np.add.at(energy, place, problem.modes(problem.start) ** 2)
    np.add.at(noise, place, problem.spectrum * problem.floor)
    return _Measure(lam, energy, noise)


def of_rule(rule: Optimizer | str, problem: Problem, steps: int, /, **hyperparameters: Any) -> Limit | None:
    """The limit that binds a rule after some steps; None where it is not about such rules, or not known well.

    Each query of a step counts as a gradient. Two queries on one sample share their noise, so such rules are none.
    """
    rule = find(rule)
    try:
        tableau = linear_tableau(rule, **hyperparameters)
        if set(tableau.stages) != {1} or any(tableau.start) or not _moves_along(tableau, steps, hyperparameters):
            return None
        found = limit(problem, steps * len(tableau.stages))
    except InputError:
        return None
    return found if found.limit_low >= (1 - _APART) * found.limit else None


def _moves_along(tableau: Tableau, steps: int, hyperparameters: dict[str, Any]) -> bool:
    """Whether the rule moves along with translations: at the first steps by numbers, at later ones by proof."""
    e, constant = np.array(tableau.translation, float), tableau.constant(**hyperparameters)
    for a, _, c, _, f in islice(tableau.rows(**hyperparameters), 1 if constant else min(steps, _LOOKED)):
        if max(np.abs(a @ e - e).max(), np.abs(c @ e - 1).max(), np.abs(f @ e - 1).max()) > _ROUNDING:
            return False
    return constant or steps <= _LOOKED or _always_moves_along(tableau, hyperparameters)


def _always_moves_along(tableau: Tableau, hyperparameters: dict[str, Any]) -> bool:
    """Whether it does at all steps, whatever the values of hyperparameters that vary."""
    import sympy

    numbers = {k: v for k, v in tableau.optimizer.resolve(**hyperparameters).items() if isinstance(v, Real)}
    varying = tuple(name for name in tableau.optimizer.hyperparameters if name not in numbers)
    a, _, c, _, f = tableau.symbolic(varying, **numbers)
    e = sympy.Matrix(tableau.translation)
    moved = [*(a * e - e), *(value - 1 for matrix in (c, f) for value in matrix * e)]
    return all(sympy.simplify(value) == 0 for value in moved)


class _Lanczos:
    """Orthonormal vectors: polynomials in the eigenvalues, by degree, times a first vector.

    Eigenvalues that nearly agree, and many of them, blow roundings up. Vectors that are shaken by a few more show how
    much.

    Attributes
    ----------
    size : length of the first vector.
    diagonal, beside : coefficients of the recursion of degrees.
    """

    def __init__(self, lam: Array, first: Array, shaken: float = 0.0) -> None:
        self._lam, self.size = lam, float(np.linalg.norm(first))
        self._shaken, self._chance, self._rows = shaken, np.random.default_rng(0), np.zeros(len(lam))
        self._vectors = (first / self.size)[:, None]
        self.diagonal, self.beside = list[float](), list[float]()

    def first(self, count: int) -> Array:
        """The first vectors, in columns (m, count)."""
        known = self._vectors.shape[1]
        if count > known:
            wider = np.empty((len(self._lam), count), order="F")
            wider[:, :known] = self._vectors
            for k in range(known, count):
                new = self._lam * wider[:, k - 1]
                if self._shaken:
                    self._rows += wider[:, k - 1] ** 2
                    size = self._shaken * float(np.linalg.norm(new))
                    new += size * np.sqrt(self._rows) * self._chance.standard_normal(len(new))
                self.diagonal.append(float(wider[:, k - 1] @ new))
                new, size = _apart(new, wider[:, :k])
                self.beside.append(size)
                if not size:  # all of it was lost to rounding: any direction is as good
                    new, size = _apart(self._chance.standard_normal(len(new)), wider[:, :k])
                wider[:, k] = new / size
            self._vectors = wider
        return self._vectors[:, :count]


def _apart(vector: Array, others: Array) -> tuple[Array, float]:
    """The part of a vector orthogonal to orthonormal ones, and its length."""
    for _ in range(2):  # twice is enough
        vector = vector - others @ (others.T @ vector)
    return vector, float(np.linalg.norm(vector))


@dataclass(frozen=True)
class _Value:
    """Half a sum of squares, and what it is at least, roundings of its terms counted."""

    value: float
    least: float


def _valued(measure: _Measure, change: Array, costs: Array, terms: int, gross: float = 0.0) -> _Value:
    """The risk where the start is changed by so much, and noise costs so many squares.

    It was found as a sum of that many terms, of length `gross`: by their roundings it is not quite the least.
    """
    left = measure.start + change
    doubt = 4 * (terms + 4) * _EPS * (np.abs(measure.start) + np.abs(change))
    size, off = float(np.linalg.norm(left)), float(np.linalg.norm(doubt))
    noise = float(costs.sum())
    root = max(math.sqrt(max(size - off, 0.0) ** 2 + noise * (1 - 1e-12)) - 16 * _EPS * gross, 0.0)
    return _Value(((size + off) ** 2 + noise) / 2, root**2 / 2)


def _above(measure: _Measure, basis: Array, steps: int) -> tuple[_Value, Array]:
    """The least risk in a basis, and its coefficients S."""
    count = basis.shape[1]
    scale = measure.scale
    priced = 1 / np.sqrt(steps - np.arange(count))
    columns = np.vstack([scale[:, None] * basis, np.diag(priced)])
    # Columns of very different lengths: the solution is the same in all units, and its digits are not.
    units = np.linalg.norm(columns, axis=0)
    right = np.concatenate([-measure.start, np.zeros(count)])
    q, r = np.linalg.qr(columns / units)
    shares = np.linalg.solve(r, q.T @ right) / units
    gross = float(np.linalg.norm(units * shares))
    return _valued(measure, scale * (basis @ shares), (priced * shares) ** 2, count, gross), shares


def _below(measure: _Measure, basis: Array, steps: int) -> float:
    """A bound from below: what is not in the basis costs as little as the next polynomial would.

    With u the values of Q times the roots of the weights, D u the change of the start and P the basis, it is half the
    minimum of |start + D u|^2 + c |u|^2 - |G^(1/2) P^T u|^2, c = 1/(T - K) and G the difference to c of what P costs.
    """
    count = basis.shape[1]
    scale = measure.scale
    price, own = 1 / (steps - count), 1 / (steps - np.arange(count))
    plain = scale**2 + price
    weighed = basis / plain[:, None]
    inner = np.diag(1 / (price - own)) - basis.T @ weighed
    point = -scale * measure.start / plain
    point += weighed @ np.linalg.solve(inner, basis.T @ point)
    seen = basis.T @ point
    rest = point - basis @ seen
    slope = scale * (measure.start + scale * point) + price * rest + basis @ (own * seen)
    found = _valued(measure, scale * point, np.concatenate([own * seen**2, price * rest**2]), count)
    return float(found.least - slope @ slope / own.min() / 2)


def _noiseless(measure: _Measure, steps: int) -> tuple[float, float]:
    """Bounds on what polynomials that are 1 at 0 leave of the start, as conjugate gradients do."""
    heard = measure.energy > 0
    lam, left = measure.lam[heard], measure.start[heard]
    size = float(np.linalg.norm(left))
    if steps >= lam.size or not size:
        return 0.0, 0.0
    if _operations(measure, steps) > _WORK:
        raise InputError(f"{steps} polynomials on {lam.size} eigenvalues take too long: ask for fewer steps")
    near, shaken = (_apart(left, _Lanczos(lam, lam * left, by).first(steps))[1] for by in (0.0, _SHAKEN))
    off = 8 * steps * _EPS * size + _DOUBT * abs(near - shaken)
    return max(near - off, 0.0) ** 2 / 2, (near + off) ** 2 / 2


@dataclass(frozen=True)
class _Shares:
    """The best method by the polynomials q_s of its gradients, q_s = sum over k of S_k/(T - k) phi_k, k < T - s."""

    measure: _Measure
    basis: Array
    shares: Array
    steps: int

    def weights(self, vectors: _Lanczos) -> Array | None:
        """(T,) weights -q_s(0) of gradients in what is returned."""
        count = len(self.shares)
        at_zero = np.empty(count)
        before, here = 0.0, 1 / vectors.size
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for k in range(count):
                at_zero[k] = here
                if k + 1 < count:
                    back = vectors.beside[k - 1] * before if k else 0.0
                    before, here = here, float(np.float64(-vectors.diagonal[k] * here - back) / vectors.beside[k])
            parts = np.cumsum(self.shares * at_zero / (self.steps - np.arange(count)))
        if not np.isfinite(parts).all():
            return None
        if self.steps > WEIGHED:
            return None
        weights = np.full(self.steps, -parts[-1])
        weights[self.steps - count :] = -parts[::-1]
        return weights

    def coefficients(self) -> tuple[Array, Array]:
        """Coefficients a (T, T), strictly below the diagonal, of the query points, and b (T,) of what is returned."""
        lam, count, last = self.measure.lam, len(self.shares), self.steps - 1
        values = self.basis / np.sqrt(self.measure.noise)[:, None]
        each = values * (self.shares / (self.steps - np.arange(count)))
        polynomials = np.array([each[:, : last - s + 1].sum(axis=1) for s in range(self.steps)])
        asked, returned = np.zeros((self.steps, self.steps)), np.zeros(self.steps)
        for s in range(self.steps):
            later = np.arange(last, max(s, last - count + 1), -1)  # of which more would be polynomials of one degree
            columns = np.column_stack([np.ones(lam.size), *(lam * polynomials[u] for u in later)])
            units = np.linalg.norm(columns, axis=0)
            found = np.linalg.lstsq(columns / units, polynomials[s], rcond=None)[0] / units
            returned[s], asked[later, s] = found[0], found[1:]
        return asked, returned


def _rule(asked: Array, returned: Array) -> Optimizer:
    """A rule that remembers all gradients and has these coefficients."""
    count = len(returned)

    def at(coefficients: Array, t: Any) -> Any:
        """The coefficient of step t."""
        value: Any = 0.0
        for step, coefficient in enumerate(coefficients):
            value = where(t == step, float(coefficient), value) if coefficient else value
        return value

    def best(s: Any, t: Any, h: Any) -> Any:  # noqa: ARG001, a rule has these
        query = s.start
        for u in range(count):
            query = query + at(asked[:, u], t) * getattr(s, f"g{u}")
        g = yield query
        kept = {f"g{u}": where(t == u, g, getattr(s, f"g{u}")) for u in range(count)}
        x = s.start
        for u, gradient in enumerate(kept.values()):
            x = x + float(returned[u]) * gradient
        return dict(start=s.start, x=x, **kept)

    best.__doc__ = f"The linear method of {count} gradients with the least risk on one problem."
    memories = " ".join(f"g{u}" for u in range(count))
    return optimizer(positions="start x", memories=memories, returns="x")(best)
