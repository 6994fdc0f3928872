"""The law of a gradient, from what a problem says of its samples.

`Apart` are problems in whose eigendirections second moments stay apart: with inputs x of independent signs the gradient
of a batch of B at query errors a, b has, in direction i,

    E[g_i g'_i] = (1 - 1/B) lam_i^2 Y_ii + (1/B) sum_k E[x_i^2 x_k^2] Y_kk + floor_i,     Y = E[a b^T],

(Gaussian inputs are such with E x^4 = 3 lam^2.) `Table` is a table of rows, each as likely as the others: nothing is
known but the rows, and expectations are means over them.
"""

from dataclasses import dataclass

import numpy as np

from reference.numbers import mp, number

NULL = mp.mpf(10) ** -13  # eigenvalues of a table's H below this part of the largest are null directions
UNSURE = mp.mpf(10) ** -17  # between this and 1e4 NULL it is a matter of taste


@dataclass
class Apart:
    """Attributes: (d,) lam, start, floor; (d, d) fourth moments, or None where noise does not feel the state; batch."""

    lam: np.ndarray
    start: np.ndarray
    floor: np.ndarray
    fourth: np.ndarray | None
    batch: int


@dataclass
class Table:
    """Attributes: (N, d) rows in the eigenbasis, (N,) residuals, (d,) lam and start, batch."""

    rows: np.ndarray
    residuals: np.ndarray
    lam: np.ndarray
    start: np.ndarray
    batch: int


def _vector(values):
    return np.array([number(float(v)) for v in values], dtype=object)


def read(problem):
    """The law of a problem's gradients, in extended numbers."""
    return {
        "quadratic": _quadratic,
        "linear_regression": lambda p: _stream(p, [3.0] * p.dim),
        "plrf": _plrf,
        "independent": lambda p: _stream(p, p.kurtosis),
        "one_hot": _one_hot,
        "dataset": _dataset,
    }[problem.name](problem)


def _quadratic(problem):
    lam, d = _vector(problem.spectrum), problem.dim
    shape = problem.noise_shape
    if isinstance(shape, str):
        variances = lam if shape == "H" else np.array([mp.one] * d, dtype=object)
    else:
        given = np.asarray(shape, dtype=float)
        variances = _vector(given if given.ndim == 1 else np.diag(given))
    floor = variances * number(problem.grad_noise) / problem.batch
    return Apart(lam, _vector(problem.start), floor, None, problem.batch)


def _stream(problem, kurtosis):
    lam = _vector(problem.spectrum)
    fourth = np.outer(lam, lam)
    for i, c in enumerate(kurtosis):
        fourth[i, i] = number(float(c)) * lam[i] ** 2
    return _labelled(problem, lam, fourth)


def _one_hot(problem):
    lam = _vector(problem.spectrum)
    fourth = np.diag(_vector(problem.kurtosis)) * np.outer(lam, lam)
    return _labelled(problem, lam, fourth)


def _labelled(problem, lam, fourth):
    floor = number(problem.label_noise) * lam / problem.batch
    return Apart(lam, _vector(problem.start), floor, fourth, problem.batch)


def _plrf(problem):
    """Gaussian least squares in H = W^T D W for inputs of covariance D; without a W, in D itself."""
    d = problem.dim
    size = d if problem.features_seed is None else (4 * d if problem.hidden is None else problem.hidden)
    a, b = number(problem.data_exponent), number(problem.target_exponent)
    variances = [number(j) ** (-2 * a) for j in range(1, size + 1)]
    target = [number(j) ** -b for j in range(1, size + 1)]
    if problem.features_seed is None:
        lam, start, noise = variances, [-x for x in target], mp.zero
    else:
        w = np.random.default_rng(problem.features_seed).standard_normal((size, d))
        features = mp.matrix([[number(x) / mp.sqrt(d) for x in row] for row in w])
        weighted = mp.diag(variances) * features
        values, vectors = mp.eigsy(features.T * weighted)
        toward = vectors.T * (weighted.T * mp.matrix(target))
        lam = [values[i] for i in range(d)]
        start = [-toward[i] / values[i] for i in range(d)]
        noise = mp.fsum(v * x**2 for v, x in zip(variances, target, strict=True))
        noise -= mp.fsum(toward[i] ** 2 / values[i] for i in range(d))
    lam, start = np.array(lam, dtype=object), np.array(start, dtype=object)
    fourth = np.outer(lam, lam) * (1 + 2 * np.eye(d, dtype=int).astype(object))
    return Apart(lam, start, noise * lam / problem.batch, fourth, problem.batch)


def _dataset(problem):
    table = np.load(problem.data).astype(np.float64)
    target = int(problem.target)
    columns = [_standardized(column) for column in table.T]
    labels = mp.matrix(columns.pop(target))
    features = mp.matrix(columns).T
    n = features.rows
    values, vectors = mp.eigsy(features.T * features / n)
    largest = max(values)
    kept = [i for i in range(len(values)) if values[i] > NULL * largest]
    if any(UNSURE < value / largest < 1e4 * NULL for value in values):
        raise NotImplementedError("a direction that is null or is not, as one takes it")
    rotated = features * vectors
    solution = [mp.fsum(rotated[k, i] * labels[k] for k in range(n)) / n / values[i] for i in kept]
    rows = np.array([[rotated[k, i] for i in kept] for k in range(n)], dtype=object)
    solution = np.array(solution, dtype=object)
    residuals = np.array(list(labels), dtype=object) - rows @ solution
    if problem.init is not None:
        first = mp.matrix([number(float(v)) for v in problem.start])
        start = np.array([(vectors.T * first)[i] for i in kept], dtype=object)
    else:
        start = -solution
    return Table(rows, residuals, np.array([values[i] for i in kept], dtype=object), start, problem.batch)


def _standardized(column):
    column = [number(float(value)) for value in column]
    mean = mp.fsum(column) / len(column)
    centered = [value - mean for value in column]
    scale = mp.sqrt(mp.fsum(value**2 for value in centered) / len(centered))
    return [value / scale for value in centered]
