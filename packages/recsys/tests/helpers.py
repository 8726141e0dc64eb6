"""Small data with known answers, and where the real sets are."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ninefold_testing import Warm, command
from recsys import Dataset

_HAS_DATA = (Path(os.environ.get("NINEFOLD_DATA", "nowhere")) / "recsys").is_dir()

_IMPORTED = (
    "numba", "pandas", "pyarrow.parquet", "scipy.optimize", "scipy.sparse.linalg", "typer._adapters", "lightgbm",
    "uvicorn.loops.auto", "uvicorn.protocols.http.auto", "uvicorn.lifespan.on", "recsys.serving._serve",
    "recsys.recommender._trend", "recsys.sequence._two_stage", "recsys.baselines._item_knn",
)  # fmt: skip


def needs_data(test):
    """Mark a test that wants the real sets."""
    return pytest.mark.data(pytest.mark.skipif(not _HAS_DATA, reason="NINEFOLD_DATA has no recsys folder")(test))


@functools.cache
def retail() -> tuple[Dataset, Dataset]:
    """Purchases of the real shop before November 2011, and from then on; read once."""
    from recsys_experiments.real_sets import online_retail

    return online_retail().clicks().split.time("2011-11-01")


@functools.cache
def ready_process() -> Warm:
    """A process that has imported what most verbs use (not torch); it forks for each program."""
    made = Warm("recsys.cli", *_IMPORTED)
    atexit.register(made.close)
    return made


def run_ready(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a console script to its end in a copy of `ready_process`; outputs are captured."""
    return ready_process().run(command(module, *words)[1:])


def events(users: int = 60, items: int = 30, n: int = 900, *, seed: int = 0, text: bool = False) -> Dataset:
    """Random events with taste: users and items in three clusters; Zipf items; times one second apart."""
    draw = np.random.default_rng(seed)
    user = draw.integers(0, users, n)
    weight = 1 / (1 + np.arange(items))
    item = draw.choice(items, n, p=weight / weight.sum())
    item = np.where(draw.random(n) < 0.7, (item // 3) * 3 + user % 3, item) % items
    frame = {
        "who": [f"u{one}" for one in user] if text else user + 100,
        "what": [f"i{one}" for one in item] if text else item + 1000,
        "when": np.arange(n) + 1_600_000_000,
    }
    return Dataset.from_frame(frame, user="who", item="what", time="when")


def tiny() -> Dataset:
    """Four users, five items: small enough to rank by hand."""
    rows = [("a", 1), ("a", 2), ("b", 1), ("b", 3), ("c", 1), ("c", 2), ("c", 4), ("d", 5)]
    return Dataset.from_frame({"user": [u for u, _ in rows], "item": [i for _, i in rows]}, user="user", item="item")


def score_matrix(model) -> np.ndarray:
    """Scores of all users and items, as `predict` gives them."""
    users, items = model.user_ids_.values.to_pylist(), model.item_ids_.values.to_pylist()
    pairs = {model.names_.user: np.repeat(users, len(items)), model.names_.item: items * len(users)}
    return model.predict(pairs).column("score").to_numpy(zero_copy_only=False).reshape(len(users), len(items))
