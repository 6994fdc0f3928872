"""The least risk that a linear method can reach on a noisy quadratic (THEORY, section 9): below every exact risk."""

import numpy as np

from reference.inputs import read
from reference.numbers import mp


def least_risk(problem, steps):
    """Least risk after that many gradients of any translation-equivariant linear method with scalar coefficients.

    With weights lam v on the eigenvalues (v the variance of a gradient), phi_k orthonormal polynomials and Q their sum
    with coefficients S_k, an error e of an eigendirection is left (1 + lam Q(lam)) e, and what phi_k costs is shared by
    the steps - k gradients whose response may have degree k: a least-squares problem in S.
    """
    law = read(problem)
    if law.fourth is not None:
        raise NotImplementedError("noise that feels the state")
    lam = sorted(set(law.lam))
    signal = [mp.fsum(x * s**2 for x, s in zip(law.lam, law.start, strict=True) if x == value) for value in lam]
    weight = [mp.fsum(x * v for x, v in zip(law.lam, law.floor, strict=True) if x == value) for value in lam]
    basis = []
    for degree in range(min(steps, len(lam))):
        new = [x**degree for x in lam] if not basis else [x * f for x, f in zip(lam, basis[-1], strict=True)]
        for known in basis:
            share = mp.fsum(w * f * g for w, f, g in zip(weight, known, new, strict=True))
            new = [g - share * f for f, g in zip(known, new, strict=True)]
        size = mp.sqrt(mp.fsum(w * g**2 for w, g in zip(weight, new, strict=True)))
        basis.append([g / size for g in new])
    values = np.array(basis, dtype=object)
    toward = np.array(lam, dtype=object)
    energy = np.array(signal, dtype=object)
    normal = (values * (energy * toward**2)) @ values.T
    for k in range(len(basis)):
        normal[k, k] += mp.one / (steps - k)
    right = (values * (energy * toward)).sum(axis=1)
    solution = mp.lu_solve(mp.matrix(normal.tolist()), -mp.matrix(right.tolist()))
    return (mp.fsum(signal) + mp.fsum(a * b for a, b in zip(solution, right, strict=True))) / 2
