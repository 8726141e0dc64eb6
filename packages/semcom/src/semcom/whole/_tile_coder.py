"""DeepJSCC and ADJSCC, as `JsccCoder` holds them, on pictures whose sides are multiples of four: rivals at any size."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from ninefold.errors import InputError

from semcom.models import JsccCoder
from semcom.phy import Received, reals_to_symbols, symbols_to_reals
from semcom.whole._interface import WholeLink, checked_picture


class CoderLink(WholeLink):
    """A picture by a joint source-channel coder for one bandwidth ratio, that of its channels."""

    name: ClassVar[str] = "DeepJSCC or ADJSCC"
    source: ClassVar[str] = "Bourtsoulatze et al. 2019; Xu et al. 2021"

    def __init__(self, model: JsccCoder) -> None:
        self.model = model

    def symbols(self, height: int, width: int) -> int:
        if height % 4 or width % 4:
            raise InputError("picture", got=f"{width} x {height} pixels", expected="sides that are multiples of 4")
        return self.model.symbols(height, width)

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        self.symbols(*checked_picture(picture).shape[:2])
        pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            return reals_to_symbols(self.model.encode(pixels, _told(snr_db)).numpy())[0]

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:
        reals = torch.from_numpy(np.clip(np.nan_to_num(symbols_to_reals(received.unbiased)), -20, 20))
        with torch.inference_mode():
            drawn = self.model.decode(reals, _told(snr_db), height, width)[0].nan_to_num().clamp(0, 1)
        return (drawn * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def _told(snr_db: float) -> torch.Tensor:
    return torch.tensor([float(np.clip(snr_db, -10, 25))])
