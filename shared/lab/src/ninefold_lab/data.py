"""Public data of the packages, by name: where it is, under which licence, and fetched where its bytes may be fetched.

A package's list is `experiments/data.json`: sets with a name, a licence and files, each with its repository, commit and
path there, the SHA-256 and size of these bytes, and `gzip` where ours is their gzip. A set that some conversion makes
from its source has no files but a line `by_hand` that says how.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ninefold import datasets
from ninefold.errors import InputError
from ninefold.files import atomic_file, digest

HOST = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class DataSet:
    """A named set of a package's data.

    Attributes:
        package: distribution name.
        name: of the set.
        licence: as its source states it.
        files: how each is fetched; empty if the set is made by hand.
        by_hand: source and conversion of a set that is.
    """

    package: str
    name: str
    licence: str
    files: tuple[dict[str, Any], ...] = ()
    by_hand: str = ""

    @property
    def bytes(self) -> int:
        """Size of what is fetched."""
        return sum(one["bytes"] for one in self.files)


def listed(packages: Path) -> Iterator[DataSet]:
    """The sets of all packages below the folder `packages` of a checkout."""
    for file in sorted(packages.glob("*/experiments/data.json")):
        for one in json.loads(file.read_text(encoding="utf-8")):
            yield DataSet(file.parts[-3], one["name"], one["licence"], tuple(one["files"]), one.get("by_hand", ""))


def get(found: DataSet, out: Path, *, host: str = HOST, step: Callable[[], object] = lambda: None) -> list[Path]:
    """Fetch a set into `out/<package>/`; files that are there with the right bytes are kept. Returns their paths.

    Args:
        found: the set.
        out: a folder to be named by NINEFOLD_DATA.
        host: address before repository, commit and path.
        step: called after each file.
    Raises:
        InputError: if the set is made by hand; the message says from what and how.
        DownloadError: if a file cannot be had, or holds other bytes than it should.
    """
    if not found.files:
        raise InputError(f"{found.package} {found.name}", got="a set that is made by hand", hint=found.by_hand)
    paths = []
    for one in found.files:
        path = out / found.package / one["path"]
        if not _is_there(path, one):
            address = f"{host}/{one['repository']}/{one['commit']}/{one['source']}"
            kept = f"sources/{one['repository']}/{one['source']}"
            fetched = datasets.find(found.package, kept, sha256=one["sha256"], url=address)
            with atomic_file(path, force=False) as temporary:
                data = fetched.read_bytes()
                temporary.write_bytes(_zipped(data) if one.get("gzip") else data)
        paths.append(path)
        step()
    return paths


def _zipped(data: bytes) -> bytes:
    """The gzip file of the data sets: level 9, no name, no time, so that its digest is known."""
    made = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, made, mtime=0) as file:
        file.write(data)
    return made.getvalue()


def _is_there(path: Path, one: dict[str, Any]) -> bool:
    if not path.is_file():
        return False
    data = path.read_bytes()
    try:
        return digest(gzip.decompress(data) if one.get("gzip") else data) == f"sha256:{one['sha256']}"
    except (OSError, EOFError):  # no gzip file, or half of one
        return False
