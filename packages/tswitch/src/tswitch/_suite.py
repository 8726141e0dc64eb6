"""The fine-tuned models that claims, demo and benchmarks share: which tasks, which settings, made once and cached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tswitch._evaluate import Bench
from tswitch._finetune import FinetuneConfig, cached_finetune, fast_bfloat16
from tswitch._text_data import TextTask
from tswitch.datasets import Source, text_tasks

# Chosen on validation rows of banking77 (77 classes, the hardest), 150 steps, seed 0, accuracy of 400 rows, rates of
# encoder/head: 5e-5/5e-5 (200 steps) 0.68, 5e-5/5e-4 (200) 0.79, 5e-5/5e-3 0.885, 1e-4/5e-3 0.890, 2e-4/2e-3 0.878,
# 2e-4/2e-4 0.805, 4e-4/4e-4 0.845. The three best differ by less than one standard error (0.016). Of these the last is
# taken, because there the encoder does most of the work (the base encoder with the tuned head: 0.80, 0.78, 0.66), and
# the encoder is what a switch stores.
RATES = FinetuneConfig(lr=2e-4, head_lr=2e-3, bf16=fast_bfloat16())
STEPS = {"banking77": 200, "clinc150": 250, "sst2": 120, "trec": 120, "stackoverflow20": 120}
DEFAULT_STEPS = 80


def recipe(task: str, steps: int | None = None, *, one_rate: bool = False) -> FinetuneConfig:
    """Settings of a task's fine-tuned model; `steps` shortens it; `one_rate` lets the head learn as slowly as the rest.

    With one rate nearly all of the task is in the encoder: the base encoder with the tuned head is right in 27 % of
    validation rows (four tasks, seed 0), against 84 % with two rates; the models are 1.2 points weaker.
    """
    rates = replace(RATES, head_lr=RATES.lr) if one_rate else RATES
    return replace(rates, steps=steps or STEPS.get(task, DEFAULT_STEPS))


def individual(
    task: TextTask, seed: int, base: str | Path = "minilm", steps: int | None = None, *, one_rate: bool = False
) -> Path:
    """Folder of the model fine-tuned on `task` with this seed; takes about half a minute the first time."""
    return cached_finetune(base, task, recipe(task.name, steps, one_rate=one_rate), seed)


def bench(
    names: Sequence[str],
    seed: int,
    *,
    source: Source = "data",
    base: str | Path = "minilm",
    steps: int | None = None,
    one_rate: bool = False,
    on_task: Callable[[str], object] = lambda _: None,
) -> Bench:
    """All models of several tasks, fine-tuned now where the cache has none, over their base."""
    tasks = text_tasks(names, source=source)
    folders = {}
    for name, task in tasks.items():
        folders[name] = individual(task, seed, base, steps, one_rate=one_rate)
        on_task(name)
    return Bench(base, tasks, folders)
