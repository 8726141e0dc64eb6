"""5G NR LDPC code: base graphs, lifting, systematic encoder, rate matching, and a layered decoder (TS 38.212, sections
5.2.2, 5.3.2 and 5.4.2).

The decoder is compiled (`_layered`); numba takes longer to load than numpy to decode a few words.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError

_LIFTING = (  # table 5.3.2-1
    (2, 4, 8, 16, 32, 64, 128, 256),
    (3, 6, 12, 24, 48, 96, 192, 384),
    (5, 10, 20, 40, 80, 160, 320),
    (7, 14, 28, 56, 112, 224),
    (9, 18, 36, 72, 144, 288),
    (11, 22, 44, 88, 176, 352),
    (13, 26, 52, 104, 208),
    (15, 30, 60, 120, 240),
)
_SHAPES = {1: (46, 68), 2: (42, 52)}
_LARGEST = {1: 8448, 2: 3840}


@functools.cache
def base_graph(graph: int, lifting_set: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Entries (column, shift) of each row of base graph 1 or 2, tables 5.3.2-2 and 5.3.2-3."""
    rows: list[list[tuple[int, int]]] = [[] for _ in range(_SHAPES[graph][0])]
    with (Path(__file__).parent / "base_graphs.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if int(line["graph"]) == graph:
                rows[int(line["row"])].append((int(line["column"]), int(line[f"set{lifting_set}"])))
    return tuple(tuple(row) for row in rows)


@dataclass(frozen=True)
class Layout:
    """Sizes of one code.

    Attributes:
        k, n: information bits, transmitted bits.
        graph: base graph 1 or 2.
        lifting: Z.
        lifting_set: which column of the shift table belongs to Z.
        columns: information columns of the base graph, 22 or 10.
    """

    k: int
    n: int
    graph: int
    lifting: int
    lifting_set: int
    columns: int

    @property
    def padded(self) -> int:
        """Information bits with the filler bits."""
        return self.columns * self.lifting

    @property
    def buffer(self) -> np.ndarray:
        """Places in the codeword of what may be sent, in order: no punctured and no filler bits. int64."""
        places = np.arange(2 * self.lifting, _SHAPES[self.graph][1] * self.lifting)
        return places[(places < self.k) | (places >= self.padded)]

    @property
    def sent(self) -> np.ndarray:
        """(n,) places in the codeword of the transmitted bits; a longer n reads the buffer again from its start."""
        buffer = self.buffer
        return buffer[np.arange(self.n) % len(buffer)]

    @property
    def checks(self) -> int:
        """Parity checks that touch what is sent: extension rows whose own parity bit is not sent tell nothing."""
        parity = int(self.sent.max()) + 1 - self.padded
        return max(4 * self.lifting, parity)


@functools.cache
def layout(k: int, n: int) -> Layout:
    """The code for k information bits in n transmitted ones.

    Raises:
        InputError: if k or n is out of the standard's range; names it.
    """
    if not 1 <= k <= _LARGEST[1]:
        raise InputError("k", got=k, expected=f"1 to {_LARGEST[1]} information bits in one code block")
    if n <= k:
        raise InputError("n", got=n, expected=f"more than k = {k} transmitted bits")
    rate = k / n
    graph = 2 if k <= 292 or (k <= 3824 and rate <= 0.67) or (rate <= 0.25 and k <= _LARGEST[2]) else 1
    if graph == 1:
        used = columns = 22
    else:
        columns = 10
        used = 10 if k > 640 else 9 if k > 560 else 8 if k > 192 else 6
    fitting = [(z, index) for index, sizes in enumerate(_LIFTING) for z in sizes if used * z >= k]
    z, index = min(fitting)
    found = Layout(k, n, graph, z, index, columns)
    if 2 * z >= k:
        raise InputError("k", got=k, expected=f"more than {2 * z} bits: that many are punctured")
    return found


@functools.cache
def lifted_checks(code: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Parity checks of a code as (starts, places): check i has the codeword places `places[starts[i]:starts[i + 1]]`.

    Filler bits are zero on both sides and left out. int32.
    """
    z, most, places, counts = code.lifting, code.checks, [], []
    for row, entries in enumerate(base_graph(code.graph, code.lifting_set)):
        checks = np.arange(max(0, min(z, most - row * z)))[:, None]
        columns, shifts = np.array(entries).T
        found = columns * z + (checks + shifts) % z
        sent = (found < code.k) | (found >= code.padded)
        places.append(found[sent])
        counts.append(sent.sum(axis=1))
    starts = np.cumsum(np.concatenate([[0], *counts]))
    return starts.astype(np.int32), np.concatenate(places).astype(np.int32)


_NUMBA_FROM = 1 << 21  # edges that numpy decodes in the time that numba takes to load, 80 blocks of 400 bytes


@functools.lru_cache(maxsize=64)
def ldpc(k: int, n: int) -> LdpcCode:
    """The code for k information bits in n transmitted ones; built once.

    Examples:
        >>> import numpy as np
        >>> from semcom import ldpc

        >>> code = ldpc(64, 128)  # rate 1/2
        >>> word = code.encode(np.random.default_rng(0).integers(0, 2, (3, 64)))
        >>> word.shape
        (3, 128)
    """
    return LdpcCode(layout(k, n))


class LdpcCode:
    """An LDPC code; make it with `ldpc(k, n)`."""

    _decoded: ClassVar[int] = 0  # edges of all words that the program has decoded

    def __init__(self, code: Layout) -> None:
        self.layout, self.k, self.n = code, code.k, code.n
        self._sent = code.sent
        self._starts, self._places = lifted_checks(code)
        self._width = code.padded + code.checks  # codeword places that a decoder looks at

    def encode(self, bits: np.ndarray) -> np.ndarray:
        """(rows, k) of 0 and 1 -> (rows, n) uint8."""
        bits = np.asarray(bits, dtype=np.uint8)
        if bits.ndim != 2 or bits.shape[1] != self.k:
            raise InputError("bits", got=f"shape {bits.shape}", expected=f"(rows, {self.k})")
        if bits.size and bits.max() > 1:
            raise InputError("bits", got=int(bits.max()), expected="0 or 1")
        code = self.layout
        z, columns = code.lifting, code.columns
        graph = base_graph(code.graph, code.lifting_set)
        word: dict[int, np.ndarray] = {}
        padded = np.pad(bits, ((0, 0), (0, code.padded - self.k))).reshape(len(bits), columns, z)
        for column in range(columns):
            word[column] = padded[:, column]
        core = list(graph[:4])
        total = self._sum([entry for row in core for entry in row if entry[0] < columns], word)
        odd = [shift for shift in {s % z for row in core for c, s in row if c == columns} if self._odd(core, shift)]
        word[columns] = np.roll(total, odd[0], axis=1)  # all else cancels in the sum of the four core rows
        while len(core):
            for row in core:
                unknown = [(column, shift) for column, shift in row if column not in word]
                if len(unknown) <= 1:
                    if unknown:
                        column, shift = unknown[0]
                        word[column] = np.roll(self._sum([e for e in row if e[0] != column], word), shift % z, axis=1)
                    core.remove(row)
                    break
        for row in graph[4 : -(-code.checks // z)]:
            column, shift = row[-1]
            word[column] = np.roll(self._sum(row[:-1], word), shift % z, axis=1)
        flat = np.concatenate([word[column] for column in sorted(word)], axis=1)
        return flat[:, self._sent]

    def _odd(self, core: list, shift: int) -> bool:
        z, first = self.layout.lifting, self.layout.columns
        return sum(1 for row in core for column, s in row if column == first and s % z == shift) % 2 == 1

    def _sum(
        self, entries: list[tuple[int, int]] | tuple[tuple[int, int], ...], word: dict[int, np.ndarray]
    ) -> np.ndarray:
        z = self.layout.lifting
        result = np.zeros_like(word[0])
        for column, shift in entries:
            result ^= np.roll(word[column], -(shift % z), axis=1)
        return result

    def decode(
        self, llr: np.ndarray, *, iterations: int = 20, scale: float = 0.78, stop: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decode LLRs (positive: 0).

        Args:
            llr: (rows, n) float.
            iterations: at most so many passes over the checks.
            scale: factor of the normalised min-sum.
            stop: end a word as soon as all its checks hold.
        Returns: (rows, k) bits, uint8, and (rows,) whether all checks hold.
        """
        posterior, holds = self.posterior(llr, iterations=iterations, scale=scale, stop=stop)
        return (posterior < 0).astype(np.uint8), holds

    def posterior(
        self, llr: np.ndarray, *, iterations: int = 20, scale: float = 0.78, stop: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """LLRs (rows, k) of the information bits after decoding, float32, and whether all checks hold; see `decode`."""
        llr = np.asarray(llr, dtype=np.float32)
        if llr.ndim != 2 or llr.shape[1] != self.n:
            raise InputError("LLRs", got=f"shape {llr.shape}", expected=f"(rows, {self.n})")
        if not np.isfinite(llr).all():
            raise InputError("LLRs", got="NaN or infinity", expected="finite values")
        full = np.zeros((len(llr), self._width), np.float32)
        distinct = len(np.unique(self._sent))
        full[:, self._sent[:distinct]] = llr[:, :distinct]
        for begin in range(distinct, self.n, distinct):  # repeated bits
            part = self._sent[begin : begin + distinct]
            full[:, part] += llr[:, begin : begin + distinct]
        full += 0.0  # no negative zeros: the decoder reads signs
        LdpcCode._decoded += len(llr) * len(self._places)
        how = (iterations, np.float32(scale), stop)
        if LdpcCode._decoded <= _NUMBA_FROM:
            holds = min_sum_of_few(full, self._starts, self._places, self.layout.lifting, *how)
        else:
            from semcom.phy._layered import min_sum

            holds = min_sum(full, self._starts, self._places, *how)
        return full[:, : self.k], holds


def min_sum_of_few(
    llr: np.ndarray, starts: np.ndarray, places: np.ndarray, lifting: int, iterations: int, scale: np.float32,
    stop: bool,
) -> np.ndarray:  # fmt: skip
    """Decode rows of LLRs, bit for bit as `_layered.min_sum` does, with its arguments: for a few words.

    Args:
        lifting: successive checks that have no place in common, so that the order among them does not matter.
    """
    words, messages = llr.copy(), np.zeros((len(llr), len(places)), np.float32)
    holds, rows = np.zeros(len(llr), bool), np.arange(len(llr))
    for passes in range(1, iterations + 1):
        for check in range(0, len(starts) - 1, lifting):
            _update(words, messages, places, starts[check : check + lifting + 1], scale)
        parity = np.bitwise_xor.reduceat(words[:, places].view(np.int32), starts[:-1], axis=1)
        good = np.asarray(np.all(parity >= 0, axis=1))
        ended = np.logical_or(good & stop, passes == iterations)
        llr[rows[ended]], holds[rows[ended]] = words[ended], good[ended]
        words, messages, rows = words[~ended], messages[~ended], rows[~ended]
        if not len(rows):
            break
    return holds


def _update(words: np.ndarray, messages: np.ndarray, places: np.ndarray, bounds: np.ndarray, scale: np.float32) -> None:
    """New messages of the checks whose edges are between `bounds`, and the posteriors with them."""
    edges, begins, counts = slice(bounds[0], bounds[-1]), bounds[:-1] - bounds[0], np.diff(bounds)
    value = words[:, places[edges]] - messages[:, edges]
    size = np.abs(value)
    least = np.minimum.reduceat(size, begins, axis=1)
    smallest = size == np.repeat(least, counts, axis=1)
    second = np.minimum.reduceat(np.where(smallest, np.float32(1e30), size), begins, axis=1)
    second = np.where(np.add.reduceat(smallest, begins, axis=1, dtype=np.int32) > 1, least, second)
    sign = np.bitwise_xor.reduceat(value.view(np.int32), begins, axis=1)
    least, second, sign = (np.repeat(one, counts, axis=1) for one in (least * scale, second * scale, sign))
    turned = (sign ^ value.view(np.int32)) & np.int32(-(1 << 31))
    new = (np.where(smallest, second, least).view(np.int32) ^ turned).view(np.float32)
    messages[:, edges] = new
    words[:, places[edges]] = value + new
