"""Forms of the support that are not coded bits: silent slots, dense tokens.

The sequence number and a CRC-16 of the payload bits go in a small coded header.
"""

from __future__ import annotations

import math

import numpy as np

from semcom.carrier._sparse import (
    BitmapForm,
    Decision,
    EnumForm,
    Message,
    SparseForm,
    decide,
)
from semcom.phy import CodedBlock, crc_bits, reals_to_symbols, symbols_to_reals


class HeaderForm(SparseForm):
    """A coded header, then whatever shows the mask, then the tokens."""

    @property
    def block(self) -> CodedBlock:
        """The coded header."""
        return CodedBlock(self.header_bits + 16, self.setting.fec, self.setting.modulation)

    def coded_header(self, message: Message) -> np.ndarray:
        """Symbols (rows, block.symbols) of the header with a check of the payload bits."""
        check = crc_bits(message.scrambled, 16)
        return self.block.send(np.concatenate([self.header(message), check], axis=1))

    def decided(self, header: tuple[np.ndarray, np.ndarray], llr: np.ndarray, tokens: np.ndarray | None) -> Decision:
        """The decision of header bits with their checks, and LLRs (rows, N); tokens may follow later."""
        bits, good = header
        sequence, choice, gain = self.read_header(bits)
        masks, payload, allowed = decide(self.codec, llr, sequence, choice)
        scrambled = self.codec.scramble(payload, sequence, choice)
        same = (crc_bits(scrambled, 16) == bits[:, self.header_bits :]).all(axis=1)
        empty = np.zeros((len(bits), 0, self.setting.width), np.float32)
        return Decision(
            masks, payload, sequence, choice, gain, good & allowed & same, empty if tokens is None else tokens
        )


class ImplicitForm(HeaderForm):
    """Every patch has its slot; masked slots are silent and the energy shows the mask: no mask symbols, more time."""

    name = "implicit"

    @property
    def mask_symbols(self) -> int:
        return self.block.symbols

    @property
    def latent_symbols(self) -> int:
        return (self.codec.num_patches + 1) * self.setting.width // 2

    @property
    def _scale(self) -> float:
        return math.sqrt((self.codec.num_patches + 1) / self.setting.slots)

    def send(self, message: Message, tokens: np.ndarray) -> np.ndarray:
        slots = np.zeros((len(tokens), self.codec.num_patches + 1, self.setting.width), np.float32)
        slots[:, 0] = tokens[:, 0]
        slots[:, 1:][~message.masks] = tokens[:, 1:].reshape(-1, self.setting.width)
        slots *= np.float32(self._scale)
        return np.concatenate([self.coded_header(message), reals_to_symbols(slots.reshape(len(slots), -1))], axis=1)

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> Decision:
        at = self.mask_symbols
        header = self.block.receive(symbols[:, :at], noise[:, :at])
        shape = (len(symbols), self.codec.num_patches + 1, -1)
        slots, variance = symbols[:, at:].reshape(shape), noise[:, at:].reshape(shape)
        energy = (np.abs(slots[:, 1:]) ** 2 / np.maximum(variance[:, 1:], 1e-9)).mean(axis=2)
        decision = self.decided(header, energy - np.median(energy, axis=1, keepdims=True), None)
        power = np.float32(self._scale**2)
        shrunk = slots * (np.float32(self._scale) / (power + variance))
        reals = symbols_to_reals(shrunk.reshape(len(slots), -1)).reshape(len(slots), -1, self.setting.width)
        kept = reals[:, 1:][~decision.masks].reshape(len(slots), -1, self.setting.width)
        decision.tokens = np.concatenate([reals[:, :1], kept], axis=1)
        return decision


class DenseForm(HeaderForm):
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
        gain = message.gain.astype(np.float16).astype(np.float32)
        full = np.empty((len(tokens), self.codec.num_patches + 1, self.setting.width), np.float32)
        full[:, 0] = tokens[:, 0]
        full[:, 1:][~message.masks] = tokens[:, 1:].reshape(-1, self.setting.width)
        full[:, 1:][message.masks] = self._dictionary(gain)[message.masks]
        return np.concatenate([self.coded_header(message), reals_to_symbols(full.reshape(len(full), -1))], axis=1)

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> Decision:
        at = self.block.symbols
        header = self.block.receive(symbols[:, :at], noise[:, :at])
        gain = self.read_header(header[0])[2]
        reals = symbols_to_reals(symbols[:, at:]).reshape(len(symbols), -1, self.setting.width)
        variance = np.repeat(noise[:, at:], 2, axis=1).reshape(reals.shape)
        weight = 1 / np.maximum(variance, 1e-6)
        distance = ((reals[:, 1:] - self._dictionary(gain)) ** 2 * weight[:, 1:]).mean(axis=2)
        decision = self.decided(header, distance - np.median(distance, axis=1, keepdims=True), None)
        shrunk = reals / (1 + variance)
        kept = shrunk[:, 1:][~decision.masks].reshape(len(reals), -1, self.setting.width)
        decision.tokens = np.concatenate([shrunk[:, :1], kept], axis=1)
        return decision


FORMS: dict[str, type[SparseForm]] = {form.name: form for form in (EnumForm, BitmapForm, ImplicitForm, DenseForm)}
