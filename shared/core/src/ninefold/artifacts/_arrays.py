"""Arrays on disk: one safetensors file whose header says what it is and holds a digest for each array.

The header is JSON in safetensors' own metadata, under the key `ninefold`: kind, format version, package and its
version, free `meta`, and `sha256:` digests by array name. Under the key `digest` stands a digest of all that with
the names, dtypes, shapes and places of the arrays. A reader maps the file, checks the header at once and each array
when it is read, so a streaming reader verifies what it reads. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ninefold.errors import ArtifactError, InputError, version_of
from ninefold.files import atomic_file, digest, json_or_none, read_header, recover

if TYPE_CHECKING:
    from torch import Tensor

_HELD = (  # safetensors name, numpy dtype that holds the same bytes, torch name
    ("BOOL", "?", "bool"), ("U8", "u1", "uint8"), ("I8", "i1", "int8"), ("I16", "<i2", "int16"),
    ("U16", "<u2", "uint16"), ("I32", "<i4", "int32"), ("U32", "<u4", "uint32"), ("I64", "<i8", "int64"),
    ("U64", "<u8", "uint64"), ("F16", "<f2", "float16"), ("BF16", "<u2", "bfloat16"),
    ("F32", "<f4", "float32"), ("F64", "<f8", "float64"),
)  # fmt: skip
_DTYPES = {name: (np.dtype(held), torch_name) for name, held, torch_name in _HELD}
_BY_TORCH = {torch_name: name for name, (_, torch_name) in _DTYPES.items()}
_BY_NUMPY = {held: name for name, (held, _) in _DTYPES.items() if name != "BF16"}


def save(
    path: str | Path, arrays: Mapping[str, np.ndarray | Tensor], *, kind: str, format_version: int, package: str,
    meta: Mapping[str, Any] | None = None, force: bool | None = False,
) -> None:  # fmt: skip
    """Write arrays atomically to one safetensors file.

    Args:
        path: file to write.
        arrays: numpy arrays or torch tensors on any device: bool, integers, floats of 16 to 64 bits, bfloat16.
        kind: what the file is, e.g. "tswitch.switch".
        format_version: version of that kind's format, from 1.
        package: import name of the writing package; its version is recorded.
        meta: what else a reader needs, as JSON.
        force: replace a file that `package` wrote; None replaces any file, for those that only the program keeps.
    Raises:
        ArtifactError: if `path` exists and may not be replaced.
        InputError: if an array has another dtype.

    Examples:
        >>> import numpy as np
        >>> from ninefold.artifacts import Artifact, save

        >>> factors = np.arange(6, dtype=np.float32).reshape(2, 3)
        >>> about = {"kind": "shop.factors", "format_version": 1}
        >>> save("f.safetensors", {"factors": factors}, **about, package="ninefold", meta={"k": 3})
        >>> held = Artifact("f.safetensors", **about)
        >>> held.names, held.meta, held.numpy("factors").sum().item()
        (['factors'], {'k': 3}, 15.0)
    """
    with atomic_file(path, force=force, ours=package) as temporary:
        _write(temporary, arrays, kind, format_version, package, meta or {})


def _write(
    path: Path, arrays: Mapping[str, Any], kind: str, version: int, package: str, meta: Mapping[str, Any]
) -> None:
    entries: dict[str, Any] = {}
    digests: dict[str, str] = {}
    buffers: list[memoryview] = []
    offset = 0
    for name, array in arrays.items():
        dtype, shape, data = _bytes_of(name, array)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + data.nbytes]}
        digests[name] = digest(data)
        buffers.append(data)
        offset += data.nbytes
    about = {"kind": kind, "format_version": version, "package": package, "package_version": version_of(package)}
    about |= {"meta": meta, "digests": digests}
    about_text = json.dumps(about, sort_keys=True)
    metadata = {"ninefold": about_text, "digest": _header_digest(about_text, entries)}
    text = json.dumps({"__metadata__": metadata, **entries}).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for data in buffers:
            file.write(data)


def _header_digest(about_text: str, entries: Mapping[str, Any]) -> str:
    return digest((about_text + json.dumps(entries, sort_keys=True)).encode())


def _bytes_of(name: str, array: Any) -> tuple[str, list[int], memoryview]:
    """(safetensors dtype, shape, contiguous little-endian bytes) of a numpy array or torch tensor."""
    if name == "__metadata__":
        raise InputError("array name", got=repr(name), expected="another name: safetensors keeps it for itself")
    if hasattr(array, "detach"):
        import torch

        tensor = array.detach().cpu().contiguous()
        dtype = _BY_TORCH.get(str(tensor.dtype).removeprefix("torch."))
        array = tensor.view(torch.uint16).numpy() if dtype == "BF16" else tensor.numpy() if dtype else tensor
    else:
        array = np.asarray(array)
        dtype = _BY_NUMPY.get(array.dtype.newbyteorder("<"))
    if dtype is None:
        raise InputError(f"array {name!r}", got=f"dtype {array.dtype}", expected=f"one of {', '.join(_DTYPES)}")
    data = np.ascontiguousarray(array, dtype=_DTYPES[dtype][0])
    return dtype, list(array.shape), data.reshape(-1).view(np.uint8).data


class Artifact:
    """A file written by `save`, opened for reading: the header is checked now, each array when it is read.

    Attributes:
        path: the file.
        meta: what the writer stored with the arrays.
        about: the whole header (kind, format_version, package, package_version, meta, digests).
        names: the arrays' names.

    Examples:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from ninefold import ArtifactError
        >>> from ninefold.artifacts import Artifact, save

        >>> save("x.safetensors", {"x": np.zeros(3)}, kind="shop.x", format_version=1, package="ninefold")
        >>> held = Artifact("x.safetensors", kind="shop.x", format_version=1)
        >>> held.verify()
        >>> held.numpy("x").shape
        (3,)

        A changed byte is noticed where it is read:

        >>> data = bytearray(Path("x.safetensors").read_bytes())
        >>> data[-1] ^= 1
        >>> size = Path("x.safetensors").write_bytes(data)
        >>> try:
        ...     Artifact("x.safetensors", kind="shop.x", format_version=1).numpy("x")
        ... except ArtifactError as error:
        ...     print(error)
        x.safetensors: is damaged: array 'x' does not match its digest
    """

    def __init__(
        self, path: str | Path, *, kind: str, format_version: int, file: BinaryIO | None = None
    ) -> None:  # fmt: skip
        """Open `path`, which must be of `kind` and at most of `format_version`.

        Args:
            path: file written by `save`.
            kind: what it must be.
            format_version: newest version of that kind's format that the caller reads.
            file: the same file, opened before; whatever has the path now is not looked at.
        Raises:
            ArtifactError: with the path and the reason, if it is missing, truncated, damaged, foreign or newer.
        """
        self.path = Path(path)
        if file is None:
            recover(self.path)
        self._entries, self._start = read_header(self.path, file)
        metadata = self._entries.pop("__metadata__", None)
        metadata = metadata if isinstance(metadata, dict) else {}
        about_text = str(metadata.get("ninefold", ""))
        self.about: dict[str, Any] = json_or_none(about_text)
        about = self.about
        if not isinstance(about, dict) or not {"kind", "format_version"} <= about.keys():
            reason = "is a safetensors file, but not one that Ninefold wrote (it has no `ninefold` header)"
            raise ArtifactError(self.path, reason)
        check_kind(self.path, about, kind, format_version)
        if metadata.get("digest") != _header_digest(about_text, self._entries):
            raise ArtifactError(self.path, "is damaged: its header does not match its digest")
        try:
            self.meta, self._digests = about["meta"], about["digests"]
            size = self._start + _checked_size(self._entries, self._digests)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(self.path, f"is damaged: its header makes no sense ({error})") from None
        self._map = np.memmap(file or self.path, np.uint8, "r")
        if self._map.size != size:
            raise ArtifactError(self.path, f"is truncated or padded: {self._map.size} bytes, its header says {size}")

    @property
    def names(self) -> list[str]:
        """Names of the arrays, in file order."""
        return list(self._entries)

    def bytes_of(self, name: str) -> np.ndarray:
        """The stored bytes of one array, uint8, mapped from the file, after its digest was checked."""
        if name not in self._entries:
            raise ArtifactError(self.path, f"has no array {name!r}")
        begin, end = self._entries[name]["data_offsets"]
        data = self._map[self._start + begin : self._start + end]
        if digest(data.data) != self._digests[name]:
            raise ArtifactError(self.path, f"is damaged: array {name!r} does not match its digest")
        return data

    def numpy(self, name: str) -> np.ndarray:
        """One array, copied into memory. bfloat16 comes as its uint16 bits."""
        data = np.array(self.bytes_of(name))  # a copy
        return data.view(_DTYPES[self._entries[name]["dtype"]][0]).reshape(self._entries[name]["shape"])

    def torch(self, name: str) -> Tensor:
        """One array as a torch tensor on the CPU, copied into memory."""
        import torch

        tensor = torch.from_numpy(self.numpy(name))
        return tensor.view(torch.bfloat16) if self._entries[name]["dtype"] == "BF16" else tensor

    def verify(self, names: Iterable[str] | None = None, progress: Callable[[str], object] | None = None) -> None:
        """Check every array (or those named) against its digest; raises ArtifactError at the first that differs."""
        for name in self.names if names is None else names:
            self.bytes_of(name)
            if progress is not None:
                progress(name)


def check_kind(path: Path, about: Mapping[str, Any], kind: str, format_version: int) -> None:
    """ArtifactError unless `about` says that `path` is of `kind` and of no format newer than `format_version`."""
    if about["kind"] != kind:
        raise ArtifactError(path, f"holds a {about['kind']}, not a {kind}")
    version = about["format_version"]
    if type(version) is not int:
        raise ArtifactError(path, f"has format version {version!r}, which is no number")
    if version > format_version:
        newer = f"has format version {version}, newer than {format_version}, the newest known here; update "
        raise ArtifactError(path, f"{newer}{about.get('package')} (written by version {about.get('package_version')})")


def _checked_size(entries: Mapping[str, Any], digests: Mapping[str, Any]) -> int:
    """Bytes that the arrays take; they must follow one another without gap or overlap, as safetensors demands."""
    if entries.keys() != digests.keys():
        raise ValueError("it lists other arrays than its digests")
    offset = 0
    for name, entry in entries.items():
        begin, end = entry["data_offsets"]
        sizes = entry["shape"]
        whole = all(type(one) is int and one >= 0 for one in sizes)
        if not whole or begin != offset or end - begin != math.prod(sizes) * _DTYPES[entry["dtype"]][0].itemsize:
            raise ValueError(f"the place of array {name!r} does not fit its shape or the array before it")
        offset = end
    return offset
