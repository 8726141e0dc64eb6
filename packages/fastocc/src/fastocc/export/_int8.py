"""Exported graphs in 8 bits by onnxruntime's own quantiser: convolutions and matrix products, calibrated on images."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from ninefold import artifacts
from ninefold.errors import InputError, require

from fastocc.export._onnx import DATA, GRAPH, KIND, STATE


def quantize_graph(
    path: str | Path, images: Iterable[np.ndarray], out: str | Path, *, force: bool = False
) -> Path:  # fmt: skip
    """Write an 8-bit copy of a folder that `export_model` wrote; it is used as the first one is.

    Args:
        path: folder of the graph. images: some (1, N, 3, H, W) inputs, which say how wide the numbers between layers
            spread; a dozen frames do. out: folder to write.
    Returns: the folder.
    Raises: MissingExtraError without the extra `onnx`; InputError without images, or for a graph with history.
    """
    quantization = require("onnxruntime.quantization", "fastocc", "onnx")
    onnx = require("onnx", "fastocc", "onnx")
    folder = artifacts.FolderArtifact(path, kind=KIND, format_version=1)
    graph, _ = folder.file(GRAPH), folder.file(DATA)
    model = onnx.load(str(graph))
    inputs = [one.name for one in model.graph.input]
    if set(STATE) & set(inputs):
        raise InputError("graph", got="one with history", expected="one of single frames: its state stays in 32 bits")
    feeds = _Feeds(inputs[0], images)
    if feeds.count == 0:
        raise InputError("images", got="none", expected="a dozen frames to calibrate with", where=path)
    about = json.loads(folder.file("about.json").read_text(encoding="utf-8"))
    with artifacts.write_folder(out, kind=KIND, format_version=1, package="fastocc", force=force) as target:
        logger = logging.getLogger()
        before = logger.level
        logger.setLevel(logging.ERROR)  # the quantiser's advice to preprocess
        place = Path(tempfile.mkdtemp(prefix="fastocc-int8-"))
        try:
            onnx.save(model, str(place / "whole.onnx"))
            quantization.quantize_static(
                str(place / "whole.onnx"), str(place / "int8.onnx"), feeds, per_channel=True,
                quant_format=quantization.QuantFormat.QDQ, activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8, op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            )  # fmt: skip
            made = onnx.load(str(place / "int8.onnx"))
            onnx.save(made, str(target / GRAPH), save_as_external_data=True, location=DATA, size_threshold=256)
        finally:
            logger.setLevel(before)
            shutil.rmtree(place, ignore_errors=True)
        (target / "about.json").write_text(json.dumps({**about, "bits": 8}, indent=2) + "\n", encoding="utf-8")
    return Path(out)


class _Feeds:
    """What the quantiser calibrates with: one dictionary of inputs after another, then None."""

    def __init__(self, name: str, images: Iterable[np.ndarray]) -> None:
        kept = [np.asarray(one, np.float32) for one in images]
        self.count, self._coming = len(kept), self._feeds(name, kept)

    @staticmethod
    def _feeds(name: str, images: list[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        for one in images:
            yield {name: one}

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._coming, None)
