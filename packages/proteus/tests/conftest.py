"""What all tests of proteus share."""

import functools
from collections.abc import Iterator

import numpy as np
import pytest


@pytest.fixture(scope="session", autouse=True)
def same_nodes() -> Iterator[None]:
    """Nodes of a quadrature, which numpy finds anew at each call, are found once: half the time of a small study."""
    legendre = np.polynomial.legendre
    found = functools.cache(legendre.leggauss)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(legendre, "leggauss", lambda deg: tuple(one.copy() for one in found(deg)))
        yield
