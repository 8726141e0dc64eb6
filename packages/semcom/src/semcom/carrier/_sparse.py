"""Sparse encoding module (paper: mask tokens as a sparse matrix, rebuilt by the receiver; its forms are inferred).

The decoder's input at masked positions is X = E A with the known dictionary A = 1 m^T + P, so the support of E, the
mask, says everything. Coded forms of it here: `enum` (its number) and `bitmap`. Others: `_tokens`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from semcom.carrier._mask_codec import MaskCodec
from semcom.phy import CodedBlock, LatentBlocks, hard_bits, reals_to_symbols, symbols_to_reals

SEQUENCE_BITS, GAIN_BITS = 16, 16


@dataclass(frozen=True)
class FormSetting:
    """What both sides know.

    Attributes:
        codec: bits to masks.
        slots: tokens that have room in a picture, the class token among them.
        width: reals a token.
        fec, modulation: of coded blocks.
        choice_bits: header bits that say which scrambler alternative was taken.
        has_gain: whether a 16-bit gain is sent.
        latent_bits: bits of a quantised real, sent as coded blocks; 0 sends reals as they are.
        dictionary: (N, width) what stands for a masked token; for `dense` alone.
    """

    codec: MaskCodec
    slots: int
    width: int
    fec: str = "ldpc:1/2"
    modulation: str = "qpsk"
    choice_bits: int = 0
    has_gain: bool = False
    latent_bits: int = 0
    dictionary: np.ndarray | None = None


@dataclass
class Message:
    """What goes with some pictures' tokens: masks (rows, N) bool, scrambled bits (rows, B), and headers (rows,)."""

    masks: np.ndarray
    scrambled: np.ndarray
    sequence: np.ndarray
    choice: np.ndarray
    gain: np.ndarray


@dataclass
class Decision:
    """What a receiver makes of it: as `Message` with payload bits, checks (rows,), and tokens (rows, slots, width)."""

    masks: np.ndarray
    bits: np.ndarray
    sequence: np.ndarray
    choice: np.ndarray
    gain: np.ndarray
    ok: np.ndarray
    tokens: np.ndarray


