"""The main job on the embedded UPS1 set: objectives, workflows, refinements, graded hypotheses, in addition to
known truth."""

import textwrap
from typing import Any, Literal

import numpy as np
import pandas as pd
from ninefold.arms import Arms
from ninefold.errors import MissingExtraError
from ninefold.report import BLUE, GREY, ORANGE, Table, figure
from ninefold.systems import DemoResult
from scipy import stats

from proteus import datasets
from proteus.differential._moderated_test import moderated_test
from proteus.differential._normalise import normalise
from proteus.record._objects import Budget
from proteus.statistics._error_control import benjamini_hochberg
from proteus.study._study import Report, Study

_Q = 0.05
_BUDGET = Budget(objectives=2, hypotheses=60)


def demo(seed: int = 0) -> DemoResult:
    """UPS1 peptides at 100 against 25 fmol: what each test finds, what share is false, and the hypotheses."""
    spike = datasets.ups1_spike_in(100, 25)
    report = Study(spike.data).run(_BUDGET, seed)
    data = normalise(spike.data)
    group = data.samples["group"].to_numpy()
    first, second = (group == level for level in spike.contrast.split("-"))
    table = Table(["list", "called", "true", "of", "false share"], title="UPS1 100 v 25 fmol, BH 5 %")
    spiked = spike.truth != 0
    false: dict[str, np.ndarray] = {}  # of each list, whether an entry is: 100 or 0

    def add(name: str, called: np.ndarray, truth: np.ndarray) -> None:
        true = int((called & truth).sum())
        false[name] = 100.0 * ~truth[called] if called.any() else np.zeros(1)
        table.rows.append([name, int(called.sum()), true, int(truth.sum()), round(false[name].mean() / 100, 3)])

    one, two = data.values[:, first], data.values[:, second]
    enough = (np.isfinite(one).sum(1) >= 2) & (np.isfinite(two).sum(1) >= 2)
    moments = [moment for side in (one[enough], two[enough]) for moment in _moments(side)]
    for name, equal in (("Welch", False), ("Student", True)):
        p = np.full(len(one), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            p[enough] = stats.ttest_ind_from_stats(*moments, equal_var=equal)[1]
        q = benjamini_hochberg(p)
        add(f"peptides, {name}", np.nan_to_num(q, nan=1.0) <= _Q, spiked)
    bars: dict[str, float | Literal["auto"]] = {"proteus": "auto", "proteus, no fold bar": 0.0}
    versions = {name: moderated_test(data, spike.design, spike.contrast, lfc=bar).table for name, bar in bars.items()}
    for name, frame in versions.items():
        add(f"peptides, {name}", (frame["q"] <= _Q).to_numpy(), spiked)
    proteins = spike.data.features["protein"].astype(str)
    truth = spiked[~proteins.duplicated().to_numpy()]
    names = proteins[~proteins.duplicated()].to_numpy()
    graded = {one.entities[0] for one in report.firm()}
    add("proteins, firm hypotheses", np.isin(names, list(graded)), truth)
    arms = Arms(
        scores=false, ours="peptides, proteus", measured="false share of the peptides called", unit="%", lower=True,
        shown=["peptides, proteus, no fold bar", "proteins, firm hypotheses"],
    )  # fmt: skip
    found = {row[0]: row[2] for row in table.rows}
    share = {row[0]: row[4] for row in table.rows}
    plain = arms.rival.removeprefix("peptides, ")
    more = found[arms.ours] - found[arms.rival]
    also = f"{more} more changed peptides are found" if more > 0 else f"{found[arms.ours]} changed peptides are found"
    return DemoResult(
        data=f"embedded UPS1 peptides in Chlamydomonas, {len(spike.truth)} x {len(group)}, real, known truth",
        arms=arms,
        table=table,
        figures=_figures(versions["proteus"], spike.truth, proteins.to_numpy(), report),
        notes=[
            f"{len(report.hypotheses)} hypotheses, {len(report.firm())} firm; {arms.text(arms.shown[1])} false.",
            f"Without the fold bar that is stated beforehand {arms.text(arms.shown[0])} of the calls are false.",
            *_story(report),
        ],
        headline=f"{share[arms.ours]:.0%} of the calls are false instead of {share[arms.rival]:.0%} with {plain}'s "
        f"t-test, and {also}.",
        looking_at="Peptides added in known amounts, and the sentences that proteus writes about their proteins.",
    )


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation and number of the values that are seen, of each row."""
    return np.nanmean(values, 1), np.nanstd(values, 1, ddof=1), np.isfinite(values).sum(1)


def _story(report: Report) -> list[str]:
    lines = []
    for one in report.answers:
        steps = ", ".join(step.tool for step in one.workflows[-1].steps)
        lines.append(f"{one.objective.id}: {one.objective.question} ({steps})")
        for change in one.refinements:
            trigger = ", ".join(f"{key} {value}" for key, value in change["trigger"].items())
            after = change.get("changed")
            hits = f"; hits {after['before']} to {after['after']}" if after else ""
            lines.append(f"refined {change['step']}: {change['params'] or change['action']} as {trigger}{hits}")
    lines += [
        f"{one.id} ({one.grade}): {text}" for one, text in zip(report.hypotheses[:5], report.statements, strict=False)
    ]
    return lines


_NAMED, _WIDTH = 3, 48  # hypotheses in the picture; characters of a line


def _figures(table: pd.DataFrame, truth: np.ndarray, proteins: np.ndarray, report: Report) -> list[tuple[str, Any]]:
    """The first hypotheses as sentences, over the volcano in which their proteins have their names."""
    try:
        made, axes = figure(width=4.8, height=5.4)
    except MissingExtraError:
        return []
    effect = table["effect"].to_numpy()
    strength = -np.log10(np.maximum(table["p"].to_numpy(), 1e-300))
    hit = table["q"].to_numpy() <= _Q
    for mask, color, label in (
        (~hit, GREY, "not called"),
        (hit & (truth == 0), ORANGE, "called, false"),
        (hit & (truth != 0), BLUE, "called, true"),
    ):
        axes.scatter(effect[mask], strength[mask], s=9, color=color, label=label, linewidths=0)
    axes.set_xlabel("log2 change", fontsize=12.5)
    axes.set_ylabel("-log10 p", fontsize=12.5)
    axes.tick_params(labelsize=12.5)
    axes.legend(frameon=False, fontsize=12.5, loc="lower right", handletextpad=0.1, borderpad=0)
    top = float(np.nanmax(strength))
    axes.set_ylim(-0.4, top * 1.25)
    axes.set_xlim(-4, 8.5)  # one peptide is outside
    lines = []
    for number, (one, text) in enumerate(zip(report.hypotheses[:_NAMED], report.statements, strict=False), 1):
        name = _short(one.entities[0])
        said = text.replace(one.entities[0], name).split(" (")[0]
        lines.append(textwrap.fill(f"{number}. {said}", _WIDTH, subsequent_indent="    "))
        own = np.flatnonzero((proteins == one.entities[0]) & hit)
        if len(own):
            best = own[np.argmax(strength[own])]
            axes.annotate(name, (effect[best], strength[best]), (4.9, top * (1.3 - 0.13 * number)), fontsize=12.5,
                          arrowprops={"arrowstyle": "-", "color": "black", "linewidth": 0.7}, va="center")  # fmt: skip
    axes.set_title("\n".join(lines), fontsize=12.5, loc="left", x=-0.12)
    return [("The first three hypotheses, and all peptides by change and p-value", made)]


def _short(name: str) -> str:
    """A protein's entry name without organism and label."""
    return name.split("|")[-1].split("_")[0].removesuffix("ups")
