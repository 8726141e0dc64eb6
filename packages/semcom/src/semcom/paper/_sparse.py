"""Sparse encoding module (paper: mask tokens as a sparse matrix, rebuilt by the receiver; its forms are inferred).

The decoder's input at masked positions is X = E A with the known dictionary A = 1 m^T + P, so the support of E, the
mask, says everything. `enum` sends its number in a coded block; `implicit` leaves masked slots silent; `dense` is the
paper's baseline and sends every mask token. The latter two have a small coded header with a CRC-16 of the payload.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from semcom.paper._mask_codec import MaskCodec
from semcom.phy import CodedBlock, crc_bits, hard_bits, reals_to_symbols, symbols_to_reals

SEQUENCE_BITS, GAIN_BITS = 16, 16


@dataclass(frozen=True)
class FormSetting:
    """What both sides know.

    Attributes:
        codec: bits to masks.
        slots: tokens that fit in a picture, the class token among them.
        width: reals a token.
        fec, modulation: of coded blocks.
        choice_bits: header bits that say which scrambler alternative was taken.
        has_gain: whether a 16-bit gain is sent.
        dictionary: (N, width) what stands for a masked token; for `dense` alone.
    """

    codec: MaskCodec
    slots: int
    width: int
    fec: str = "ldpc:1/2"
    modulation: str = "qpsk"
    choice_bits: int = 0
    has_gain: bool = False
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
    """One form of the support, with its share of the symbols: a coded block, then whatever shows mask and tokens."""

    name: ClassVar[str]

    def __init__(self, setting: FormSetting) -> None:
        self.setting, self.codec = setting, setting.codec

    @property
    def body_bits(self) -> int:
        """Bits of the coded block without the header."""
        return 16

    @property
    def block(self) -> CodedBlock:
        """The coded block: header and body."""
        return CodedBlock(self.header_bits + self.body_bits, self.setting.fec, self.setting.modulation)

    @property
    def mask_symbols(self) -> int:
        """Symbols of a picture without its tokens."""
        return self.block.symbols

    @property
    def latent_symbols(self) -> int:
        """Symbols of the tokens."""
        return self.setting.slots * self.setting.width // 2

    @abstractmethod
    def send(self, message: Message, tokens: np.ndarray) -> np.ndarray:
        """Symbols (rows, mask_symbols + latent_symbols) of a message and its tokens (rows, slots, width)."""

    @abstractmethod
    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> Decision:
        """The decision on unbiased symbols (rows, all) with effective noise variances of the same shape."""

    @property
    def header_bits(self) -> int:
        """Length of the header."""
        return SEQUENCE_BITS + self.setting.choice_bits + GAIN_BITS * self.setting.has_gain

    def coded(self, message: Message, body: np.ndarray) -> np.ndarray:
        """Symbols (rows, block.symbols) of the header (sequence number, choice, gain) and a body (rows, body_bits)."""
        parts = [to_bits(message.sequence, SEQUENCE_BITS), to_bits(message.choice, self.setting.choice_bits)]
        if self.setting.has_gain:
            parts.append(to_bits(message.gain.astype(np.float16).view(np.uint16), GAIN_BITS))
        return self.block.send(np.concatenate([*parts, body], axis=1))

    def read_header(self, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(sequence, choice, gain) of header bits; a gain that is not finite and positive is taken as 1."""
        at = SEQUENCE_BITS + self.setting.choice_bits
        gain = np.ones(len(bits), np.float32)
        if self.setting.has_gain:
            sent = from_bits(bits[:, at : at + GAIN_BITS]).astype(np.uint16).view(np.float16).astype(np.float32)
            gain = np.where(np.isfinite(sent) & (sent > 0) & (sent < 1e3), sent, 1).astype(np.float32)
        return from_bits(bits[:, :SEQUENCE_BITS]), from_bits(bits[:, SEQUENCE_BITS:at]), gain


