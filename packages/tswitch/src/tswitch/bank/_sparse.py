"""The kept signs of a matrix as sparse rows: what a linear layer adds to the output of its untouched weights.

    x (W + lambda S)^T + b + mu s = (x W^T + b) + (lambda x S^T + mu s)

At alpha 0.97 one entry in thirty or fewer is kept: the second bracket is a twelfth of a forward pass or less.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from tswitch.bank._resident import unpack

TILE = 32  # rows that the compiled loop sums side by side
_LEAST = 16  # inputs and outputs of the smallest matrix that it takes
_BLOCK = 384  # rows of signs that are summed before their sums are added
_WIDEST = (1 << 16) - 1  # inputs of the largest
_LONGEST = 128  # columns of one sign in a row that are summed in float16, whose eleven bits more would use up
_WORTH_CALLING = 1 << 12  # entries of the smallest matrix that is handed to the compiled loops
_PART = 256  # rows from which another thread helps
_Call: TypeAlias = Callable[..., None]
_KINDS = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}


@dataclass
class SparseSigns:
    """Ternary signs (m, n) by rows, their plus columns first, then their minus columns.

    Of either sign, rows of a block of 384 lie in pairs, and pairs with equally many columns one after the other: loops
    that are as long.

    Attributes:
        columns: uint16 as int16, int32 from 65,535 columns on; those of a pair's rows in turn, filled up with n.
        classes: (c, 2) int32; how long the rows of some pairs are, and how many such pairs there are.
        order: int32; the row in its block of each half of a pair, 384 where there is none.
        blocks: (blocks, 2) int32; how many classes of a block are of plus and of minus columns.
        shape: (m, n).
        codes: what it was made of: two bits an entry, of the matrix or of its transpose.
        transposed: whether of its transpose.
    """

    columns: Tensor
    classes: Tensor
    order: Tensor
    blocks: Tensor
    shape: tuple[int, int]
    codes: Tensor
    transposed: bool

    @classmethod
    def of(cls, codes: Tensor, shape: tuple[int, int], *, transposed: bool = False) -> SparseSigns:
        """From two-bit codes of a matrix of this shape, or of its transpose."""
        signs = unpack(codes, shape[0] * shape[1]).view(shape)
        signs = signs.T if transposed else signs
        height, width = signs.shape
        parts = [_pairs(block == sign) for block in signs.split(_BLOCK) for sign in (1, -1)]
        columns, classes, order = (torch.cat(part).to(torch.int32) for part in zip(*parts, strict=True))
        blocks = torch.tensor([len(part[1]) for part in parts], dtype=torch.int32, device=codes.device).view(-1, 2)
        columns = columns if width > _WIDEST else columns.to(torch.int16)
        return cls(columns, classes, order, blocks, (height, width), codes, transposed)

    @classmethod
    def none(cls, shape: tuple[int, int], device: torch.device) -> SparseSigns:
        """A matrix of zeros."""
        return cls.of(torch.zeros(-(-shape[0] * shape[1] // 4), dtype=torch.uint8, device=device), shape)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.columns.nbytes + self.classes.nbytes + self.order.nbytes + self.blocks.nbytes

    def matrix(self, dtype: torch.dtype) -> Tensor:
        """The same as a dense matrix (m, n)."""
        height, width = self.shape
        signs = unpack(self.codes, height * width).to(dtype)
        return signs.view(width, height).T if self.transposed else signs.view(height, width)


def _pairs(kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Columns, classes and order of a mask (m, n) of one sign and block: see `SparseSigns`."""
    height, width = kept.shape
    counts = kept.sum(1)
    order = counts.argsort(stable=True)
    if height % 2:  # an empty row before all others
        order = torch.cat([order.new_tensor([_BLOCK]), order])
    lengths = counts[order[1::2]]  # the second of a pair is the longer one
    starts = 2 * (lengths.cumsum(0) - lengths)
    place = torch.empty(_BLOCK + 1, dtype=torch.int64, device=kept.device)
    place[order] = torch.arange(len(order), device=kept.device)
    row, column = kept.nonzero(as_tuple=True)
    rank = torch.arange(len(row), device=kept.device) - (counts.cumsum(0) - counts)[row]
    columns = torch.full((2 * int(lengths.sum()),), width, device=kept.device)
    columns[starts[place[row] // 2] + 2 * rank + place[row] % 2] = column
    return columns, torch.stack(lengths.unique_consecutive(return_counts=True), 1), order


class Tokens:
    """Which rows of a flattened batch (B * positions, n) use each task, and with what weight.

    Attributes:
        rows: for each task its rows, int32 (r,).
        shares: for each task their weights, float32 (r + TILE,), zeros last.
        parts: what each thread takes: addresses of rows and weights and how many there are, (tasks, 3) int64.
    """

    def __init__(
        self, tasks: Sequence[tuple[slice | Tensor, Tensor]], count: int, positions: int, device: torch.device
    ):
        self.rows: list[Tensor] = []
        self.shares: list[Tensor] = []
        for members, weights in tasks:
            first = torch.arange(count)[members, None] * positions
            self.rows.append((first + torch.arange(positions)).flatten().to(device, torch.int32))
            shares = weights.float().repeat_interleave(positions)
            self.shares.append(torch.cat([shares, torch.zeros(TILE)]).to(device))
        self.total = sum(len(rows) for rows in self.rows)
        threads = min(torch.get_num_threads(), self.total // _PART + 1)
        cuts = [[-(-len(rows) // TILE) * part // threads * TILE for part in range(threads + 1)] for rows in self.rows]
        self.parts = [
            np.array([[rows.data_ptr() + 4 * cut[part], shares.data_ptr() + 4 * cut[part],
                       min(cut[part + 1], len(rows)) - cut[part]]
                      for rows, shares, cut in zip(self.rows, self.shares, cuts, strict=True)], np.int64)
            for part in range(threads)
        ]  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What one task changes in a linear layer: scale * signs in its weight, and `shift` (m,) float32 in its bias.

    Attributes:
        task: the task's index among those of `Tokens`.
    """

    task: int
    signs: SparseSigns
    scale: float
    shift: Tensor


class Changes:
    """What all tasks of a batch change in one linear layer; at least one."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self.height, self.width = changes[0].signs.shape
        self._bytes = 128 * (self.width + 512) + 4 * self.height
        self._ready: tuple[Tokens | None, torch.dtype | None, _Call | None, list[_Record]] = None, None, None, []
        self.add_again: Callable[[Tensor, Tensor], bool] | None = None

    def add(self, x: Tensor, out: Tensor, tokens: Tokens, again: torch.Size | None = None) -> None:
        """out[r] += share[r] * (scale * x[r] S^T + shift), for the rows r of each task, in float32 or wider.

        Args:
            x: (..., n), any floating dtype, R rows in all.
            out: (..., m), contiguous, changed in place; of a narrower dtype it is rounded once a task.
            again: the shape of inputs for which `add_again` is to do the same.
        """
        known, dtype, call, records = self._ready
        if known is not tokens or dtype is not out.dtype:
            call, records = self._prepare(out, tokens)
        if call is None:
            self._add(x.reshape(-1, self.width), out.view(-1, self.height), tokens)
            return
        if x.dtype is not out.dtype or not x.is_contiguous():
            x = x.to(out.dtype).contiguous()
        given = x.data_ptr(), out.data_ptr()
        helpers = [_pool(len(records) - 1).submit(self._run, call, *given, record) for record in records[1:]]
        self._run(call, *given, records[0])
        for helper in helpers:
            helper.result()
        if again is not None and len(records) == 1:
            self.add_again = _again(again, out.dtype, call, records[0], self._bytes, tokens)

    def _prepare(self, out: Tensor, tokens: Tokens) -> tuple[_Call | None, list[_Record]]:
        """The compiled loop, None where the torch twin is used, and what it takes for these rows."""
        able = out.dtype in _KINDS and out.is_cpu and self.height >= _LEAST and _LEAST <= self.width <= _WIDEST
        kernels = _kernels(self.height * self.width) if able else None
        call, records = None, []
        if kernels is not None:
            first = _KINDS[out.dtype], self.width, self.height
            records = [_Record(first, [self._row(one, part) for one in self.changes]) for part in tokens.parts]
            call = kernels.add_signs
        if call is not None and out.dtype is torch.bfloat16 and min(self.height, self.width) >= TILE:
            longest = max(int(one.signs.classes[:, 0].max()) for one in self.changes)
            call = (_halves() if longest <= _LONGEST else None) or call
        self._ready = tokens, out.dtype, call, records
        return call, records

    def _run(self, call: _Call, x: int, out: int, record: _Record) -> None:
        call(x, out, record.address, _scratch(self._bytes))

    @staticmethod
    def _row(one: Change, part: np.ndarray) -> list[int]:
        signs = one.signs
        held = signs.columns, signs.classes, signs.order, signs.blocks, one.shift
        return [*(tensor.data_ptr() for tensor in held), *part[one.task], _bits(one.scale)]

    def _add(self, x: Tensor, out: Tensor, tokens: Tokens) -> None:
        """The torch twin: any device, any floating dtype."""
        wide = torch.promote_types(out.dtype, torch.float32)
        for one in self.changes:
            rows = tokens.rows[one.task].long()
            made = x[rows].to(wide) @ one.signs.matrix(wide).T * one.scale + one.shift.to(wide)
            shares = tokens.shares[one.task][: len(rows), None].to(wide)
            out[rows] = (out[rows].to(wide) + shares * made).to(out.dtype)


def _again(
    shape: torch.Size, dtype: torch.dtype, call: Any, record: _Record, size: int, tokens: Tokens
) -> Callable[[Tensor, Tensor], bool]:
    """What `Changes.add` did, for inputs of this shape; for any other it does nothing and is False.

    Defaults, and what numba calls once it has seen the types, are near in memory: between two products of a model that
    counts.
    """
    entry, address = next(iter(call.overloads.values())).entry_point, record.address

    def add(
        x: Tensor, out: Tensor, shape: torch.Size = shape, dtype: torch.dtype = dtype, entry: _Call = entry,
        address: int = address, size: int = size, _own: object = (record, tokens),  # of what addresses point at
    ) -> bool:  # fmt: skip
        able = x.shape == shape and x.dtype is dtype and out.dtype is dtype and x.is_cpu and x.is_contiguous()
        if able := able and out.is_contiguous():
            entry(x.data_ptr(), out.data_ptr(), address, _scratch(size))
        return able

    return add


class LookedUp:
    """What the tasks of a batch add to rows that are looked up in a table.

    Args:
        tables: for each task that changes the table its index, its two-bit codes, and lambda.
    """

    def __init__(self, tables: Sequence[tuple[int, Tensor, float]]) -> None:
        self.tables = tables
        self._again: tuple[torch.Size, torch.dtype, _Call, list[_Record], Tokens] | None = None

    def add_again(self, ids: Tensor, out: Tensor) -> int:
        """What `add` does, for ids of the shape that they had last; 0, and nothing done, for any other."""
        again = self._again
        if again is None or ids.shape != again[0] or out.dtype is not again[1] or ids.dtype is not torch.int64:
            return 0
        if not (out.is_cpu and ids.is_contiguous() and out.is_contiguous()):
            return 0
        for record in again[3]:
            again[2](ids.data_ptr(), out.data_ptr(), record.address)
        return again[4].total

    def add(self, ids: Tensor, out: Tensor, tokens: Tokens) -> int:
        """out[r] += share[r] * scale * row ids[r] of the signs, for the rows r of each task, if it is compiled.

        Args:
            ids: R of them, int64, any shape.
            out: (..., width), contiguous.
        Returns: how many rows of signs were added; 0 if it is not compiled for these.
        """
        able = out.dtype in _KINDS and out.is_cpu and out.shape[-1] % _LEAST == 0 and ids.dtype == torch.int64
        kernels = _kernels(out.numel()) if able else None
        if kernels is None:
            return 0
        rows = [[[codes.data_ptr(), *part[task], _bits(scale)] for task, codes, scale in self.tables]
                for part in tokens.parts]  # fmt: skip
        records = [_Record((_KINDS[out.dtype], out.shape[-1]), each) for each in rows]
        self._again = ids.shape, out.dtype, kernels.add_looked_up, records, tokens
        return self.add_again(ids.contiguous(), out)


def norm_rows(x: Tensor, out: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> bool:
    """Layer norm with the weight and bias (B, n) float32 of each of B rows, if it is compiled.

    Args:
        x, out: (B, ..., n), or of any number of rows if B is one; contiguous.
    """
    width = weight.shape[1]
    able = x.dtype in _KINDS and x.is_cpu and width % _LEAST == 0 and x.numel() > 0
    kernels = _kernels(x.numel()) if able else None
    if kernels is None:
        return False
    count = x.numel() // width
    given = x.data_ptr(), out.data_ptr(), width, count, weight.data_ptr(), bias.data_ptr(), count // len(weight)
    kernels.norm_rows(_KINDS[x.dtype], *given, epsilon)
    return True


class _Record:
    """What a compiled loop takes: a first row with the number of tasks at its end, then a row for each task."""

    def __init__(self, first: Sequence[int], rows: Sequence[Sequence[int]]) -> None:
        held = np.zeros((1 + len(rows), len(rows[0]) if rows else 1), np.int64)
        held[0, : len(first) + 1] = [*first, len(rows)]
        held[1:] = rows
        self.held, self.address = held, held.ctypes.data


def _bits(number: float) -> int:
    """A number as float32 in the lower half of 64 bits."""
    return int(np.float32(number).view(np.uint32))


_local = threading.local()


def _scratch(size: int) -> int:
    """Address of this thread's scratch memory, of so many bytes and more, at a multiple of 64."""
    if getattr(_local, "size", 0) < size:
        _local.room, _local.size = torch.empty(size + 64, dtype=torch.uint8), size
        _local.address = -(-_local.room.data_ptr() // 64) * 64
    return _local.address


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def _kernels(size: int) -> ModuleType | None:
    """The compiled loops, for matrices of this size and more."""
    return _loaded() if size >= _WORTH_CALLING else None


@functools.cache
def _loaded() -> ModuleType:
    return importlib.import_module("tswitch.bank._row_kernels")


@functools.cache
def _halves() -> _Call | None:
    """The compiled loop in float16, where the processor adds that."""
    kernels = importlib.import_module("tswitch.bank._half_kernels")
    return kernels.add_signs if kernels.NATIVE else None
