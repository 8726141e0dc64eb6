"""Ways to damage a file: bytes, lines, fields, JSON values, arrays; and to sign it again, so that it looks whole."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.files import MANIFEST, digest, digest_file

ODD_TEXT = ["", "nan", "inf", "-1", "0", "1e400", "9" * 40, "-9223372036854775809", "é", '"', "a,b", "\x00", "[", "{}"]
ODD_JSON: list[Any] = [
    None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**30, 2**31, "", "x", [], {}, [[]], ["1", 1], {"a": None},
]  # fmt: skip
ODD_NUMBERS = [np.nan, np.inf, -np.inf, -1.0, 1e30, 2.0**40]
Draw = random.Random


def damage(file: Path, draw: Draw) -> str:
    """Change one file in place, in one way or two; returns the names of the ways."""
    done = []
    for _ in range(1 if draw.random() < 0.7 else 2):
        ways = _ways(file)
        name = draw.choice(list(ways))
        before = file.read_bytes()
        changed = ways[name](before, draw)
        if changed is not None and changed != before:
            file.write_bytes(changed)
            done.append(name)
    return "+".join(done)


def sign(place: Path) -> None:
    """Put right what digests a file or folder holds, as far as its damaged form lets it."""
    for file in [place] if place.is_file() else sorted(one for one in place.rglob("*") if one.is_file()):
        data = file.read_bytes()
        if file.suffix == ".safetensors" or data[8:24].startswith(b'{"__metadata__"'):
            _sign_arrays(file, data)
        elif data[:4] == b"BNN1" or file.suffix == ".bnn":
            file.write_bytes(data[:-32] + hashlib.sha256(data[:-32]).digest())
    for meta in place.rglob("*.sigmf-meta") if place.is_dir() else ():
        _sign_samples(meta)
    for manifest in place.rglob(MANIFEST) if place.is_dir() else ():
        _sign_folder(manifest)


def _ways(file: Path) -> dict[str, Callable[[bytes, Draw], bytes | None]]:
    """Ways that fit what is in the file."""
    data = file.read_bytes()
    ways: dict[str, Callable[[bytes, Draw], bytes | None]] = {
        "bit": _bit, "cut": _cut, "slice": _slice, "repeat": _repeat, "zeros": _zeros, "more": _more,
    }  # fmt: skip
    if data[:2] == b"PK" and file.suffix == ".npz":
        return {**ways, "array": _npz, "array 2": _npz, "array 3": _npz}
    if _header(data):
        return {**ways, "header": _arrays_header, "header 2": _arrays_header, "numbers": _arrays_numbers}
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return ways
    if "\x00" in text:
        return ways
    ways |= {"field": _field, "field 2": _field, "line": _line, "swap": _swap, "newlines": _newlines}
    try:
        json.loads(text)
    except ValueError:
        return ways
    return {**ways, "value": _value, "value 2": _value, "value 3": _value, "key": _key}


def _bit(data: bytes, draw: Draw) -> bytes | None:
    if not data:
        return None
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 4])):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(data: bytes, draw: Draw) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _slice(data: bytes, draw: Draw) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + data[at + draw.choice([1, 4, 64]) :]


def _repeat(data: bytes, draw: Draw) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + data[max(at - draw.choice([1, 8, 64]), 0) : at] + data[at:]


def _zeros(data: bytes, draw: Draw) -> bytes:
    at, length = draw.randrange(len(data) + 1), draw.choice([1, 8, 64])
    return data[:at] + bytes(min(length, len(data) - at)) + data[at + length :]


def _more(data: bytes, draw: Draw) -> bytes:
    return data + draw.randbytes(draw.choice([1, 8, 100]))


def _field(data: bytes, draw: Draw) -> bytes:
    """Another text in place of one field of one line, whatever separates fields there."""
    lines = data.decode("utf-8").splitlines(keepends=True) or [""]
    row = draw.randrange(len(lines))
    separator = max(",\t ;:", key=lines[row].count)
    cells = lines[row].rstrip("\r\n").split(separator)
    cells[draw.randrange(len(cells))] = draw.choice(ODD_TEXT)
    lines[row] = separator.join(cells) + "\n"
    return "".join(lines).encode()


def _line(data: bytes, draw: Draw) -> bytes:
    """A line left out, twice, or empty."""
    lines = data.split(b"\n")
    row = draw.randrange(len(lines))
    lines[row : row + 1] = draw.choice([[], [lines[row]] * 2, [b""], [lines[row], b""]])
    return b"\n".join(lines)


def _swap(data: bytes, draw: Draw) -> bytes:
    lines = data.split(b"\n")
    first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def _newlines(data: bytes, draw: Draw) -> bytes:
    return draw.choice([b"\xef\xbb\xbf" + data, data.replace(b"\n", b"\r\n"), data.replace(b"\n", b"\r"), data.strip()])


def _value(data: bytes, draw: Draw) -> bytes | None:
    """Another JSON value in place of one, anywhere in the document."""
    document = json.loads(data)
    spots = list(_spots(document))
    if not spots:
        return json.dumps(draw.choice(ODD_JSON)).encode()
    holder, key = draw.choice(spots)
    holder[key] = draw.choice(ODD_JSON)
    return json.dumps(document).encode()


def _key(data: bytes, draw: Draw) -> bytes | None:
    """A key or an element left out."""
    document = json.loads(data)
    spots = list(_spots(document))
    if spots:
        holder, key = draw.choice(spots)
        del holder[key]
    return json.dumps(document).encode()


def _spots(document: Any) -> Any:
    pairs = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(pairs):
        yield document, key
        yield from _spots(value)


def _npz(data: bytes, draw: Draw) -> bytes | None:
    """One array of an npz file of another dtype, shape or value, or none at all; written whole."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error):
        return None  # damaged already
    if not arrays:
        return None
    name = draw.choice(list(arrays))
    array = arrays.pop(name)
    kind = draw.choice(["gone", "text", "flat", "short", "float", "odd", "negative", "wide"])
    if kind == "text":
        arrays[name] = array.astype(str)
    elif kind == "flat":
        arrays[name] = array.reshape(-1)
    elif kind == "short":
        arrays[name] = array[: len(array) // 2] if array.ndim else array
    elif kind in ("float", "odd"):
        arrays[name] = _with_odd(array.astype(float) if array.dtype.kind in "iufb" else np.zeros(3), draw)
    elif kind == "negative":
        arrays[name] = -array.astype(np.int64) if array.dtype.kind in "iufb" else array
    elif kind == "wide":
        arrays[name] = np.stack([array, array])
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _with_odd(values: np.ndarray, draw: Draw) -> np.ndarray:
    if values.size:
        values.flat[draw.randrange(values.size)] = draw.choice(ODD_NUMBERS)
    return values


def _header(data: bytes) -> tuple[dict[str, Any], int] | None:
    """(header, where arrays begin) of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= len(data) - 8:
        return None
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError:
        return None
    return (header, 8 + length) if isinstance(header, dict) else None


def _packed(header: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def _arrays_header(data: bytes, draw: Draw) -> bytes | None:
    """A value of a safetensors header, or of the JSON that it carries, in place of another."""
    found = _header(data)
    if found is None:
        return None
    header, start = found
    about = header.get("__metadata__", {})
    key = draw.choice([*about, ""]) if isinstance(about, dict) else ""
    try:
        inner = _value(str(about[key]).encode(), draw) if key else None
        about[key] = inner.decode() if inner else about[key]
    except (ValueError, KeyError):
        spots = list(_spots(header))
        holder, spot = draw.choice(spots)
        holder[spot] = draw.choice(ODD_JSON)
    return _packed(header, data[start:])


def _arrays_numbers(data: bytes, draw: Draw) -> bytes | None:
    """NaN, infinity or a large number in place of one of a safetensors file's float32 numbers."""
    found = _header(data)
    floats = [
        one for one in (found[0] if found else {}).values() if isinstance(one, dict) and one.get("dtype") == "F32"
    ]
    if found is None or not floats:
        return None
    begin, end = draw.choice(floats)["data_offsets"]
    if end <= begin:
        return None
    at = found[1] + begin + 4 * draw.randrange((end - begin) // 4)
    return data[:at] + struct.pack("<f", draw.choice([np.nan, np.inf, 1e30, -1e30])) + data[at + 4 :]


def _sign_arrays(file: Path, data: bytes) -> None:
    """The digests of a safetensors file of ours: of each array, then of its header."""
    found = _header(data)
    try:
        header, start = found or ({}, 0)
        about = json.loads(header["__metadata__"]["ninefold"])
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        for name, entry in entries.items():
            begin, end = entry["data_offsets"]
            if name in about["digests"]:
                about["digests"][name] = digest(data[start + begin : start + end])
        text = json.dumps(about, sort_keys=True)
        own = digest((text + json.dumps(entries, sort_keys=True)).encode())
        header["__metadata__"] = {"ninefold": text, "digest": own}
    except (KeyError, TypeError, ValueError, AttributeError):
        return  # too damaged to be signed
    file.write_bytes(_packed(header, data[start:]))


def _sign_samples(meta: Path) -> None:
    """The digest of a SigMF recording's samples."""
    try:
        document = json.loads(meta.read_text(encoding="utf-8"))
        document["global"]["core:sha512"] = hashlib.sha512(meta.with_suffix(".sigmf-data").read_bytes()).hexdigest()
        meta.write_text(json.dumps(document), encoding="utf-8")
    except (KeyError, OSError, TypeError, ValueError):
        return


def _sign_folder(manifest: Path) -> None:
    """The sizes and digests of a folder's manifest, and its own."""
    try:
        about = json.loads(manifest.read_text(encoding="utf-8"))
        for name, entry in about["files"].items():
            file = manifest.parent / name
            if entry and file.is_file():
                data = file.read_bytes()
                header = _header(data)
                entry["size"] = len(data)
                if "header" in entry and header:
                    entry["header"] = digest(data[: header[1]])
                elif "digest" in entry:
                    entry["digest"] = digest_file(file)
        body = {key: value for key, value in about.items() if key != "digest"}
        body["digest"] = digest(json.dumps(body, sort_keys=True).encode())
        manifest.write_text(json.dumps(body, sort_keys=True, indent=1) + "\n", encoding="utf-8")
    except (KeyError, TypeError, ValueError, AttributeError):
        return
