"""The joint source-channel coder on whole pictures of any size."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from semcom.models import PictureCoder, load_picture_coder, pad_sides
from semcom.phy import Received, noise_variance, reals_to_symbols, symbols_to_reals
from semcom.whole._interface import WholeLink, checked_picture, shrinkage

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
        self.ratio, self.channels = ratio, round(96 * ratio)
        most = self.model.config.channels
        if abs(self.channels - 96 * ratio) > 1e-6 or self.channels % 2 or not 2 <= self.channels <= most:
            raise InputError("ratio", got=ratio, expected=f"a multiple of 1/48 such as 1/12, at most {most}/96")
        self._half = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())

    def symbols(self, height: int, width: int) -> int:
        count, most = super().symbols(height, width), self.model.symbols(height, width, self.channels)
        if count > most:
            got = f"{width} x {height} pixels, which the coder sends in {most} symbols"
            raise InputError("picture", got=got, expected=f"a larger one or ratio: no link has fewer than {count}")
        return count

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        images = torch.from_numpy(pad_sides(checked_picture(picture)))[None].permute(0, 3, 1, 2)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            reals = self.model.encode(_laid_out(images, 1), torch.tensor([_clipped(snr_db)]), self.channels)
        sent, kept = reals.reshape(1, -1).numpy(), self._kept(picture.shape[0], picture.shape[1])
        if kept is not None:
            sent = sent[:, kept]
            sent = sent / np.sqrt(np.mean(sent**2) + 1e-12)
        return reals_to_symbols(sent)[0]

    def _kept(self, height: int, width: int) -> np.ndarray | None:
        """Which reals are sent of those of the padded picture, in order; None: all.

        Positions beyond the picture are left out first, then the last channels where the picture covers least.
        """
        count = 2 * self.symbols(height, width)
        rows, columns = self.model.grid(height, width)
        if count == self.channels * rows * columns:
            return None
        covered = [np.clip(side - 4 * np.arange(size), 0, 4) for side, size in ((height, rows), (width, columns))]
        share = np.multiply.outer(*covered)
        last = 17 * np.arange(self.channels)[:, None, None] + 16 - share  # coverage counts within a channel
        order = np.argsort(np.where(share > 0, last, 17 * self.channels).ravel(), kind="stable")
        return np.sort(order[:count])

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:  # noqa: ARG002
        grid, effective = self._grid(received, height, width)
        del received  # as large as the features of a layer
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            drawn = self.model.decode_pixels(grid, torch.tensor([_clipped(effective)]))
        return drawn[0].permute(1, 2, 0).contiguous().numpy()[:height, :width]

    def _grid(self, received: Received, height: int, width: int) -> tuple[Tensor, float]:
        """Reals (1, channels, H/4, W/4) as over AWGN of one SNR, and that SNR in dB: noisy ones are shrunk more."""
        noise = received.noise[0].astype(np.float32) if received.noise.strides[1] else received.noise[0, :1]
        error = float(shrinkage(noise))
        rows, columns = self.model.grid(height, width)
        half = torch.bfloat16 if self._half else torch.float32  # as the first layer would have it
        grid = _laid_out(torch.empty((1, self.channels, rows, columns), dtype=half), 16)
        kept = self._kept(height, width)
        if kept is not None:  # what was not sent is at the mean of its prior, and beyond the picture as at its edge
            reals = np.clip(np.nan_to_num(symbols_to_reals(received.symbols)[0]) / (1 - error), -30, 30)
            whole = np.zeros(self.channels * rows * columns, np.float32)
            whole[kept] = reals
            inside = (-(-height // 4), -(-width // 4))
            drawn = whole.reshape(self.channels, rows, columns)[:, : inside[0], : inside[1]]
            beyond = ((0, 0), (0, rows - inside[0]), (0, columns - inside[1]))
            grid.copy_(torch.from_numpy(np.pad(drawn, beyond, mode="edge"))[None])
            return grid, float(10 * np.log10((1 - error) / error))
        for channel, symbols in enumerate(received.symbols[0].reshape(self.channels, -1)):
            reals = symbols_to_reals(symbols)  # MMSE estimates are shrunk by 1 / (1 + noise)
            np.clip(np.nan_to_num(reals, copy=False), -30 * (1 - error), 30 * (1 - error), out=reals)
            reals /= np.float32(1 - error)
            grid[0, channel] = torch.from_numpy(reals.reshape(rows, columns))
        return grid, float(10 * np.log10((1 - error) / error))


def _laid_out(x: Tensor, pixels: int) -> Tensor:
    """(B, C, h, w), channels last from a million pixels on: a third of the time; `pixels` belong to a position."""
    large = x.shape[2] * x.shape[3] * pixels >= 1 << 20
    return x.contiguous(memory_format=torch.channels_last if large else torch.contiguous_format)


def _clipped(snr_db: float) -> float:
    noise_variance(snr_db)  # refuses NaN
    return float(np.clip(snr_db, *_SNR))
