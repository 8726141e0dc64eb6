"""ViTMAE models of `transformers` through the same door as the small one; weights are loaded, never shipped.

The last LayerNorm of the encoder is taken apart: what is sent is its normalised input, of unit power in each token, and
the receiver, who has the model, applies its weight and bias.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn

from semcom.models._checkpoint import tensors_of
from semcom.models._mae import gather_tokens, unpatchify

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_ENCODER_ONLY = "it has an encoder alone: the receiver needs the decoder. Take the pre-training checkpoint with both"
_NORM_PIX = (
    "it predicts pixels normalised by each patch's own mean and deviation, which no receiver knows of a masked patch: "
    "take the checkpoint trained on raw pixels (the authors' `visualize` weights), or pass norm_pix=False if it is one"
)


class HubMae(nn.Module):
    """A ViTMAE (base, large, huge) as the two halves of a link; see `SmallMae` for the methods."""

    def __init__(self, model: Any, name: str = "ViTMAE") -> None:
        """Wrap a `transformers.ViTMAEForPreTraining`.

        Raises:
            InputError: if it predicts normalised pixels.
        """
        super().__init__()
        if model.config.norm_pix_loss:
            raise InputError("model", got=name, expected="one without norm_pix_loss", hint=_NORM_PIX)
        self.model = model.eval()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_STD)[:, None, None], persistent=False)

    @classmethod
    def from_folder(cls, path: Path, norm_pix: bool | None = None) -> HubMae:
        """A folder with `config.json` and safetensors weights, as `save_pretrained` writes it."""
        from transformers import ViTMAEConfig, ViTMAEForPreTraining

        settings = read_config(path, "vit_mae")
        if settings.get("norm_pix_loss") and norm_pix is not False:
            raise InputError("model", got=str(path), expected="one without norm_pix_loss", hint=_NORM_PIX)
        names = _tensor_names(path)
        if not any(name.startswith("decoder.") for name in names):
            raise InputError("model", got=str(path), expected="an encoder and a decoder", hint=_ENCODER_ONLY)
        config = ViTMAEConfig.from_pretrained(path, norm_pix_loss=False)
        model, info = ViTMAEForPreTraining.from_pretrained(  # type: ignore[misc]
            path, config=config, use_safetensors=True, output_loading_info=True, local_files_only=True
        )
        missing = [one for one in info["missing_keys"] if "position_embeddings" not in one and "pos_embed" not in one]
        if missing:
            raise ArtifactError(path, f"lacks weights, among them {sorted(missing)[0]}")
        return cls(model, str(path))

    @classmethod
    def from_original(cls, path: Path) -> HubMae:
        """A .pth file of the authors, with keys `blocks.*`, `decoder_*`, `mask_token`."""
        state = tensors_of(path)
        if not any(name.startswith("decoder_") for name in state):
            raise InputError("model", got=str(path), expected="an encoder and a decoder", hint=_ENCODER_ONLY)
        return cls(_converted(state, path), str(path))

    @classmethod
    def from_hub(cls, name: str) -> HubMae:
        """A hub id, from the local cache or (unless HF_HUB_OFFLINE is set) the hub."""
        from huggingface_hub import snapshot_download

        try:
            offline, files = bool(os.environ.get("HF_HUB_OFFLINE")), ["config.json", "*.safetensors"]
            folder = snapshot_download(name, allow_patterns=files, local_files_only=offline)
        except Exception as error:
            hint = f"{type(error).__name__}; without a network take the built-in mae-32p4, or a folder"
            raise InputError("model", got=repr(name), expected="a file, a folder, or a hub id", hint=hint) from None
        return cls.from_folder(Path(folder))

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return self.model.config.image_size

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self.model.config.patch_size

    @property
    def num_patches(self) -> int:
        """Patches of a picture."""
        return (self.image_size // self.patch_size) ** 2

    def width(self, tap: str) -> int:
        """Real numbers a token at that tap."""
        config = self.model.config
        return config.hidden_size if tap == "encoder" else config.decoder_hidden_size

    def encode(self, images: Tensor, kept: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] and (B, n) -> (B, n + 1, D), normalised."""
        vit = self.model.vit
        embeddings = vit.embeddings
        patches = embeddings.patch_embeddings((images - self.mean) / self.std)
        tokens = gather_tokens(patches + embeddings.position_embeddings[:, 1:], kept)
        start = embeddings.cls_token + embeddings.position_embeddings[:, :1]
        x = torch.cat([start.expand(len(tokens), -1, -1), tokens], dim=1)
        for layer in self._layers():
            out = layer(x)
            x = out[0] if isinstance(out, tuple) else out
        return F.layer_norm(x, x.shape[-1:], eps=vit.layernorm.eps)

    def _layers(self) -> Any:
        vit = self.model.vit
        return vit.encoder.layer if hasattr(vit, "encoder") else vit.layers

    def embed(self, latents: Tensor) -> Tensor:
        """The LayerNorm's weight and bias, then the decoder's first linear map."""
        norm = self.model.vit.layernorm
        return self.model.decoder.decoder_embed(latents * norm.weight + norm.bias)

    def mask_tokens(self) -> Tensor:
        """A = 1 m^T + P: (N, decoder width)."""
        decoder = self.model.decoder
        return decoder.mask_token[0] + decoder.decoder_pos_embed[0, 1:]

    def decode(self, tokens: Tensor, kept: Tensor) -> Tensor:
        """(B, n + 1, decoder width) and (B, n) -> (B, 3, H, W) in [0, 1], not clamped."""
        decoder, width = self.model.decoder, tokens.shape[-1]
        positions = decoder.decoder_pos_embed
        full = self.mask_tokens().expand(len(tokens), -1, -1)
        seen = tokens[:, 1:] + positions[0, 1:][kept]
        full = full.scatter(1, kept.unsqueeze(-1).expand(-1, -1, width), seen)
        x = torch.cat([tokens[:, :1] + positions[:, :1], full], dim=1)
        for layer in decoder.decoder_layers:
            out = layer(x)
            x = out[0] if isinstance(out, tuple) else out
        patches = decoder.decoder_pred(decoder.decoder_norm(x))[:, 1:]
        return unpatchify(patches, self.patch_size, self.image_size, self.image_size) * self.std + self.mean


