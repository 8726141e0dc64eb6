"""Making a switch: one pass over two checkpoints for the counts, one for the thresholds, one for the codes.

A tensor is read in chunks from files that stay mapped, and its code goes to a file as soon as it is made, so memory
does not grow with the model nor with its largest tensor.
"""

from __future__ import annotations

import fnmatch
import hashlib
import itertools
import math
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.files import refuse_existing
from torch import Tensor, nn

from tswitch.checkpoints._checkpoint import Checkpoint, TensorInfo
from tswitch.models._models import LENGTH_KEY, MAX_LENGTH
from tswitch.switch._codec import Encoder
from tswitch.switch._format import dtype_name
from tswitch.switch._select import RadixSelect
from tswitch.switch._switch import Model, OnMismatch, Switch
from tswitch.switch._ternary import Granularity, Scale, aim, check_alpha, check_scale, knob

BUFFERS = ("*running_mean", "*running_var", "*num_batches_tracked")
"""Patterns of float buffers in a checkpoint: statistics, not trained weights, so they are kept as they are."""

_STATISTICS = ("*running_mean", "*running_var")
_FACTORS = ("*lora_A*", "*lora_B*", "*lora_embedding_A*", "*lora_embedding_B*")
_CHUNK = 1 << 22  # entries read at a time; whole blocks of the codec
_CACHED = 1 << 24  # differences of tensors up to this many entries (64 MB) are kept between the passes


@dataclass(frozen=True)
class Settings:
    """The arguments of `Switch.from_checkpoints`, checked."""

    alpha: float = 0.6
    granularity: Granularity = "tensor"
    scale: Scale = "l2"
    exclude: tuple[str, ...] = ("classifier*",)
    on_mismatch: OnMismatch = "error"

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_scale(self.scale)
        for field, kind in (("granularity", Granularity), ("on_mismatch", OnMismatch)):
            if getattr(self, field) not in get_args(kind):
                choices = " or ".join(repr(choice) for choice in get_args(kind))
                raise InputError(field, got=repr(getattr(self, field)), expected=choices)


