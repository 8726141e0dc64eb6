"""Inputs to fit knobs on, and the live model that they are given to."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from ninefold.errors import ArtifactError, InputError, require
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tswitch.models._classifier import MEAN_HEAD, class_name, is_mean_head
from tswitch.models._models import (
    LENGTH_KEY,
    MAX_LENGTH,
    TOKENIZER_FILES,
    TextClassifier,
    hf_tokenizer,
    max_length_of,
    read_config,
    read_tensors,
)

Encode = Callable[[list[str]], dict[str, Tensor]]


def read_texts(file: str | Path) -> list[str]:
    """Texts of a file: one a line (.txt), or the column `text` of a CSV file (.csv); either may be gzipped (.gz).

    Raises:
        InputError: naming file and line: no texts, a CSV file without that column, bytes that are no UTF-8.
    """
    path = Path(file)
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind not in ("txt", "csv") or not path.is_file():
        raise InputError(
            "texts", where=path, expected="a file of texts: .txt, .csv with a column `text`, or .safetensors"
        )
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") if path.suffix == ".gz" else path.open(
            encoding="utf-8", newline=""
        ) as opened:  # fmt: skip
            if kind == "txt":
                texts = [line.strip() for line in opened]
            else:
                rows = csv.DictReader(opened)
                if "text" not in (rows.fieldnames or ()):
                    raise InputError("texts", where=path, got=f"columns {rows.fieldnames}", expected="a column `text`")
                texts = [(row["text"] or "").strip() for row in rows]
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise InputError("texts", where=path, got=str(error), expected="text in UTF-8") from None
    texts = [text for text in texts if text]
    if not texts:
        raise InputError("texts", where=path, got="no text", expected="about a hundred texts of the task")
    return texts


def read_arrays(file: Path) -> dict[str, Tensor]:
    """Inputs of any kind, `pixel_values` say: a safetensors file of the model's arguments, each (inputs, ...)."""
    try:
        arrays = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ArtifactError(file, f"is no safetensors file of inputs ({error})") from None
    sizes = {name: len(value) for name, value in arrays.items() if value.dim()}
    if len(sizes) < len(arrays) or len(set(sizes.values())) != 1 or not min(sizes.values(), default=0):
        raise InputError("inputs", where=file, got=f"first dimensions {sizes}", expected="one number of inputs in each")
    return arrays


def cut(arrays: dict[str, Tensor], size: int) -> list[dict[str, Tensor]]:
    """Batches of at most `size` inputs."""
    count = len(next(iter(arrays.values())))
    return [{name: value[start : start + size] for name, value in arrays.items()} for start in range(0, count, size)]


def text_batches(texts: Sequence[str], encode: Encode, size: int) -> list[dict[str, Tensor]]:
    """Batches of at most `size` texts; texts of like length stand together, so that little is padding."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    return [encode([texts[place] for place in order[start : start + size]]) for start in range(0, len(order), size)]


def live_model(folder: Path, max_length: int | None = None) -> tuple[nn.Module, Encode | None]:
    """The model of a folder in float32, by the class that its config.json names, and how it takes texts.

    Args:
        folder: one that `tswitch finetune` wrote (an encoder with a head over its mean), or of a class of transformers.
        max_length: tokens kept of each text; None: what the folder says about itself, else 128.
    Returns: the model in evaluation mode; None instead of an encoder of texts where the folder has no tokenizer.
    Raises:
        ArtifactError: a folder that transformers cannot load.
    """
    config = read_config(folder)
    name = class_name(config)
    if _has_mean_head(folder, config):
        model = TextClassifier.from_pretrained(folder).eval()
        length = max_length or max_length_of(folder)
        return model, lambda texts: model.pad(model.encode(texts, length))
    transformers: Any = require("transformers", "tswitch", "hf")
    kind = getattr(transformers, name, transformers.AutoModel)
    try:
        options = {"local_files_only": True, "trust_remote_code": False} if kind is transformers.AutoModel else {
            "local_files_only": True
        }  # fmt: skip
        live = kind.from_pretrained(folder, dtype=torch.float32, **options).eval()
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ArtifactError(folder, f"gives no model that transformers can load ({reason})") from None
    if not any(path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)):
        return live, None
    tokenizer = hf_tokenizer(folder, transformers, int(config.get("vocab_size") or 0))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    length = max_length or int(config.get(LENGTH_KEY, 4 * MAX_LENGTH))

    def encode(texts: list[str]) -> dict[str, Tensor]:
        made = tokenizer(texts, truncation=True, max_length=length, padding=True, return_tensors="pt")
        return {key: made[key] for key in ("input_ids", "attention_mask", "token_type_ids") if key in made}

    return live, encode


def _has_mean_head(folder: Path, config: dict[str, Any]) -> bool:
    names = set(read_tensors(folder)) if (folder / "model.safetensors").is_file() else set()
    return is_mean_head(config, names & MEAN_HEAD)
