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
    sizes.notes.append(f"features and classes: {_differing(domains) or 'the same in all graphs'}")
    nothing = "no duplicate, shared row or permuted class id"
    found.notes.append("fit refuses duplicates; the others are warnings" if found.rows else nothing)
    return [sizes, found]


def _differing(domains: GraphDomains) -> str:
    """Names of the graphs by their numbers of features and classes, rarest first; empty if all are the same."""
    if domains.shared:
        return ""
    alike: dict[tuple[int, tuple[object, ...]], list[str]] = {}
    for graph in domains.values():
        alike.setdefault((graph.width, tuple(graph.classes)), []).append(graph.name)
    parts = [
        f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} {width} features and {len(classes)} classes"
        for (width, classes), names in sorted(alike.items(), key=lambda one: len(one[1]))
    ]
    return "; ".join(parts) + ". `adapt` then needs a label of each class"
