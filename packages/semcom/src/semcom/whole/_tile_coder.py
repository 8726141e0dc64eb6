"""DeepJSCC and ADJSCC, as `JsccCoder` holds them, on pictures whose sides are multiples of four: rivals at any size."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from ninefold.errors import InputError

from semcom.models import JsccCoder
from semcom.phy import Received, reals_to_symbols, symbols_to_reals
from semcom.whole._interface import WholeLink, checked_picture, shrinkage


class CoderLink(WholeLink):
    """A picture by a joint source-channel coder for one bandwidth ratio, that of its channels."""

    name: ClassVar[str] = "DeepJSCC or ADJSCC"
    source: ClassVar[str] = "Bourtsoulatze et al. 2019; Xu et al. 2021"

    def __init__(self, model: JsccCoder) -> None:
        self.model, self.ratio = model, model.config.channels / 96

    def symbols(self, height: int, width: int) -> int:
        if height % 4 or width % 4:
            raise InputError("picture", got=f"{width} x {height} pixels", expected="sides that are multiples of 4")
        count, own = super().symbols(height, width), self.model.symbols(height, width)
        if count != own:
            got = f"{width} x {height} pixels, which the coder sends in {own} symbols"
            raise InputError("picture", got=got, expected=f"a larger one: no link has fewer than {count}")
        return count

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        self.symbols(*checked_picture(picture).shape[:2])
        pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            return reals_to_symbols(self.model.encode(pixels, _told(snr_db)).numpy())[0]

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:  # noqa: ARG002
        reals, effective = as_over_awgn(received)
        with torch.inference_mode():
            seen = torch.from_numpy(reals)
            drawn = self.model.decode(seen, _told(float(effective[0])), height, width)[0].nan_to_num().clamp(0, 1)
        return (drawn * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def as_over_awgn(received: Received) -> tuple[np.ndarray, np.ndarray]:
    """What a coder's decoder is given, in training too: reals as over AWGN of one SNR a row, and that SNR.

    Symbols in more noise are shrunk the more.

    Returns: (rows, 2 n) float32 within [-20, 20], and (rows,) in dB.
    """
    error = shrinkage(np.broadcast_to(received.noise, received.symbols.shape))
    reals = symbols_to_reals((received.symbols / (1 - error)[:, None]).astype(np.complex64))
    return np.clip(np.nan_to_num(reals), -20, 20), 10 * np.log10((1 - error) / error)


def _told(snr_db: float) -> torch.Tensor:
    return torch.tensor([float(np.clip(snr_db, -10, 25))])
