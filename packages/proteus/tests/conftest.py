"""What all tests of proteus share: the same runs in half the time."""

import functools
from collections.abc import Iterator

import numpy as np
import pytest


@pytest.fixture(scope="package", autouse=True)
def quick() -> Iterator[pytest.MonkeyPatch]:
    """A small study without what takes half its time and no test looks at.

    numpy finds the nodes of a quadrature anew at each call: they are found once. A kept run halves its cohort ten
    times to predict what replicates: it does so twice.
    """
    legendre = np.polynomial.legendre
    found = functools.cache(legendre.leggauss)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(legendre, "leggauss", lambda deg: tuple(one.copy() for one in found(deg)))
        patch.setattr("proteus.study._replicated._SPLITS", 2)
        yield patch
