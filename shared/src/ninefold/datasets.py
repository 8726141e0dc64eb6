"""Where data files come from: `$NINEFOLD_DATA/<package>/`, then the cache, then (if it is known) the source itself."""

from __future__ import annotations

import os
from pathlib import Path

from ninefold.errors import ArtifactError, DownloadError
from ninefold.files import digest_file


def data_dir(package: str) -> Path | None:
    """`$NINEFOLD_DATA/<package>` if the variable is set and the folder is there, else None."""
    root = os.environ.get("NINEFOLD_DATA")
    folder = Path(root) / package if root else None
    return folder if folder is not None and folder.is_dir() else None


def cache_dir(package: str) -> Path:
    """The package's cache folder, made if missing: below `$NINEFOLD_CACHE`, or the user's own cache."""
    import pooch

    root = os.environ.get("NINEFOLD_CACHE")
    folder = (Path(root) if root else Path(pooch.os_cache("ninefold"))) / package
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def find(package: str, relative: str, *, sha256: str | None = None, url: str | None = None) -> Path:
    """The path of a data file, fetched first if need be.

    Looks in `$NINEFOLD_DATA/<package>/<relative>`, then in the cache, then fetches `url` into the cache.

    Args:
        package: whose data it is.
        relative: path below the package's data folder.
        sha256: hex digest that the file must have, wherever it was found.
        url: where it can be had.
    Raises:
        DownloadError: if it is nowhere; the message says which file to put where.
        ArtifactError: if a file is there with other bytes.
    """
    root = data_dir(package)
    local = root / relative if root is not None else None
    cached = cache_dir(package) / "data" / relative
    for path in (local, cached):
        if path is not None and path.is_file():
            if sha256 is not None and digest_file(path) != f"sha256:{sha256}":
                raise ArtifactError(path, f"is damaged or another version: its SHA-256 is not {sha256}")
            return path
    remedy = f"put the file at {cached}, or set NINEFOLD_DATA to a folder that has {package}/{relative}"
    if url is None:
        raise DownloadError(f"{relative} is not on this machine: {remedy}")
    return _fetch(url, cached, sha256, remedy)


def _fetch(url: str, path: Path, sha256: str | None, remedy: str) -> Path:
    import pooch
    import requests

    path.parent.mkdir(parents=True, exist_ok=True)
    try:  # pooch writes to a temporary name and renames it once the digest fits
        pooch.retrieve(url, known_hash=f"sha256:{sha256}" if sha256 else None, fname=path.name, path=path.parent)
    except (requests.RequestException, OSError) as error:
        raise DownloadError(f"{url} cannot be reached ({type(error).__name__}): {remedy}") from None
    except ValueError:
        raise DownloadError(f"{url} now holds other bytes than SHA-256 {sha256}: {remedy}") from None
    return path
