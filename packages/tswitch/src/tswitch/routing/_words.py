"""Words of texts as hashed counts: what a router remembers of them, without the texts."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError


@dataclass(frozen=True)
class Words:
    """How often each word, and each pair of neighbouring words, stands in each of N texts.

    Attributes:
        ids: (n,) int64, 64 bits of a digest of each word or pair; ascending within a text.
        counts: (n,) int32, from one.
        ends: (N,) int64, where each text ends in these.

    Raises:
        InputError: naming the array that is malformed.
    """

    ids: np.ndarray
    counts: np.ndarray
    ends: np.ndarray

    def __post_init__(self) -> None:
        for name, kind in (("ids", np.int64), ("counts", np.int32), ("ends", np.int64)):
            array = getattr(self, name)
            if array.ndim != 1 or array.dtype != kind:
                got = f"{array.dtype} of shape {array.shape}"
                raise InputError(f"words/{name}", got=got, expected=f"{np.dtype(kind)} of one dimension")
        if len(self.counts) != len(self.ids):
            raise InputError("words/counts", got=len(self.counts), expected=f"{len(self.ids)}, one for each id")
        bounds = np.concatenate([[0], self.ends])
        if (np.diff(bounds) < 0).any() or bounds[-1] != len(self.ids):
            raise InputError("words/ends", got="no ascending ends", expected=f"ends from 0 up to {len(self.ids)}")
        if (self.counts < 1).any():
            raise InputError("words/counts", got=int(self.counts.min()), expected="counts from 1")
        same = self.rows[1:] == self.rows[:-1]
        if (same & (self.ids[1:] <= self.ids[:-1])).any():
            raise InputError("words/ids", got="ids out of order", expected="ascending ids in each text")

    @classmethod
    def of(cls, texts: Sequence[str]) -> Words:
        """The words of texts, in lower case."""
        known: dict[str, int] = {}
        ids, counts, ends = [], [], []
        for text in texts:
            found = Counter(_number(word, known) for word in _words(text))
            ids += sorted(found)
            counts += [found[one] for one in sorted(found)]
            ends.append(len(ids))
        return cls(np.array(ids, np.int64), np.array(counts, np.int32), np.array(ends, np.int64))

    @classmethod
    def join(cls, parts: Sequence[Words]) -> Words:
        """The texts of all parts, one part after the other."""
        starts = np.cumsum([0, *(len(one.ids) for one in parts[:-1])])
        ends = [one.ends + start for one, start in zip(parts, starts, strict=True)]
        return cls(*(np.concatenate(each) for each in ([p.ids for p in parts], [p.counts for p in parts], ends)))

    def take(self, rows: Sequence[int] | np.ndarray) -> Words:
        """Some of the texts."""
        bounds = np.concatenate([[0], self.ends])
        spans = [np.arange(bounds[row], bounds[row + 1]) for row in rows]
        entries = np.concatenate([np.empty(0, np.int64), *spans])
        return Words(self.ids[entries], self.counts[entries], np.cumsum([len(one) for one in spans], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def rows(self) -> np.ndarray:
        """(n,) the text of each entry."""
        return np.repeat(np.arange(len(self.ends)), np.diff(np.concatenate([[0], self.ends])))

    @property
    def nbytes(self) -> int:
        """Bytes of the three arrays."""
        return self.ids.nbytes + self.counts.nbytes + self.ends.nbytes


def _words(text: str) -> list[str]:
    """Words of a text and pairs of neighbours."""
    found = re.findall(r"\w+", text.lower())
    return [*found, *(f"{one} {other}" for one, other in itertools.pairwise(found))]


def _number(word: str, known: dict[str, int]) -> int:
    if word not in known:
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        known[word] = int.from_bytes(digest, "little", signed=True)
    return known[word]
