"""The examples in docstrings run as they stand."""

import doctest
import importlib

import pytest

MODULES = (
    "record._objects", "knowledge._network", "tools._registry", "study._study", "tl._enrich", "tl._hits_in_network",
    "tl._survival_table",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_run(name):
    found = doctest.testmod(importlib.import_module(f"proteus.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
