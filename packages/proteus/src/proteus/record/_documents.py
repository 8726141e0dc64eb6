"""JSON documents of the package's formats: read with every way they can be wrong separated, sealed by a digest."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError
from ninefold.files import digest, digest_file, write_text
from pydantic import ValidationError


def own_digest(document: Mapping[str, Any]) -> str:
    """Digest of all of a document but its `digest`."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    return digest(json.dumps(rest, sort_keys=True).encode())


def read_document(path: Path, kind: str, newest: int = 1, *, sealed: bool = False) -> dict[str, Any]:
    """The document of a file.

    Args:
        path: the file.
        kind: its `format`.
        newest: the newest `format_version` that is known.
        sealed: it has a `digest`, which must fit.
    Raises:
        ArtifactError: if it is missing, no JSON, of another kind, of a newer version, or changed.
    """
    if not path.is_file():
        raise ArtifactError(path, "is missing")
    data = path.read_bytes()
    try:
        document = json.loads(data)
    except ValueError:
        raise ArtifactError(path, "is damaged: it is no JSON") from None
    if not isinstance(document, dict) or document.get("format") != kind:
        raise ArtifactError(path, f"is no {kind} file")
    version = document.get("format_version")
    if not isinstance(version, int) or version > newest:
        raise ArtifactError(path, f"has format version {version}, newer than {newest}; update proteus")
    if sealed:
        own = own_digest(document)
        if document.get("digest") not in (own, own.removeprefix("sha256:")) or not data.endswith(b"}\n"):
            raise ArtifactError(path, "was changed: its digest does not fit")
    return document


def raise_first(path: Path, problems: Sequence[str]) -> None:
    """ArtifactError with the first problem, and how many more there are; nothing if there is none."""
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ArtifactError(path, problems[0] + more)


def changed_file(path: Path, digest: str | None, name: str) -> list[str]:
    """What is wrong with a file whose digest is known: nothing, or one line."""
    if not path.is_file():
        return [f"{name}: is missing"]
    return [f"{name}: was changed: its digest does not fit"] * (digest_file(path) != digest)


def judged(path: Path) -> dict[str, dict[str, Any]]:
    """What a model said as judge, by hypothesis; nothing where none was asked."""
    if not path.is_file():
        return {}
    try:
        return {one["hypothesis"]: one for one in json.loads(path.read_bytes())["items"]}
    except (ValueError, KeyError, TypeError):
        raise ArtifactError(path, "is damaged") from None


def write_documents(path: Path, kind: str, objects: list[Any]) -> None:
    """Write objects as `{format, format_version, items}` atomically."""
    items = [one.model_dump(mode="json") for one in objects]
    document = {"format": f"proteus.{kind}", "format_version": 1, "items": items}
    write_text(path, json.dumps(document, indent=1) + "\n")


def read_documents(path: Path, kind: str, model: type[Any]) -> list[Any]:
    """Read what `write_documents` wrote.

    Raises:
        ArtifactError: missing, damaged, foreign, or of a newer format; names the file.
    """
    document = read_document(path, f"proteus.{kind}")
    try:
        return [model.model_validate(one) for one in document["items"]]
    except (KeyError, TypeError, ValidationError) as error:
        raise ArtifactError(path, f"is damaged: {str(error).splitlines()[0]}") from None
