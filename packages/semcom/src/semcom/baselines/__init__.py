"""Rivals with the method's interface (`semcom.links.PictureLink`), compared at equal symbols.

With the same autoencoder: `_arms`; its fillings: `_inpaint`. Joint source-channel coders: `_jscc`;
the best linear one: `_linear`. Linear links for whole pictures: `_whole_linear`.
Separate coding: `_separate`, with the codecs of `semcom.whole`. Of the second system: `_mm_arms`.

Examples:
    >>> import numpy as np
    >>> from semcom import Channel, carry, datasets
    >>> from semcom.baselines import SeparateLink

    >>> pictures = datasets.load("embedded", limit=4)
    >>> no_bits = np.zeros((4, 0), np.uint8)
    >>> jpeg = SeparateLink("jpeg", picture_symbols=2000, modulation="16qam", fec="ldpc:1/2")
    >>> delivered, report = carry(jpeg, pictures, no_bits, Channel("awgn"), 12.0, np.random.default_rng(0))
    >>> delivered.images.shape, round(report.bandwidth_ratio, 2)
    ((4, 32, 32, 3), 0.65)
"""

from semcom.baselines._arms import BitsApart, Harmonic, MeanFill, dense_tokens, random_masks, uncoded_bitmap
from semcom.baselines._inpaint import harmonic_fill, mean_fill, pixel_mask
from semcom.baselines._jscc import JsccLink
from semcom.baselines._linear import LinearLink, powers
from semcom.baselines._mm_arms import CoarseOnly, TextOnly, without_text
from semcom.baselines._separate import SCHEMES, SeparateLink, ideal_over, ideal_pictures
from semcom.baselines._whole_linear import BlockDct, SoftCast, measure_statistics
from semcom.whole import CODECS, Codec

__all__ = [
    "CODECS",
    "SCHEMES",
    "BitsApart",
    "BlockDct",
    "CoarseOnly",
    "Codec",
    "Harmonic",
    "JsccLink",
    "LinearLink",
    "MeanFill",
    "SeparateLink",
    "SoftCast",
    "TextOnly",
    "dense_tokens",
    "harmonic_fill",
    "ideal_over",
    "ideal_pictures",
    "mean_fill",
    "measure_statistics",
    "pixel_mask",
    "powers",
    "random_masks",
    "uncoded_bitmap",
    "without_text",
]
