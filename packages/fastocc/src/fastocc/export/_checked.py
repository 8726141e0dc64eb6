"""An exported graph of a model for one rig, compared with torch and timed in onnxruntime; engines that time heads."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from fastocc.datasets import OccDataset
from fastocc.evaluation import median_seconds
from fastocc.export._int8 import quantize_graph
from fastocc.export._onnx import DATA, GRAPH, export_model
from fastocc.export._runtime import OnnxGraph, agreement, by_onnxruntime
from fastocc.geometry import CameraRig
from fastocc.heads import HeadContext, OccHead
from fastocc.models import FastOccModel

BACKENDS = ("native", "decomposed")


def export_checked(
    model: FastOccModel, rig: CameraRig, out: Path, *, opset: int = 20, backend: str = "native", logits: bool = False,
    calibration: OccDataset | None = None, threads: int = 0, force: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Write a graph into a folder, and run it in onnxruntime on random images.

    Args:
        model: to export. rig: whose cameras the graph is for. out: the folder. opset: 17 or newer.
        backend: of deformable convolutions: native, decomposed, or auto: the faster one on this machine.
        logits: the graph returns logits instead of labels.
        calibration: frames on which 8 bits are calibrated; None writes 32 bits.
        threads: of onnxruntime, 0 for its own choice. force: replace what an earlier run wrote.
    Returns: files, backend, difference to torch, and seconds for one frame.
    Raises: InputError for an unknown backend.
    """
    size = model.config.image_size
    images = np.random.default_rng(0).integers(0, 256, (1, len(rig.cameras), 3, *size))
    common: dict[str, Any] = {"opset": opset, "logits": logits}
    if backend == "auto":
        taken: dict[str, float] = {}
        for name in BACKENDS:
            with tempfile.TemporaryDirectory() as trial:
                graph = OnnxGraph(export_model(model, rig, Path(trial) / name, backend=name, **common), threads)
                taken[name] = median_seconds(lambda graph=graph: graph(images), 5)
        backend = min(taken, key=taken.__getitem__)
    elif backend not in BACKENDS:
        raise InputError("--backend", got=repr(backend), expected="native, decomposed or auto")
    common["backend"] = backend
    if calibration is None:
        export_model(model, rig, out, force=force, **common)
    else:
        with tempfile.TemporaryDirectory() as whole:
            export_model(model, rig, Path(whole) / "whole", **common)
            shown = (calibration.frame(at).images[None] for at in range(len(calibration)))
            quantize_graph(Path(whole) / "whole", shown, out, force=force)
    with torch.no_grad():
        matrices = (torch.from_numpy(one)[None] for one in (rig.cam2img, rig.cam2ego))
        output = model(torch.from_numpy(images).float(), *matrices)
        expected = (output.logits if logits else output.semantics).numpy()
    graph = OnnxGraph(out, threads)
    difference = agreement(graph, images, expected)
    what = "largest relative difference" if logits else "share of labels that differ from torch"
    return {
        "graph": out / GRAPH,
        "weights": out / DATA,
        "note": "keep both files together",
        "opset": opset,
        "deformable convolution": backend,
        what: difference,
        "onnxruntime seconds": median_seconds(lambda: graph(images), 5),
    }


def engine_of(name: str, folder: Path, threads: int = 0) -> Callable[..., Callable[[], object]] | None:
    """What makes calls of heads for `evaluation.time_heads`, by name.

    Args:
        name: torch (None is returned), compile (torch.compile) or ort (onnxruntime).
        folder: where graphs are written. threads: of onnxruntime, 0 for its own choice.
    Raises: InputError for another name.

    Examples:
        >>> from pathlib import Path
        >>> from fastocc.export._checked import engine_of

        >>> engine_of("torch", Path()) is None, callable(engine_of("compile", Path()))
        (True, True)
    """
    known = {"torch": None, "compile": _by_compile, "ort": partial(by_onnxruntime, folder, threads)}
    if name not in known:
        raise InputError("--engine", got=repr(name), expected="torch, compile or ort")
    return known[name]


def _by_compile(head: OccHead, bev: Tensor, context: HeadContext | None) -> Callable[[], object]:
    return partial(torch.compile(head), bev, context)
