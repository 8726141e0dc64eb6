"""The contract that every package keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mecoin import Mecoin
from ninefold_testing import ContractTests

from .small import graph, masks


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Encoders that the learners of a bench share are kept here for all tests of this module."""
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


class TestContract(ContractTests):
    package = "mecoin"

    def seeded_command(self, tmp_path: Path) -> list[str]:
        return ["split", "demo"]

    def make_artifact(self, tmp_path: Path) -> Path:
        path = tmp_path / "model.safetensors"
        data = graph()
        Mecoin(hidden=16, mode="transductive").fit_base(data, *masks(data, (0, 1, 2))).save(path)
        return path

    def load_artifact(self, path: Path) -> Any:
        return Mecoin.load(path)

    def long_command(self, tmp_path: Path) -> list[str]:
        return ["compare", "demo", "--sessions", "2", "--learners", "mecoin+,SGC-NCM"]

    def output_commands(self, tmp_path: Path) -> dict[str, list[str]]:
        return {
            "split": ["split", "demo"],
            "fit": ["fit", "demo"],
            "add": ["add", str(tmp_path / "model"), "demo"],
            "predict": ["predict", str(tmp_path / "model"), "demo"],
            "compare": ["compare", "demo"],
        }
