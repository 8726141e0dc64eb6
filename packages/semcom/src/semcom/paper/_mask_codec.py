"""Bits to mask locations and back: `bitmap` as published, and `enumerative` (constant weight), the default."""

from __future__ import annotations

import math

import numpy as np
from ninefold.errors import InputError

from semcom.paper._combinatorics import bits_to_integers, integers_to_bits, pascal_table, rank, unrank
from semcom.paper._scrambler import keyed_words, words_to_bits

MODES = ("enumerative", "bitmap")


def kept_count(num_patches: int, mask_ratio: float) -> int:
    """Patches that stay, n = floor(N (1 - r) + 1e-6): at r = .9 of 100 patches that is 10, where int() gives 9.

    Raises:
        InputError: if none or all would stay.
    """
    if num_patches < 2:
        raise InputError("num_patches", got=num_patches, expected="at least 2")
    if not 0 < mask_ratio < 1:
        raise InputError("mask_ratio", got=mask_ratio, expected="a share between 0 and 1, not a percentage")
    kept = math.floor(num_patches * (1 - mask_ratio) + 1e-6)
    if not 0 < kept < num_patches:
        wanted = f"a ratio that keeps 1 to {num_patches - 1} of {num_patches} patches"
        raise InputError("mask_ratio", got=f"{mask_ratio}, which keeps {kept}", expected=wanted)
    return kept


