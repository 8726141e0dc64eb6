"""Resident form of a switch: two bits for each parameter, added to a live tensor by table look-up.

Four ternary codes share one byte, first element in the lowest bits: 0 is zero, 1 plus, 2 minus. A byte stands for four
neighbours, so a 256 x 4 table with the knob lambda folded in turns it into four floats at once:

    theta = theta_base + sum_i w_i lambda_i S_A^i * S_P^i          (paper, section 3; step 5 of the method)

Whatever is written comes from a pristine base, never from the tensor's current content: nothing drifts, and a tensor
that two names share is the same after one write or two. Terms are added in their order, in float32 (float64 for float64
tensors), and the sum is rounded once to the tensor's dtype.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from tswitch.switch import _fast

_CPU_CHUNK = 1 << 18  # elements for each thread: 1 MB of float32 stays in the second-level cache
_DEVICE_CHUNK = 1 << 24  # elsewhere few launches matter more, and 64 MB of scratch is little
_PIECE = 1 << 20  # elements given to one thread at a time
_HALVES = (torch.bfloat16, torch.float16)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_PLACES = torch.tensor([0, 2, 4, 6], dtype=torch.uint8)


@dataclass(frozen=True)
class Term:
    """One switch's part in a tensor: `codes` (ceil(n / 4),) uint8, and `scale`, the task's weight times lambda."""

    codes: Tensor
    scale: float


@dataclass(frozen=True)
class Job:
    """One tensor to write: out = base + terms, flat (n,) and contiguous; base may lie on another device than out."""

    base: Tensor
    terms: Sequence[Term]
    out: Tensor


@dataclass(frozen=True)
class Rounding:
    """How many `additions` of a non-zero were made, and how many of them were `lost`: rounded back to the old value.

    Counted for tensors narrower than float32 only; others count as 0 of 0.
    """

    additions: int = 0
    lost: int = 0

    def __add__(self, other: Rounding) -> Rounding:
        return Rounding(self.additions + other.additions, self.lost + other.lost)


def pack(signs: Tensor) -> Tensor:
    """Ternary signs (any shape, values -1, 0, 1) to codes (ceil(n / 4),) uint8; the last byte is filled with zeros."""
    flat = signs.reshape(-1)
    codes = (flat > 0).to(torch.uint8) + 2 * (flat < 0).to(torch.uint8)
    codes = torch.nn.functional.pad(codes, (0, -codes.numel() % 4)).view(-1, 4)
    return (codes << _PLACES.to(codes.device)).sum(1, dtype=torch.uint8)


def unpack(codes: Tensor, numel: int) -> Tensor:
    """Codes to ternary signs (numel,) int8."""
    return _signs(codes.device)[codes.int()].view(-1)[:numel].to(torch.int8)


def invalid_codes(codes: Tensor) -> int:
    """How many bytes hold the unused code 3."""
    return int(((codes & (codes >> 1) & 0x55) != 0).sum())


def write_all(jobs: Sequence[Job]) -> Rounding:
    """Write each job's `out`; on the CPU the compiled kernel is used where numba is installed.

    Tensors are worked through in cache-sized chunks; the scratch memory does not depend on their size or on the number
    of terms. With the kernel, `torch.get_num_threads()` threads share the work.
    """
    able: list[Job] = []
    halves: list[Job] = []
    others: list[Job] = []
    for job in jobs:
        half = job.out.dtype in _HALVES
        if not job.terms or not _in_plain_memory(job) or (half and len(job.terms) > 1):
            others.append(job)
        else:
            (halves if half else able).append(job)
    kernels = _kernels(sum(job.out.numel() for job in (*able, *halves)))
    rounding = sum((_write(job) for job in (jobs if kernels is None else others)), Rounding())
    if kernels is not None and halves:
        rounding += _write_halves(halves)
    if kernels is not None and able:
        compiled = [piece for job in able for piece in _pieces(job)]
        shares = _shares(compiled, torch.get_num_threads())
        if len(shares) == 1:
            _write_compiled(kernels, compiled)
        else:
            with ThreadPoolExecutor(len(shares) - 1) as pool:
                rest = pool.map(functools.partial(_write_compiled, kernels), shares[1:])
                _write_compiled(kernels, shares[0])
                list(rest)  # raises what one of them raised
    return rounding


def in_threads(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """`function` of each item, in order, shared among `torch.get_num_threads()` threads."""
    threads = torch.get_num_threads()
    if threads == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def _in_plain_memory(job: Job) -> bool:
    """Whether all lies in plain memory, of one dtype that has a compiled loop, which checks nothing itself."""
    base, out = job.base, job.out
    return (
        out.dtype in (torch.float32, torch.float64, *_HALVES)
        and base.dtype == out.dtype
        and base.numel() == out.numel()
        and all(tensor.is_cpu and tensor.is_contiguous() for tensor in (base, out))
        and all(
            term.codes.is_cpu and term.codes.is_contiguous() and 4 * term.codes.numel() >= out.numel()
            for term in job.terms
        )
    )


def _pieces(job: Job) -> list[Job]:
    """Split a long job at multiples of four elements, so that threads can share it evenly."""
    n = job.out.numel()
    if n <= _PIECE:
        return [job]
    return [
        Job(
            job.base[start : start + _PIECE],
            [Term(term.codes[start // 4 : (start + _PIECE) // 4], term.scale) for term in job.terms],
            job.out[start : start + _PIECE],
        )
        for start in range(0, n, _PIECE)
    ]


def _shares(pieces: list[Job], threads: int) -> list[list[Job]]:
    """Deal pieces out, the longest first and each to the thread that has least; one share if there is little to do."""
    threads = min(threads, sum(piece.out.numel() for piece in pieces) // _PIECE + 1)
    if threads == 1:
        return [pieces]
    shares: list[list[Job]] = [[] for _ in range(threads)]
    loads = [0] * threads
    for piece in sorted(pieces, key=lambda piece: -piece.out.numel()):
        least = loads.index(min(loads))
        shares[least].append(piece)
        loads[least] += piece.out.numel()
    return shares


def _write_compiled(kernels: ModuleType, jobs: list[Job]) -> None:
    for dtype in {job.out.dtype for job in jobs}:
        same = [job for job in jobs if job.out.dtype == dtype]
        terms = [term for job in same for term in job.terms]
        kernels.add_terms(
            np.array([job.base.data_ptr() for job in same]),
            np.array([job.out.data_ptr() for job in same]),
            np.array([job.out.numel() for job in same]),
            np.cumsum([len(job.terms) for job in same]),
            np.array([term.codes.data_ptr() for term in terms]),
            np.array([term.scale for term in terms], np.float32),
            _signs(same[0].out.device).to(dtype).numpy(),
            _CPU_CHUNK,
        )
    for job in jobs:  # the kernel wrote it: tell autograd, as an in-place operation would
        torch.autograd.graph.increment_version(job.out)


def _write_halves(jobs: Sequence[Job]) -> Rounding:
    """Jobs of one term each on bfloat16 and float16 tensors, shared among threads."""
    half = importlib.import_module("tswitch.bank._half_kernels")

    def write(job: Job) -> Rounding:
        base, out = (tensor.view(torch.int16).numpy().view(np.uint16) for tensor in (job.base, job.out))
        (term,) = job.terms
        rows = table(term.scale, torch.float32, job.out.device).numpy()
        more = (half.WIDE,) if job.out.dtype == torch.float16 else ()
        add = half.add_float16 if more else half.add_bfloat16
        return Rounding(*add(base, term.codes.numpy(), rows, out, *more))

    counts = in_threads(write, [piece for job in jobs for piece in _pieces(job)])
    for job in jobs:
        torch.autograd.graph.increment_version(job.out)
    return sum(counts, Rounding())


def _write(job: Job) -> Rounding:
    """The torch twin: any device, any floating dtype."""
    out = job.out
    wide = torch.promote_types(out.dtype, torch.float32)
    tables = [(term.codes, table(term.scale, wide, out.device)) for term in job.terms]
    chunk = _CPU_CHUNK * torch.get_num_threads() if out.device.type == "cpu" else _DEVICE_CHUNK
    rounding = Rounding()
    for start in range(0, out.numel(), chunk):
        target = out[start : start + chunk]
        base = job.base[start : start + chunk].to(out.device)
        total = base.to(wide)
        touched = None
        for codes, rows in tables:
            added = _select(rows, codes[start // 4 : (start + chunk) // 4])[: target.numel()]
            if len(tables) == 1 and target.dtype == wide:
                torch.add(total, added, out=target)
            else:
                total = total + added
            if out.dtype != wide:
                touched = (added != 0) if touched is None else touched | (added != 0)
        if len(tables) != 1 or target.dtype != wide:
            target.copy_(total)
        if touched is not None:
            rounding += Rounding(int(touched.sum()), int((touched & (target == base)).sum()))
    return rounding


def table(scale: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(256, 4) values of `dtype`: what each of a byte's four codes adds; `scale` is first rounded to float32."""
    return (_signs(device) * torch.tensor(scale, dtype=torch.float32, device=device)).to(dtype)


def _select(rows: Tensor, codes: Tensor) -> Tensor:
    """rows (256, 4) looked up by codes (m,) -> (4 m,). Four float32 move as one 16-byte element: twice as fast."""
    index = codes.int()
    if rows.dtype == torch.float32 and rows.device.type in ("cpu", "cuda"):
        return torch.index_select(rows.view(torch.complex128).view(256), 0, index).view(torch.float32)
    return torch.index_select(rows, 0, index).view(-1)


@functools.cache
def _signs(device: torch.device) -> Tensor:
    """(256, 4) float32 in {-1, 0, 1}: the meaning of each code byte."""
    codes = (torch.arange(256, dtype=torch.uint8)[:, None] >> _PLACES) & 3
    return torch.tensor([0.0, 1.0, -1.0, 0.0], device=device)[codes.to(device).int()]


def _kernels(size: int) -> ModuleType | None:
    """The compiled loop, where numba is installed and there is much to do."""
    return importlib.import_module("tswitch.bank._resident_kernels") if _fast.kernels(size) is not None else None
