"""Folders with a manifest, ninefold.json: kind, format version, package, `meta`, and size and digest of each file.

The manifest is in one canonical form that ends in its own digest, so that a change of any byte of it is noticed. An
array file of ours holds a digest for each array; for it the manifest has the digest of its header alone, and a reader
checks only what it reads. Documents, which people edit, are listed but not checked.

A reader opens all files at once, all of one version, and reads from what it opened: a writer that replaces the folder
meanwhile changes nothing for it.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import errno
import json
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ninefold import files
from ninefold.artifacts._arrays import Artifact, check_kind
from ninefold.errors import ArtifactError, version_of
from ninefold.files import MANIFEST, Ours, file_entry, identity, json_or_none, recover

_PATIENCE = 200  # replacements of a folder while it is read, before its reader gives up
_settling = contextvars.ContextVar[frozenset[Path]]("_settling", default=frozenset())  # folders that are read again


@contextlib.contextmanager
def write_folder(
    path: str | Path, *, kind: str, format_version: int, package: str, meta: Mapping[str, Any] | None = None,
    force: bool = False, ours: Ours = None, documents: Sequence[str] = ("README.md",),
) -> Iterator[Path]:  # fmt: skip
    """Yield a new folder to write files into; on success it gets its manifest and takes the name `path`.

    Args:
        path: folder to write.
        kind: what the folder is, e.g. "recsys.model".
        format_version: version of that kind's format, from 1.
        package: import name of the writing package; its version is recorded.
        meta: what else a reader needs, as JSON; read after the block, which may fill it in.
        force: replace a folder of the same kind in which nothing else lies.
        ours: what `force` may replace, if not just `kind`; see `ninefold.files.refuse_existing`.
        documents: files that people may edit: not checked by readers.
    Raises:
        ArtifactError: if `path` exists and may not be replaced; names what would be lost.

    Examples:
        >>> from ninefold.artifacts import FolderArtifact, write_folder

        >>> about = {"kind": "shop.model", "format_version": 1}
        >>> with write_folder("model", **about, package="ninefold", meta={"k": 3}) as folder:
        ...     size = (folder / "items.txt").write_text("tea")
        >>> held = FolderArtifact("model", **about)
        >>> held.names, held.meta
        (['items.txt'], {'k': 3})
    """
    with files.atomic_folder(path, force=force, ours=ours or kind) as folder:
        yield folder
        names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
        about = {"kind": kind, "format_version": format_version, "package": package, "meta": meta or {}}
        about["package_version"] = version_of(package)
        about["files"] = {name: _of(folder / name, name in documents) for name in names if name != MANIFEST}
        (folder / MANIFEST).write_text(_render(about), encoding="utf-8")


def _of(file: Path, is_document: bool) -> dict[str, Any]:
    """A file's entry in the manifest; of a document a digest for writers alone, who replace none that was edited."""
    return {"document": files.digest_file(file)} if is_document else file_entry(file)


def settled(path: str | Path, read: Callable[[], Any]) -> Any:
    """What `read()` returns from one version of the folder `path`; it is called again if a writer replaced the folder.

    A `FolderArtifact` needs it only around libraries that open files by their path, to spare it copies.

    Args:
        path: folder written by `write_folder` or `ninefold.files.atomic_folder`.
        read: reads all that it needs from the folder; a failure while the folder was being replaced does not count.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.artifacts import settled, write_folder

        >>> with write_folder("model", kind="shop.model", format_version=1, package="ninefold") as folder:
        ...     size = (folder / "items.txt").write_text("tea")
        >>> settled("model", lambda: Path("model", "items.txt").read_text())
        'tea'
    """
    path = Path(path)
    for attempt in range(_PATIENCE):
        recover(path)
        before, token = identity(path), _settling.set(_settling.get() | {path})
        try:
            result = read()
        except (ArtifactError, OSError) as error:
            recover(path)  # where names cannot be exchanged, none has the path for a moment
            if identity(path) == before and getattr(error, "errno", None) != errno.ESTALE:
                raise
        else:
            if identity(path) == before:
                return result
        finally:
            _settling.reset(token)
        time.sleep(0.0005 * min(attempt, 40))
    raise ArtifactError(path, f"was replaced {_PATIENCE} times while it was read")