class MaskCodec:
    """Carries bits in which patches of a picture are masked.

    A key scrambles the bits by a counter (the picture's sequence number) and, in `enumerative` mode, shifts the rank
    modulo C(N, n): without it, zeros keep one contiguous strip and ranks above 2^B never occur. Both sides know it.

    Attributes:
        num_patches: N.
        mask_ratio: share of masked patches; of no effect in `bitmap` (about a half).
        mode: `enumerative` or `bitmap`.
        kept: patches that stay, n; None in `bitmap`.
        capacity_bits: payload bits of a picture, B.

    Examples:
        >>> import numpy as np
        >>> from semcom import MaskCodec

        >>> codec = MaskCodec(num_patches=64, mask_ratio=0.75, scramble_key="ours")
        >>> codec.capacity_bits, codec.kept
        (48, 16)
        >>> bits = np.random.default_rng(0).integers(0, 2, codec.capacity_bits)
        >>> mask = codec.encode(bits, index=7)  # of the picture with sequence number 7
        >>> int(mask.sum())
        48
        >>> bool((codec.decode(mask, index=7) == bits).all())
        True
    """

    def __init__(
        self, num_patches: int, mask_ratio: float = 0.75, mode: str = "enumerative", scramble_key: int | str | None = 0
    ) -> None:
        """See the class; `scramble_key=None` switches scrambling off.

        Raises:
            InputError: if a ratio keeps no patch or all, or a mode is unknown or does not fit.
        """
        self.num_patches, self.mask_ratio, self.mode, self.scramble_key = num_patches, mask_ratio, mode, scramble_key
        self.kept: int | None = None
        if mode == "enumerative":
            self.kept = kept_count(num_patches, mask_ratio)
            self._table = pascal_table(self.kept, num_patches - self.kept)
            self.capacity_bits = math.comb(num_patches, self.kept).bit_length() - 1
        elif mode == "bitmap":
            self.capacity_bits = num_patches
        else:
            raise InputError("mode", got=repr(mode), expected=f"one of {', '.join(MODES)}")
        if self.capacity_bits < 1:
            raise InputError("mask_ratio", got=mask_ratio, expected="a ratio at which a picture carries a bit")

    def scramble(self, bits: np.ndarray, index: np.ndarray, choice: np.ndarray | int = 0) -> np.ndarray:
        """Bits XOR key stream, its own inverse: (rows, B) uint8, sequence numbers (rows,)."""
        if self.scramble_key is None:
            return bits
        words = keyed_words(self.scramble_key, index, 1 + -(-self.capacity_bits // 64), choice)
        return bits ^ words_to_bits(words[:, 1:], self.capacity_bits)

    def encode(self, bits: np.ndarray, index: np.ndarray | int = 0, choice: np.ndarray | int = 0) -> np.ndarray:
        """The mask that carries some bits.

        Args:
            bits: (B,) or (rows, B) of 0 and 1.
            index: sequence number of the (first) picture; rows count up from it, or (rows,) numbers.
            choice: number of the scrambler's alternative, for `select`.
        Returns: (N,) or (rows, N) bool, True where a patch is masked.
        """
        rows = self._checked(bits, self.capacity_bits, "bits")
        if rows.size and (rows.dtype.kind == "f" or rows.max() > 1 or rows.min() < 0):
            raise InputError("bits", got=f"{rows.dtype} up to {rows.max()}", expected="0 or 1")
        index = _indices(index, len(rows))
        mask = self.mask_of(self.scramble(rows.astype(np.uint8), index, choice), index, choice)
        return mask[0] if np.ndim(bits) == 1 else mask

    def mask_of(self, scrambled: np.ndarray, index: np.ndarray, choice: np.ndarray | int = 0) -> np.ndarray:
        """Masks (rows, N) of bits that are scrambled already."""
        if self.mode == "bitmap":
            masks = scrambled.astype(bool)
            if masks.all(axis=1).any():
                got = f"0 kept patches in picture {int(masks.all(axis=1).argmax())}"
                raise InputError("bitmap", got=got, expected="at least one", hint="take another key")
            return masks
        masks = np.empty((len(scrambled), self.num_patches), np.bool_)
        for row, (value, offset) in enumerate(
            zip(bits_to_integers(scrambled), self._offsets(index, choice), strict=True)
        ):
            masks[row] = np.frombuffer(unrank((value + offset) % self._table[-1][-1], self._table), np.bool_)
        return masks

    def decode(self, mask: np.ndarray, index: np.ndarray | int = 0, choice: np.ndarray | int = 0) -> np.ndarray:
        """The bits of masks, or of log-likelihood ratios of each patch (positive: kept).

        Args:
            mask: (N,) or (rows, N); bool, or float for LLRs, from which the likeliest mask is taken (top-n).
        Returns: (B,) or (rows, B) uint8.
        Raises:
            InputError: if a mask has a wrong weight, or its codeword is out of range; names the picture.
        """
        rows = self._checked(mask, self.num_patches, "mask")
        masks = self.detect(rows) if rows.dtype.kind == "f" else rows.astype(bool)
        bits, reason = self.try_decode(masks, _indices(index, len(masks)), choice)
        for row, why in enumerate(reason):
            if why:
                raise InputError("mask", got=f"{why} in picture {row}", expected="what `encode` can give")
        return bits[0] if np.ndim(mask) == 1 else bits

    def try_decode(
        self, masks: np.ndarray, index: np.ndarray, choice: np.ndarray | int = 0
    ) -> tuple[np.ndarray, list[str]]:
        """Like `decode` for bool masks, with a reason ("" if good) for each row instead of an error."""
        reasons = [""] * len(masks)
        if self.mode == "bitmap":
            return self.scramble(masks.astype(np.uint8), index, choice), reasons
        weights = (~masks).sum(axis=1)
        wrong = weights != self.kept
        for row in np.flatnonzero(wrong):
            reasons[row] = f"{weights[row]} kept patches where there are {self.kept}"
        usable = masks.copy()
        usable[wrong] = np.arange(self.num_patches) >= (self.kept or 0)
        kept = np.nonzero(~usable)[1].reshape(len(masks), self.kept or 0).tolist()
        offsets, limit = self._offsets(index, choice), 1 << self.capacity_bits
        values = [
            (rank(places, self._table) - offset) % self._table[-1][-1]
            for places, offset in zip(kept, offsets, strict=True)
        ]
        for row, value in enumerate(values):
            if value >= limit and not wrong[row]:
                reasons[row] = "a codeword out of range"
        bits = integers_to_bits([value % limit for value in values], self.capacity_bits)
        return self.scramble(bits, index, choice), reasons

    def detect(self, llr: np.ndarray) -> np.ndarray:
        """Likeliest masks of LLRs (rows, N), positive: kept. Of constant weight: the n largest; else by sign."""
        if not np.isfinite(llr).all():
            raise InputError("LLRs", got="NaN or infinity", expected="finite values")
        if self.mode == "bitmap":
            return llr < 0
        order = np.argsort(-llr, axis=1, kind="stable")
        masks = np.ones(llr.shape, np.bool_)
        np.put_along_axis(masks, order[:, : self.kept], False, axis=1)
        return masks

    def _offsets(self, index: np.ndarray, choice: np.ndarray | int) -> list[int]:
        """A keyed fraction of C(N, n) for each picture."""
        if self.scramble_key is None:
            return [0] * len(index)
        fractions = keyed_words(self.scramble_key, index, 1, choice)[:, 0] >> np.uint64(32)
        return [self._table[-1][-1] * fraction >> 32 for fraction in fractions.tolist()]

    @staticmethod
    def _checked(values: np.ndarray, width: int, what: str) -> np.ndarray:
        rows = np.atleast_2d(np.asarray(values))
        if rows.ndim != 2 or rows.shape[1] != width:
            raise InputError(what, got=f"shape {np.shape(values)}", expected=f"({width},) or (rows, {width})")
        return rows


def _indices(index: np.ndarray | int, rows: int) -> np.ndarray:
    return np.asarray(index) if np.ndim(index) else np.arange(rows) + int(index)
