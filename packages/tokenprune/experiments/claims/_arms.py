"""What the claims compare: arms fitted to SmolLM2 once for each seed, kept on disk, and shared by all claims.

Fitting takes most of the time, and the claims ask for the same pruners and rivals; what is kept here also lets a killed
run go on. All choices are made on WikiText-2 validation text and on ARC-easy training questions.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold import artifacts
from ninefold.files import lock, write_text
from ninefold.run import Run
from tokenprune import datasets
from tokenprune.baselines import BASELINES, BlockPruner
from tokenprune.evaluation._evaluate import questions_as_scored
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored, windows
from tokenprune.models._layout import Layout
from tokenprune.models._models import load
from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._pipeline import Pipeline
from tokenprune.pruner._pruner import TokenPruner
from tokenprune.routers._static_router import StaticRouter
from tokenprune.search._genetic import SearchConfig
from tokenprune.training._train import Teacher, TrainConfig

LENGTH, TAIL = 128, 24
SHORT, SHORT_TAIL = 64, 12  # of a step of router training: factors are shares of the length
BASE = 0.3  # the sparsity that is searched and trained for; the schedules of the others are scaled from it, and refined


@dataclass(frozen=True)
class Sizes:
    """How much every arm is fitted and scored on, cut alike for all to what two cores can do.

    Attributes:
        windows, items: WikiText windows, and solved ARC questions, that schedules and layers are chosen on; the best
            of a search's generations, and of a training's steps, is chosen on as many others.
        texts: as many of each for router training.
        search, refine, train: of the method.
        ablate: of the routers that are compared by what they see; all take the same steps.
        threshold: of the routers that decide by their own threshold, which start to differ later.
        test, questions: WikiText windows, and questions of each set, that are scored.
        whole: windows of which all tokens are scored, for BlockPruner.
        tasks, task_length: long-context tasks of each kind that are scored, and their tokens.
        candidates: halves that BlockPruner goes on with after its first round.
    """

    windows: int
    items: int
    texts: int
    search: SearchConfig
    refine: SearchConfig
    train: TrainConfig
    ablate: TrainConfig
    threshold: TrainConfig
    test: int
    questions: int
    whole: int
    tasks: int
    task_length: int
    candidates: int | None


FULL = Sizes(
    37, 32, 64, SearchConfig(population=12, generations=2), SearchConfig(population=6, generations=2, elite=3),
    TrainConfig(steps=50, batch=4), TrainConfig(steps=15, batch=4, check=15), TrainConfig(steps=100, batch=4),
    test=48, questions=100, whole=6, tasks=100, task_length=256, candidates=24,
)  # fmt: skip
QUICK = Sizes(
    1, 1, 2, SearchConfig(population=5, generations=1, elite=3), SearchConfig(population=3, generations=1, elite=2),
    TrainConfig(steps=2), TrainConfig(steps=2), TrainConfig(steps=2), test=2,
    questions=2, whole=1, tasks=2, task_length=256, candidates=3,
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


def test_windows(count: int) -> Scored:
    """Of WikiText-2 test text, evenly spread."""
    return windows(test_ids(), length=LENGTH, scored=TAIL, count=count)


def solved_questions(seed: int, count: int, shots: int = 2) -> Scored:
    """ARC-easy training questions, after some solved ones, their right answers scored."""
    every = datasets.questions("arc_easy_train")
    draw = np.random.default_rng(seed).permutation(len(every))
    chosen = [every[at] for at in draw[: count + shots]]
    asked, items = questions_as_scored(chosen[shots:], chosen[:shots], smollm2()[1]), chosen[shots:]
    right = [(one.sequences[item.label], one.counts[item.label]) for one, item in zip(asked, items, strict=True)]
    return Scored([sequence for sequence, _ in right], [count for _, count in right])


def _both(one: Scored, other: Scored) -> Scored:
    return Scored([*one.sequences, *other.sequences], [*one.counts, *other.counts])


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

    @cached_property
    def calibration(self) -> Scored:
        """What schedules, and the blocks that ShortGPT leaves out, are chosen on."""
        return _both(calibration_windows(self.seed, self.sizes.windows), solved_questions(self.seed, self.sizes.items))

    @cached_property
    def validation(self) -> Scored:
        """What the best of a search's generations and of a training's steps is chosen on: other draws, as many."""
        seed = self.seed + 3000
        return _both(calibration_windows(seed, self.sizes.windows), solved_questions(seed, self.sizes.items))

    @cached_property
    def texts(self) -> Scored:
        """What routers are trained on: other draws from the same two sources, shorter ones."""
        seed, count = self.seed + 1000, self.sizes.texts
        return _both(calibration_windows(seed, count, SHORT, SHORT_TAIL), solved_questions(seed, count, shots=0))

    @cached_property
    def teacher(self) -> Teacher:
        """The dense model on `texts`, asked once for all routers."""
        return Teacher(self.layout, self.texts, keep=len(self.texts))

    def trained(self) -> TokenPruner:
        """Schedule searched at `BASE` (stage 1), router trained (stage 2)."""

        def start() -> TokenPruner:
            return TokenPruner(self.layout.model, FTPConfig(target_sparsity=BASE, router="dynamic", seed=self.seed))

        return self._pruner("trained", start, ["search", "train"], self.sizes.search)

    def ftp(self, target: float) -> TokenPruner:
        """Trained, scaled to a target, refined there (stage 3)."""

        def start() -> TokenPruner:
            pruner = self.trained()
            pruner.set_sparsity(target)
            return pruner

        return self._pruner(f"ftp-{target:g}", start, ["refine"], self.sizes.refine)

    def static(self, target: float) -> Executor:
        """The searched schedule under the static router."""
        pruner = self.trained()
        pruner.set_sparsity(target)
        return Executor(self.layout, StaticRouter(pruner.schedule))

    def rival(self, name: str, target: float) -> Executor:
        """A rival by name, fitted; BlockPruner once for all seeds, as it takes longest."""
        if name == "blockpruner":
            return self._block_pruner(target)
        rival = BASELINES[name]()
        rival.fit(self.layout, self.calibration, target, self.seed)
        return rival.apply()

    def _block_pruner(self, target: float) -> Executor:
        """A higher target goes on from a lower one."""
        text = calibration_windows(0, self.sizes.whole)
        data = Scored(text.sequences, [len(one) - 2 for one in text.sequences])
        path = self.shared / "blockpruner.json"
        with held(path):
            known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            lower = max((float(key) for key in known if float(key) <= target), default=None)
            gone = [] if lower is None else [(half, block) for half, block in known[f"{lower:g}"]]
            rival = BlockPruner(gone, self.sizes.candidates)
            rival.fit(self.layout, data, 0.0 if lower == target else target)
            write_text(path, json.dumps({**known, f"{target:g}": rival.gone}))
        return rival.apply()

    def scores(self, name: str, make: Callable[[], dict[str, np.ndarray]], *, shared: bool = False) -> Any:
        """Arrays by name, made once for this seed, or once for all."""
        folder = self.shared if shared else self.folder
        path, about = folder / f"{name}.safetensors", {"kind": "tokenprune.scores", "format_version": 1}
        with held(path):
            if not path.is_file():
                artifacts.save(path, make(), package="tokenprune", **about)
        kept = artifacts.Artifact(path, **about)
        return {key: kept.numpy(key) for key in kept.names}

    def _pruner(
        self, name: str, start: Callable[[], TokenPruner], stages: list[str], search: SearchConfig
    ) -> TokenPruner:  # fmt: skip
        """Kept once made; killed on the way, it goes on from the last generation, or the last ten steps."""
        path, work = self.folder / name, self.folder / f"{name}-work"
        with held(path):
            if not path.is_dir():
                with Run(work, {"stages": stages}) as run:
                    pipeline = Pipeline(
                        run, start(), self.calibration, self.texts, search=search, train=self.sizes.train,
                        validation=self.validation, teacher=lambda: self.teacher,
                    )  # fmt: skip
                    pipeline.stages(stages).save_pretrained(path)
            shutil.rmtree(work, ignore_errors=True)
        return TokenPruner.from_pretrained(path, self.layout.model)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Two processes that want the same arm, which is kept at `path`, fit it once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.with_name(f"{path.name}.lock")
    name.touch()
    descriptor = lock(name, wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def sizes_of(form: str, **changed: Any) -> Sizes:
    """Of a claim's form, "quick" or "full"."""
    return replace(FULL if form == "full" else QUICK, **changed)
