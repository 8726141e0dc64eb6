"""The three stages in a run folder: killed anywhere, the next call goes on and ends at the same schedule and router.

Under torchrun the first process has the folder; what it reads there, all are given, and all end at the same pruner.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ninefold import artifacts
from ninefold.errors import ArtifactError
from ninefold.files import write_text
from ninefold.run import Run
from torch import Tensor, nn

import tokenprune.search._processes as processes
from tokenprune.executor._scored import Scored
from tokenprune.pruner import _files
from tokenprune.pruner._pruner import TokenPruner
from tokenprune.pruner._report import pareto
from tokenprune.pruner._starts import BestStart, checked_starts
from tokenprune.pruner._unseen import Unseen, unseen
from tokenprune.search._genetic import SearchConfig
from tokenprune.training._train import Teacher, TrainConfig, Training

STAGES = ("search", "train", "refine")
_MEASURED = 8  # sequences on which the achieved sparsity is measured
_EVERY = 10  # steps of training between two checkpoints
_UNSEEN = "unseen.json"  # not held-out.json, in which earlier versions kept other arms
_ABOUT: Any = {"kind": "tokenprune.training", "format_version": 2}
T = TypeVar("T")


class Pipeline:
    """Stages of one pruner in one run folder.

    Args:
        run: the open folder; None in all processes but the first.
        pruner: as it is before the first stage.
        calibration: scored sequences for search and refinement.
        texts: sequences for router training.
        search, train: sizes.
        fitness: see `Fitness`.
        advance: is called with a share of the stage done and its name.
        held_out: sequences that no stage sees.
        validation: what the best of each generation, and the best step of training, are chosen on; if left out,
            generations are chosen on `texts`, and the last step is taken.
        teacher: gives the dense model on `texts`, if another training on them has one.
        starts: of training, see `TokenPruner.fit_router`.

    Attributes:
        unseen: once the stages have run, what the pruner is worth on `held_out`.
    """

    def __init__(
        self, run: Run | None, pruner: TokenPruner, calibration: Scored, texts: Scored, *, search: SearchConfig,
        train: TrainConfig, fitness: Any = "kl", advance: Callable[[float, str], object] = lambda *_: None,
        held_out: Scored | None = None, validation: Scored | None = None, teacher: Callable[[], Teacher] | None = None,
        starts: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.starts = checked_starts(starts, validation)
        self.run, self.pruner, self.calibration, self.texts = run, pruner, calibration, texts
        self.search, self.train, self.fitness, self.advance = search, train, fitness, advance
        self.held_out, self.validation, self.teacher = held_out, validation, teacher
        self.unseen: Unseen | None = None

    def stages(self, names: Sequence[str]) -> TokenPruner:
        """Run these stages, or what is left of them, and write the folder `pruner`."""
        model: nn.Module = self.pruner.layout.model
        for name in names:
            kept = self._found(f"after-{name}", _files.read)
            if kept is not None:
                self.pruner = TokenPruner.of_parts(kept, model)
            elif name == "train":
                if self.pruner.net is not None or list(names) == ["train"]:
                    self._train()
            else:
                self._search(name)
            self.advance(1.0, name)
        self._check()
        if self.pruner.measured is None:
            self.pruner.measure(self.calibration.part(0, _MEASURED))
        if self.run is not None and not (self.run.path / "pruner").is_dir():
            self._picture()
            self.pruner.save_pretrained(self.run.path / "pruner")
        return self.pruner

    def _found(self, name: str, read: Callable[[Path], T]) -> T | None:
        """A checkpoint by name, if there is one: the first process reads it, and all have it."""

        def find() -> T | None:
            path = None if self.run is None else self.run.checkpoints / name
            return read(path) if path is not None and path.exists() else None

        return processes.shared(find)

    def _done(self, name: str) -> None:
        if self.run is not None:
            self.pruner.save_pretrained(self.run.checkpoints / f"after-{name}")

    def _search(self, name: str) -> None:
        kept = self._found(f"{name}.json", _read_json)
        search, judge = self.pruner.searching(
            self.calibration, self.search, fitness=self.fitness, refine=name == "refine",
            state=kept["search"] if kept else None,
        )  # fmt: skip
        if kept:
            judge.memo = {tuple(schedule): verdict for schedule, verdict in kept["memo"]}
        self._rewind(name, kept)
        generations = search.config.generations + 1
        while not search.done:
            search.advance(judge)
            best = search.history[-1]
            if self.run is not None:
                self.run.log(stage=name, **{key: best[key] for key in ("generation", "fitness", "median")})
                memo = [[list(schedule), verdict] for schedule, verdict in judge.memo.items()]
                state = {"search": search.state, "memo": memo, "lines": len(self.run.metrics())}
                write_text(self.run.checkpoints / f"{name}.json", json.dumps(state))
            self.advance(search.generation / generations, name)
        other = self.texts if self.validation is None else self.validation
        self.pruner.adopt(search, other, fitness=self.fitness, refine=name == "refine")
        self.pruner.metrics[name] = search.history[-1]["fitness"]
        self._done(name)

    def _train(self) -> None:
        teacher = self.teacher() if self.teacher else None
        best = BestStart(self.pruner)
        losses: dict[str, float] = {}
        for at, start in enumerate(self.starts):
            training = best.training(start, self.texts, self.train, teacher, self.validation)
            losses = self._train_from(start, training, at)
            best.offer(start, training)
        self.pruner.metrics["train"] = losses
        best.take()
        self._done("train")

    def _train_from(self, start: str | None, training: Training, at: int) -> dict[str, float]:
        """Train to the end, from a checkpoint if there is one; returns the last losses."""
        stage = "train" if start is None else f"train from {start}"
        name = f"{stage.replace(' ', '-')}.safetensors"
        kept = self._found(name, _read_training)
        losses: dict[str, float] = {} if kept is None else kept[1]["losses"]
        if kept is not None:
            training.restore(kept[0], kept[1]["step"], [(step, verdict) for step, verdict in kept[1]["verdicts"]])
        if not training.done:  # else the starts after it have lines of their own
            self._rewind(stage, None if kept is None else kept[1])
        while not training.done:
            losses = training.step()
            if self.run is not None and (training.step_number % _EVERY == 0 or training.done):
                self.run.log(stage=stage, step=training.step_number, **losses)
                state = training.state()
                meta = {"step": training.step_number, "lines": len(self.run.metrics()), "losses": losses,
                        "verdicts": state["verdicts"]}  # fmt: skip
                path = self.run.checkpoints / name
                artifacts.save(path, state["tensors"], package="tokenprune", meta=meta, force=True, **_ABOUT)
            self.advance((at + training.step_number / self.train.steps) / len(self.starts), "train")
        return losses

    def _check(self) -> None:
        if self.held_out is None:
            return
        kept = self._found(_UNSEEN, _read_json)
        found = unseen(self.pruner, self.held_out) if kept is None else Unseen.of_dict(kept)
        if self.run is not None and kept is None:
            write_text(self.run.checkpoints / _UNSEEN, json.dumps(found.to_dict()))
        self.unseen, self.pruner.metrics["held_out"] = found, found.to_dict()

    def _rewind(self, name: str, kept: dict[str, Any] | None) -> None:
        """Forget what a stage logged after its checkpoint; all of it, where the kill came before the first one."""
        if self.run is not None:
            others = sum(line["stage"] != name for line in self.run.metrics())
            self.run.rewind(others if kept is None else kept["lines"])

    def _picture(self) -> None:
        if self.run is None or importlib.util.find_spec("matplotlib") is None:
            return
        from ninefold.report import save_figure

        ids, mask, _ = self.calibration.part(0, 1).inputs
        save_figure(self.pruner.report(ids, mask).gate_map(), self.run.figures / "gate-map.png")
        if self.unseen is not None:
            points = [(name, self.unseen.flops[name] / self.unseen.flops["dense"], loss)
                      for name, loss in self.unseen.nll.items()]  # fmt: skip
            save_figure(pareto(points, "NLL of held-out sequences"), self.run.figures / "pareto.png")


def _read_training(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    kept = artifacts.Artifact(path, **_ABOUT)
    return {name: kept.torch(name) for name in kept.names}, dict(kept.meta)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise ArtifactError(path, "is damaged: it is no JSON object") from None
