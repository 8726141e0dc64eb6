"""What holds for the tests of every package, before the first of them imports anything."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two workers on two cores: more threads are in the way
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the hub's client is imported: a test never waits for a network
