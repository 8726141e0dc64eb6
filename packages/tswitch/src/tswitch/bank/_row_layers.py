"""How one module computes a batch whose rows have different tasks: linear layers, embeddings, and anything else.

A linear layer takes the cheaper of two ways. Where each row has one task, or few mixtures meet, the weights of a
mixture are decoded a tile at a time as base + lambda S and multiplied with its rows alone: as many multiplications as a
plain forward. Where mixtures are many, all rows are multiplied with the base, and the signs of each task with the rows
that use it. With few rows of a task (a step of `generate`) the non-zero signs are added one by one. An embedding
decodes the rows that are looked up. A layer norm scales all rows at once. Any other module (a convolution, say) runs
once for each mixture, on tensors that exist for its own length only.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn
from torch.nn import functional

from tswitch.bank._resident import Job, Term, unpack, write_all
from tswitch.bank._row_plan import Mixture, Part, RowPlan
from tswitch.switch import _fast

_TILE = 1 << 20  # entries decoded at a time: 4 MB of float32
ROOT = "model"  # what the whole model is called, which has no name among its modules
_FEW = 16  # rows (times tokens) of a task up to which its non-zero signs are added one by one
Forward = Callable[..., Any]


def forward_of(module: nn.Module, parts: Sequence[Part], plan: RowPlan, name: str, original: Forward) -> Forward:
    """The forward of a module by row; `original` is its own, `parts` the tensors that the plan's tasks change."""
    by_leaf = {part.leaf: part for part in parts if part.owner is module}
    dense = any(part.slot.name in task.dense for part in parts for task in plan.tasks.values())
    if type(module).forward is nn.Linear.forward and not dense:
        return _Linear(module, by_leaf, plan, name)
    swapped = any(plan.head(part, mixture.head) is not None for part in parts for mixture in plan.mixtures)
    if type(module).forward is nn.Embedding.forward and not dense and not swapped:
        return _Embedding(module, by_leaf["weight"], plan, name, original)
    if type(module).forward is nn.LayerNorm.forward and not dense and not swapped and by_leaf:
        return _Norm(module, by_leaf, plan, name)
    return _Each(parts, plan, name, original)


