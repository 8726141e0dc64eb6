"""The contract that every package keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mldgg import MLDGG
from ninefold_testing import ContractTests

from .small import domains, write_folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


class TestContract(ContractTests):
    package = "mldgg"

    def seeded_command(self, tmp_path: Path) -> list[str]:
        write_folder(tmp_path / "graphs")
        return ["fit", str(tmp_path / "graphs"), "--leave-out", "south", "--no-gate", "-o", str(tmp_path / "run")]

    def make_artifact(self, tmp_path: Path) -> Path:
        path = tmp_path / "model.safetensors"
        MLDGG().fit(domains().without("south")).save(path)
        return path

    def load_artifact(self, path: Path) -> Any:
        return MLDGG.load(path)

    def long_command(self, tmp_path: Path) -> list[str]:
        write_folder(tmp_path / "graphs")
        return ["compare", str(tmp_path / "graphs"), "--methods", "erm,target-only", "--shots", "0,5", "--seeds", "1"]

    def output_commands(self, tmp_path: Path) -> dict[str, list[str]]:
        return {
            "fit": ["fit", "simulated"],
            "adapt": ["adapt", "model.safetensors", "simulated", "--graph", "west", "--shots", "5"],
            "predict": ["predict", "adapted.safetensors", "simulated"],
            "inspect": ["inspect", "adapted.safetensors", "--data", "simulated"],
            "compare": ["compare", "simulated"],
        }
