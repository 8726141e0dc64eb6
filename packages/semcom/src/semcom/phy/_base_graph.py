"""Base graphs, lifting and rate matching of the 5G NR LDPC codes (TS 38.212, sections 5.2.2, 5.3.2, 5.4.2)."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

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
