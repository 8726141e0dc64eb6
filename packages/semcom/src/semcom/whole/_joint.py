"""The joint source-channel coder on whole pictures of any size; large ones pass it in overlapping strips."""

from __future__ import annotations

import itertools
from typing import ClassVar

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from semcom.models import PictureCoder, load_picture_coder, pad_sides
from semcom.phy import Received, noise_variance, reals_to_symbols, symbols_to_reals
from semcom.whole._interface import WholeLink, checked_picture

_STRIP = 512  # rows of a strip; one strip up to twice as many pixels as _STRIP rows of 2,048
_HALO = 64  # rows beside it that are seen and not kept, a multiple of 16
_PIXELS = 2 * _STRIP * 2048
_SNR = (-10.0, 25.0)


class JointLink(WholeLink):
    """The picture by `PictureCoder`, analog: it degrades with the channel and has no cliff."""

    name: ClassVar[str] = "joint coder"
    source: ClassVar[str] = "after Xu et al. 2021"

    def __init__(self, model: PictureCoder | None = None, ratio: float = 1 / 12) -> None:
        """Args:
        model: the coder; the one that the wheel brings if left out.
        ratio: bandwidth ratio, an even number of feature channels by 96.
        """
        self.model = model or load_picture_coder()
        self.channels = round(96 * ratio)
        if abs(self.channels - 96 * ratio) > 1e-6:
            raise InputError("ratio", got=ratio, expected="a multiple of 1/48 for the joint coder, such as 1/12")
        self.model.symbols(16, 16, self.channels)
        self._half = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())

    def symbols(self, height: int, width: int) -> int:
        return self.model.symbols(height, width, self.channels)

    def _encoded(self, images: Tensor, snr_db: float) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            return self.model.features(_laid_out(images, 1), torch.tensor([_clipped(snr_db)]), self.channels)

    def _decoded(self, reals: Tensor, snr_db: float) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            return self.model.decode(_laid_out(reals, 16), torch.tensor([_clipped(snr_db)]))

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        picture = checked_picture(picture)
        height = -(-picture.shape[0] // 16) * 16
        parts = []
        for first, last in _strips(height, picture.shape[1]):
            begin, end = max(0, first - _HALO), min(height, last + _HALO)
            rows = picture[begin:end]
            images = pad_sides(torch.from_numpy(rows.copy()).permute(2, 0, 1)[None].float().div_(255))
            features = self._encoded(images, snr_db)
            parts.append(features[:, :, (first - begin) // 4 : (last - begin) // 4])
        joined = torch.cat(parts, dim=2)
        joined = joined / joined.square().mean().add(1e-8).sqrt()
        return reals_to_symbols(joined.reshape(1, -1).numpy())[0]

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:  # noqa: ARG002
        reals, effective = self._equal(received)
        rows, columns = self.model.grid(height, width)
        grid = torch.from_numpy(reals.reshape(1, self.channels, rows, columns))
        out = np.empty((4 * rows, width, 3), np.uint8)
        edge: np.ndarray | None = None  # last rows of the strip above, seen beyond its end
        for first, last in _strips(4 * rows, width):
            begin, end = max(0, first - _HALO), min(4 * rows, last + _HALO)
            drawn = self._decoded(grid[:, :, begin // 4 : end // 4], effective)[0, :, :, :width]
            pixels = drawn.nan_to_num().clamp(0, 1).mul(255).permute(1, 2, 0).numpy()
            kept = pixels[first - begin : last - begin].copy()
            if edge is not None:  # fade from the strip above into this one
                count = min(len(edge), len(kept))
                weight = np.linspace(0, 1, count + 2, dtype=np.float32)[1:-1, None, None]
                kept[:count] = weight * kept[:count] + (1 - weight) * edge[:count]
            edge = pixels[last - begin : last - begin + _HALO // 2].copy() if end > last else None
            out[first:last] = kept.round().astype(np.uint8)
        return out[:height]

    def _equal(self, received: Received) -> tuple[np.ndarray, float]:
        """Reals (n,) as over AWGN of one SNR, and that SNR in dB: symbols in more noise are shrunk the more."""
        noise = np.broadcast_to(received.noise[0], received.symbols.shape[1:])
        trust = 1 / (1 + noise.astype(np.float32))
        error = float(np.clip(1 - trust.mean(dtype=np.float64), 1e-4, 0.999))
        unbiased = np.nan_to_num(received.unbiased[0])
        reals = symbols_to_reals((unbiased * trust / (1 - error))[None])[0]
        return np.clip(reals, -30, 30), float(10 * np.log10((1 - error) / error))


def _laid_out(x: Tensor, pixels: int) -> Tensor:
    """(B, C, h, w), channels last from a million pixels on: a third of the time; `pixels` belong to a position."""
    large = x.shape[2] * x.shape[3] * pixels >= 1 << 20
    return x.contiguous(memory_format=torch.channels_last) if large else x


def _clipped(snr_db: float) -> float:
    noise_variance(snr_db)  # refuses NaN
    return float(np.clip(snr_db, *_SNR))


def _strips(height: int, width: int) -> list[tuple[int, int]]:
    """Rows (first, last) of strips that cover a height; one, unless the picture is large."""
    if height * width <= _PIXELS:
        return [(0, height)]
    rows = max(64, _STRIP * 2048 // width // 16 * 16)
    edges = [*range(0, height - rows // 2, rows), height]
    return list(itertools.pairwise(edges))
