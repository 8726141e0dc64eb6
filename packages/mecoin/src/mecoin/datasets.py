"""Real graphs by name, from files as PyG reads them, and readers for your own.

Files come from `$NINEFOLD_DATA/mecoin` (see `ninefold.datasets`); none of them ships in the package.

Examples:
    >>> from mecoin import datasets
    >>> datasets.DATASETS["CS"].counts  # nodes, directed edges, features, classes
    (18333, 163788, 6805, 15)
"""

from __future__ import annotations

from dataclasses import dataclass

from ninefold.datasets import find
from ninefold.errors import InputError
from ninefold_graphs import (
    Graph,
    Simulated,
    from_pyg,
    read_edge_list,
    read_mat,
    read_npz,
    read_ogb,
    read_reddit,
    to_pyg,
)

__all__ = [
    "DATASETS",
    "Dataset",
    "Graph",
    "Simulated",
    "from_pyg",
    "load",
    "read_edge_list",
    "read_mat",
    "read_npz",
    "read_ogb",
    "read_reddit",
    "to_pyg",
]


@dataclass(frozen=True)
class Dataset:
    """A graph that `load` knows.

    Attributes:
        file: below the package's data folder.
        sha256: of the file; None where no file was at hand to measure it.
        source: publication.
        counts: nodes, directed edges, features, classes.
        base, way: the split that is usual for it: base classes, new classes a session.
    """

    file: str
    sha256: str | None
    source: str
    counts: tuple[int, int, int, int]
    base: int
    way: int


_SHCHUR = "Shchur et al. 2018, arXiv 1811.05868"
_GAUSS = "Bojchevski and Günnemann 2018, arXiv 1707.03815"
DATASETS = {
    "CS": Dataset(
        "CS/raw/ms_academic_cs.npz",
        "c4c076767cd3021fb77554ea525e65d35ccd58ba394ac93973d833b6f5833a7a",
        _SHCHUR,
        (18_333, 163_788, 6_805, 15),
        base=5,
        way=1,
    ),
    "Computers": Dataset(
        "Computers/raw/amazon_electronics_computers.npz",
        "f9cc01f9074376f11d42c8f46ecba2626550fa9f9240b0dcdfc346bc91023451",
        _SHCHUR,
        (13_752, 491_722, 767, 10),
        base=5,
        way=1,
    ),
    "Photo": Dataset(
        "Photo/raw/amazon_electronics_photo.npz",
        "29e81dac76282fef13199d2462b852c0f0b845eb53955b3a3096345e64c39ed8",
        _SHCHUR,
        (7_650, 238_162, 745, 8),
        base=4,
        way=1,
    ),
    "Cora_ML": Dataset(
        "Cora_ML/raw/cora_ml.npz",
        "990a314a22048f8328c5719f65c39903b6949fee1ff9039fa3fa3b67df11debe",
        _GAUSS,
        (2_995, 16_316, 2_879, 7),
        base=3,
        way=1,
    ),
    "DBLP": Dataset(
        "DBLP/raw/dblp.npz",
        "4fe903aeb5581c2641eabe6bc6740887695a0da683acb43288f634087d5cbf6b",
        _GAUSS,
        (17_716, 105_734, 1_639, 4),
        base=2,
        way=1,
    ),
    "CiteSeer": Dataset(
        "CiteSeer/raw/citeseer.npz",
        "a5049609c5e4b86b275e9d73f412a3f45f9c53cf4aaf19a7e97e57562e891ca5",
        _GAUSS,
        (4_230, 10_674, 602, 6),
        base=3,
        way=1,
    ),
    "Clothing20": Dataset(
        "Clothing20/raw/amazon_clothing_test20.npz",
        "cb12687b481092443d92cdb08cfa83d4a308f09e39b412954a352c35b07d23de",
        "Ding et al. 2020, arXiv 2006.12889; the 20 test classes",
        (9_360, 58_154, 9_034, 20),
        base=10,
        way=2,
    ),
    "CoraFull": Dataset("CoraFull/raw/cora.npz", None, _GAUSS, (19_793, 126_842, 8_710, 70), base=50, way=2),
}


def load(name: str) -> Graph:
    """A graph of `DATASETS`.

    Raises:
        InputError: an unknown name.
        DownloadError: the file is not on this machine; the message says where to put it.
        ArtifactError: the file is damaged.
    """
    if name not in DATASETS:
        raise InputError("data set", got=repr(name), expected=f"one of {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    return read_npz(find("mecoin", dataset.file, sha256=dataset.sha256))
