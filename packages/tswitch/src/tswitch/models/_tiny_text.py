"""TinyTextNet: a small stand-in for a pre-trained encoder where the extra `models` is missing; labelled as such.

Hashed word and character-trigram embeddings, then residual layers that see each token and the mean of all. It
answers like a Hugging Face encoder (`last_hidden_state`, `hidden_states`), so everything else treats it as one.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ninefold.artifacts import write_folder
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

MODEL_TYPE = "tswitch-tiny"


@dataclass
class TinyConfig:
    """Sizes of a TinyTextNet."""

    vocab_size: int = 8192
    hidden_size: int = 64
    num_hidden_layers: int = 3
    model_type: str = MODEL_TYPE

    def to_dict(self) -> dict[str, Any]:
        """All values, as config.json holds them."""
        return asdict(self)


@dataclass
class TinyOutput:
    """What an encoder returns: (rows, tokens, width), and the same after each layer if asked for."""

    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...] | None = None


class HashTokenizer:
    """Words and their character trigrams, hashed (CRC-32) to ids from 1; 0 pads."""

    pad_token_id = 0

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def __call__(self, texts: Sequence[str], *, truncation: bool = True, max_length: int = 32) -> dict[str, list]:
        """Ids of each text; `max_length` counts words, of each at most eight pieces are kept."""
        return {"input_ids": [self._ids(text, max_length if truncation else None) for text in texts]}

    def _ids(self, text: str, max_length: int | None) -> list[int]:
        words = re.findall(r"\w+|[^\w\s]", text.lower())[:max_length] or [""]
        pieces = [piece for word in words for piece in [word, *_trigrams(word)][:8]]
        return [1 + zlib.crc32(piece.encode()) % (self.vocab_size - 1) for piece in pieces]

    def save_pretrained(self, folder: Path) -> None:
        """Write tokenizer_config.json; the vocabulary is the hash."""
        (folder / "tokenizer_config.json").write_text(json.dumps({"hash": "crc32", "vocab_size": self.vocab_size}))


def _trigrams(word: str) -> list[str]:
    padded = f"<{word}>"
    return [padded[i : i + 3] for i in range(len(padded) - 2)] if len(word) > 2 else []


class MixLayer(nn.Module):
    """One residual layer: layer norm of h + W2 gelu(W1 [h, mean h]), the mean over a text's tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(2 * width, 2 * width)
        self.out = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor, weight: Tensor) -> Tensor:
        """hidden (rows, tokens, width), weight (rows, tokens, 1): 1 for real tokens -> as `hidden`."""
        mean = ((hidden * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)).expand_as(hidden)
        return self.norm(hidden + self.out(functional.gelu(self.mix(torch.cat([hidden, mean], -1)))))


class TinyTextNet(nn.Module):
    """Hashed embeddings and `num_hidden_layers` mixing layers."""

    base_model_prefix = "tiny"  # what tells a router that this is a transformer-like encoder

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(MixLayer(config.hidden_size) for _ in range(config.num_hidden_layers))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TinyTextNet:
        """A net of the sizes in a config.json."""
        return cls(TinyConfig(config["vocab_size"], config["hidden_size"], config["num_hidden_layers"]))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, output_hidden_states: bool = False) -> TinyOutput:
        """Hidden states of ids and mask (rows, tokens)."""
        weight = attention_mask.unsqueeze(-1).to(self.embeddings.weight.dtype)
        states = [self.embeddings(input_ids)]
        for layer in self.layers:
            states.append(layer(states[-1], weight))
        return TinyOutput(states[-1], tuple(states) if output_hidden_states else None)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model.safetensors, config.json and tokenizer_config.json, a base folder as any other."""
        with write_folder(folder, kind="tswitch.checkpoint", format_version=1, package="tswitch") as temporary:
            save_file(self.state_dict(), temporary / "model.safetensors", metadata={"format": "pt"})
            (temporary / "config.json").write_text(json.dumps(self.config.to_dict()) + "\n")
            HashTokenizer(self.config.vocab_size).save_pretrained(temporary)
