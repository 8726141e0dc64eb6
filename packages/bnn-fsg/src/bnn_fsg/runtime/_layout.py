"""How weights, tables and pictures of bits lie in memory for the library; see `native/bnn.h`."""

from __future__ import annotations

import bisect
import ctypes
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bnn_fsg.graph._checks import Size
from bnn_fsg.runtime._layer import Layer
from bnn_fsg.runtime._reference import entries_of

ROOM, LANES = 64, 16  # bytes of a line of the cache; output channels of a panel


def address(array: np.ndarray) -> int:
    """Where a contiguous array's numbers are; quicker than asking numpy, where it may be written."""
    return ctypes.addressof(ctypes.c_char.from_buffer(array)) if array.flags.writeable else array.ctypes.data


def empty(count: int, dtype: Any = np.uint8, *, zeros: bool = False) -> np.ndarray:
    """(count,), beginning where a line of the cache does."""
    made: Any = (np.zeros if zeros else np.empty)(count + ROOM, dtype)
    first = -address(made) % ROOM // made.itemsize
    return made[first : first + count]


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy that begins where a line of the cache does."""
    made = empty(array.size, array.dtype).reshape(array.shape)
    made[...] = array
    return made


class Arena:
    """Places in one block of memory: taken, given back, and taken again; the first that fits."""

    def __init__(self) -> None:
        self.size = ROOM  # the first line stays free
        self._free: list[tuple[int, int]] = []  # (place, bytes), in order

    def take(self, count: int, *, own: bool = False) -> int:
        """The place of `count` bytes; `own`: never to be used for anything else."""
        count = _lines(count)
        if not own:
            for index, (place, size) in enumerate(self._free):
                if size >= count:
                    rest = [(place + count, size - count)] if size > count else []
                    self._free[index : index + 1] = rest
                    return place
        place = self.size
        self.size += count
        return place

    def give(self, place: int, count: int) -> None:
        """Give back what `take` gave."""
        count = _lines(count)
        index = bisect.bisect(self._free, (place, 0))
        if index < len(self._free) and self._free[index][0] == place + count:
            count += self._free.pop(index)[1]
        if index and sum(self._free[index - 1]) == place:
            place, count = self._free[index - 1][0], self._free.pop(index - 1)[1] + count
            index -= 1
        self._free.insert(index, (place, count))


def _lines(count: int) -> int:
    return -(-count // ROOM) * ROOM + ROOM  # vectors may read a little beyond what they need


@dataclass
class Bits:
    """The signs of a value as layers of bits read them, in a frame of zeros as wide as the widest padding."""

    size: Size
    groups: int
    half: bool
    threshold: np.ndarray | None
    name: str  # of the first layer that reads them
    margins: list[int] = field(default_factory=lambda: [0, 0])
    counted: bool = False
    at: int = -1
    counts_at: int = -1

    @property
    def words(self) -> int:
        """32-bit words of a group."""
        return -(-(self.size.channels // self.groups) // 32)

    @property
    def pixel(self) -> int:
        """Bytes of a pixel."""
        return 2 if self.half else 4 * self.groups * self.words

    @property
    def by_planes(self) -> bool:
        """Whether they can be made of pictures whose channels come first."""
        return self.groups == 1 or (self.size.channels // self.groups) % 32 == 0

    def need(self, layer: Layer) -> None:
        """One more layer that reads them."""
        self.margins = [max(*both) for both in zip(self.margins, layer.geometry.padding, strict=True)]
        self.counted |= layer.sums is not None

    def place(self, arena: Arena) -> None:
        """Take memory for them."""
        pixels = (self.size.height + 2 * self.margins[0]) * self._wide
        self.at = arena.take(pixels * self.pixel, own=True)
        if self.counted:
            self.counts_at = arena.take(pixels * self.groups * 4, own=True)

    @property
    def _wide(self) -> int:
        return self.size.width + 2 * self.margins[1]

    def _first(self, down: int, across: int) -> int:
        """The pixel `down` and `across` from the frame's corner."""
        return down * self._wide + across

    def target(self) -> dict[str, int]:
        """Where a step writes them."""
        first = self._first(*self.margins)
        counts = self.counts_at + 4 * self.groups * first if self.counted else -1
        row = self._wide * self.pixel
        return {
            "bits": self.at + first * self.pixel, "bits_pixel": self.pixel, "bits_row": row, "ones": counts,
            "ones_row": self._wide * self.groups,
        }  # fmt: skip

    def source(self, layer: Layer) -> dict[str, int]:
        """Where a layer reads them: from the corner of its own padding."""
        down, across = (margin - padding for margin, padding in zip(self.margins, layer.geometry.padding, strict=True))
        first = self._first(down, across)
        return {
            "in": self.at + first * self.pixel, "pixel": self.pixel, "row": self._wide * self.pixel,
            "counts": self.counts_at + 4 * self.groups * first, "counts_row": self._wide * self.groups,
        }  # fmt: skip


