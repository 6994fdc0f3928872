"""Problems draw gradients with the moments they declare, and refuse what they cannot use."""

import gzip
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import seed_of

from accelsim import problems, spectra
from accelsim.elementary import total
from accelsim.errors import InputError
from accelsim.problems import _tables as tables
from accelsim.problems import linear_regression
from accelsim.simulation.philox import Draws

REPLICAS = 40_000
LIMIT = 5.0  # standard errors; over some 3000 comparisons here one exceeds it by chance in 600 runs
CONTROL = 8.0

TABLE = "a,b,c,y\n1,2,5,3\n2,1,5,1\n4,0,5,-2\n3,3,5,2.5\n0,1,5,0\n"


def z_scores(values, expected):
    """Of the mean over replicas (axis 0) against what it should be; exact agreement of constants counts as 0."""
    error = values.std(axis=0) / len(values) ** 0.5
    off = values.mean(axis=0) - expected
    return np.where(np.abs(off) < 1e-9, 0, off / np.where(error > 0, error, 1e-300))


def products(first, second):
    return np.einsum("ri,rj->rij", first, second)


@pytest.fixture(params=["csv", "diabetes"])
def data(request, tmp_path):
    if request.param == "diabetes":
        return {"data": "diabetes"}
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return {"data": str(path), "target": "y"}


QUERIES = {
    "one": [(1.0, -2.0, 0.5)],
    "zero": [(0.0, 0.0, 0.0)],
    "two": [(1.0, -2.0, 0.5), (0.3, 1.0, 2.0)],
    "twice the same": [(1.0, -2.0, 0.5), (1.0, -2.0, 0.5)],
    "parallel": [(1.0, -2.0, 0.5), (-2.0, 4.0, -1.0)],
    "second zero": [(1.0, -2.0, 0.5), (0.0, 0.0, 0.0)],
}


def gaussian(problem, points, random):
    """Gaussian gradients of the moments declared: a wrong sampler that only higher moments betray."""
    h = np.diag(problem.spectrum)
    covariance = np.block([[sampled(problem, a, b) for b in points] for a in points])
    mean = np.concatenate(points @ h)
    drawn = random.multivariate_normal(mean, covariance, REPLICAS, method="eigh")
    return np.split(drawn, len(points), axis=1)


def sampled(problem, a, b):
    """Covariance of the gradients at errors a and b on one sample."""
    h = np.diag(problem.spectrum)
    return (h @ np.outer(b, a) @ h + (a @ h @ b) * h + problem.label_noise * h) / problem.batch


def fourths(gradients):
    """All products of the squares of two gradients' coordinates, and of two coordinates of each."""
    g = np.concatenate(gradients, axis=1)
    half = g.shape[1] // len(gradients)
    first, last = g[:, :half], g[:, -half:]
    squares = products(g**2, g**2).reshape(len(g), -1)
    mixed = products(first, first).reshape(len(g), -1) * products(last, last).reshape(len(g), -1)
    return np.concatenate([squares, mixed], axis=1)


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("label_noise", [0.0, 0.7])
@pytest.mark.parametrize("queries", QUERIES)
def test_regression_gradients_follow_the_law_of_inputs_drawn_one_by_one(batch, label_noise, queries):
    options = dict(spectrum=[2.0, 0.5, 0.1], batch=batch, label_noise=label_noise)
    case, points = f"{batch} {label_noise} {queries}", np.array(QUERIES[queries])
    errors = tuple(np.tile(point, (REPLICAS, 1)) for point in points)
    fast, direct = (
        problems.make("linear_regression", direct=each, **options).sample(
            errors, Draws(seed_of(f"{case} {each}"), REPLICAS, 3).at(0)
        )
        for each in (False, True)
    )
    problem = problems.make("linear_regression", **options)
    h = np.diag(problem.spectrum)
    for gradients in (fast, direct):
        for (a, g), (b, k) in itertools.product(zip(points, gradients, strict=True), repeat=2):
            mean, covariance = np.outer(h @ a, h @ b), sampled(problem, a, b)
            assert np.abs(z_scores(g, h @ a)).max() < LIMIT
            assert np.abs(z_scores(products(g, k), mean + covariance)).max() < LIMIT
            if covariance.any():
                assert np.abs(z_scores(products(g, k), mean)).max() > CONTROL
    assert np.abs(z_scores(fourths(fast) - fourths(direct), 0)).max() < LIMIT
    if points.any() or label_noise:
        wrong = gaussian(problem, points, np.random.default_rng(seed_of("gaussian" + case)))
        assert np.abs(z_scores(fourths(wrong) - fourths(direct), 0)).max() > CONTROL


