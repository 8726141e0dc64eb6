"""Whole comparisons from names: a text, question sets and rivals by name, a model with its pruner; tables, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ninefold.progress import progress
from ninefold.report import Table, save_figure

from tokenprune import datasets
from tokenprune.baselines._redundancy import redundancy
from tokenprune.evaluation import _compare, _recall, _speed
from tokenprune.evaluation._evaluate import questions_as_scored
from tokenprune.evaluation._roles import filler_for, for_fitting, for_scoring, tokens_for, with_tasks
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored, windows
from tokenprune.models._layout import Layout
from tokenprune.pruner._report import Report, pareto

COMPARED = ("pareto.png", "gate-map.png")
RECALLED = ("recall-by-depth.png", "recall-depth-by-length.png")
RANDOM = "random weights: the mechanics, and nothing about quality"


def compare_on_text(
    model: Any, tokenizer: Any, pruner: Any, rivals: Sequence[str], calibration: str, text: str, cut: Mapping[str, int],
    *, tasks: Sequence[str] = (), items: int = 20, prompt: int = 512, repeats: int = 3, seed: int = 0,
) -> tuple[dict[str, Executor], dict[str, _compare.Row], Scored]:  # fmt: skip
    """Fit rivals to the sparsity of a pruner, and score and time all of them and the dense model.

    Args:
        model: the language model. tokenizer: its own; None: bytes. pruner: on that model.
        rivals: of `BASELINES`.
        calibration: text that rivals are fitted to (all but its last fifth). text: whose last fifth is scored.
        cut: of both texts: count of windows, length of each, and its last tokens that are scored.
        tasks: multiple-choice sets. items: questions of each, after two solved ones.
        prompt: tokens of the timed prompt. repeats: rounds of timing. seed: of the windows that are scored.
    Returns: executors by name, "dense" and "tokenprune" among them; their scores; windows that were scored.
    Raises: InputError if a text is too short.
    """
    (chosen_on,) = for_fitting(calibration, tokenizer, roles=1, seed=0, **cut)
    data = for_scoring(text, tokenizer, seed=seed + 100, **cut)
    posed, labels = [], []
    for task in tasks:
        chosen = datasets.questions(task)[: items + 2]
        posed += questions_as_scored(chosen[2:], chosen[:2], tokenizer)
        labels += [one.label for one in chosen[2:]]
    arms = _compare.fitted(model, pruner, rivals, pruner.config.target_sparsity, chosen_on, seed=seed)
    rows = _compare.compare(
        Layout.of(model), arms, data, questions=posed, labels=labels, prompt=prompt, repeats=repeats
    )
    return arms, rows, data


def draw_compared(arms: Mapping[str, Executor], rows: Mapping[str, _compare.Row], text: Scored, out: Path) -> None:
    """Write the pictures `COMPARED` into a folder: loss by operations, and the tokens that each block computed."""
    dense = rows["dense"].text.flops
    points = [(name, row.text.flops / dense, float(row.text.nll.mean())) for name, row in rows.items()]
    save_figure(pareto(points, "NLL of text"), out / COMPARED[0], "tokenprune")
    ids, mask, protect = text.part(0, 1).inputs
    ours = arms["tokenprune"]
    stream = ours.prefill(ours.start(ids, mask, protect=protect, record=True))
    save_figure(Report.of(ours, stream).gate_map(), out / COMPARED[1], "tokenprune")


def recall_on_text(
    model: Any, tokenizer: Any, pruner: Any, rivals: Sequence[str], text: str, *, kinds: Sequence[str],
    lengths: Sequence[int], items: int = 10, role: str = "test", name: str = "pruner", seed: int = 0,
) -> list[_recall.Recall]:  # fmt: skip
    """Ask for facts in long prompts, under the dense model, a pruner and rivals at its sparsity.

    Args:
        model, tokenizer, pruner, rivals: see `compare_on_text`.
        text: filler is cut from its last fifth; rivals are fitted to the rest.
        kinds: of tasks. lengths: tokens of the prompts. items: tasks of each kind and length.
        role: whose templates. name: of the pruner's arm. seed: random seed.
    Raises: InputError if the text is too short, or for an unknown kind.
    """
    filler = filler_for(text, tokenizer, longest=max(lengths))
    groups = [datasets.long_tasks(kind, role, tokenizer, filler=filler, count=items, length=size, seed=seed)
              for kind in kinds for size in lengths]  # fmt: skip
    (chosen_on,) = for_fitting(text, tokenizer, roles=1, count=8, length=128, scored=24, seed=0)
    chosen_on = with_tasks(chosen_on, "validation", tokenizer, each=2, length=min(lengths), seed=0)
    arms = _compare.fitted(model, pruner, rivals, pruner.config.target_sparsity, chosen_on, seed=seed, ours=name)
    found = []
    with progress(len(groups), "asking") as bar:
        for group in groups:
            found.append(_recall.recall(arms, group))
            bar.advance(1, note=f"{found[-1].kind}, {found[-1].length} tokens")
    return found


def draw_recall(found: Sequence[_recall.Recall], arm: str, out: Path) -> bool:
    """Write the pictures `RECALLED` into a folder, unless facts have no depth; whether they were written."""
    if all(one.kind == "few-shot" for one in found):
        return False
    save_figure(_recall.by_depth(found), out / RECALLED[0], "tokenprune")
    save_figure(_recall.depth_by_length(found, arm), out / RECALLED[1], "tokenprune")
    return True


def redundancy_on_text(
    model: Any, tokenizer: Any, text: str, *, count: int, length: int, seed: int = 0
) -> tuple[Table, dict[str, float]]:
    """How redundant each block is on windows of a text: a table, and the share of redundant tokens overall.

    Args:
        model, tokenizer: see `compare_on_text`. text: its name. count: windows. length: tokens of each. seed: of them.
    """
    ids = tokens_for(count * length, datasets.text(text), tokenizer)
    data = windows(ids, length=length, scored=1, count=count, seed=seed, prefix=datasets.prefix(tokenizer))
    found = redundancy(Layout.of(model), data)
    share, influence = found.share_above(0.8), found.influence
    table = Table(["block", "tokens with cosine > 0.8", "block influence"], title="Redundancy")
    table.rows += [[block, float(s), float(i)] for block, (s, i) in enumerate(zip(share, influence, strict=True))]
    return table, {"overall": float(share.mean()), "block 0": float(share[0]), "median block": float(share.median())}


def prefill_table(model: Any, lengths: Sequence[int], sparsity: float, *, repeats: int, seed: int = 0) -> Table:
    """Seconds of prefill at each length, dense and pruned; see `_speed.prefill`."""
    table = Table(["tokens", "arm", "seconds", "times as fast", "95 % interval", "bound by FLOPs"])
    for length in lengths:
        for line in _speed.prefill(model, length, [sparsity], repeats=repeats, seed=seed):
            interval = f"[{line['low']:.3g}, {line['high']:.3g}]"
            table.rows.append([line["tokens"], line["arm"], line["seconds"], line["ratio"], interval, line["bound"]])
    return table
