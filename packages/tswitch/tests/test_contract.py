"""The contract that every package keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ninefold_testing import ContractTests
from tswitch import FinetuneConfig, QuerySet, Switch, finetune
from tswitch.routing._query_set import FeatureSettings

from . import models, tiny


class TestContract(ContractTests):
    package = "tswitch"

    def seeded_command(self, tmp_path: Path) -> list[str]:
        base, tuned = tmp_path.parent / "base", tmp_path.parent / "tuned"  # one pair for each run of a test
        if not tuned.exists():
            finetune(tiny.base(base), tiny.task(), tuned, FinetuneConfig(steps=20, lr=2e-2, head_lr=0.1, batch=16))
        rows = tiny.csv(tmp_path / "things.csv", ("fruit", "tool"), rows=60)
        words = ["sweep", str(base), str(tuned), "--csv", str(rows), "--alpha", "0.5,0.8,0.9"]
        return [*words, "-o", str(tmp_path / "out")]

    def make_artifact(self, tmp_path: Path) -> Path:
        base, tuned = models.pair()
        folder = tmp_path / "switch"
        Switch.from_checkpoints(base, tuned, alpha=0.6).save_pretrained(folder)
        QuerySet(base["layer.weight"], FeatureSettings()).save(folder / "query_set.safetensors")
        return folder

    def load_artifact(self, path: Path) -> Any:
        switch = Switch.from_pretrained(path)
        switch.verify()
        return switch, QuerySet.load(path)

    def long_command(self, tmp_path: Path) -> list[str]:
        words = ["finetune", str(tiny.base(tmp_path / "base")), "--csv", str(tiny.csv(tmp_path / "things.csv"))]
        return [*words, "--steps", "200", "--batch", "8"]

    def output_commands(self, tmp_path: Path) -> dict[str, list[str]]:
        base, folder, rows = "base", str(tmp_path), str(tmp_path / "rows.csv")
        return {
            "finetune": ["finetune", base, "--csv", rows],
            "compress": ["compress", base, folder],
            "export": ["export", base, folder],
            "merge": ["merge", str(tmp_path / "recipe.yml")],
            "sweep": ["sweep", base, folder, "--csv", rows],
        }
