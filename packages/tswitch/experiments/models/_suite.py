"""The fine-tuned models that claims, demo and benchmarks share: which tasks, which settings, made once and cached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ninefold.progress import progress
from tswitch.datasets import Source, text_tasks
from tswitch.datasets._text_data import TextTask
from tswitch.evaluation._evaluate import Bench
from tswitch.models._finetune import FinetuneConfig, cached_finetune, fast_bfloat16

# Chosen on validation rows, seed 0. First on banking77 (77 classes, the hardest), 150 steps, accuracy of 400 rows, by
# the rates of encoder/head: 5e-5/5e-5 (200 steps) 0.68, 5e-5/5e-4 (200) 0.79, 5e-5/5e-3 0.885, 1e-4/5e-3 0.890,
# 2e-4/2e-3 0.878, 2e-4/2e-4 0.805, 4e-4/4e-4 0.845. Then the head's rate, with the encoder at 2e-4, on four tasks, by
# the accuracy of the models and of the base encoder under their heads: 2e-3 95.5, 84.1; 1e-3 95.4, 73.2; 5e-4 94.9,
# 53.9; 2e-4 94.4, 26.8. The models of 5e-4 are within a standard error (0.8) of the best, and most of what they learnt
# is in the encoder, which is what a switch stores; where the head learns faster it does the task nearly alone, and any
# switch looks good.
RATES = FinetuneConfig(lr=2e-4, head_lr=5e-4, bf16=fast_bfloat16())
STEPS = {"banking77": 200, "clinc150": 250, "sst2": 120, "trec": 120, "stackoverflow20": 120}
DEFAULT_STEPS = 80


def recipe(task: str, steps: int | None = None) -> FinetuneConfig:
    """Settings of a task's fine-tuned model; `steps` shortens it."""
    return replace(RATES, steps=steps or STEPS.get(task, DEFAULT_STEPS))


def individual(
    task: TextTask,
    seed: int,
    base: str | Path = "minilm",
    steps: int | None = None,
    on_step: Callable[[int], object] | None = None,
) -> Path:
    """Folder of the model fine-tuned on `task` with this seed; takes about half a minute the first time."""
    return cached_finetune(base, task, recipe(task.name, steps), seed, on_step)


def bench(
    names: Sequence[str],
    seed: int,
    *,
    source: Source = "data",
    base: str | Path = "minilm",
    steps: int | None = None,
    on_task: Callable[[str], object] = lambda _: None,
) -> Bench:
    """All models of several tasks, fine-tuned now where the cache has none, over their base."""
    tasks = text_tasks(names, source=source)
    folders = {}
    with progress(sum(recipe(name, steps).steps for name in tasks), f"fine-tuning, seed {seed}") as bar:
        for name, task in tasks.items():
            done: list[int] = []
            folders[name] = individual(task, seed, base, steps, lambda n, done=done: (done.append(n), bar.advance(n)))
            bar.advance(recipe(name, steps).steps - sum(done))  # those of a model that was there
            on_task(name)
    return Bench(base, tasks, folders)
