"""Networks on both sides of a link.

The small masked autoencoder: `_mae`. ViTMAE of `transformers`: `_hub`. DeepJSCC and ADJSCC: `_jscc`. Files: `_store`;
the weights that the wheel brings: `weights/`.
"""

from semcom.models._hub import HubMae
from semcom.models._jscc import JsccCoder, JsccConfig
from semcom.models._mae import MaeConfig, SmallMae, gather_tokens, patchify, sincos_positions, unpatchify
from semcom.models._store import BUILT_IN, built_in_path, load_jscc, load_mae, load_model, model_hash, save_model

__all__ = [
    "BUILT_IN",
    "HubMae",
    "JsccCoder",
    "JsccConfig",
    "MaeConfig",
    "SmallMae",
    "built_in_path",
    "gather_tokens",
    "load_jscc",
    "load_mae",
    "load_model",
    "model_hash",
    "patchify",
    "save_model",
    "sincos_positions",
    "unpatchify",
]
