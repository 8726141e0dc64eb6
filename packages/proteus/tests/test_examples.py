"""Examples of public functions run as doctests."""

import doctest
import importlib

import pytest

MODULES = [
    "data._data", "data._rollup", "differential._moderated_test", "differential._normalise", "differential._profile",
    "differential._replication", "loaders._knowledge", "loaders._load", "outcomes._cells", "outcomes._coexpression",
    "outcomes._neighbourhoods", "outcomes._panel", "outcomes._pseudobulk", "simulation._simulate",
    "statistics._error_control", "statistics._mediation",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    found = doctest.testmod(importlib.import_module(f"proteus.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
