"""Running an exported graph in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from ninefold import artifacts
from ninefold.errors import ArtifactError, require
from torch import Tensor

from fastocc.export._onnx import DATA, GRAPH, KIND, STATE, export_head
from fastocc.heads import HeadContext, OccHead


class OnnxGraph:
    """An exported folder, loaded in onnxruntime on the CPU.

    Args:
        path: folder written by `export_model` or `export_head`. threads: of onnxruntime; 0 leaves it to the library.
    """

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        runtime = require("onnxruntime", "fastocc", "onnx")
        folder = artifacts.FolderArtifact(path, kind=KIND, format_version=1)
        graph, _ = folder.file(GRAPH), folder.file(DATA)  # graph and weights belong together
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.session = runtime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common base for damaged graphs
            raise ArtifactError(graph, f"does not load: {str(error).splitlines()[0]}") from None
        self.input = self.session.get_inputs()[0].name
        shapes = {one.name: one.shape for one in self.session.get_inputs()}
        self._shapes = {name: shapes[name] for name in STATE if name in shapes}
        self.state: dict[str, np.ndarray] = {}

    def __call__(self, array: np.ndarray, motion: np.ndarray | None = None) -> np.ndarray:
        """Run the graph; one with history keeps its state for the next call.

        Args:
            array: input as named in about.json. motion: (4, 4) this frame's ego frame to that of the last call; None
                forgets what was before.
        Returns: labels (1, X, Y, Z) or logits (1, X, Y, Z, K).
        """
        feeds = {self.input: np.asarray(array, np.float32)}
        if self._shapes:
            if motion is None or not self.state:
                bev, poses = (self._shapes[name] for name in STATE)
                unit = np.broadcast_to(np.eye(4, dtype=np.float32), poses)
                self.state = dict(zip(STATE, (np.zeros(bev, np.float32), np.ascontiguousarray(unit)), strict=True))
            moved = np.eye(4) if motion is None else motion
            feeds |= {**self.state, "motion": np.asarray(moved, np.float32)[None]}
        made, *after = self.session.run(None, feeds)
        self.state = dict(zip(STATE, after, strict=True)) if after else {}
        return made


def by_onnxruntime(
    folder: Path, threads: int, head: OccHead, bev: Tensor, context: HeadContext | None = None
) -> Callable[[], object]:
    """A call of a head in onnxruntime on one frame, for `evaluation.time_heads`; the graph lies below `folder`."""
    graph = OnnxGraph(export_head(head, bev, folder / head.name, context=context), threads)
    feeds = {"bev": bev.numpy()} | ({} if context is None else {"features": context.features.numpy()})
    return partial(graph.session.run, None, feeds)


def agreement(graph: OnnxGraph, array: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference from torch's logits, divided by their largest magnitude; of labels, the share that differs."""
    if expected.dtype == np.uint8:
        return float((graph(array) != expected).mean())
    return float(np.abs(graph(array) - expected).max() / max(float(np.abs(expected).max()), 1e-12))


def node_types(path: str | Path) -> dict[str, int]:
    """Number of nodes of each type in an exported folder's graph, nested functions included."""
    onnx = require("onnx", "fastocc", "onnx")
    graph = onnx.load(str(Path(path) / GRAPH), load_external_data=False)
    counts: dict[str, int] = {}
    for node in [*graph.graph.node, *(node for function in graph.functions for node in function.node)]:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return counts