def panels(columns: np.ndarray) -> np.ndarray:
    """(groups, each, ...) as (groups, panels, ..., 16): zeros where a panel has fewer columns."""
    groups, each = columns.shape[:2]
    count = -(-each // LANES)
    padded = np.zeros((groups, count * LANES, *columns.shape[2:]), columns.dtype)
    padded[:, :each] = columns
    return np.moveaxis(padded.reshape(groups, count, LANES, *columns.shape[2:]), 2, -1)


def bit_panels(layer: Layer, bits: Bits) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(weight (groups, panels, steps, 16) uint32, offsets (steps,) int32, start (classes, groups, panels, 16) int32,
    bounds (groups, panels, 2, 16) int32) of a layer of bits that reads `bits`."""
    each, words = layer.width // layer.groups, bits.words
    octets = np.packbits(layer.weight, axis=-1, bitorder="little")
    octets = np.pad(octets, [(0, 0), (0, 0), (0, 4 * words - octets.shape[-1])])
    steps = np.ascontiguousarray(octets).view("<u4").astype(np.uint32, copy=False)
    if bits.half:
        steps = steps | steps << np.uint32(16)  # for two pixels at once
    weight = panels(steps.reshape(layer.groups, each, -1))
    (rows, columns), (down, across) = layer.geometry.kernel, layer.geometry.dilation
    row = bits.source(layer)["row"]
    places = np.arange(rows)[:, None, None] * (down * row) + np.arange(columns)[:, None] * (across * bits.pixel)
    offsets = (places + np.arange(words) * 4).reshape(-1)
    start = panels(np.swapaxes(layer.start.reshape(len(layer.start), layer.groups, each), 0, 1).swapaxes(1, 2))
    bounds = np.zeros((1, 1, 1, 1), np.int32)
    if layer.keeps is not None:
        both = np.stack([layer.keeps[0], -layer.keeps[1].astype(np.int32)], axis=1)
        bounds = panels(both.reshape(layer.groups, each, 2).astype(np.int32))
    return weight, offsets.astype(np.int32), np.moveaxis(start, 2, 0), bounds


def number_panels(layer: Layer) -> np.ndarray:
    """(groups, panels, steps, 16) float32."""
    return panels(layer.weight.reshape(layer.groups, layer.width // layer.groups, -1))


def octet_panels(layer: Layer) -> np.ndarray:
    """(1, panels, rows of the kernel, pairs, 16, 2) int16."""
    rows, columns = layer.geometry.kernel
    weight = layer.weight.reshape(1, layer.width, rows, columns * layer.channels)
    weight = np.pad(weight, [(0, 0), (0, 0), (0, 0), (0, weight.shape[-1] % 2)])
    return np.moveaxis(panels(weight.reshape(1, layer.width, rows, -1, 2)), -1, -2)


def sign_panels(layer: Layer, runs: int, eight: bool) -> np.ndarray:
    """(groups, panels, rows of the kernel, runs, words, 16) uint32: eight fours' entries to a word; `eight`: as three
    bits and a sign, for tables that hold the eight sums with + of the last input."""
    entries = entries_of(layer.weight)
    if eight:
        entries = np.where(entries >= 8, entries & 7, (7 - entries.astype(np.int16)) | 8).astype(np.uint8)
    entries = entries.reshape(layer.groups, layer.width // layer.groups, layer.geometry.kernel[0], runs, -1)
    entries = np.pad(entries, [*[(0, 0)] * 4, (0, -entries.shape[-1] % 8)])
    entries = entries.reshape(*entries.shape[:-1], -1, 8).astype(np.uint32)
    words = np.zeros(entries.shape[:-1], np.uint32)
    for place in range(8):
        words |= entries[..., place] << np.uint32(4 * place)
    return panels(words)


def table(layer: Layer) -> np.ndarray:
    """(classes or 1, groups, panels, 7, 16) float32: scale, sums, shift, then the four rows of the rectifier."""
    width, classes = layer.width, len(layer.shift)
    rows = np.zeros((7, classes, width), np.float32)
    rows[0], rows[2] = layer.scale, layer.shift
    rows[4:6] = 1
    if layer.sums is not None:
        rows[1] = layer.sums
    if layer.rectifier is not None:
        rows[3:] = layer.rectifier[:, None]
    by_group = rows.reshape(7, classes, layer.groups, width // layer.groups)
    found = panels(by_group.transpose(2, 3, 0, 1))  # groups, panels, 7, classes, 16
    return np.ascontiguousarray(found.transpose(3, 0, 1, 2, 4))
