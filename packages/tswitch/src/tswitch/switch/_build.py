"""Making a switch: one pass over two checkpoints for the counts, one for the thresholds, one for the codes.

A tensor is read in chunks from files that stay mapped, and its code goes to a file as soon as it is made, so memory
does not grow with the model nor with its largest tensor.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch import coding
from tswitch.checkpoints._checkpoint import Checkpoint, TensorInfo
from tswitch.checkpoints._given import Model, opened, short_digest
from tswitch.checkpoints._pairing import HEADS
from tswitch.models._models import LENGTH_KEY, MAX_LENGTH
from tswitch.switch import _delta
from tswitch.switch._codec import Encoder
from tswitch.switch._delta import Buffers, Delta, coarser
from tswitch.switch._format import HEAD, card_of, dtype_name, write_folder
from tswitch.switch._plan import AUTO, USUAL, Settings, matches, plan_tensors
from tswitch.switch._select import RadixSelect
from tswitch.switch._ternary import Scale, knob, set_ranks

_PIECE = 1 << 16  # divides the chunks that differences are read in
_FACTORS = ("*lora_A*", "*lora_B*", "*lora_embedding_A*", "*lora_embedding_B*")


@dataclass(frozen=True)
class Parts:
    """What a switch is made of, as `Switch` takes it.

    Attributes:
        config: what `switch_config.json` will hold.
        scales: float32, one for each coded tensor, in the order of the configuration.
        codes, dense, head, rows: tensors by name.
    """

    config: dict[str, Any]
    scales: Tensor
    codes: dict[str, Tensor]
    dense: dict[str, Tensor]
    head: dict[str, Tensor]
    rows: dict[str, Tensor]


def build(
    base: Model,
    finetuned: Model,
    settings: Settings,
    *,
    store: Store | None = None,
    progress: Callable[[int], object] | None = None,
) -> Parts:
    """Make a switch whose codes lie in `store` (default: memory)."""
    before, after = opened(base), opened(finetuned)
    if "peft_type" in (after.config or {}):
        raise InputError("fine-tuned model", got="a LoRA adapter", where=after.source, hint="use Switch.from_adapter")
    plan = plan_tensors(before, after, settings)
    _warn_of_rounding(before, plan.after, plan.coded)
    passes = _Passes(before, plan.after, settings, store or InMemory(), progress)
    if settings.size is None:
        passes.code(plan.coded)
    else:
        passes.measure(plan.coded)
    passes.keep(plan.dense, plan.head)
    passes.keep_rows(plan.rows)
    passes.head = {plan.own[name]: value for name, value in passes.head.items()}  # its names are the class's
    if not passes.active and not passes.dense and not passes.rows:
        warnings.warn(f"{after.source} equals its base {before.source}: the switch is empty", stacklevel=3)
    config = (
        {
            "base": _identity(before),
            "alpha": settings.alpha,
            "granularity": settings.granularity,
            "scale": settings.scale,
            "exclude": list(HEADS if settings.exclude is None else settings.exclude),
            "skipped": plan.skipped,
            "notes": plan.notes(before),
            "tied": {name: stored for name, stored in sorted(before.tied.items()) if stored in plan.coded},
            "labels": labels_of(after.config),
        }
        | plan.other_class()
        | _length(after.config)
        | _kept_config(after.config)
    )
    return passes.parts(config) if settings.size is None else passes.code_by_seed(config)


def build_adapter(adapter: str | Path, alpha: float, scale: Scale) -> Parts:
    """Make a switch of a LoRA adapter: its factors are coded against zero, the rest is kept."""
    settings = Settings(alpha, "tensor", scale, ())
    after = Checkpoint.open(adapter)
    names = {name: after.info(name) for name in after.names if matches(name, _FACTORS)}
    if not names or after.config is None:
        raise InputError("adapter", where=after.source, expected="a PEFT LoRA adapter folder with lora_A and lora_B")
    passes = _Passes(None, after, settings, InMemory(), None)
    passes.code(names)
    passes.keep([name for name in after.names if name not in names], [])
    zero = {  # such as B of a layer that was never trained: nothing to code, but peft expects the tensor
        name: {"shape": list(about.shape), "dtype": dtype_name(about.dtype)}
        for name, about in names.items()
        if name not in passes.active
    }
    return passes.parts(
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


def _warn_of_rounding(before: Checkpoint, after: Checkpoint, coded: Iterable[str]) -> None:
    """Say which two precisions meet in how many tensors, and in which of them they are compared."""
    pairs = Counter((before.info(name).dtype, after.info(name).dtype) for name in coded)
    for (old, new), count in pairs.items():
        common = coarser(old, new)
        if common is not None:
            warnings.warn(
                f"the base is in {dtype_name(old)}, the fine-tuned model in {dtype_name(new)}: both are rounded to "
                f"{dtype_name(common)} before they are compared, in {count} tensor{'s' * (count > 1)}",
                stacklevel=4,
            )


class _Passes:
    """The passes over two checkpoints, and what they found."""

    def __init__(
        self,
        before: Checkpoint | None,
        after: Checkpoint,
        settings: Settings,
        store: Store,
        progress: Callable[[int], object] | None,
    ) -> None:
        self.before, self.after, self.settings, self.store = before, after, settings, store
        self.progress = progress or (lambda _: None)
        self.about: dict[str, TensorInfo] = {}
        self.digests: dict[str, str] = {}
        self.codes: dict[str, Tensor] = {}
        self.active: dict[str, int] = {}
        self.scales: dict[str, float] = {}
        self.measured: dict[str, coding.Measured] = {}
        self.dense: dict[str, Tensor] = {}
        self.head: dict[str, Tensor] = {}
        self.rows: dict[str, Tensor] = {}
        self.parameters = 0

    def code(self, tensors: dict[str, TensorInfo]) -> None:
        """Code tensors: each by its own thresholds and scale, or all by the same."""
        self.about = tensors
        buffers = Buffers()
        with ThreadPoolExecutor(1) as helper:
            if self.settings.granularity == "model":
                self._code_group([Delta(self.before, self.after, name, buffers, cached=0) for name in tensors], helper)
                return
            for name, about in tensors.items():
                cached = about.numel if about.numel <= _delta.CACHED else 0
                self._code_group([Delta(self.before, self.after, name, buffers, cached=cached)], helper)

    def measure(self, tensors: dict[str, TensorInfo]) -> None:
        """First pass of the seeded code: what the changes look like; the base is hashed in the same pass."""
        self.about, buffers = tensors, Buffers()
        for name, about in tensors.items():
            sha = hashlib.sha256()

            def chunks(delta: Delta, sha: Any = sha) -> Iterator[np.ndarray]:
                for old, chunk in delta.pairs():
                    if old is not None:
                        sha.update(old.data)
                    self.progress(chunk.size)
                    yield chunk

            delta = Delta(self.before, self.after, name, buffers, cached=0)
            measured, bad = coding.measure(chunks(delta), coding.matrix_shape(about.shape))
            if bad:
                got = f"{bad} NaN or infinite values in its difference from the base"
                raise InputError(f"tensor {name!r}", where=self.after.place(name), got=got, expected="finite values")
            self.parameters += about.numel
            self.digests[name] = short_digest(sha)
            if measured.total:
                self.measured[name] = measured
                self.codes[name], self.active[name], self.scales[name] = torch.empty(0, dtype=torch.uint8), 0, 0.0

    def code_by_seed(self, config: dict[str, Any]) -> Parts:
        """Code what was measured, so that the folder but its head has the bytes of the settings; the whole result."""
        assert self.settings.size is not None
        by_default = self.settings.size == AUTO
        most = coding.bytes_of(USUAL if by_default else self.settings.size, self.parameters)
        seed, buffers = self.settings.seed, Buffers()
        config |= {"code": {"name": "seeded", "seed": seed}, "alpha": 0.0, "granularity": "tensor", "scale": "unbiased"}

        def chunks(name: str) -> Iterator[np.ndarray]:
            return (chunk for _, chunk in Delta(self.before, self.after, name, buffers, cached=0).pairs())

        spent = self._spent(config) + 4 * len(self.measured)
        while True:
            least = spent + 8 * len(self.measured)
            most = max(most, 2 * least) if by_default else most
            if most <= least and self.measured:
                got, expected = f"{self.settings.size} ({most:,} bytes)", f"clearly more than {least:,} bytes"
                raise InputError("size", got=got, expected=expected, hint="that is what describes the tensors")
            made = coding.code(chunks, self.measured, most - spent, seed)
            self.codes = {name: torch.frombuffer(bytearray(held), dtype=torch.uint8)
                          for name, held in made.codes.items()}  # fmt: skip
            self.active, self.scales = made.active, made.scales
            share = 1 - sum(made.active.values()) / max(self.parameters, 1)
            config["alpha"] = round(share, 6)
            over = self._spent(config) - most
            if over <= 0:
                return self.parts(config)
            spent += over + 16

    def _spent(self, config: dict[str, Any]) -> int:
        """Bytes of the folder as it stands, without its head."""
        parts = self.parts(dict(config))
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "switch"
            write_folder(
                folder, parts.config, scales=parts.scales, codes=parts.codes, dense=parts.dense, head=parts.head,
                rows=parts.rows, card=card_of(parts.config, len(parts.head)), force=False,
            )  # fmt: skip
            return sum(file.stat().st_size for file in folder.iterdir() if file.name != HEAD)

    def _code_group(self, deltas: list[Delta], helper: ThreadPoolExecutor) -> None:
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
        set_ranks(select, self.settings.alpha, changed[0].name if len(deltas) == 1 else "model")
        for delta in changed:
            for chunk in delta.chunks():
                select.refine(chunk)
        thresholds = select.thresholds()
        encoders = {delta.name: Encoder(*thresholds, squared=self.settings.scale == "l2") for delta in changed}
        squares: list[float] = []  # of all entries, for the knob "full"
        for delta in changed:
            encoder = encoders[delta.name]
            chunks = delta.chunks() if self.settings.scale != "full" else _squared(delta.chunks(), squares)
            code = self.store.put(piece for chunk in chunks for piece in encoder.encode(chunk, helper))
            if encoder.active:
                self.codes[delta.name], self.active[delta.name] = code, encoder.active
        total = math.fsum(squares or (encoder.total for encoder in encoders.values()))
        scale = knob(total, sum(encoder.active for encoder in encoders.values()), self.settings.scale)
        self.scales |= dict.fromkeys((name for name in encoders if name in self.codes), scale)

    def _count(self, delta: Delta, select: RadixSelect, helper: ThreadPoolExecutor) -> None:
        """First pass over one tensor; its base is hashed in the same pass."""
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
            self.digests[delta.name] = short_digest(sha)

    def keep(self, dense: list[str], head: list[str]) -> None:
        """Store tensors of the fine-tuned model as they are."""
        for names, kept in ((dense, self.dense), (head, self.head)):
            for name in names:
                about = self.after.info(name)
                flat = self.store.put(_bytes(chunk) for _, chunk in self.after.chunks(name))
                kept[name] = (flat.view(about.dtype) if flat.numel() else torch.empty(0, dtype=about.dtype)).reshape(
                    about.shape
                )

    def keep_rows(self, rows: Mapping[str, int]) -> None:
        """Store the last rows of some tensors as they are."""
        for name, count in rows.items():
            about = self.after.info(name)
            start = about.numel // about.shape[0] * (about.shape[0] - count)
            found = (c[max(start - at.start, 0) :] for at, c in self.after.chunks(name) if at.stop > start)
            flat = self.store.put(_bytes(chunk) for chunk in found)
            self.rows[name] = flat.view(about.dtype).reshape(count, *about.shape[1:])

    def parts(self, config: dict[str, Any]) -> Parts:
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
            **({"rows": sorted(self.rows)} if self.rows else {}),
            "tensors": table,
            "base_digests": dict(sorted(self.digests.items())),
        }
        scales = torch.tensor([self.scales[name] for name in names], dtype=torch.float32)
        return Parts(config, scales, self.codes, self.dense, self.head, self.rows)


def _squared(chunks: Iterable[np.ndarray], sums: list[float]) -> Iterator[np.ndarray]:
    """The chunks as they are; their sums of squares are put into `sums`, in pieces that do not depend on the chunks."""
    for chunk in chunks:
        for start in range(0, chunk.size, _PIECE):
            wide = chunk[start : start + _PIECE].astype(np.float64)
            sums.append(float((wide * wide).sum()))
        yield chunk


class Store(Protocol):
    def put(self, pieces: Iterable[np.ndarray]) -> Tensor:
        """Keep bytes, given piece by piece (uint8); returns them as one flat uint8 tensor."""
        ...


class InMemory:
    def put(self, pieces: Iterable[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.concatenate([np.empty(0, np.uint8), *pieces]))


def _bytes(chunk: Tensor) -> np.ndarray:
    return chunk.contiguous().view(torch.uint8).numpy()


def _kept_config(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fine-tuned model's config.json, for exports; without the path that it was loaded from."""
    kept = {key: value for key, value in (config or {}).items() if key != "_name_or_path"}
    return {"model_config": json.loads(json.dumps(kept, default=str))} if kept else {}


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
