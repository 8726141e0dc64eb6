"""The example of each public name runs and shows what it says."""

from __future__ import annotations

import doctest
import inspect

import mldgg
import pytest
from mldgg.datasets import load_functions

PUBLIC = [name for name in mldgg.__all__ if not inspect.ismodule(getattr(mldgg, name)) and not name.startswith("__")]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "thing", [*(getattr(mldgg, name) for name in PUBLIC), load_functions], ids=lambda one: one.__name__
)
def test_example_runs(thing):
    assert "Examples:" in inspect.getdoc(thing)
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(thing), {}, thing.__name__, None, 0)
    assert test.examples
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0
