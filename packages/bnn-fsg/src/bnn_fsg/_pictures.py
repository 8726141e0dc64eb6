"""Labelled pictures for `eval`: parquet files as on the Hugging Face hub, or an npz file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from ninefold.errors import InputError, require


def labelled_pictures(path: str | Path, split: str = "test") -> tuple[np.ndarray, np.ndarray]:
    """(uint8 (n, height, width, channels), int64 (n,)) of a data set.

    Args:
        path: an npz file with `pictures` and `labels`, a parquet file, or a folder with `<split>-*.parquet`; parquet
            has columns `img` (struct with `bytes`) and `label`.
        split: which files of a folder.
    Raises: InputError naming the file, if there is none or it holds something else.
    """
    path = Path(path)
    if path.suffix == ".npz" and path.is_file():
        held = np.load(path, allow_pickle=False)
        if not {"pictures", "labels"} <= set(held.files):
            raise InputError("npz file", got=f"arrays {held.files}", expected="pictures and labels", where=path)
        return held["pictures"], held["labels"].astype(np.int64)
    files = [path] if path.is_file() else sorted(path.glob(f"{split}-*.parquet"))
    if not files:
        raise InputError("data", got=path, expected=f"an npz file, a parquet file, or a folder with {split}-*.parquet")
    _check_shards(files, path)
    parquet, images = require("pyarrow.parquet", "bnn_fsg", "data"), require("PIL.Image", "bnn_fsg", "data")
    pictures, labels = [], []
    for file in files:
        try:
            table = parquet.read_table(file, columns=["img", "label"])
        except Exception as error:  # pyarrow raises its own kinds, and KeyError
            raise InputError("parquet file", got=str(error), expected="columns img and label", where=file) from None
        for row in table["img"].to_pylist():
            pictures.append(np.asarray(images.open(io.BytesIO(row["bytes"])).convert("RGB")))  # noqa: PERF401
        labels += table["label"].to_pylist()
    return np.stack(pictures), np.array(labels, np.int64)


def _check_shards(files: list[Path], where: Path) -> None:
    """Names like test-00000-of-00002: all of them must be there, once."""
    ends = [file.stem.split("-of-") for file in files]
    numbered = [(int(end[0].rsplit("-", 1)[-1]), int(end[1])) for end in ends if len(end) == 2 and end[1].isdigit()]
    if len(files) > 1 and numbered and sorted(numbered) != [(i, numbered[0][1]) for i in range(numbered[0][1])]:
        got = ", ".join(file.name for file in files)
        raise InputError("parquet shards", got=got, expected=f"all {numbered[0][1]}, each once", where=where)
