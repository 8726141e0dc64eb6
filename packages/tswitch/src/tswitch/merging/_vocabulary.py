"""Models of different vocabularies: one tokenizer with all their tokens, and embeddings laid out for it.

What mergekit calls `tokenizer: {source: union}`, by its rules. The base's tokens keep their ids; those that only other
models have follow, in the order of the models and of their ids, as added tokens. A model's own row stays its row. For a
token that a model lacks, its row is that of the only model that has it; else the base's, if the base has it; else the
mean of those that have it. So a token of one model alone has no task vector among those that lack it. Rows beyond a
model's tokenizer (padding) are dropped; new padding (`pad_to_multiple_of`) is the mean of a model's rows.
"""

from __future__ import annotations

import copy
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError, require
from torch import Tensor

from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.switch._build import Store

_WEIGHTS = (  # tensors with one row for each token
    "embed_tokens.weight", "wte.weight", "shared.weight", "word_embeddings.weight", "embed_in.weight",
    "lm_head.weight", "lm_head.bias", "embed_out.weight", "lm_head.decoder.weight", "lm_head.decoder.bias",
    "cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "cls.predictions.bias",
)  # fmt: skip
_FILES = ("tokenizer*", "vocab*", "merges.txt", "added_tokens.json", "special_tokens_map.json", "*.model", "*.tiktoken",
          "*.bpe")  # fmt: skip
_ROWS = 4096  # rows laid out at a time


@dataclass(frozen=True)
class Vocabulary:
    """The union of the vocabularies of some models.

    Attributes:
        tokenizer: with all tokens.
        size: rows of the embeddings: tokens, and padding after them.
        base, models: the checkpoints, their embeddings laid out for the tokenizer.
    """

    tokenizer: Any
    size: int
    base: Checkpoint
    models: tuple[Checkpoint, ...]

    def save(self, folder: Path) -> None:
        """Write the tokenizer, in place of all files of another one."""
        for path in [path for pattern in _FILES for path in folder.glob(pattern)]:
            path.unlink() if path.is_file() else shutil.rmtree(path)
        self.tokenizer.save_pretrained(folder)


