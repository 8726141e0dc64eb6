"""Verbs that learn and use what was learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Argument, Option

from mldgg.cli._opening import AdaptedFile, Data, GraphName, ModelFile, spoken_warnings

_GATE = Option("--gate/--no-gate", help="Let an edge gate take part where it helps.")
_JOINT = Option("--joint/--no-joint", help="Let words be joint; the file then holds the sources.")


def fit(
    data: Data,
    *,
    leave_out: Annotated[list[str] | None, Option(help="A graph that is no source.")] = None,
    gate: Annotated[bool, _GATE] = True,
    joint: Annotated[bool, _JOINT] = True,
    opts: Shared,
) -> Table:
    """Learn from the labelled graphs of DATA into the run folder -o."""
    from ninefold.run import Run

    from mldgg.domains import GraphDomains
    from mldgg.domains._given import digest_of
    from mldgg.meta import MLDGG
    from mldgg.meta._reports import fit_table

    file = opts.need_out() / "model.safetensors"
    model = MLDGG(seed=opts.seed, gate=gate, joint=joint)
    with spoken_warnings():
        sources = GraphDomains.named(data, seed=opts.seed).without(*(leave_out or []))
        config = {
            "data": data if not Path(data).is_dir() else "own graphs", "digest": digest_of(sources), "gate": gate,
            "joint": joint, "leave out": leave_out or [], "seed": opts.seed,
        }  # fmt: skip
        with Run(opts.need_out(), config):
            model.fit(sources).save(file, force=True)
    table = fit_table(model, sources)
    table.notes.append(f"model: {file}")
    return table


def adapt(
    model: ModelFile,
    data: Data,
    *,
    graph: GraphName = None,
    support: Annotated[Path | None, Option(help="CSV of node,class: the labels to learn from.")] = None,
    shots: Annotated[int | None, Option(min=0, help="Draw so many labels a class, hide all others; 0: none.")] = None,
    opts: Shared,
) -> dict[str, Any]:
    """Adapt MODEL to a graph of DATA by its few labels (labels.csv of own graphs, --support or --shots)."""
    from mldgg.domains._given import open_target, with_support
    from mldgg.meta import MLDGG
    from mldgg.meta._reports import model_path

    out, fitted = opts.need_out(), MLDGG.load(model_path(model))
    target = open_target(data, graph, fitted.classes, opts.seed)
    shown = with_support(target, support, shots, opts.seed)
    with spoken_warnings():
        adapted = fitted.adapt(shown)
    adapted.save(out, force=opts.force)
    report = {name: str(one) if isinstance(one, dict | list) else one for name, one in adapted.report().items()}
    return {"graph": target.name, "labels used": int((shown.y >= 0).sum()), **report, "adapted": out}


def predict(adapted: AdaptedFile, data: Data, *, graph: GraphName = None, opts: Shared) -> Table:
    """Predict classes of all nodes of a graph of DATA; -o FILE.parquet or FILE.csv keeps all of them."""
    from mldgg.meta._reports import open_adapted, prediction_table

    return prediction_table(*open_adapted(adapted, data, graph), opts.out)


def inspect(
    path: Annotated[Path, Argument(help="Model (file or run folder), or file that `adapt -o` wrote.")],
    *,
    data: Annotated[str | None, Option(help="With an adapted file: the graph's DATA.")] = None,
    graph: GraphName = None,
    opts: Shared,
) -> dict[str, Any]:
    """Show what a file holds; an adapted one with --data and -o FOLDER writes edge weights and pictures."""
    from mldgg.meta import MLDGG, Adapted
    from mldgg.meta._reports import model_facts, model_path, open_adapted

    path = model_path(path)
    about = Adapted.about_file(path)
    if about is not None:
        if data is None:
            if opts.out is not None or graph is not None:
                raise InputError("--data", got="none", expected="the graph's DATA, for edge weights and pictures")
            return {"adapted to": about["graph"], "classes": ", ".join(about["classes"]), **model_facts(about["model"])}
        from mldgg.evaluation._edges import edge_report

        return edge_report(*open_adapted(path, data, graph), opts.out)
    if data is not None or opts.out is not None:
        raise InputError("--data", got=f"{path.name}, a model", expected="a file that `adapt -o` wrote")
    return model_facts(MLDGG.load(path).about())
