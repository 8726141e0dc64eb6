"""Sizes of graphs, and what their checks found, as tables."""

from __future__ import annotations

from ninefold.report import Table

from mldgg.domains._domains import GraphDomains


def check_tables(domains: GraphDomains, title: str) -> list[Table]:
    """A table of sizes and homophily, and one of leaks and permuted class ids.

    Args:
        domains: opened with duplicates allowed. title: of the first table.
    """
    sizes = Table(["graph", "nodes", "edges", "features", "labelled", "same-class edges, %"], title=title)
    for graph in domains.values():
        ends = graph.y[graph.edge_index]
        known = (ends >= 0).all(axis=0)
        alike = round(100 * float((ends[0] == ends[1])[known].mean()), 1) if known.any() else None
        edges, labelled = graph.edge_index.shape[1] // 2, int((graph.y >= 0).sum())
        sizes.rows.append([graph.name, len(graph), edges, graph.width, labelled, alike])
    found = Table(["finding", "graph", "other graph", "what"], title="Leaks and label ids")
    found.rows += [list(one) for one in domains.findings]
    found.notes.append("nothing found" if not found.rows else "fit refuses duplicates; the others are warnings")
    same = "the same in all graphs" if domains.shared else "not the same in all graphs: no zero-shot"
    sizes.notes.append(f"features and classes: {same}")
    return [sizes, found]
