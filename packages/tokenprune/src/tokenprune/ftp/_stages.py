"""The three stages in a run folder: after an interruption, the next call resumes and ends at the same result."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError
from ninefold.files import write_text
from ninefold.progress import Progress, progress
from ninefold.report import Table
from ninefold.run import Run
from torch import Tensor

from tokenprune.evaluation._evaluate import text_divergence
from tokenprune.evaluation._naming import naming
from tokenprune.evaluation._roles import for_fitting, with_tasks
from tokenprune.evaluation._roles import held_out as held_out_windows
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.ftp._genetic import SearchConfig
from tokenprune.ftp._published import PublishedConfig, PublishedPruner
from tokenprune.ftp._train import TrainConfig
from tokenprune.pruner import _files
from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._pruner import TokenPruner

STAGES = ("search", "train", "refine")
_ROLES = ("training", "training", "validation")  # whose templates tasks have: of the search, the training, the choice
_MEASURED = 8  # sequences on which the achieved sparsity is measured
_EVERY = 10  # steps of training between two checkpoints
_ABOUT: Any = {"kind": "tokenprune.training", "format_version": 2}


@dataclass(frozen=True)
class Texts:
    """Sequences by role; no token stands in two.

    Attributes:
        calibration: schedules are judged on.
        training: the router learns from.
        validation: the best of each generation, and the best step of training, are chosen on.
        held_out: what no stage sees; None: there is none.
    """

    calibration: Scored
    training: Scored
    validation: Scored
    held_out: Scored | None = None


def texts_for_stages(
    calibration: str, tokenizer: Any, *, long: int | None, long_length: int, seed: int = 0, **cut: Any
) -> Texts:
    """Windows and long-context tasks of one text for each stage, and for the end.

    Args:
        calibration: name of the text. tokenizer: of the model; None: bytes.
        long: long-context tasks of each kind, see `with_tasks`. long_length: tokens of each.
        seed: random seed. cut: count, length and scored of the windows.
    Raises: InputError if the text is too short.
    """
    roles = for_fitting(calibration, tokenizer, roles=3, seed=seed, **cut)
    with naming(length="--long-length"):
        search, train, choice = (with_tasks(one, role, tokenizer, each=long, length=long_length, seed=seed + at)
                                 for at, (one, role) in enumerate(zip(roles, _ROLES, strict=True)))  # fmt: skip
    unseen = held_out_windows(calibration, tokenizer, **cut)
    if unseen is not None and sum(map(len, unseen.sequences)) > long_length:
        unseen = with_tasks(unseen, "test", tokenizer, each=long, length=long_length, seed=seed + 3)
    return Texts(search, train, choice, unseen)


class Stages:
    """All stages of one pruner in one run folder.

    Args:
        run: the open folder.
        pruner: as it is before the first stage.
        texts: sequences by role.
        search, train: sizes.
        fitness: see `Fitness`.
    """

    def __init__(
        self, run: Run, pruner: PublishedPruner, texts: Texts, *, search: SearchConfig, train: TrainConfig,
        fitness: Any = "kl",
    ) -> None:  # fmt: skip
        self.run, self.pruner, self.texts = run, pruner, texts
        self.search, self.train, self.fitness = search, train, fitness
        self._bar, self._shown = Progress(), 0.0

    def finish(self) -> PublishedPruner:
        """Run the stages, or what is left of them, and write the folder `pruner`."""
        with progress(len(STAGES), "starting") as self._bar:
            for name in STAGES:
                kept = self.run.checkpoints / f"after-{name}"
                if kept.exists():
                    parts = _files.read(kept, PublishedConfig)
                    self.pruner = PublishedPruner.of_parts(parts, self.pruner.layout.model)
                elif name != "train":
                    self._search(name)
                elif self.pruner.net is not None:
                    self._train()
                self._advance(1.0, name)
        if not (self.run.path / "pruner").is_dir():
            if self.texts.held_out is not None:
                self.pruner.metrics["held_out"] = held_out(self.pruner, self.texts.held_out)
            self.pruner.measure(self.texts.calibration.part(0, _MEASURED))
            self._picture()
            self.pruner.save_pretrained(self.run.path / "pruner")
        return PublishedPruner.from_pretrained(self.run.path / "pruner", self.pruner.layout.model)

    def _search(self, name: str) -> None:
        path = self.run.checkpoints / f"{name}.json"
        kept = _read_json(path) if path.exists() else None
        search, judge = self.pruner.searching(
            self.texts.calibration, self.search, fitness=self.fitness, refine=name == "refine",
            state=kept["search"] if kept else None,
        )  # fmt: skip
        if kept:
            judge.memo = {tuple(schedule): verdict for schedule, verdict in kept["memo"]}
        self._rewind(name, kept)
        while not search.done:
            search.advance(judge)
            best = search.history[-1]
            self.run.log(stage=name, **{key: best[key] for key in ("generation", "fitness", "median")})
            memo = [[list(schedule), verdict] for schedule, verdict in judge.memo.items()]
            write_text(path, json.dumps({"search": search.state, "memo": memo, "lines": len(self.run.metrics())}))
            self._advance(search.generation / (search.config.generations + 1), name)
        self.pruner.adopt(search, self.texts.validation, fitness=self.fitness, refine=name == "refine")
        self.pruner.metrics[name] = search.history[-1]["fitness"]
        self.pruner.save_pretrained(self.run.checkpoints / f"after-{name}")

    def _train(self) -> None:
        path, losses, kept = self.run.checkpoints / "train.safetensors", {}, None
        training = self.pruner.training(self.texts.training, self.train, self.texts.validation)
        if path.exists():
            tensors, kept = read_training(path)
            losses = kept["losses"]
            training.restore(tensors, kept["step"], [(step, verdict) for step, verdict in kept["verdicts"]])
        self._rewind("train", kept)
        while not training.done:
            losses = training.step()
            if training.step_number % _EVERY == 0 or training.done:
                self.run.log(stage="train", step=training.step_number, **losses)
                state = training.state()
                meta = {"step": training.step_number, "lines": len(self.run.metrics()), "losses": losses,
                        "verdicts": state["verdicts"]}  # fmt: skip
                artifacts.save(path, state["tensors"], package="tokenprune", meta=meta, force=True, **_ABOUT)
            self._advance(training.step_number / self.train.steps, "train")
        self.pruner.metrics["train"] = losses
        self.pruner.note(training)
        self.pruner.save_pretrained(self.run.checkpoints / "after-train")

    def _advance(self, share: float, name: str) -> None:
        """Show that this share of a stage is finished."""
        before, self._shown = self._shown, STAGES.index(name) + share
        self._bar.advance(self._shown - before, note=name)

    def _rewind(self, name: str, kept: dict[str, Any] | None) -> None:
        """Forget what a stage logged after its checkpoint; all of it, where the kill came before the first one."""
        others = sum(line["stage"] != name for line in self.run.metrics())
        self.run.rewind(others if kept is None else kept["lines"])

    def _picture(self) -> None:
        if importlib.util.find_spec("matplotlib") is None:
            return
        from ninefold.report import save_figure

        ids, mask, _ = self.texts.calibration.part(0, 1).inputs
        save_figure(self.pruner.report(ids, mask).gate_map(), self.run.figures / "gate-map.png")


def schedule_table(made: PublishedPruner) -> Table:
    """A pruner's schedule, with its metrics as notes."""
    table = Table(["block", "sparsity"], [[block, s] for block, s in enumerate(made.schedule)], title="Schedule")
    table.notes = [f"{name}: {_short(value)}" for name, value in made.metrics.items() if name != "held_out"]
    table.notes.append(_of_held_out(made.metrics.get("held_out")))
    return table


