"""Generate several pictures and keep what means the same as the source (Liang and Li 2024; forms inferred), bottom-up.

Text features (CLIP-like): `_text_features`; captions: `_captions`; text over the channel: `_text_forms`. Image
features (ADJSCC): `_features`. Diffusion: schedule and samplers `_schedule`, U-Net `_unet`, candidates `_generator`,
pipelines of diffusers `_pipelines`. Supervised selection: `_selection`. Parts on disk: `_store`. The link: `_link`;
whole transmissions: `_session`; training: `_training`. Rivals: `_rivals`.

Examples:
    >>> import numpy as np
    >>> from semcom.multimodal import RULES, TEXT_FORMS, unsharp

    >>> sorted(TEXT_FORMS), "multimodal" in RULES
    (['analog', 'caption', 'none'], True)
    >>> coarse = np.zeros((1, 8, 8, 3), np.uint8)
    >>> coarse[:, :, 4:] = 100
    >>> sharp = unsharp(coarse)  # what leads on PSNR where no candidate is drawn
    >>> bool(sharp.max() > coarse.max())
    True
"""

from semcom.multimodal._captions import Captioner, captioned_tiles, captions_of, checked_captions, read_captions
from semcom.multimodal._generator import Generator, Request, ResidualDiffusion
from semcom.multimodal._link import MMConfig, MMReport, MMSemCom, RxPictures, TxPictures
from semcom.multimodal._pipelines import Img2ImgGenerator
from semcom.multimodal._rivals import TextOnly, without_text
from semcom.multimodal._selection import RULES, UNSHARP, AlphaTable, Evidence, choose, unsharp
from semcom.multimodal._session import PlayedPictures, mm_link_of, play_pictures, play_received, record_pictures
from semcom.multimodal._store import link_folder, load_clip, load_unet, pack_parts
from semcom.multimodal._text_features import ClipConfig, HubClip, SmallClip, TextImageFeatures
from semcom.multimodal._text_forms import TEXT_FORMS, AnalogText, CaptionText, ReceivedText, TextForm
from semcom.multimodal._training import MMRecipe, train_clip, train_diffusion, train_features
from semcom.multimodal._unet import Condition, Unet, UnetConfig

__all__ = [
    "RULES", "TEXT_FORMS", "UNSHARP", "AlphaTable", "AnalogText", "CaptionText", "Captioner", "ClipConfig", "Condition",
    "Evidence", "Generator", "HubClip", "Img2ImgGenerator", "MMConfig", "MMRecipe", "MMReport",
    "MMSemCom", "PlayedPictures", "ReceivedText", "Request", "ResidualDiffusion", "RxPictures", "SmallClip", "TextForm",
    "TextImageFeatures", "TextOnly", "TxPictures", "Unet", "UnetConfig", "captioned_tiles", "captions_of",
    "checked_captions", "choose",
    "link_folder", "load_clip", "load_unet", "mm_link_of", "pack_parts", "play_pictures", "play_received",
    "read_captions", "record_pictures", "train_clip", "train_diffusion", "train_features", "unsharp",
    "without_text",
]  # fmt: skip
