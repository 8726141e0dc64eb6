"""Verbs that learn and use what was learnt."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared
from ninefold.errors import InputError
from ninefold.report import Table

from mldgg.cli._opening import (
    Data,
    GraphName,
    ModelFile,
    model_path,
    names_of,
    open_target,
    spoken_warnings,
    with_support,
)  # fmt: skip

if TYPE_CHECKING:
    from ninefold_graphs import Graph

    from mldgg.meta import Adapted

AdaptedFile = Annotated[Path, typer.Argument(help="File that `adapt -o` wrote.")]


def fit(
    data: Data,
    *,
    leave_out: Annotated[list[str] | None, typer.Option("--leave-out", help="A graph that is no source.")] = None,
    gate: Annotated[bool, typer.Option("--gate/--no-gate", help="Let an edge gate take part where it helps.")] = True,
    joint: Annotated[
        bool, typer.Option("--joint/--no-joint", help="Let words be joint; the file then holds the sources.")
    ] = True,
    opts: Shared,
) -> Table:
    """Learn from the labelled graphs of DATA into the run folder -o."""
    from ninefold.run import Run

    from mldgg.domains import GraphDomains
    from mldgg.meta import MLDGG

    out = opts.need_out()
    model = MLDGG(seed=opts.seed, gate=gate, joint=joint)
    with spoken_warnings():
        domains = GraphDomains.named(data, seed=opts.seed)
        sources = domains.without(*(leave_out or []))
        config = {
            "data": data if not Path(data).is_dir() else "own graphs", "digest": _digest(sources), "gate": gate,
            "joint": joint, "leave out": leave_out or [], "seed": opts.seed,
        }  # fmt: skip
        with Run(out, config):
            model.fit(sources).save(out / "model.safetensors", force=True)
    table = Table(["source", "nodes", "edges", "labelled"], title=f"mldgg, {len(sources)} sources")
    for graph in sources:
        table.rows.append([graph.name, len(graph), graph.edge_index.shape[1] // 2, int((graph.y >= 0).sum())])
    solver = model.fitted
    table.notes.append(f"{max(one[-1] for one in solver.trials):.2f} % with each source as target; chosen on sources:")
    table.notes += [f"{name}: {one}" for name, one in _chosen(model.about()["solver"]).items()]
    strengths = (f"{solver.ridge.strength_at(shots):.4g} at {shots}" for shots in (1, 20))
    table.notes.append(f"strength of a change by labels a class: {', '.join(strengths)}")
    table.notes.append(f"model: {out / 'model.safetensors'}")
    return table


def _digest(graphs: Sequence[Graph]) -> str:
    """Short digest of edges and labels, so that a run is not gone on with other data."""
    key = hashlib.sha256()
    for graph in graphs:
        key.update(graph.name.encode() + graph.edge_index.tobytes() + graph.y.tobytes())
        key.update(str(float(abs(graph.x).sum())).encode())
    return key.hexdigest()[:16]


def adapt(
    model: ModelFile,
    data: Data,
    *,
    graph: GraphName = None,
    support: Annotated[
        Path | None, typer.Option("--support", help="CSV of node,class: the labels to learn from.")
    ] = None,
    shots: Annotated[
        int | None, typer.Option("--shots", min=0, help="Draw so many labels a class, hide all others; 0: none.")
    ] = None,
    opts: Shared,
) -> dict[str, Any]:
    """Adapt MODEL to a graph of DATA by its few labels (labels.csv of own graphs, --support or --shots)."""
    from mldgg.meta import MLDGG

    out, fitted = opts.need_out(), MLDGG.load(model_path(model))
    target = open_target(data, graph, fitted.classes, opts.seed)
    shown = with_support(target, support, shots, opts.seed)
    with spoken_warnings():
        adapted = fitted.adapt(shown)
    adapted.save(out, force=opts.force)
    report = {name: str(one) if isinstance(one, dict | list) else one for name, one in adapted.report().items()}
    return {"graph": target.name, "labels used": int((shown.y >= 0).sum()), **report, "adapted": out}


def predict(
    adapted: AdaptedFile,
    data: Data,
    *,
    graph: GraphName = None,
    opts: Shared,
) -> Table:
    """Predict classes of all nodes of a graph of DATA; -o FILE.parquet or FILE.csv keeps all of them."""
    import numpy as np

    model, target = _opened(adapted, data, graph)
    if opts.out is not None and opts.out.suffix not in (".parquet", ".csv"):
        raise InputError("--out", got=str(opts.out), expected="a name that ends in .parquet or .csv")
    chances, names = model.predict_proba(), names_of(target)
    best = chances.argmax(axis=1)
    if opts.out is not None:
        _write_predictions(opts.out, names, best, chances, model.classes)
    counts = np.bincount(best, minlength=len(model.classes))
    sure = [float(chances[best == one].max(axis=1).mean()) if counts[one] else None for one in range(len(counts))]
    table = Table(["class", "nodes", "mean probability"], title=f"{target.name}: {len(target):,} nodes")
    table.rows += [[name, int(n), one] for name, n, one in zip(model.classes, counts, sure, strict=True)]
    if opts.out is not None:
        table.notes.append(f"predictions: {opts.out}")
    return table


def _write_predictions(path: Path, names: list[Any], best: Any, chances: Any, classes: tuple[str, ...]) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet
    from ninefold.files import atomic_file

    columns: dict[str, Any] = {"node": names, "class": [classes[one] for one in best]}
    columns |= {f"probability of {name}": chances[:, place] for place, name in enumerate(classes)}
    write = pyarrow.csv.write_csv if path.suffix == ".csv" else pyarrow.parquet.write_table
    with atomic_file(path) as temporary:
        write(pa.table(columns), temporary)


def _opened(path: Path, data: str, graph: str | None) -> tuple[Adapted, Graph]:
    import numpy as np

    from mldgg.meta import Adapted

    about = Adapted.about_file(path)
    if about is None:
        raise InputError("adapted", got=f"{path.name}, a model", expected="a file that `adapt -o` wrote")
    own = graph or (None if Path(data).is_dir() else about["graph"])
    target = open_target(data, own, tuple(about["classes"]), about["seed"])
    return Adapted.load(path, target.hidden(np.zeros(len(target), bool))), target


def inspect(
    path: Annotated[Path, typer.Argument(help="Model (file or run folder), or file that `adapt -o` wrote.")],
    *,
    data: Annotated[str | None, typer.Option("--data", help="With an adapted file: the graph's DATA.")] = None,
    graph: GraphName = None,
    opts: Shared,
) -> dict[str, Any]:
    """Show what a file holds; an adapted one with --data and -o FOLDER writes edge weights and pictures."""
    from mldgg.meta import MLDGG, Adapted

    path = model_path(path)
    about = Adapted.about_file(path)
    if about is not None:
        if data is None:
            if opts.out is not None or graph is not None:
                raise InputError("--data", got="none", expected="the graph's DATA, for edge weights and pictures")
            return {"adapted to": about["graph"], "classes": ", ".join(about["classes"]), **_shown(about["model"])}
        adapted, target = _opened(path, data, graph)
        return _edge_report(adapted, target, opts.out)
    if data is not None or opts.out is not None:
        raise InputError("--data", got=f"{path.name}, a model", expected="a file that `adapt -o` wrote")
    return _shown(MLDGG.load(path).about())


def _shown(about: dict[str, Any]) -> dict[str, Any]:
    found = {"sources": ", ".join(about["names"]), "shared features and classes": about["shared"]}
    return found | {"seed": about["seed"]} | _chosen(about["solver"])


def _chosen(solver: dict[str, Any]) -> dict[str, str]:
    """What rehearsals on the sources have chosen."""
    places = ((solver, ("hops", "power", "centred", "strength")), (solver["choice"], ("words", "walk", "again")))
    return {name: str(one[name]) for one, names in places for name in names}


def _edge_report(adapted: Adapted, target: Graph, out: Path | None) -> dict[str, Any]:
    import numpy as np
    from ninefold.files import atomic_file
    from ninefold.report import save_figure

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
        from mldgg.evaluation import edge_histogram

        report["histogram"] = save_figure(edge_histogram(weights), out / "edge-weights.png")
    return report
