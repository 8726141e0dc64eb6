"""A decoder under a switch with fitted knobs: SmolLM2-135M fine-tuned on one kind of text a seed, in half a per cent.

Knobs are fitted on windows of the training texts, whose next tokens are not looked at: what is compared is the model's
own distribution. Scores are losses in nats a token, by test window.

Full form, one seed: 2 minutes of an idle core for the fine-tuned model, 2 for the knobs, one for the rest.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.progress import progress
from ninefold_lab import Budget, Scores
from tswitch.datasets import TextTask, text_task
from tswitch.fitting._knobs import FitConfig, fit_knobs
from tswitch.models._models import read_tensors
from tswitch.switch._switch import Switch
from tswitch_experiments.baselines import BitDelta
from tswitch_experiments.kept import kept
from tswitch_experiments.models._decoder import (
    DecoderConfig,
    finetuned_decoder,
    load_decoder,
    losses,
    smollm2_folder,
    windows,
)

DOMAINS = ("banking77", "snips", "stackoverflow20")  # of seeds 0, 1, 2
ALPHA = 0.98
WINDOWS = 24  # of the training texts, on which knobs are fitted, and of the test texts


def fitted_decoder(budget: Budget, seed: int) -> Scores:
    """Loss of the base, the fine-tuned model, BitDelta and both switches, and per cent of float32."""
    full = budget.form == "full"
    domain = (DOMAINS if full else DOMAINS[:2])[seed % (len(DOMAINS) if full else 2)]
    task = text_task(domain, source="data" if full else "embedded")
    config, count = (DecoderConfig(), WINDOWS) if full else (DecoderConfig(steps=8), 4)
    arms: dict[str, object] = {}
    with progress(2, f"decoder, seed {seed}") as bar:
        for way in ("models", "switches"):
            make = partial(_plain if way == "models" else _switched, task, config, count, seed)
            arms |= kept(fitted_decoder, budget, seed, way, make)
            bar.advance()
    return arms  # type: ignore[return-value]


def _plain(task: TextTask, config: DecoderConfig, count: int, seed: int) -> Scores:
    base = smollm2_folder()
    folder = finetuned_decoder(base, task.name, task.train.texts, config, seed)
    model, tokenizer = load_decoder(base)
    rows = windows(tokenizer, task.test.texts, config.length)[:count]
    before = losses(model, rows)
    model.load_state_dict(read_tensors(folder), strict=False)
    arms = {"base": {"text": before}, "individual": {"text": losses(model, rows)}}
    bits = BitDelta(every=True).fit(base, [folder])
    model.load_state_dict(bits.task_model(0), strict=False)
    size = 100 * bits.nbytes / sum(value.nbytes for value in read_tensors(base).values())
    return {**arms, "BitDelta": {"text": losses(model, rows)}, "BitDelta: % of float32": size}


def _switched(task: TextTask, config: DecoderConfig, count: int, seed: int) -> Scores:
    base = smollm2_folder()
    folder = finetuned_decoder(base, task.name, task.train.texts, config, seed)
    switch = Switch.from_checkpoints(base, folder, ALPHA)
    fitted, model, tokenizer = fitted_to(switch, base, folder, task, config, count, seed)
    rows = windows(tokenizer, task.test.texts, config.length)[:count]
    arms = {"fitted": {"text": losses(model, rows)}}
    state = read_tensors(base)
    for name in switch.names:
        state[name] = state[name] + switch.dequantise(name)
    model.load_state_dict(state, strict=False)
    whole = sum(value.nbytes for value in state.values())
    return {**arms, "full": {"text": losses(model, rows)}, "fitted: % of float32": 100 * fitted.nbytes / whole}


def fitted_to(
    switch: Switch, base: Path, folder: Path, task: TextTask, config: DecoderConfig, count: int, seed: int
) -> tuple[Switch, Any, Any]:
    """The switch with fitted knobs, the live model that is now under it, and its tokenizer."""
    model, tokenizer = load_decoder(base)  # the fine-tuned folder has no tokenizer of its own
    model.load_state_dict(read_tensors(folder), strict=False)
    train = windows(tokenizer, task.train.texts, config.length)
    drawn = train[torch.from_numpy(np.random.default_rng([seed, 96]).permutation(len(train))[:count])]
    batches = [{"input_ids": part} for part in drawn.split(2)]
    return fit_knobs(switch, base, model, batches, FitConfig(seed=seed)), model, tokenizer
