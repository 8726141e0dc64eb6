"""Captions: given, read from a CSV file, or drawn from the pictures by a captioner."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ninefold.errors import InputError

from semcom.datasets import NAMES, Captioned, count_tiles, cut_tiles, find_pictures, load_captioned, read_picture

Captioner = Callable[[np.ndarray], list[str]]
"""Captions of pictures (n, H, W, 3) uint8."""


def checked_captions(captions: Sequence[str | None] | None, count: int) -> list[str | None]:
    """As many captions as pictures; white space at the ends is cut, and an empty caption is none.

    Raises:
        InputError: for another number, something that is no text, or text that is no valid UTF-8; names the picture.
    """
    if captions is None:
        return [None] * count
    if isinstance(captions, str) or len(captions) != count:
        got = "one text" if isinstance(captions, str) else f"{len(captions)} captions"
        raise InputError("captions", got=got, expected=f"one for each of {count} pictures (None for none)")
    checked: list[str | None] = []
    for place, caption in enumerate(captions):
        if caption is not None and not isinstance(caption, str):
            raise InputError(f"caption of picture {place}", got=type(caption).__name__, expected="text, or None")
        words = " ".join((caption or "").split())
        try:
            words.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(f"caption of picture {place}", got="half a surrogate pair", expected="Unicode") from None
        checked.append(words or None)
    return checked


def cut_text(caption: str, limit: int) -> str:
    """The longest prefix of at most `limit` UTF-8 bytes that ends with a whole character."""
    return caption.encode("utf-8")[:limit].decode("utf-8", errors="ignore")


def read_captions(path: str | Path) -> dict[str, str]:
    """Captions by file name, of a CSV file with the columns `file` and `caption`.

    Raises:
        InputError: if the file is missing, no UTF-8 CSV, lacks a column, or has a file twice; names the row.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError("captions", where=path, got=error.strerror or "an error") from None
    except UnicodeDecodeError as error:
        raise InputError("captions", where=path, got=f"bytes that are no UTF-8 ({error.reason})") from None
    rows = csv.DictReader(text.splitlines())
    missing = [name for name in ("file", "caption") if name not in (rows.fieldnames or [])]
    if missing:
        raise InputError("captions", where=path, got=f"no column {missing[0]!r}", expected="columns file and caption")
    found: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        name, caption = row["file"], row["caption"]
        if not name or caption is None:
            raise InputError("captions", where=f"{path}, row {number}", got="a row that is cut off")
        if name in found:
            raise InputError("captions", where=f"{path}, row {number}", got=f"{name!r} a second time")
        found[name] = caption
    if not found:
        raise InputError("captions", where=path, got="no row")
    return found


def captions_of(names: Sequence[Path], table: dict[str, str], path: str | Path) -> list[str | None]:
    """The captions of picture files, by name; files that the table lacks have none.

    Raises:
        InputError: if the table names a picture that is not there.
    """
    here = {name.name for name in names} | {name.as_posix() for name in names}
    for file in table:
        if file not in here:
            raise InputError("captions", where=path, got=f"{file!r}", expected="names of the pictures that are sent")
    return [table.get(name.as_posix(), table.get(name.name)) for name in names]


def captioned_tiles(data: str, size: int, captions: Path | None = None) -> Captioned:
    """Training pictures of a named set, or of a folder and a CSV file of captions, cut into tiles.

    Args:
        data: a name that `load_captioned` knows, or a folder; its captions are the classes of its pictures.
        size: height and width of a tile.
        captions: file of `read_captions`, for a folder; pictures that it does not name are left out.
    """
    if data in NAMES:
        if captions is not None:
            raise InputError("captions", got=str(captions), expected="none: the set has captions of its own")
        found = load_captioned(data, "train")
        pictures, nouns, labels, classes = found.images, found.nouns, found.labels, found.classes
    else:
        if captions is None:
            raise InputError("--captions", expected="a CSV file with file and caption for a folder of pictures")
        names = find_pictures([Path(data)])
        texts = captions_of(names, read_captions(captions), captions)
        kept = [(name, text) for name, text in zip(names, texts, strict=True) if text]
        if not kept:
            raise InputError("captions", where=captions, got="none that is not empty")
        pictures, nouns = [read_picture(name) for name, _ in kept], [text for _, text in kept]
        classes = sorted(set(nouns))
        labels = np.array([classes.index(text) for text in nouns])
    images, sizes = cut_tiles(pictures, size)
    rows = np.repeat(np.arange(len(sizes)), [count_tiles([one], size) for one in sizes])
    return Captioned(images, [nouns[row] for row in rows], np.asarray(labels)[rows], classes)
