"""Folders with a manifest, ninefold.json: kind, format version, package, `meta`, and size and digest of each file.

The manifest is in one canonical form that ends in its own digest, so that a change of any byte of it is noticed. An
array file of ours holds a digest for each array; for it the manifest has the digest of its header alone, and a reader
checks only what it reads. Documents, which people edit, are listed but not checked.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ninefold.artifacts._arrays import Artifact, check_kind
from ninefold.errors import ArtifactError, version_of
from ninefold.files import (
    MANIFEST,
    Ours,
    atomic_folder,
    digest,
    digest_file,
    file_entry,
    identity,
    json_or_none,
    read_header,
    recover,
)  # fmt: skip

_PATIENCE = 200  # replacements of a folder while it is read, before its reader gives up


@contextlib.contextmanager
def write_folder(
    path: str | Path,
    *,
    kind: str,
    format_version: int,
    package: str,
    meta: Mapping[str, Any] | None = None,
    force: bool = False,
    ours: Ours = None,
    documents: Sequence[str] = ("README.md",),
) -> Iterator[Path]:
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
    with atomic_folder(path, force=force, ours=ours or kind) as folder:
        yield folder
        names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
        about = {"kind": kind, "format_version": format_version, "package": package, "meta": meta or {}}
        about["package_version"] = version_of(package)
        about["files"] = {name: _of(folder / name, name in documents) for name in names if name != MANIFEST}
        (folder / MANIFEST).write_text(_render(about), encoding="utf-8")


def _of(file: Path, is_document: bool) -> dict[str, Any]:
    """A file's entry in the manifest; of a document a digest for writers alone, who replace none that was edited."""
    return {"document": digest_file(file)} if is_document else file_entry(file)


def settled(path: str | Path, read: Callable[[], Any]) -> Any:
    """What `read()` returns from one version of the folder `path`; it is called again if a writer replaced the folder.

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
    for _ in range(_PATIENCE):
        before = identity(Path(path))
        try:
            result = read()
        except (ArtifactError, OSError):
            if identity(Path(path)) == before:
                raise
        else:
            if identity(Path(path)) == before:
                return result
    raise ArtifactError(path, f"was replaced {_PATIENCE} times while it was read")


class FolderArtifact:
    """A folder written by `write_folder`: the manifest and all sizes are checked now, each file when it is used.

    Attributes:
        path: the folder.
        meta: what the writer stored beside the files.
        about: the whole manifest (kind, format_version, package, package_version, meta, files).

    Examples:
        >>> from pathlib import Path
        >>> from ninefold import ArtifactError
        >>> from ninefold.artifacts import FolderArtifact, write_folder

        >>> with write_folder("model", kind="shop.model", format_version=2, package="ninefold") as folder:
        ...     size = (folder / "items.txt").write_text("tea")
        >>> held = FolderArtifact("model", kind="shop.model", format_version=2)
        >>> held.file("items.txt").read_text()
        'tea'
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
        self.path = Path(path)
        recover(self.path)
        settled(self.path, lambda: self._open(kind, format_version))

    def _open(self, kind: str, format_version: int) -> None:
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
                self._check_size(name, entry["size"])

    def _check_size(self, name: str, expected: int) -> None:
        file = self.path / name
        if not file.is_file():
            raise ArtifactError(file, "is not there")
        if file.stat().st_size != expected:
            size = file.stat().st_size
            raise ArtifactError(file, f"is truncated or padded: {size} bytes, {MANIFEST} says {expected}")

    @property
    def names(self) -> list[str]:
        """Relative names of the files that are checked."""
        return [name for name, entry in self.about["files"].items() if "size" in entry]

    def file(self, name: str) -> Path:
        """Path of one file, after its digest was checked (of an array file of ours: that of its header)."""
        if name not in self.names:
            raise ArtifactError(self.path, f"has no file {name!r}")
        if file_entry(self.path / name) != self.about["files"][name]:
            raise ArtifactError(self.path / name, f"is damaged: it does not match its digest in {MANIFEST}")
        return self.path / name

    def arrays(self, name: str, *, kind: str, format_version: int) -> Artifact:
        """One array file of the folder, opened; each array is checked when it is read."""
        return Artifact(self.file(name), kind=kind, format_version=format_version)

    def verify(self, progress: Callable[[str], object] | None = None) -> None:
        """Check every byte of every file but the documents; raises ArtifactError at the first that differs."""
        for name in self.names:
            file = self.file(name)
            if "header" in self.about["files"][name]:
                held = json_or_none(read_header(file)[0]["__metadata__"]["ninefold"])
                Artifact(file, kind=held["kind"], format_version=held["format_version"]).verify()
            if progress is not None:
                progress(name)


def _render(about: Mapping[str, Any]) -> str:
    body = {key: value for key, value in about.items() if key != "digest"}
    own = digest(json.dumps(body, sort_keys=True).encode())
    return json.dumps({**body, "digest": own}, sort_keys=True, indent=1) + "\n"