@pytest.mark.parametrize("label_noise", [0.0, 0.7])
def test_the_direct_sampler_is_the_definition(label_noise):
    problem = problems.make("linear_regression", dim=3, batch=4, label_noise=label_noise, direct=True)
    draw, drawn = Draws(seed_of("definition"), 5, 3).at(1), []

    def body(sample, error):
        drawn.append((sample.normal(0), sample.number(1)))
        return (0 * drawn[-1][0],)

    errors = np.random.default_rng(seed_of("errors")).standard_normal((2, 5, 3))
    taken = problem.sample(tuple(errors), draw)
    draw.mean(4, body, (errors[0],))
    ((z, n),) = drawn
    x = z * np.sqrt(problem.spectrum)
    for g, e in zip(taken, errors, strict=True):
        residual = np.einsum("rbi,ri->rb", x, e) + label_noise**0.5 * n[..., 0]
        np.testing.assert_allclose(g, np.einsum("rbi,rb->ri", x, residual) / 4, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_errors_however_dependent_have_orthonormal_directions_or_none(dim, dtype):
    random, eps = np.random.default_rng(seed_of(f"orthonormal {dim} {dtype}")), np.finfo(dtype).eps
    first, second = random.standard_normal((2, 1000, dim))
    apart = 10.0 ** random.uniform(-9, 0, (1000, 1)) * random.integers(0, 2, (1000, 1))
    mixed = first - 2 * second + apart * random.standard_normal((1000, dim))
    vectors = [v.astype(dtype) for v in (first, second, -3 * first, first + apart * second, 0 * first, mixed)]
    directions, shares = linear_regression._orthonormal([[v] for v in vectors], total)
    q = np.stack([direction for (direction,) in directions], axis=1).astype("float64")
    inner = q @ q.transpose(0, 2, 1)
    none = np.einsum("rjj->rj", inner) == 0
    np.testing.assert_allclose(inner, np.eye(len(vectors)) * ~none[:, None, :], atol=20 * eps)
    assert none[:, 4].all()
    assert (~none).sum(axis=1).max() == min(dim, 3)  # what depends on others has no direction that rounding drew
    for v, mix in zip(vectors, shares, strict=True):
        np.testing.assert_allclose(sum(s * q[:, k] for k, s in enumerate(mix)), v, atol=50 * eps)
    once = vectors[3] - total(q[:, 0] * vectors[3]) * q[:, 0]  # one round leaves rounding along the first direction
    leftover = np.abs(total(q[:, 0] * once)) / np.sqrt(np.maximum(total(once * once), eps**4))
    assert leftover.max() > 1e3 * eps


def test_regression_in_one_dimension_has_two_queries_too():
    problem = problems.make("linear_regression", dim=1, batch=2)
    errors = (np.full((REPLICAS, 1), 1.0), np.full((REPLICAS, 1), -0.5))
    one, other = problem.sample(errors, Draws(seed_of("one dimension"), REPLICAS, 1).at(0))
    np.testing.assert_allclose(other, -0.5 * one, rtol=1e-12)
    assert np.abs(z_scores(one**2, 1 + 2 / 2)).max() < LIMIT


def declared(problem, errors, noisy=True):
    """Conditional E[g g'^T] in the eigenbasis from the problem's own moment map, at certain errors."""
    modes = problem.modes(np.array(errors))
    h = problem.spectrum
    second = np.einsum("ai,bj->abij", modes, modes) if problem.coupled else np.einsum("ai,bi->abi", modes, modes)
    mean = second * h * (h[:, None] if problem.coupled else h)
    return mean, mean + problem.noise(second, modes, noisy)


def compare(problem, case, rotate=lambda g: g, stage=0):
    errors = [problem.start, 0.5 - problem.start]
    given = tuple(np.tile(e, (REPLICAS, 1)) for e in errors)
    gradients = [rotate(g) for g in problem.sample(given, Draws(seed_of(case), REPLICAS, problem.dim).at(0, stage))]
    mean, expected = declared(problem, errors)
    worst, control = 0.0, 0.0
    for a, b in itertools.product(range(2), repeat=2):
        measured = products(gradients[a], gradients[b])
        measured = measured if problem.coupled else np.einsum("rii->ri", measured)
        worst = max(worst, np.abs(z_scores(measured, expected[a, b])).max())
        control = max(control, np.abs(z_scores(measured, mean[a, b])).max())
    return worst, control


@pytest.mark.parametrize("batch", [1, 4, 40])
def test_data_gradients_have_the_declared_moments(data, batch):
    problem = problems.make("dataset", batch=batch, **data)
    worst, control = compare(problem, f"data {data} {batch}".split("/")[-1], rotate=lambda g: g @ problem.basis)
    assert worst < LIMIT
    assert control > CONTROL


@pytest.mark.parametrize("shape", ["H", "I", [0.1, 0.2, 0.0], np.array([[2.0, 1, 0], [1, 2, 0], [0, 0, 1]])], ids=str)
def test_quadratic_gradients_have_the_declared_moments(shape):
    problem = problems.make("quadratic", spectrum=[1, 0.5, 0.1], grad_noise=0.3, noise_shape=shape, batch=2)
    worst, control = compare(problem, f"quadratic {shape}")
    assert worst < LIMIT
    assert control > CONTROL


def test_quadratic_noise_has_the_whole_covariance_given():
    covariance = np.array([[2.0, 1.5], [1.5, 2.0]])
    problem = problems.make("quadratic", spectrum=[1, 0.5], grad_noise=2, noise_shape=covariance, batch=4)
    (g,) = problem.sample((np.zeros((REPLICAS, 2)),), Draws(seed_of("covariance"), REPLICAS, 2).at(0))
    assert np.abs(z_scores(products(g, g), covariance / 2)).max() < LIMIT
    assert np.abs(z_scores(products(g, g), np.diag(np.diag(covariance)) / 2)).max() > CONTROL


def test_data_gradients_are_means_over_the_rows_drawn(data):
    problem: Any = problems.make("dataset", batch=9, **data)
    replicas, batch = 50, 9
    x, r = problem.features, problem.residuals
    draw = Draws(seed_of("rows"), replicas, problem.dim).at(3)
    errors = np.random.default_rng(seed_of("errors")).standard_normal((2, replicas, problem.dim))
    taken, drawn = problem.sample(tuple(errors), draw), []
    draw.mean(batch, lambda sample, e: (drawn.append(sample.integer(0, len(x))) or 0 * e,), (errors[0],))
    rows = np.concatenate(drawn, axis=1)[..., 0]
    for e, g in zip(errors, taken, strict=True):
        expected = [x[row].T @ (x[row] @ error - r[row]) / batch for error, row in zip(e, rows, strict=True)]
        np.testing.assert_allclose(g, expected, rtol=1e-10, atol=1e-12)


def test_data_risk_is_the_excess_of_the_mean_squared_loss(data):
    problem: Any = problems.make("dataset", **data)
    x, r = problem.features, problem.residuals
    e = np.random.default_rng(seed_of("excess")).standard_normal((4, problem.dim))
    loss = ((e @ x.T - r) ** 2).mean(axis=1) / 2
    np.testing.assert_allclose(problem.risk(e), loss - (r**2).mean() / 2, rtol=1e-10)
    np.testing.assert_allclose(x.T @ r / len(x), 0, atol=1e-12)
    np.testing.assert_allclose(((x @ problem.start + r) ** 2).mean(), 1, rtol=1e-12)  # w = 0 leaves the target itself
    np.testing.assert_allclose([x.mean(axis=0), x.std(axis=0) - 1], 0, atol=1e-12)


def test_constant_columns_are_dropped_with_a_notice(data):
    problem = problems.make("dataset", **data)
    if "target" in data:
        assert problem.dim == 2
        assert re.search(r"dropped 1 constant column: c$", problem.notices[0])
    else:
        assert problem.notices == ()
    assert "dropped 3 constant columns" in problems.make("dataset", data="digits").notices[0]


def test_dependent_features_leave_null_directions_out(tmp_path):
    random = np.random.default_rng(seed_of("dependent"))
    table = random.standard_normal((30, 3))
    np.save(tmp_path / "table.npy", np.column_stack([table, table[:, 0] - 2 * table[:, 1]]))
    problem: Any = problems.make("dataset", data=str(tmp_path / "table.npy"), target="2")
    assert (problem.dim, problem.spectrum.size, problem.basis.shape) == (3, 2, (3, 2))
    e = random.standard_normal((5, 3))
    np.testing.assert_allclose(problem.risk(e), ((e @ problem.features.T) ** 2).mean(axis=1) / 2, rtol=1e-10)


def test_float32_errors_give_float32_gradients(data):
    for problem in (problems.make("dataset", **data), problems.make("linear_regression"), problems.make("quadratic")):
        errors = np.ones((3, problem.dim), dtype=np.float32)
        for queries in ((errors,), (errors, 2 * errors)):
            for g in problem.sample(queries, Draws(1, 3, problem.dim, dtype="float32").at(0)):
                assert g.dtype == np.float32
        assert problem.risk(errors).dtype == np.float32


@pytest.mark.parametrize(
    ("given", "dim", "expected"),
    [
        ("power:1.5", 3, [1, 2**-1.5, 3**-1.5]),
        ("geometric:1e3", 4, [1, 0.1, 0.01, 0.001]),
        ("geometric:10", 1, [1]),
        ([2.0, 1.0], None, [2, 1]),
    ],
)
def test_spectra_are_what_they_say(given, dim, expected):
    np.testing.assert_allclose(spectra.spectrum(given, dim), expected, rtol=1e-14)


def test_spectra_and_initial_errors_are_read_from_files(tmp_path):
    path = tmp_path / "values.npy"
    np.save(path, [3.0, 1.0])
    assert spectra.spectrum(f"file:{path}").tolist() == [3, 1]
    problem = problems.make("linear_regression", spectrum=f"file:{path}", init=f"file:{path}")
    assert problem.start.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(spectrum="powr:1"), "did you mean 'power'.*geometric:1e3"),
        (dict(spectrum="power"), "possible: power:1.5"),
        (dict(spectrum="power:x"), "finite number after the colon"),
        (dict(spectrum="power:nan"), "finite number after the colon"),
        (dict(spectrum="power:1e9"), "must be positive"),
        (dict(spectrum="geometric:0.1"), "at least 1"),
        (dict(spectrum="file:none.npy"), "cannot read spectrum from none.npy"),
        (dict(spectrum=[1, 0]), "must be positive"),
        (dict(spectrum=[1, np.nan]), "NaN"),
        (dict(spectrum=[]), "empty"),
        (dict(spectrum=["a"]), "real numbers"),
        (dict(spectrum=[1, 2], dim=3), r"shape \(2,\).*\(3,\)"),
        (dict(spectrum=np.eye(2)), r"shape \(2, 2\)"),
        (dict(dim=0), "dimension must be a whole number of at least 1, not 0"),
        (dict(dim=2.5), "whole number"),
        (dict(batch=0), "batch size must be a whole number of at least 1, not 0"),
        (dict(batch=float("nan")), "whole number"),
        (dict(batch=True), "whole number"),
        (dict(label_noise=-1.0), "label noise must be a finite variance"),
        (dict(label_noise=float("inf")), "label noise"),
        (dict(init="twos"), "did you mean 'ones'"),
        (dict(init=[np.inf] * 12), "NaN or infinite"),
        (dict(init="ones:3"), "possible: ones"),
        (dict(direct=1), "direct must be true or false, not 1"),
        (
            dict(grad_noise=1.0),
            "linear_regression has no grad_noise; it has batch, dim, direct, init, label_noise, spectrum",
        ),
        (dict(data="diabetes"), "linear_regression has no data"),
    ],
)
def test_unusable_options_are_refused_in_one_line(options, message):
    with pytest.raises(InputError, match=message) as caught:
        problems.make("linear_regression", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("G", "cannot read noise shape"),
        ([1.0, 2.0], r"shape \(2,\): it must be \(12,\) or \(12, 12\)"),
        ([-1.0] * 12, "no covariance"),
        (np.triu(np.ones((12, 12))), "symmetric"),
        (1 - 2 * np.eye(12), "no covariance"),
    ],
    ids=str,
)
def test_unusable_noise_shapes_are_refused(shape, message):
    with pytest.raises(InputError, match=message):
        problems.make("quadratic", noise_shape=shape)


