"""Write a checkpoint folder shard by shard, from chunks, so that a kill loses at most one shard.

safetensors' own writer wants each tensor whole in memory; here the header is written first (the layout is known before
any value is) and the values follow chunk by chunk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import torch
from ninefold.artifacts import write_folder
from ninefold.errors import ArtifactError, InputError, NinefoldError
from ninefold.files import MANIFEST, lock, refuse_existing, write_text
from torch import Tensor

from tswitch.checkpoints._checkpoint import TensorInfo

_SAFETENSORS_NAMES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
}
_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_WEIGHT_FILES = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.index.json", "*.h5", "*.msgpack", "*.onnx", "*.gguf")
_JOB = "job.json"
_TALLY, _UNFINISHED = ".tally", ".unfinished"
KIND, FORMAT = "tswitch.checkpoint", 1


@dataclass(frozen=True)
class Written:
    """A checkpoint folder that was written.

    Attributes:
        path: the folder.
        tensors, parameters, nbytes, shards: how many; bytes of tensor data.
        additions: entries to which something was added, where the written dtype is narrower than float32.
        rounded_away: those of them that stayed what they were, because that dtype has no value between.
    """

    path: Path
    tensors: int
    parameters: int
    nbytes: int
    shards: int
    additions: int
    rounded_away: int


class CheckpointWriter:
    """Streams tensors into `out`: one `model.safetensors`, or `model-00001-of-0000N.safetensors` and their index.

    Shards are written to the hidden folder `.<out>.partial` next to `out`; its files become `out` when all is written.
    A run that was killed leaves finished shards there; the next run of the same `job` resumes after them.

    ```python
    with CheckpointWriter(out, layout, job={"method": "ties", ...}) as writer:
        for name in writer.pending():
            for chunk in chunks_of(name):  # flat, in row-major order, cast to the layout's dtype on the way
                writer.feed(chunk)
        writer.copy_files(base.folder)
    ```

    Args:
        out: folder to create; refused if it exists, unless `force`, which replaces a checkpoint that tswitch wrote and
            in which nothing else lies, once the new one is complete.
        layout: dtype and shape of every tensor, in the order in which they will be computed.
        max_shard_size: most bytes of tensor data in a shard, as a number or like "2GB" (decimal) or "2GiB"; one
            tensor larger than that gets a shard of its own.
        job: what determines the values (inputs, method, parameters), as JSON: shards of another job are not reused.
    Raises:
        ArtifactError: `out` exists, or another process is writing it.
        InputError: a dtype that safetensors cannot hold, or a size that cannot be read.

    Examples:
        >>> import torch
        >>> from safetensors.torch import save_file
        >>> from tswitch import Checkpoint, CheckpointWriter

        >>> draw = torch.manual_seed(0)
        >>> base = {"layer.weight": torch.randn(20, 30, generator=draw), "layer.bias": torch.zeros(30)}
        >>> models = [
        ...     {name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.items()}
        ...     for _ in range(2)
        ... ]

        >>> source = Checkpoint.of(base)
        >>> layout = {name: source.info(name) for name in source.names}
        >>> with CheckpointWriter("out", layout, job={"method": "copy"}) as writer:
        ...     for name in writer.pending():
        ...         for start, chunk in source.chunks(name):
        ...             cast = writer.feed(chunk)
        >>> Checkpoint.open("out").names
        ['layer.weight', 'layer.bias']
    """

    def __init__(
        self,
        out: str | Path,
        layout: Mapping[str, TensorInfo],
        *,
        max_shard_size: int | str = "5GB",
        job: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> None:
        self.out, self._layout, self._force = Path(out), dict(layout), force
        if self.out.exists() and not self.out.is_dir():
            raise ArtifactError(self.out, "is a file, not a folder")
        refuse_existing(self.out, force, KIND)
        self._shards = _plan(self._layout, parse_size(max_shard_size))
        count = len(self._shards)
        self.files = [f"model-{n + 1:05d}-of-{count:05d}.safetensors" for n in range(count)]
        self.files = ["model.safetensors"] if count == 1 else self.files
        self.folder = self.out.with_name(f".{self.out.name}.partial")
        self._job = json.dumps({"job": job, "shards": [_header(self._layout, s) for s in self._shards]}, sort_keys=True)
        self._file: BinaryIO | None = None
        self._name, self._missing = "", 0
        self._tally: Counter[str] = Counter()

    def __enter__(self) -> CheckpointWriter:
        self.folder.mkdir(parents=True, exist_ok=True)
        held = lock(self.folder)
        if held is None:
            raise ArtifactError(self.out, "is being written by another process")
        self._lock = held
        job = self.folder / _JOB
        if not (job.is_file() and job.read_text(encoding="utf-8") == self._job):
            _empty(self.folder)
            write_text(job, self._job)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if self._file is not None:
                self._file.close()
            if kind is None:
                self._finish()
            elif isinstance(error, NinefoldError):  # a rerun would meet it again: leave nothing behind
                shutil.rmtree(self.folder)
        finally:
            self._lock.close()

    def pending(self) -> Iterator[str]:
        """Names still to be fed, in order; each must be fed whole before the next is asked for."""
        for file, names in zip(self.files, self._shards, strict=True):
            head = _header(self._layout, names)
            path = self.folder / file
            size = len(head) + sum(self._layout[name].nbytes for name in names)
            tally = path.with_suffix(_TALLY)
            if path.is_file() and path.stat().st_size == size and tally.is_file():
                self._tally.update(json.loads(tally.read_text(encoding="utf-8")))
                continue
            before = Counter(self._tally)
            unfinished = path.with_suffix(_UNFINISHED)
            with unfinished.open("wb") as self._file:
                self._file.write(head.encode("latin-1"))
                for name in names:
                    self._name, self._missing = name, self._layout[name].numel
                    yield name
                    if self._missing:
                        raise RuntimeError(f"{self._missing} elements of {name} were not fed")
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file = None
            write_text(tally, json.dumps(self._tally - before))
            unfinished.replace(path)

    def feed(self, chunk: Tensor) -> Tensor:
        """The next elements of the pending tensor, in row-major order.

        Returns: them in the layout's dtype, as written.
        Raises:
            InputError: if float16 cannot hold a value.
        """
        assert self._file is not None
        dtype = self._layout[self._name].dtype
        cast = chunk.to(dtype).contiguous()
        if dtype == torch.float16 and chunk.dtype != dtype and not cast.isfinite().all():
            largest = chunk.abs().max().item()
            raise InputError(
                f"tensor {self._name!r}", got=f"a value of {largest:.4g}", expected="values float16 can hold"
            )
        self._missing -= cast.numel()
        self._file.write(cast.reshape(-1).view(torch.uint8).numpy().data)
        return cast

    def add(self, base: Tensor, delta: Tensor) -> None:
        """Feed base + delta, both float32, and count the additions that the layout's dtype rounds to no change.

        Raises:
            InputError: if a sum is not finite: the model would answer nothing but NaN.
        """
        written = self.feed(base + delta)
        if not written.isfinite().all():
            raise InputError(f"tensor {self._name!r}", got="NaN or infinity in the sum", expected="finite values")
        if written.dtype.itemsize < base.dtype.itemsize:
            moved = int(torch.count_nonzero(delta))
            changed = int(torch.count_nonzero(written.float() - base.to(written.dtype).float()))
            self._tally["additions"] += moved
            self._tally["rounded_away"] += moved - changed

    def copy_files(
        self,
        folder: Path | None,
        *,
        dtype: torch.dtype | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Copy what a checkpoint's folder holds in addition to weights and model card: config, tokenizer and the like.

        Args:
            folder: the checkpoint's folder; None (a model in memory) copies nothing.
            dtype: what to write as the model's dtype into config.json; None leaves it.
            config: what config.json is to hold instead of the folder's own.
        """
        for path in sorted(folder.rglob("*")) if folder is not None else ():
            relative = path.relative_to(folder)  # pyright: ignore[reportArgumentType]
            hidden = any(part.startswith(".") for part in relative.parts)
            if not path.is_file() or hidden or any(path.match(p) for p in (*_WEIGHT_FILES, "README*", _JOB, MANIFEST)):
                continue
            (self.folder / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, self.folder / relative)
        file = self.folder / "config.json"
        if config is not None or (dtype is not None and file.is_file()):
            held = dict(config) if config is not None else json.loads(file.read_text(encoding="utf-8"))
            if dtype is not None:
                held["dtype" if "dtype" in held else "torch_dtype"] = str(dtype).removeprefix("torch.")
            write_text(file, json.dumps(held, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the output folder, such as its card."""
        write_text(self.folder / name, text)

    @property
    def written(self) -> Written:
        """What was written, once all is."""
        infos = self._layout.values()
        parameters, nbytes = sum(info.numel for info in infos), sum(info.nbytes for info in infos)
        counts = (self._tally["additions"], self._tally["rounded_away"])
        return Written(self.out, len(infos), parameters, nbytes, len(self.files), *counts)

    def _finish(self) -> None:
        if len(self.files) > 1:
            weight_map = {name: file for file, names in zip(self.files, self._shards, strict=True) for name in names}
            index = {"metadata": {"total_size": sum(i.nbytes for i in self._layout.values())}, "weight_map": weight_map}
            self.write_text("model.safetensors.index.json", json.dumps(index, indent=2) + "\n")
        with write_folder(self.out, kind=KIND, format_version=FORMAT, package="tswitch", force=self._force) as complete:
            for path in sorted(self.folder.rglob("*")):
                target = complete / path.relative_to(self.folder)
                if path.is_dir():
                    target.mkdir(exist_ok=True)
                elif path.name != _JOB and path.suffix not in (_TALLY, _UNFINISHED) and path.name[0] != ".":
                    _link(path, target)  # finished shards stay in place until all is done: a kill loses none
        shutil.rmtree(self.folder)


def parse_size(size: int | str) -> int:
    """Bytes of a size such as 1000, "2GB" (decimal) or "2GiB"."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?I?B?)\s*", str(size).upper())
    if not match or match[2] not in _UNITS or float(match[1]) <= 0:
        raise InputError("max_shard_size", got=size, expected="a size like 500MB, 2GB or 2GiB")
    return int(float(match[1]) * _UNITS[match[2]])


def parse_dtype(name: str | torch.dtype | None) -> torch.dtype | None:
    """A floating dtype by name; None stays None ("keep each tensor's own")."""
    dtype = _DTYPES.get(name.removeprefix("torch.")) if isinstance(name, str) else name
    if name is not None and dtype not in _DTYPES.values():
        raise InputError("dtype", got=name, expected=f"one of {', '.join(_DTYPES)}")
    return dtype


def _plan(layout: Mapping[str, TensorInfo], largest: int) -> list[list[str]]:
    """Names by shard, filled in the given order."""
    shards: list[list[str]] = [[]]
    room = largest
    for name, info in layout.items():
        if info.dtype not in _SAFETENSORS_NAMES:
            raise InputError(f"tensor {name!r}", got=str(info.dtype), expected="a dtype that safetensors can hold")
        if info.nbytes > room and shards[-1]:
            shards.append([])
            room = largest
        shards[-1].append(name)
        room -= info.nbytes
    # wider elements first: then every tensor starts at a multiple of its element size, which readers rely on
    return [sorted(names, key=lambda name: -layout[name].dtype.itemsize) for names in shards]


def _header(layout: Mapping[str, TensorInfo], names: Iterable[str]) -> str:
    """Length prefix and JSON header of a safetensors file, as latin-1 text of its bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name in names:
        info = layout[name]
        header[name] = {
            "dtype": _SAFETENSORS_NAMES[info.dtype],
            "shape": list(info.shape),
            "data_offsets": [offset, offset + info.nbytes],
        }
        offset += info.nbytes
    text = json.dumps(header)  # ASCII
    text += " " * (-len(text) % 8)
    return struct.pack("<Q", len(text)).decode("latin-1") + text


def _link(path: Path, target: Path) -> None:
    """The same file under a second name; a copy on file systems that have no such thing."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
