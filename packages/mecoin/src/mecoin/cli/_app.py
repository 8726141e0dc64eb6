"""The app and the arguments that several verbs share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ninefold.cli import house_app
from typer import Argument, Option

_DATA = (
    "Graph: a data set (CS, Computers, ...), demo, simulated, or a folder with edges.csv, labels.csv and optionally "
)
_MODE = "Visibility of future nodes: inductive hides them, transductive shows all nodes from the start."

app = house_app(
    "mecoin",
    "New node classes for a graph model from five labels each. Begin with **mecoin demo**; on your own graph: "
    "fit, add, predict; to compare methods: split, compare.",
)
Data = Annotated[str, Argument(help=f"{_DATA}features.csv.")]
Model = Annotated[Path, Argument(help="Model file that `mecoin fit` or `mecoin add` wrote.")]
SplitFile = Annotated[
    Path | None, Option("--split", help="File that `mecoin split` wrote; the nodes of one of its sessions are used.")
]
Number = Annotated[int, Option("--session", help="Number of the session in the split; 0 has the base classes.", min=0)]


@dataclass(frozen=True)
class Cut:
    """Options of the verbs that cut data into sessions."""

    base: Annotated[int, Option("--base", help="Number of base classes; the largest classes are chosen.")] = 10
    way: Annotated[int, Option("--way", help="Number of new classes per session.")] = 2
    shot: Annotated[int, Option("--shot", help="Number of labelled nodes per new class.")] = 5
    mode: Annotated[str, Option(help=_MODE, rich_help_panel="Advanced")] = "inductive"
    sessions: Annotated[int | None, Option(help="Number of sessions after the base session; all by default.")] = None
