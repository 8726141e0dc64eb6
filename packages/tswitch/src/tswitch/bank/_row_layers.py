"""How one module computes a batch whose rows have different tasks: linear layers, embeddings, and anything else.

A linear layer multiplies all rows with its own, untouched weights, and adds for each task its kept signs times the rows
that use it (`_sparse`). An embedding decodes the rows that are looked up. A layer norm scales all rows at once. Any
other module (a convolution, say) runs once for each mixture, on tensors that exist for its own length only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn
from torch.nn import functional

from tswitch.bank._resident import unpack
from tswitch.bank._row_plan import Part, RowPlan
from tswitch.bank._sparse import LookedUp, norm_rows

ROOT = "model"  # what the whole model is called, which has no name among its modules
Forward = Callable[..., Any]


def forward_of(module: nn.Module, parts: Sequence[Part], plan: RowPlan, name: str, original: Forward) -> Forward:
    """The forward of a module by row; `original` is its own, `parts` the tensors that the plan's tasks change."""
    by_leaf = {part.leaf: part for part in parts if part.owner is module}
    dense = any(part.slot.name in task.dense for part in parts for task in plan.tasks.values())
    plain = type(module).forward is nn.Linear.forward or type(module).__name__ == "Conv1D"
    if plain and not dense and len(by_leaf) == len(parts):
        return _Linear(module, by_leaf, plan, name, original)
    swapped = any(plan.head(part, mixture.head) is not None for part in parts for mixture in plan.mixtures)
    if type(module).forward is nn.Embedding.forward and not dense and not swapped:
        return _Embedding(module, by_leaf["weight"], plan, name, original)
    if type(module).forward is nn.LayerNorm.forward and not dense and not swapped and by_leaf:
        return _Norm(module, by_leaf, plan, name)
    return _Each(parts, plan, name, original)


