"""A folder of predictions: one npz for each frame of a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ninefold import artifacts

from fastocc.datasets import OccDataset
from fastocc.evaluation import predict_frame
from fastocc.export._predictions import write_prediction
from fastocc.models import FastOccModel


def write_predictions(
    model: FastOccModel, data: OccDataset, out: Path, *, force: bool = False,
    advance: Callable[[], object] = lambda: None,
) -> None:  # fmt: skip
    """Predict all frames into `out`/SCENE/TOKEN.npz; `force` replaces an earlier folder, `advance` counts frames."""
    with artifacts.write_folder(
        out, kind="fastocc.predictions", format_version=1, package="fastocc", force=force
    ) as folder:
        for at, one in enumerate(data.infos):
            write_prediction(folder / one.scene / f"{one.token}.npz", predict_frame(model, data, at))
            advance()
