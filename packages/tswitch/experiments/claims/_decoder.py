"""A decoder: SmolLM2-135M fine-tuned on texts of several kinds; perplexity and generation through switches.

Full form, three seeds on one core whose processor multiplies in bfloat16: about 32 minutes, of which 16 are nine
fine-tuned models (2.1 s a step), 2 their switches, 10 the losses of nine arms, and 4 all else. Fine-tuned models are
kept (0.54 GB each, 4.9 GB in all), so that a run that was killed loses one of them at most. About 5 GB of memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.progress import progress
from ninefold_lab import Budget, Scores
from torch import Tensor
from tswitch.bank._bank import SwitchBank
from tswitch.baselines import BitDelta
from tswitch.datasets import text_tasks
from tswitch_experiments.models._decoder import (
    DecoderConfig,
    continuations,
    finetuned_decoder,
    load_decoder,
    losses,
    smollm2_folder,
    windows,
)
from tswitch.models._models import read_tensors
from tswitch.switch._switch import Switch
from tswitch.switch._ternary import Scale

DOMAINS = ("banking77", "snips", "stackoverflow20")  # customers' questions, spoken commands, titles about programming
WAYS: tuple[tuple[Scale, float], ...] = (("l2", 0.6), ("l2", 0.8), ("full", 0.8), ("l2", 0.9), ("full", 0.9))
SPOKEN = "full 0.8"  # the switch that generates
WRONG = "l2 0.6"  # the switch that is put on for another domain, as a control
RIVAL = "BitDelta, every tensor"
AGREE = "tokens as the model's own, %"


@dataclass(frozen=True)
class Size:
    """How much is scored: windows of a domain, prompts of a domain, tokens of a prompt, and tokens that follow it."""

    windows: int
    prompts: int
    given: int = 16
    follow: int = 16


def decoder(budget: Budget, seed: int) -> Scores:
    """Loss in nats a token by domain and window, size in per cent of float32, and how much generation agrees."""
    full = budget.form == "full"
    tasks = text_tasks(DOMAINS, source="data") if full else text_tasks(DOMAINS[:2], source="embedded")
    texts = {name: (task.train.texts, task.test.texts) for name, task in tasks.items()}
    config, size = (DecoderConfig(), Size(48, 8)) if full else (DecoderConfig(steps=8), Size(8, 2, follow=4))
    return measured(smollm2_folder(), texts, config, size, seed)


def measured(
    base: Path, texts: Mapping[str, tuple[Sequence[str], Sequence[str]]], config: DecoderConfig, size: Size, seed: int
) -> Scores:
    """All arms of one seed; `texts` are those for training and those for tests, by domain."""
    folders = {name: finetuned_decoder(base, name, train, config, seed) for name, (train, _) in texts.items()}
    model, tokenizer = load_decoder(base)
    rows = {name: windows(tokenizer, test, config.length)[: size.windows] for name, (_, test) in texts.items()}
    prompts = {name: part[: size.prompts, : size.given] for name, part in rows.items()}
    arms: dict[str, dict[str, np.ndarray]] = {}
    sizes: dict[str, list[float]] = {}
    spoken: dict[str, Tensor] = {}  # what each fine-tuned model itself says
    plain = {name: value.detach().clone() for name, value in model.state_dict().items()}
    whole = sum(value.nbytes for value in read_tensors(base).values())

    def note(arm: str, domain: str) -> None:
        arms.setdefault(arm, {})[domain] = losses(model, rows[domain])

    def say(arm: str, domain: str, tokens: Tensor) -> None:
        agree = (tokens == spoken[domain]).double().mean(1).numpy()
        arms.setdefault(f"{AGREE}: {arm}", {})[domain] = 100 * agree

    with progress(len(texts) * (len(WAYS) + 5), f"decoder, seed {seed}") as bar:
        for domain in texts:
            fitted = BitDelta(every=True).fit(base, [folders[domain]])
            sizes.setdefault(RIVAL, []).append(fitted.nbytes)
            note("base", domain)
            said = continuations(model, prompts[domain], size.follow)
            model.load_state_dict(read_tensors(folders[domain]), strict=False)
            note("individual", domain)
            spoken[domain] = continuations(model, prompts[domain], size.follow)
            model.load_state_dict(fitted.task_model(0), strict=False)
            note(RIVAL, domain)
            model.load_state_dict(plain)
            say("base", domain, said)
            bar.advance(4)
        bank = SwitchBank(model)
        for scale, alpha in WAYS:
            way = f"{scale} {alpha}"
            for domain in texts:
                switch = Switch.from_checkpoints(base, folders[domain], alpha, scale=scale)
                sizes.setdefault(f"T-Switch {way}", []).append(switch.nbytes)
                bank.add(f"{domain} {way}", switch)
                with bank.use(f"{domain} {way}"):
                    note(f"T-Switch {way}", domain)
                    if way == SPOKEN:
                        say("one task", domain, continuations(model, prompts[domain], size.follow))
                bar.advance()
            if way == SPOKEN:
                _mixed(bank, model, prompts, size.follow, say)
            if way == WRONG:
                names = list(texts)
                for place, domain in enumerate(names):
                    with bank.use(f"{names[(place + 1) % len(names)]} {way}"):
                        note("wrong switch", domain)
                    bar.advance()
            for domain in texts:
                bank.remove(f"{domain} {way}")
    gain = {
        domain: arms["individual"][domain] + 0.25 * (arms["base"][domain] - arms["individual"][domain])
        for domain in texts
    }
    share = {f"{arm}: % of float32": 100 * float(np.mean(held)) / whole for arm, held in sizes.items()}
    perplexity = {f"{arm}: perplexity": float(np.exp(np.mean([rows.mean() for rows in by_domain.values()])))
                  for arm, by_domain in arms.items() if "%" not in arm}  # fmt: skip
    return {**arms, **perplexity, **share, "individual and a quarter of its gain": gain}


def _mixed(bank: SwitchBank, model: Any, prompts: Mapping[str, Tensor], count: int, say: Any) -> None:
    """Prompts of all domains in one batch, each under its own task, through `generate`; rows of domains in turn."""
    order = [(domain, row) for row in range(len(next(iter(prompts.values())))) for domain in prompts]
    batch = torch.stack([prompts[domain][row] for domain, row in order])
    with bank.rows([f"{domain} {SPOKEN}" for domain, _ in order]):
        tokens = continuations(model, batch, count)
    for domain in prompts:
        say("one batch of all", domain, tokens[[place for place, one in enumerate(order) if one[0] == domain]])
