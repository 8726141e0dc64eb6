"""Image features over the channel (paper: convolutional; here ADJSCC), cut to as many symbols as the text leaves.

Which symbols are sent is a prefix of one fixed order, so that a coder trained with several lengths serves any share of
a bandwidth. The power of what is sent is normalised for each picture.
"""

from __future__ import annotations

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from semcom.links import checked_pictures
from semcom.models import JsccCoder

_GOLDEN = (5**0.5 - 1) / 2
SNR_RANGE = (-10.0, 25.0)  # of what a coder or a generator is told


def sent_places(coder: JsccCoder, symbols: int, size: tuple[int, int]) -> np.ndarray:
    """Places of the reals that are sent, ascending: (2 * symbols,), of those that the coder has for a picture.

    The order goes through the coder's channels one after the other, and within a channel in steps of the golden ratio,
    so that any number of symbols is spread evenly over the picture.

    Args:
        coder: whose reals are cut.
        symbols: complex symbols of a picture.
        size: height and width of a picture.
    """
    whole, channels = coder.symbols(*size), coder.config.channels
    if not 1 <= symbols <= whole:
        raise InputError("symbols of the picture", got=symbols, expected=f"1 to {whole}, the coder's own")
    step = whole / channels
    at = np.arange(whole)
    spread = (at % step) * _GOLDEN % 1
    order = np.lexsort((spread, at // step))
    kept = np.sort(order[:symbols])
    return np.stack([2 * kept, 2 * kept + 1], axis=1).ravel()


def cut(reals: Tensor, places: np.ndarray) -> Tensor:
    """The reals that are sent, with mean square 1 in each row: (B, all) -> (B, sent)."""
    kept = reals[:, torch.from_numpy(places)]
    return kept / kept.square().mean(dim=1, keepdim=True).add(1e-8).sqrt()


def filled(reals: Tensor, places: np.ndarray, count: int) -> Tensor:
    """(B, sent) -> (B, count), zero where nothing was sent."""
    whole = torch.zeros(len(reals), count)
    whole[:, torch.from_numpy(places)] = reals
    return whole


class ImageFeatures:
    """f and its inverse: pictures to unit-power reals, and received reals to a coarse picture.

    Attributes:
        symbols: complex symbols of a picture.
    """

    def __init__(self, coder: JsccCoder, symbols: int, size: int = 32, max_batch: int = 64) -> None:
        """Args:
        coder: joint source-channel coder.
        symbols: complex symbols of a picture, at most the coder's own.
        size: height and width of pictures.
        max_batch: pictures that pass the coder at once.
        """
        if max_batch < 1:
            raise InputError("max_batch", got=max_batch, expected="at least 1")
        self.coder, self.symbols, self.size, self.max_batch = coder, symbols, size, max_batch
        self.count = 2 * coder.symbols(size, size)
        self.places = sent_places(coder, symbols, (size, size))

    def encode(self, images: np.ndarray, snr_db: float) -> np.ndarray:
        """f(x): (rows, 2 * symbols) float32, mean square 1 in each row, of pictures (rows, H, W, 3) uint8."""
        pixels = torch.from_numpy(np.ascontiguousarray(checked_pictures(images, self.size).transpose(0, 3, 1, 2)))
        told = self._told(snr_db)
        with torch.inference_mode():
            parts = pixels.split(self.max_batch)
            found = [self.coder.encode(part.float() / 255, told.expand(len(part))) for part in parts]
        return torch.cat([cut(part, self.places) for part in found]).numpy()

    def decode(self, reals: np.ndarray, snr_db: float) -> np.ndarray:
        """The coarse picture (rows, H, W, 3) float32 in [0, 1] of shrunk received reals (rows, 2 * symbols)."""
        told, found = self._told(snr_db), []
        with torch.inference_mode():
            for part in torch.from_numpy(np.clip(np.nan_to_num(reals), -20, 20)).split(self.max_batch):
                whole = filled(part, self.places, self.count)
                pixels = self.coder.decode(whole, told.expand(len(part)), self.size, self.size)
                found.append(pixels.nan_to_num().clamp(0, 1))
        return torch.cat(found).permute(0, 2, 3, 1).contiguous().numpy()

    def _told(self, snr_db: float) -> Tensor:
        return torch.tensor([float(np.clip(np.nan_to_num(snr_db), *SNR_RANGE))])


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Pictures in [0, 1] as uint8."""
    return (np.clip(np.nan_to_num(images), 0, 1) * 255).round().astype(np.uint8)
