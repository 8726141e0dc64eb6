"""The interface of links for whole pictures: one picture in, symbols over a channel, one picture out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError

from semcom.phy import Channel, Received


class WholeLink(ABC):
    """A way to send one picture of any size. Nothing passes to the receiver but symbols and the picture's size.

    Attributes:
        name: as tables call it.
        source: the publication.
        ratio: bandwidth ratio, complex symbols by source values.
    """

    name: ClassVar[str]
    source: ClassVar[str] = ""
    ratio: float

    def symbols(self, height: int, width: int) -> int:
        """Complex symbols of a picture of this size: `symbols_of_ratio`, whatever the link.

        Raises:
            InputError: if the link cannot send a picture of this size in so many symbols.
        """
        return symbols_of_ratio(self.ratio, height, width)

    @abstractmethod
    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        """Symbols of a picture.

        Args:
            picture: (H, W, 3) uint8.
            snr_db: Es/N0 that the sender assumes.
        Returns: (symbols(H, W),) complex64 of unit mean power.
        """

    @abstractmethod
    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:
        """The picture (height, width, 3) uint8; always finite, grey where nothing arrived.

        Args:
            received: one row of equalised symbols.
            snr_db: Es/N0 that the sender assumed, from which the receiver knows the sender's settings.
        """


def carry_picture(
    link: WholeLink,
    picture: np.ndarray,
    channel: Channel,
    snr_db: float,
    rng: np.random.Generator,
    assumed_db: float | None = None,
) -> np.ndarray:
    """Send a picture over a channel and receive it.

    Args:
        picture: (H, W, 3) uint8.
        snr_db: Es/N0 of the channel.
        assumed_db: Es/N0 that the sender assumes, if it does not know the channel's.
    """
    assumed = snr_db if assumed_db is None else assumed_db
    sent = link.send(checked_picture(picture), assumed)
    check_sent(sent, link.symbols(*picture.shape[:2]), link.name)
    received = channel.apply(sent[None], snr_db, rng)
    return link.recover(received, picture.shape[0], picture.shape[1], assumed)


def check_sent(sent: np.ndarray, count: int, name: str) -> None:
    """InputError if a link sends another number of symbols than all others, or with another power."""
    if sent.shape != (count,):
        hint = f"multiply the ratio by {sent.size / count:.4g} for this link" if sent.ndim == 1 and sent.size else None
        raise InputError(
            name, got=f"symbols of shape {sent.shape}", expected=f"({count},), as all other links", hint=hint
        )
    power = float(np.mean(np.abs(sent) ** 2))
    if not abs(power - 1) < 1e-3 + 4 / np.sqrt(count):  # QAM of few symbols
        raise InputError(name, got=f"a mean power of {power:.4g}", expected="1, as all other links")


def shrinkage(noise: np.ndarray) -> np.ndarray:
    """Mean share by which MMSE estimates are shrunk, of effective noise variances (..., n): (...,), within (0, 1).

    An AWGN channel shrinks as much at an SNR of (1 - share) / share, linear.
    """
    return np.clip(1 - np.mean(1 / (1 + noise), axis=-1, dtype=np.float64), 1e-4, 0.999)


def checked_picture(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8, or InputError that says what it is."""
    picture = np.asarray(picture)
    if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8 or not picture.size:
        tensor = picture.ndim == 3 and picture.shape[0] == 3
        hint = "of a tensor x in [0, 1]: (255 * x).byte().permute(1, 2, 0).numpy()" if tensor else None
        got = f"{picture.dtype} of shape {picture.shape}"
        raise InputError("picture", got=got, expected="(H, W, 3) uint8", hint=hint)
    return picture


def symbols_of_ratio(ratio: float, height: int, width: int) -> int:
    """Complex symbols of a bandwidth ratio: at most ratio * 3 * H * W, at least 64."""
    if not 0 < ratio <= 1:
        raise InputError("ratio", got=ratio, expected="a bandwidth ratio in (0, 1], such as 1/12")
    return max(64, int(3 * height * width * ratio + 1e-6))
