"""The published carrier link, whole (paper: bits in the mask of a carrier picture); nothing else needs this module.

Scrambler: `_scrambler`. Exact ranking of masks: `_combinatorics`; bits to mask locations: `_mask_codec`. Frames and
pieces: `_framing`. Sparse encoding module: `_sparse`. Model on pictures: `_coder`. The link: `_link`; whole
transmissions: `_session`; training: `_training`. Controls and rivals: `_rivals`, `_inpaint`.

Examples:
    >>> import numpy as np
    >>> from semcom import datasets
    >>> from semcom.paper import CarrierImageLink

    >>> pictures = datasets.load("embedded", limit=1)
    >>> link = CarrierImageLink.from_pretrained("mae-32p4")
    >>> bits = np.random.default_rng(0).integers(0, 2, (1, link.report.payload_bits)).astype(np.uint8)
    >>> link.send(pictures, bits, 6.0).shape
    (1, 1168)
"""

from semcom.paper._coder import TokenCoder
from semcom.paper._framing import Joined, Splitter, make_frame, open_frame
from semcom.paper._inpaint import harmonic_fill, mean_fill
from semcom.paper._link import CarrierImageLink, LinkConfig, RxFrame, TxFrame
from semcom.paper._mask_codec import MODES, MaskCodec, kept_count
from semcom.paper._rivals import Harmonic, MeanFill
from semcom.paper._session import link_of, play, receive_pictures, record
from semcom.paper._sparse import FORMS
from semcom.paper._training import MaeRecipe, finetune, train_mae

__all__ = [
    "FORMS", "MODES", "CarrierImageLink", "Harmonic", "Joined", "LinkConfig", "MaeRecipe", "MaskCodec",
    "MeanFill", "RxFrame", "Splitter", "TokenCoder", "TxFrame", "finetune", "harmonic_fill",
    "kept_count", "link_of", "make_frame", "mean_fill", "open_frame", "play", "receive_pictures",
    "record", "train_mae",
]  # fmt: skip
