"""What holds for the tests of every package, before the first of them imports anything."""

import gc
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers on two cores: more threads are in the way
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the hub's client is imported: a test never waits for a network

from hypothesis import HealthCheck, settings
from ninefold_lab.experiments import register

for folder in Path(__file__).parent.glob("*/experiments"):
    register(folder.parent.name.replace("-", "_"), folder)  # `from tswitch_experiments.claims import ...`


settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # how fast an example is drawn says how busy the machine is


def pytest_collection_finish() -> None:
    """Leave what the imports made out of each later collection of garbage: a timing collects before each of its calls.

    In a run of all tests a collection takes half a second otherwise, which is longer than most tests.
    """
    gc.collect()
    gc.freeze()
