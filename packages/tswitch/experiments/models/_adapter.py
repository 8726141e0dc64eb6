"""Fine-tuning a LoRA adapter with peft on a text task: what a switch of an adapter is made from and compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ninefold.artifacts import write_folder
from ninefold.errors import require
from safetensors.torch import load_file, save_file
from tswitch.datasets._text_data import TextTask
from tswitch.models._finetune import FinetuneConfig, Trainer
from tswitch.models._models import TextClassifier

TARGETS = r".*encoder\.layer\..*(query|key|value|dense)"  # all linear layers of a BERT encoder but the unused pooler


def finetune_adapter(
    base: str | Path, task: TextTask, out: str | Path, config: FinetuneConfig, *, rank: int = 16, seed: int = 0
) -> Path:
    """Train LoRA factors of all linear layers and a fresh head; write a PEFT adapter folder with head.safetensors.

    Args:
        base: "minilm" or a local encoder folder.
        task: its training rows are used.
        out: folder to write.
        config: settings; `lr` is that of the factors.
        rank: r; lora_alpha is the same, dropout 0.1 as published.
        seed: random seed.
    Raises:
        MissingExtraError: without peft. ArtifactError: if `out` exists.
    """
    peft: Any = require("peft", "tswitch", "peft")
    model = TextClassifier.from_base(base, len(task.classes), seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        lora = peft.LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.1, target_modules=TARGETS)
        model.encoder = peft.get_peft_model(model.encoder, lora)
    trainer = Trainer(model, task.train.texts, task.train.labels, config, seed)
    for step in range(config.steps):
        trainer.step(step)
    with write_folder(out, kind="tswitch.adapter", format_version=1, package="tswitch") as folder:
        model.encoder.save_pretrained(folder)  # pyright: ignore[reportCallIssue]
        save_file({k: v.detach() for k, v in model.classifier.state_dict().items()}, folder / "head.safetensors")
    return Path(out)


def load_adapter(base: str | Path, adapter: str | Path, head: str | Path) -> TextClassifier:
    """A base with a PEFT adapter folder on it, and the head of the folder `head`."""
    peft: Any = require("peft", "tswitch", "peft")
    tensors = load_file(Path(head) / "head.safetensors")
    model = TextClassifier.from_base(base, len(tensors["bias"]))
    model.encoder = peft.PeftModel.from_pretrained(model.encoder, str(adapter))
    model.classifier.load_state_dict(tensors)
    return model.eval()
