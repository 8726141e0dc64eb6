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
from dataclasses import dataclass, field, replace
from itertools import chain
from types import ModuleType
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from tswitch.switch import _fast

_CPU_CHUNK = 1 << 18  # elements for each thread: 1 MB of float32 stays in the second-level cache
_DEVICE_CHUNK = 1 << 24  # elsewhere few launches matter more, and 64 MB of scratch is little
_PIECE = 1 << 20  # elements given to one thread at a time
BLOCK = 2048  # elements of a digest, as in the kernel
_HALVES = (torch.bfloat16, torch.float16)
_COMPILED = (torch.float32, torch.float64, *_HALVES)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Piece: TypeAlias = "tuple[int, int, Job]"  # place of its job, first element, and the piece itself
_PLACES = torch.tensor([0, 2, 4, 6], dtype=torch.uint8)


@dataclass(frozen=True)
class Term:
    """One switch's part in a tensor: `codes` (ceil(n / 4),) uint8, and `scale`, the task's weight times lambda."""

    codes: Tensor
    scale: float


@dataclass(frozen=True)
class Job:
    """One tensor to write: out = base + terms, flat (n,) and contiguous; base may lie on another device than out.

    Attributes:
        sums: digests of what `out` holds, for each block of the compiled kernel, which changes them as it writes.
        checked: stop in front of the first block of which the digest differs.
    """

    base: Tensor
    terms: Sequence[Term]
    out: Tensor
    sums: np.ndarray | None = None
    checked: bool = False


@dataclass(frozen=True)
class Rounding:
    """How many `additions` of a non-zero were made, and how many of them were `lost`: rounded back to the old value.

    Counted for tensors narrower than float32 only; others count as 0 of 0.
    """

    additions: int = 0
    lost: int = 0

    def __add__(self, other: Rounding) -> Rounding:
        return Rounding(self.additions + other.additions, self.lost + other.lost)


@dataclass
class Written:
    """Results of jobs, by index.

    Attributes:
        digested: those that the compiled kernel wrote, so that their `sums` are right.
        stopped: parts of `out` that it left as they were, because a block there was not what its digest says.
    """

    digested: set[int] = field(default_factory=set)
    stopped: dict[int, list[slice]] = field(default_factory=dict)


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


def write_all(jobs: Sequence[Job]) -> None:
    """Write each job's `out`, whatever it holds; see `write_checked`."""
    write_checked(jobs)


def rounding_of(jobs: Iterable[Job]) -> Rounding:
    """How the additions of jobs round; their `out` gives dtype and device, and is not written."""
    counts = (_write(replace(job, out=torch.empty_like(job.out)), count=True) for job in jobs)
    return sum(counts, Rounding())


def write_checked(jobs: Sequence[Job]) -> Written:
    """Write each job's `out`; a compiled kernel is used where numba is installed, and on a GPU where Triton is.

    Tensors are worked through in cache-sized chunks; the scratch memory does not depend on their size or on the number
    of terms. With numba's kernel, `torch.get_num_threads()` threads share the work. Only that one looks at `checked`.
    """
    able = [place for place, job in enumerate(jobs) if _in_plain_memory(job)]
    # A kernel that is loaded is called for little, too: it must look at digests, and is ten times as fast as the twin.
    kernels = _kernels(max(sum(jobs[place].out.numel() for place in able), _fast.WORTH_CALLING)) if able else None
    done = Written(digested=set(able) if kernels is not None else set())
    if kernels is not None:
        pieces = [(place, at, piece) for place in able for at, piece in _pieces(jobs[place])]
        shares = _shares(pieces, torch.get_num_threads())
        results = in_threads(functools.partial(_write_compiled, kernels), shares)
        for (place, at, piece), count in zip(chain(*shares), chain(*results), strict=True):
            if count < piece.out.numel():
                done.stopped.setdefault(place, []).append(slice(at + count, at + piece.out.numel()))
        for place in able:  # the kernel wrote it: tell autograd, as an in-place operation would
            torch.autograd.graph.increment_version(jobs[place].out)
    for place, job in enumerate(jobs):
        if place not in done.digested and not _written_on_gpu(job):
            _write(job)
    return done