class FolderArtifact:
    """A folder written by `write_folder`: the manifest and all sizes are checked now, each file when it is used.

    All that it returns is of the version that it opened, whatever writers do at the path meanwhile.

    Attributes:
        path: the folder.
        meta: what the writer stored with the files.
        about: the whole manifest (kind, format_version, package, package_version, meta, files).

    Examples:
        >>> from pathlib import Path
        >>> from ninefold import ArtifactError
        >>> from ninefold.artifacts import FolderArtifact, write_folder

        >>> with write_folder("model", kind="shop.model", format_version=2, package="ninefold") as folder:
        ...     size = (folder / "items.txt").write_text("tea")
        >>> held = FolderArtifact("model", kind="shop.model", format_version=2)
        >>> held.read("items.txt")
        b'tea'
        >>> try:
        ...     FolderArtifact("model", kind="shop.index", format_version=2)
        ... except ArtifactError as error:
        ...     print(error)
        model/ninefold.json: holds a shop.model, not a shop.index
    """

    def __init__(self, path: str | Path, *, kind: str, format_version: int) -> None:
        """Open the folder `path`, which must be of `kind` and at most of `format_version`.

        Raises:
            ArtifactError: with the file and the reason, if one is missing, truncated, damaged, foreign or newer.
        """
        self.path, self._copies = Path(path), ""
        self._opened: dict[str, BinaryIO] = {}
        weakref.finalize(self, _close, self._opened)
        settled(self.path, lambda: self._open(kind, format_version))

    def _open(self, kind: str, format_version: int) -> None:
        _close(self._opened)
        manifest = self.path / MANIFEST
        if not self.path.is_dir():
            raise ArtifactError(self.path, "is not a folder" if self.path.exists() else "is not there")
        if not manifest.is_file():
            raise ArtifactError(self.path, f"has no {MANIFEST}, so it is no {kind}")
        text = manifest.read_bytes()
        self.about: dict[str, Any] = json_or_none(text)
        if not isinstance(self.about, dict) or not {"kind", "format_version"} <= self.about.keys():
            raise ArtifactError(manifest, "is damaged, or not one that Ninefold wrote")
        check_kind(manifest, self.about, kind, format_version)
        if text != _render(self.about).encode():
            raise ArtifactError(manifest, "is damaged: it does not match its digest")
        self.meta: dict[str, Any] = self.about["meta"]
        for name, entry in self.about["files"].items():
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ArtifactError(manifest, f"names {name!r}, a file outside the folder")
            if "size" in entry:
                file = self.path / name
                if not file.is_file():
                    raise ArtifactError(file, "is not there")
                self._opened[name] = file.open("rb", buffering=0)
                size = os.fstat(self._opened[name].fileno()).st_size
                if size != entry["size"]:
                    raise ArtifactError(file, f"is truncated or padded: {size} bytes, {MANIFEST} says {entry['size']}")

    @property
    def names(self) -> list[str]:
        """Relative names of the files that are checked."""
        return [name for name, entry in self.about["files"].items() if "size" in entry]

    def _checked(self, name: str) -> BinaryIO:
        """One file, opened, at its start, after its digest was checked (of an array file of ours: its header's)."""
        if name not in self._opened:
            raise ArtifactError(self.path, f"has no file {name!r}")
        file = self._opened[name]
        if file_entry(self.path / name, file) != self.about["files"][name]:
            raise ArtifactError(self.path / name, f"is damaged: it does not match its digest in {MANIFEST}")
        file.seek(0)
        return file

    def read(self, name: str) -> bytes:
        """The bytes of one file, after its digest was checked."""
        return self._checked(name).read()

    def file(self, name: str) -> Path:
        """Path of one file for a library that opens it by itself, after its digest was checked.

        It is a copy that lives as long as this process; in a function called by `settled`, it is the file itself.
        """
        file = self._checked(name)
        if self.path in _settling.get():
            return self.path / name
        if not self._copies:
            self._copies = tempfile.mkdtemp(prefix="ninefold-")
            atexit.register(shutil.rmtree, self._copies, ignore_errors=True)
        copy = Path(self._copies) / name
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            with copy.open("wb") as to:
                shutil.copyfileobj(file, to)
        return copy

    def arrays(self, name: str, *, kind: str, format_version: int) -> Artifact:
        """One array file of the folder, opened; each array is checked when it is read."""
        return Artifact(self.path / name, kind=kind, format_version=format_version, file=self._checked(name))

    def verify(self, progress: Callable[[str], object] | None = None) -> None:
        """Check every byte of every file but the documents; raises ArtifactError at the first that differs."""
        for name in self.names:
            file = self._checked(name)
            if "header" in self.about["files"][name]:
                held = json_or_none(files.read_header(self.path / name, file)[0]["__metadata__"]["ninefold"])
                self.arrays(name, kind=held["kind"], format_version=held["format_version"]).verify()
            if progress is not None:
                progress(name)


def _close(opened: dict[str, BinaryIO]) -> None:
    while opened:
        opened.popitem()[1].close()


def _render(about: Mapping[str, Any]) -> str:
    body = {key: value for key, value in about.items() if key != "digest"}
    own = files.digest(json.dumps(body, sort_keys=True).encode())
    return json.dumps({**body, "digest": own}, sort_keys=True, indent=1) + "\n"
