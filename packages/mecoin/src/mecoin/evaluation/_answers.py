"""Models of files, the nodes they learn from, and what they answer: tables, and a CSV file of all answers."""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from ninefold import artifacts
from ninefold.errors import InputError
from ninefold.files import starts_with, write_text
from ninefold.measure import compare
from ninefold.report import Table
from ninefold_graphs import Graph

from mecoin.evaluation._compare import make_learner
from mecoin.memory._mecoin import FORMAT, KIND, Mecoin
from mecoin.paper import PaperModel
from mecoin.sessions._given import open_data
from mecoin.sessions._stream import Session, SessionStream

ANSWERS = "node,class,probability,novelty"  # first line of the file that `write_answers` writes
VARIANTS = {one.variant: one for one in (Mecoin, PaperModel)}


def model_of(path: Path) -> Mecoin:
    """The model in a file, of whichever variant; ArtifactError if there is none."""
    variant = artifacts.Artifact(path, kind=KIND, format_version=FORMAT).meta.get("variant")
    return VARIANTS.get(str(variant), Mecoin).load(path)


def base_nodes(graph: Graph, name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(nodes,) bool of labelled nodes to train on, and of a fifth of each class for validation.

    Args:
        graph: whose labels are all of base classes. name: of the data, for the message. seed: of the draw.
    Raises: InputError if no node has a label.
    """
    draws, held = np.random.default_rng(seed), np.zeros(len(graph), bool)
    if (graph.y < 0).all():
        raise InputError(name, got="no labelled node", expected="labels of the base classes")
    for code in range(len(graph.classes)):  # class by class: a small one must not lose its few labels
        nodes = np.flatnonzero(graph.y == code)
        held[draws.choice(nodes, nodes.size // 5, replace=False)] = True
    return (graph.y >= 0) & ~held, held


def accuracy_table(model: Mecoin, sessions: SessionStream, now: Session) -> Table:
    """Accuracy on the test nodes of a session: of all classes, the base ones and the novel ones."""
    right = model.predict(now.graph, now.test) == np.array(sessions.data.classes, object)[now.truth]
    base = np.isin(now.truth, sessions[0].new)
    table = Table(["test nodes of", "nodes", "accuracy %"])
    for what, some in (("all classes", base | True), ("base classes", base), ("novel classes", ~base)):
        if some.any():
            table.rows.append([what, int(some.sum()), 100 * float(right[some].mean())])
    return table


def answer_table(model: Mecoin, graph: Graph, places: Mapping[str, int], names: Sequence[str], data: str) -> Table:
    """Class, its probability and novelty of nodes.

    Args:
        model: fitted. graph: of the nodes. places: node ids by name. names: of nodes; none: all.
        data: what the graph is called in the message.
    Raises: InputError for a name that is no node.
    """
    names = names or list(places)
    unknown = [one for one in names if one not in places]
    if unknown:
        raise InputError("--node", got=repr(unknown[0]), expected=f"a node of {data}")
    nodes = np.array([places[one] for one in names])
    chances, novelty = model.predict_proba(graph, nodes).max(axis=1), model.novelty(graph, nodes)
    answers = zip(names, model.predict(graph, nodes), chances.tolist(), novelty.tolist(), strict=True)
    table = Table(ANSWERS.split(","), [list(one) for one in answers])
    table.notes.append(
        "novelty above 1: farther from every known class than about 95 % of the nodes of the nearest one"
    )
    return table


def write_answers(table: Table, path: Path, *, force: bool = False) -> Table:
    """Write the rows of `answer_table` as CSV; `force` replaces an earlier file of answers. Says how many."""
    lines = io.StringIO()
    rounded = ([a, b, f"{c:.4f}", f"{d:.4f}"] for a, b, c, d in table.rows)
    csv.writer(lines, lineterminator="\n").writerows([table.columns, *rounded])
    write_text(path, lines.getvalue(), force=force, ours=starts_with(ANSWERS))
    return Table(["nodes", "file"], [[len(table.rows), str(path)]])


def time_adding(seed: int = 0) -> Table:
    """Seconds of adding two classes to the default, and of predicting with it, on the demo's graph."""
    base, new, *_ = SessionStream(open_data("demo", seed)[0], 10, 2, seed=seed)
    learner = make_learner("mecoin+", base, seed, encoder="sgc")
    learner.fit_base(base.graph, base.support, base.validation)
    calls: dict[str, Callable[[], object]] = {"predict": lambda: learner.predict(base.graph, base.test)}
    calls["add two classes"] = lambda: copy.copy(learner).add_classes(new.graph, new.support)
    return Table(["what", "seconds"], [[name, one.seconds] for name, one in compare(calls, repeats=3).items()])