def read_config(path: Path, kind: str) -> dict[str, Any]:
    """The config of a folder of `transformers`; ArtifactError unless its model is of that type."""
    try:
        settings = json.loads((path / "config.json").read_text(encoding="utf-8"))
        found = settings.get("model_type")
    except (OSError, ValueError, AttributeError):
        raise ArtifactError(path, "is no model folder: it has no readable config.json") from None
    if found != kind:
        raise ArtifactError(path, f"holds a model of type {found!r}, not a {kind}")
    return settings


def _tensor_names(path: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    names: list[str] = []
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise ArtifactError(path, "has no safetensors weights")
    for file in files:
        try:
            with safe_open(file, "pt") as weights:
                names += list(weights.keys())
        except SafetensorError as error:
            raise ArtifactError(file, f"is damaged ({error})") from None
    return names


def _converted(state: dict[str, Tensor], path: Path) -> Any:
    """A `transformers` model with the authors' weights."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    def layers(prefix: str) -> int:
        return sum(name.startswith(prefix) and name.endswith("norm1.weight") for name in state)

    try:
        dim, patch = state["patch_embed.proj.weight"].shape[0], state["patch_embed.proj.weight"].shape[2]
        count, width = state["decoder_pos_embed"].shape[1] - 1, state["decoder_embed.weight"].shape[0]
        config = ViTMAEConfig(
            hidden_size=dim, num_hidden_layers=layers("blocks."), num_attention_heads=16 if dim >= 1024 else 12,
            intermediate_size=state["blocks.0.mlp.fc1.weight"].shape[0], patch_size=patch,
            image_size=int(count**0.5) * patch, decoder_hidden_size=width,
            decoder_num_hidden_layers=layers("decoder_blocks."),
            decoder_intermediate_size=state["decoder_blocks.0.mlp.fc1.weight"].shape[0], norm_pix_loss=False,
        )  # fmt: skip
    except KeyError as error:
        raise ArtifactError(path, f"is no checkpoint of a masked autoencoder: it has no {error}") from None
    model, found = ViTMAEForPreTraining(config), {}
    for name, value in state.items():
        parts = zip("qkv", value.chunk(3), strict=True) if ".attn.qkv." in name else [("qkv", value)]
        found |= {_plain(name.replace("qkv", letter)): part for letter, part in parts}
    wanted = model.state_dict()
    lacking = [name for name in wanted if _plain(name) not in found]
    if lacking:
        raise ArtifactError(path, f"lacks weights, among them {lacking[0]}")
    model.load_state_dict({name: found[_plain(name)] for name in wanted})
    return model


_COMMON = (  # what authors and versions of `transformers` call a part, in order, and its common name
    (r"^vit\.|^decoder\.|embeddings\.|\.attention\.(?=attention)", ""), (r"layernorm_before|norm1", "n1"),
    (r"layernorm_after|norm2", "n2"), (r"^decoder_(layers|blocks)", "d"), (r"^(encoder\.layer|layers|blocks)", "e"),
    (r"decoder_pos_embed", "dp"), (r"position_embeddings|pos_embed", "p"), (r"^layernorm|^norm", "n"),
    (r"patch_projection|patch_embed\.proj", "pe"), (r"attention\.output\.dense|attention\.o_proj|attn\.proj",
    ".o"), (r"intermediate\.dense|mlp\.fc1", "f1"), (r"output\.dense|mlp\.fc2", "f2"),
    (r"(attention|attn)\.(query|q_proj|q)\b", ".q"), (r"(attention|attn)\.(key|k_proj|k)\b", ".k"),
    (r"(attention|attn)\.(value|v_proj|v)\b", ".v"), (r"\.+", "."),
)  # fmt: skip


def _plain(name: str) -> str:
    for pattern, common in _COMMON:
        name = re.sub(pattern, common, name)
    return name