def test_unknown_problems_are_told_the_nearest():
    with pytest.raises(InputError, match="did you mean 'linear_regression'"):
        problems.find("linear_regresion")
    assert set(problems.known()) == {"dataset", "independent", "linear_regression", "one_hot", "plrf", "quadratic"}


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", "y", "is empty"),
        ("\n \n", "y", "is empty"),
        ("a,y\n", "y", "has a header and no rows"),
        ("a,y\n1,2\n", "y", "has one row"),
        ("a,y\n1,2\n3\n", "y", "line 3: 1 columns where the first line has 2"),
        ("a,y\n1,2\n3,x\n", "y", "line 3, column y: 'x' is not a number"),
        ("a,y\n1,2\n,3\n", "y", "line 3, column a: missing value; .* with --drop a"),
        (
            "c,b,y\nred,2,1\nblue,3,2\n",
            "y",
            "line 2, column c: 'red' is not a number; code categories .* with --drop c",
        ),
        ("a;y\n1.234,5;3\n4;5\n", "y", "line 2, column a: .* without separators of thousands"),
        ("made by hand\na,b,y\n1,2,3\n4,5,6\n", "y", "line 1: 1 columns where line 2 has 3; --skip-lines"),
        ("a,y\n1,2\nNaN,3\n", "y", "line 3, column a: missing value"),
        ("a,y\n1,2\ninf,3\n", "y", "line 3, column a: inf is not finite"),
        ("a,y\n1,2\n3,4\n", "z", "unknown target column of .* 'z'"),
        ("a,y\n1,2\n3,4\n", None, "needs a target column: give its name"),
        ("1,2\n3,4\n", "y", "has no header: give the target column's number"),
        ("1,2\n3,4\n", "2", "no column 2: its columns count from 0 to 1"),
        ("1,2\n3,4\n", "-1", "no column -1"),
        ("y,y\n1,2\n3,4\n", "y", "2 columns named 'y'"),
        ("a,y\n1,2\n3,2\n", "y", "target column of .* is constant"),
        ("a,y\n1,2\n1,3\n", "y", "no feature that varies"),
        ("y\n1\n2\n", "y", "no feature that varies"),
    ],
)
def test_unusable_tables_are_refused_in_one_line(tmp_path, text, target, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        problems.make("dataset", data=str(path), target=target)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones(3), r"shape \(3,\): a table has rows and columns"),
        (np.array([[1.0, np.nan], [2, 3]]), "NaN"),
        (np.array([["a", "b"]]), "real numbers"),
        (np.empty((0, 2)), "empty"),
    ],
    ids=["vector", "nan", "text", "empty"],
)
def test_unusable_arrays_are_refused(tmp_path, values, message):
    np.save(tmp_path / "table.npy", values)
    with pytest.raises(InputError, match=message):
        problems.make("dataset", data=str(tmp_path / "table.npy"), target=0)


