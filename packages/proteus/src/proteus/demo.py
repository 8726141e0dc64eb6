"""The main job so far on the embedded UPS1 set: load, look, test against rivals of known truth, refine."""

from __future__ import annotations

from typing import Any

import numpy as np
from ninefold.errors import MissingExtraError
from ninefold.report import BLUE, GREY, ORANGE, Table, figure
from ninefold.systems import DemoResult

from . import datasets
from ._moderated_test import TestResult, moderated_test
from ._normalise import normalise
from ._profile import profile
from .baselines import BASELINES

_Q = 0.05
_BAR = 0.15  # false share that a reader of a hit list may still accept


def demo(seed: int = 0) -> DemoResult:
    """UPS1 peptides at 100 against 25 fmol: what each test finds, and what share of it is false."""
    spike = datasets.ups1_spike_in(100, 25)
    facts = profile(spike.data)
    data = normalise(spike.data)
    group = data.samples["group"].to_numpy()
    first, second = (group == level for level in spike.contrast.split("-"))
    table = Table(["test", "hits", "true found", "of", "false share"], title="UPS1 100 v 25 fmol, BH 5 %")
    total = int((spike.truth != 0).sum())
    scores: dict[str, tuple[int, float]] = {}

    def add(name: str, q: np.ndarray) -> None:
        hit = np.nan_to_num(q, nan=1.0) <= _Q
        true = int((hit & (spike.truth != 0)).sum())
        scores[name] = true, 1 - true / max(int(hit.sum()), 1)
        table.rows.append([name, int(hit.sum()), true, total, round(scores[name][1], 3)])

    for name, rival in BASELINES.items():
        add(name, rival().test(data.values, first, second, seed=seed, n_peptides=None).q)
    plain = moderated_test(data, spike.design, spike.contrast, lfc=0.0, seed=seed)
    refined = moderated_test(data, spike.design, spike.contrast, lfc=0.0, refine=True, seed=seed)
    chosen = moderated_test(data, spike.design, spike.contrast, seed=seed)
    add("proteus, no fold bar", plain.table["q"].to_numpy())
    add("proteus, no fold bar, empirical null", refined.table["q"].to_numpy())
    add("proteus (default)", chosen.table["q"].to_numpy())
    rival = _best({name: scores[name] for name in BASELINES})
    ours = scores["proteus (default)"]
    notes = [
        f"QC: {facts.missing:.1%} missing, residual sd {facts.residual_sd:.3f}, outlying runs: "
        + (", ".join(facts.outliers) or "none"),
        *chosen.notes,
    ]
    return DemoResult(
        data=f"embedded UPS1 peptides in Chlamydomonas ({facts.features} x {facts.samples}), real, known truth",
        method=f"{ours[0]} of {total} true at {ours[1]:.0%} false",
        rival=f"{rival}: {scores[rival][0]} at {scores[rival][1]:.0%} false",
        verdict=_verdict(ours, rival, scores[rival], total),
        table=table,
        figures=_figures(chosen, spike.truth),
        notes=notes,
    )


def _best(scores: dict[str, tuple[int, float]]) -> str:
    """The rival with most true hits among those with an acceptable false share, else the one with the least."""
    fine = [name for name, (_, false) in scores.items() if false <= _BAR]
    return max(fine, key=lambda name: scores[name][0]) if fine else min(scores, key=lambda name: scores[name][1])


def _verdict(ours: tuple[int, float], name: str, rival: tuple[int, float], total: int) -> str:
    found = f"the default finds {ours[0]} of {total} spiked peptides with {ours[1]:.0%} false"
    beside = f"{name}, the best rival, finds {rival[0]} with {rival[1]:.0%} false"
    if ours[1] <= rival[1]:
        return f"{found}; {beside}: " + ("better on both" if ours[0] >= rival[0] else "cleaner, and fewer")
    return f"{found}; {beside}: the rival's list is cleaner"


def _figures(result: TestResult, truth: np.ndarray) -> list[tuple[str, Any]]:
    try:
        made, axes = figure(width=6.4, height=4.2)
    except MissingExtraError:
        return []
    effect = result.table["effect"].to_numpy()
    strength = -np.log10(np.maximum(result.table["p"].to_numpy(), 1e-300))
    hit = result.table["q"].to_numpy() <= _Q
    for mask, color, label in (
        (~hit, GREY, "not called"),
        (hit & (truth == 0), ORANGE, "called, background"),
        (hit & (truth != 0), BLUE, "called, spiked"),
    ):
        axes.scatter(effect[mask], strength[mask], s=7, color=color, label=label, linewidths=0)
    axes.set_xlabel("log2 fold change (true: 2 for spiked, 0 for background)")
    axes.set_ylabel("-log10 p")
    axes.legend(frameon=False, fontsize=8)
    caption = f"Volcano of the default test, {result.contrast}, fold bar {2**result.lfc:.2f}"
    return [(caption, made)]