class SparseForm(ABC):
    """One form of the support, with its share of the symbols: coded or analog mask symbols, then the tokens."""

    name: ClassVar[str]

    def __init__(self, setting: FormSetting) -> None:
        self.setting, self.codec = setting, setting.codec

    @property
    @abstractmethod
    def mask_symbols(self) -> int:
        """Symbols of a picture beside its tokens."""

    @property
    def latent_symbols(self) -> int:
        """Symbols of the tokens."""
        return self._digital.symbols if self.setting.latent_bits else self.setting.slots * self.setting.width // 2

    @property
    def _digital(self) -> LatentBlocks:
        s = self.setting
        return LatentBlocks(s.slots * s.width, s.latent_bits, s.fec, s.modulation)

    @abstractmethod
    def send(self, message: Message, tokens: np.ndarray) -> np.ndarray:
        """Symbols (rows, mask_symbols + latent_symbols) of a message and its tokens (rows, slots, width)."""

    @abstractmethod
    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> Decision:
        """The decision on unbiased symbols (rows, all) with effective noise variances of the same shape."""

    def header(self, message: Message) -> np.ndarray:
        """(rows, header bits): sequence number, choice, gain."""
        parts = [to_bits(message.sequence, SEQUENCE_BITS)]
        if self.setting.choice_bits:
            parts.append(to_bits(message.choice, self.setting.choice_bits))
        if self.setting.has_gain:
            parts.append(to_bits(message.gain.astype(np.float16).view(np.uint16), GAIN_BITS))
        return np.concatenate(parts, axis=1)

    @property
    def header_bits(self) -> int:
        """Length of the header."""
        return SEQUENCE_BITS + self.setting.choice_bits + GAIN_BITS * self.setting.has_gain

    def read_header(self, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(sequence, choice, gain) of header bits; a gain that is not finite and positive is taken as 1."""
        at = SEQUENCE_BITS + self.setting.choice_bits
        choice = from_bits(bits[:, SEQUENCE_BITS:at]) if self.setting.choice_bits else np.zeros(len(bits), np.int64)
        gain = np.ones(len(bits), np.float32)
        if self.setting.has_gain:
            sent = from_bits(bits[:, at : at + GAIN_BITS]).astype(np.uint16).view(np.float16).astype(np.float32)
            gain = np.where(np.isfinite(sent) & (sent > 0) & (sent < 1e3), sent, 1).astype(np.float32)
        return from_bits(bits[:, :SEQUENCE_BITS]), choice, gain

    def symbols_of(self, tokens: np.ndarray) -> np.ndarray:
        """Symbols (rows, latent_symbols) of tokens (rows, slots, width)."""
        flat = tokens.reshape(len(tokens), -1)
        return self._digital.send(flat) if self.setting.latent_bits else reals_to_symbols(flat)

    def tokens_of(self, symbols: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Estimates (rows, slots, width) from unbiased symbols: LMMSE for unit variance, or decoded blocks."""
        if self.setting.latent_bits:
            reals = self._digital.receive(symbols, noise)
        else:
            reals = symbols_to_reals(symbols / (1 + noise))
        return reals.reshape(len(symbols), -1, self.setting.width)


class CodedForm(SparseForm):
    """The support as bits of one coded block with the header."""

    @property
    @abstractmethod
    def body_bits(self) -> int:
        """Bits of the support."""

    @abstractmethod
    def body(self, message: Message) -> np.ndarray:
        """(rows, body_bits) of a message."""

    @abstractmethod
    def read_body(
        self, soft: np.ndarray, sequence: np.ndarray, choice: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(masks, payload bits, whether they are allowed) of LLRs of the body; always masks that can be drawn."""

    @property
    def block(self) -> CodedBlock:
        """The coded block."""
        return CodedBlock(self.header_bits + self.body_bits, self.setting.fec, self.setting.modulation)

    @property
    def mask_symbols(self) -> int:
        return self.block.symbols

    def send(self, message: Message, tokens: np.ndarray) -> np.ndarray:
        coded = self.block.send(np.concatenate([self.header(message), self.body(message)], axis=1))
        return np.concatenate([coded, self.symbols_of(tokens)], axis=1)

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> Decision:
        at = self.mask_symbols
        soft, ok = self.block.receive_soft(symbols[:, :at], noise[:, :at])
        sequence, choice, gain = self.read_header(hard_bits(soft[:, : self.header_bits]))
        masks, payload, allowed = self.read_body(soft[:, self.header_bits :], sequence, choice)
        tokens = self.tokens_of(symbols[:, at:], noise[:, at:])
        return Decision(masks, payload, sequence, choice, gain, ok & allowed, tokens)


class EnumForm(CodedForm):
    """The number of the mask: B bits, the fewest there can be."""

    name = "enum"

    @property
    def body_bits(self) -> int:
        return self.codec.capacity_bits

    def body(self, message: Message) -> np.ndarray:
        return message.scrambled

    def read_body(self, soft, sequence, choice):
        bits = hard_bits(soft)
        masks = self.codec.mask_of(bits, sequence, choice) if self.codec.kept else bits.astype(bool)
        return masks, self.codec.scramble(bits, sequence, choice), np.ones(len(bits), bool)


class BitmapForm(CodedForm):
    """One bit a patch, N in all; a mask of wrong weight is set right by what was likeliest."""

    name = "bitmap"

    @property
    def body_bits(self) -> int:
        return self.codec.num_patches

    def body(self, message: Message) -> np.ndarray:
        return message.masks.astype(np.uint8)

    def read_body(self, soft, sequence, choice):
        return decide(self.codec, soft, sequence, choice)


def decide(
    codec: MaskCodec, llr: np.ndarray, sequence: np.ndarray, choice: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(likeliest masks, their payload bits, whether the mask is one that is ever sent) of LLRs (rows, N)."""
    masks = codec.detect(llr)
    bits, reasons = codec.try_decode(masks, sequence, choice)
    return masks, bits, np.array([not reason for reason in reasons])


def to_bits(values: np.ndarray, count: int) -> np.ndarray:
    """(n,) non-negative integers -> (n, count) bits, most significant first."""
    return ((np.asarray(values, np.int64)[:, None] >> np.arange(count - 1, -1, -1)) & 1).astype(np.uint8)


def from_bits(bits: np.ndarray) -> np.ndarray:
    """Inverse of `to_bits`: (n, count) -> (n,) int64."""
    return bits.astype(np.int64) @ (1 << np.arange(bits.shape[1] - 1, -1, -1))
