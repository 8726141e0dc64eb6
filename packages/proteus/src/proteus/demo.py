"""The main job on the embedded UPS1 set: objectives, workflows, refinements, graded hypotheses, in addition to
known truth."""

import textwrap
from typing import Any

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
    found: dict[str, np.ndarray] = {}  # of each list, whether a changed peptide is in it: 100 or 0

    def add(name: str, called: np.ndarray, truth: np.ndarray) -> None:
        true = int((called & truth).sum())
        found[name] = 100.0 * called[truth]
        table.rows.append([name, int(called.sum()), true, int(truth.sum()), round(1 - true / max(1, called.sum()), 3)])

    tests = {"proteus": moderated_test(data, spike.design, spike.contrast, lfc="auto")}
    tests["proteus, no fold bar"] = moderated_test(data, spike.design, spike.contrast, lfc=0.0)
    calls = {name: (test.table["q"] <= _Q).to_numpy() for name, test in tests.items()}
    for name, equal in (("Welch", False), ("Student", True)):
        for ending, bar in (("", tests["proteus"].lfc), (", no fold bar", 0.0)):
            calls[name + ending] = _t_test(data.values[:, first], data.values[:, second], equal, bar) <= _Q
    for name, called in calls.items():
        add(f"peptides, {name}", called, spiked)
    proteins = spike.data.features["protein"].astype(str)
    truth = spiked[~proteins.duplicated().to_numpy()]
    names = proteins[~proteins.duplicated()].to_numpy()
    graded = {one.entities[0] for one in report.firm()}
    add("proteins, firm hypotheses", np.isin(names, list(graded)), truth)
    without = [name for name in found if name.endswith("no fold bar")]
    arms = Arms(
        scores=found, ours="peptides, proteus", measured="changed peptides found", unit="%",
        shown=[*without, "proteins, firm hypotheses"],
    )  # fmt: skip
    share = {row[0]: f"{100 * row[4]:.0f} %" for row in table.rows}  # of the calls that is false
    plain, rate = arms.rival.removeprefix("peptides, "), {name: float(one.mean()) for name, one in found.items()}
    return DemoResult(
        data=f"embedded UPS1 peptides in Chlamydomonas, {len(spike.truth)} x {len(group)}, real, known truth",
        arms=arms,
        table=table,
        figures=_figures(tests["proteus"].table, spike.truth, proteins.to_numpy(), report),
        notes=[
            f"{len(report.hypotheses)} hypotheses, {len(report.firm())} firm, {share[arms.shown[-1]]} of them false.",
            f"Without the fold bar, {share[f'{arms.ours}, no fold bar']} of what proteus calls is false.",
            f"Without it, {share[f'{arms.rival}, no fold bar']} of what {plain}'s test calls is false.",
            *_story(report),
        ],
        headline=f"{rate[arms.ours]:.0f} % of the changed peptides found instead of {rate[arms.rival]:.0f} % with "
        f"{plain}'s t-test at the same fold bar ({share[arms.ours]} and {share[arms.rival]} of the calls are false).",
        looking_at="Peptides added in known amounts, and the sentences that proteus writes about their proteins.",
    )


def _t_test(one: np.ndarray, two: np.ndarray, equal: bool, bar: float) -> np.ndarray:
    """BH q of |change| > bar by Welch's or Student's t, as TREAT asks it; 1 with fewer than two values in a group."""
    enough = (np.isfinite(one).sum(1) >= 2) & (np.isfinite(two).sum(1) >= 2)
    (ma, sa, na), (mb, sb, nb) = _moments(one[enough]), _moments(two[enough])
    a, b, df = sa**2 / na, sb**2 / nb, na + nb - 2
    with np.errstate(invalid="ignore", divide="ignore"):
        if equal:
            error = np.sqrt(((na - 1) * sa**2 + (nb - 1) * sb**2) / df * (1 / na + 1 / nb))
        else:
            error, df = np.sqrt(a + b), (a + b) ** 2 / (a**2 / (na - 1) + b**2 / (nb - 1))
        size, p = np.abs(ma - mb), np.full(len(one), np.nan)
        p[enough] = stats.t.sf((size - bar) / error, df) + stats.t.sf((size + bar) / error, df)
    return np.nan_to_num(benjamini_hochberg(p), nan=1.0)


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
            done = " ".join(f"{key}={value}" for key, value in change["params"].items()) or change["action"]
            lines.append(f"refined {change['step']}: {done} as {trigger}{hits}")
    lines += [
        f"{one.id} ({one.grade}): {text}" for one, text in zip(report.hypotheses[:5], report.statements, strict=False)
    ]
    return lines


_NAMED, _WIDTH = 3, 48  # results in the picture; characters of a line


def _figures(table: pd.DataFrame, truth: np.ndarray, proteins: np.ndarray, report: Report) -> list[tuple[str, Any]]:
    """The first results as sentences, over the volcano in which their proteins have their names."""
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
    return [("The first three results, and all peptides by change and p-value", made)]


def _short(name: str) -> str:
    """A protein's entry name without organism and label."""
    return name.split("|")[-1].split("_")[0].removesuffix("ups")
