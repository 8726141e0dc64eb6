"""The contract that every package keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ninefold_testing import ContractTests
from tokenprune import FTPConfig, TokenPruner, tiny_model

SIZES = ["--model", "tiny", "--windows", "2", "--length", "24", "--scored", "4"]
SMALL = [*SIZES, "--population", "5", "--long", "0"]


class TestContract(ContractTests):
    package = "tokenprune"

    def seeded_command(self, tmp_path: Path) -> list[str]:
        return ["ftp", *SMALL, "--router", "static", "--generations", "1", "-o", str(tmp_path / "out")]

    def make_artifact(self, tmp_path: Path) -> Path:
        pruner = TokenPruner(tiny_model(), FTPConfig(), [0.0, 0.2, 0.4, 0.6])
        pruner.history, pruner.metrics = [{"generation": 0, "fitness": 0.5}], {"search": 0.5}
        pruner.save_pretrained(tmp_path / "pruner")
        return tmp_path / "pruner"

    def load_artifact(self, path: Path) -> Any:
        return TokenPruner.from_pretrained(path, tiny_model())

    def output_commands(self, tmp_path: Path) -> dict[str, list[str]]:
        verbs = {"ftp": ["ftp", *SMALL], "compare": ["compare", *SIZES], "recall": ["recall", "--model", "tiny"]}
        return verbs | {"convert-gguf": ["convert-gguf", "model.gguf"], "learn": ["learn", "--model", "tiny"]}

    def long_command(self, tmp_path: Path) -> list[str]:
        return ["ftp", *SMALL, "--generations", "2", "--steps", "20"]
