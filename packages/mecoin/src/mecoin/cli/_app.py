"""What all verbs share: the app, and their common arguments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ninefold.cli import house_app
from typer import Argument, Option

_DATA = "A data set (CS, Computers, ...), 'demo' or 'simulated', or a folder with edges.csv, labels.csv and, if "
_MODE = "inductive, or transductive: all nodes visible from the start."

app = house_app(
    "mecoin",
    "New node classes for a graph model from five labels each. Begin with **mecoin demo**; on your own graph: "
    "fit, add, predict; to compare methods: split, compare.",
)
Data = Annotated[str, Argument(help=f"{_DATA}there are features, features.csv.")]
Model = Annotated[Path, Argument(help="File of a model.")]
SplitFile = Annotated[Path | None, Option("--split", help="A split.json: take the nodes of a session from it.")]
Number = Annotated[int, Option("--session", help="Session of the split.", min=0)]


@dataclass(frozen=True)
class Cut:
    """Options of the verbs that cut data into sessions."""

    base: Annotated[int, Option("--base", help="Base classes: the largest.")] = 10
    way: Annotated[int, Option("--way", help="New classes a session.")] = 2
    shot: Annotated[int, Option("--shot", help="Labelled nodes of each new class.")] = 5
    mode: Annotated[str, Option(help=_MODE)] = "inductive"
    sessions: Annotated[int | None, Option(help="Sessions after the base one; all, if left out.")] = None