def digests(out: Tensor) -> np.ndarray | None:
    """Digests of a tensor's blocks as the kernel takes them; None where it has none for this tensor."""
    if not (out.is_cpu and out.is_contiguous() and out.dtype in _COMPILED):
        return None
    if _kernels(max(out.numel(), _fast.WORTH_CALLING)) is None:  # loaded already, or worth loading
        return None
    kernels = importlib.import_module("tswitch.bank._resident_kernels")
    sums = np.empty(-(-out.numel() // kernels.BLOCK), np.uint64)
    kernels.digests(*_words(out.view(-1)), kernels.BLOCK * out.element_size() // 8, sums)
    return sums


def in_threads(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """`function` of each item, in order, shared among `torch.get_num_threads()` threads."""
    items = list(items)
    threads = min(torch.get_num_threads(), len(items))
    if threads < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def _in_plain_memory(job: Job) -> bool:
    """Whether all lies in plain memory, of one dtype that has a compiled loop, which checks nothing itself."""
    base, out = job.base, job.out
    return (
        out.dtype in _COMPILED
        and base.dtype == out.dtype
        and base.numel() == out.numel()
        and all(tensor.is_cpu and tensor.is_contiguous() for tensor in (base, out))
        and all(
            term.codes.is_cpu and term.codes.is_contiguous() and 4 * term.codes.numel() >= out.numel()
            for term in job.terms
        )
    )


def _written_on_gpu(job: Job) -> bool:
    """Write a job by the GPU's kernel, if all of it lies on one GPU and Triton is installed; whether it did."""
    kernels = _gpu_kernels() if _on_gpu(job) else None
    if kernels is None:
        return False
    kernels.write(job.base, [term.codes for term in job.terms], [term.scale for term in job.terms], job.out)
    torch.autograd.graph.increment_version(job.out)
    return True


def _on_gpu(job: Job) -> bool:
    """Whether there is something to add, and all lies on one GPU, in one dtype that its kernel knows."""
    base, out = job.base, job.out
    codes = [term.codes for term in job.terms]
    return (
        out.is_cuda
        and bool(codes)
        and out.dtype in _COMPILED
        and base.dtype == out.dtype
        and all(tensor.device == out.device and tensor.is_contiguous() for tensor in (base, out, *codes))
    )


def _pieces(job: Job) -> list[tuple[int, Job]]:
    """Split a long job at whole blocks, so that threads can share it evenly: (first element, piece)."""
    n = job.out.numel()
    if n <= _PIECE:
        return [(0, job)]
    found = []
    for start in range(0, n, _PIECE):
        terms = [Term(term.codes[start // 4 : (start + _PIECE) // 4], term.scale) for term in job.terms]
        sums = None if job.sums is None else job.sums[start // BLOCK : (start + _PIECE) // BLOCK]
        part = slice(start, start + _PIECE)
        found.append((start, Job(job.base[part], terms, job.out[part], sums, job.checked)))
    return found


def _shares(pieces: list[_Piece], threads: int) -> list[list[_Piece]]:
    """Deal pieces out, the longest first and each to the thread that has least; one share if there is little to do."""
    threads = min(threads, sum(piece.out.numel() for _, _, piece in pieces) // _PIECE + 1)
    if threads == 1:
        return [pieces]
    shares: list[list[_Piece]] = [[] for _ in range(threads)]
    loads = [0] * threads
    for piece in sorted(pieces, key=lambda piece: -piece[2].out.numel()):
        least = loads.index(min(loads))
        shares[least].append(piece)
        loads[least] += piece[2].out.numel()
    return shares


def _write_compiled(kernels: ModuleType, pieces: Sequence[_Piece]) -> list[int]:
    """For each piece: elements written, from its first on."""
    found = []
    for _, _, job in pieces:
        out, half = job.out, job.out.dtype in _HALVES
        base, target = ((t.view(torch.int16) if half else t).numpy() for t in (job.base, out))
        sums = np.empty(-(-out.numel() // BLOCK), np.uint64) if job.sums is None else job.sums
        codes = [term.codes.numpy() for term in job.terms]
        together = codes[0][None] if len(codes) == 1 else np.stack(codes) if codes else np.empty((0, 0), np.uint8)
        scales = np.array([term.scale for term in job.terms], np.float32)
        rest = (*_words(out), BLOCK * out.element_size() // 8, together)
        more = sums, job.checked and job.sums is not None, job.sums is not None
        if half:
            kind = kernels.BFLOAT16 if out.dtype == torch.bfloat16 else kernels.FLOAT16
            views = base.view(np.uint16), target.view(np.uint16)
            found.append(kernels.write_half(kind, *views, *rest, scales, *more))
        else:
            found.append(kernels.write_plain(base, target, *rest, scales.astype(target.dtype), *more))
    return found


def _words(out: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Memory of a flat tensor: its whole words of 64 bits, and the bytes that are left."""
    memory = out.view(torch.uint8).numpy()
    whole = memory.size // 8 * 8
    return memory[:whole].view(np.uint64), memory[whole:]


def _write(job: Job, *, count: bool = False) -> Rounding:
    """The torch twin: any device, any floating dtype; counts how additions round if asked to."""
    out = job.out
    if not job.terms:
        out.copy_(job.base)
        return Rounding()
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
            if count and out.dtype != wide:
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


@functools.cache
def _gpu_kernels() -> ModuleType | None:
    """The GPU's kernel, where Triton is installed."""
    try:
        return importlib.import_module("tswitch.bank._device_kernels")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "triton":
            raise
        return None
