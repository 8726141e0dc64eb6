"""Seconds of what users wait for, on simulated data: embedding, adding a class, predicting."""

from __future__ import annotations

import copy
import importlib.util
import warnings
from collections.abc import Callable

import numpy as np
import torch
from ninefold.measure import compare as timed
from ninefold.report import Table
from ninefold_graphs import DEMO, Graph

from mecoin.encoders._encoder import dense
from mecoin.encoders._gcn import GcnEncoder
from mecoin.evaluation._compare import make_learner
from mecoin.memory._smu import Smu
from mecoin.sessions._stream import SessionStream

PROTOTYPES, WIDTH = 1000, 128


def speed_table(nodes: int, seed: int = 0) -> Table:
    """Time embedding beside PyG's layers (if installed), adding one class, and predicting beside a matrix product.

    nodes: number of keys that are compared with 1,000 prototypes.
    """
    stream = SessionStream(DEMO.draw(seed), 10, 2, 5, seed=seed)
    base, new = stream[0], stream[1]
    encoder = GcnEncoder(WIDTH, epochs=1)
    encoder.fit(base.graph, base.graph.positions(base.train), base.graph.positions(base.validation), seed)
    learner = make_learner("mecoin+", base, seed)
    learner.fit_base(base.graph, base.support, base.validation)
    learner.encoder.embed(new.graph)
    draws = np.random.default_rng(seed)
    keys, prototypes = (draws.normal(size=(n, WIDTH)).astype(np.float32) for n in (nodes, PROTOTYPES))
    smu = Smu(prototypes, np.arange(PROTOTYPES))
    pyg = pyg_layers(stream.data, WIDTH) if importlib.util.find_spec("torch_geometric") else None
    embed, product = f"embed {len(stream.data):,} nodes", f"nearest of {PROTOTYPES:,} prototypes for {nodes:,} keys"
    rows: dict[str, dict[str, Callable[[], object] | None]] = {
        embed: {"PyG": pyg, "ours": lambda: encoder._embed(stream.data)},
        "add two classes, embedded": {"ours": lambda: copy.copy(learner).add_classes(new.graph, new.support)},
        product: {"matrix product alone": lambda: keys @ prototypes.T, "ours": lambda: smu.nearest(keys)},
    }
    table = Table(["what", "seconds", "beside", "times as fast"], title="Speed on simulated data")
    for what, calls in rows.items():
        there = {name: call for name, call in calls.items() if call is not None}
        made, peer = timed(there, repeats=3)["ours"], next(iter(there))
        alone = peer == "ours"
        table.rows.append([what, made.seconds, "" if alone else peer, None if alone else made.ratio])
    return table


def pyg_layers(data: Graph, hidden: int) -> Callable[[], object]:
    """The two layers of `GcnEncoder` by PyG on the same graph."""
    with warnings.catch_warnings(action="ignore"):  # what PyG says at import is not the user's concern
        from torch_geometric.nn import GCNConv
    first, second = GCNConv(data.width, 2 * hidden, cached=True), GCNConv(2 * hidden, hidden, cached=True)
    x, edges = dense(data), torch.from_numpy(data.edge_index)
    return torch.no_grad()(lambda: second(first(x, edges).relu(), edges))
