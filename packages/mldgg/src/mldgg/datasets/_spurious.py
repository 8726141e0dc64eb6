"""Environments with features that lie (EERM, ICLR 2022, section 5.1): columns that follow label and environment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold_graphs import Graph


def spurious_environments(graph: Graph, environments: int = 10, width: int = 10, seed: int = 0) -> dict[str, Graph]:
    """Make environments of one graph that differ in spurious features alone.

    y' = argmax of a random two-layer GCN on x; `width` columns follow from y' by another random GCN and from the
    environment by a random linear map. y' is the label of all environments.

    Args:
        graph: its own labels are replaced by y', with as many classes.
        environments: how many; EERM trains on the first, validates on the second and tests on the rest.
        width: spurious columns.
        seed: random seed.
    Returns: graphs by name `env0`, `env1`, ...; x is dense only if it was.
    """
    draws, classes = np.random.default_rng(seed), max(len(graph.classes), 2)
    hop = graph.normalized

    def random_gcn(x: Any, out: int) -> np.ndarray:
        first = np.maximum(hop @ (x @ _glorot(draws, x.shape[1], 16)), 0)
        return hop @ (first @ _glorot(draws, 16, out))

    logits = random_gcn(graph.x, classes)
    y = (logits - logits.mean(axis=0)).argmax(axis=1)
    from_label = random_gcn(np.eye(classes, dtype=np.float32)[y], width)
    from_environment = _glorot(draws, environments, width)
    made = {}
    for number in range(environments):
        spurious = (from_label + from_environment[number]).astype(np.float32)
        x = (
            np.concatenate([graph.x, spurious], axis=1)
            if isinstance(graph.x, np.ndarray)
            else sp.hstack([graph.x, sp.csr_array(spurious)], "csr")
        )
        made[f"env{number}"] = replace(graph, x=x, y=y, classes=tuple(map(str, range(classes))), name=f"env{number}")
    return made


def _glorot(draws: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    bound = np.sqrt(6 / (rows + columns))
    return draws.uniform(-bound, bound, (rows, columns)).astype(np.float32)
