"""Whole pictures of any size over a channel: no tiles, no seams.

The interface: `_interface`. Image codecs reduced to what changes: `_codecs`; with a 5G NR code: `_separate`; in two
layers: `_layered`. The joint source-channel coder: `_joint`; others of one ratio: `_tile_coder`. The better of codec
and joint coder for each picture: `_chosen`. Coders of a user's own: `_user`.

Examples:
    >>> import numpy as np
    >>> from semcom import Channel, datasets
    >>> from semcom.whole import CodecLink, carry_picture

    >>> picture = next(iter(datasets.embedded_photographs().values()))
    >>> link = CodecLink("jpeg", 1 / 12)
    >>> made = carry_picture(link, picture, Channel(), 6.0, np.random.default_rng(0))
    >>> made.shape == picture.shape
    True
"""

from semcom.datasets import PLUGINS
from semcom.whole._chosen import ChosenLink
from semcom.whole._codecs import CODECS, Codec, Ladder
from semcom.whole._interface import WholeLink, carry_picture, checked_picture, symbols_of_ratio
from semcom.whole._joint import JointLink
from semcom.whole._layered import LayerDesign, LayeredLink
from semcom.whole._separate import CodecLink
from semcom.whole._tile_coder import CoderLink, as_over_awgn
from semcom.whole._user import Coder, Constrained, UserLink, as_latents, encoded, load_user_coder, ratio_of

__all__ = [
    "CODECS", "PLUGINS", "ChosenLink", "Codec", "CodecLink", "Coder", "CoderLink", "Constrained", "JointLink", "Ladder",
    "LayerDesign", "LayeredLink", "UserLink", "WholeLink", "as_latents", "as_over_awgn", "carry_picture",
    "checked_picture", "encoded", "load_user_coder", "ratio_of", "symbols_of_ratio",
]  # fmt: skip
