"""Forms of the support that are not coded bits: on-off symbols, random projections, silent slots, dense tokens.

The sequence number and a CRC-16 of the payload bits go in a small coded header.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np

from semcom.carrier._sparse import (
    BitmapForm,
    CooForm,
    Decision,
    EnumForm,
    FormSetting,
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


class ProjectedForm(HeaderForm):
    """Mask symbols that are a linear image of the support, between header and tokens."""

    @property
    @abstractmethod
    def support_symbols(self) -> int:
        """Symbols of the support."""

    @abstractmethod
    def project(self, masks: np.ndarray) -> np.ndarray:
        """(rows, N) -> (rows, support_symbols) complex64."""

    @abstractmethod
    def scores(self, symbols: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """LLR-like scores (rows, N) of the received support, larger for kept patches."""

    @property
    def mask_symbols(self) -> int:
        return self.block.symbols + self.support_symbols

    def send(self, message: Message, tokens: np.ndarray) -> np.ndarray:
        parts = [self.coded_header(message), self.project(message.masks), self.symbols_of(tokens)]
        return np.concatenate(parts, axis=1)

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> Decision:
        at, end = self.block.symbols, self.mask_symbols
        header = self.block.receive(symbols[:, :at], noise[:, :at])
        scores = self.scores(symbols[:, at:end], noise[:, at:end])
        return self.decided(header, scores, self.tokens_of(symbols[:, end:], noise[:, end:]))


class OnOffForm(ProjectedForm):
    """One real number a patch: an amplitude if it is kept, else nothing."""

    name = "ook"

    @property
    def _amplitude(self) -> float:
        return math.sqrt(self.codec.num_patches / (self.codec.kept or 1))

    @property
    def support_symbols(self) -> int:
        return -(-self.codec.num_patches // 2)

    def project(self, masks: np.ndarray) -> np.ndarray:
        reals = np.where(masks, 0, self._amplitude).astype(np.float32)
        return reals_to_symbols(np.pad(reals, ((0, 0), (0, reals.shape[1] % 2))))

    def scores(self, symbols: np.ndarray, noise: np.ndarray) -> np.ndarray:
        reals = symbols_to_reals(symbols)[:, : self.codec.num_patches]
        variance = np.repeat(noise, 2, axis=1)[:, : self.codec.num_patches]  # of a real of unit variance
        return (2 * reals * self._amplitude - self._amplitude**2) / (2 * np.maximum(variance, 1e-9))


class ProjectionForm(ProjectedForm):
    """Random projections of the support, found by orthogonal matching pursuit of the right weight."""

    name = "cs"

    def __init__(self, setting: FormSetting) -> None:
        super().__init__(setting)
        rows, patches = 2 * self.support_symbols, self.codec.num_patches
        signs = np.random.Generator(np.random.PCG64([patches, rows])).choice([-1.0, 1.0], (rows, patches))
        share = (self.codec.kept or 1) / patches
        self._share = share
        self._matrix = signs / math.sqrt(patches * share * (1 - share))

    @property
    def support_symbols(self) -> int:
        return -(-self.codec.num_patches // 2)  # as many reals as patches

    def project(self, masks: np.ndarray) -> np.ndarray:
        return reals_to_symbols((~masks - self._share) @ self._matrix.T)

    def scores(self, symbols: np.ndarray, noise: np.ndarray) -> np.ndarray:
        reals = symbols_to_reals(symbols).astype(np.float64)
        weight = 1 / np.maximum(np.repeat(noise, 2, axis=1), 1e-6)
        return np.stack([self._pursuit(row, scale) for row, scale in zip(reals, weight, strict=True)])

    def _pursuit(self, seen: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Support of one row by OMP on known amplitudes: 1 for kept, -1 for masked."""
        root = np.sqrt(weight / weight.max())
        matrix = self._matrix * root[:, None]
        rest = (seen + self._matrix.sum(axis=1) * self._share) * root
        norm = (matrix**2).sum(axis=0)
        found = np.full(self.codec.num_patches, -1.0)
        for _ in range(self.codec.kept or 0):
            gain = matrix.T @ rest / norm
            gain[found > 0] = -np.inf
            place = int(gain.argmax())
            found[place] = 1.0
            rest = rest - matrix[:, place]
        for _ in range(2):  # exchange passes: put back what explains least
            for place in np.flatnonzero(found > 0):
                found[place] = -1.0
                rest = rest + matrix[:, place]
                gain = matrix.T @ rest / norm
                gain[found > 0] = -np.inf
                best = int(gain.argmax())
                found[best] = 1.0
                rest = rest - matrix[:, best]
        return found


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


FORMS: dict[str, type[SparseForm]] = {
    form.name: form for form in (EnumForm, BitmapForm, CooForm, OnOffForm, ProjectionForm, ImplicitForm, DenseForm)
}
