"""Runs a graph on a batch: by the library, whole pictures or one shared by threads; or by numpy."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bnn_fsg.graph._checks import Size
from bnn_fsg.graph._graph import CONVOLUTIONS, Node
from bnn_fsg.runtime._layout import empty
from bnn_fsg.runtime._native import SETS, Report, library
from bnn_fsg.runtime._program import Program
from bnn_fsg.runtime._reference import Reference, not_a_sign, quiet
from bnn_fsg.runtime._threads import in_turn, start_helpers

_VALUES = 1 << 18  # numbers of the largest value that numpy works on together: 1 MB, which memory is kept for
_KEPT = 1 << 16, 1 << 24  # bytes of outputs whose memory is looked at again
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
        self._octets = normalisation is not None
        self._chunk = max(1, _VALUES // (max(one.nbytes for one in sizes.values()) // 4))

    @quiet
    def __call__(self, x: np.ndarray, threads: int) -> np.ndarray:  # noqa: ARG002  (numpy has threads of its own)
        """x (n, channels, height, width) float32, or (n, height, width, channels) uint8; float32, channels first."""
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
        self._program = Program(nodes, output, sizes, kernels, normalisation)
        self._library: Any = library()
        self._set, self._steps = SETS[kernels], self._program.matrix.ctypes.data
        self._out = sizes[output]
        cost = sum(
            node.arrays["weight" if node.op == "conv" else "bits"].size * sizes[node.output].pixels // _COST[node.op]
            for node in nodes
            if node.op in CONVOLUTIONS
        )
        self._shares = cost >= _SHARED
        self._arenas: list[tuple[np.ndarray, int]] = []  # those that no call uses, and their addresses
        self._made: list[np.ndarray] = []

    @property
    def nbytes(self) -> int:
        """Bytes that one sample takes, weights left out."""
        return self._program.size

    def __call__(self, x: np.ndarray, threads: int) -> np.ndarray:
        """As `NumpyExecutor`; x contiguous."""
        count, program = len(x), self._program
        out = self._outputs((count, self._out.channels, self._out.height, self._out.width))
        reports = (Report * threads)()
        source, target, each, made = x.ctypes.data, out.ctypes.data, x.nbytes // count, out.nbytes // count
        if threads > 1 and (count >= 2 * threads or not self._shares):
            part = -(-count // (4 * threads))

            def some(at: int) -> None:  # any report that went wrong will do
                self._pictures(source + at * each, target + at * made, min(part, count - at), each, made, reports[0])

            in_turn(some, range(0, count, part), threads)
        else:
            self._pictures(source, target, count, each, made, reports[0], threads)
        for report in reports:
            if report.status:
                step = program.steps[report.status - 1]
                raise not_a_sign(step.name, report.value) if step.kind == "sign" else NotFiniteError
        self._made.append(out)
        return out

    def _outputs(self, shape: tuple[int, ...]) -> np.ndarray:
        """Memory for the outputs: that of the last call if nobody has it any more, since fresh pages cost more than a
        layer. A list's `pop` is whole: two threads never take the same."""
        try:
            last = self._made.pop()
        except IndexError:
            return np.empty(shape, np.float32)
        free = last.shape == shape and _KEPT[0] <= last.nbytes <= _KEPT[1] and sys.getrefcount(last) == 2
        return last if free else np.empty(shape, np.float32)

    def _arena(self, threads: int) -> tuple[np.ndarray, int]:
        """Memory for a sample, and its address: asking numpy for it takes microseconds."""
        needed = self._program.scratch_at + threads * self._program.scratch
        for index, (arena, _) in enumerate(self._arenas):
            if len(arena) >= needed:
                try:
                    return self._arenas.pop(index)
                except IndexError:  # another thread was quicker
                    break
        made = empty(needed, zeros=True)
        return made, made.ctypes.data

    @quiet
    def _pictures(
        self, source: int, target: int, count: int, each: int, made: int, report: Report, threads: int = 1
    ) -> None:
        """Pictures one after the other; report: of this thread, or the first of those that share each picture."""
        program, said, library = self._program, ctypes.addressof(report), self._library
        (arena, at), whole = self._arena(threads), threads == len(program.parts) == 1
        start_helpers(library, threads - 1)
        for index in range(1 if whole else count):
            here, there = source + index * each, target + index * made
            for first, last, function in program.parts:
                steps = (self._set, self._steps, first, last, at, program.scratch_at)
                if function is not None:
                    function(arena)
                elif threads > 1:
                    marks = np.zeros((len(program.steps), threads + 1, 8), np.int64)  # one in each cache line
                    library.bnn_together(*steps, program.scratch, here, there, said, marks.ctypes.data, threads)
                else:
                    library.bnn_run(*steps, here, there, count if whole else 1, each, made, said)
        self._arenas.append((arena, at))
