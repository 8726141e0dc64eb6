"""A graph as a picture: its nodes where their links pull them, coloured by whether they were answered right."""

from __future__ import annotations

from typing import Any

import numpy as np
from ninefold.report import BLUE, GREY, ORANGE, figure
from ninefold_graphs import Graph

LARGEST = 400  # nodes that are drawn, at most
_TEXT = 12.5  # points


def answered_graph(graph: Graph, answers: np.ndarray, shown: np.ndarray | None = None) -> Any:
    """The labelled part of a graph, right answers as dots and wrong ones as crosses.

    Args:
        graph: with the true labels; of more than 400 nodes, the 400 with the most links are drawn.
        answers: (N,) class ids.
        shown: (E,) bool, edges that are drawn; all by default.
    """
    import networkx as nx

    nodes = np.flatnonzero(graph.y >= 0)
    nodes = np.sort(nodes[np.argsort(-graph.degree[nodes], kind="stable")[:LARGEST]])
    kept = np.isin(graph.edge_index, nodes).all(axis=0) & (True if shown is None else shown)
    linked = nx.Graph()
    linked.add_nodes_from(nodes.tolist())
    linked.add_edges_from(graph.edge_index[:, kept].T.tolist())
    linked.remove_nodes_from([node for node in nodes.tolist() if linked.degree(node) == 0])  # would float about
    places = nx.spring_layout(linked, k=2.5 / max(len(linked), 1) ** 0.5, iterations=60, seed=0)
    drawn = np.array(sorted(linked.nodes), np.int64)
    at = np.array([places[int(node)] for node in drawn]).reshape(-1, 2)
    made, axis = figure(5, 4)
    axis.axis("off")
    for one, other in linked.edges:
        axis.plot(*zip(places[one], places[other], strict=True), color=GREY, linewidth=0.4, alpha=0.35, zorder=1)
    right = answers[drawn] == graph.y[drawn]
    share = 100 * float((answers == graph.y)[graph.y >= 0].mean())
    axis.scatter(*at[right].T, s=26, color=BLUE, zorder=2, label=f"right ({share:.0f} %)")
    axis.scatter(*at[~right].T, s=42, color=ORANGE, marker="X", zorder=3, label=f"wrong ({100 - share:.0f} %)")
    axis.legend(fontsize=_TEXT, loc="lower center", ncols=2, frameon=False, bbox_to_anchor=(0.5, -0.12))
    axis.margins(0.02)
    return made