class EnumForm(SparseForm):
    """The mask's number in the coded block: B bits, the fewest there can be."""

    name = "enum"

    @property
    def body_bits(self) -> int:
        return self.codec.capacity_bits

    def masks_of(self, bits: np.ndarray, sequence: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """Masks that can be drawn, of received bits."""
        return self.codec.mask_of(bits, sequence, choice) if self.codec.kept else bits.astype(bool)

    def send(self, message: Message, tokens: np.ndarray) -> np.ndarray:
        latents = reals_to_symbols(tokens.reshape(len(tokens), -1))
        return np.concatenate([self.coded(message, message.scrambled), latents], axis=1)

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> Decision:
        at = self.mask_symbols
        soft, ok = self.block.receive_soft(symbols[:, :at], noise[:, :at])
        bits = hard_bits(soft)
        sequence, choice, gain = self.read_header(bits)
        own = bits[:, self.header_bits :]
        masks = self.masks_of(own, sequence, choice)
        reals = symbols_to_reals(symbols[:, at:] / (1 + noise[:, at:]))  # LMMSE for unit variance
        tokens = reals.reshape(len(symbols), -1, self.setting.width)
        return Decision(masks, self.codec.scramble(own, sequence, choice), sequence, choice, gain, ok, tokens)


class SlotForm(SparseForm):
    """A coded header, then a slot for each patch, from which the receiver reads the mask."""

    def slots_of(self, message: Message, tokens: np.ndarray) -> np.ndarray:
        """(rows, N + 1, width): tokens at their patches, zero where a patch is masked."""
        slots = np.zeros((len(tokens), self.codec.num_patches + 1, self.setting.width), np.float32)
        slots[:, 0] = tokens[:, 0]
        slots[:, 1:][~message.masks] = tokens[:, 1:].reshape(-1, self.setting.width)
        return slots

    def joined(self, message: Message, slots: np.ndarray) -> np.ndarray:
        """All symbols: the header with a check of the payload bits, and the slots."""
        header = self.coded(message, crc_bits(message.scrambled, 16))
        return np.concatenate([header, reals_to_symbols(slots.reshape(len(slots), -1))], axis=1)

    def decided(self, bits: np.ndarray, good: np.ndarray, llr: np.ndarray, slots: np.ndarray) -> Decision:
        """The decision of header bits with their checks, LLRs (rows, N) of the mask, and estimates of the slots."""
        sequence, choice, gain = self.read_header(bits)
        masks = self.codec.detect(llr - np.median(llr, axis=1, keepdims=True))
        payload, reasons = self.codec.try_decode(masks, sequence, choice)
        scrambled = self.codec.scramble(payload, sequence, choice)
        good = good & (crc_bits(scrambled, 16) == bits[:, self.header_bits :]).all(axis=1)
        kept = slots[:, 1:][~masks].reshape(len(slots), -1, self.setting.width)
        tokens = np.concatenate([slots[:, :1], kept], axis=1)
        ok = good & np.array([not reason for reason in reasons])
        return Decision(masks, payload, sequence, choice, gain, ok, tokens)


class ImplicitForm(SlotForm):
    """Masked slots are silent and the energy shows the mask: no mask symbols, more time."""

    name = "implicit"

    @property
    def latent_symbols(self) -> int:
        return (self.codec.num_patches + 1) * self.setting.width // 2

    @property
    def _scale(self) -> float:
        return math.sqrt((self.codec.num_patches + 1) / self.setting.slots)

    def send(self, message: Message, tokens: np.ndarray) -> np.ndarray:
        return self.joined(message, self.slots_of(message, tokens) * np.float32(self._scale))

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> Decision:
        at = self.mask_symbols
        header = self.block.receive(symbols[:, :at], noise[:, :at])
        shape = (len(symbols), self.codec.num_patches + 1, -1)
        slots, variance = symbols[:, at:].reshape(shape), noise[:, at:].reshape(shape)
        energy = (np.abs(slots[:, 1:]) ** 2 / np.maximum(variance[:, 1:], 1e-9)).mean(axis=2)
        shrunk = slots * (np.float32(self._scale) / (np.float32(self._scale**2) + variance))
        reals = symbols_to_reals(shrunk.reshape(len(slots), -1)).reshape(len(slots), -1, self.setting.width)
        return self.decided(*header, energy, reals)


class DenseForm(SlotForm):
    """The baseline of the paper: every mask token is sent as it is, and each token is tested against the dictionary."""

    name = "dense"

    @property
    def mask_symbols(self) -> int:
        return self.block.symbols + (self.codec.num_patches + 1 - self.setting.slots) * self.setting.width // 2

    def _dictionary(self, gain: np.ndarray) -> np.ndarray:
        """(rows, N, width) of mask tokens on the scale of what is sent."""
        assert self.setting.dictionary is not None
        return self.setting.dictionary[None] / gain[:, None, None]

    def send(self, message: Message, tokens: np.ndarray) -> np.ndarray:
        slots = self.slots_of(message, tokens)
        gain = message.gain.astype(np.float16).astype(np.float32)
        slots[:, 1:][message.masks] = self._dictionary(gain)[message.masks]
        return self.joined(message, slots)

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> Decision:
        at = self.block.symbols
        bits, good = self.block.receive(symbols[:, :at], noise[:, :at])
        reals = symbols_to_reals(symbols[:, at:]).reshape(len(symbols), -1, self.setting.width)
        variance = np.repeat(noise[:, at:], 2, axis=1).reshape(reals.shape)
        weight = 1 / np.maximum(variance, 1e-6)
        known = self._dictionary(self.read_header(bits)[2])
        distance = ((reals[:, 1:] - known) ** 2 * weight[:, 1:]).mean(axis=2)
        return self.decided(bits, good, distance, reals / (1 + variance))


FORMS: dict[str, type[SparseForm]] = {form.name: form for form in (EnumForm, ImplicitForm, DenseForm)}


def to_bits(values: np.ndarray, count: int) -> np.ndarray:
    """(n,) non-negative integers -> (n, count) bits, most significant first."""
    return ((np.asarray(values, np.int64)[:, None] >> np.arange(count - 1, -1, -1)) & 1).astype(np.uint8)


def from_bits(bits: np.ndarray) -> np.ndarray:
    """Inverse of `to_bits`: (n, count) -> (n,) int64."""
    return bits.astype(np.int64) @ (1 << np.arange(bits.shape[1] - 1, -1, -1))