def test_data_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"give a file, as CSV or \.npy, or one of .* diabetes"):
        problems.make("dataset", data="diabets", target="y")
    (tmp_path / "table.csv").write_bytes(b"a,y\n1,2\n\x00,3\n")
    with pytest.raises(InputError, match="as CSV"):
        problems.make("dataset", data=str(tmp_path / "table.csv"), target="y")
    with pytest.raises(InputError, match="brings its own target"):
        problems.make("dataset", data="diabetes", target="y")
    with pytest.raises(InputError, match="needs data"):
        problems.make("dataset")


def test_data_without_scikit_learn_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match=r"pip install 'accelsim\[data\]'"):
        problems.make("dataset", data="diabetes")


ROWS = [[1.5, 2.0, 3.0], [2.5, 3.0, 4.5], [4.0, -1.0, 0.25]]


def text_of(separator, comma=False, header="a b y", index=None, end="\n"):
    cells = [[repr(value) for value in row] for row in ROWS]
    if index is not None:
        cells = [[name, *row] for name, row in zip(index, cells, strict=True)]
    lines = [header.split(), *cells] if header else cells
    text = end.join(separator.join(line) for line in lines) + end
    return text.replace(".", ",") if comma else text


FORMS = {
    "commas": text_of(","),
    "no header": text_of(",", header=""),
    "Windows": text_of(",", end="\r\n"),
    "semicolons": text_of(";"),
    "decimal commas": text_of(";", comma=True),
    "decimal commas and tabs": text_of("\t", comma=True),
    "blanks": text_of("  "),
    "bars": text_of("|"),
    "quotes": text_of(",").replace("a,", '"a",').replace("4.0", '"4.0"'),
    "UTF-16": text_of(",").encode("utf-16"),
    "a mark of UTF-8": text_of(",").encode("utf-8-sig"),
    "gzip": gzip.compress(text_of(",").encode()),
    "rows that are named": text_of(",", header="a b y", index=("one", "two", "three")),
    "rows that are numbered": text_of(",", header="id a b y", index=("0", "1", "2")),
    "rows that are numbered from 1": text_of(",", header="id a b y", index=("1", "2", "3")),
    "counts of rows and features": "3,2,yes,no\n" + text_of(",", header=""),
}
INDEX = [form for form in FORMS if form.startswith("rows")]


