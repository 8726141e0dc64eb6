"""Who wrote what is at a path, and whether a writer may have that path.

A file is recognised by its own content: the `ninefold` header of a safetensors file, or the words of `mark` in an HTML
page (its generator), a PNG (its Software) or a parquet file (its metadata), or a last line with the digest of the text
before it (`signed`). For a format that has no room for these, such as CSV, the writer brings a function. A folder is
recognised file by file: listed, with the digest that it has, in a JSON description with `kind` or `package`,
`format_version` and `files` (or `digests`), such as ninefold.json, or recognised by itself. A listed file that somebody
has edited since is foreign.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError
from ninefold.files._read import digest, digest_file, file_entry, identity, json_or_none, read_header
from ninefold.files._recover import recover

MANIFEST = "ninefold.json"
RUN = b"a run of Ninefold\n"  # in the lock file of a run's folder
Ours = str | Callable[[Path], bool] | None  # package or kind, a function that recognises a file, or any of Ninefold's

_MARK = re.compile(rb"ninefold-writer:([\w.-]+)")
_SIGNED = re.compile(rb"<!-- ninefold-writer:([\w.-]+) (sha256:[0-9a-f]{64}) -->\n\Z")
_SEARCHED = 65_536  # bytes at either end of a file
_MARKED = (b"\x89png", b"par1", b"<!doctype html", b"<html")  # files that begin so may hold it; other text quotes it
_COUNTED = 1_000  # at most so many foreign files: `--force -o /` must not read a whole disk


def mark(kind: str) -> str:
    """Words that make a file recognisable as written by `kind`: a package ("recsys"), or a kind ("recsys.report").

    Examples:
        >>> from ninefold.files import mark

        >>> mark("recsys.report")
        'ninefold-writer:recsys.report'
    """
    return f"ninefold-writer:{kind}"


def signed(text: str, kind: str) -> str:
    """`text` with a last line that says that `kind` wrote it, and its digest: edited, it is recognised no longer.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files import foreign, signed

        >>> page = Path("README.md")
        >>> size = page.write_text(signed("# Model", "shop"))
        >>> list(foreign(page, "shop"))
        []
        >>> size = page.write_text(page.read_text().replace("Model", "My model"))
        >>> list(foreign(page, "shop"))  # edited, so somebody's own
        ['README.md']
    """
    return f"{text}<!-- {mark(kind)} {digest(text.encode())} -->\n"


def starts_with(line: str) -> Callable[[Path], bool]:
    """A function that recognises text files whose first line is `line`, e.g. the column names of a CSV file.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files import starts_with

        >>> size = Path("lists.csv").write_text("user,item")
        >>> recognise = starts_with("user,item")
        >>> recognise(Path("lists.csv"))
        True
    """
    begin = line.rstrip("\n").encode()

    def recognise(path: Path) -> bool:
        with path.open("rb") as file:
            return file.readline(len(begin) + 2).rstrip(b"\r\n") == begin

    return recognise


def foreign(path: Path, ours: Ours = None) -> Iterator[str]:
    """Names of the files at or below `path` that `ours` did not write; empty folders count, with a slash.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.artifacts import write_folder
        >>> from ninefold.files import foreign

        >>> with write_folder("model", kind="shop.model", format_version=1, package="ninefold") as folder:
        ...     size = (folder / "weights.bin").write_bytes(bytes(4))
        >>> list(foreign(Path("model"), "shop.model"))
        []
        >>> size = Path("model", "notes.txt").write_text("mine")
        >>> list(foreign(Path("model"), "shop.model"))
        ['notes.txt']
    """
    if not path.is_dir():
        yield from [] if _is_ours(path, ours) else [path.name]
    listed = {name: entry for file in path.glob("*.json") for name, entry in _listed(file, ours).items()}
    for folder, below, files in os.walk(path):
        below.sort()
        links = [name for name in below if (Path(folder) / name).is_symlink()]
        for entry in (Path(folder) / name for name in sorted(files + links)):
            name = entry.relative_to(path).as_posix()
            if not (name in listed and _is_as_listed(entry, listed[name])) and not _is_ours(entry, ours):
                yield name
        if not below and not files and Path(folder) != path:
            yield Path(folder).relative_to(path).as_posix() + "/"


def _is_ours(path: Path, ours: Ours) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    if callable(ours):
        return ours(path)
    try:
        about = json_or_none(read_header(path)[0]["__metadata__"]["ninefold"])
    except (ArtifactError, KeyError, TypeError):
        with path.open("rb") as file:
            ends = file.read(_SEARCHED)
            file.seek(max(0, path.stat().st_size - _SEARCHED))
            found = ends[:16].lower().startswith(_MARKED) and (_MARK.search(ends) or _MARK.search(file.read()))
        if path.stat().st_size <= _SEARCHED and (last := _SIGNED.search(ends)):
            found = last if digest(ends[: last.start()]) == last[2].decode() else None
        about = {"kind": found[1].decode()} if found else None
    return _fits(about, ours)


def _listed(description: Path, ours: Ours) -> dict[str, Any]:
    """What a folder's description says of each file it names, itself among them; empty if `ours` did not write it."""
    about = json_or_none(description.read_bytes()) if description.is_file() else None
    if callable(ours) or not isinstance(about, dict) or not _fits(about, ours) or "format_version" not in about:
        return {}
    names = about.get("files", about.get("digests"))
    return {**names, description.name: None} if isinstance(names, Mapping) else {}


