"""Rivals with the method's interface (`semcom.links.PictureLink`), compared at equal symbols.

With the same autoencoder: `_arms`; its fillings: `_inpaint`. Joint source-channel coders and steganography: `_jscc`;
the best linear one: `_linear`.
Separate coding: `_separate`, with the codecs' bytes counted in `_codecs`. Of the second system: `_mm_arms`.
"""

from semcom.baselines._arms import BitsApart, Harmonic, MeanFill, dense_tokens, random_masks, uncoded_bitmap
from semcom.baselines._codecs import CODECS, Codec
from semcom.baselines._inpaint import harmonic_fill, mean_fill, pixel_mask
from semcom.baselines._jscc import JsccLink, Steganography
from semcom.baselines._linear import LinearLink, powers
from semcom.baselines._mm_arms import CoarseOnly, TextOnly, without_text
from semcom.baselines._separate import SCHEMES, SeparateLink, ideal_over, ideal_pictures

__all__ = [
    "CODECS",
    "SCHEMES",
    "BitsApart",
    "CoarseOnly",
    "Codec",
    "Harmonic",
    "JsccLink",
    "LinearLink",
    "MeanFill",
    "SeparateLink",
    "Steganography",
    "TextOnly",
    "dense_tokens",
    "harmonic_fill",
    "ideal_over",
    "ideal_pictures",
    "mean_fill",
    "pixel_mask",
    "powers",
    "random_masks",
    "uncoded_bitmap",
    "without_text",
]