@pytest.mark.parametrize("form", FORMS)
def test_a_table_is_the_same_in_every_form(tmp_path, form):
    path = tmp_path / "table"
    path.write_bytes(FORMS[form] if isinstance(FORMS[form], bytes) else FORMS[form].encode())
    numbered = form in ("no header", "counts of rows and features")
    read = tables.read(str(path), "2" if numbered else "y")
    np.testing.assert_array_equal(np.column_stack([read.features, read.target]), ROWS)
    assert read.names == (["0", "1"] if numbered else ["a", "b"])
    assert any("an index, and no feature" in notice for notice in read.notices) is (form in INDEX)


def test_a_first_column_that_does_not_count_the_rows_is_a_feature(tmp_path):
    (tmp_path / "table.csv").write_text(text_of(",", header="id a b y", index=("0", "1", "3")))
    read = tables.read(str(tmp_path / "table.csv"), "y")
    assert (read.names, read.notices) == (["id", "a", "b"], ())


def test_columns_and_lines_are_left_out_whatever_is_in_them(tmp_path):
    text = "# by hand\n" + text_of(",", header="kind a b y", index=("red", "blue, or so", "red")).replace(
        "blue, or so", '"blue, or so"'
    )
    (tmp_path / "table.csv").write_text(text)
    read = tables.read(str(tmp_path / "table.csv"), "y", ["kind", "2"], 1)
    assert read.names == ["a"]
    np.testing.assert_array_equal(read.features[:, 0], np.array(ROWS)[:, 0])
    with pytest.raises(InputError, match="line 3, column kind: 'red' is not a number"):
        tables.read(str(tmp_path / "table.csv"), "y", ["2"], 1)


