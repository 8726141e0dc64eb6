"""Real graphs by name, from files as PyG reads them, and readers for your own.

Files come from `$NINEFOLD_DATA/mecoin` (see `ninefold.datasets`); none of them ships in the package.

Examples:
    >>> from mecoin import datasets
    >>> sorted(datasets.DATASETS)[:3]
    ['CS', 'CiteSeer', 'Clothing20']
"""

from __future__ import annotations

from ninefold.datasets import find
from ninefold.errors import InputError
from ninefold_graphs import Graph, Simulated, from_pyg, read_edge_list, read_npz, to_pyg

__all__ = ["DATASETS", "Graph", "Simulated", "from_pyg", "load", "read_edge_list", "read_npz", "to_pyg"]

# Name of the npz file in NAME/raw of the package's data folder, and its digest; None where no file was at hand to
# measure it. CS, Computers and Photo: Shchur et al. 2018, arXiv 1811.05868; Cora_ML, DBLP, CiteSeer, CoraFull:
# Bojchevski and Günnemann 2018, arXiv 1707.03815; Clothing20: the 20 test classes of Ding et al. 2020, arXiv
# 2006.12889.
DATASETS: dict[str, tuple[str, str | None]] = {
    "CS": ("ms_academic_cs", "c4c076767cd3021fb77554ea525e65d35ccd58ba394ac93973d833b6f5833a7a"),
    "Computers": ("amazon_electronics_computers", "f9cc01f9074376f11d42c8f46ecba2626550fa9f9240b0dcdfc346bc91023451"),
    "Photo": ("amazon_electronics_photo", "29e81dac76282fef13199d2462b852c0f0b845eb53955b3a3096345e64c39ed8"),
    "Cora_ML": ("cora_ml", "990a314a22048f8328c5719f65c39903b6949fee1ff9039fa3fa3b67df11debe"),
    "DBLP": ("dblp", "4fe903aeb5581c2641eabe6bc6740887695a0da683acb43288f634087d5cbf6b"),
    "CiteSeer": ("citeseer", "a5049609c5e4b86b275e9d73f412a3f45f9c53cf4aaf19a7e97e57562e891ca5"),
    "Clothing20": ("amazon_clothing_test20", "cb12687b481092443d92cdb08cfa83d4a308f09e39b412954a352c35b07d23de"),
    "CoraFull": ("cora", None),
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
    file, sha256 = DATASETS[name]
    return read_npz(find("mecoin", f"{name}/raw/{file}.npz", sha256=sha256))
