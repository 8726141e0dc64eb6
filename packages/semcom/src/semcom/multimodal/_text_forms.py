"""Text over the channel: analog features, or the coded caption itself. All of it counts.

A receiver that cannot read the text is given none: a zero vector that is marked as absent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError

from semcom.multimodal._captions import cut_text
from semcom.multimodal._text_features import TextImageFeatures
from semcom.phy import MAX_VARIANCE, CodedBlock, reals_to_symbols, symbols_to_reals


@dataclass
class ReceivedText:
    """What the receiver knows of the text.

    Attributes:
        vectors: (rows, dim) float32, the estimate with least squared error of sqrt(dim) times a unit vector; the
            noisier the channel, the shorter. Zero where there is none.
        noise: (rows,) variance of the noise on each number of the unshrunk vector; 0 for coded text.
        present: (rows,) bool, whether there is any.
        captions: texts as they were decoded, or None.
    """

    vectors: np.ndarray
    noise: np.ndarray
    present: np.ndarray
    captions: list[str | None]


class TextForm(ABC):
    """A way to send one text a row.

    Attributes:
        name: as settings call it.
    """

    name: ClassVar[str]

    def __init__(self, features: TextImageFeatures, fec: str = "ldpc:1/2", modulation: str = "qpsk", size: int = 1):
        """Args:
        features: known to both sides.
        fec, modulation: of coded forms; see `CodedBlock`.
        size: `analog`: how often the features are sent; `caption`: bytes of a caption.
        """
        self.features, self.size = features, size
        self.block = CodedBlock(self._bits, fec, modulation) if self._bits else None

    @property
    def _bits(self) -> int:
        """Information bits of a coded form."""
        return 0

    @property
    def symbols(self) -> int:
        """Complex symbols of a text."""
        return self.block.symbols if self.block else 0

    @abstractmethod
    def send(self, vectors: np.ndarray, captions: Sequence[str | None]) -> np.ndarray:
        """Symbols of texts.

        Args:
            vectors: (rows, dim) unit vectors: of the captions or, where there is none, of the pictures.
            captions: texts, or None.
        Returns: (rows, symbols) complex64 of unit mean power a row.
        """

    @abstractmethod
    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> ReceivedText:
        """Read texts of unbiased symbols (rows, symbols) with their noise variances (rows, symbols)."""

    def _absent(self, rows: int) -> ReceivedText:
        zeros = np.zeros((rows, self.features.dim), np.float32)
        return ReceivedText(zeros, np.zeros(rows), np.zeros(rows, bool), [None] * rows)


class NoText(TextForm):
    """No text at all: what a link costs and draws without."""

    name = "none"

    def send(self, vectors: np.ndarray, captions: Sequence[str | None]) -> np.ndarray:  # noqa: ARG002
        return np.zeros((len(vectors), 0), np.complex64)

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> ReceivedText:  # noqa: ARG002
        return self._absent(len(symbols))


class AnalogText(TextForm):
    """The numbers of the vector as they are: dim / 2 symbols of exactly unit power, sent `size` times."""

    name = "analog"

    @property
    def symbols(self) -> int:
        return self.size * self.features.dim // 2

    def send(self, vectors: np.ndarray, captions: Sequence[str | None]) -> np.ndarray:  # noqa: ARG002
        scaled = vectors * np.float32(np.sqrt(self.features.dim))
        return np.tile(reals_to_symbols(scaled), (1, self.size))

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> ReceivedText:
        rows, half = len(symbols), self.features.dim // 2
        weight = 1 / np.maximum(noise.reshape(rows, self.size, half).astype(np.float64), 1e-9)
        total = weight.sum(axis=1)
        mean = (symbols.reshape(rows, self.size, half) * weight).sum(axis=1) / total
        variance = np.minimum(1 / total, MAX_VARIANCE)
        estimate = symbols_to_reals(mean / (1 + variance))
        return ReceivedText(estimate, variance.mean(axis=1), np.ones(rows, bool), [None] * rows)


class CaptionText(TextForm):
    """The caption as coded UTF-8 in `size` bytes, cut after a whole character; the receiver makes the vector itself."""

    name = "caption"

    @property
    def _bits(self) -> int:
        if not 1 <= self.size <= 1000:
            raise InputError("text_size", got=self.size, expected="1 to 1000 bytes a caption")
        return 8 * self.size

    def send(self, vectors: np.ndarray, captions: Sequence[str | None]) -> np.ndarray:
        assert self.block is not None
        data = np.zeros((len(vectors), self.size), np.uint8)
        for row, caption in enumerate(captions):
            text = np.frombuffer(cut_text(caption or "", self.size).encode("utf-8"), np.uint8)
            data[row, : len(text)] = text
        return self.block.send(np.unpackbits(data, axis=1))

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> ReceivedText:
        assert self.block is not None
        bits, good = self.block.receive(symbols, noise)
        found = self._absent(len(bits))
        for row in np.flatnonzero(good):
            text = np.packbits(bits[row]).tobytes().rstrip(b"\0").decode("utf-8", errors="ignore")
            found.captions[row] = text or None
        rows = [row for row, text in enumerate(found.captions) if text]
        if rows:
            scale = np.float32(np.sqrt(self.features.dim))
            found.vectors[rows] = scale * self.features.embed_text([found.captions[row] or "" for row in rows])
            found.present[rows] = True
        return found


TEXT_FORMS: dict[str, type[TextForm]] = {one.name: one for one in (AnalogText, CaptionText, NoText)}
DEFAULT_SIZES = {"analog": 1, "caption": 32, "none": 1}