def test_rows_of_another_length_are_noticed_where_a_column_is_left_out(tmp_path):
    (tmp_path / "table.csv").write_text("a,b,y\n1,2,3\n4,5,9,8\n4,5,9\n")
    with pytest.raises(InputError, match="line 3: 4 columns where the first line has 3"):
        tables.read(str(tmp_path / "table.csv"), "y", "a")


def test_arrays_data_frames_and_parquet_are_the_same_problem_as_their_file(tmp_path):
    (tmp_path / "table.csv").write_text(text_of(","))
    spectrum = problems.make("dataset", data=str(tmp_path / "table.csv"), target="y").spectrum
    np.testing.assert_array_equal(problems.make("dataset", data=np.array(ROWS), target=2).spectrum, spectrum)
    import pandas

    frame = pandas.DataFrame(ROWS, columns=["a", "b", "y"]).assign(kind="red")
    np.testing.assert_array_equal(problems.make("dataset", data=frame, target="y", drop=["kind"]).spectrum, spectrum)
    with pytest.raises(InputError, match=r"column kind: its values are no numbers; .* with --drop kind"):
        problems.make("dataset", data=frame, target="y")
    stored = tmp_path / "table.parquet"
    frame.to_parquet(stored)
    np.testing.assert_array_equal(
        problems.make("dataset", data=str(stored), target="y", drop=["kind"]).spectrum, spectrum
    )
    stored.write_bytes(stored.read_bytes()[:40])
    with pytest.raises(InputError, match=r"cannot read .* as Parquet"):
        problems.make("dataset", data=str(stored), target="y")


