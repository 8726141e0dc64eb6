"""The contract that every package keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ninefold_testing import ContractTests
from semcom.models import MaeConfig, SmallMae, load_model, save_model


class TestContract(ContractTests):
    package = "semcom"

    def seeded_command(self, tmp_path: Path) -> list[str]:
        return ["bench", "phy", "--snr", "1", "--blocks", "300"]

    def make_artifact(self, tmp_path: Path) -> Path:
        path = tmp_path / "model.safetensors"
        save_model(SmallMae(MaeConfig(8, 4, 8, 1, 1, 8, 1, 1)), path, recipe={"steps": 0})
        return path

    def load_artifact(self, path: Path) -> Any:
        return load_model(path, SmallMae.kind)

    def long_command(self, tmp_path: Path) -> list[str]:
        return ["bench", "phy", "--snr", "0:2:0.2", "--blocks", "200"]

    def output_commands(self, tmp_path: Path) -> dict[str, list[str]]:
        return {
            "baseline": ["baseline", str(tmp_path)],
            "finetune": ["finetune", "mae-32p4"],
        }
