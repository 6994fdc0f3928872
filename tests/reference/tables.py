"""Second moments of a linear rule on a small table, by brute force, to twelve digits: what a rate is held against.

A rule runs on least squares over a table: features and target standardised (mean 0, mean square 1 over the N rows), a
batch of B rows drawn uniformly with replacement at each step, one query a step. With H = X^T X / N and x the
rotated row of a feature table in the eigenbasis of H (null directions dropped, as nothing moves there), the error e of
the query and the memory m of

    m+ = beta m + g,    e+ = e - eta m+ - alpha g,    E[g | e] = H e                      (n = 2; SGD: n = 1, m absent)

have second moments P, (n m, n m) and symmetric, that without residuals map to

    P+ = T P T^T + (b b^T) (x) N(Y),   T = A (x) 1 + (b c^T) (x) H,   Y = (c (x) 1)^T P (c (x) 1),
    N(Y) = (1/B) (mean over rows of (x^T Y x) x x^T  -  H Y H),                                                   (1)

which is the covariance of a mean of B draws (no Gaussian assumption). Here that map is written out as a matrix on the
n m (n m + 1) / 2 entries of P, nothing is exploited, and rho is its spectral radius in the unit 1/step.

It leaves the cone of positive semidefinite P invariant, so (Krein and Rutman 1948) rho is an eigenvalue, and

    z > rho   if and only if   (z - L)^{-1} 1 is positive definite.                                               (2)

If X > 0 solves (z - L) X = Q with Q > 0, the eigenvalues of the pencil (Q, X) taken from z enclose rho (Collatz 1942,
Wielandt 1950, for the cone). Noda's iteration (Numer. Math. 17, 1971) solves that with z the last upper bound and Q the
last X: z falls to rho, at the end quadratically. Everything is in mpmath with `DIGITS` digits, and (2) is tested on
either side of what is returned.

Sources: (1) by taking the covariance of the mean of B independent draws of x x^T e; Jain et al. 2018, arXiv:1704.08227,
Section 3 for the same map with general inputs. Rules: Polyak 1964; Bengio, Boulanger-Lewandowski and Pascanu 2012,
arXiv:1212.0901, Equation 7; Morwani et al. 2025, arXiv:2502.02431, Section 3.

Needs numpy and mpmath, and nothing of the tool that is checked. `python tables.py SEED COUNT` prints cases and gaps.
"""

import math
import random
import sys

import mpmath as mp
import numpy as np

DIGITS = 60
RELATIVE = mp.mpf(10) ** -13  # of rho - 1, on either side
ZERO = mp.mpf(10) ** -40  # rho - 1 closer to 0 than this is not told from 0
NULL = 1e-13  # eigenvalues of H below this part of the largest are null directions

RULES = ("sgd", "heavy_ball", "nesterov", "accelerated_sgd")
SETTINGS = ("ordinary", "critical", "edge", "tiny", "large batch")
TABLES = ("normal", "repeated", "dominant", "collinear", "dependent")


# ---------------------------------------------------------------------------------------------------- the reference


def canonical(rule, hyperparameters, number=mp.mpf):
    """(eta, alpha, beta) of a rule; eta is None for SGD, which has no memory.

    Parameters
    ----------
    rule : one of `RULES`.
    hyperparameters : floats by the names they have in the tool: lr, beta; eta, alpha, beta. Read as the decimal number
        that Python prints, as a command line does.
    """
    h = {name: number(repr(float(value))) for name, value in hyperparameters.items()}
    if rule == "sgd":
        return None, h["lr"], None
    if rule == "heavy_ball":
        return h["lr"], number(0), h["beta"]
    if rule == "nesterov":
        return h["lr"] * h["beta"], h["lr"], h["beta"]
    return h["eta"], h["alpha"], h["beta"]


def moments(table):
    """Eigenvalues of H and fourth moments of the standardised features in its eigenbasis, in mpmath.

    Parameters
    ----------
    table : (N, m + 1) floats; the last column is the target, which plays no part in a rate.

    Returns
    -------
    (r,) eigenvalues, largest first, those of null directions left out; (r, r, r, r) means over rows of x_i x_j x_k x_l.
    """
    with mp.workdps(DIGITS):
        x = np.array([[mp.mpf(float(v)) for v in row[:-1]] for row in table], dtype=object)
        n, m = x.shape
        x = x - x.sum(axis=0) / n
        x = x / np.array([mp.sqrt(v) for v in (x * x).sum(axis=0) / n], dtype=object)
        values, vectors = mp.eigsy(mp.matrix((x.T.dot(x) / n).tolist()))
        kept = [k for k in reversed(range(m)) if values[k] > NULL * max(values)]
        x = x.dot(np.array([[vectors[i, k] for k in kept] for i in range(m)], dtype=object))
        pairs = x[:, :, None] * x[:, None, :]
        flat = pairs.reshape(n, -1)
        fourth = flat.T.dot(flat) / n
        return np.array([values[k] for k in kept], dtype=object), fourth.reshape((len(kept),) * 4)


