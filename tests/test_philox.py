"""Random numbers are Philox's, follow their laws, and each depends on what it is for and on nothing else."""

import math

import numpy as np
import pytest
from conftest import seed_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from accelsim.simulation import philox
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


def block(seed, coordinate, step, replica, stage, stream, attempt=0):
    """One block in plain whole numbers: the contract, written a second time."""
    c = [coordinate // 2, step, replica, stage * 2**24 + stream * 2**16 + attempt]
    k = [seed % 2**32, seed // 2**32]
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [q // 2**32 ^ c[1] ^ k[0], q % 2**32, p // 2**32 ^ c[3] ^ k[1], p % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c[0] * 2**32 + c[1], c[2] * 2**32 + c[3]


def uniform(seed, coordinate, *place):
    return (block(seed, coordinate, *place)[coordinate % 2] // 2**11 + 1) / 2**53


def normal(seed, coordinate, *place):
    whole = block(seed, coordinate, *place)[1]
    radius = math.sqrt(-2 * math.log(uniform(seed, coordinate - coordinate % 2, *place)))
    signed = whole - 2**64 if whole >= 2**63 else whole
    angle = math.pi / 4 * (1 + (signed >> 11) / 2**52)
    sign = -1 if whole >> coordinate % 2 & 1 else 1
    return sign * radius * (math.sin(angle) if coordinate % 2 else math.cos(angle))


def chi_square(seed, dof, *place):
    if dof < 2:
        return normal(seed, 0, *place) ** 2 if dof else 0.0
    d = dof / 2 - 1 / 3
    for attempt in range(100):
        z = normal(seed, 0, *place, attempt)
        v = (1 + z / math.sqrt(9 * d)) ** 3
        if v > 0 and math.log(uniform(seed, 2, *place, attempt)) < z * z / 2 + d * (1 - v + math.log(v)):
            return 2 * d * v
    raise AssertionError


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    seed=st.integers(0, 2**64 - 1),
    step=st.integers(0, 2**32 - 1),
    replica=st.integers(0, 2**32 - 4),
    stage=st.integers(0, 255),
    stream=st.integers(0, 255),
    size=st.integers(1, 7),
    dof=st.integers(0, 9),
    high=st.integers(1, 2**32),
)
def test_numbers_are_those_of_the_contract(seed, step, replica, stage, stream, size, dof, high):
    draw = Draws(seed, 3, first=replica).at(step, stage)
    normals, integers = draw.normal(stream, size), draw.integers(stream, high, size)
    chi_squares = draw.chi_square(stream, dof)
    for row in range(3):
        place = (step, replica + row, stage, stream)
        expected = [normal(seed, i, *place) for i in range(size)]
        np.testing.assert_allclose(normals[row], expected, rtol=1e-14, atol=1e-15)
        assert integers[row].tolist() == [block(seed, i, *place)[i % 2] * high // 2**64 for i in range(size)]
        np.testing.assert_allclose(chi_squares[row], [chi_square(seed, dof, *place)], rtol=1e-13)


def test_elementary_functions_agree_with_the_mathematics_library():
    u = np.concatenate([np.linspace(2**-53, 1, 10**5), 2.0 ** -np.arange(54), 1 - 2.0 ** -np.arange(1, 54)])
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(philox.log(u) - np.log(u)) / np.spacing(np.abs(np.log(u)))
    assert error.max() <= 3
    b = np.linspace(-math.pi / 4, math.pi / 4, 10**5)
    np.testing.assert_allclose(philox.sine(b), np.sin(b), rtol=5e-16)
    np.testing.assert_allclose(philox.cosine(b), np.cos(b), rtol=5e-16)


def kinds(draw, size=4):
    return {
        "normal": draw.normal(1, size),
        "chi_square": draw.chi_square(2, 5),
        "integers": draw.integers(3, 1000, size),
    }


def assert_same(found, expected):
    for kind, values in expected.items():
        np.testing.assert_array_equal(found[kind], values, err_msg=kind)


REFERENCE = {(step, stage): kinds(Draws(7, 9).at(step, stage)) for step in range(20) for stage in range(2)}


@pytest.mark.parametrize("tile", [1, 16, 2**14])
def test_a_number_does_not_depend_on_how_many_are_made_at_once(tile):
    draws = Draws(7, 9, tile=tile)
    for (step, stage), expected in REFERENCE.items():
        assert_same(kinds(draws.at(step, stage)), expected)


def test_a_number_does_not_depend_on_the_order_of_steps():
    draws = Draws(7, 9)
    for (step, stage), expected in [*reversed(REFERENCE.items()), *list(REFERENCE.items())[::3]]:
        assert_same(kinds(draws.at(step, stage)), expected)


def test_a_number_does_not_depend_on_the_other_replicas_and_coordinates():
    few, later = Draws(7, 2), Draws(7, 3, first=4)
    for (step, stage), expected in REFERENCE.items():
        assert_same(kinds(few.at(step, stage)), {kind: values[:2] for kind, values in expected.items()})
        assert_same(kinds(later.at(step, stage)), {kind: values[4:7] for kind, values in expected.items()})
        odd = few.at(step, stage)
        np.testing.assert_array_equal(odd.normal(1, 3), expected["normal"][:2, :3])
        np.testing.assert_array_equal(odd.integers(3, 1000, 1), expected["integers"][:2, :1])


def test_a_number_is_another_for_another_purpose():
    reference = Draws(7, 9).at(3, 1).normal(1, 4)
    others = [
        Draws(8, 9).at(3, 1).normal(1, 4),
        Draws(7 + 2**32, 9).at(3, 1).normal(1, 4),
        Draws(7, 9, first=9).at(3, 1).normal(1, 4),
        Draws(7, 9).at(4, 1).normal(1, 4),
        Draws(7, 9).at(3, 0).normal(1, 4),
        Draws(7, 9).at(3, 1).normal(2, 4),
    ]
    np.testing.assert_array_equal(Draws(7, 9).at(3, 1).normal(1, 4), reference)
    assert not any(np.intersect1d(other, reference).size for other in others)


def test_what_is_handed_out_may_be_changed():
    draws = Draws(7, 9)
    for step in (0, 1, 2, 2, 3, 3):
        values = draws.at(step).normal(1, 4)
        np.testing.assert_array_equal(values, REFERENCE[step, 0]["normal"])
        values *= 0


def test_single_precision_numbers_are_the_same_rounded():
    draw = Draws(7, 9, dtype="float32").at(3, 1)
    for kind, values in REFERENCE[3, 1].items():
        found = kinds(draw)[kind]
        assert found.dtype == ("int64" if kind == "integers" else "float32")
        np.testing.assert_array_equal(found, values.astype(found.dtype))


# -- laws --------------------------------------------------------------------------------------------------------------

SIZE = 512, 512  # replicas, coordinates


def normals(name):
    return Draws(seed_of(name), SIZE[0]).at(5).normal(0, SIZE[1])


def moment(power):
    """E z^power of a standard normal."""
    return 0 if power % 2 else math.prod(range(1, power, 2))


def moment_score(z, power):
    spread = math.sqrt((moment(2 * power) - moment(power) ** 2) / z.size)
    return abs(np.mean(z**power) - moment(power)) / spread


@pytest.mark.parametrize("power", range(1, 9))
def test_moments_of_normals(power):
    z = normals(f"moment {power}")
    assert moment_score(z, power) < LIMIT


@pytest.mark.parametrize("spoil", [lambda z: z + 0.02, lambda z: 1.02 * z, np.abs])
def test_spoiled_normals_have_other_moments(spoil):
    z = spoil(normals("spoiled"))
    assert max(moment_score(z, 1), moment_score(z, 2)) > LIMIT


def test_normals_are_normal():
    z = normals("distribution").ravel()
    assert stats.kstest(z, "norm").pvalue > 1e-4
    assert stats.kstest(1.02 * z, "norm").pvalue < 1e-4


def correlation_score(a, b):
    a, b = a - a.mean(), b - b.mean()
    return abs((a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum())) * math.sqrt(a.size)


NEIGHBORS = {
    "pair in a block": lambda z, seed: (z[:, 0::2], z[:, 1::2]),
    "next block": lambda z, seed: (z[:, :-2], z[:, 2:]),
    "next replica": lambda z, seed: (z[:-1], z[1:]),
    "next step": lambda z, seed: (z, Draws(seed, SIZE[0]).at(6).normal(0, SIZE[1])),
    "next stage": lambda z, seed: (z, Draws(seed, SIZE[0]).at(5, 1).normal(0, SIZE[1])),
    "next stream": lambda z, seed: (z, Draws(seed, SIZE[0]).at(5).normal(1, SIZE[1])),
    "next seed": lambda z, seed: (z, Draws(seed + 1, SIZE[0]).at(5).normal(0, SIZE[1])),
}


@pytest.mark.parametrize("neighbor", NEIGHBORS)
@pytest.mark.parametrize("function", [np.positive, np.square, np.sign], ids=lambda function: function.__name__)
def test_neighbors_are_uncorrelated(neighbor, function):
    name = f"{neighbor} {function.__name__}"
    a, b = NEIGHBORS[neighbor](normals(name), seed_of(name))
    assert correlation_score(function(a), function(b)) < LIMIT
    assert correlation_score(function(a), function(b + 0.2 * a)) > LIMIT


DOFS = (1, 2, 3, 7, 64, 4096)


@pytest.mark.parametrize("dof", DOFS)
def test_chi_squares_follow_their_law(dof):
    draws = Draws(seed_of(f"chi square {dof}"), 4096)
    x = np.concatenate([draws.at(step).chi_square(0, dof) for step in range(16)]).ravel()
    assert abs(x.mean() - dof) / math.sqrt(2 * dof / x.size) < LIMIT
    variance_of_square = dof * (12 * dof + 48) - 4 * dof**2
    assert abs(np.mean((x - dof) ** 2) - 2 * dof) / math.sqrt(variance_of_square / x.size) < LIMIT
    assert stats.kstest(x, "chi2", args=(dof,)).pvalue > 1e-4
    assert stats.kstest(x, "chi2", args=(dof + 0.1 * math.sqrt(dof),)).pvalue < 1e-4


def test_chi_square_of_no_degrees_of_freedom_is_zero():
    np.testing.assert_array_equal(Draws(0, 5).at(0).chi_square(0, 0), np.zeros((5, 1)))


@pytest.mark.parametrize("high", [2, 7, 1000])
def test_integers_are_uniform(high):
    found = Draws(seed_of(f"integers {high}"), SIZE[0]).at(2).integers(0, high, SIZE[1]).ravel()
    assert found.min() == 0
    assert found.max() == high - 1
    assert stats.chisquare(np.bincount(found)).pvalue > 1e-4
    skewed = np.where(found == high - 1, 0, found)
    assert stats.chisquare(np.bincount(skewed, minlength=high)).pvalue < 1e-4


def test_integers_below_the_largest_bound_use_its_whole_range():
    found = Draws(seed_of("largest"), SIZE[0]).at(2).integers(0, 2**32, SIZE[1]).ravel()
    assert stats.kstest(found / 2**32, "uniform").pvalue > 1e-4
    assert found.max() >= 2**32 - 2**20
