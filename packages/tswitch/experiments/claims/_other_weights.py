"""Experiments on other kinds of weights: a convolutional net with BatchNorm, and LoRA adapters."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from ninefold.datasets import cache_dir
from ninefold_lab import Budget, Scores
from tswitch.bank._bank import SwitchBank
from tswitch.bank._batch_norm import recalibrate
from tswitch.datasets import text_task
from tswitch.models._finetune import FinetuneConfig, fast_bfloat16, run_key
from tswitch.models._models import predict
from tswitch.switch._compress import compress
from tswitch.switch._switch import Switch
from tswitch_experiments.models._adapter import finetune_adapter, load_adapter
from tswitch_experiments.models._image_model import (
    ImageClassifier,
    efficientnet_folder,
    finetuned_pictures,
    predict_pictures,
)
from tswitch_experiments.models._pictures import image_task

_VISION = FinetuneConfig(steps=100, lr=1e-3, head_lr=5e-3)
_LORA = FinetuneConfig(steps=120, lr=2e-3, head_lr=2e-3, bf16=fast_bfloat16())
_LORA_TASKS = ("snips", "clinc150/banking", "clinc150/travel")


def vision(budget: Budget, seed: int) -> Scores:
    """EfficientNet-Lite0 at 64 pixels on three image sets: BatchNorm buffers measured anew, as trained, and left out.

    Measured anew: on 1,024 training pictures, without their labels.
    """
    full = budget.form == "full"
    arms: dict[str, dict[str, np.ndarray]] = {
        name: {} for name in ("individual", "buffers anew", "buffers as trained", "without buffers", "wrong switch")
    }
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        switches: dict[str, Switch] = {}
        anew: dict[str, Switch] = {}
        models: dict[str, ImageClassifier] = {}
        tests = {}
        for name in ("digits", "mnist", "cifar10") if full else ("digits", "mnist"):
            task = image_task(name)
            config = _VISION if full else FinetuneConfig(steps=30, lr=_VISION.lr, head_lr=_VISION.head_lr)
            tuned = finetuned_pictures(task, config, seed)
            switches[name] = compress(efficientnet_folder(), tuned, Path(folder) / name, 0.6)
            models[name] = ImageClassifier.of(tuned, len(task.classes))
            train = task.train[0][np.random.default_rng(seed).permutation(len(task.train[0]))[:1024]]
            model = ImageClassifier.of(efficientnet_folder(), 1)
            batches = [model.pad(list(train[at : at + 64]))["pictures"] for at in range(0, len(train), 64)]
            anew[name] = recalibrate(switches[name], model, batches)
            tests[name] = task.limited(test=1000 if full else 100).test
        names = list(switches)
        for index, name in enumerate(names):
            pictures, labels = tests[name]
            model = models[name]
            arms["individual"][name] = 100.0 * (predict_pictures(model, pictures) == labels)
            base = ImageClassifier.of(efficientnet_folder(), 1)
            bank = SwitchBank(base.encoder)
            for other, switch in switches.items():
                bank.add(other, switch)
                bank.add(f"{other} anew", anew[other])
            states = {}
            for arm, other in (
                ("buffers anew", f"{name} anew"),
                ("buffers as trained", name),
                ("wrong switch", f"{names[(index + 1) % len(names)]} anew"),
            ):
                with bank.use(other):
                    states[arm] = {key: value.clone() for key, value in base.encoder.state_dict().items()}
            buffers = {key: value.clone() for key, value in base.encoder.named_buffers()}
            states["without buffers"] = states["buffers as trained"] | buffers
            for arm, state in states.items():
                model.encoder.load_state_dict(state)
                arms[arm][name] = 100.0 * (predict_pictures(model, pictures) == labels)
            sizes.append(100 * switches[name].nbytes / (4 * switches[name].parameters))
    return {**arms, "% of float32": float(np.mean(sizes))}


def adapters(budget: Budget, seed: int) -> Scores:
    """LoRA adapters of rank 16 on MiniLM: factors ternarised at alpha 0.4, as the authors do."""
    full = budget.form == "full"
    arms: dict[str, dict[str, np.ndarray]] = {name: {} for name in ("LoRA", "T-Switch of LoRA", "wrong adapter")}
    sizes = []
    trained: dict[str, Path] = {}
    tests = {}
    for name in _LORA_TASKS if full else _LORA_TASKS[1:]:
        task = text_task(name, source="data" if full else "embedded")
        config = _LORA if full else FinetuneConfig(steps=40, lr=_LORA.lr, head_lr=_LORA.head_lr, bf16=_LORA.bf16)
        out = (
            cache_dir("tswitch")
            / "finetuned"
            / f"lora-{name.replace('/', '-')}-{run_key('minilm', task, config, seed)}"
        )
        trained[name] = out if out.is_dir() else finetune_adapter("minilm", task, out, config, seed=seed)
        tests[name] = task.limited(test=300 if full else 60).test
    names = list(trained)
    with tempfile.TemporaryDirectory() as folder:
        restored: dict[str, Path] = {}
        for index, name in enumerate(names):
            stored, restored[name] = Path(folder) / f"{index}", Path(folder) / f"{index}-adapter"
            Switch.from_adapter(trained[name], 0.4).save_pretrained(stored)
            switch = Switch.from_pretrained(stored)
            switch.save_adapter(restored[name])
            sizes.append(100 * switch.nbytes / (trained[name] / "adapter_model.safetensors").stat().st_size)
        for index, name in enumerate(names):
            other = names[(index + 1) % len(names)]
            for arm, adapter in (
                ("LoRA", trained[name]),
                ("T-Switch of LoRA", restored[name]),
                ("wrong adapter", restored[other]),
            ):
                model = load_adapter("minilm", adapter, trained[name])
                arms[arm][name] = 100.0 * (predict(model, tests[name].texts) == tests[name].labels)
    return {**arms, "% of the adapter's file": float(np.mean(sizes))}
