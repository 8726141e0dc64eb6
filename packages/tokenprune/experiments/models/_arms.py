"""What the claims compare: arms fitted to SmolLM2 once for each seed, kept on disk, and shared by all claims.

Fitting takes most of the time, and the claims ask for the same pruners and rivals; what is kept here also lets a killed
run go on. All choices are made on WikiText-2 validation text and on ARC-easy training questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold import artifacts
from ninefold.files import lock
from tokenprune import datasets
from tokenprune.evaluation._evaluate import questions_as_scored
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored, windows
from tokenprune.ftp import SearchConfig, TrainConfig
from tokenprune.models._layout import Layout
from tokenprune.models._models import load

LENGTH, TAIL = 128, 24
BASE = 0.3  # the sparsity that is searched and trained for; the schedules of the others are scaled from it, and refined


@dataclass(frozen=True)
class Sizes:
    """How much every arm is fitted and scored on, cut alike for all to what two cores can do.

    Attributes:
        windows, items: WikiText windows, and solved ARC questions, that schedules and layers are chosen on; the best
            of a search's generations, and of a training's steps, is chosen on as many others.
        texts: as many of each for router training.
        search, refine, train: of the method.
        test, questions: WikiText windows, and questions of each set, that are scored.
        tasks, task_length: long-context tasks of each kind that are scored, and their tokens.
    """

    windows: int
    items: int
    texts: int
    search: SearchConfig
    refine: SearchConfig
    train: TrainConfig
    test: int
    questions: int
    tasks: int
    task_length: int


FULL = Sizes(
    37, 32, 64, SearchConfig(population=12, generations=2), SearchConfig(population=6, generations=2, elite=3),
    TrainConfig(steps=50, batch=4), test=48, questions=100, tasks=100, task_length=256,
)  # fmt: skip
QUICK = Sizes(
    1, 1, 2, SearchConfig(population=5, generations=1, elite=3), SearchConfig(population=3, generations=1, elite=2),
    TrainConfig(steps=2), test=2, questions=2, tasks=2, task_length=256,
)  # fmt: skip


@cache
def smollm2() -> tuple[Any, Any]:
    """(model, tokenizer), loaded once."""
    return load("smollm2")


@cache
def _ids(name: str) -> torch.Tensor:
    return datasets.tokens(datasets.text(name)[:600_000], smollm2()[1])


def calibration_windows(seed: int, count: int, length: int = LENGTH, scored: int = TAIL) -> Scored:
    """Of WikiText-2 validation text, at places that follow the seed."""
    return windows(_ids("wikitext2_valid"), length=length, scored=scored, count=count, seed=seed)


def test_ids() -> torch.Tensor:
    """Tokens of WikiText-2 test text."""
    return _ids("wikitext2_test")


def solved_questions(seed: int, count: int, shots: int = 2) -> Scored:
    """ARC-easy training questions, after some solved ones, their right answers scored."""
    every = datasets.questions("arc_easy_train")
    draw = np.random.default_rng(seed).permutation(len(every))
    chosen = [every[at] for at in draw[: count + shots]]
    asked, items = questions_as_scored(chosen[shots:], chosen[:shots], smollm2()[1]), chosen[shots:]
    right = [(one.sequences[item.label], one.counts[item.label]) for one, item in zip(asked, items, strict=True)]
    return Scored([sequence for sequence, _ in right], [count for _, count in right])


def right_answers(seed: int, count: int) -> Scored:
    """Right answers to ARC-easy test questions, each after two solved ones of its own.

    How far all arms are off depends on the solved ones more than on the question.
    """
    every = datasets.questions("arc_easy")
    order = np.random.default_rng(seed + 4000).permutation(len(every))[: 3 * count]
    sequences, counts = [], []
    for item, *shots in order.reshape(-1, 3):
        asked = every[item]
        (choices,) = questions_as_scored([asked], [every[at] for at in shots], smollm2()[1])
        sequences.append(choices.sequences[asked.label])
        counts.append(choices.counts[asked.label])
    return Scored(sequences, counts)


def each_sequence(values: np.ndarray, data: Scored) -> np.ndarray:
    """Means of sequences, of values of their scored tokens: tokens of one text are not independent draws."""
    return (data.by_sequence(torch.from_numpy(values)) / torch.tensor(data.counts)).numpy()


class Arms:
    """The arms of one seed.

    Args:
        seed: random seed.
        sizes: how much to fit and score.
        folder: where they are kept.
    """

    def __init__(self, seed: int, sizes: Sizes, folder: Path) -> None:
        self.seed, self.sizes, self.shared, self.folder = seed, sizes, folder, folder / f"seed-{seed}"
        self.layout = Layout.of(smollm2()[0])
        self.dense = Executor(self.layout)

    def scores(self, name: str, make: Callable[[], dict[str, np.ndarray]], *, shared: bool = False) -> Any:
        """Arrays by name, made once for this seed, or once for all."""
        folder = self.shared if shared else self.folder
        path, about = folder / f"{name}.safetensors", {"kind": "tokenprune.scores", "format_version": 1}
        with held(path):
            if not path.is_file():
                artifacts.save(path, make(), package="tokenprune", **about)
        kept = artifacts.Artifact(path, **about)
        return {key: kept.numpy(key) for key in kept.names}


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Two processes that want the same arm, which is kept at `path`, fit it once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.with_name(f"{path.name}.lock")
    name.touch()
    taken = lock(name, wait=True)
    try:
        yield
    finally:
        if taken is not None:
            taken.close()


def sizes_of(form: str, **changed: Any) -> Sizes:
    """Of a claim's form, "quick" or "full"."""
    return replace(FULL if form == "full" else QUICK, **changed)
