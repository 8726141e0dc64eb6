"""Counting of symbols, and the check of pictures at the door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold.errors import InputError

from semcom.phy import bandwidth_ratio


@dataclass(frozen=True)
class SymbolReport:
    """Complex symbols of one picture by what they are for, and what they carry.

    Attributes:
        payload_bits: bits that the user may fill.
        mask_symbols: of the coded block with the mask, the sequence number and the check.
        latent_symbols: of the picture itself.
        pilot_symbols: pilots, prefixes and filling.
        energy: mean |x|^2 of all symbols sent, pilots apart.
        source_values: C * H * W of a picture.

    Examples:
        >>> import numpy as np
        >>> from semcom import CarrierImageLink, Channel, datasets

        >>> pictures = datasets.load("embedded", limit=8)  # 32 x 32 pixels each
        >>> link = CarrierImageLink.from_pretrained("mae-32p4", mask_ratio=0.75, key="ours")

        >>> report = link.transmit(pictures, b"hello").report
        >>> report.payload_bits, report.mask_symbols, report.latent_symbols
        (48, 80, 1088)
        >>> report.symbols, round(report.bandwidth_ratio, 3)
        (1168, 0.38)
    """

    payload_bits: int
    mask_symbols: int
    latent_symbols: int
    pilot_symbols: int = 0
    energy: float = 1.0
    source_values: int = 3072

    @property
    def symbols(self) -> int:
        """All symbols of a picture."""
        return self.mask_symbols + self.latent_symbols + self.pilot_symbols

    @property
    def bandwidth_ratio(self) -> float:
        """All symbols by source values."""
        return bandwidth_ratio(self.symbols, 1, 1, self.source_values)

    def to_meta(self) -> dict[str, Any]:
        """As JSON values, with the sums."""
        return {
            "payload_bits": self.payload_bits, "mask_symbols": self.mask_symbols, "latent_symbols": self.latent_symbols,
            "pilot_symbols": self.pilot_symbols, "symbols": self.symbols, "bandwidth_ratio": self.bandwidth_ratio,
            "energy": self.energy,
        }  # fmt: skip


def checked_pictures(images: np.ndarray, size: int | None = None) -> np.ndarray:
    """(pictures, H, W, 3) uint8, or InputError that says what is wrong; `size` is the height and width to have."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise InputError("pictures", got=f"{images.dtype} of shape {images.shape}", expected="(n, H, W, 3) uint8")
    if not len(images):
        raise InputError("pictures", got="none", expected="at least one")
    if size is not None and images.shape[1:3] != (size, size):
        got = f"{images.shape[1]} x {images.shape[2]} pixels"
        raise InputError("pictures", got=got, expected=f"{size} x {size}", hint="cut them by semcom.cut_tiles")
    return images
