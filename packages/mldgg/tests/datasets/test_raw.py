"""Raw layouts: the real files where they are there, and made ones for what is not shipped."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from mldgg import GraphDomains, LeakWarning, open_graph
from mldgg.datasets import load, load_facebook
from mldgg.domains import label_assignment
from ninefold.datasets import data_dir
from ninefold.errors import InputError
from torch_geometric.datasets import WebKB

UNIVERSITIES = ("cornell", "texas", "wisconsin")
real = [pytest.mark.data, pytest.mark.skipif(data_dir("mldgg") is None, reason="NINEFOLD_DATA has no mldgg")]


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        pytest.param("citation", {"acm": (9360, 581), "citation": (8935, 166), "dblp": (5484, 15)}, marks=real),
        pytest.param("twitch", {"DE": (9498, 0), "FR": (6549, 0), "TW": (2772, 0)}, marks=real),
        pytest.param("airports", {"brazil": (131, 0), "usa": (1190, 0)}, marks=real),
    ],
)
def test_collection_has_its_nodes_and_unknown_labels(name, sizes):
    graphs = load(name)
    for key, (nodes, unknown) in sizes.items():
        assert (len(graphs[key]), int((graphs[key].y < 0).sum())) == (nodes, unknown)


@pytest.mark.data
@pytest.mark.skipif(data_dir("mldgg") is None, reason="NINEFOLD_DATA has no mldgg")
def test_webkb_by_pygs_loader_is_refused_and_warned_of(tmp_path):
    shutil.copytree(data_dir("mldgg") / "webkb", tmp_path, dirs_exist_ok=True)
    graphs = {name: open_graph(WebKB(str(tmp_path), name)[0], name, symmetrise=True) for name in UNIVERSITIES}
    with pytest.raises(InputError, match="cornell and texas are the same nodes"):
        GraphDomains(graphs)
    two = {name: graphs[name] for name in ("texas", "wisconsin")}
    with pytest.warns(LeakWarning, match="0,1,2,3,4 -> 1,0,3,4,2"):
        GraphDomains(two)
    _, raw, best = label_assignment(graphs["texas"], graphs["wisconsin"])
    assert raw < 0.15 < 0.5 < best
    aligned = GraphDomains(two, align_labels=True)
    assert [kind for kind, *_ in aligned.findings] == ["aligned"]


def test_facebook_from_ones_own_copy(tmp_path):
    rng = np.random.default_rng(0)
    for school in ("Reed98", "Caltech36"):
        info = np.c_[rng.integers(0, 3, (8, 1)), rng.integers(0, 3, (8, 1)), rng.integers(0, 4, (8, 5))]
        network = sp.csr_matrix(np.ones((8, 8)) - np.eye(8))
        scipy.io.savemat(tmp_path / f"{school}.mat", {"A": network, "local_info": info})
    graphs = load_facebook(tmp_path)
    assert graphs["Reed98"].width == graphs["Caltech36"].width
    assert (np.asarray(graphs["Reed98"].x.sum(axis=1)).ravel() == 6).all()
    assert set(np.unique(graphs["Reed98"].y)) <= {-1, 0, 1}
    assert graphs["Reed98"].edge_index.shape[1] == 56
    (tmp_path / "Bad1.mat").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"Bad1\.mat"):
        load_facebook(tmp_path, ["Bad1"])
