"""The contract that every package keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ninefold_testing import ContractTests
from template_package import Estimate


class TestContract(ContractTests):
    package = "template_package"

    def seeded_command(self, tmp_path: Path) -> list[str]:
        return ["estimate"]

    def make_artifact(self, tmp_path: Path) -> Path:
        path = tmp_path / "means.safetensors"
        Estimate(np.arange(5.0), "james-stein").save(path)
        return path

    def load_artifact(self, path: Path) -> Any:
        return Estimate.load(path)

    def long_command(self, tmp_path: Path) -> list[str]:
        return ["risk", "--blocks", "40"]

    def output_commands(self, tmp_path: Path) -> dict[str, list[str]]:
        return {"estimate": ["estimate"], "risk": ["risk"]}
