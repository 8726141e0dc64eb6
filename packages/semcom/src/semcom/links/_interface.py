"""The interface of the method and its rivals: pictures and bits in, symbols over a channel, pictures and bits out.

Nothing passes from sender to receiver but symbols and what both know beforehand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError

from semcom.links._report import SymbolReport
from semcom.phy import Channel, Received, power


@dataclass
class Delivered:
    """What a receiver hands out.

    Attributes:
        images: (pictures, H, W, 3) uint8, always finite, whatever the channel did.
        bits: (pictures, payload bits) uint8; rows that are not `ok` mean nothing.
        ok: (pictures,) whether the check of the bits held.
        masks: (pictures, patches) bool, for links that mask; else None.
        sequence: (pictures,) decoded sequence numbers, for links that send them; else None.
    """

    images: np.ndarray
    bits: np.ndarray
    ok: np.ndarray
    masks: np.ndarray | None = None
    sequence: np.ndarray | None = None


class PictureLink(ABC):
    """A way to send pictures, each with `payload_bits` bits.

    Attributes:
        name: as tables call it.
        source: the publication, or why it is here.

    Examples:
        >>> from semcom import CarrierImageLink, PictureLink

        >>> link = CarrierImageLink.from_pretrained("mae-32p4")
        >>> link.name, isinstance(link, PictureLink), link.report.symbols
        ('carrier', True, 1168)
    """

    name: ClassVar[str]
    source: ClassVar[str] = ""

    @property
    @abstractmethod
    def report(self) -> SymbolReport:
        """Symbols of a picture; the energy is measured by `carry`."""

    @abstractmethod
    def send(self, images: np.ndarray, bits: np.ndarray, snr_db: float) -> np.ndarray:
        """Symbols of each picture.

        Args:
            images: (pictures, H, W, 3) uint8.
            bits: (pictures, payload bits) of 0 and 1.
            snr_db: design SNR that both sides know; of no effect in links that need none.
        Returns: (pictures, report.symbols) complex64.
        """

    @abstractmethod
    def recover(self, received: Received, snr_db: float) -> Delivered:
        """Pictures and bits of equalised symbols; see `send` for the SNR."""


def carry(
    link: PictureLink, images: np.ndarray, bits: np.ndarray, channel: Channel, snr_db: float, rng: np.random.Generator
) -> tuple[Delivered, SymbolReport]:
    """Send, let the channel act, receive.

    Returns: what arrives, and the report with pilots and the measured energy.

    Examples:
        >>> import numpy as np
        >>> from semcom import CarrierImageLink, Channel, carry, datasets

        >>> pictures = datasets.load("embedded", limit=4)
        >>> link = CarrierImageLink.from_pretrained("mae-32p4")
        >>> bits = np.random.default_rng(0).integers(0, 2, (4, link.report.payload_bits)).astype(np.uint8)
        >>> delivered, report = carry(link, pictures, bits, Channel("awgn"), 6.0, np.random.default_rng(1))
        >>> delivered.images.shape, bool((delivered.bits == bits).all()), report.symbols
        ((4, 32, 32, 3), True, 1168)
    """
    if len(bits) != len(images) or bits.shape[1] != link.report.payload_bits:
        expected = f"({len(images)}, {link.report.payload_bits})"
        raise InputError("bits", got=f"shape {bits.shape}", expected=expected)
    symbols = link.send(images, bits, snr_db)
    received = channel.apply(symbols, snr_db, rng)
    report = replace(link.report, pilot_symbols=received.overhead, energy=float(power(symbols).mean()))
    return link.recover(received, snr_db), report
