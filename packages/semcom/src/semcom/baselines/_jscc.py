"""Picture by a joint source-channel coder, bits beside it in a coded block."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from ninefold.errors import InputError

from semcom.links import Delivered, PictureLink, SymbolReport, checked_pictures
from semcom.models import JsccCoder
from semcom.phy import CodedBlock, Received, interleaver, reals_to_symbols, symbols_to_reals


class JsccLink(PictureLink):
    """The picture by ADJSCC or DeepJSCC, sent `repeats` times and averaged; the payload in a coded block."""

    name: ClassVar[str] = "JSCC + bits apart"
    source: ClassVar[str] = "Xu et al. 2021; Bourtsoulatze et al. 2019"

    def __init__(self, model: JsccCoder, payload_bits: int, size: int = 32, repeats: int = 1, budget: int = 0) -> None:
        """Args:
        model: the coder.
        payload_bits: bits of a picture.
        size: height and width of pictures.
        repeats: how often a picture is sent.
        budget: symbols of a picture, block and all; if given, `repeats` is as large as fits.
        """
        self.model, self.size, self.payload_bits = model, size, payload_bits
        self.block = CodedBlock(payload_bits + 16) if payload_bits else None
        once = model.symbols(size, size)
        beside = self.block.symbols if self.block else 0
        self.repeats = max(1, (budget - beside) // once) if budget else repeats
        if budget and once + beside > budget:
            raise InputError("budget", got=f"{budget} symbols", expected=f"at least {once + beside}")

    @property
    def report(self) -> SymbolReport:
        beside = self.block.symbols if self.block else 0
        picture = self.repeats * self.model.symbols(self.size, self.size)
        return SymbolReport(self.payload_bits, beside, picture, source_values=3 * self.size**2)

    def send(self, images: np.ndarray, bits: np.ndarray, snr_db: float) -> np.ndarray:
        images = checked_pictures(images, self.size)
        parts = [self._picture(images, snr_db)] * self.repeats
        if self.block:
            head = np.zeros((len(bits), 16), np.uint8)  # room of a sequence number, as the carrier link has
            parts.append(self.block.send(np.concatenate([head, bits], axis=1)))
        symbols = np.concatenate(parts, axis=1)
        return symbols[:, interleaver(symbols.shape[1])]

    def _effective(self, snr_db: float) -> float:
        return float(np.clip(snr_db + 10 * np.log10(self.repeats), -10, 25))

    def _picture(self, images: np.ndarray, snr_db: float) -> np.ndarray:
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            reals = [self.model.encode(part, self._snr(part, snr_db)) for part in pixels.split(256)]
        return reals_to_symbols(torch.cat(reals).numpy())

    def _snr(self, rows: torch.Tensor, snr_db: float) -> torch.Tensor:
        return torch.full((len(rows),), self._effective(snr_db))

    def recover(self, received: Received, snr_db: float) -> Delivered:
        total = self.report.symbols
        symbols, noise = np.empty_like(received.symbols), np.empty(received.symbols.shape, np.float32)
        symbols[:, interleaver(total)] = received.unbiased
        noise[:, interleaver(total)] = received.noise
        once = self.model.symbols(self.size, self.size)
        copies = symbols[:, : self.repeats * once].reshape(len(symbols), self.repeats, once)
        weight = 1 / np.maximum(noise[:, : self.repeats * once].reshape(copies.shape), 1e-9)
        mean = (copies * weight).sum(axis=1) / weight.sum(axis=1)
        images = self._decoded(mean.astype(np.complex64), snr_db)
        if self.block is None:
            return Delivered(images, np.zeros((len(images), 0), np.uint8), np.ones(len(images), bool))
        at = self.repeats * once
        bits, ok = self.block.receive(symbols[:, at:], noise[:, at:])
        return Delivered(images, bits[:, 16:], ok)

    def _decoded(self, symbols: np.ndarray, snr_db: float) -> np.ndarray:
        reals = torch.from_numpy(
            symbols_to_reals(np.clip(np.real(symbols), -20, 20) + 1j * np.clip(np.imag(symbols), -20, 20))
        )
        with torch.inference_mode():
            pixels = [self.model.decode(p, self._snr(p, snr_db), self.size, self.size) for p in reals.split(256)]
        clean = torch.cat(pixels).nan_to_num().clamp(0, 1)
        return (clean * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