def _of_held_out(kl: dict[str, float] | None) -> str:
    if kl is None:
        return "held out: nothing, the text is too short for it"
    says = f"held out: {kl['pruner']:.4g} nats a token from the dense model, training-free {kl['training-free']:.4g}"
    return f"{says}: use the training-free pruner" if kl["pruner"] > kl["training-free"] else says


def _short(value: Any) -> str:
    """A number, or several by name, as one reads them."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    return f"{value:.4g}"


def held_out(pruner: PublishedPruner, data: Scored) -> dict[str, float]:
    """Divergence from the dense model on unseen sequences, nats a token: the pruner's, and the training-free one's."""
    target = float(np.mean(pruner.schedule))
    free = TokenPruner(pruner.layout.model, FTPConfig(target_sparsity=target))
    arms: dict[str, Executor] = {"pruner": pruner.executor(), "training-free": free.executor()}
    counts = torch.tensor(data.counts)
    found = text_divergence(arms, data)
    return {name: float((data.by_sequence(torch.from_numpy(kl)) / counts).mean()) for name, kl in found.items()}


def read_training(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, step and what goes with it) of a training's checkpoint."""
    kept = artifacts.Artifact(path, **_ABOUT)
    return {name: kept.torch(name) for name in kept.names}, dict(kept.meta)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise ArtifactError(path, "is damaged: it is no JSON object") from None
