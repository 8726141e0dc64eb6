"""The carrier link (paper: bits in the mask of a carrier picture), bottom-up.

Scrambler: `_scrambler`. Exact ranking of masks: `_combinatorics`; bits to mask locations: `_mask_codec`. Frames and
pieces: `_framing`, `_erasure`. Sparse encoding module: `_sparse`, `_tokens`. The link: `_link`. Symbol files: `_files`.
"""

from semcom.carrier._erasure import ErasureCode
from semcom.carrier._framing import Joined, Splitter, make_frame, open_frame
from semcom.carrier._mask_codec import MODES, MaskCodec, kept_count

__all__ = ["MODES", "ErasureCode", "Joined", "MaskCodec", "Splitter", "kept_count", "make_frame", "open_frame"]
