"""The control of the published carrier: the same bits in a coded block of their own, beside a random mask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from semcom.paper import FORMS, CarrierImageLink, LinkConfig, MaskCodec
from semcom.paper._scrambler import keyed_words


def random_masks(codec: MaskCodec, index: np.ndarray) -> np.ndarray:
    """Masks of the codec's weight drawn by a counter, all equally likely: (rows, N) bool."""
    words = keyed_words(f"mask:{codec.scramble_key}", np.asarray(index), codec.num_patches)
    order = np.argsort(words, axis=1, kind="stable")
    masks = np.ones(words.shape, np.bool_)
    np.put_along_axis(masks, order[:, : codec.kept], False, axis=1)
    return masks


class _ApartForm(FORMS["enum"]):
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
