"""What holds for the tests of every package, before the first of them imports anything."""

import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers on two cores: more threads are in the way
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the hub's client is imported: a test never waits for a network

from hypothesis import HealthCheck, settings
from ninefold_lab.experiments import register

gc.disable()  # until all tests are found: what imports make stays, and to look through all of it over and over took 3 s

for folder in Path(__file__).parent.glob("*/experiments"):
    register(folder.parent.name.replace("-", "_"), folder)  # `from tswitch_experiments.claims import ...`


settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # how fast an example is drawn says how busy the machine is


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Collect garbage again once the tests are found, but not among what their imports made."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


_imported = 0  # modules, when what they made was last left out


def pytest_runtest_setup() -> None:
    """Leave what imports made out of each later collection of garbage: a timing collects before each of its calls.

    In a run of all tests a collection takes half a second otherwise, which is longer than most tests.
    """
    global _imported
    if len(sys.modules) > _imported + 100:
        gc.collect()
        gc.freeze()
        _imported = len(sys.modules)
