"""Text features that live in one space with pictures (paper: CLIP): our own small towers, and CLIP of `transformers`.

The small towers give 16 numbers, so that an analog text takes 8 complex symbols: at a bandwidth ratio of 1/24 a
picture of 32 x 32 has 128 symbols in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn

from semcom.links import Settings
from semcom.models._hub import read_config

_PAD = 256  # beside the 256 values of a byte


class TextImageFeatures(Protocol):
    """What a link asks of its text features: unit vectors of captions and of pictures, comparable by their cosine."""

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        ...

    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """(n, dim) float32 of unit norm."""
        ...

    def embed_images(self, images: np.ndarray, max_batch: int = 256) -> np.ndarray:
        """(n, dim) float32 of unit norm, of pictures (n, H, W, 3) uint8."""
        ...


@dataclass(frozen=True)
class ClipConfig(Settings):
    """Sizes of a `SmallClip`.

    Attributes:
        dim: numbers of a vector, even: two make a symbol.
        width: channels of the picture tower's first layer.
        text_width, depth, heads: of the text tower.
        length: bytes of a caption that the text tower reads.
    """

    dim: int = 16
    width: int = 40
    text_width: int = 96
    depth: int = 2
    heads: int = 4
    length: int = 64

    def __post_init__(self) -> None:
        if self.dim < 2 or self.dim % 2:
            raise InputError("dim", got=self.dim, expected="an even number from 2: two numbers make a symbol")
        if self.text_width % self.heads or self.width < 4 or self.depth < 1 or self.length < 1:
            raise InputError("text_width", got=self.text_width, expected=f"a multiple of the {self.heads} heads")


def byte_tokens(captions: Sequence[str], length: int) -> Tensor:
    """UTF-8 bytes of captions, filled up with a token of its own: (n, length) int64."""
    tokens = np.full((len(captions), length), _PAD, np.int64)
    for row, caption in enumerate(captions):
        data = np.frombuffer(caption.encode("utf-8")[:length], np.uint8)
        tokens[row, : len(data)] = data
    return torch.from_numpy(tokens)


class _Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.first, self.second = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, padded: Tensor) -> Tensor:
        y = self.before(x)
        x = x + self.attention(y, y, y, key_padding_mask=padded, need_weights=False)[0]
        return x + self.second(F.gelu(self.first(self.after(x))))


class SmallClip(nn.Module):
    """A byte transformer and a small convolutional network that meet in one space (Radford et al. 2021, small)."""

    kind = "semcom.clip"

    def __init__(self, config: ClipConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or ClipConfig()
        w = c.width
        sizes = [(3, w, 1), (w, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 3 * w, 2), (3 * w, 3 * w, 1)]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, s, 1, bias=False) for a, b, s in sizes)
        self.norms = nn.ModuleList(nn.GroupNorm(4 if b % 4 == 0 else 1, b) for _, b, _ in sizes)
        self.image_head = nn.Linear(3 * w, c.dim)
        self.bytes = nn.Embedding(257, c.text_width)
        self.places = nn.Parameter(0.02 * torch.randn(c.length, c.text_width))
        self.blocks = nn.ModuleList(_Block(c.text_width, c.heads) for _ in range(c.depth))
        self.text_norm = nn.LayerNorm(c.text_width)
        self.text_head = nn.Linear(c.text_width, c.dim)
        self.log_scale = nn.Parameter(torch.tensor(2.0))  # learned temperature of the contrast

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self.config.dim

    def image_vectors(self, images: Tensor) -> Tensor:
        """(B, dim) of unit norm, of pictures (B, 3, H, W) in [0, 1]."""
        x = (images - 0.47) / 0.25
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.silu(norm(layer(x)))
        return F.normalize(self.image_head(x.mean((2, 3))), dim=1)

    def text_vectors(self, tokens: Tensor) -> Tensor:
        """(B, dim) of unit norm, of tokens (B, length) of `byte_tokens`."""
        padded = tokens == _PAD
        padded[:, 0] = False  # an empty caption attends to its first filler
        x = self.bytes(tokens) + self.places
        for block in self.blocks:
            x = block(x, padded)
        kept = (~padded)[..., None].float()
        pooled = (self.text_norm(x) * kept).sum(1) / kept.sum(1)
        return F.normalize(self.text_head(pooled), dim=1)

    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """See `TextImageFeatures`."""
        unique = sorted(set(captions))
        place = {caption: row for row, caption in enumerate(unique)}
        with torch.inference_mode():
            parts = [self.text_vectors(part) for part in byte_tokens(unique, self.config.length).split(256)]
        return torch.cat(parts).numpy()[[place[caption] for caption in captions]]

    def embed_images(self, images: np.ndarray, max_batch: int = 256) -> np.ndarray:
        """See `TextImageFeatures`."""
        pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        with torch.inference_mode():
            return torch.cat([self.image_vectors(part.float() / 255) for part in pixels.split(max_batch)]).numpy()


class HubClip(nn.Module):
    """A CLIP model of `transformers` with its processor."""

    def __init__(self, model: Any, processor: Any) -> None:
        """Args:
        model: a `CLIPModel`.
        processor: a `CLIPProcessor`.
        """
        super().__init__()
        self.model, self.processor = model.eval(), processor

    @classmethod
    def from_folder(cls, path: str | Path) -> HubClip:
        """A folder with config, safetensors weights, tokenizer and processor, as `save_pretrained` writes it."""
        from transformers import CLIPModel, CLIPProcessor

        path = Path(path)
        read_config(path, "clip")
        try:
            model = CLIPModel.from_pretrained(path, use_safetensors=True, local_files_only=True)
            processor = CLIPProcessor.from_pretrained(path, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ArtifactError(path, f"cannot be loaded ({str(error).splitlines()[0]})") from None
        return cls(model, processor)

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return int(self.model.config.projection_dim)

    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """See `TextImageFeatures`."""
        words = self.processor.tokenizer(
            list(captions), padding=True, truncation=True, return_tensors="pt",
            max_length=self.model.config.text_config.max_position_embeddings,
        )  # fmt: skip
        with torch.inference_mode():
            found = self.model.get_text_features(input_ids=words["input_ids"], attention_mask=words["attention_mask"])
        return F.normalize(_tensor(found).float(), dim=1).numpy()

    def embed_images(self, images: np.ndarray, max_batch: int = 32) -> np.ndarray:
        """See `TextImageFeatures`."""
        parts = []
        for begin in range(0, len(images), max_batch):
            part = list(images[begin : begin + max_batch])
            pixels = self.processor.image_processor(part, return_tensors="pt", input_data_format="channels_last")
            with torch.inference_mode():
                parts.append(_tensor(self.model.get_image_features(pixel_values=pixels["pixel_values"])).float())
        return F.normalize(torch.cat(parts), dim=1).numpy()


def _tensor(found: Any) -> Tensor:
    """The features themselves: newer versions of `transformers` wrap them."""
    return found if isinstance(found, Tensor) else found.pooler_output
