"""The carrier link (paper: bits in the mask of a carrier picture), bottom-up.

Scrambler: `_scrambler`. Exact ranking of masks: `_combinatorics`; bits to mask locations: `_mask_codec`, `_blocks`.
Frames and pieces: `_framing`, `_erasure`. Sparse encoding module: `_sparse`, `_tokens`. Model on pictures: `_coder`.
The link: `_link`. The default, pictures by the best link and the payload beside them: `_beside`.
Symbol files: `_files`; whole transmissions: `_session`.
"""

from semcom.carrier._beside import (
    PICTURE_LINKS,
    SYSTEM,
    BesideLink,
    PlayedBeside,
    beside_link,
    beside_link_of,
    play_beside,
    record_beside,
)
from semcom.carrier._coder import TAPS, TokenCoder
from semcom.carrier._erasure import ErasureCode
from semcom.carrier._files import Recording
from semcom.carrier._framing import Joined, Splitter, make_frame, open_frame
from semcom.carrier._link import CarrierImageLink, LinkConfig, RxFrame, TxFrame
from semcom.carrier._mask_codec import MODES, MaskCodec, kept_count
from semcom.carrier._scrambler import keyed_words
from semcom.carrier._session import Played, link_of, play, record
from semcom.carrier._sparse import EnumForm
from semcom.carrier._tokens import FORMS

__all__ = [
    "FORMS",
    "MODES",
    "PICTURE_LINKS",
    "SYSTEM",
    "TAPS",
    "BesideLink",
    "CarrierImageLink",
    "EnumForm",
    "ErasureCode",
    "Joined",
    "LinkConfig",
    "MaskCodec",
    "Played",
    "PlayedBeside",
    "Recording",
    "RxFrame",
    "Splitter",
    "TokenCoder",
    "TxFrame",
    "beside_link",
    "beside_link_of",
    "kept_count",
    "keyed_words",
    "link_of",
    "make_frame",
    "open_frame",
    "play",
    "play_beside",
    "record",
    "record_beside",
]
