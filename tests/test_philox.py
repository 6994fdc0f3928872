"""Random numbers are Philox's, follow their laws, and each depends on what it is for and on nothing else."""

import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import seed_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from accelsim.errors import InputError
from accelsim.problems._sampling import at, pick
from accelsim.simulation import normals, philox
from accelsim.simulation.philox import Draws

LIMIT = 4.5  # standard errors
WORDS = 2**32 - 1

KNOWN = [  # Random123, kat_vectors, philox4x32 10
    ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((WORDS,) * 4, 2**64 - 1, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        0x299F31D0A4093822,
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def counters(*words):
    return tuple(np.array([word], dtype="uint64") for word in words)


@pytest.mark.parametrize(("counter", "seed", "answer"), KNOWN)
def test_known_answers(counter, seed, answer):
    assert tuple(int(word[0]) for word in philox.philox(counters(*counter), seed)) == answer
    assert tuple(int(word[0]) for word in philox.philox(counters(*counter), seed ^ 1)) != answer


def test_known_answers_within_broadcast_arrays():
    tables = [np.array([counter[k] for counter, _, _ in KNOWN], dtype="uint64") for k in range(4)]
    shaped = (tables[0][:, None, None], tables[1][None, :, None], tables[2][None, None, :], tables[3][None, None, :1])
    words = philox.philox(shaped, KNOWN[0][1])
    assert all(word.shape == (3, 3, 3) for word in words)
    assert tuple(int(word[0, 0, 0]) for word in words) == KNOWN[0][2]
    single = philox.philox(counters(KNOWN[2][0][0], KNOWN[1][0][1], KNOWN[2][0][2], 0), 0)
    assert [int(word[2, 1, 2]) for word in words] == [int(word[0]) for word in single]


def block(seed, number, step, replica, stage, stream, attempt=0):
    """The words of one block in plain whole numbers: the contract, written a second time."""
    c = [number, step, replica, stage * 2**24 + stream * 2**16 + attempt]
    k = [seed % 2**32, seed // 2**32]
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [q // 2**32 ^ c[1] ^ k[0], q % 2**32, p // 2**32 ^ c[3] ^ k[1], p % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def uniform(w):
    return ((w[0] * 2**32 + w[1]) // 2**11 + 1) / 2**53


def pair(u, turn, signs):
    """Two normals by Box and Muller on a quarter of the circle: `turn` in [-1, 1] of it, a sign from either bit."""
    radius, angle = math.sqrt(-2 * math.log(u)), math.pi / 4 * (1 + turn)
    return [radius * math.cos(angle) * (-1) ** (signs & 1), radius * math.sin(angle) * (-1) ** (signs >> 1 & 1)]


def signed(whole, bits):
    return whole - 2**bits if whole >> (bits - 1) else whole


def normals64(w):
    whole = w[2] * 2**32 + w[3]
    return pair(uniform(w), (signed(whole, 64) >> 11) / 2**52, whole)


def normals32(w):
    single = np.float32
    u = [single(a) * single(2**-32) + single(2**-33) for a in w[::2]]
    turns = [single(signed(b, 32)) * single(2**-31) for b in w[1::2]]
    return [z for k in (0, 1) for z in pair(float(u[k]), float(turns[k]), w[2 * k + 1])]


def chi_square(seed, dof, *place):
    if dof == 1:
        return normals64(block(seed, 0, *place))[0] ** 2
    d = dof / 2 - 1 / 3
    for attempt in range(100):
        z = normals64(block(seed, 0, *place, attempt=attempt))[0]
        v = (1 + z / math.sqrt(9 * d)) ** 3
        u = uniform(block(seed, 1, *place, attempt=attempt))
        if v > 0 and math.log(u) < z * z / 2 + d * (1 - v + math.log(v)):
            return 2 * d * v
    raise AssertionError


def three_point(word, chance):
    return (1 - 2 * (word % 2)) * (word < chance * 2**32) * chance**-0.5


MADE = {"float64": normals64, "float32": normals32}  # of a block
THREE_WORDS = {"float64": lambda w: w[::2], "float32": lambda w: w}
NEAR = {"float64": dict(rtol=1e-14, atol=1e-15), "float32": dict(rtol=1e-6, atol=1e-6)}
PLACES = dict(
    seed=st.integers(0, 2**64 - 1),
    step=st.integers(0, 2**32 - 1),
    replica=st.integers(0, 2**32 - 4),
    stage=st.integers(0, 255),
    stream=st.integers(0, 255),
    dim=st.integers(1, 9),
)


@pytest.mark.parametrize("dtype", MADE)
@settings(deadline=None, derandomize=True, max_examples=40)
@given(**PLACES, dof=st.integers(1, 9), index=st.integers(0, 5))
def test_numbers_are_those_of_the_contract(dtype, seed, step, replica, stage, stream, dim, dof, index):
    draw = Draws(seed, 3, dim, first=replica, dtype=dtype).at(step, stage)
    chance = np.linspace(0.3, 1, dim)
    found, number, chi = draw.normal(stream), draw.number(stream, index), draw.chi_square(stream, dof)
    three = draw.three_point(stream, chance)
    assert {values.dtype for values in (found, number, chi, three)} == {np.dtype(dtype)}
    for row in range(3):
        place = (step, replica + row, stage, stream)
        words = [block(seed, k, *place) for k in range(dim)]
        expected = [z for w in words for z in MADE[dtype](w)][:dim]
        np.testing.assert_allclose(found[row], expected, **NEAR[dtype])
        np.testing.assert_allclose(number[row], MADE[dtype](block(seed, index, *place))[:1], **NEAR[dtype])
        exact = np.array([chi_square(seed, dof, *place)])
        np.testing.assert_allclose(chi[row], exact.astype(dtype), rtol=1e-13 if dtype == "float64" else 1e-7)
        points = [word for w in words for word in THREE_WORDS[dtype](w)][:dim]
        exact = np.array(list(map(three_point, points, chance)))
        np.testing.assert_allclose(three[row], exact.astype(dtype), rtol=1e-15 if dtype == "float64" else 1e-7)


def drawn(draw, batch, *functions):
    """What functions of a sample's draw give, (replicas, samples, size) each, through the mean over a batch."""
    seen = [[] for _ in functions]

    def body(sample, error):
        for values, function in zip(seen, functions, strict=True):
            values.append(function(sample))
        return (0 * error + np.zeros((1, len(sample.samples), 1), error.dtype),)

    draw.mean(batch, body, (np.zeros((draw.draws.replicas, draw.draws.dim), draw.draws.dtype),))
    return [np.concatenate(values, axis=1) for values in seen]


@pytest.mark.parametrize("dtype", MADE)
@settings(deadline=None, derandomize=True, max_examples=40)
@given(**PLACES, high=st.integers(1, 2**32), batch=st.integers(1, 7), tile=st.sampled_from([1, 2**14]))
def test_numbers_of_samples_are_those_of_the_contract(
    dtype, seed, step, replica, stage, stream, dim, high, batch, tile
):
    draw = Draws(seed, 3, dim, first=replica, dtype=dtype, tile=tile).at(step, stage)
    chance, below = np.array([[[0.7]]]), np.array([0.2, 0.3, 0.9]) * 2**32
    vectors, numbers, integers, three, places = drawn(
        draw,
        batch,
        lambda sample: sample.normal(stream),
        lambda sample: sample.number(stream),
        lambda sample: sample.integer(stream, high),
        lambda sample: sample.three_point(stream, chance),
        lambda sample: sample.place(stream, below),
    )
    width = -(-dim // len(MADE[dtype](block(0, 0, 0, 0, 0, 0))))
    for row in range(3):
        place = (step, replica + row, stage, stream)
        for b in range(batch):
            expected = [z for k in range(width) for z in MADE[dtype](block(seed, b * width + k, *place))][:dim]
            np.testing.assert_allclose(vectors[row, b], expected, **NEAR[dtype])
            w = block(seed, b, *place)
            np.testing.assert_allclose(numbers[row, b], MADE[dtype](w)[:1], **NEAR[dtype])
            assert integers[row, b].tolist() == [(w[0] * 2**32 + w[1]) * high // 2**64]
            np.testing.assert_allclose(three[row, b], three_point(w[0], 0.7), rtol=1e-6)
            assert places[row, b] == sum(w[0] >= level for level in below)


def test_a_batch_has_no_more_samples_than_blocks_can_be_counted():
    draw, last = Draws(3, 1, 5).at(0), 2**32 // 3 - 1
    z = replace(draw, samples=range(last, last + 1)).normal(0)
    expected = [z for k in range(3) for z in normals64(block(3, 3 * last + k, 0, 0, 0, 0))][:5]
    np.testing.assert_allclose(z[0, 0], expected, **NEAR["float64"])
    with pytest.raises(InputError, match=f"a batch in 5 dimensions must have at most {last + 1} samples"):
        replace(draw, samples=range(last + 1, last + 2)).normal(0)


@pytest.mark.parametrize("dtype", MADE)
def test_elementary_functions_agree_with_the_mathematics_library(dtype):
    bits = np.finfo(dtype).nmant + 1
    smallest = {"float64": 53, "float32": 33}[dtype]
    near = [np.linspace(2.0**-bits, 1, 10**5), 2.0 ** -np.arange(smallest + 1), 1 - 2.0 ** -np.arange(1, bits + 1)]
    u = np.concatenate(near).astype(dtype)
    exact = np.log(u.astype(np.longdouble))
    spacing = np.spacing(np.where(exact == 0, 1, np.abs(exact)).astype(dtype))
    assert (np.abs(normals.log(u) - exact) / spacing).max() <= 3
    b = np.linspace(-math.pi / 4, math.pi / 4, 10**5).astype(dtype)
    rtol = {"float64": 5e-16, "float32": 1.5e-7}[dtype]
    np.testing.assert_allclose(normals.sine(b), np.sin(b.astype(np.longdouble)).astype(float), rtol=rtol)
    np.testing.assert_allclose(normals.cosine(b), np.cos(b.astype(np.longdouble)).astype(float), rtol=rtol)


def test_coefficients_are_numbers_of_their_precision():
    for p in normals.PRECISIONS.values():
        for c in (*p.log, *p.sine, *p.cosine):
            assert float(np.dtype(p.name).type(c)) == c


def kinds(draw, dim=4, batch=3):
    samples = drawn(draw, batch, lambda sample: sample.normal(1), lambda sample: sample.integer(3, 1000))
    return {
        "normal": draw.normal(1),
        "number": draw.number(4, 2),
        "chi_square": draw.chi_square(2, 5),
        "three_point": draw.three_point(5, np.full(dim, 0.3)),
        **dict(zip(("samples", "integers"), samples, strict=True)),
    }


def assert_same(found, expected):
    for kind, values in expected.items():
        np.testing.assert_array_equal(found[kind], values, err_msg=kind)


DTYPES = [*MADE]


def reference(dtype, dim=4):
    return Draws(7, 9, dim, dtype=dtype)


REFERENCE = {
    (dtype, step, stage): kinds(reference(dtype).at(step, stage))
    for dtype in DTYPES
    for step in range(12)
    for stage in range(2)
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tile", [1, 16, 64, 2**14])
def test_a_number_does_not_depend_on_how_many_are_made_at_once(tile, dtype):
    draws = Draws(7, 9, 4, dtype=dtype, tile=tile)
    for (kind, step, stage), expected in REFERENCE.items():
        if kind == dtype:
            assert_same(kinds(draws.at(step, stage)), expected)


def test_a_number_does_not_depend_on_the_order_of_steps():
    draws = {dtype: reference(dtype) for dtype in DTYPES}
    for (dtype, step, stage), expected in [*reversed(REFERENCE.items()), *list(REFERENCE.items())[::3]]:
        assert_same(kinds(draws[dtype].at(step, stage)), expected)


def test_a_number_does_not_depend_on_the_other_replicas():
    few = {dtype: Draws(7, 2, 4, dtype=dtype) for dtype in DTYPES}
    later = {dtype: Draws(7, 3, 4, first=4, dtype=dtype) for dtype in DTYPES}
    for (dtype, step, stage), expected in REFERENCE.items():
        assert_same(kinds(few[dtype].at(step, stage)), {kind: values[:2] for kind, values in expected.items()})
        assert_same(kinds(later[dtype].at(step, stage)), {kind: values[4:7] for kind, values in expected.items()})


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_number_is_another_for_another_purpose(dtype):
    first = reference(dtype).at(3, 1).normal(1)
    others = [
        Draws(8, 9, 4, dtype=dtype).at(3, 1).normal(1),
        Draws(7 + 2**32, 9, 4, dtype=dtype).at(3, 1).normal(1),
        Draws(7, 9, 4, first=9, dtype=dtype).at(3, 1).normal(1),
        reference(dtype).at(4, 1).normal(1),
        reference(dtype).at(3, 0).normal(1),
        reference(dtype).at(3, 1).normal(2),
        drawn(reference(dtype).at(3, 1), 2, lambda sample: sample.normal(1))[0][:, 1],
    ]
    np.testing.assert_array_equal(reference(dtype).at(3, 1).normal(1), first)
    assert not any(np.intersect1d(other, first).size for other in others)


def test_what_is_handed_out_may_be_changed():
    draws = reference("float32")
    for step in (0, 1, 2, 2, 3, 3):
        values = draws.at(step).normal(1)
        np.testing.assert_array_equal(values, REFERENCE["float32", step, 0]["normal"])
        values *= 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tile", [1, 2**5, 2**14])
def test_a_mean_over_a_batch_is_the_sum_in_the_order_of_samples(tile, dtype):
    draw, batch = Draws(5, 6, 3, dtype=dtype, tile=tile).at(2), 11

    def body(sample, a, b):
        x = sample.normal(0)
        return x * a, at(sample.integer(1, 3), sample.number(2) + pick(b, sample.integer(1, 3)), 3)

    a, b = Draws(6, 6, 3, dtype=dtype).at(0).normal(0), np.arange(18).reshape(6, 3).astype(dtype)
    dense, sparse = draw.mean(batch, body, (a, b))
    x, place, value = drawn(
        draw,
        batch,
        lambda sample: sample.normal(0),
        lambda sample: sample.integer(1, 3),
        lambda sample: sample.number(2),
    )
    expected, entries = np.zeros((2, 6, 3), dtype)
    for k in range(batch):
        expected += x[:, k] * a
        for row, column in enumerate(place[:, k, 0]):
            entries[row, column] += value[row, k, 0] + b[row, column]
    np.testing.assert_array_equal(dense, expected / batch)
    np.testing.assert_array_equal(sparse, entries / batch)


# -- laws --------------------------------------------------------------------------------------------------------------

SIZE = 1024, 512  # replicas, coordinates
ALPHA = 1e-5  # some 50 p-values here


def sample_of(name, dtype):
    return Draws(seed_of(f"{name} {dtype}"), *SIZE, dtype=dtype).at(5).normal(0)


def moment(power):
    """E z^power of a standard normal."""
    return 0 if power % 2 else math.prod(range(1, power, 2))


def moment_score(z, power):
    spread = math.sqrt((moment(2 * power) - moment(power) ** 2) / z.size)
    return abs(np.mean(z.astype("float64") ** power) - moment(power)) / spread


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("power", range(1, 9))
def test_moments_of_normals(power, dtype):
    z = sample_of(f"moment {power}", dtype)
    assert moment_score(z, power) < LIMIT
    spoiled = z + 0.05 if power % 2 else 1.05 * z
    assert moment_score(spoiled, power) > LIMIT


@pytest.mark.parametrize("dtype", DTYPES)
def test_normals_are_normal(dtype):
    z = sample_of("distribution", dtype).ravel()
    assert stats.kstest(z, "norm").pvalue > ALPHA
    assert stats.kstest(1.02 * z, "norm").pvalue < ALPHA


def signs_pvalue(z):
    """Of all signs of four coordinates in a row being as likely."""
    patterns = (z.reshape(-1, 4) > 0) @ (1, 2, 4, 8)
    return stats.chisquare(np.bincount(patterns, minlength=16)).pvalue


@pytest.mark.parametrize("dtype", DTYPES)
def test_normals_are_symmetric(dtype):
    z = sample_of("symmetry", dtype)
    assert signs_pvalue(z) > ALPHA
    assert stats.ks_2samp(z[z > 0], -z[z < 0]).pvalue > ALPHA
    assert signs_pvalue(np.where(z < -2, -z, z)) < ALPHA
    tilted = z + 0.01 * z * z
    assert stats.ks_2samp(tilted[tilted > 0], -tilted[tilted < 0]).pvalue < ALPHA


TAILS = (4.0, 5.0, 5.5)
SPOILED = 2**20


def beyond(name, dtype, size):
    """How many of `size` normals lie beyond each of the tails."""
    draws, counts = Draws(seed_of(f"{name} {dtype}"), 64, 2**14, dtype=dtype), np.zeros(len(TAILS), int)
    for step in range(size // 2**20):
        z = draws.at(step).normal(0)
        far = np.abs(z[(z > TAILS[0]) | (z < -TAILS[0])])
        counts += [(far > level).sum() for level in TAILS]
    return counts


def tail_pvalues(counts, size):
    chances = 2 * stats.norm.sf(TAILS)
    return [stats.binomtest(int(k), size, p).pvalue for k, p in zip(counts, chances, strict=True)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_tails_of_normals(dtype):
    size = 2**26
    assert min(tail_pvalues(beyond("tails", dtype, size), size)) > ALPHA


@pytest.mark.parametrize("dtype", DTYPES)
def test_eight_bits_of_radius_have_no_tails(dtype, monkeypatch):
    def mutilated(counter, seed, xp, made=philox.philox):
        w = made(counter, seed, xp)
        return w[0] | 0xFFFFFF, w[1], w[2] | (0xFFFFFF if dtype == "float32" else 0), w[3]

    monkeypatch.setattr(philox, "philox", mutilated)
    assert min(tail_pvalues(beyond("no tails", dtype, SPOILED), SPOILED)) < ALPHA


def correlation_score(a, b):
    a, b = (x.astype("float64") - x.mean(dtype="float64") for x in (a, b))
    return abs((a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum())) * math.sqrt(a.size)


NEIGHBORS = {
    "next coordinate": lambda z, draws: (z[:, :-1], z[:, 1:]),
    "coordinate after the next": lambda z, draws: (z[:, :-2], z[:, 2:]),
    "three coordinates on": lambda z, draws: (z[:, :-3], z[:, 3:]),
    "next block": lambda z, draws: (z[:, :-4], z[:, 4:]),
    "next replica": lambda z, draws: (z[:-1], z[1:]),
    "next step": lambda z, draws: (z, draws.at(6).normal(0)),
    "next stage": lambda z, draws: (z, draws.at(5, 1).normal(0)),
    "next stream": lambda z, draws: (z, draws.at(5).normal(1)),
    "next seed": lambda z, draws: (z, Draws(draws.seed + 1, *SIZE, dtype=draws.dtype).at(5).normal(0)),
}
COUNTER = {"next block": 0, "next step": 1, "next replica": 2, "next stage": 3, "next stream": 3}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("neighbor", NEIGHBORS)
def test_neighbors_are_uncorrelated(neighbor, dtype):
    draws = Draws(seed_of(f"{neighbor} {dtype}"), *SIZE, dtype=dtype)
    a, b = NEIGHBORS[neighbor](draws.at(5).normal(0), draws)
    for function in (np.positive, np.square, np.sign):
        assert correlation_score(function(a), function(b)) < LIMIT
        assert correlation_score(function(a), function(b + 0.2 * a)) > LIMIT


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("neighbor", COUNTER)
def test_neighbors_that_share_a_counter_are_correlated(neighbor, dtype, monkeypatch):
    def sharing(counter, seed, xp, made=philox.philox):
        counter = [0 * word if k == COUNTER[neighbor] else word for k, word in enumerate(counter)]
        return made(tuple(counter), seed, xp)

    monkeypatch.setattr(philox, "philox", sharing)
    draws = Draws(seed_of(f"sharing {neighbor} {dtype}"), *SIZE, dtype=dtype)
    a, b = NEIGHBORS[neighbor](draws.at(5).normal(0), draws)
    assert correlation_score(a, b) > LIMIT
    assert correlation_score(a * a, b * b) > LIMIT


DOFS = (1, 2, 3, 7, 64, 4096)


@pytest.mark.parametrize("dof", DOFS)
def test_chi_squares_follow_their_law(dof):
    draws = Draws(seed_of(f"chi square {dof}"), 4096, 1)
    x = np.concatenate([draws.at(step).chi_square(0, dof) for step in range(16)]).ravel()
    assert abs(x.mean() - dof) / math.sqrt(2 * dof / x.size) < LIMIT
    variance_of_square = dof * (12 * dof + 48) - 4 * dof**2
    assert abs(np.mean((x - dof) ** 2) - 2 * dof) / math.sqrt(variance_of_square / x.size) < LIMIT
    assert stats.kstest(x, "chi2", args=(dof,)).pvalue > ALPHA
    assert stats.kstest(x, "chi2", args=(dof + 0.1 * math.sqrt(dof),)).pvalue < ALPHA


def samples_of(name, function):
    """Numbers of samples, 4096 replicas by a batch of 64."""
    return drawn(Draws(seed_of(name), 4096, 1).at(2), 64, function)[0].ravel()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("chance", [1.0, 0.5, 0.01])
def test_three_points_have_their_chances(chance, dtype):
    x = Draws(seed_of(f"three {chance} {dtype}"), *SIZE, dtype=dtype).at(0).three_point(0, np.full(SIZE[1], chance))
    assert set(np.unique(np.abs(x))) == set(np.array([0, 1 / chance**0.5] if chance < 1 else [1], dtype))
    counts = np.array([(x < 0).sum(), (x > 0).sum(), (x == 0).sum()])
    outcomes = 3 if chance < 1 else 2

    def pvalue(tilt):
        chances = np.array([chance / 2 + tilt, chance / 2 - tilt, 1 - chance])
        return stats.chisquare(counts[:outcomes], x.size * chances[:outcomes]).pvalue

    assert pvalue(0) > ALPHA
    assert pvalue(0.01 * chance**0.5) < ALPHA


@pytest.mark.parametrize("high", [2, 7, 1000])
def test_integers_are_uniform(high):
    found = samples_of(f"integers {high}", lambda sample: sample.integer(0, high))
    assert found.min() == 0
    assert found.max() == high - 1
    assert stats.chisquare(np.bincount(found)).pvalue > ALPHA
    skewed = np.where(found == high - 1, 0, found)
    assert stats.chisquare(np.bincount(skewed, minlength=high)).pvalue < ALPHA


def test_integers_below_the_largest_bound_use_its_whole_range():
    found = samples_of("largest", lambda sample: sample.integer(0, 2**32))
    assert stats.kstest(found / 2**32, "uniform").pvalue > ALPHA
    assert found.max() >= 2**32 - 2**20