class _Linear:
    """y = x W^T + b, with W and b of each row's own mixture."""

    def __init__(self, module: nn.Module, parts: Mapping[str, Part], plan: RowPlan, name: str) -> None:
        self.module, self.parts, self.plan, self.name = module, parts, plan, name
        self.swapped = any(plan.head(part, mixture.head) is not None
                           for part in parts.values() for mixture in plan.mixtures)  # fmt: skip
        used = sum(len(mixture.weights) for mixture in plan.mixtures)
        self.apart = not self.swapped and used > len(plan.shares)  # more terms by mixture than by task
        if "bias" in self.parts and not self.apart:
            plan.prepare(self.parts["bias"])

    def __call__(self, x: Tensor) -> Tensor:
        """x (R, ..., in) -> (R, ..., out); rows of smaller heads are filled up with -inf."""
        rows = self.plan.by_row(x, self.name)
        flat = rows.flatten(1, -2)  # (B, positions, in)
        few = self._few(flat)
        y = self._added(flat, few=few) if self.apart or few else self._by_mixture(flat)
        return y.unflatten(1, rows.shape[1:-1]).flatten(0, 1)

    def _own(self, leaf: str) -> Tensor | None:
        part = self.parts.get(leaf)
        return part.slot.live() if part is not None else getattr(self.module, leaf)

    def _few(self, x: Tensor) -> bool:
        """Whether each task has so few rows here that single signs are cheaper than tiles."""
        part = self.parts.get("weight")
        return (
            part is not None
            and not self.swapped
            and x.is_cpu
            and x.shape[-1] % 4 == 0
            and x.shape[1] * self.plan.count <= _FEW * len(self.plan.shares)
            and _fast.kernels(part.slot.live().numel()) is not None
        )

    # Few mixtures: base + lambda S, tile by tile, times the mixture's rows

    def _by_mixture(self, x: Tensor) -> Tensor:
        weights = [self._heads("weight", mixture) for mixture in self.plan.mixtures]
        own = self._own("weight")
        assert own is not None
        sizes = [(own if weight is None else weight).shape[0] for weight in weights]
        out = x.new_full((*x.shape[:2], max(sizes)), -torch.inf) if len(set(sizes)) > 1 else x.new_empty(
            (*x.shape[:2], sizes[0])
        )  # fmt: skip
        if self.swapped:
            self.plan.note_widths(sizes)
        for mixture, weight, size in zip(self.plan.mixtures, weights, sizes, strict=True):
            rows = x[mixture.rows].flatten(0, 1)
            whole = isinstance(mixture.rows, slice) and size == out.shape[-1]  # else there is no view of these rows
            made = out[mixture.rows].flatten(0, 1) if whole else rows.new_empty(len(rows), size)
            bias = self._bias(mixture)
            if weight is not None:
                _multiply(rows, weight, bias, made)
            else:
                self._multiply(rows, mixture, own, bias, made)
            if not whole:
                out[mixture.rows, :, :size] = made.view(-1, x.shape[1], size)
        return out

    def _heads(self, leaf: str, mixture: Mixture) -> Tensor | None:
        part = self.parts.get(leaf)
        return None if part is None else self.plan.head(part, mixture.head)

    def _bias(self, mixture: Mixture) -> Tensor | None:
        part = self.parts.get("bias")
        return self._own("bias") if part is None else self.plan.value(part, mixture)

    def _multiply(self, rows: Tensor, mixture: Mixture, own: Tensor, bias: Tensor | None, out: Tensor) -> None:
        """out = rows (base + sum of the mixture's terms)^T + bias."""
        part = self.parts.get("weight")
        terms = [] if part is None else self.plan.terms(part, mixture.weights)
        if not terms:
            _multiply(rows, own, bias, out)
            return
        for start, stop, tile in self._tiles(own, terms):
            _multiply(rows, tile, None if bias is None else bias[start:stop], out[:, start:stop])

    def _tiles(self, base: Tensor, terms: Sequence[Term]) -> Iterator[tuple[int, int, Tensor]]:
        """(first row, end, base + terms of these rows of W): the memory is used again for the next tile."""
        height, width = base.shape
        step = max(_TILE // max(width, 1) // 4 * 4, 4)
        flat = base.contiguous().view(-1)
        for start in range(0, height, step):
            stop = min(start + step, height)
            first, last = start * width, stop * width
            tile = self.plan.scratch(last - first, base)
            cut = [Term(term.codes[first // 4 : -(-last // 4)], term.scale) for term in terms]
            write_all([Job(flat[first:last], cut, tile)])
            self.plan.cost.decoded += (last - first) * len(terms)
            yield start, stop, tile.view(stop - start, width)

    # Many mixtures, or few rows: all rows times the base, and the signs of each task times its rows

    def _added(self, x: Tensor, *, few: bool) -> Tensor:
        weight, bias = self._own("weight"), self._own("bias")
        assert weight is not None
        out = functional.linear(x, weight, bias)
        for task, (rows, shares) in self.plan.shares.items():
            for leaf, part in self.parts.items():
                term = self.plan.tasks[task].terms.get(part.slot.name)
                if term is None:
                    continue
                factors = (shares * term.scale).to(out.device, torch.float32)[:, None, None]
                if leaf == "bias":
                    signs = unpack(term.codes, part.slot.live().numel())
                    out[rows] += (factors * signs).to(out.dtype)
                else:
                    out[rows] += (factors * self._signs_times(x[rows], term, weight, few=few)).to(out.dtype)
        return out

    def _signs_times(self, x: Tensor, term: Term, weight: Tensor, *, few: bool) -> Tensor:
        """x (g, positions, in) S^T -> (g, positions, out) float32, or wider."""
        flat = x.flatten(0, 1)
        kind = torch.promote_types(x.dtype, torch.float32)
        self.plan.cost.decoded += weight.numel()
        if few:
            kernels = importlib.import_module("tswitch.bank._row_kernels")
            made = torch.zeros(weight.shape[0], len(flat))
            kernels.add_signs(term.codes.numpy(), flat.to(torch.float32).T.contiguous().numpy(), made.numpy())
            return made.T.view(*x.shape[:2], -1).to(kind)
        made = flat.new_empty(len(flat), weight.shape[0])
        height, width = weight.shape
        step = max(_TILE // max(width, 1) // 4 * 4, 4)
        zeros = _zeros(step * width, weight.dtype, weight.device)
        for start in range(0, height, step):
            stop = min(start + step, height)
            first, last = start * width, stop * width
            tile = self.plan.scratch(last - first, weight)
            write_all([Job(zeros[: last - first], [Term(term.codes[first // 4 : -(-last // 4)], 1.0)], tile)])
            torch.mm(flat, tile.view(stop - start, width).T, out=made[:, start:stop])
        return made.view(*x.shape[:2], -1).to(kind)


def _multiply(rows: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """out = rows weight^T + bias."""
    if bias is None:
        torch.mm(rows, weight.T, out=out)
    else:
        torch.addmm(bias, rows, weight.T, out=out)


class _Embedding:
    """Rows of the table that are looked up: those of the base, and of each task's signs."""

    def __init__(self, module: nn.Module, part: Part, plan: RowPlan, name: str, original: Forward) -> None:
        self.module, self.part, self.plan, self.name, self.original = module, part, plan, name, original

    def __call__(self, ids: Tensor) -> Tensor:
        """ids (R, ...) -> (R, ..., width)."""
        rows = self.plan.by_row(ids, self.name)
        out = self.original(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
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
        self.own = {leaf: self._of_rows(leaf) for leaf in ("weight", "bias")}

    def _of_rows(self, leaf: str) -> Tensor | None:
        """(B, *shape) float32 or wider values of a tensor; (1, *shape) where no task changes it."""
        part = self.parts.get(leaf)
        live = getattr(self.module, leaf) if part is None else part.slot.live()
        if live is None:
            return None
        value = live.detach().to(torch.promote_types(live.dtype, torch.float32))[None]
        if part is None:
            return value
        value = value.repeat(self.plan.count, *[1] * live.dim())
        for task, (rows, shares) in self.plan.shares.items():
            term = self.plan.tasks[task].terms.get(part.slot.name)
            if term is not None:
                factors = (shares * term.scale).to(value.device, torch.float32).view(-1, *[1] * live.dim())
                value[rows] += factors * unpack(term.codes, live.numel()).view(live.shape)
                self.plan.cost.decoded += live.numel()
        return value

    def __call__(self, x: Tensor) -> Tensor:
        """x (R, ..., *shape) -> the same shape."""
        rows = self.plan.by_row(x, self.name)
        shape = self.module.normalized_shape
        wide = rows.to(torch.promote_types(x.dtype, torch.float32))
        out = functional.layer_norm(wide, shape, None, None, self.module.eps)  # pyright: ignore[reportArgumentType]
        middle = [1] * (out.dim() - len(shape) - 1)  # pyright: ignore[reportArgumentType]
        for leaf, own in self.own.items():
            if own is not None:
                each = own.view(len(own), *middle, *own.shape[1:])
                out = out * each if leaf == "weight" else out + each
        return out.to(x.dtype).flatten(0, 1)


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


@functools.lru_cache(4)
def _zeros(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.zeros(size, dtype=dtype, device=device)
