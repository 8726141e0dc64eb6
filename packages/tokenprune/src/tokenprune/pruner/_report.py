"""What a prompt took: tokens kept by each block, operations, bytes of the cache, and the picture of the gates."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ninefold.report import Table, figure

from tokenprune.executor._cost import Cost
from tokenprune.executor._executor import Executor
from tokenprune.executor._stream import Stream
from tokenprune.pruner._config import FTPConfig
from tokenprune.routers._schedule import kept_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINE, _WIDTH = 9.0, 90.0  # points that a name takes beside its dot


@dataclass(frozen=True)
class Report:
    """What one prompt, or one batch, took.

    Attributes:
        lengths: tokens of each row.
        asked: sparsity asked of each block.
        kept: (N, B) tokens kept.
        gates: (N, L) bool, kept tokens of the first row.
        cost, dense: of this pass, and of the dense model; without the head.

    Examples:
        >>> import torch
        >>> from tokenprune import FTPConfig, TokenPruner, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> report = TokenPruner(model, FTPConfig(target_sparsity=0.5)).report(ids)
        >>> report.kept[:, 0].tolist()  # of 40 tokens, by block
        [40, 14, 14, 14]
        >>> round(report.sparsity, 2), report.cost.flops < report.dense.flops
        (0.49, True)
        >>> report.table().columns
        ['block', 'asked', 'skipped', 'kept tokens']
    """

    lengths: list[int]
    asked: tuple[float, ...]
    kept: np.ndarray
    gates: np.ndarray
    cost: Cost
    dense: Cost

    @classmethod
    def of(cls, executor: Executor, stream: Stream) -> Report:
        """The report of a stream that recorded its masks."""
        assert stream.masks is not None
        gates = np.stack([mask[0, : stream.lengths[0]].cpu().numpy() for mask in stream.masks])
        kept = np.array(stream.kept)
        return cls(list(stream.lengths), executor.routing(stream).schedule, kept, gates, executor.cost(stream),
                   executor.costs.dense(stream.lengths))  # fmt: skip

    @property
    def sparsity(self) -> float:
        """Achieved share of (token, block) pairs skipped."""
        return float(1 - self.kept.sum() / (len(self.kept) * sum(self.lengths)))

    def table(self) -> Table:
        """A row for each block."""
        total = sum(self.lengths)
        table = Table(["block", "asked", "skipped", "kept tokens"], title="What each block kept")
        table.rows += [[block, self.asked[block], float(1 - kept.sum() / total), int(kept.sum())]
                       for block, kept in enumerate(self.kept)]  # fmt: skip
        routing = f"routing {self.cost.routing_flops / self.cost.flops:.2%}"
        table.notes += [
            f"skipped in all: {self.sparsity:.1%} of (token, block) pairs",
            f"operations: {self.cost.flops / 1e9:.2f} G, {self.cost.flops / self.dense.flops:.1%} of dense, {routing}",
            f"KV cache: {self.cost.kv_bytes:,} bytes, {self.cost.kv_bytes / self.dense.kv_bytes:.1%} of dense",
        ]
        return table

    def gate_map(self) -> Figure:
        """Blocks by tokens: which token was computed where."""
        made, axes = figure()
        axes.imshow(self.gates, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.grid(visible=False)
        axes.locator_params(integer=True)  # there is no block 0.5
        axes.set_title("dark: computed, light: passed by", fontsize=8)
        axes.set_xlabel("token")
        axes.set_ylabel("block")
        return made


_COLUMNS, _SIZE = 44, 12.0  # characters of a line, points of the letters: 5 inches in all


def shaded_prompt(pieces: Sequence[str], share: Sequence[float], below: Sequence[str]) -> Figure:
    """A prompt as text, each word the darker the more blocks compute it.

    Args:
        pieces: text of each token, blanks included.
        share: of each token, the share of blocks that compute it, 0 to 1.
        below: lines that follow the prompt: question, answers, cost.
    """
    lines: list[list[tuple[str, float]]] = [[]]
    for word, dark in _words_of(pieces, share):
        for part in [word[at : at + _COLUMNS] for at in range(0, len(word), _COLUMNS)]:
            if sum(len(one) + 1 for one, _ in lines[-1]) + len(part) > _COLUMNS:
                lines.append([])
            lines[-1].append((part, dark))
    rest = [part for line in below for part in textwrap.wrap(line, _COLUMNS)]
    rows = len(lines) + len(rest) + 1
    from matplotlib.patches import Rectangle

    made, axes = figure(5.0, rows * 1.45 * _SIZE / 72)
    axes.set_axis_off()
    axes.set_xlim(0, _COLUMNS)
    axes.set_ylim(rows, 0)
    font: dict[str, Any] = {"family": "monospace", "fontsize": _SIZE, "va": "center", "clip_on": False}
    for row, line in enumerate(lines):
        at = 0
        for word, dark in line:
            axes.add_patch(Rectangle((at - 0.5, row), len(word) + 1, 1, color=str(0.97 - 0.72 * dark), linewidth=0))
            axes.text(at, row + 0.5, word, color="white" if dark > 0.6 else "black", **font)
            at += len(word) + 1
    for row, line in enumerate(rest, len(lines) + 1):
        axes.text(0, row + 0.5, line, color="black", **font)
    return made


def _words_of(pieces: Sequence[str], share: Sequence[float]) -> list[tuple[str, float]]:
    """Tokens joined to words, each with the mean share of its tokens."""
    words: list[tuple[str, list[float]]] = []
    for piece, one in zip(pieces, share, strict=True):
        if not words or piece[:1].isspace():
            words.append(("", []))
        parts = piece.split()
        for number, part in enumerate(parts):
            if number:
                words.append(("", []))
            words[-1] = words[-1][0] + part, [*words[-1][1], one]
        if piece[-1:].isspace():
            words.append(("", []))
    return [(word, float(np.mean(dark))) for word, dark in words if word]


def planned_cost(executor: Executor, config: FTPConfig, lengths: Sequence[int], *, query: int | None = None) -> Cost:
    """Cost of prompts of these lengths under a pruner's settings, when the budget is met exactly.

    `query`: how many last tokens of each hold the question; None: not known.
    """
    router: Any = executor.router.of(max(lengths, default=0))
    kept = [[kept_count(length, s) for length in lengths] for s in router.schedule]
    (window,) = router.windows(1, None if query is None else [query])
    ahead = [executor.costs.looking(lengths, window, router.ahead(block)) for block in range(len(kept))]
    routed = [sum(lengths) * router.flops * (s > 0) + more for s, more in zip(router.schedule, ahead, strict=True)]
    cached = None
    if config.cache_tokens is not None:  # the window and the first token always stay
        most = max(config.cache_tokens, router.window + 1)
        cached = {block: [min(k, most) for k in counts] for block, counts in enumerate(kept)}
    scored = [window * (router.queries(block) > 0) for block in range(len(kept))]
    return executor.costs.of_kept(kept, logits=len(lengths), scored=scored, routed=routed, cached=cached)


def pareto(rows: Sequence[tuple[str, float, float]], label: str) -> Figure:
    """(name, share of the dense operations, score) of each method as a picture; lower scores are better."""
    made, axes = figure()
    for _, share, score in rows:
        axes.scatter([share], [score], s=30)
    axes.margins(x=0.15)
    axes.set_xlabel("operations, share of dense")
    axes.set_ylabel(label)
    axes.autoscale_view()  # names are laid out on what is shown
    places = axes.transData.transform([row[1:] for row in rows]) * 72 / made.dpi
    named: list[tuple[float, float]] = []
    for at in np.argsort(places[:, 1], kind="stable"):  # from below; one that would cover another goes above it
        x, y = places[at]
        top = max([y, *(other + _LINE for beside, other in named if abs(beside - x) < _WIDTH)])
        named.append((x, top))
        axes.annotate(rows[at][0], rows[at][1:], fontsize=7, xytext=(12, top - y), textcoords="offset points",
                      va="center", arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "0.6"})  # fmt: skip
    return made
