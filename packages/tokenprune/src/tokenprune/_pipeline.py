"""The three stages in a run folder: killed anywhere, the next call goes on and ends at the same schedule and router."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ninefold import artifacts
from ninefold.errors import ArtifactError
from ninefold.files import write_text
from ninefold.run import Run
from torch import nn

from tokenprune._genetic import SearchConfig
from tokenprune._pruner import TokenPruner
from tokenprune._scored import Scored
from tokenprune._train import TrainConfig

STAGES = ("search", "train", "refine")
_EVERY = 10  # steps of training between two checkpoints


class Pipeline:
    """Stages of one pruner in one run folder.

    Args:
        run: the open folder.
        pruner: as it is before the first stage.
        calibration: scored sequences for search and refinement.
        texts: sequences for router training.
        search, train: sizes.
        fitness: see `Fitness`.
        advance: is called with a share of the stage done and its name.
    """

    def __init__(
        self, run: Run, pruner: TokenPruner, calibration: Scored, texts: Scored, *, search: SearchConfig,
        train: TrainConfig, fitness: Any = "kl", advance: Callable[[float, str], object] = lambda *_: None,
    ) -> None:  # fmt: skip
        self.run, self.pruner, self.calibration, self.texts = run, pruner, calibration, texts
        self.search, self.train, self.fitness, self.advance = search, train, fitness, advance

    def stages(self, names: Sequence[str]) -> TokenPruner:
        """Run these stages, or what is left of them, and write the folder `pruner`."""
        model: nn.Module = self.pruner.layout.model
        for name in names:
            done = self.run.checkpoints / f"after-{name}"
            if done.is_dir():
                self.pruner = TokenPruner.from_pretrained(done, model)
            elif name == "train":
                if self.pruner.net is not None:
                    self._train(done)
            else:
                self._search(name, done)
            self.advance(1.0, name)
        final = self.run.path / "pruner"
        if not final.is_dir():
            self._picture()
            self.pruner.save_pretrained(final)
        return self.pruner

    def _search(self, name: str, done: Path) -> None:
        checkpoint = self.run.checkpoints / f"{name}.json"
        kept = _read_json(checkpoint)
        search, judge = self.pruner.searching(
            self.calibration, self.search, fitness=self.fitness, refine=name == "refine",
            state=kept["search"] if kept else None,
        )  # fmt: skip
        if kept:
            judge.memo = {tuple(schedule): verdict for schedule, verdict in kept["memo"]}
            self.run.rewind(kept["lines"])
        generations = search.config.generations + 1
        while not search.done:
            search.advance(judge)
            best = search.history[-1]
            self.run.log(stage=name, **{key: best[key] for key in ("generation", "fitness", "median")})
            memo = [[list(schedule), verdict] for schedule, verdict in judge.memo.items()]
            state = {"search": search.state, "memo": memo, "lines": len(self.run.metrics())}
            write_text(checkpoint, json.dumps(state))
            self.advance(search.generation / generations, name)
        self.pruner.adopt(search)
        self.pruner.metrics[name] = search.history[-1]["fitness"]
        self.pruner.save_pretrained(done)

    def _train(self, done: Path) -> None:
        training = self.pruner.training(self.texts, self.train)
        checkpoint = self.run.checkpoints / "train.safetensors"
        about = {"kind": "tokenprune.training", "format_version": 1}
        if checkpoint.is_file():
            kept = artifacts.Artifact(checkpoint, **about)
            training.restore({name: kept.torch(name) for name in kept.names}, kept.meta["step"])
            self.run.rewind(kept.meta["lines"])
        losses: dict[str, float] = {}
        while not training.done:
            losses = training.step()
            if training.step_number % _EVERY == 0 or training.done:
                self.run.log(stage="train", step=training.step_number, **losses)
                state = training.state()
                meta = {"step": training.step_number, "lines": len(self.run.metrics()), "losses": losses}
                artifacts.save(checkpoint, state["tensors"], package="tokenprune", meta=meta, force=True, **about)
            self.advance(training.step_number / self.train.steps, "train")
        self.pruner.metrics["train"] = artifacts.Artifact(checkpoint, **about).meta["losses"]
        self.pruner.save_pretrained(done)

    def _picture(self) -> None:
        if importlib.util.find_spec("matplotlib") is None:
            return
        from ninefold.report import save_figure

        ids, mask, _ = self.calibration.part(0, 1).inputs
        save_figure(self.pruner.report(ids, mask).gate_map(), self.run.figures / "gate-map.png")


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise ArtifactError(path, "is damaged: it is no JSON object") from None
