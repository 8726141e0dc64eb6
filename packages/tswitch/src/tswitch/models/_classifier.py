"""A user's own text classifier: the class that `architectures` in config.json names, with its own head and pooling.

Texts are answered in batches of equal length, so that no answer depends on padding.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from ninefold.errors import ArtifactError, InputError, require
from torch import Tensor, nn

from tswitch.models._models import HEAD_PREFIX, LENGTH_KEY, hf_tokenizer, read_config

MEAN_HEAD = {HEAD_PREFIX + "weight", HEAD_PREFIX + "bias"}
_CLASSIFIER = "ForSequenceClassification"
_MOST_TOKENS = 512  # kept of a text where neither tokenizer nor model says less
_AUDIO = ("Wav2Vec2", "Hubert", "WavLM", "UniSpeech", "SEW", "Whisper", "Data2VecAudio")  # of that ending, but no texts


def class_name(config: Mapping[str, Any] | None) -> str:
    """The class that a configuration names, or an empty string."""
    named = (config or {}).get("architectures") or [""]
    return str(named[0])


def is_mean_head(config: Mapping[str, Any] | None, head: set[str]) -> bool:
    """Whether a model is an encoder with a linear head over its mean-pooled states, as `finetune` writes it.

    Args:
        config: the model's config.json, or None for a switch of an early version, which kept none.
        head: names of its head tensors.
    """
    return head == MEAN_HEAD and (not config or LENGTH_KEY in config) and "For" not in class_name(config)


def refuse_other(what: str, config: Mapping[str, Any] | None) -> None:
    """InputError naming the class, unless it classifies texts."""
    name = class_name(config)
    if not name.endswith(_CLASSIFIER) or name.startswith(_AUDIO):
        got = f"a {name}" if name else "a model whose config.json names no class (architectures)"
        hint = "use SwitchBank with the live model, or `tswitch export` and transformers"
        raise InputError(what, got=got, expected=f"a text classifier: a ...{_CLASSIFIER}, or a model of `finetune`",
                         hint=hint)  # fmt: skip


@contextmanager
def _without_report(transformers: Any) -> Iterator[None]:
    """Keep transformers from printing which weights a folder lacks: the caller checks them, or a switch brings them."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


class Classifier:
    """A live text classifier of transformers, in float32 and evaluation mode.

    Attributes:
        module: the model.
        tokenizer: of its folder.
        missing: tensors that the weights' folder lacks (a head that the base does not have), by name.
        max_length: most tokens kept of a text.
    """

    def __init__(self, module: nn.Module, tokenizer: Any, missing: Sequence[str], max_length: int) -> None:
        self.module, self.tokenizer, self.missing, self.max_length = module, tokenizer, tuple(missing), max_length

    @classmethod
    def load(
        cls, folder: Path, config: Mapping[str, Any] | None = None, *, what: str = "model", device: str = "cpu"
    ) -> Classifier:
        """The class that `config` names, with the weights of `folder`.

        Args:
            folder: weights and tokenizer. No code of it is run.
            config: of the model to build; None: the folder's own. Parts that the folder lacks are left as initialised.
            what: how messages name the model.
            device: where the model lies.
        Raises:
            InputError: the class is not a text classifier. ArtifactError: transformers cannot load the folder.
        """
        given = read_config(folder) if config is None else dict(config)
        refuse_other(what, given)
        transformers: Any = require("transformers", "tswitch", "hf")
        kind = getattr(transformers, class_name(given), None)
        if kind is None:
            raise InputError(what, got=f"a {class_name(given)}", expected="a class that transformers has")
        try:
            with tempfile.TemporaryDirectory() as temporary:
                (Path(temporary) / "config.json").write_text(json.dumps(given))
                made = kind.config_class.from_pretrained(temporary, local_files_only=True)
            with _without_report(transformers):
                module, about = kind.from_pretrained(
                    folder, config=made, dtype=torch.float32, local_files_only=True, output_loading_info=True,
                    ignore_mismatched_sizes=config is not None,
                )  # fmt: skip
        except (ValueError, KeyError, OSError, RuntimeError, TypeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ArtifactError(folder, f"gives no {class_name(given)} that transformers can load ({reason})") from None
        missing = sorted({*about["missing_keys"], *(key[0] for key in about["mismatched_keys"])})
        if missing and config is None:
            raise ArtifactError(folder, f"lacks weights of a {class_name(given)}: {', '.join(missing[:5])}")
        tokenizer = hf_tokenizer(folder, transformers, int(given.get("vocab_size") or 0))
        return cls(module.eval().to(device), tokenizer, missing, _length(given, tokenizer))

    def prepare(self, texts: Sequence[str], max_length: int | None = None) -> dict[str, Tensor]:
        """Texts as the model takes them, padded to the longest by the tokenizer.

        Raises: InputError if they have to be padded, and the model does not know the padding token.
        """
        rows = self._tokens(texts, max_length)
        padding, known = self.tokenizer.pad_token_id, getattr(self.module.config, "pad_token_id", None)
        if len({len(row) for row in rows["input_ids"]}) > 1 and (padding is None or padding != known):
            got = f"texts of different lengths, padded by token {padding}"
            expected = f"the padding token of its config.json ({known})"
            raise InputError("texts", got=got, expected=expected, hint="give texts one by one")
        if padding is None:
            return {name: torch.tensor(held) for name, held in rows.items()}
        return dict(self.tokenizer.pad(rows, return_tensors="pt"))

    @torch.inference_mode()
    def logits(self, texts: Sequence[str], *, max_length: int | None = None, batch: int = 64) -> Tensor:
        """(texts, classes) float32 on the CPU, in the order of the texts; each batch has texts of one length."""
        rows = self._tokens(texts, max_length)
        by_length: dict[int, list[int]] = {}
        for index, row in enumerate(rows["input_ids"]):
            by_length.setdefault(len(row), []).append(index)
        padding = getattr(self.module.config, "pad_token_id", None)
        size = batch if padding is not None else 1  # decoders refuse batches without a padding token
        found: list[Tensor] = [torch.empty(0)] * len(texts)
        device = next(self.module.parameters()).device
        for same in by_length.values():
            for start in range(0, len(same), size):
                chosen = same[start : start + size]
                inputs = {name: torch.tensor([held[i] for i in chosen], device=device) for name, held in rows.items()}
                for index, row in zip(chosen, self.module(**inputs).logits.float().cpu(), strict=True):
                    found[index] = row
        return torch.stack(found) if found else torch.empty(0, 0)

    def _tokens(self, texts: Sequence[str], max_length: int | None) -> dict[str, list[list[int]]]:
        made = self.tokenizer(list(texts), truncation=True, max_length=max_length or self.max_length)
        return {name: made[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in made}


def _length(config: Mapping[str, Any], tokenizer: Any) -> int:
    """Tokens kept of a text: what the folder says, else the tokenizer, else the model's positions; at most 512."""
    if LENGTH_KEY in config:
        return int(config[LENGTH_KEY])
    most = int(min(getattr(tokenizer, "model_max_length", _MOST_TOKENS), _MOST_TOKENS))
    positions = config.get("max_position_embeddings") or config.get("n_positions")
    return (
        min(most, int(positions) - 2) if isinstance(positions, int) and positions > 2 and most == _MOST_TOKENS else most
    )
