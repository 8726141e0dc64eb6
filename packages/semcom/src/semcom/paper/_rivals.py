"""Rivals that share the masked autoencoder: other fillings, bits sent apart, other forms of the mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from semcom.links import Delivered
from semcom.paper._inpaint import harmonic_fill, mean_fill
from semcom.paper._link import CarrierImageLink, LinkConfig
from semcom.paper._mask_codec import MaskCodec
from semcom.paper._scrambler import keyed_words
from semcom.paper._sparse import EnumForm
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


class _ApartForm(EnumForm):
    """The payload bits in the coded block; the mask is pseudo-random, from the sequence number."""

    name = "apart"

    def masks_of(self, bits: np.ndarray, sequence: np.ndarray, choice: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return random_masks(self.codec, sequence)


class _ApartCodec(MaskCodec):
    """A codec whose masks do not depend on the bits."""

    def mask_of(self, scrambled, index, choice=0) -> np.ndarray:  # noqa: ARG002  (the base's)
        return random_masks(self, index)


class BitsApart(CarrierImageLink):
    """As many payload bits in an ordinary coded block, and a pseudo-random mask that costs nothing: equal symbols."""

    name: ClassVar[str] = "bits sent apart"
    source: ClassVar[str] = "control"

    def __init__(
        self, model: Any, config: LinkConfig | None = None, *, key: int | str | None = 0, max_batch: int = 64
    ) -> None:
        super().__init__(model, config, key=key, max_batch=max_batch)
        c = self.config
        self.codec = _ApartCodec(model.num_patches, c.mask_ratio, c.mode, key)
        self.form = _ApartForm(replace(self.form.setting, codec=self.codec))


def random_masks(codec: MaskCodec, index: np.ndarray) -> np.ndarray:
    """Masks of the codec's weight drawn by a counter, all equally likely: (rows, N) bool."""
    words = keyed_words(f"mask:{codec.scramble_key}", np.asarray(index), codec.num_patches)
    order = np.argsort(words, axis=1, kind="stable")
    masks = np.ones(words.shape, np.bool_)
    np.put_along_axis(masks, order[:, : codec.kept], False, axis=1)
    return masks


def dense_tokens(model: Any, config: LinkConfig, key: int | str | None = 0) -> CarrierImageLink:
    """The paper's baseline: all mask tokens are sent."""
    made = type("DenseTokens", (CarrierImageLink,), {"name": "dense tokens", "source": "control"})
    return made(model, replace(config, sparse="dense", tap="decoder_embed"), key=key)
