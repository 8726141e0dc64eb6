"""What one reads of a fitted model and of predictions, and predictions as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.files import atomic_file
from ninefold.report import Table
from ninefold_graphs import Graph

from mldgg.domains._given import names_of, open_target
from mldgg.meta._adapted import Adapted
from mldgg.meta._mldgg import MLDGG


def model_path(path: Path) -> Path:
    """The file of a model that is named by its run folder or by itself.

    Raises: InputError if it is a PyTorch checkpoint, or a folder without a model.
    """
    expected = "the folder that `mldgg fit -o` wrote, or its model.safetensors"
    file = path / "model.safetensors" if path.is_dir() else path
    if path.is_dir() and not file.exists():
        raise InputError("model", got=f"the folder {path.name} without model.safetensors", expected=expected)
    return _no_checkpoint(file, expected)


def _no_checkpoint(file: Path, expected: str) -> Path:
    """The file itself, unless it is a zip archive or a pickle, as `torch.save` writes."""
    if file.is_file():
        with file.open("rb") as opened:
            start = opened.read(4)
        if start.startswith((b"PK\x03\x04", b"\x80\x02")):
            raise InputError("model", got=f"{file.name}, a PyTorch checkpoint", expected=expected)
    return file


def fit_table(model: MLDGG, sources: Sequence[Graph]) -> Table:
    """The sources of a fitted model, with the accuracy on them as a note."""
    table = Table(["source", "nodes", "edges", "labelled"], title=f"mldgg, {len(sources)} sources")
    for graph in sources:
        table.rows.append([graph.name, len(graph), graph.edge_index.shape[1] // 2, int((graph.y >= 0).sum())])
    right = max(one[-1] for one in model.fitted.trials)
    table.notes.append(f"accuracy {right:.1f} %, each source in turn as the new graph")
    return table


def model_facts(about: dict[str, Any]) -> dict[str, Any]:
    """Sources of a model, and what was chosen on them; `about` is that of `MLDGG.about`."""
    found = {"sources": ", ".join(about["names"]), "shared features and classes": about["shared"]}
    return found | {"seed": about["seed"]} | _chosen(about["solver"])


_TITLES = {
    "hops": "neighbourhood hops", "power": "power of the edge gate (0: off)",
    "centred": "centred on each source's mean",
    "strength": "strength of the ridge",
}  # fmt: skip


def _chosen(solver: dict[str, Any]) -> dict[str, str]:
    """What rehearsals on the sources have chosen."""
    found = {title: str(solver[name]) for name, title in _TITLES.items()}
    for form, title in (("nothing", "as they are"), ("own mean", "around the own mean")):
        part = solver["choice"]["parts"][form]
        walk = f"walk with restart {part['walk']:g}" if part["walk"] else "no walk"
        again = f"second fit to the answers of a {part['again']}" if part["again"] else "no second fit"
        found[f"features {title}"] = f"words of {part['words']}, {walk}, {again}"
    return found


def adapted_facts(report: dict[str, Any]) -> dict[str, Any]:
    """`Adapted.report()` in words: percentages with their ranges, no lists."""
    facts = dict(report)
    expected, mix = facts.pop("expected accuracy"), facts.pop("class mix", {})
    found: dict[str, Any] = {"nodes": facts.pop("nodes")}
    found |= {"expected accuracy, %": "unknown" if expected is None else _range(expected)}
    if isinstance(mix, str):
        found["share of each class, %"] = mix
    else:
        found |= {f"share of {name}, %": _range(share) for name, share in mix.items()}
    off = ", ".join(facts.pop("off")) or "none"
    believed = facts.pop("sources believed")
    facts["labels agree with the sources"] = believed
    return found | facts | {"parts that rehearsals switched off": off}


def _range(values: Sequence[float]) -> str:
    """A share with its lower and upper end, as percentages."""
    share, low, high = (100 * one for one in values)
    return f"{share:.1f} ({low:.1f} to {high:.1f})"


def open_adapted(path: Path, data: str, graph: str | None) -> tuple[Adapted, Graph]:
    """An adapted model of a file, and its graph in `data`, see `open_target`.

    Raises: InputError if the file is a model that was not adapted.
    """
    expected = "the file that `mldgg adapt -o` wrote"
    if path.is_dir():
        raise InputError("adapted model", got=f"the folder {path.name}", expected=expected)
    about = Adapted.about_file(_no_checkpoint(path, expected))
    if about is None:
        raise InputError("adapted model", got=f"{path.name}, a model", expected=expected)
    own = graph or (None if Path(data).is_dir() else about["graph"])
    target = open_target(data, own, tuple(about["classes"]), about["seed"])
    return Adapted.load(path, target.hidden(np.zeros(len(target), bool))), target


def prediction_table(model: Adapted, target: Graph, out: Path | None = None) -> Table:
    """Predict all nodes of a graph: nodes and mean probability by class; all answers in a file, if there is one.

    Args:
        model: adapted to the graph. target: the graph. out: a .parquet or .csv file.
    Raises: InputError for another suffix.
    """
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise InputError("--out", got=str(out), expected="a name that ends in .parquet or .csv")
    chances = model.predict_proba()
    best = chances.argmax(axis=1)
    counts = np.bincount(best, minlength=len(model.classes))
    sure = [float(chances[best == one].max(axis=1).mean()) if counts[one] else None for one in range(len(counts))]
    table = Table(["class", "nodes", "mean probability"], title=f"{target.name}: {len(target):,} nodes")
    table.rows += [[name, int(n), one] for name, n, one in zip(model.classes, counts, sure, strict=True)]
    if out is not None:
        _write_predictions(out, names_of(target), best, chances, model.classes)
        table.notes.append(f"predictions: {out}")
    return table


def _write_predictions(path: Path, names: list[Any], best: Any, chances: Any, classes: tuple[str, ...]) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    columns: dict[str, Any] = {"node": names, "class": [classes[one] for one in best]}
    columns |= {f"probability of {name}": chances[:, place] for place, name in enumerate(classes)}
    write = pyarrow.csv.write_csv if path.suffix == ".csv" else pyarrow.parquet.write_table
    with atomic_file(path) as temporary:
        write(pa.table(columns), temporary)