def compress(
    base: Model,
    finetuned: Model,
    out: str | Path,
    alpha: float = 0.6,
    granularity: Granularity = "tensor",
    scale: Scale = "l2",
    exclude: Sequence[str] = ("classifier*",),
    on_mismatch: OnMismatch = "error",
    force: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Switch:
    """Compress a fine-tuned model straight to a switch folder, in memory that does not depend on the model's size.

    Arguments and errors as in `Switch.from_checkpoints`; also ArtifactError if `out` exists and `force` is off. The
    folder appears whole or not at all, and has the same bytes as `Switch.from_checkpoints(...).save_pretrained(out)`.
    """
    out = Path(out)
    settings = Settings(alpha, granularity, scale, tuple(exclude), on_mismatch)
    refuse_existing(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out.parent) as spool:  # has no name, so even a kill leaves nothing behind
        switch = build(base, finetuned, settings, store=_Spool(spool), progress=progress)
        switch.save_pretrained(out, force=force)
    return Switch.from_pretrained(out)


def build(
    base: Model,
    finetuned: Model,
    settings: Settings,
    *,
    store: _Store | None = None,
    progress: Callable[[int], object] | None = None,
) -> Switch:
    """Make a switch whose codes lie in `store` (default: memory)."""
    before, after = opened(base), opened(finetuned)
    if "peft_type" in (after.config or {}):
        raise InputError("fine-tuned model", got="a LoRA adapter", where=after.source, hint="use Switch.from_adapter")
    plan = _plan(before, after, settings)
    job = _Job(before, after, settings, store or _Memory(), progress)
    job.code(plan.coded)
    job.keep(plan.dense, plan.head)
    if not job.active and not job.dense:
        warnings.warn(f"{after.source} equals its base {before.source}: the switch is empty", stacklevel=3)
    return job.switch(
        {
            "base": _identity(before),
            "alpha": settings.alpha,
            "granularity": settings.granularity,
            "scale": settings.scale,
            "exclude": list(settings.exclude),
            "skipped": plan.skipped,
            "tied": {name: stored for name, stored in sorted(before.tied.items()) if stored in plan.coded},
            "labels": labels_of(after.config),
        }
        | _length(after.config)
    )


def build_adapter(adapter: str | Path, alpha: float, scale: Scale) -> Switch:
    """Make a switch of a LoRA adapter: its factors are coded against zero, the rest is kept."""
    settings = Settings(alpha, "tensor", scale, ())
    after = Checkpoint.open(adapter)
    names = {name: after.info(name) for name in after.names if _matches(name, _FACTORS)}
    if not names or after.config is None:
        raise InputError("adapter", where=after.source, expected="a PEFT LoRA adapter folder with lora_A and lora_B")
    job = _Job(None, after, settings, _Memory(), None)
    job.code(names)
    job.keep([name for name in after.names if name not in names], [])
    zero = {  # such as B of a layer that was never trained: nothing to code, but peft expects the tensor
        name: {"shape": list(about.shape), "dtype": dtype_name(about.dtype)}
        for name, about in names.items()
        if name not in job.active
    }
    return job.switch(
        {
            "base": _public_name(str(after.config.get("base_model_name_or_path") or "unknown")),
            "alpha": alpha,
            "granularity": "tensor",
            "scale": scale,
            "exclude": [],
            "skipped": [],
            "tied": {},
            "adapter": after.config,
            "zero": zero,
        }
    )


def opened(model: Model) -> Checkpoint:
    """A checkpoint from any of the forms in which a model may be given."""
    if isinstance(model, nn.Module | Mapping):
        return Checkpoint.of(model)
    return Checkpoint.open(model)


def fingerprint(checkpoint: Checkpoint, name: str) -> str:
    """Digest of a tensor's values as float32: the same for a bfloat16 file and the float32 model loaded from it."""
    sha = hashlib.sha256()
    room = np.empty(_CHUNK, np.float32)
    for _, chunk in checkpoint.chunks(name, _CHUNK):
        sha.update(_float32(chunk, room).data)
    return _short(sha)


def statistics_share(name: str, weights: Iterable[float]) -> float:
    """What to multiply the weights of dense values by: BatchNorm statistics are averaged once the sum exceeds one.

    A sum of several differences is no statistic of anything: a variance would become negative, and outputs NaN.
    """
    total = math.fsum(weights)
    return 1 / total if total > 1 and _matches(name, _STATISTICS) else 1.0


@dataclass
class _Plan:
    coded: dict[str, TensorInfo]
    dense: list[str]
    head: list[str]
    skipped: list[str]


def _plan(before: Checkpoint, after: Checkpoint, settings: Settings) -> _Plan:
    """Decide what becomes of each tensor; raises InputError that lists all mismatches."""
    plan = _Plan({}, [], [name for name in after.names if _matches(name, settings.exclude)], [])
    wrong: dict[str, list[str]] = {}
    misfits: list[str] = []
    stored = [name for name in before.names if not _matches(name, settings.exclude)]
    for name in stored:
        old = before.info(name)
        new = after.info(name) if name in after else None
        if new is None and not old.dtype.is_floating_point:
            plan.skipped.append(name)  # an index buffer such as position_ids, which libraries save or leave out
            continue
        trouble = _trouble(name, old, new)
        if trouble:
            wrong.setdefault(trouble[0], []).append(trouble[1])
            misfits.append(name)
        elif new is not None and old.dtype.is_floating_point and old.shape and not _matches(name, BUFFERS):
            plan.coded[name] = new
        elif not _equal(before, name, after, name):
            plan.dense.append(name)
    known = {*plan.head, *stored}
    for name in after.names:
        if name in known:
            continue
        if name not in before and not after.info(name).dtype.is_floating_point:
            plan.skipped.append(name)
        elif name not in before:
            wrong.setdefault("not in the base", []).append(name)
            misfits.append(name)
        elif not _equal(after, name, after, before.tied[name]):
            wrong.setdefault("tied in the base only", []).append(f"{name} and {before.tied[name]}")
            misfits.append(name)
    if wrong and settings.on_mismatch == "error":
        raise InputError(
            "fine-tuned model",
            where=after.source,
            got="; ".join(f"{label}: {', '.join(names)}" for label, names in wrong.items()),
            expected=f"the tensors of its base {before.source}",
            hint="--on-mismatch skip or dense (on_mismatch=...), or exclude the task's head by --exclude PATTERN",
        )
    for name in misfits:
        (plan.dense if settings.on_mismatch == "dense" and name in after else plan.skipped).append(name)
    plan.skipped.sort()
    return plan


def _trouble(name: str, old: TensorInfo, new: TensorInfo | None) -> tuple[str, str] | None:
    """(kind of mismatch, what to list) for a tensor of the base, or None."""
    if new is None:
        return "missing in the fine-tuned model", name
    if old.shape != new.shape:
        return "shape", f"{name} {old.shape} became {new.shape}"
    if old.dtype.is_floating_point != new.dtype.is_floating_point:
        return "dtype", f"{name} {dtype_name(old.dtype)} became {dtype_name(new.dtype)}"
    return None


class _Job:
    """The passes over two checkpoints, and what they found."""

    def __init__(
        self,
        before: Checkpoint | None,
        after: Checkpoint,
        settings: Settings,
        store: _Store,
        progress: Callable[[int], object] | None,
    ) -> None:
        self.before, self.after, self.settings, self.store = before, after, settings, store
        self.progress = progress or (lambda _: None)
        self.about: dict[str, TensorInfo] = {}
        self.digests: dict[str, str] = {}
        self.codes: dict[str, Tensor] = {}
        self.active: dict[str, int] = {}
        self.scales: dict[str, float] = {}
        self.dense: dict[str, Tensor] = {}
        self.head: dict[str, Tensor] = {}
        self.parameters = 0

    def code(self, tensors: dict[str, TensorInfo]) -> None:
        """Code tensors: each by its own thresholds and scale, or all by the same."""
        self.about = tensors
        room = _Room()
        with ThreadPoolExecutor(1) as helper:
            if self.settings.granularity == "model":
                self._code_group([_Delta(self.before, self.after, name, room, cached=0) for name in tensors], helper)
                return
            for name, about in tensors.items():
                cached = about.numel if about.numel <= _CACHED else 0
                self._code_group([_Delta(self.before, self.after, name, room, cached=cached)], helper)

    def _code_group(self, deltas: list[_Delta], helper: ThreadPoolExecutor) -> None:
        select = RadixSelect()
        changed = []
        for delta in deltas:
            zeros, size = select.zeros, select.size
            self._count(delta, select, helper)
            if select.not_finite:
                raise InputError(
                    f"tensor {delta.name!r}",
                    where=self.after.place(delta.name),
                    got=f"{select.not_finite} NaN or infinite values in its difference from the base",
                    expected="finite values",
                )
            if select.zeros - zeros < select.size - size:
                changed.append(delta)
            self.parameters += select.size - size
        if not changed:
            return
        aim(select, self.settings.alpha, changed[0].name if len(deltas) == 1 else "model")
        for delta in changed:
            for chunk in delta.chunks():
                select.refine(chunk)
        thresholds = select.thresholds()
        encoders = {delta.name: Encoder(*thresholds, squared=self.settings.scale == "l2") for delta in changed}
        for delta in changed:
            encoder = encoders[delta.name]
            code = self.store.put(piece for chunk in delta.chunks() for piece in encoder.encode(chunk, helper))
            if encoder.active:
                self.codes[delta.name], self.active[delta.name] = code, encoder.active
        total = math.fsum(encoder.total for encoder in encoders.values())
        scale = knob(total, sum(encoder.active for encoder in encoders.values()), self.settings.scale)
        self.scales |= dict.fromkeys((name for name in encoders if name in self.codes), scale)

    def _count(self, delta: _Delta, select: RadixSelect, helper: ThreadPoolExecutor) -> None:
        """First pass over one tensor; its base is hashed beside it."""
        sha = hashlib.sha256()
        hashed = None
        for old, chunk in delta.pairs():
            if hashed is not None:
                hashed.result()
            hashed = helper.submit(sha.update, old.data) if old is not None else None
            select.count(chunk)
            self.progress(chunk.size)
        if hashed is not None:
            hashed.result()
        if self.before is not None:
            self.digests[delta.name] = _short(sha)

    def keep(self, dense: list[str], head: list[str]) -> None:
        """Store tensors of the fine-tuned model as they are."""
        for names, kept in ((dense, self.dense), (head, self.head)):
            for name in names:
                about = self.after.info(name)
                flat = self.store.put(_bytes(chunk) for _, chunk in self.after.chunks(name))
                kept[name] = (flat.view(about.dtype) if flat.numel() else torch.empty(0, dtype=about.dtype)).reshape(
                    about.shape
                )

    def switch(self, config: dict[str, Any]) -> Switch:
        """The result; its parts sorted by name, so that the order of files on disk does not show."""
        names = sorted(self.codes)
        table = {
            name: {
                "shape": list(self.about[name].shape),
                "dtype": dtype_name(self.about[name].dtype),
                "active": self.active[name],
            }
            for name in names
        }
        config |= {
            "parameters": self.parameters,
            "dense": sorted(self.dense),
            "tensors": table,
            "base_digests": dict(sorted(self.digests.items())),
        }
        scales = torch.tensor([self.scales[name] for name in names], dtype=torch.float32)
        return Switch(config, scales, self.codes, self.dense, self.head)


class _Room:
    """Arrays that all tensors share in turn: making them anew would let the heap grow with each tensor, in pieces."""

    def __init__(self) -> None:
        self.delta = np.empty(max(_CACHED, _CHUNK), np.float32)
        self.new = np.empty(_CHUNK, np.float32)
        self.old = (np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32))  # one is hashed, the other is filled


