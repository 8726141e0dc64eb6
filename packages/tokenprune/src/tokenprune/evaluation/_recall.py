"""Long-context tasks under several executors: how likely the right answer is, by kind, depth and length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ninefold.interval import mean_interval
from ninefold.report import Table, figure

from tokenprune.datasets import LongTask
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored, divergence, nll

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Recall:
    """Scores of tasks of one kind and length.

    Attributes:
        kind: of the tasks.
        length: tokens of each.
        depths: (n,) where in the prompt the answer stands; NaN: everywhere.
        nll: by arm (n,), nats a token of the right answer.
        kl: by arm (n,), divergence from the dense model, nats a token of the answer.
        flops: by arm, operations of all tasks.
    """

    kind: str
    length: int
    depths: np.ndarray
    nll: Mapping[str, np.ndarray]
    kl: Mapping[str, np.ndarray]
    flops: Mapping[str, float]


def as_scored(tasks: Sequence[LongTask]) -> Scored:
    """The tasks as sequences, their answers scored."""
    return Scored([task.ids for task in tasks], [task.answer for task in tasks])


@torch.no_grad()
def recall(arms: Mapping[str, Executor], tasks: Sequence[LongTask], *, rows: int = 8) -> Recall:
    """Score tasks of one kind and length; arms may stand on models of their own, and the first is the dense one.

    Args:
        arms: executors by name; the first says what `kl` is measured from.
        tasks: of one kind and length.
        rows: tasks in one pass.
    """
    data = as_scored(tasks)
    counts = torch.tensor(data.counts)
    nats: dict[str, list[torch.Tensor]] = {name: [] for name in arms}
    apart: dict[str, list[torch.Tensor]] = {name: [] for name in arms}
    flops = dict.fromkeys(arms, 0.0)
    for start in range(0, len(data), rows):
        part, reference = data.part(start, start + rows), None
        for name, executor in arms.items():
            logits, cost = part.decoded(executor)
            reference = logits.log_softmax(-1) if reference is None else reference
            nats[name].append(part.by_sequence(nll(logits, part.targets).cpu()))
            apart[name].append(part.by_sequence(divergence(reference, logits).cpu()))
            flops[name] += cost.flops
    each = [{name: (torch.cat(parts) / counts).numpy().astype(float) for name, parts in found.items()}
            for found in (nats, apart)]  # fmt: skip
    depths = np.array([task.depth for task in tasks])
    return Recall(tasks[0].kind, len(tasks[0].ids), depths, each[0], each[1], flops)


def recall_table(found: Sequence[Recall], title: str) -> Table:
    """A line for each kind, length and depth: nats a token of the right answer under each arm."""
    names = list(found[0].nll)
    made = Table(["task", "tokens", "depth", *names], title=title)
    for one in found:
        for depth in _levels(one.depths):
            here = np.isnan(one.depths) if depth is None else one.depths == depth
            shown = "all" if depth is None else float(depth)
            made.rows.append([one.kind, one.length, shown, *(float(one.nll[name][here].mean()) for name in names)])
    dense = next(iter(found[0].flops))
    total = {name: sum(one.flops[name] for one in found) for name in names}
    shares = ", ".join(f"{name} {total[name] / total[dense]:.1%}" for name in names if name != dense)
    made.notes.append(f"nats a token of the right answer; operations, of {dense}: {shares}")
    return made


def _levels(depths: np.ndarray) -> list[Any]:
    """Depths that occur, ascending; None stands for tasks without one."""
    known = sorted({float(one) for one in depths if not np.isnan(one)})
    return [*known, *([None] if np.isnan(depths).any() else [])]


def depth_means(found: Sequence[Recall], arm: str) -> tuple[list[float], np.ndarray]:
    """Depths that occur, ascending, and (3, depths) mean loss under one arm with its 95 % interval over tasks."""
    known = [one for one in found if not np.isnan(one.depths).any()]
    depths = np.concatenate([one.depths for one in known])
    values, levels = np.concatenate([one.nll[arm] for one in known]), _levels(depths)
    return levels, np.array([mean_interval([values[depths == level][None]]) for level in levels]).T


def by_depth(found: Sequence[Recall]) -> Figure:
    """Loss of the right answer against the depth at which it stands, a line with 95 % intervals for each arm."""
    made, axes = figure()
    arms = list(found[0].nll)
    for at, name in enumerate(arms):
        levels, (mean, low, high) = depth_means(found, name)
        axes.plot(levels, mean, marker="osD^vPX*"[at % 8], markersize=4, label=name)
        if np.isfinite(high - low).all():
            shift = 0.006 * (at - (len(arms) - 1) / 2)  # intervals of several arms stand side by side
            axes.vlines(np.array(levels) + shift, np.maximum(low, 0), high, color=axes.lines[-1].get_color(), alpha=0.6)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Depth of the fact: 0 the beginning of the prompt, 1 its end")
    axes.set_ylabel("Loss of the right answer, nats a token")
    made.legend(loc="outside upper center", ncols=5, fontsize=8, frameon=False)
    return made


def depth_by_length(found: Sequence[Recall], arm: str) -> Figure:
    """Depth against length under one arm, the darker the likelier the right answer."""
    made, axes = figure()
    known = [one for one in found if not np.isnan(one.depths).any()]
    lengths = sorted({one.length for one in known})
    levels = _levels(np.concatenate([one.depths for one in known]))
    grid = np.full((len(levels), len(lengths)), np.nan)
    for row, level in enumerate(levels):
        for column, length in enumerate(lengths):
            values = [one.nll[arm][one.depths == level] for one in known if one.length == length]
            values = np.concatenate(values) if values else np.zeros(0)
            grid[row, column] = values.mean() if len(values) else np.nan
    shown = axes.imshow(grid, aspect="auto", cmap="Blues_r", vmin=0, interpolation="nearest")
    axes.set_xticks(range(len(lengths)), [f"{one:,}" for one in lengths])
    axes.set_yticks(range(len(levels)), [f"{one:g}" for one in levels])
    axes.set_xlabel("tokens of the prompt")
    axes.set_ylabel("depth of the fact")
    axes.grid(visible=False)
    made.colorbar(shown, ax=axes, label=f"{arm}: right answer, nats a token")
    return made
