"""Gradient-boosted trees as arrays: learned by LightGBM (extra `lightgbm`), walked by a kernel of our own.

A ranker's trees are kept as four arrays among a model's others, checked like those, so that a folder needs neither
LightGBM to answer nor a foreign parser of its text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ninefold.errors import InputError, require

from recsys.data._untyped import compiled

ARRAYS = ("tree_root_", "tree_child_", "tree_feature_", "tree_value_")
SHAPES = {
    "tree_root_": "below:nodes trees", "tree_child_": "below:nodes nodes",
    "tree_feature_": "below:w nodes", "tree_value_": "nodes",
}  # fmt: skip
Trees = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def learn_trees(X: np.ndarray, row: np.ndarray, hit: np.ndarray, trees: int, leaves: int, seed: int) -> Trees:
    """Trees whose summed values rank each row's candidates (XE-NDCG-MART, Bruch 2021; LightGBM's `rank_xendcg`).

    Args:
        X: what is known of each candidate, float32 (n, w), finite.
        row: its list, (n,), sorted.
        hit: whether it was right, bool (n,).
        trees, leaves: number of trees, greatest number of leaves of each.
        seed: of the drawn features and gains.
    Returns: (root of each tree; left child of each node, the right one next to it, 0 of a leaf; feature of each inner
        node; its threshold, or a leaf's value). Children stand after their parents.
    """
    lightgbm: Any = require("lightgbm", "recsys", "lightgbm")
    settings = {
        "objective": "rank_xendcg", "num_leaves": leaves, "learning_rate": 0.03, "min_data_in_leaf": 100,
        "feature_fraction": 0.3, "max_bin": 63, "use_missing": False, "verbose": -1, "seed": seed,
        "deterministic": True, "force_row_wise": True, "num_threads": 1,
    }  # fmt: skip
    counts = np.diff(np.append(np.flatnonzero(np.append(True, np.diff(row) > 0)), len(row)))
    learned = lightgbm.train(settings, lightgbm.Dataset(X, hit.astype(np.int32), group=counts), trees)
    return as_arrays([tree["tree_structure"] for tree in learned.dump_model()["tree_info"]])


def as_arrays(structures: list[dict[str, Any]]) -> Trees:
    """Trees of LightGBM's `dump_model` as arrays, see `learn_trees`."""
    root, child, feature, value = [], [], [], []

    def room(count: int) -> int:
        for column in (child, feature, value):
            column.extend([0] * count)
        return len(child) - count

    for structure in structures:
        root.append(room(1))
        waiting = [(root[-1], structure)]
        while waiting:
            place, node = waiting.pop()
            if "leaf_value" in node:
                value[place] = node["leaf_value"]
                continue
            left = room(2)
            child[place], feature[place], value[place] = left, node["split_feature"], node["threshold"]
            waiting += [(left, node["left_child"]), (left + 1, node["right_child"])]
    kinds = (np.int32, np.int32, np.int32, np.float64)
    found = (np.array(one, kind) for one, kind in zip((root, child, feature, value), kinds, strict=True))
    return tuple(found)  # type: ignore[return-value]


def check_trees(trees: Trees, width: int) -> None:
    """InputError unless every walk from a root ends in a leaf and reads one of `width` columns."""
    root, child, feature, value = trees
    nodes, inner = np.arange(len(child)), child != 0
    if not (len(child) == len(feature) == len(value)) or (feature < 0).any() or (feature >= width).any():
        raise InputError("trees", got="arrays of other lengths, or columns that there are not", expected="sound trees")
    if (root < 0).any() or (root >= len(child)).any() or (child[inner] <= nodes[inner]).any():
        raise InputError("trees", got="nodes outside, or before their parents", expected="sound trees")
    if (child[inner] + 1 >= len(child)).any():
        raise InputError("trees", got="children that there are not", expected="sound trees")


def score_trees(trees: Trees, X: np.ndarray) -> np.ndarray:
    """Sum of the trees' values at each row of X, float32 (n, w); float64 (n,)."""
    check_trees(trees, X.shape[1])
    out = np.zeros(len(X))
    _walk(*trees, np.ascontiguousarray(X, np.float32), out)
    return out


@compiled
def _walk(
    root: np.ndarray, child: np.ndarray, feature: np.ndarray, value: np.ndarray, X: np.ndarray, out: np.ndarray
) -> None:
    for n in range(X.shape[0]):
        for tree in range(root.shape[0]):
            node = root[tree]
            while child[node] != 0:
                node = child[node] + (0 if X[n, feature[node]] <= value[node] else 1)
            out[n] += value[node]