class _Linear:
    """y = x W^T + b, with W and b of each row's own mixture; transformers' Conv1D holds W^T."""

    def __init__(
        self, module: nn.Module, parts: Mapping[str, Part], plan: RowPlan, name: str, original: Forward
    ) -> None:
        self.module, self.parts, self.plan, self.name, self.original = module, parts, plan, name, original
        held = module._parameters  # read without the module's __getattr__, which takes a microsecond
        if getattr(original, "__func__", None) is nn.Linear.forward and "weight" in held:
            self.original = lambda x: functional.linear(x, held["weight"], held.get("bias"))  # pyright: ignore[reportArgumentType]
        self.swapped = any(plan.head(part, mixture.head) is not None
                           for part in parts.values() for mixture in plan.mixtures)  # fmt: skip
        self.changes = plan.changes(parts, transposed=type(module).__name__ == "Conv1D")
        self.decoded = 0
        if self.changes is not None and "weight" in parts:
            self.decoded = sum(self.changes.height * self.changes.width for one in self.changes.changes if one.scale)

    def __call__(self, x: Tensor) -> Tensor:
        """x (R, ..., in) -> (R, ..., out); rows of smaller heads are filled up with -inf."""
        changes, plan = self.changes, self.plan
        if self.swapped:
            rows = plan.by_row(x, self.name)
            return self._heads(rows.flatten(1, -2)).unflatten(1, rows.shape[1:-1]).flatten(0, 1)
        y = self.original(x)
        plan.cost.decoded += self.decoded
        if changes is None or (changes.add_again is not None and changes.add_again(x, y)):
            return y
        shape = x.shape
        if plan.count > 1:
            rows = plan.by_row(x, self.name)
            if len(x) == 1:  # the same input for all rows
                x, y, shape = rows.flatten(0, 1), y.expand(plan.count, *y.shape[1:]), None
        y = y.contiguous()
        changes.add(x, y, plan.tokens(x.numel() // (changes.width * plan.count), x.device), shape)
        return y

    def _heads(self, x: Tensor) -> Tensor:
        """x (B, positions, in) -> (B, positions, widest head), each row through its own head."""
        weights = [self.plan.value(self.parts["weight"], mixture) for mixture in self.plan.mixtures] if (
            "weight" in self.parts) else [self.module.weight] * len(self.plan.mixtures)  # fmt: skip
        sizes = [weight.shape[0] for weight in weights]
        self.plan.note_widths(sizes)
        out = x.new_full((*x.shape[:2], max(sizes)), -torch.inf)
        for mixture, weight, size in zip(self.plan.mixtures, weights, sizes, strict=True):
            bias = self.plan.value(self.parts["bias"], mixture) if "bias" in self.parts else self.module.bias
            out[mixture.rows, :, :size] = functional.linear(x[mixture.rows], weight, bias)  # pyright: ignore[reportArgumentType]
        return out


class _Embedding:
    """Rows of the table that are looked up: those of the base, and of each task's signs."""

    def __init__(self, module: nn.Module, part: Part, plan: RowPlan, name: str, original: Forward) -> None:
        self.module, self.part, self.plan, self.name, self.original = module, part, plan, name, original
        terms = [(place, plan.tasks[task].terms.get(part.slot.name)) for place, task in enumerate(plan.shares)]
        self.added = LookedUp([(place, term.codes, term.scale) for place, term in terms if term is not None])

    def __call__(self, ids: Tensor) -> Tensor:
        """ids (R, ...) -> (R, ..., width)."""
        out = self.original(ids)
        width, added = out.shape[-1], self.added.add_again(ids, out)
        if added:
            self.plan.cost.decoded += added * width
            return out
        count = self.plan.count
        if count > 1:
            rows = self.plan.by_row(ids, self.name)
            if len(ids) == 1:  # the same ids for all rows
                ids = rows.flatten(0, 1)
                out = self.original(ids)
        out = out.contiguous()
        added = self.added.add(ids, out, self.plan.tokens(ids.numel() // count, ids.device))
        if added:
            self.plan.cost.decoded += added * width
            return out
        rows = ids.unflatten(0, (count, len(ids) // count))
        out = out.unflatten(0, rows.shape[:2])
        total = out.to(torch.promote_types(out.dtype, torch.float32))
        for task, (members, shares) in self.plan.shares.items():
            term = self.plan.tasks[task].terms.get(self.part.slot.name)
            if term is not None:
                signs = _looked_up(term.codes, rows[members], out.shape[-1])
                factors = (shares * term.scale).to(out.device, torch.float32).view(-1, *[1] * (total.dim() - 1))
                total[members] += factors * signs
                self.plan.cost.decoded += signs.numel()
        return total.to(out.dtype).flatten(0, 1)


def _looked_up(codes: Tensor, ids: Tensor, width: int) -> Tensor:
    """Signs (*ids.shape, width) int8 of rows of a coded table."""
    if width % 4 == 0:
        held = codes.view(-1, width // 4)[ids.reshape(-1)]
        return unpack(held.view(-1), ids.numel() * width).view(*ids.shape, width)
    places = ids[..., None] * width + torch.arange(width, device=ids.device)
    two = (codes[places // 4] >> (2 * (places % 4)).to(torch.uint8)) & 3
    return (two == 1).to(torch.int8) - (two == 2).to(torch.int8)


class _Norm:
    """Layer norm: the normalised input of all rows at once, times each row's own weight, plus its own bias."""

    def __init__(self, module: nn.Module, parts: Mapping[str, Part], plan: RowPlan, name: str) -> None:
        self.module, self.parts, self.plan, self.name = module, parts, plan, name
        own = [self._of_rows(leaf) for leaf in ("weight", "bias")]
        self.one = [each[0] for each in own] if all(len(each) == 1 for each in own) else None  # that of all rows
        self.weight, self.bias = own
        count = max(len(each) for each in own)
        self.wide = [each.expand(count, *each.shape[1:]).float().flatten(1).contiguous() for each in own]

    def _of_rows(self, leaf: str) -> Tensor:
        """(B, *shape) or (1, *shape) values of a tensor, rounded to its dtype, as that of a switched model is."""
        part, live = self.parts.get(leaf), getattr(self.module, leaf)
        if live is None:
            like = self.module.weight if self.module.weight is not None else torch.ones(self.module.normalized_shape)  # pyright: ignore[reportArgumentType, reportCallIssue]
            return torch.full_like(like, float(leaf == "weight"))[None]  # pyright: ignore[reportArgumentType]
        return (live.detach()[None] if part is None else self.plan.of_rows(part)).to(live.dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """x (R, ..., *shape) -> the same shape."""
        shape, epsilon = self.module.normalized_shape, float(self.module.eps)  # pyright: ignore[reportArgumentType]
        if self.one is not None:
            return functional.layer_norm(x, shape, *self.one, epsilon)  # pyright: ignore[reportArgumentType]
        rows = self.plan.by_row(x, self.name)
        x = rows.flatten(0, 1) if len(x) == 1 else x
        weight, bias = self.wide
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        if x.dtype is self.weight.dtype and norm_rows(x.contiguous(), out, weight, bias, epsilon):
            return out
        out = functional.layer_norm(x, shape, None, None, epsilon)  # pyright: ignore[reportArgumentType]
        split = out.unflatten(0, (len(weight), len(x) // len(weight)))
        middle = [1] * (split.dim() - self.weight.dim())
        weight, bias = (each.view(len(each), *middle, *each.shape[1:]) for each in (self.weight, self.bias))
        return torch.addcmul(bias, split, weight).flatten(0, 1)  # summed in float32, rounded once


class _Each:
    """Any module: once for each mixture, on its rows, with its tensors in place for that long."""

    def __init__(self, parts: Sequence[Part], plan: RowPlan, name: str, original: Forward) -> None:
        self.parts, self.plan, self.name, self.original = parts, plan, name, original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Arguments and output as the module's own; tensors whose first dimension is that of the first one are cut."""
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if not given:
            raise InputError(f"module {self.name!r}", got="no tensor", expected="rows to compute")
        rows = given[0].shape[0] if given[0].dim() else 0
        repeats = self.plan.by_row(given[0], self.name).shape[1]
        results = []
        for mixture in self.plan.mixtures:
            chosen = _positions(mixture.rows, self.plan.count, repeats)

            def cut(value: Any, chosen: Tensor = chosen) -> Any:
                if not isinstance(value, Tensor) or not value.dim() or value.shape[0] != rows or rows == 1:
                    return value
                return value[chosen.to(value.device)]

            with _in_place([(part, self.plan.value(part, mixture)) for part in self.parts]):
                made = self.original(*map(cut, args), **{key: cut(value) for key, value in kwargs.items()})
            results.append((chosen, made))
        if self.name != ROOT:
            return _joined(results, self.plan.count * repeats, self.name)
        self.plan.cost.forwards += len(results) - 1  # the whole model ran so often
        widest = self._note_widths([made for _, made in results])
        return _joined([(rows, _widened(made, widest)) for rows, made in results], self.plan.count * repeats, self.name)

    def _note_widths(self, outputs: Sequence[Any]) -> int:
        """Width of the widest output; outputs are those of heads, which may differ in it."""
        sizes = [made.shape[-1] if isinstance(made, Tensor) and made.dim() else 0 for made in outputs]
        self.plan.note_widths(sizes)
        return max(sizes)


def _widened(value: Any, width: int) -> Any:
    """An output filled up with -inf to this many columns."""
    if not isinstance(value, Tensor) or not value.dim() or value.shape[-1] == width:
        return value
    return functional.pad(value, (0, width - value.shape[-1]), value=-torch.inf)


def _positions(rows: slice | Tensor, count: int, repeats: int) -> Tensor:
    """Places, in a first dimension of count * repeats, of some rows."""
    return torch.arange(count * repeats).view(count, repeats)[rows].flatten()


@contextlib.contextmanager
def _in_place(values: Sequence[tuple[Part, Tensor]]) -> Iterator[None]:
    """Let modules hold other tensors for a while."""
    before = []
    try:
        for part, value in values:
            held = part.owner._parameters if part.leaf in part.owner._parameters else part.owner._buffers
            before.append((held, part.leaf, held[part.leaf]))
            held[part.leaf] = value  # pyright: ignore[reportArgumentType]  (a plain tensor serves, too)
        yield
    finally:
        for held, leaf, own in reversed(before):
            held[leaf] = own


def _joined(results: Sequence[tuple[Tensor, Any]], size: int, name: str) -> Any:
    """Outputs of the mixtures as one, each at its places; tuples part by part."""
    first = results[0][1]
    if isinstance(first, tuple | list):
        return type(first)(
            _joined([(rows, made[place]) for rows, made in results], size, name) for place in range(len(first))
        )
    if first is None:
        return None
    if isinstance(first, Mapping):  # an output of transformers is one, too
        joined = {key: _joined([(rows, made[key]) for rows, made in results], size, name) for key in first}
        return type(first)(**joined)
    if not isinstance(first, Tensor):
        raise InputError(f"output of module {name!r}", got=f"a {type(first).__name__}", expected="tensors")
    if any(made.shape[1:] != first.shape[1:] for _, made in results):
        raise InputError(f"output of module {name!r}", got="other sizes from task to task", expected="one size",
                         hint="heads of several sizes must be linear layers")  # fmt: skip
    out = first.new_empty((size, *first.shape[1:]))
    for rows, made in results:
        out[rows.to(out.device)] = made.expand(len(rows), *made.shape[1:])
    return out
