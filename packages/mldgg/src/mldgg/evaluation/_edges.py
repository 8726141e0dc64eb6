"""Weights that the edge gate gives, as facts, a file and a picture; and how long an adaptation takes."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.files import atomic_file
from ninefold.measure import compare
from ninefold.report import save_figure
from ninefold_graphs import Graph

from mldgg.datasets import Simulated
from mldgg.evaluation._evaluate import edge_histogram
from mldgg.meta import MLDGG, Adapted


def edge_report(adapted: Adapted, target: Graph, out: Path | None = None) -> dict[str, Any]:
    """Quantiles of the edge weights of a graph; edge-weights.npz and a histogram in a folder, if there is one."""
    if not adapted.model.fitted.power:
        return {"graph": target.name, "edges": target.edge_index.shape[1] // 2, "edge gate": "off: power 0 was chosen"}
    weights = adapted.edge_weight()
    report: dict[str, Any] = {"graph": target.name, "edges": weights.size // 2}
    for name, share in (("lowest tenth", 0.1), ("median", 0.5), ("highest tenth", 0.9)):
        report[f"weight, {name}"] = float(np.quantile(weights, share))
    if out is None:
        return report
    out.mkdir(parents=True, exist_ok=True)
    with atomic_file(out / "edge-weights.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, edge_index=target.edge_index, weight=weights)
    report["edge weights"] = out / "edge-weights.npz"
    if importlib.util.find_spec("matplotlib"):
        report["histogram"] = save_figure(edge_histogram(weights), out / "edge-weights.png")
    return report


def time_adaptation(nodes: int) -> float:
    """Seconds of an adaptation to a simulated graph without labels, and of predicting all of its nodes."""
    target = Simulated(graphs=1, nodes=nodes).draw(0)["north"]
    model = MLDGG().fit(list(Simulated(graphs=2, nodes=500).draw(1).values()))
    # a copy each time: what was read off a graph is kept
    calls = {"adapt and predict": lambda: model.predict_proba(replace(target, x=target.x.copy(), y=target.y * 0 - 1))}
    (one,) = compare(calls, repeats=3).values()
    return one.seconds
