"""Data, frozen encoder and trained heads that the experiments share, kept in the cache so that a killed run goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastocc.datasets import OccDataset, default_simulation
from fastocc.evaluation import RATES, Encoded, choose_rate, encode_splits, evaluate_head, trained_head
from fastocc.heads import FastOccHead, OccHead
from fastocc.models import FastOccConfig
from fastocc.training import TrainConfig
from ninefold.datasets import cache_path
from ninefold.files import write_text
from ninefold_lab import Budget


@dataclass(frozen=True)
class Setting:
    """How large an experiment is.

    Attributes:
        preset: of the network. scenes: training scenes (a quarter of that for validation). frames: a scene.
        encoder_steps, head_steps, search_steps: of the encoder, of each head, of each trial of the rate search.
        whole_steps: of models that are trained end to end.
    """

    preset: str
    scenes: int
    frames: int
    encoder_steps: int
    head_steps: int
    search_steps: int
    whole_steps: int

    @property
    def config(self) -> FastOccConfig:
        """The network."""
        return FastOccConfig.preset(self.preset)

    @property
    def folder(self) -> Path:
        """Where encoder, views and heads are kept."""
        name = f"{self.preset}-{self.scenes}x{self.frames}-{self.encoder_steps}"
        return cache_path("fastocc") / "heads" / name

    def splits(self, *, moving: bool = False) -> tuple[OccDataset, OccDataset]:
        """Training and validation frames; validation scenes are unseen and hold shapes that training never shows.

        Args:
            moving: the vehicle moves in every scene, not in half of them.
        """
        config = self.config
        root = default_simulation(
            self.scenes, max(1, self.scenes // 4), frames=self.frames, grid=config.grid, size=config.image_size,
            moving=moving,
        )  # fmt: skip
        train, val = (OccDataset(root, "sim", split) for split in ("train", "val"))
        return train, val

    def encoded(self, *, looks: bool = False) -> Encoded:
        """The encoder, trained with `bevnet` and frozen, and its views of both splits.

        Args:
            looks: its image features too, for heads that need z: 0.1 GB in half precision, sampled at voxel centres
                during training and evaluation; the sampled volumes would be 3 GB.
        """
        recipe = TrainConfig.for_preset(self.preset, steps=self.encoder_steps, every=50)
        return encode_splits(self.folder, self.config, recipe, self.splits(), looks=looks)

    def rate(self, name: str, encoded: Encoded, **changes: Any) -> float:
        """The learning rate that the search chose for a head: the same trials for each."""
        path = self.folder / f"rate-{self._tag(name, changes)}-{self.search_steps}-of-{len(RATES)}.json"
        if not path.exists():
            found = choose_rate(name, self.config, encoded.train, encoded.dataset, self.search_steps, **changes)
            write_text(path, json.dumps({"rate": found}))
        return float(json.loads(path.read_text(encoding="utf-8"))["rate"])

    def head(self, name: str, encoded: Encoded, seed: int, **changes: Any) -> OccHead:
        """A head trained with the searched rate; `changes` alter the configuration (lift, fpn)."""
        rate = 0.0 if name == "prior" else self.rate(name, encoded, **changes)
        keep = self.folder / f"head-{self._tag(name, changes)}-{seed}-{self.head_steps}-{rate:g}.safetensors"
        steps = self.head_steps
        common: dict[str, Any] = {"steps": steps, "seed": seed, "rate": rate, "keep": keep}
        return trained_head(name, self.config, encoded, **common, **changes)

    def _tag(self, name: str, changes: dict[str, Any]) -> str:
        if name != FastOccHead.name:
            return "-".join([name, *(str(value) for value in changes.values())])
        whole = self.config.with_head(name, **changes)
        return f"{name}-{whole.lift}-{whole.fpn}-residual-{whole.channels}"  # as heads are named that were kept before

    def miou(self, name: str, encoded: Encoded, seed: int, **changes: Any) -> float:
        """mIoU in % of a head on unseen frames, camera mask."""
        done = evaluate_head(self.head(name, encoded, seed, **changes), encoded.val, encoded.dataset, rayiou=False)
        return 100 * done.miou.miou


FULL = Setting("mini", 100, 4, 1500, 600, 600, 1000)
QUICK = Setting("micro", 4, 2, 8, 8, 2, 6)


def setting(budget: Budget) -> Setting:
    """The full form on `mini`, or a look on `micro` whose scores say little."""
    return FULL if budget.form == "full" else QUICK
