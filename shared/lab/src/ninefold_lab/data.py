"""Public data of the packages, by name: where it is, under which licence, and fetched where its bytes may be fetched.

A package's list is `experiments/data.json`: sets with a name, a licence and files. A file names its repository, commit
and path there, or several `sources` and the function `convert` of the package's `experiments/conversions.py` that makes
it of them. Its SHA-256 is that of these bytes, before `gzip` where ours is their gzip. A source that is the whole
repository at its commit has no digest: code hosts do not promise the same archive twice; what is made of it has one.
A set that cannot be fetched has no files but a line `by_hand` that says how to get it.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ninefold import datasets
from ninefold.errors import DownloadError, InputError
from ninefold.files import atomic_file, digest

HOST = "https://raw.githubusercontent.com"
_ARCHIVES = "https://codeload.github.com"


@dataclass(frozen=True)
class DataSet:
    """A named set of a package's data.

    Attributes:
        package: distribution name.
        name: of the set.
        licence: as its source states it.
        files: how each is fetched; empty if no command fetches the set.
        by_hand: source and conversion of a set that is.
        claims: ids of the claims that read the set.
        conversions: the file with the functions that convert.
    """

    package: str
    name: str
    licence: str
    files: tuple[dict[str, Any], ...] = ()
    by_hand: str = ""
    claims: tuple[str, ...] = ()
    conversions: Path = Path()

    @property
    def bytes(self) -> int:
        """Size of what is fetched; an archive that several files are made of is fetched once."""
        return sum({_place(one): one["bytes"] for file in self.files for one in _sources(file)}.values())


def listed(packages: Path) -> Iterator[DataSet]:
    """The sets of all packages below the folder `packages` of a checkout; InputError if it has none."""
    lists = sorted(packages.glob("*/experiments/data.json"))
    if not lists:
        raise InputError("--checkout", got=str(packages.parent), expected="a checkout of the repository")
    for file in lists:
        for one in json.loads(file.read_text(encoding="utf-8")):
            words = {key: tuple(one[key]) for key in ("files", "claims") if key in one}
            said = (one["licence"], words.pop("files"), one.get("by_hand", ""))
            yield DataSet(file.parts[-3], one["name"], *said, **words, conversions=file.with_name("conversions.py"))


def get(found: DataSet, out: Path, *, host: str = "", step: Callable[[], object] = lambda: None) -> list[Path]:
    """Fetch a set into `out/<package>/`; files that are there with the right bytes are kept. Returns their paths.

    Args:
        found: the set.
        out: a folder to be named by NINEFOLD_DATA.
        host: address before repository, commit and path, where it is not the usual one.
        step: called after each file.
    Raises:
        InputError: if no command fetches the set; the message says from what and how.
        DownloadError: if a file cannot be had, or holds other bytes than it should.
    """
    if not found.files:
        raise InputError(f"{found.package} {found.name}", got="a set that no command fetches", hint=found.by_hand)
    paths = []
    for one in found.files:
        path = out / found.package / one["path"]
        if not _is_there(path, one):
            data = _made(found, one, [_fetched(found.package, source, host) for source in _sources(one)])
            with atomic_file(path, force=False) as temporary:
                temporary.write_bytes(_zipped(data) if one.get("gzip") else data)
        paths.append(path)
        step()
    return paths


def _sources(file: dict[str, Any]) -> list[dict[str, Any]]:
    """What is fetched for a file: itself, if it is not made of others."""
    return file.get("sources", [file])


def _place(source: dict[str, Any]) -> str:
    return "/".join(source[key] for key in ("repository", "commit", "source"))


def _fetched(package: str, source: dict[str, Any], host: str) -> Path:
    address = f"{host or HOST}/{_place(source)}"
    if source.get("archive"):
        address = f"{host or _ARCHIVES}/{source['repository']}/{source['source']}/{source['commit']}"
    kept = f"sources/{source['repository']}/{source['source']}"
    return datasets.find(package, kept, sha256=source.get("sha256"), url=address)


def _made(found: DataSet, file: dict[str, Any], sources: list[Path]) -> bytes:
    """The bytes of a file, made of its sources."""
    if "convert" not in file:
        return sources[0].read_bytes()
    function, *words = file["convert"].split(":")
    data = _conversions(found.conversions)[function](sources, *words)
    if digest(data) != f"sha256:{file['sha256']}":
        remedy = f"made with {file['with']}: install these versions" if "with" in file else "report this"
        raise DownloadError(f"{found.package} {file['path']}: the conversion gave other bytes than ours, {remedy}")
    return data


@functools.cache
def _conversions(file: Path) -> dict[str, Any]:
    return runpy.run_path(str(file))


def _zipped(data: bytes) -> bytes:
    """The gzip file of the data sets: level 9, no name, no time, so that its digest is known."""
    made = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, made, mtime=0) as file:
        file.write(data)
    return made.getvalue()


def _is_there(path: Path, one: dict[str, Any]) -> bool:
    if not path.is_file():
        return False
    unpacked = gzip.decompress if one.get("gzip") else bytes
    try:
        return digest(unpacked(path.read_bytes())) == f"sha256:{one['sha256']}"
    except (OSError, EOFError):  # no gzip file, or half of one
        return False