class _Delta:
    """The difference of one tensor, float32, chunk by chunk, as often as asked; each chunk is valid until the next."""

    def __init__(self, before: Checkpoint | None, after: Checkpoint, name: str, room: _Room, *, cached: int) -> None:
        """`cached`: entries to keep between the passes: all of the tensor, or 0 to read it anew each time."""
        self.name = name
        self._before, self._after, self._room, self._cached = before, after, room, cached

    def pairs(self) -> Iterator[tuple[np.ndarray | None, np.ndarray]]:
        """Read from the checkpoints: (base as float32 or None, difference)."""
        olds = itertools.repeat(None) if self._before is None else self._before.chunks(self.name, _CHUNK)
        for turn, ((where, new), held) in enumerate(zip(self._after.chunks(self.name, _CHUNK), olds, strict=False)):
            delta = self._room.delta[where if self._cached else slice(new.numel())]
            values, old = _float32(new, self._room.new), None
            if held is None:
                delta[:] = values
            else:
                old = _float32(held[1], self._room.old[turn % 2])
                np.subtract(values, old, out=delta)
            yield old, delta

    def chunks(self) -> Iterator[np.ndarray]:
        """The difference again, after `pairs` was read to its end."""
        if self._cached:
            kept = self._room.delta[: self._cached]
            yield from (kept[start : start + _CHUNK] for start in range(0, kept.size, _CHUNK))
        else:
            yield from (chunk for _, chunk in self.pairs())


