"""Encoders of sentences, run by transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ninefold.errors import ArtifactError
from ninefold.progress import progress
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer


class SentenceEncoder:
    """An encoder with its tokenizer, read from a local folder; nothing is downloaded and no code of it is run."""

    def __init__(self, folder: Path, first_token: bool, device: str) -> None:
        self.first_token, self.device = first_token, device
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, **options)
            self.network: Any = AutoModel.from_pretrained(folder, use_safetensors=True, **options).to(device).eval()
        except (ValueError, KeyError, OSError, RuntimeError, SafetensorError) as error:
            raise ArtifactError(folder, f"is no encoder that can be read: {str(error).splitlines()[0]}") from None

    def encode(self, texts: Sequence[str], batch: int, max_len: int) -> np.ndarray:
        """Unit vectors float32 (texts, width)."""
        parts = []
        with progress(len(texts), "texts") as bar, torch.inference_mode():
            for start in range(0, len(texts), batch):
                some = list(texts[start : start + batch])
                tokens = self.tokenizer(some, padding=True, truncation=True, max_length=max_len, return_tensors="pt")
                tokens = tokens.to(self.device)
                hidden = self.network(**tokens).last_hidden_state
                mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                pooled = hidden[:, 0] if self.first_token else (hidden * mask).sum(1) / mask.sum(1)
                parts.append(F.normalize(pooled).float().cpu().numpy())
                bar.advance(len(some))
        return np.concatenate(parts)
