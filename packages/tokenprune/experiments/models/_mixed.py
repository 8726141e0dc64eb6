"""Pruners by the published stages, fitted to mixed sequences: text, long-context tasks of each kind, solved questions.

Templates and texts are those of training; choices are made on those of validation. Each pruner is fitted once for a
seed and kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from ninefold.files import write_text
from tokenprune import datasets
from tokenprune.evaluation._recall import as_scored
from tokenprune.executor._scored import Scored, windows
from tokenprune.ftp import PublishedConfig, PublishedPruner
from tokenprune_experiments.models._arms import (
    BASE,
    LENGTH,
    TAIL,
    Arms,
    Sizes,
    calibration_windows,
    held,
    right_answers,
    smollm2,
    solved_questions,
    test_ids,
)
from torch import Tensor

SEARCH, REFINE = 3, 2  # times the generations of the sizes


def some(count: int, share: int) -> int:
    """A part of a size, at least 1."""
    return max(1, count // share)


class MixedArms(Arms):
    """Arms of one seed that are fitted to mixed sequences; see `Arms`."""

    def __init__(self, seed: int, sizes: Sizes, folder: Path) -> None:
        super().__init__(seed, sizes, folder / "mixed")
        self.config = PublishedConfig(target_sparsity=BASE, seed=seed)

    @cached_property
    def calibration(self) -> Scored:
        """What schedules are judged on."""
        return self._fitting("training", self.seed)

    @cached_property
    def validation(self) -> Scored:
        """What the best of a search's generations and of a training's steps is chosen on."""
        return self._fitting("validation", self.seed + 3000)

    @cached_property
    def texts(self) -> Scored:
        """What routers are trained on."""
        count, seed = self.sizes.texts, self.seed + 1000
        text, asked = calibration_windows(seed, some(2 * count, 3)), solved_questions(seed, some(count, 3))
        return self._mixed(text, asked, "training", self._filler(seed), some(self.sizes.tasks, 12), seed)

    @cached_property
    def held_out(self) -> Scored:
        """What is scored."""
        sizes, seed = self.sizes, self.seed
        text = windows(test_ids(), length=LENGTH, scored=TAIL, count=sizes.test, seed=seed)
        asked = right_answers(seed, some(sizes.questions, 3))
        return self._mixed(text, asked, "test", test_ids(), some(sizes.tasks, 6), seed)

    def _fitting(self, role: str, seed: int) -> Scored:
        text, asked = (
            calibration_windows(seed, some(2 * self.sizes.windows, 3)),
            solved_questions(seed, some(self.sizes.items, 3)),
        )
        return self._mixed(text, asked, role, self._filler(seed), some(self.sizes.tasks, 25), seed)

    def _filler(self, seed: int) -> Tensor:
        return torch.cat(list(calibration_windows(seed + 6000, 12).sequences))

    def _mixed(self, text: Scored, asked: Scored, role: str, filler: Tensor, each: int, seed: int) -> Scored:
        draw: dict[str, Any] = {"filler": filler, "count": each, "length": self.sizes.task_length, "seed": seed}
        tasks = [one for kind in datasets.KINDS for one in datasets.long_tasks(kind, role, smollm2()[1], **draw)]
        parts = text, as_scored(tasks), asked
        return Scored([one for part in parts for one in part.sequences], [one for part in parts for one in part.counts])

    def searched(self) -> PublishedPruner:
        """Stage 1; the schedules that it started from are kept beside it."""

        def make() -> PublishedPruner:
            pruner = self.fresh()
            config = replace(self.sizes.search, generations=SEARCH * self.sizes.search.generations)
            search, judge = pruner.searching(self.calibration, config)
            starts = search.population
            search.advance(judge)
            best_first = sorted(starts, key=lambda one: judge.memo[one])
            write_text(self.folder / "starts.json", json.dumps(best_first))
            while not search.done:
                search.advance(judge)
            pruner.adopt(search, self.validation)
            return pruner

        return self._fitted("searched", make)

    @property
    def starts(self) -> list[list[float]]:
        """Schedules that the search started from, the best on the calibration data first."""
        return list(json.loads((self.folder / "starts.json").read_text(encoding="utf-8")))

    def learnt(self) -> PublishedPruner:
        """Stages 1 and 2."""
        return self._fitted("learnt", lambda: self._learn(self.searched()))

    def full(self) -> PublishedPruner:
        """All stages."""
        return self._fitted("full", lambda: self._refine(self.learnt()))

    def without_search(self) -> PublishedPruner:
        """Stages 2 and 3 from the uniform schedule."""
        return self._fitted("without search", lambda: self._refine(self._learn(self.fresh())))

    def without_learning(self) -> PublishedPruner:
        """Stages 1 and 3 under the static router."""
        return self._fitted("without learning", lambda: self._refine(self.fresh(self.searched().schedule, "static")))

    def fresh(self, schedule: Any = None, router: str = "dynamic") -> PublishedPruner:
        """Before any stage; its net starts by keeping what the static router keeps."""
        return PublishedPruner(self.layout.model, replace(self.config, router=router), schedule)

    def _learn(self, pruner: PublishedPruner) -> PublishedPruner:
        pruner.fit_router(self.texts, replace(self.sizes.train, check=10), validation=self.validation)
        return pruner

    def _refine(self, pruner: PublishedPruner) -> PublishedPruner:
        config = replace(self.sizes.refine, generations=REFINE * self.sizes.refine.generations)
        pruner.refine(self.calibration, config, validation=self.validation)
        return pruner

    def _fitted(self, name: str, make: Callable[[], PublishedPruner]) -> PublishedPruner:
        path = self.folder / name.replace(" ", "-")
        with held(path):
            if not path.is_dir():
                make().save_pretrained(path)
        return PublishedPruner.from_pretrained(path, self.layout.model)
