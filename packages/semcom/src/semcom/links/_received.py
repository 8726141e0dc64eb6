"""A payload's file, and what a receiver writes: pictures, payload, checks; with the facts that one reads of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.artifacts import write_folder
from ninefold.errors import InputError
from PIL import Image

from semcom.links._recording import Played, Recording


def read_payload(path: Path | None) -> bytes:
    """Bytes of a payload file; none if there is no path. InputError if it cannot be read."""
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError("payload file", where=path, got=error.strerror or "an error") from None


def counts(report: Mapping[str, Any], unit: str = "") -> dict[str, Any]:
    """A report of symbols with its names as words, and numbers of six digits.

    Examples:
        >>> from semcom.links._received import counts

        >>> counts({"mask_symbols": 80, "energy": 1.00000049}, " a tile")
        {'mask symbols a tile': 80, 'energy a tile': 1.0}
    """
    rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in report.items()}
    return {key.replace("_", " ") + unit: value for key, value in rounded.items()}


def recording_facts(recording: Recording) -> dict[str, Any]:
    """All symbols of a recording; those by purpose are of a tile in the published form."""
    return counts(recording.about["report"]) | {"tiles": len(recording.symbols), "symbols": recording.symbols.size}


def payload_facts(data: bytes | None) -> dict[str, Any]:
    """Length and digest of a payload; None for both if it did not arrive."""
    length, digest = (None, None) if data is None else (len(data), hashlib.sha256(data).hexdigest())
    return {"payload bytes": length, "payload sha256": digest}


def save_received(
    out: Path | None, pictures: Mapping[str, Sequence[np.ndarray]], files: Mapping[str, bytes], *, force: bool = False
) -> dict[str, str]:
    """Write pictures, (H, W, 3) uint8, numbered under their names, and files into a folder, whole or not at all.

    Returns: "written", the folder; nothing where none is given.
    """
    if out is None:
        return {}
    with write_folder(out, kind="semcom.received", format_version=1, package="semcom", force=force) as folder:
        for name, arrays in pictures.items():
            digits = max(3, len(str(len(arrays) - 1)))
            for number, array in enumerate(arrays):
                file = folder / f"{name}-{number:0{digits}}.png"
                Image.fromarray(array).save(file, compress_level=1)  # a fifth of the time, some percent more bytes
        for name, data in files.items():
            (folder / name).write_bytes(data)
    return {"written": str(out)}


def save_played(played: Played, out: Path | None, *, keep_bad: bool = False, force: bool = False) -> dict[str, Any]:
    """Write pictures, payload and checks into a folder, if one is given.

    Args:
        played: what arrived. out: the folder. keep_bad: also write bytes whose check failed.
        force: replace what an earlier run wrote.
    Returns: facts of what arrived.
    """
    lines = [json.dumps({"part": part, "crc_ok": bool(ok)}) + "\n" for part, ok in enumerate(played.checks)]
    files = {"checks.jsonl": "".join(lines).encode()}
    if played.payload is not None:
        files["payload.bin"] = played.payload
    elif keep_bad:
        files["payload.unchecked"] = played.unchecked
    return {
        "pictures": len(played.pictures), **payload_facts(played.payload), "payload": played.reason or "whole",
        "parts": len(played.checks), "parts whose check held": int(played.checks.sum()),
        **save_received(out, {"picture": played.pictures}, files, force=force),
    }  # fmt: skip
