"""Generate several pictures and keep what means the same as the source (Liang and Li 2024; forms inferred), bottom-up.

Text features (CLIP-like): `_text_features`; captions: `_captions`; text over the channel: `_text_forms`. Image
features (ADJSCC): `_features`. Diffusion: schedule and samplers `_schedule`, U-Net `_unet`, candidates `_generator`,
pipelines of diffusers `_pipelines`. Supervised selection: `_selection`. Parts on disk: `_store`. The link: `_link`;
whole transmissions: `_session`.

Examples:
    >>> import numpy as np
    >>> from semcom.multimodal import RULES, TEXT_FORMS, unsharp

    >>> sorted(TEXT_FORMS), "multimodal" in RULES
    (['analog', 'caption', 'none', 'quantised'], True)
    >>> coarse = np.zeros((1, 8, 8, 3), np.uint8)
    >>> coarse[:, :, 4:] = 100
    >>> sharp = unsharp(coarse)  # what leads on PSNR where no candidate is drawn
    >>> bool(sharp.max() > coarse.max())
    True
"""

from semcom.multimodal._captions import (
    Captioner,
    HubCaptioner,
    captions_of,
    checked_captions,
    cut_text,
    read_captions,
)
from semcom.multimodal._features import ImageFeatures, as_bytes, cut, filled, sent_places
from semcom.multimodal._generator import Generator, Request, ResidualDiffusion, candidate_noise
from semcom.multimodal._link import MMConfig, MMReport, MMSemCom, RxPictures, TxPictures
from semcom.multimodal._pipelines import Img2ImgGenerator
from semcom.multimodal._schedule import SOLVERS, clean_of, cosine_alphabar, mix, sample, velocity
from semcom.multimodal._selection import (
    RULES,
    UNSHARP,
    WEIGHED,
    AlphaTable,
    Chosen,
    Evidence,
    choose,
    expected_error,
    fit_alpha,
    parse_alpha,
    standardised,
    unsharp,
)
from semcom.multimodal._session import (
    PlayedPictures,
    mm_link_of,
    play_pictures,
    play_received,
    record_pictures,
    tile_captions,
)
from semcom.multimodal._store import link_folder, load_clip, load_unet, pack_parts
from semcom.multimodal._text_features import ClipConfig, HubClip, SmallClip, TextImageFeatures, byte_tokens
from semcom.multimodal._text_forms import TEXT_FORMS, AnalogText, CaptionText, QuantisedText, ReceivedText, TextForm
from semcom.multimodal._unet import Condition, Unet, UnetConfig

__all__ = [
    "RULES",
    "SOLVERS",
    "TEXT_FORMS",
    "UNSHARP",
    "WEIGHED",
    "AlphaTable",
    "AnalogText",
    "CaptionText",
    "Captioner",
    "Chosen",
    "ClipConfig",
    "Condition",
    "Evidence",
    "Generator",
    "HubCaptioner",
    "HubClip",
    "ImageFeatures",
    "Img2ImgGenerator",
    "MMConfig",
    "MMReport",
    "MMSemCom",
    "PlayedPictures",
    "QuantisedText",
    "ReceivedText",
    "Request",
    "ResidualDiffusion",
    "RxPictures",
    "SmallClip",
    "TextForm",
    "TextImageFeatures",
    "TxPictures",
    "Unet",
    "UnetConfig",
    "as_bytes",
    "byte_tokens",
    "candidate_noise",
    "captions_of",
    "checked_captions",
    "choose",
    "clean_of",
    "cosine_alphabar",
    "cut",
    "cut_text",
    "expected_error",
    "filled",
    "fit_alpha",
    "link_folder",
    "load_clip",
    "load_unet",
    "mix",
    "mm_link_of",
    "pack_parts",
    "parse_alpha",
    "play_pictures",
    "play_received",
    "read_captions",
    "record_pictures",
    "sample",
    "sent_places",
    "standardised",
    "tile_captions",
    "unsharp",
    "velocity",
]
