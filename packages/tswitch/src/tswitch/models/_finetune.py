"""Full fine-tuning on one task: AdamW without decay, batches of like length, resumable to the same bits.

Weight decay is off because it would move even the embedding rows that no text of the task uses; without it those
entries of the task vector are exactly zero, and a switch does not pay for them. Every step draws from a generator of
its own, seeded by (seed, step), so a resumed run needs no generator state: weights, optimiser moments and the step
number are all there is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold import artifacts
from ninefold.datasets import cache_dir
from ninefold.errors import ArtifactError, InputError
from ninefold.files import digest_file, refuse_existing
from safetensors import SafetensorError
from torch.nn import functional

from tswitch.datasets._text_data import TextTask
from tswitch.models._models import TextClassifier, base_folder

RECIPE = 1  # raise whenever the same settings would give other weights: it is part of every cache key
STATE_KIND = "tswitch.finetune-state"


def fast_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16 itself; elsewhere that takes ten times as long as in float32."""
    able = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.10 does not tell
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of one fine-tuning run.

    Attributes:
        steps: optimiser steps.
        lr: step size of the encoder (AdamW, betas 0.9 and 0.999).
        head_lr: step size of the fresh head. Where it is much larger than `lr` the head learns the task over an encoder
            that hardly moves, and any switch, the wrong one too, answers well: a switch stores the encoder.
        batch: rows a step.
        max_length: tokens kept of each text.
        warmup: share of the steps over which both rates rise linearly; they fall linearly to zero after it.
        bf16: multiply in bfloat16 (weights, moments and sums stay float32); faster where the processor has it.

    Examples:
        >>> from ninefold import InputError
        >>> from tswitch import FinetuneConfig

        >>> FinetuneConfig(steps=500, lr=1e-4).batch
        32
        >>> try:
        ...     FinetuneConfig(lr=0.0)
        ... except InputError as error:
        ...     print(error)
        lr: got 0.0, expected a positive number
    """

    steps: int = 200
    lr: float = 2e-4
    head_lr: float = 5e-4
    batch: int = 32
    max_length: int = 32
    warmup: float = 0.1
    bf16: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "lr", "head_lr", "batch", "max_length"):
            if not getattr(self, name) > 0:
                raise InputError(name, got=getattr(self, name), expected="a positive number")


def finetune(
    base: str | Path,
    task: TextTask,
    out: str | Path,
    config: FinetuneConfig | None = None,
    *,
    seed: int = 0,
    checkpoint_every: int = 50,
    on_step: Callable[[int], object] | None = None,
    force: bool = False,
) -> Path:
    """Fine-tune every parameter of `base` and a fresh head on `task.train`; write a Hugging Face folder.

    An interrupted run leaves `<out>.training/` behind; the same call resumes there and gives the same weights.

    Args:
        base: "minilm", or a local folder of an encoder.
        task: its training rows are used, nothing else of it.
        out: folder to write: encoder and head (`classifier.*`) in model.safetensors, config.json, tokenizer.
        config: settings.
        seed: random seed of the head, the order of rows and dropout.
        checkpoint_every: steps between two saved states.
        on_step: called with the number of steps just finished (for a progress bar).
        force: replace `out` if it exists.
    Returns: `out`.
    Raises:
        InputError: for bad settings. ArtifactError: if `out` exists, or a saved state belongs to another run.

    Examples:
        >>> import torch
        >>> from transformers import AutoModel, AutoTokenizer, BertConfig
        >>> from tswitch import Checkpoint, FinetuneConfig, finetune, minilm_folder
        >>> from tswitch.datasets import text_task

        >>> seed = torch.manual_seed(0)  # a small encoder of random weights, in place of a pretrained one
        >>> config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
        >>> AutoModel.from_config(config).save_pretrained("base")
        >>> files = AutoTokenizer.from_pretrained(minilm_folder()).save_pretrained("base")
        >>> task = text_task("snips", source="embedded").limited(train=64)

        >>> tuned = finetune("base", task, "tuned", FinetuneConfig(steps=4, batch=8))
        >>> len(task.classes), tuple(Checkpoint.open(tuned).info("classifier.weight").shape)
        (7, (7, 32))
    """
    config, out = config or FinetuneConfig(), Path(out)
    if checkpoint_every < 1:
        raise InputError("checkpoint_every", got=checkpoint_every, expected="at least 1")
    refuse_existing(out, force, "tswitch.checkpoint")
    model = TextClassifier.from_base(base, len(task.classes), seed=seed)
    model.check_length(config.max_length)
    model.max_length = config.max_length
    trainer = Trainer(model, task.train.texts, task.train.labels, config, seed)
    state = out.with_name(out.name + ".training") / "state.safetensors"
    key = run_key(base, task, config, seed)
    done = trainer.load(state, key) if state.exists() else 0
    if done and on_step is not None:
        on_step(done)
    for step in range(done, config.steps):
        trainer.step(step)
        if (step + 1) % checkpoint_every == 0 and step + 1 < config.steps:
            trainer.save(state, step + 1, key)
        if on_step is not None:
            on_step(1)
    try:
        model.eval().save_pretrained(out, labels=task.classes, force=force)
    except SafetensorError as error:  # it wraps the operating system's: a full disk, say
        raise ArtifactError(out, f"could not be written ({error}); the same call goes on from the last state") from None
    shutil.rmtree(state.parent, ignore_errors=True)
    return out


def run_key(base: str | Path, task: TextTask, config: FinetuneConfig, seed: int) -> str:
    """16 hex digits that name one result: base weights, data, settings, seed and recipe."""
    weights = digest_file(base_folder(base) / "model.safetensors")
    parts = [RECIPE, weights, task.name, task.digest, asdict(config), seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def cached_finetune(
    base: str | Path,
    task: TextTask,
    config: FinetuneConfig,
    seed: int,
    on_step: Callable[[int], object] | None = None,
) -> Path:
    """The folder that `finetune` gives for these arguments, from the cache or made now; named by `run_key`."""
    name = f"{task.name.replace('/', '-')}-{run_key(base, task, config, seed)}"
    out = cache_dir("tswitch") / "finetuned" / name
    return out if out.is_dir() else finetune(base, task, out, config, seed=seed, on_step=on_step)


def length_batches(lengths: Sequence[int], batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One epoch of row numbers in batches of like length, in random order; a short last batch is dropped.

    Rows are shuffled, sorted by length within pools of 50 batches, and the batches shuffled again: little padding, yet
    neighbours differ between epochs.
    """
    order = rng.permutation(len(lengths))
    if len(order) < batch:
        order = np.resize(order, batch)
    pool = 50 * batch
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(np.asarray(lengths)[rows], kind="stable")]
        batches += [rows[i : i + batch] for i in range(0, len(rows) - batch + 1, batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


class Trainer:
    """Model, optimiser and the rows of one run; the batch of a step depends on seed and step alone.

    Args:
        model: a `TextClassifier`, or a module with such an encoder, classifier, `encode` and `pad`; trained in place;
            parameters that require no gradient stay.
        inputs, labels: the training rows, as the model's `encode` takes them, and their classes.
        config, seed: as for `finetune`.
    """

    def __init__(
        self,
        model: Any,
        inputs: Sequence[Any],
        labels: np.ndarray,
        config: FinetuneConfig,
        seed: int,
    ) -> None:
        self.model, self.config, self.seed = model, config, seed
        self.rows: Sequence[Any] = model.encode(inputs, config.max_length)
        self.labels = torch.from_numpy(labels)
        groups = [
            {"params": [p for p in model.encoder.parameters() if p.requires_grad], "lr": config.lr},
            {"params": list(model.classifier.parameters()), "lr": config.head_lr},
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.0, fused=True)
        warm = max(1, round(config.warmup * config.steps))
        self.scale = lambda step: min((step + 1) / warm, (config.steps - step) / max(1, config.steps - warm), 1.0)
        self.rates = [config.lr, config.head_lr]
        self._epoch, self._batches = -1, list[np.ndarray]()

    def batch(self, step: int) -> np.ndarray:
        """Row numbers of one step."""
        per_epoch = len(self._batches) or len(self._draw(0))
        epoch, position = divmod(step, per_epoch)
        return self._draw(epoch)[position]

    def _draw(self, epoch: int) -> list[np.ndarray]:
        if epoch != self._epoch:
            lengths = [len(row) for row in self.rows]
            rng = np.random.default_rng([self.seed, epoch])
            self._epoch, self._batches = epoch, length_batches(lengths, self.config.batch, rng)
        return self._batches

    def step(self, step: int) -> float:
        """One optimiser step; returns the loss. Dropout draws from a generator of its own, seeded by seed and step."""
        rows = self.batch(step)
        self.model.train()
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * self.scale(step)
        with torch.random.fork_rng():
            torch.manual_seed(int(np.random.SeedSequence([self.seed, 1, step]).generate_state(1)[0]))
            with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bf16):
                logits = self.model(**self.model.pad([self.rows[i] for i in rows]))
            loss = functional.cross_entropy(logits.float(), self.labels[torch.from_numpy(rows)])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        self.optimizer.step()
        if not torch.isfinite(loss):
            raise InputError("loss", got=f"{loss.item()} at step {step}", expected="a finite value", hint="lower lr")
        return loss.item()

    def save(self, path: Path, done: int, key: str) -> None:
        """Write weights and optimiser moments after `done` steps."""
        held: dict[str, Any] = {}
        for name, parameter in self.model.named_parameters():
            moments = self.optimizer.state.get(parameter, {})
            held |= {f"weight/{name}": parameter, **{f"{part}/{name}": value for part, value in moments.items()}}
        held |= {f"buffer/{name}": buffer for name, buffer in self.model.named_buffers()}
        meta = {"done": done, "key": key}
        artifacts.save(path, held, kind=STATE_KIND, format_version=1, package="tswitch", meta=meta, force=True)

    def load(self, path: Path, key: str) -> int:
        """Read what `save` wrote, for the same `key`; returns the steps done."""
        state = artifacts.Artifact(path, kind=STATE_KIND, format_version=1)
        if state.meta["key"] != key:
            raise ArtifactError(path.parent, "belongs to another run (other data, settings or seed); remove it first")
        named = dict(self.model.named_parameters())
        held: dict[str, torch.Tensor] = named | dict(self.model.named_buffers())
        with torch.no_grad():
            for name in state.names:
                part, _, tensor_name = name.partition("/")
                if part in ("weight", "buffer"):
                    held[tensor_name].copy_(state.torch(name))
                else:
                    self.optimizer.state[named[tensor_name]][part] = state.torch(name)
        return int(state.meta["done"])
