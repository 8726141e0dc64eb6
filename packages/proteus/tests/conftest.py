"""What all tests of proteus share: the same runs in half the time."""

import functools
from collections.abc import Iterator

import pytest
from numpy.polynomial import legendre

nodes = functools.cache(legendre.leggauss)


@pytest.fixture(scope="module", autouse=True)
def quick(request: pytest.FixtureRequest) -> Iterator[None]:
    """A small study without what takes half its time and no test looks at.

    numpy finds the nodes of a quadrature anew at each call: they are found once. A kept run halves its cohort ten
    times to predict what replicates: it does so twice. The contract compares runs here with those of processes of their
    own, and changes nothing.
    """
    if request.module.__name__.endswith("test_contract"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("numpy.polynomial.legendre.leggauss", lambda deg: tuple(one.copy() for one in nodes(deg)))
        patch.setattr("proteus.study._replicated._SPLITS", 2)
        yield