def union(
    base: Checkpoint, models: Sequence[Checkpoint], store: Store, *, based: bool = True, multiple: int | None = None
) -> Vocabulary:
    """Lay models of different vocabularies out for one tokenizer.

    Args:
        base: its tokenizer is extended.
        models: the others; one without a tokenizer has the base's.
        store: where the new embeddings are kept.
        based: whether the base's row stands in where a model lacks one; else the mean of all that have one.
        multiple: pad the embeddings to a multiple of so many rows.
    Raises:
        MissingExtraError: without transformers.
        InputError: a tokenizer or an embedding that cannot be laid out; names the model and says why.
    """
    every = list({model.source: model for model in (base, *models)}.values())
    own = _tokenizer(base)
    if own is None:
        raise InputError("tokenizer", where=base.source, got="none", expected="the base's tokenizer, for a union")
    tokenizers = [own]
    for model in every[1:]:
        found = _tokenizer(model)
        if found is None:
            warnings.warn(f"{model.source} has no tokenizer: taken to be the base's", stacklevel=3)
        tokenizers.append(own if found is None else found)
    tokenizer = _joined(tokenizers)
    ids = tokenizer.get_vocab()
    if sorted(ids.values()) != list(range(len(ids))):
        raise InputError("tokenizer", where=base.source, got=f"{len(ids)} tokens with gaps between their ids",
                         expected="ids without gaps, for a union")  # fmt: skip
    places = [_places(ids, one.get_vocab()) for one in tokenizers]
    names = [dict.fromkeys(name for name in model.names if _is_vocabulary(name)) for model in every]
    for model, held, place in zip(every, names, places, strict=True):
        _check(model, list(held), int(place.max()))
    size = -(-len(ids) // (multiple or 1)) * (multiple or 1)
    made: list[dict[str, Tensor]] = [{} for _ in every]
    for name in dict.fromkeys(name for held in names for name in held):
        members = [index for index, held in enumerate(names) if name in held]
        layout = Layout([every[index].read(name) for index in members], torch.stack([places[i] for i in members]),
                        based=based and 0 in members, size=size)  # fmt: skip
        for position, index in enumerate(members):
            made[index][name] = layout.kept(position, store)
    laid = {model.source: model.with_tensors(held) for model, held in zip(every, made, strict=True)}
    return Vocabulary(tokenizer, size, laid[base.source], tuple(laid[model.source] for model in models))


class Layout:
    """One tensor with a row for each token, of several models, for a common vocabulary.

    Args:
        tensors: of each model, its own rows first.
        places: (models, tokens) the row of each token of the common vocabulary, or -1.
        based: whether the first model's row is preferred for tokens that others lack.
        size: rows to make.
    """

    def __init__(self, tensors: Sequence[Tensor], places: Tensor, *, based: bool, size: int) -> None:
        self._tensors, self._places, self._size = tensors, places, size
        self._dtype = tensors[0].dtype
        for tensor in tensors:
            self._dtype = torch.promote_types(self._dtype, tensor.dtype)
        has = places >= 0
        self._lends = has.clone()  # which models' rows make the row of a token that a model lacks
        if based:
            self._lends[1:] &= ~has[0]

    def rows(self, model: int) -> Iterator[Tensor]:
        """The rows of one model, some at a time."""
        tokens = self._places.shape[1]
        total = torch.zeros(self._tensors[0].shape[1:], dtype=torch.float64)
        for start in range(0, tokens, _ROWS):
            part = slice(start, min(start + _ROWS, tokens))
            place = self._places[model, part]
            rows = self._tensors[model][place.clamp(min=0)].to(self._dtype)
            lacking = (place < 0).nonzero().flatten()
            if len(lacking):
                rows[lacking] = self._lent(lacking + start)
            total += rows.double().sum(0)
            yield rows
        if self._size > tokens:
            yield (total / tokens).to(self._dtype).expand(self._size - tokens, *total.shape)

    def _lent(self, tokens: Tensor) -> Tensor:
        """(n, ...) rows of tokens that a model lacks: the mean of those that others lend, or zeros."""
        wide = torch.promote_types(self._dtype, torch.float32)
        total = torch.zeros(len(tokens), *self._tensors[0].shape[1:], dtype=wide)
        lends = self._lends[:, tokens]
        for tensor, place, lend in zip(self._tensors, self._places[:, tokens], lends, strict=True):
            total[lend] += tensor[place[lend]].to(wide)
        count = lends.sum(0).clamp(min=1).view(-1, *[1] * (total.dim() - 1))
        return (total / count).to(self._dtype)

    def kept(self, model: int, store: Store) -> Tensor:
        """The whole tensor of one model, in a store."""
        flat = store.put(rows.contiguous().view(torch.uint8).reshape(-1).numpy() for rows in self.rows(model))
        return flat.view(self._dtype).view(self._size, *self._tensors[0].shape[1:])


def _tokenizer(model: Checkpoint) -> Any:
    """The fast tokenizer of a model's folder; None where there are no files of one."""
    folder = model.folder
    if folder is None or not any(path for pattern in _FILES for path in folder.glob(pattern)):
        return None
    transformers: Any = require("transformers", "tswitch", "hf")
    try:
        found = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError("tokenizer", where=folder, got=" ".join(str(error).split())[:200],
                         expected="one that transformers can load") from None  # fmt: skip
    if not found.is_fast:
        raise InputError("tokenizer", where=folder, got=type(found).__name__, expected="a fast one (tokenizer.json)")
    return found


def _joined(tokenizers: Sequence[Any]) -> Any:
    """A copy of the first tokenizer with the tokens of all."""
    joined = copy.deepcopy(tokenizers[0])
    added: dict[str, Any] = {}
    for tokenizer in tokenizers:
        for token in tokenizer.added_tokens_decoder.values():
            added.setdefault(token.content, token)
    there = joined.get_vocab()
    new: dict[str, None] = {}
    for tokenizer in tokenizers[1:]:
        ids = tokenizer.get_vocab()
        new |= dict.fromkeys(token for token in sorted(ids, key=ids.__getitem__) if token not in added)
    joined.add_tokens([token for token in new if token not in there])
    joined.add_tokens([token for content, token in added.items() if content not in there])
    return joined


def _places(ids: dict[str, int], own: dict[str, int]) -> Tensor:
    """(tokens,) int64: a model's row of each token of the common vocabulary, or -1."""
    places = np.full(len(ids), -1, np.int64)
    for token, place in ids.items():
        places[place] = own.get(token, -1)
    return torch.from_numpy(places)


def _is_vocabulary(name: str) -> bool:
    return f".{name}".endswith(tuple(f".{end}" for end in _WEIGHTS))


def _check(model: Checkpoint, names: Sequence[str], last: int) -> None:
    """Refuse a model whose embeddings are not found, or too short for its tokenizer."""
    if not names:
        raise InputError("embedding", where=model.source, got="no tensor of a known name",
                         expected=f"one of {', '.join(_WEIGHTS[:4])}, for a union of tokenizers")  # fmt: skip
    if "vocab_size" not in (model.config or {}):
        raise InputError("vocab_size", where=model.source, got="none in config.json", expected="the number of tokens")
    for name in names:
        rows = model.info(name).shape[0]
        if rows <= last:
            raise InputError(f"tensor {name!r}", where=model.place(name), got=f"{rows} rows",
                             expected=f"at least {last + 1}, one for each token of the tokenizer")  # fmt: skip