def operator(spectrum, fourth, coefficients, batch):
    """The map of second moments, less the identity, as a matrix.

    Parameters
    ----------
    spectrum, fourth : as `moments` gives them, in mpmath or in floats.
    coefficients : (eta, alpha, beta) in the same arithmetic.
    batch : B, rows a step.

    Returns
    -------
    (K, K), K = D (D + 1) / 2 and D = n m, on the entries P_ij, i <= j, in the order of ``numpy.triu_indices``.
    """
    eta, alpha, beta = coefficients
    m = len(spectrum)
    one = spectrum[0] * 0 + 1
    if eta is None:
        a, b = np.array([[one]]), np.array([-alpha])
    else:
        a, b = np.array([[one, -eta * beta], [one * 0, beta]]), np.array([-(eta + alpha), one])
    n = len(a)
    size = n * m
    t = np.zeros((size, size), dtype=a.dtype) * one
    for u in range(n):
        for v in range(n):
            for i in range(m):
                t[u * m + i, v * m + i] = a[u, v] + (b[u] * spectrum[i] if v == 0 else 0)
    first, second = np.triu_indices(size)
    out = np.zeros((len(first), len(first)), dtype=a.dtype) * one
    into = np.outer(b, b)
    for column, (i, j) in enumerate(zip(first, second, strict=True)):
        image = np.outer(t[:, i], t[:, j])
        image = image if i == j else image + image.T
        if j < m:  # the unit moment lies in the query's block: it makes noise
            noise = fourth[:, :, i, j] if i == j else fourth[:, :, i, j] + fourth[:, :, j, i]
            noise = noise.copy()
            noise[i, j] = noise[i, j] - spectrum[i] * spectrum[j]
            if i != j:
                noise[j, i] = noise[j, i] - spectrum[i] * spectrum[j]
            image = image + np.kron(into, noise / batch)
        out[:, column] = image[first, second]
        out[column, column] -= 1
    return out


def gap(table, rule, hyperparameters, batch):
    """rho - 1, to thirteen digits of its own.

    Parameters
    ----------
    table : (N, m + 1) floats, the last column the target.
    rule, hyperparameters : as for `canonical`.
    batch : B, rows a step.

    Returns
    -------
    mpmath number: negative where the second moments settle.

    Raises
    ------
    ArithmeticError
        If the enclosure could not be confirmed on both sides.
    """
    with mp.workdps(DIGITS):
        spectrum, fourth = moments(table)
        return perron(operator(spectrum, fourth, canonical(rule, hyperparameters), mp.mpf(int(batch))))


def stable(table, rule, hyperparameters, batch):
    """Whether rho < 1, by (2) alone."""
    with mp.workdps(DIGITS):
        spectrum, fourth = moments(table)
        return above(operator(spectrum, fourth, canonical(rule, hyperparameters), mp.mpf(int(batch))), mp.mpf(0))


def perron(matrix):
    """The eigenvalue of largest real part of what `operator` gives, in mpmath."""
    size = _side(len(matrix))
    one = _packed(_identity(size))
    guess = mp.mpf(float(np.linalg.eigvals(matrix.astype(float)).real.max()))
    margin = mp.mpf(10) ** -7 * (1 + abs(guess))
    while not above(matrix, guess + margin):
        margin *= 30
    z, q = guess + margin, one
    for _ in range(600):
        x = _solved(matrix, z, q)
        bounds = None if x is None else _pencil(_unpacked(q, size), _unpacked(x, size))
        if bounds is None:  # z is rho to all digits, or below it by rounding
            z += RELATIVE * abs(z) / 8
        else:
            low, high = z - bounds[1], z - bounds[0]
            # The lower bound says nothing where some directions are decoupled and settle faster: then (2) does.
            met, resting = high - low <= RELATIVE * abs(high) / 4, z - high <= RELATIVE * abs(high) / 1000
            z, q = high, x / max(abs(v) for v in x)
            if not (met or resting):
                continue
        around = max(RELATIVE * abs(z), ZERO)
        if above(matrix, z + around) and not above(matrix, z - around):
            return z
    raise ArithmeticError(f"no enclosure of rho - 1 at {mp.nstr(z, 15)}")