def _is_as_listed(file: Path, entry: Any) -> bool:
    """Whether a file is still what its description says; a description that says nothing of it is believed."""
    if file.is_symlink() or not file.is_file():
        return False
    if isinstance(entry, Mapping) and "document" in entry:
        entry = entry["document"]
    if isinstance(entry, str) and entry.startswith("sha256:"):
        return digest_file(file) == entry
    return not isinstance(entry, Mapping) or not entry or dict(entry) == file_entry(file)


def _fits(about: Any, ours: str | None) -> bool:
    if not isinstance(about, Mapping) or not {"kind", "package"} & about.keys():
        return False
    kind = str(about.get("kind", ""))
    return ours in (None, kind, about.get("package", kind.split(".")[0].replace("-", "_")))


def refuse_existing(path: Path, force: bool, ours: Ours = None) -> None:
    """Raise ArtifactError if `path` exists (an empty folder does not count) and may not be replaced.

    Args:
        path: file or folder to be written.
        force: whether what `ours` wrote may be replaced; what anybody else wrote never is.
        ours: import name of the writing package, the kind of its file or folder, or a function that recognises a
            file of it; None for anything that Ninefold wrote.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold import ArtifactError
        >>> from ninefold.files import refuse_existing

        >>> Path("empty").mkdir()
        >>> refuse_existing(Path("empty"), force=False)  # an empty folder may be filled
        >>> size = Path("note.txt").write_text("mine")
        >>> try:
        ...     refuse_existing(Path("note.txt"), force=False)
        ... except ArtifactError as error:
        ...     print(error)
        note.txt: exists already; choose another place, or --force to replace it
    """
    recover(follow(path))
    if _is_free(path):
        return
    if not force:
        raise ArtifactError(path, "exists already; choose another place, or --force to replace it")
    names, before = [""], None
    while names and before != (before := identity(path)):  # again if another writer replaced it while it was judged
        with contextlib.suppress(FileNotFoundError):  # another writer removes it
            names = list(itertools.islice(foreign(path.resolve(), ours), _COUNTED))
    if names and (before is not None or path.is_symlink()):  # else it is gone; a dangling link is not
        writer = ours if isinstance(ours, str) else "Ninefold"
        more = f" and {len(names) - 5}{' or' * (len(names) == _COUNTED)} more" if len(names) > 5 else ""
        lost = f"{', '.join(names[:5])}{more} in it" if path.is_dir() else "it"
        raise ArtifactError(path, f"refusing to replace: {lost} was not written by {writer}; use another path")


def _is_free(path: Path) -> bool:
    """Whether nothing has this name, or an empty folder."""
    try:
        return not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir()))
    except FileNotFoundError:  # another writer moved it aside between the two looks
        return True


def follow(path: Path) -> Path:
    """The path; ArtifactError if a link in it leads nowhere, or in a circle."""
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            raise ArtifactError(path, f"refusing to replace: the link {part} leads nowhere, or in a circle")
    return path


def judge_out(path: Path, *, force: bool = False, ours: Ours = None, what: str = "new") -> None:
    """Raise ArtifactError if a result cannot be written to `path`; to be called before the work.

    Args:
        path: file or folder that the work will write; missing parents are fine, the writer makes them.
        force, ours: as for `refuse_existing`.
        what: "file", "folder", "new" (either), "run" (a folder of `ninefold.run.Run`, which may be resumed), or "into"
            (a folder that may hold anything, to which files are added), or "own" (the caller judges what is there).

    Examples:
        >>> from pathlib import Path
        >>> from ninefold import ArtifactError
        >>> from ninefold.files import judge_out

        >>> judge_out(Path("report.html"), what="file")  # free: nothing is said
        >>> size = Path("report.html").write_text("somebody's page")
        >>> try:
        ...     judge_out(Path("report.html"), force=True, ours="shop", what="file")
        ... except ArtifactError as error:
        ...     print(error)
        report.html: refusing to replace: it was not written by shop; use another path
    """
    try:
        follow(path)
        if what in ("run", "into", "folder") and path.exists() and not path.is_dir():
            raise ArtifactError(path, "exists already, and is a file, not a folder")
        if what == "file" and path.is_dir():
            raise ArtifactError(path, "is a folder, not a file")
        if what not in ("own", "into") and not (what == "run" and is_run(path)):
            refuse_existing(path, force, ours)
        place = path.resolve() if what in ("run", "into") else path.resolve().parent
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise ArtifactError(path, f"cannot be made: {place} is a file")
        if not os.access(place, os.X_OK):
            raise PermissionError
        with tempfile.TemporaryFile(dir=place):  # rights alone do not say that a server, or a quota, lets one write
            pass
    except PermissionError:
        raise ArtifactError(path, f"cannot be written: no rights in {path.parent}") from None
    except OSError as error:
        raise ArtifactError(path, f"cannot be written: {error.strerror}") from None


def is_run(path: Path) -> bool:
    """Whether `path` is a folder of `ninefold.run.Run`, begun at least: its lock says so, or its environment does.

    A folder of nothing but an empty lock counts: a kill came before the lock's first byte.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files._owner import is_run
        >>> from ninefold.run import Run

        >>> with Run("run", {"steps": 3}):
        ...     pass
        >>> Path("other").mkdir()
        >>> is_run(Path("run")), is_run(Path("other"))
        (True, False)
    """
    lock_file, environment = path / ".lock", path / "environment.json"
    words = lock_file.read_bytes()[: len(RUN)] if lock_file.is_file() else None
    if words == RUN or (words == b"" and len(list(path.iterdir())) == 1):
        return True
    about = json_or_none(environment.read_bytes()) if environment.is_file() else None
    return isinstance(about, dict) and {"libraries", "cores"} <= about.keys() and (path / "config.json").is_file()
