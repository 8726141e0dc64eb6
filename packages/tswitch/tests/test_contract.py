"""The contract that every package keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ninefold.testing import ContractTests
from tswitch import QuerySet, Switch
from tswitch._query_set import FeatureSettings

from . import models, tiny


class TestContract(ContractTests):
    package = "tswitch"

    def seeded_command(self, tmp_path: Path) -> list[str]:
        words = ["finetune", str(tiny.base(tmp_path / "base")), "--csv", str(tiny.csv(tmp_path / "things.csv"))]
        return [*words, "--steps", "3", "-o", str(tmp_path / "tuned")]

    def make_artifact(self, tmp_path: Path) -> Path:
        base, tuned = models.pair()
        folder = tmp_path / "switch"
        Switch.from_checkpoints(base, tuned).save_pretrained(folder)
        QuerySet(base["layer.weight"], FeatureSettings()).save(folder / "query_set.safetensors")
        return folder

    def load_artifact(self, path: Path) -> Any:
        switch = Switch.from_pretrained(path)
        switch.verify()
        return switch, QuerySet.load(path)

    def long_command(self, tmp_path: Path) -> list[str]:
        words = ["finetune", str(tiny.base(tmp_path / "base")), "--csv", str(tiny.csv(tmp_path / "things.csv"))]
        return [*words, "--steps", "1200"]