def above(matrix, z):
    """Whether 1 + z exceeds rho: whether (z - (L - 1))^{-1} 1 is positive definite, see (2)."""
    size = _side(len(matrix))
    x = _solved(matrix, z, _packed(_identity(size)))
    return x is not None and _cholesky(_unpacked(x, size)) is not None


def _side(count):
    return (math.isqrt(8 * count + 1) - 1) // 2


def _identity(size):
    return np.array([[mp.mpf(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)


def _packed(matrix):
    return matrix[np.triu_indices(len(matrix))]


def _unpacked(entries, size):
    out = np.empty((size, size), dtype=object)
    out[np.triu_indices(size)] = entries
    out.T[np.triu_indices(size)] = entries
    return out


def _solved(matrix, z, right):
    """(z - matrix)^{-1} right by elimination with partial pivoting; None where it is singular."""
    count = len(matrix)
    work = np.concatenate([-matrix, right[:, None]], axis=1)
    for k in range(count):
        work[k, k] += z
    for k in range(count):
        pivot = k + max(range(count - k), key=lambda r: abs(work[k + r, k]))
        if not work[pivot, k]:
            return None
        work[[k, pivot]] = work[[pivot, k]]
        for r in range(k + 1, count):
            if work[r, k]:
                work[r, k + 1 :] = work[r, k + 1 :] - (work[r, k] / work[k, k]) * work[k, k + 1 :]
    out = np.empty(count, dtype=object)
    for k in reversed(range(count)):
        out[k] = (work[k, count] - (work[k, k + 1 : count].dot(out[k + 1 :]) if k + 1 < count else 0)) / work[k, k]
    return out


def _cholesky(matrix):
    """Lower factor; None where the matrix is not positive definite."""
    size = len(matrix)
    low = np.array([[mp.mpf(0)] * size for _ in range(size)], dtype=object)
    for j in range(size):
        left = matrix[j, j] - (low[j, :j].dot(low[j, :j]) if j else 0)
        if left <= 0:
            return None
        low[j, j] = mp.sqrt(left)
        for i in range(j + 1, size):
            low[i, j] = (matrix[i, j] - (low[i, :j].dot(low[j, :j]) if j else 0)) / low[j, j]
    return low


def _pencil(q, x):
    """Least and largest eigenvalue of the pencil (q, x), x positive definite; None where it is not."""
    low = _cholesky(x)
    if low is None:
        return None
    half = _lower_solved(low, q)
    values = mp.eigsy(mp.matrix(_lower_solved(low, half.T.copy()).tolist()), eigvals_only=True)
    return min(values), max(values)


def _lower_solved(low, right):
    out = right.copy()
    for i in range(len(low)):
        out[i] = (out[i] - (low[i, :i].dot(out[:i]) if i else 0)) / low[i, i]
    return out


# ---------------------------------------------------------------------------------------------------- larger tables


def enclosed(features, rule, hyperparameters, batch):
    """rho - 1 on a table of any size in float64, with a two-sided bound that its own rounding does not enter.

    Parameters
    ----------
    features : (N, m), standardised here; they must have full rank.

    Returns
    -------
    (estimate, low, high) : the Perron root of the dense map, and the enclosure by the eigenvalues of (L(P), P) at
        its positive definite eigenvector; (estimate, nan, nan) where that vector is singular.
    """
    import scipy.linalg

    x = np.asarray(features, float)
    x = x - x.mean(axis=0)
    x = x / np.sqrt((x**2).mean(axis=0))
    spectrum, basis = np.linalg.eigh(x.T @ x / len(x))
    x = x @ basis
    pairs = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    fourth = (pairs.T @ pairs / len(x)).reshape((x.shape[1],) * 4)
    return enclosed_by(spectrum, fourth, canonical(rule, hyperparameters, float), batch, scipy.linalg)


def enclosed_by(spectrum, fourth, coefficients, batch, linalg):
    """As `enclosed`, from eigenvalues and fourth moments in floats."""
    matrix = operator(spectrum, fourth, coefficients, float(batch))
    values, vectors = np.linalg.eig(matrix)
    place = int(np.argmax(values.real))
    estimate, vector = float(values[place].real), vectors[:, place].real
    size = _side(len(matrix))
    for _ in range(3):  # inverse iteration
        shift = estimate + 1e-12 * max(abs(estimate), 1e-3)
        vector = np.linalg.solve(matrix - shift * np.eye(len(matrix)), vector)
        vector /= np.linalg.norm(vector)
        estimate = float(vector @ (matrix @ vector))
    p = np.empty((size, size))
    p[np.triu_indices(size)] = vector
    p.T[np.triu_indices(size)] = vector
    p *= np.sign(np.trace(p))
    change = np.empty((size, size))
    change[np.triu_indices(size)] = matrix @ p[np.triu_indices(size)]
    change.T[np.triu_indices(size)] = change[np.triu_indices(size)]
    try:
        bounds = linalg.eigh(change, p, eigvals_only=True)
    except np.linalg.LinAlgError:
        return estimate, math.nan, math.nan
    return estimate, float(bounds[0]), float(bounds[-1])


# ------------------------------------------------------------------------------------------------------------ cases


def cases(seed, count):
    """Random tables with random settings of the rules on them. The same seed gives the same cases.

    Parameters
    ----------
    seed : whole number.
    count : how many; rules, settings and kinds of table take turns.

    Returns
    -------
    list of dicts, ready for JSON
        ``rule``, ``hyperparameters`` (floats by name), ``batch`` (rows a step), ``table`` (N rows of m + 1 floats, the
        last the target; 4 <= N <= 41, 1 <= m <= 4), ``setting`` (of `SETTINGS`), ``kind`` (of `TABLES`).
    """
    chance = random.Random(seed)
    return [_case(chance, number) for number in range(count)]


def _case(chance, number):
    rule = RULES[(number + number // len(RULES)) % len(RULES)]
    setting = SETTINGS[number % len(SETTINGS)]
    kind = TABLES[(number // len(SETTINGS)) % len(TABLES)]
    while True:
        table = _table(chance, kind)
        spectrum, fourth = moments(table)
        lam, floats = [float(v) for v in spectrum], fourth.astype(float)
        found = _setting(chance, rule, setting, lam, floats)
        if found is not None and (setting == "tiny" or _decided(rule, found, lam, floats)):
            hyperparameters, batch = found
            return dict(
                rule=rule, hyperparameters=hyperparameters, batch=batch, table=table, setting=setting, kind=kind
            )


def _decided(rule, found, lam, fourth):
    """Whether rho - 1 is far enough from 0 for its sign to be a fact about the table and not about rounding."""
    matrix = operator(np.array(lam), fourth, canonical(rule, found[0], float), float(found[1]))
    return abs(np.linalg.eigvals(matrix).real.max()) > 1e-8


def _log(chance, low, high):
    return 10 ** chance.uniform(low, high)


def _short(value, digits=12):
    return float(f"{value:.{digits}g}")


def _table(chance, kind):
    """(N, m + 1) floats as lists; six digits, as tables have them, where the kind allows it."""
    normal = lambda: chance.gauss(0, 1)  # noqa: E731
    m = chance.choice([1, 2, 2, 3, 3, 4])
    n = chance.choice([4, 5, 8, 12, 20, 40])
    if kind == "repeated":
        m, which = max(m, 2), chance.choice(["factorial", "simplex", "simplex", "whole"])
        if which == "factorial":  # all signs: H = 1
            rows = [[1.0 if i >> k & 1 else -1.0 for k in range(m)] for i in range(2**m)]
        elif which == "simplex":  # one of m, or none: m - 1 equal eigenvalues
            rows = [[float(i == k) for k in range(m)] for i in range(m + 1)] * chance.choice([2, 2, 5])
        else:  # each row in all orders: m - 1 equal eigenvalues, and noise in all directions
            m = min(m, 3)
            base = [[_short(normal(), 3) for _ in range(m)] for _ in range(chance.choice([2, 3]))]
            rows = [[row[(k + s) % m] for k in range(m)] for row in base for s in range(m)]
            rows += [row[::-1] for row in rows] if m == 3 else []
            rows = rows if len(rows) >= 4 else rows * 2
    else:
        scales = [_log(chance, -1, 1) for _ in range(m)]
        rows = [[normal() * s for s in scales] for _ in range(n)]
        if kind == "collinear":
            m, near = max(m, 2), _log(chance, -3.5, -1)
            n = max(n, m + 2)
            rows = []
            for _ in range(n):
                common = normal()
                rows.append([common + near * normal() for _ in range(m)])
        elif kind == "dominant":
            size = _log(chance, 1, 3)
            rows[0] = [v * size for v in rows[0]]
        elif kind == "dependent":  # a direction in which nothing moves
            if chance.random() < 0.5:
                rows = [[*row[: max(m - 1, 1)], -2 * row[0]] for row in rows]
                rows = [[*map(_short6, row[:-1]), -2 * _short6(row[0])] for row in rows]
            else:
                m = chance.choice([2, 3])
                rows = [[float(i % m == k) for k in range(m)] for i in range(n)]
                rows.append(rows[0])
    if kind != "dependent":
        rows = [[_short(v, 8 if kind == "collinear" else 6) for v in row] for row in rows]
    return [[*row, _short(sum(row) + normal(), 6)] for row in rows]


def _short6(value):
    return _short(value, 6)


def _setting(chance, rule, setting, lam, fourth):
    """(hyperparameters, batch), or None where the draw has none that can be told apart from rounding."""
    top, one = lam[0], chance.choice(lam)
    batch = chance.choice([1, 1, 2, 4, 16, 64])
    beta = _short(chance.choice([chance.uniform(0.05, 0.95), 1 - _log(chance, -3, -1), _log(chance, -4, -1)]))
    if setting == "large batch":
        batch = int(_log(chance, 3, 9))
        if chance.random() < 0.3:
            beta = _short(1 - _log(chance, -6, -2), 15)
    if setting == "tiny":
        return _sizes(rule, _log(chance, -13, -5) / top, beta, chance), batch
    if setting == "critical" or (setting == "large batch" and chance.random() < 0.4):
        found = _critical(chance, rule, one, top, beta)
        off = chance.choice([0, 0, chance.choice([-1, 1]) * _log(chance, -14, -4)])
        name = "eta" if rule == "accelerated_sgd" else "lr"
        found[name] *= 1 + off
        return (found, batch) if 0 < found[name] < 1e3 / top else None
    usual = 1 - beta if rule == "heavy_ball" else 1.0
    found = _sizes(rule, _log(chance, -2.5, 0) * usual / top, beta, chance)
    if setting != "edge":
        return found, batch
    scale = _edge(rule, found, batch, np.array(lam), fourth)
    if scale is None:
        return None
    by = scale * (1 + chance.choice([-1, 1]) * _log(chance, -6, -2))
    return {k: v if k == "beta" else v * by for k, v in found.items()}, batch


def _sizes(rule, size, beta, chance):
    if rule == "sgd":
        return {"lr": size}
    if rule == "accelerated_sgd":
        return {"eta": size * (1 - beta) * _log(chance, -1, 0.5), "alpha": size, "beta": beta}
    return {"lr": size, "beta": beta}


def _critical(chance, rule, one, top, beta):
    """Step sizes at which the mean's two eigenvalues in a direction of eigenvalue `one` meet.

    z^2 - [1 + beta - (eta + alpha) lam] z + beta (1 - alpha lam) has a double root there; SGD: 1 / lam, where the
    mean's only one is zero.
    """
    if rule == "sgd":
        return {"lr": 1 / one}
    if rule == "heavy_ball":
        return {"lr": (1 - math.sqrt(beta)) ** 2 / one, "beta": beta}
    if rule == "nesterov":
        x = chance.choice([1.0, ((1 - beta) / (1 + beta)) ** 2])
        return {"lr": x / one, "beta": beta}
    alpha = chance.choice([chance.uniform(0.05, 0.95), _log(chance, -5, -1)]) / top
    return {"eta": (1 + beta - 2 * math.sqrt(beta * (1 - alpha * one))) / one - alpha, "alpha": alpha, "beta": beta}


def _edge(rule, sizes, batch, lam, fourth):
    """By how much all step sizes are to grow to reach an edge of stability, nine digits; None without one."""

    def unstable(scale):
        grown = {k: v if k == "beta" else v * scale for k, v in sizes.items()}
        found = operator(lam, fourth, canonical(rule, grown, float), float(batch))
        return np.linalg.eigvals(found).real.max() > 0

    low = 1.0
    while unstable(low):
        low /= 8
        if low < 1e-9:
            return None
    high = low * 2
    while not unstable(high):
        low, high = high, 2 * high
        if high > 1e9:
            return None
    while high - low > 1e-11 * low:
        middle = (low + high) / 2
        low, high = (low, middle) if unstable(middle) else (middle, high)
    return _short(low, 9)


if __name__ == "__main__":
    for number, case in enumerate(cases(int(sys.argv[1]), int(sys.argv[2]))):
        found = gap(case["table"], case["rule"], case["hyperparameters"], case["batch"])
        print(number, case["rule"], case["setting"], case["kind"], len(case["table"]), "rows", end=" ")
        print(case["batch"], case["hyperparameters"], mp.nstr(found, 17))
