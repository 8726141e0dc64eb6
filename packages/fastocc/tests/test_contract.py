"""The contract that every package keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastocc import FastOccConfig, FastOccModel
from ninefold_testing import ContractTests

SMALL = ["--grid", "micro", "--height", "16", "--width", "32"]


class TestContract(ContractTests):
    package = "fastocc"

    @pytest.fixture(autouse=True)
    def _street(self, street: Path) -> None:
        self.street = street

    def seeded_command(self, tmp_path: Path) -> list[str]:
        return ["simulate", "--train", "1", "--val", "0", "--frames", "1", *SMALL, "-o", str(tmp_path / "street")]

    def make_artifact(self, tmp_path: Path) -> Path:
        path = tmp_path / "model"
        small = FastOccConfig.preset("micro", widths=[4, 4, 4], image_channels=4, view_channels=4, bev_channels=4)
        FastOccModel(small).save_pretrained(path)
        return path

    def load_artifact(self, path: Path) -> Any:
        return FastOccModel.from_pretrained(path)

    def long_command(self, tmp_path: Path) -> list[str]:
        return ["train", "--preset", "micro", "--root", str(self.street), "--steps", "16", "--every", "2"]

    def output_commands(self, tmp_path: Path) -> dict[str, list[str]]:
        street = str(self.street)
        return {
            "simulate": ["simulate", "--train", "1", "--val", "0", "--frames", "1", *SMALL],
            "labels": ["labels", street, "--grid", "micro"],
            "rig": ["rig", str(self.street / "rig.yaml")],
            "render": ["render", street],
            "train": ["train", "--preset", "micro", "--root", street],
            "eval": ["eval", "demo", "--root", street],
            "predict": ["predict", "demo", "--root", street],
            "export": ["export", "demo"],
            "run": ["run", "demo", "drive.mcap", "--rig", "rig.yaml"],
            "convert": ["convert", "flash.pth", "--source", "flashocc"],
            "compare": ["compare", "--preset", "micro", "--root", street],
        }
