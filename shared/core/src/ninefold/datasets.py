"""Where data files come from: `$NINEFOLD_DATA/<package>/`, then the cache, then (if it is known) the source itself."""

from __future__ import annotations

import os
from pathlib import Path

from ninefold.errors import ArtifactError, DownloadError
from ninefold.files import digest_file, lock


def data_dir(package: str) -> Path | None:
    """`$NINEFOLD_DATA/<package>` if the variable is set and the folder is there, else None.

    Examples:
        >>> from ninefold.datasets import data_dir

        >>> data_dir("a package without data") is None
        True
    """
    root = os.environ.get("NINEFOLD_DATA")
    folder = Path(root) / package if root else None
    return folder if folder is not None and folder.is_dir() else None


def cache_path(package: str) -> Path:
    """The package's cache folder, there or not: below `$NINEFOLD_CACHE`, or the user's own cache.

    Examples:
        >>> from ninefold.datasets import cache_path

        >>> cache_path("recsys").name
        'recsys'
    """
    root = os.environ.get("NINEFOLD_CACHE")
    if root:
        return Path(root) / package
    import platformdirs

    return platformdirs.user_cache_path("ninefold") / package


def cache_dir(package: str) -> Path:
    """The package's cache folder, made if missing.

    Examples:
        >>> import os
        >>> from ninefold.datasets import cache_dir

        >>> os.environ["NINEFOLD_CACHE"] = os.getcwd()
        >>> cache_dir("shop").is_dir()
        True
    """
    folder = cache_path(package)
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

    Examples:
        >>> import os
        >>> from pathlib import Path
        >>> from ninefold import ArtifactError
        >>> from ninefold.datasets import find

        >>> os.environ["NINEFOLD_DATA"] = os.getcwd()
        >>> Path("shop").mkdir()
        >>> size = Path("shop", "sales.csv").write_text("user,item")
        >>> find("shop", "sales.csv").name
        'sales.csv'
        >>> try:
        ...     find("shop", "sales.csv", sha256="0" * 64)
        ... except ArtifactError as error:
        ...     print(error.reason[:31])
        is damaged or another version:
    """
    root = data_dir(package)
    cached = cache_path(package) / "data" / relative
    for path in (cached if root is None else root / relative, cached):
        if path.is_file():
            if not _fits(path, sha256):
                raise ArtifactError(path, f"is damaged or another version: its SHA-256 is not {sha256}")
            return path
    remedy = f"put the file at {cached}, or set NINEFOLD_DATA to a folder that has {package}/{relative}"
    if url is None:
        raise DownloadError(f"{relative} is not on this machine: {remedy}")
    return _fetch(url, cached, sha256, remedy)


def _fits(path: Path, sha256: str | None) -> bool:
    return sha256 is None or digest_file(path) == f"sha256:{sha256.lower()}"


def _fetch(url: str, path: Path, sha256: str | None, remedy: str) -> Path:
    """Fetch into a `.part` file, which a later call continues if its digest will tell whether the halves fit."""
    import requests

    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.touch()
    with lock(part, wait=True):
        if path.is_file() and _fits(path, sha256):  # another process fetched it while this one waited
            return path
        begin = part.stat().st_size if sha256 else 0
        try:
            _receive(url, part, begin)
            if begin and not _fits(part, sha256):  # what an earlier call had left was of another version
                _receive(url, part, 0)
        except requests.RequestException as error:
            status = f"HTTP {error.response.status_code}" if error.response is not None else type(error).__name__
            raise DownloadError(f"{url} cannot be had ({status}): {remedy}") from None
        if not _fits(part, sha256):
            os.truncate(part, 0)
            raise DownloadError(f"{url} now holds other bytes than SHA-256 {sha256}: {remedy}")
        part.replace(path)
    return path


def _receive(url: str, part: Path, begin: int) -> None:
    """Write what `url` holds from byte `begin` on to `part`; requests.RequestException if that fails."""
    import requests

    from ninefold.progress import progress

    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={begin}-"} if begin else {})}
    with requests.get(url, headers=headers, stream=True, timeout=(10, 60)) as answer, part.open("r+b") as file:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:  # there is no more than we have
            return
        answer.raise_for_status()
        begin = begin if answer.status_code == requests.codes.partial_content else 0
        file.truncate(begin)
        file.seek(begin)
        left = int(answer.headers.get("Content-Length", 0)) or None
        with progress(left, f"fetching {part.stem}") as bar:
            for block in answer.iter_content(1 << 20):
                file.write(block)
                bar.advance(len(block))
        file.flush()
        os.fsync(file.fileno())
