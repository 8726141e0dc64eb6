"""Collections of graphs by name: the simulated one, and those below `$NINEFOLD_DATA/mldgg`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ninefold.datasets import cache_path, data_dir
from ninefold.errors import DownloadError, InputError
from ninefold_graphs import Graph, read_folder

from mldgg.datasets._functions import load_functions
from mldgg.datasets._raw import load_airports, load_citation, load_facebook, load_twitch
from mldgg.datasets._simulator import Simulated

COLLECTIONS: dict[str, Callable[[Path], dict[str, Graph]]] = {
    "citation": load_citation,
    "twitch": load_twitch,
    "airports": load_airports,
    "facebook": load_facebook,
}


def load(name: str, *, root: str | Path | None = None, seed: int = 0) -> dict[str, Graph]:
    """Graphs of a collection by name.

    Args:
        name: `simulated`, `functions` (of installed Python packages), a key of COLLECTIONS, or a folder of own graphs
            (see `read_folder`).
        root: folder that holds the collections; by default `$NINEFOLD_DATA/mldgg`, then the cache.
        seed: of the simulator.
    Raises: DownloadError that says where to put the files; InputError if there is no such collection.
    """
    if name == "simulated":
        return Simulated().draw(seed)
    if name == "functions":
        return load_functions()
    if name not in COLLECTIONS:
        if Path(name).is_dir():
            return read_folder(name)
        known = ", ".join(("simulated", "functions", *COLLECTIONS))
        raise InputError("data", got=repr(name), expected=f"one of {known}, or a folder with edges.csv")
    homes = [Path(root)] if root is not None else [data_dir("mldgg") or Path(), cache_path("mldgg") / "data"]
    for home in homes:
        if (home / name).is_dir():
            return COLLECTIONS[name](home / name)
    raise DownloadError(
        f"{name} is not on this machine: put its raw files at {homes[-1] / name}, or set NINEFOLD_DATA to a folder "
        f"that has mldgg/{name}"
    )
