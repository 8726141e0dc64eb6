"""Task vectors: what each fine-tuned model adds to its base, streamed so that memory depends on neither size nor count.

tau_i = theta_i - theta_base, per named tensor, in float32 (paper, section 3.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.checkpoints._given import Model, OnMismatch, opened, refuse_integer_weights

_WORKING_SET = 1 << 21  # float32 values held for a chunk, over base and all tasks: about what fits a core's cache
_SMALLEST_CHUNK = 1 << 12
_ALONE = 1 << 18  # entries of a chunk of one task
_LISTED = 6


@dataclass(frozen=True)
class Piece:
    """One stretch of one tensor, of all tasks.

    Attributes:
        name: the tensor.
        begin: flat position of the first element.
        shape: shape of the whole tensor.
        base: (n,) float32 values of the base.
        deltas: (K, n) float32 task vectors. Buffers are used again for the next piece: copy what you keep.
    """

    name: str
    begin: int
    shape: tuple[int, ...]
    base: Tensor
    deltas: Tensor


class TaskVectors:
    """K task vectors against one base.

    Attributes:
        base, models: the open checkpoints.
        names: floating tensors that are merged, in the base's order.
        copied: tensors taken from the base as they are (integers; with `skip`, those that no model matches).
        dense: tensors taken whole from a model, by name (with `dense`: other shape, or unknown to the base).
        absent: (model index, tensor name) pairs whose task vector counts as zero.

    Args:
        base, models: paths, hub ids, open checkpoints, modules or state dicts.
        on_mismatch: what to do when a model's tensors differ from the base's in name or shape. "error" lists them;
            "skip" counts such a task vector as zero and drops tensors that the base lacks; "dense" takes the tensor
            from the first model that has it.
        exclude: patterns of tensors that are not compared: those of the base are copied, those of models dropped.
    Raises:
        InputError: no models, a mismatch under "error"; later, NaN or infinity in a task vector.
    """

    def __init__(
        self,
        base: Model,
        models: Sequence[Model],
        *,
        on_mismatch: OnMismatch = "error",
        exclude: Sequence[str] = (),
    ) -> None:
        if on_mismatch not in ("error", "skip", "dense"):
            raise InputError("on_mismatch", got=on_mismatch, expected="error, skip or dense")
        if not models:
            raise InputError("models", got="none", expected="at least one fine-tuned model")
        self.base, self.models = opened(base), [opened(model) for model in models]
        for checkpoint in (self.base, *self.models):
            refuse_integer_weights(checkpoint)
        self._exclude = tuple(exclude)
        self.absent: set[tuple[int, str]] = set()
        self.dense: dict[str, Checkpoint] = {}
        problems = [text for index in range(len(self.models)) for text in self._compare(index)]
        if problems and on_mismatch == "error":
            more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
            raise InputError(
                "models differ from the base in " + "; ".join(problems[:_LISTED]) + more,
                hint="on_mismatch='skip' keeps the base there, 'dense' takes the model's tensor",
            )
        if on_mismatch == "skip":
            self.dense = {}
        merged = [n for n in self.base.names if self.base.info(n).dtype.is_floating_point and not self._excluded(n)]
        self.names = [name for name in merged if name not in self.dense]
        self.copied = [name for name in self.base.names if name not in merged]
        # a power of two, so that chunk borders do not depend on how the tensors are laid out
        room = max(_WORKING_SET // (len(self) + 1), _SMALLEST_CHUNK)
        self._elements = 1 << (room.bit_length() - 1)

    def __len__(self) -> int:
        """K, the number of tasks."""
        return len(self.models)

    def numel(self, name: str) -> int:
        """Elements of a tensor."""
        return self.base.info(name).numel

    @property
    def parameters(self) -> int:
        """Elements of all merged tensors together."""
        return sum(self.numel(name) for name in self.names)

    def chunks(self, name: str, *, elements: int | None = None) -> Iterator[Piece]:
        """Walk a tensor, all tasks side by side."""
        elements = elements or self._elements
        info = self.base.info(name)
        size = min(elements, info.numel)
        base, deltas = torch.empty(size), torch.empty(len(self), size)
        streams = [None if (i, name) in self.absent else m.chunks(name, elements) for i, m in enumerate(self.models)]
        for at, values in self.base.chunks(name, elements):
            count = values.numel()
            base[:count].copy_(values)
            for index, stream in enumerate(streams):
                row = deltas[index, :count]
                if stream is None:
                    row.zero_()
                else:
                    torch.sub(row.copy_(next(stream)[1]), base[:count], out=row)
                    self._check(index, name, row)
            yield Piece(name, at.start, info.shape, base[:count], deltas[:, :count])

    def task(self, index: int, name: str) -> Iterator[Tensor]:
        """Walk one task's vector of a tensor: (n,) float32 chunks; the buffer is used again for the next one."""
        elements = _ALONE
        if (index, name) in self.absent:
            size = self.numel(name)
            yield from (torch.zeros(min(elements, size - at)) for at in range(0, size, elements))
            return
        base, delta = torch.empty(2, min(elements, self.numel(name)))
        streams = (self.base.chunks(name, elements), self.models[index].chunks(name, elements))
        for (_, before), (_, after) in zip(*streams, strict=True):
            row = delta[: before.numel()]
            torch.sub(row.copy_(after), base[: before.numel()].copy_(before), out=row)
            self._check(index, name, row)
            yield row

    def whole(self, name: str) -> Piece:
        """The whole tensor as one piece."""
        for piece in self.chunks(name, elements=max(self.numel(name), 1)):
            return piece
        shape = self.base.info(name).shape
        return Piece(name, 0, shape, torch.empty(0), torch.empty(len(self), 0))

    def _compare(self, index: int) -> Iterator[str]:
        """Describe where a model differs from the base, and note what to do if differences are allowed."""
        model, base = self.models[index], self.base
        stored = set(base.names)
        for name in filter(lambda name: not self._excluded(name), base.names):
            want = base.info(name)
            if name not in model:
                self.absent.add((index, name))
                yield f"tensor {name!r}: not in {model.source}"
            elif model.info(name).shape != want.shape:
                self.absent.add((index, name))
                self.dense.setdefault(name, model)
                yield (
                    f"tensor {name!r}: shape {list(want.shape)} in {base.place(name)}, "
                    f"{list(model.info(name).shape)} in {model.place(name)}"
                )
            elif want.dtype.is_floating_point != model.info(name).dtype.is_floating_point:
                self.absent.add((index, name))
                other = model.info(name).dtype
                yield f"tensor {name!r}: {want.dtype} in {base.place(name)}, {other} in {model.place(name)}"
        for name in model.names:
            if name in stored or self._excluded(name):
                continue
            # a tied weight that this model stores all the same is no difference while it repeats the embedding
            if name in base.tied and base.tied[name] in model and model.digest(name) == model.digest(base.tied[name]):
                continue
            self.dense.setdefault(name, model)
            tied = f" (there tied to {base.tied[name]!r}, here not)" if name in base.tied else ""
            yield f"tensor {name!r}: in {model.place(name)}, not in {base.source}{tied}"

    def _excluded(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._exclude)

    def _check(self, index: int, name: str, row: Tensor) -> None:
        if torch.isfinite(row.sum()):  # one sum shows any NaN or infinity
            return
        if torch.isfinite(row).all():  # only the sum overflowed
            return
        sources = (self.models[index], self.base)
        bad = {s: sum(int((~torch.isfinite(part)).sum()) for _, part in s.chunks(name)) for s in sources}
        where = next((source for source in sources if bad[source]), self.models[index])
        count = f"{bad[where]} NaN or infinite values" if bad[where] else "a difference that float32 cannot hold"
        raise InputError(f"tensor {name!r}", where=where.place(name), got=count, expected="finite values")
