"""What all tests of proteus share: the same runs in less time."""

from collections.abc import Iterator

import pytest

DRAWN = ("test_report", "test_pictures", "test_readme", "test_sentences", "test_strips", "test_cells")


@pytest.fixture(scope="module", autouse=True)
def quick(request: pytest.FixtureRequest) -> Iterator[None]:
    """A kept run halves its cohort twice, not ten times, to predict what replicates: no test looks at that number.

    The contract compares runs here with those of processes of their own, and changes nothing.
    """
    if request.module.__name__.endswith("test_contract"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proteus.study._replicated._SPLITS", 2)
        if not request.module.__name__.endswith(DRAWN):
            patch.setattr("proteus.verification._report.draw", lambda _: [])  # pictures take longest
        yield
