"""Verbs that learn and use what was learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Argument, Option

from mldgg.cli._opening import AdaptedFile, Data, GraphName, ModelFile, spoken_warnings

_GATE = Option(
    "--gate/--no-gate",
    help="Allow an edge gate, which reweights edges, where it helps on the sources.",
    rich_help_panel="Advanced",
)
_JOINT_HELP = "Allow word spaces that span sources and new graph; the model file then contains the sources."
_JOINT = Option("--joint/--no-joint", help=_JOINT_HELP, rich_help_panel="Advanced")


def fit(
    data: Data,
    *,
    leave_out: Annotated[
        list[str] | None, Option(help="Name of a graph of DATA that is not a source; repeatable.")
    ] = None,
    gate: Annotated[bool, _GATE] = True,
    joint: Annotated[bool, _JOINT] = True,
    opts: Shared,
) -> Table:
    """Learn from the labelled graphs of DATA; -o is the run folder of the model.

    Example: `mldgg fit mine --leave-out new -o run`
    """
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
    table.notes += [f"model: {file}", f"`mldgg inspect {opts.need_out()}` lists the settings chosen on the sources"]
    return table


def adapt(
    model: ModelFile,
    data: Data,
    *,
    graph: GraphName = None,
    support: Annotated[Path | None, Option(help="CSV file of node,class with the labels to learn from.")] = None,
    shots: Annotated[
        int | None, Option(min=0, help="Number of labels per class to draw; all others are hidden. 0 uses no label.")
    ] = None,
    opts: Shared,
) -> dict[str, Any]:
    """Adapt MODEL to a graph of DATA by its few labels: those of its labels.csv, of --support, or drawn by --shots.

    Example: `mldgg adapt run mine --graph new -o new.safetensors`
    """
    from mldgg.domains._given import open_target, with_support
    from mldgg.meta import MLDGG
    from mldgg.meta._reports import adapted_facts, model_path

    out, fitted = opts.need_out(), MLDGG.load(model_path(model))
    target = open_target(data, graph, fitted.classes, opts.seed)
    shown = with_support(target, support, shots, opts.seed)
    with spoken_warnings():
        adapted = fitted.adapt(shown)
    adapted.save(out, force=opts.force)
    report = adapted.report() if opts.json else adapted_facts(adapted.report())
    return {"graph": target.name, "labels used": int((shown.y >= 0).sum()), **report, "adapted": out}


def predict(adapted: AdaptedFile, data: Data, *, graph: GraphName = None, opts: Shared) -> Table:
    """Predict the classes of all nodes of a graph of DATA; -o writes them to a .parquet or .csv file.

    Example: `mldgg predict new.safetensors mine --graph new -o answers.csv`
    """
    from mldgg.meta._reports import open_adapted, prediction_table

    return prediction_table(*open_adapted(adapted, data, graph), opts.out)


def inspect(
    path: Annotated[Path, Argument(help="Model file or run folder, or the file that `mldgg adapt -o` wrote.")],
    *,
    data: Annotated[str | None, Option(help="Graphs as for `mldgg adapt`; adapted models only.")] = None,
    graph: GraphName = None,
    opts: Shared,
) -> dict[str, Any]:
    """Show the contents of a model; for an adapted model --data and -o write edge weights and pictures to a folder.

    Example: `mldgg inspect new.safetensors --data mine --graph new -o pictures`
    """
    from mldgg.meta import MLDGG, Adapted
    from mldgg.meta._reports import model_facts, model_path, open_adapted

    path = model_path(path)
    about = Adapted.about_file(path)
    if about is not None:
        if data is None:
            if opts.out is not None or graph is not None:
                raise InputError("--data", got="none", expected="the graph's DATA, for edge weights and pictures")
            return {
                "adapted to": about["graph"],
                "classes": ", ".join(map(str, about["classes"])),
                **model_facts(about["model"]),
            }
        from mldgg.evaluation._edges import edge_report

        return edge_report(*open_adapted(path, data, graph), opts.out)
    if data is not None or opts.out is not None:
        raise InputError("--data", got=f"{path.name}, a model", expected="a file that `adapt -o` wrote")
    return model_facts(MLDGG.load(path).about())
