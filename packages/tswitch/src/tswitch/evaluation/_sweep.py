"""Accuracy and bytes over alpha and knob, for one fine-tuned model: how to choose them on your own task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import torch
from ninefold.errors import InputError
from ninefold.report import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Table, figure

from tswitch.datasets._text_data import TextTask
from tswitch.evaluation._evaluate import Bench
from tswitch.models._classifier import MEAN_HEAD, Classifier, is_mean_head
from tswitch.models._models import base_folder, read_config, read_tensors
from tswitch.routing._live import TextBank
from tswitch.switch._pulse import Discard, discard
from tswitch.switch._switch import Switch
from tswitch.switch._ternary import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RULES: tuple[Discard, ...] = get_args(Discard)
SCALES: tuple[Scale, ...] = get_args(Scale)


def alphas(text: str) -> list[float]:
    """Drop ratios from a list of numbers and of ranges "first:last:step", each in [0, 1)."""
    values: list[float] = []
    try:
        for part in text.split(","):
            if ":" not in part:
                values.append(float(part))
                continue
            first, last, step = map(float, part.split(":"))
            if step <= 0:
                raise ValueError
            values += [first + index * step for index in range(int((last - first) / step + 1 + 1e-9))]
    except ValueError:
        raise InputError("alpha", got=repr(text), expected="first:last:step or a list, such as 0:0.95:0.05") from None
    wrong = [value for value in values if not 0 <= value < 1]
    if wrong or not values:
        raise InputError("alpha", got=wrong or repr(text), expected="shares in [0, 1)")
    return [round(value, 6) for value in values]


def sweep(
    base: str | Path,
    finetuned: str | Path,
    task: TextTask,
    ratios: list[float],
    *,
    rows: int = 400,
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> Table:
    """Score one model with part of its changes dropped.

    Args:
        base: "minilm" or an encoder's folder.
        finetuned: folder of a text classifier: of `finetune`, or of a ...ForSequenceClassification of transformers.
        task: its validation rows are scored, at most `rows`.
        ratios: drop ratios.
        seed: random seed of the rule that drops random changes.
        advance: called after each ratio.
    Returns: for each ratio the accuracy (%) with the smallest, the largest or random changes dropped and values kept
        (publication's ablation), with T-Switch under each knob, and the switch's density and bytes on disk, which the
        knob does not change.
    """
    models = _scored(base, Path(finetuned), task, rows)
    generator = torch.Generator().manual_seed(seed)

    def dropped(ratio: float, rule: Discard, name: str) -> torch.Tensor:
        return discard(models.tuned[name] - models.base[name], ratio, rule, generator=generator)

    table = Table(["alpha", *(f"discard {rule}" for rule in RULES), *SCALES, "density", "bytes"])
    for ratio in ratios:
        by_rule = [models.changed(partial(dropped, ratio, rule)) for rule in RULES]
        switches = [Switch.from_checkpoints(base_folder(base), finetuned, ratio, scale=scale) for scale in SCALES]
        by_scale = [models.switched(switch) for switch in switches]
        table.rows.append([ratio, *by_rule, *by_scale, switches[0].density, switches[0].nbytes])
        advance()
    return table


class _MeanHead:
    """Accuracy (%) of an encoder with a head over its mean, under changed weights."""

    def __init__(self, base: str | Path, finetuned: Path, task: TextTask, rows: int) -> None:
        self._bench, self._task, self._rows = Bench(base, {task.name: task}, {task.name: finetuned}), task.name, rows
        self.base, self.tuned = self._bench.base, self._bench.encoders[task.name]

    def changed(self, delta: Callable[[str], torch.Tensor]) -> float:
        state = {
            name: value + delta(name) if value.is_floating_point() else self.tuned[name]
            for name, value in self.base.items()
        }
        return float(self._bench.score_one(state, "validation", self._rows)[self._task].mean())

    def switched(self, switch: Switch) -> float:
        return self.changed(lambda name: switch.dequantise(name) if name in switch.tensors else torch.zeros(()))


class _OwnClass:
    """Accuracy (%) of a classifier of the class that its config.json names, under changed weights."""

    def __init__(self, base: str | Path, finetuned: Path, task: TextTask, rows: int) -> None:
        self._base, self._held = str(base_folder(base)), task.limited(validation=rows).validation
        self._model = Classifier.load(finetuned, what=f"model {finetuned.name}")
        plain = Classifier.load(Path(self._base), read_config(finetuned), what=f"model {finetuned.name}")
        own, kept = dict(plain.module.state_dict()), {*plain.missing}
        self._state = {name: value.clone() for name, value in self._model.module.state_dict().items()}
        shared = [name for name, value in self._state.items() if name not in kept and value.is_floating_point()]
        self.tuned = {name: self._state[name] for name in shared}
        self.base = {name: own[name] for name in shared}

    def _accuracy(self, logits: torch.Tensor) -> float:
        return 100 * float((logits.argmax(1).numpy() == self._held.labels).mean())

    def changed(self, delta: Callable[[str], torch.Tensor]) -> float:
        changed = {name: value + delta(name) for name, value in self.base.items()}
        self._model.module.load_state_dict(self._state | changed)
        return self._accuracy(self._model.logits(self._held.texts))

    def switched(self, switch: Switch) -> float:
        live = TextBank(self._base, {"task": switch}, max_length=self._model.max_length)
        return self._accuracy(live.logits("task", self._held.texts))


def _scored(base: str | Path, finetuned: Path, task: TextTask, rows: int) -> _MeanHead | _OwnClass:
    config = read_config(finetuned)
    names = set(read_tensors(finetuned)) if (finetuned / "model.safetensors").is_file() else set()
    mean = is_mean_head(config, names & MEAN_HEAD)
    return (_MeanHead if mean else _OwnClass)(base, finetuned, task, rows)


def picture(table: Table, whole: int) -> Figure:
    """Accuracy over alpha by rule, and accuracy over the switch's share of the float32 bytes (`whole`)."""
    made, (left, right) = figure(10, 3.8, columns=2)
    columns = list(zip(*table.rows, strict=True))
    lines = [("smallest dropped", BLUE), ("largest dropped", RED), ("random dropped", GREY)]
    knobs = {f"T-Switch, {scale}": colour for scale, colour in zip(SCALES, (ORANGE, GREEN, PURPLE), strict=True)}
    for index, (label, colour) in enumerate([*lines, *knobs.items()], start=1):
        left.plot(columns[0], columns[index], marker="o", markersize=3, label=label, color=colour)
    left.set_xlabel("alpha: share of the changes dropped")
    left.set_ylabel("accuracy, %")
    left.legend(frameon=False, fontsize=9)
    shares = [100 * size / whole for size in columns[-1]]
    for index, (label, colour) in enumerate(knobs.items(), start=4):
        right.plot(shares, columns[index], marker="o", markersize=4, label=label, color=colour)
    best = [max(row[4:7]) for row in table.rows]
    for share, accuracy, ratio in zip(shares, best, columns[0], strict=True):
        right.annotate(f"{ratio:g}", (share, accuracy), textcoords="offset points", xytext=(4, 4), fontsize=7)
    right.set_xlabel("switch on disk, % of float32 (labels: alpha)")
    right.set_ylabel("accuracy of T-Switch, %")
    return made
