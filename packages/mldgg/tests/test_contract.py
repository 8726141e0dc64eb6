"""The contract that every package keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mldgg import Estimate
from ninefold.testing import ContractTests


class TestContract(ContractTests):
    package = "mldgg"

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
