"""Runs a graph on a batch: by the library, whole pictures or one shared by threads; or by numpy."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bnn_fsg.graph._checks import Size
from bnn_fsg.graph._graph import CONVOLUTIONS, Node
from bnn_fsg.runtime._layout import ROOM, address, empty
from bnn_fsg.runtime._native import SETS, Report, Work, library
from bnn_fsg.runtime._program import Program
from bnn_fsg.runtime._reference import Reference, not_a_sign, quiet
from bnn_fsg.runtime._threads import in_turn, start_helpers

_VALUES = 1 << 18  # numbers of the largest value that numpy works on together: 1 MB, which memory is kept for
_KEPT = 1 << 24  # bytes of outputs whose memory is looked at again, at most
_SHARED = 1 << 19  # what one picture has to cost for threads to share it: about a tenth of a millisecond
_COST = {"conv_bits": 128, "conv_signs": 32, "conv": 16}  # products that cost as much as a step


class NotFiniteError(ValueError):
    """NaN or infinity in numbers that come in or go out: the caller knows where and says so."""


class NumpyExecutor:
    """The reference over parts of a batch."""

    def __init__(
        self, nodes: Sequence[Node], output: str, sizes: Mapping[str, Size], normalisation: Mapping[str, Any] | None
    ) -> None:
        self._run = Reference(nodes, output, sizes, normalisation)
        self._octets, size = normalisation is not None, sizes["input"]
        self._shape = size.shape if self._octets else (size.channels, size.height, size.width)
        self._chunk = max(1, _VALUES // (max(one.nbytes for one in sizes.values()) // 4))

    @quiet
    def __call__(self, x: np.ndarray, threads: int) -> np.ndarray:  # noqa: ARG002  (numpy has threads of its own)
        """x (n, channels, height, width) float32, or (n, height, width, channels) uint8, or with its dimensions in one;
        float32, channels first."""
        x = x.reshape(len(x), *self._shape)
        if not self._octets and not np.isfinite(x).all():
            raise NotFiniteError
        x = x if self._octets else np.ascontiguousarray(np.moveaxis(x, 1, -1))
        whole = np.concatenate([self._run(x[at : at + self._chunk]) for at in range(0, len(x), self._chunk)])
        if not np.isfinite(whole).all():
            raise NotFiniteError
        return np.ascontiguousarray(np.moveaxis(whole, -1, 1))


class Executor:
    """The library over a batch."""

    def __init__(
        self, nodes: Sequence[Node], output: str, sizes: Mapping[str, Size], kernels: str,
        normalisation: Mapping[str, Any] | None,
    ) -> None:  # fmt: skip
        """kernels: the name of a set of kernels that runs here."""
        self._program, self._set = Program(nodes, output, sizes, kernels, normalisation), SETS[kernels]
        self._library: Any = library()
        size, made = sizes["input"], sizes[output]
        self._shape = made.channels, made.height, made.width
        self._each = size.pixels * size.channels * (4 if normalisation is None else 1), 4 * made.pixels * made.channels
        cost = sum(
            node.arrays["weight" if node.op == "conv" else "bits"].size * sizes[node.output].pixels // _COST[node.op]
            for node in nodes
            if node.op in CONVOLUTIONS
        )
        self._shares = cost >= _SHARED
        self._whole, self._all = [part[2] for part in self._program.parts] == [None], (0, len(self._program.steps))
        self._rooms: dict[int, list[_Room]] = {1: []}  # those that no call is in, by how many threads work there

    @property
    def nbytes(self) -> int:
        """Bytes that one sample takes, weights left out."""
        return self._program.size

    def __call__(self, x: np.ndarray, threads: int) -> np.ndarray:
        """As `NumpyExecutor`; x contiguous."""
        count, apart = len(x), threads > 1 and (len(x) >= 2 * threads or not self._shares)
        room = self._room(1 if apart else threads)
        out = room.out
        if out is None or len(out) != count or sys.getrefcount(out) > 3:  # 3: the room's, ours, the call's
            out = np.empty((count, *self._shape), np.float32)
            room.out, room.target = (out if out.nbytes <= _KEPT else None), out.ctypes.data
        source, target = address(x), room.target
        if apart:
            part, (each, made) = -(-count // (4 * threads)), self._each

            def some(at: int) -> None:
                mine = self._room(1)
                self._pictures(mine, source + at * each, target + at * made, min(part, count - at))
                self._rooms[1].append(mine)

            in_turn(some, range(0, count, part), threads)
        else:
            self._pictures(room, source, target, count)
        self._rooms[room.work.threads].append(room)
        return out

    def again(self, x: np.ndarray) -> np.ndarray | None:
        """One sample by one thread, as it should be and writeable; None if the call before left no memory for it.
        Short, because a layer that fills the cache leaves Python cold: each line costs a microsecond."""
        room = self._room(1)
        out, wrong = room.out, 1
        if out is not None and len(out) == 1 and sys.getrefcount(out) == 3 and self._whole:
            source = ctypes.addressof(ctypes.c_char.from_buffer(x))
            wrong = self._library.bnn_run(room.place, *self._all, source, room.target, 1)
        if wrong:
            room.reports[0].status, out = 0, None
        self._rooms[1].append(room)
        return out

    def _room(self, threads: int) -> _Room:
        """One for so many threads; a list's `pop` is whole, so that no two calls have the same."""
        if threads > 1:
            start_helpers(self._library, threads - 1)
        try:
            return self._rooms[threads].pop()
        except LookupError:
            self._rooms.setdefault(threads, [])
            return _Room(self._program, self._set, self._each, threads)

    def _pictures(self, room: _Room, source: int, target: int, count: int) -> None:
        """Pictures one after the other; by one call if numpy has nothing to do between."""
        together = count if self._whole else 1
        for index in range(count // together):
            here, there = source + index * self._each[0], target + index * self._each[1]
            for first, last, function in self._program.parts:
                wrong = 0
                if function is not None:
                    function(room.arena)
                else:
                    wrong = self._library.bnn_run(room.place, first, last, here, there, together)
                if wrong:
                    report = room.reports[wrong - 1]
                    step = self._program.steps[report.status - 1]
                    raise not_a_sign(step.name, report.value) if step.kind == "sign" else NotFiniteError


class _Room:
    """What a call works in: memory for a sample, what each thread says, and the last outputs, since fresh pages cost
    more than a layer. With addresses: asking numpy for one takes microseconds."""

    def __init__(self, program: Program, kernels: int, each: tuple[int, int], threads: int) -> None:
        self.arena = empty(program.scratch_at + threads * program.scratch, zeros=True)
        self._marks = empty(ROOM * len(program.steps) * (threads + 1))
        self.reports = (Report * threads)()
        steps, at, marks = program.matrix.ctypes.data, address(self.arena), address(self._marks)
        reports = ctypes.addressof(self.reports)
        self.work = Work(kernels, steps, at, program.scratch_at, program.scratch, *each, reports, marks, threads)
        self.place = ctypes.addressof(self.work)
        self.out: np.ndarray | None = None
        self.target = 0
