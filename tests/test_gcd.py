"""Greatest common divisors are SymPy's, in all degrees and numbers of shared variables."""

import numpy as np
import pytest
from conftest import seed_of
from sympy import QQ, ZZ
from sympy.polys.rings import PolyRing

from accelsim.symbolic.algebra import gcd
from accelsim.symbolic.algebra.budget import Clock, OutOfTime
from accelsim.symbolic.algebra.rings import Ring

NAMES = ["x", "y", "z", "u", "v"]


def polynomial(ring, draw, terms):
    """A random one, in which each variable is in every other term."""
    total = ring.zero
    while not total:
        for _ in range(terms):
            powers = draw.integers(0, 3, ring.ngens) * (draw.random(ring.ngens) < 0.5)
            total += ring({tuple(map(int, powers)): ring.domain(int(draw.integers(-9, 10)))})
    return total


def pairs(ring, name, count):
    """Products that share a factor, one of them at times no more than that factor."""
    draw = np.random.default_rng(seed_of(name))
    for i in range(count):
        shared, *others = (polynomial(ring, draw, int(draw.integers(1, 5))) for _ in range(3))
        yield shared * others[0] if i % 4 else shared, shared * others[1]


@pytest.mark.parametrize("domain", [ZZ, QQ], ids=str)
def test_divisors_and_quotients_are_those_of_sympy(domain):
    ours, theirs = Ring(NAMES, domain), PolyRing(NAMES, domain)
    for f, g in pairs(theirs, f"divisors over {domain}", 60):
        if domain is QQ:
            f, g = f.quo_ground(QQ(3)), g.quo_ground(QQ(-2))
        common, left, right = f.set_ring(ours).cofactors(g.set_ring(ours))
        assert common.set_ring(theirs) == (f.gcd(g).monic() if domain is QQ and min(len(f), len(g)) > 1 else f.gcd(g))
        assert (common * left, common * right) == (f.set_ring(ours), g.set_ring(ours))


def test_a_prime_shows_what_has_no_common_divisor(monkeypatch):
    """Without integers as long as the product of all degrees, which a budget would not let be made."""
    ring = Ring([f"x{i}" for i in range(12)], QQ)
    f, g = (sum((x**k for x in ring.gens), ring.one * k) for k in (3, 4))
    with Clock(0.01).enforced():
        assert gcd.cofactors(f, g) == (ring.one, f, g)
    monkeypatch.setattr(gcd, "_bounds", lambda f, g: tuple(map(min, f.degrees(), g.degrees())))
    with pytest.raises(OutOfTime), Clock(10).enforced():
        gcd.cofactors(f, g)


def test_coefficients_of_rational_divisors_are_taken_as_they_are():
    ring = Ring(["x", "y"], QQ)
    x, y = ring.gens
    assert (9 - 4 * x**2).gcd((2 * x + 3) * (2 * y - 1)) == x + QQ(3, 2)
    draw = np.random.default_rng(seed_of("rational divisors"))
    for _ in range(200):  # linear factors with other leading coefficients than 1
        a, b, c, d = (int(n) for n in draw.integers(1, 8, 4))
        shared = a * x + b
        common = ((a * x - b) * shared).gcd(shared * (c * y - d))
        assert common == shared.monic()
