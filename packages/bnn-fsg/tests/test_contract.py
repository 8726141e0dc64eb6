"""The contract that every package keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bnn_fsg import PackedModel
from bnn_fsg.runtime import _format
from ninefold_testing import ContractTests


class TestContract(ContractTests):
    package = "bnn_fsg"
    verbs_load_torch = True

    def seeded_command(self, tmp_path: Path) -> list[str]:
        return ["pretrain", "--net", "mlp", "--epochs", "1", "-o", str(tmp_path / "out")]

    def make_artifact(self, tmp_path: Path) -> Path:
        path, generator = tmp_path / "model.bnn", np.random.default_rng(0)
        node = {"op": "conv_bits", "in": ["input"], "out": "fc"}
        graph = {"input": [70], "output": "fc", "output_rank": 2, "nodes": [node]}
        arrays = {"bits": generator.random((10, 1, 70)) < 0.5, "threshold": np.zeros(1, np.float32)}
        arrays |= {"scale": np.ones(10, np.float32), "shift": np.zeros(10, np.float32)}
        data = _format.encode(graph, {f"fc.{key}": value for key, value in arrays.items()})
        PackedModel(data).save(path)
        return path

    def load_artifact(self, path: Path) -> Any:
        return PackedModel.load(path)

    def output_commands(self, tmp_path: Path) -> dict[str, list[str]]:
        packed, start = str(self.make_artifact(tmp_path)), str(tmp_path / "start")
        verbs = {"pack": ["pack", start], "export": ["export", packed], "pretrain": ["pretrain"]}
        return verbs | {"train": ["train", start], "predict": ["predict", packed, start]}

    def long_command(self, tmp_path: Path) -> list[str]:
        return ["pretrain", "--epochs", "8", "--width", "4"]