class _Store(Protocol):
    def put(self, pieces: Iterable[np.ndarray]) -> Tensor:
        """Keep bytes, given piece by piece (uint8); returns them as one flat uint8 tensor."""
        ...


class _Memory:
    def put(self, pieces: Iterable[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate([np.empty(0, np.uint8), *pieces]))


class _Spool:
    """Keeps bytes in a file and gives them back mapped, so that they take no memory of this process."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def put(self, pieces: Iterable[np.ndarray]) -> Tensor:
        start = self._file.seek(0, 2)
        start = self._file.seek(start + -start % 64)  # any dtype may view the bytes
        for piece in pieces:
            self._file.write(piece.data)
        size = self._file.tell() - start
        self._file.flush()
        if not size:
            return torch.empty(0, dtype=torch.uint8)
        # Mode "c" (private): torch wants a writable array. Nothing writes to it.
        return torch.from_numpy(np.memmap(self._file, np.uint8, "c", offset=start, shape=(size,)))


def _float32(chunk: Tensor, room: np.ndarray) -> np.ndarray:
    """A chunk as float32: itself if it is that already, else converted into the front of `room`."""
    if chunk.dtype == torch.float32 and chunk.is_contiguous():
        return chunk.numpy()
    out = room[: chunk.numel()]
    torch.from_numpy(out).copy_(chunk)
    return out


def _bytes(chunk: Tensor) -> np.ndarray:
    return chunk.contiguous().view(torch.uint8).numpy()


def _equal(one: Checkpoint, name: str, two: Checkpoint, other: str) -> bool:
    if one is two and one.tied.get(name, name) == two.tied.get(other, other):
        return True
    if one.info(name).shape != two.info(other).shape:
        return False
    chunks = zip(one.chunks(name), two.chunks(other), strict=True)
    return all(torch.equal(first, second) for (_, first), (_, second) in chunks)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _short(sha: Any) -> str:
    return sha.hexdigest()[:32]  # 128 bits: it guards against mistakes, and there is one for each tensor


def _identity(checkpoint: Checkpoint) -> str:
    if checkpoint.source == "memory":
        return _public_name(str((checkpoint.config or {}).get("_name_or_path") or "memory"))
    return _public_name(checkpoint.source)


def _length(config: Mapping[str, Any] | None) -> dict[str, int]:
    """Tokens that the fine-tuned model sees of a text, if it says so and they are not the usual number."""
    length = int((config or {}).get(LENGTH_KEY, MAX_LENGTH))
    return {} if length == MAX_LENGTH else {"max_length": length}


def labels_of(config: Mapping[str, Any] | None) -> list[str]:
    """Class names of the fine-tuned model's head, in order; none if its configuration has none."""
    labels = (config or {}).get("id2label") or {}
    return [str(labels[key]) for key in sorted(labels, key=int)]


def _public_name(source: str) -> str:
    """A hub id as it is; of a path only the last part, because the rest is nobody else's business."""
    return source if source.count("/") <= 1 and not Path(source).exists() else Path(source).name