@pytest.mark.parametrize("name", sorted(tables.BUNDLED))
def test_tables_of_scikit_learn_are_known_by_name_and_their_files_are_read(name):
    from sklearn import datasets

    target = "Weight" if name == "linnerud" else None
    read = tables.read(name, target)
    assert read.features.shape == (len(read.target), len(read.names))
    folder = Path(datasets.__file__).parent / "data"
    for path in [path for path in folder.glob("*.csv*") if path.name.startswith(name) and "target" not in path.name]:
        assert len(tables.read(path, 0).target) == len(read.target)


def test_a_large_table_is_read_in_compiled_code(tmp_path, monkeypatch):
    rows = np.arange(3000.0).reshape(-1, 3) ** 2
    np.savetxt(tmp_path / "table.csv", rows, delimiter=",", header="a,b,y", comments="")
    monkeypatch.setattr(tables._Body, "_row", lambda *_: pytest.fail("cell by cell"))
    np.testing.assert_array_equal(tables.read(tmp_path / "table.csv", "y").features, rows[:, :2])


@pytest.mark.numeric
@pytest.mark.parametrize("rows", [5, 511, 512, 513, 1300])
@pytest.mark.parametrize("queries", [1, 2])
def test_noise_on_a_table_is_what_its_rows_have_one_by_one(rows, queries):
    """Of second moments as runs have them, and of any symmetric ones, as a search for a rate asks for."""
    draw = np.random.default_rng(seed_of(f"noise on {rows} rows, {queries} queries"))
    table = draw.standard_normal((rows, 4)) @ draw.standard_normal((4, 4))
    problem: Any = problems.make("dataset", data=table, target=3, batch=3)
    features, m = problem._rotated, problem.spectrum.size
    mean = draw.standard_normal((queries, m))
    spread = draw.standard_normal((queries * m, queries * m))
    for kind in ("of a run", "any"):
        around = spread @ spread.T if kind == "of a run" else spread + spread.T
        second = around.reshape(queries, m, queries, m).transpose(0, 2, 1, 3)
        if kind == "of a run":
            second = second + mean[:, None, :, None] * mean[None, :, None, :]
        for noisy in (False, True):
            expected = np.zeros_like(second)
            for x, r in zip(features, problem.residuals, strict=True):
                for p, q in itertools.product(range(queries), repeat=2):
                    weight = x @ second[p, q] @ x
                    if noisy:  # E (x'a - r)(x'b - r)
                        weight += r * r - r * (x @ mean[p]) - r * (x @ mean[q])
                    expected[p, q] += weight * np.outer(x, x) / rows
            expected = (expected - problem.spectrum[:, None] * second * problem.spectrum) / problem.batch
            found = problem.noise(second, mean, noisy)
            size = problem.noise_size(np.abs(second), 0.0).max() + (problem.residuals**2).max()
            assert np.abs(found - expected).max() < 1e-13 * size, (kind, noisy)
            assert (
                np.abs(found + problem.spectrum[:, None] * second * problem.spectrum / 3 - expected).max() > 1e-6 * size
            )
