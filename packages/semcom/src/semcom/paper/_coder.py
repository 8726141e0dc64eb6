"""The two halves of a masked autoencoder on numpy pictures and masks, in batches of equal weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError

TAPS = ("encoder", "decoder_embed")


class TokenCoder:
    """Pictures and masks to unit-power tokens, and back.

    Attributes:
        model: a `SmallMae` or `HubMae`.
        tap: `encoder` sends the encoder's normalised output; `decoder_embed` what the decoder's first linear map makes
            of it, divided by the picture's root mean square, which is a counted 16-bit gain.
        max_batch: pictures that pass the model at once.
    """

    def __init__(self, model: Any, tap: str = "encoder", max_batch: int = 64) -> None:
        if tap not in TAPS:
            raise InputError("tap", got=repr(tap), expected=f"one of {', '.join(TAPS)}")
        if max_batch < 1:
            raise InputError("max_batch", got=max_batch, expected="at least 1")
        self.model, self.tap, self.max_batch = model, tap, max_batch
        self.width = model.width(tap)
        if self.width % 2:
            raise InputError("model", got=f"{self.width} reals a token", expected="an even number")

    def dictionary(self) -> np.ndarray:
        """(N, width) of what stands for masked tokens; `decoder_embed` alone has one."""
        with torch.inference_mode():
            return self.model.mask_tokens().float().numpy().copy()

    def encode(
        self, images: np.ndarray, masks: np.ndarray, slots: int, *, with_dictionary: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of pictures.

        Args:
            images: (rows, H, W, 3) uint8.
            masks: (rows, N) bool, True is masked; masked pixels are never read.
            slots: tokens that fit; unused ones are zero.
            with_dictionary: whether the mask tokens count for the gain, as they are sent too.
        Returns: (rows, slots, width) float32, and gains (rows,) float32.
        """
        tokens = np.zeros((len(images), slots, self.width), np.float32)
        gains = np.ones(len(images), np.float32)
        for rows, kept in self._batches(masks):
            with torch.inference_mode():
                pixels = torch.from_numpy(images[rows]).permute(0, 3, 1, 2).float() / 255
                found = self.model.encode(pixels, torch.from_numpy(kept))
                found = found if self.tap == "encoder" else self.model.embed(found)
            tokens[rows, : kept.shape[1] + 1] = found.numpy()
        if self.tap != "encoder":
            square, count = (tokens**2).sum(axis=(1, 2)), (1 + (~masks).sum(axis=1)) * self.width
            if with_dictionary:
                extra = (self.dictionary() ** 2).sum(axis=1)
                square, count = square + masks @ extra, count + masks.sum(axis=1) * self.width
            gains = np.sqrt(square / count).astype(np.float16).astype(np.float32)
            tokens /= gains[:, None, None]
        return tokens, gains

    def decode(self, tokens: np.ndarray, masks: np.ndarray, gains: np.ndarray) -> np.ndarray:
        """Pictures (rows, H, W, 3) uint8 of received tokens (rows, slots, width) at decided masks (rows, N)."""
        size = self.model.image_size
        images = np.empty((len(tokens), size, size, 3), np.uint8)
        for rows, kept in self._batches(masks):
            with torch.inference_mode():
                part = torch.from_numpy(tokens[rows, : kept.shape[1] + 1])
                if self.tap == "encoder":
                    part = self.model.embed(part)
                else:
                    part = part * torch.from_numpy(gains[rows])[:, None, None]
                pixels = self.model.decode(part, torch.from_numpy(kept))
            bytes_ = (pixels.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8)
            images[rows] = bytes_.permute(0, 2, 3, 1).numpy()
        return images

    def _batches(self, masks: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(row numbers, kept positions (rows, n) ascending) of pictures with equally many kept patches."""
        weights = (~masks).sum(axis=1)
        for weight in np.unique(weights):
            members = np.flatnonzero(weights == weight)
            for begin in range(0, len(members), self.max_batch):
                rows = members[begin : begin + self.max_batch]
                yield rows, np.nonzero(~masks[rows])[1].reshape(len(rows), weight)
