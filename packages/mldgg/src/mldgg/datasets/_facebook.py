"""Facebook-100 from the user's own copy (records of real students: not shipped)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from ninefold_graphs import Graph, load_mat

from mldgg.datasets._doors import graph_of


def load_facebook(folder: str | Path, schools: Sequence[str] | None = None) -> dict[str, Graph]:
    """Read `<School>.mat` files: the label is gender, features are one-hot columns of the other six attributes.

    Args:
        folder: where the files are.
        schools: names without `.mat`; all files of the folder by default.
    Returns: graphs by school; the one-hot columns are those of the union of all schools read.
    """
    folder = Path(folder)
    names = list(schools or sorted(path.stem for path in folder.glob("*.mat")))
    if not names:
        raise InputError("folder", got="no .mat file", expected="<School>.mat files of Facebook-100", where=folder)
    held = {name: _read(folder / f"{name}.mat") for name in names}
    others = [0, 2, 3, 4, 5, 6]  # status, major, minor, dorm, year, school; column 1 is gender
    values = [np.unique(np.concatenate([info[:, column] for _, info in held.values()])) for column in others]
    graphs = {}
    for name, (network, info) in held.items():
        blocks = [
            sp.csr_matrix(
                (np.ones(len(info), np.float32), (np.arange(len(info)), np.searchsorted(known, info[:, column]))),
                shape=(len(info), known.size),
            )
            for column, known in zip(others, values, strict=True)
        ]
        pairs = np.stack([network.row, network.col])
        graphs[name] = graph_of(name, sp.hstack(blocks, "csr"), pairs, info[:, 1] - 1, ("1", "2"))
    return graphs


def _read(path: Path) -> tuple[sp.coo_matrix, np.ndarray]:
    try:
        held = load_mat(path, {"A", "local_info"})
        network, info = sp.coo_matrix(held["A"]), np.asarray(held["local_info"], np.int64)
        if network.shape != (len(info), len(info)):
            raise ValueError(f"A of shape {network.shape} for {len(info)} rows of local_info")
        if info.shape[1] != 7:
            raise ValueError(f"local_info of shape {info.shape}")
    except (OSError, OverflowError, TypeError, ValueError) as error:
        raise InputError("Facebook-100 file", got=str(error), expected="keys A and local_info", where=path) from None
    return network, info
