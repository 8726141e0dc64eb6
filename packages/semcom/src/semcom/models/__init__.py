"""Networks on both sides of a link, and an independent judge.

The small masked autoencoder: `_mae`. ViTMAE of `transformers`: `_hub`. DeepJSCC and ADJSCC: `_jscc`; for whole
pictures: `_picture`. The classifier
that judges: `_judge`. Files: `_store`; what a path holds: `_held`; the weights that the wheel brings: `weights/`.

Examples:
    >>> from semcom.models import BUILT_IN, load_judge, load_picture_coder, model_hash

    >>> sorted(BUILT_IN)
    ['adjscc-c8', 'deepjscc-c8', 'judge', 'mae-32p4', 'picture-c16']
    >>> len(model_hash(load_picture_coder("picture-c16")))  # sender and receiver compare this SHA-256
    64
"""

from semcom.models._hub import HubMae
from semcom.models._jscc import JsccCoder, JsccConfig
from semcom.models._judge import Judge, JudgeConfig
from semcom.models._mae import MaeConfig, SmallMae, patchify
from semcom.models._picture import PictureCoder, PictureConfig, pad_sides
from semcom.models._store import (
    BUILT_IN,
    built_in_path,
    described,
    load_coder,
    load_jscc,
    load_judge,
    load_mae,
    load_model,
    load_picture_coder,
    model_hash,
    read_model,
    save_model,
)  # fmt: skip

__all__ = [
    "BUILT_IN", "HubMae", "JsccCoder", "JsccConfig", "Judge", "JudgeConfig", "MaeConfig", "PictureCoder",
    "PictureConfig", "SmallMae", "built_in_path", "described", "load_coder", "load_jscc", "load_judge", "load_mae",
    "load_model", "load_picture_coder", "model_hash", "pad_sides", "patchify", "read_model", "save_model",
]  # fmt: skip
