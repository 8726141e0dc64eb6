"""Rivals that share the masked autoencoder: other fillings, random masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np

from semcom.links import Delivered
from semcom.paper._inpaint import harmonic_fill, mean_fill
from semcom.paper._link import CarrierImageLink
from semcom.paper._mask_codec import MaskCodec
from semcom.paper._scrambler import keyed_words
from semcom.phy import Received


class MeanFill(CarrierImageLink):
    """The same link; masked patches get the mean colour of the received kept ones."""

    name: ClassVar[str] = "mean fill"
    source: ClassVar[str] = "control"
    fill: ClassVar[Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = staticmethod(mean_fill)

    def recover(self, received: Received, snr_db: float = 0.0) -> Delivered:
        delivered = super().recover(received, snr_db)
        assert delivered.masks is not None
        filled = type(self).fill(delivered.images, delivered.masks, self.model.patch_size)
        return replace(delivered, images=filled)


class Harmonic(MeanFill):
    """The same link; masked pixels solve Laplace's equation with the received kept patches as boundary."""

    name: ClassVar[str] = "harmonic inpainting"
    fill: ClassVar[Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = staticmethod(harmonic_fill)


def random_masks(codec: MaskCodec, index: np.ndarray) -> np.ndarray:
    """Masks of the codec's weight drawn by a counter, all equally likely: (rows, N) bool."""
    words = keyed_words(f"mask:{codec.scramble_key}", np.asarray(index), codec.num_patches)
    order = np.argsort(words, axis=1, kind="stable")
    masks = np.ones(words.shape, np.bool_)
    np.put_along_axis(masks, order[:, : codec.kept], False, axis=1)
    return masks
