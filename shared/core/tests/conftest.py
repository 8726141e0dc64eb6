"""What all tests of the core share."""

from __future__ import annotations

import functools
import importlib.metadata

import pytest

owners = functools.cache(importlib.metadata.packages_distributions)


@pytest.fixture(scope="module", autouse=True)
def _distributions_are_read_once(request):
    """A package that no distribution is named after is looked for in all that are installed, for half a second.

    The tests of errors install some.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not request.module.__name__.endswith("test_errors"):
            patch.setattr(importlib.metadata, "packages_distributions", owners)
        yield
