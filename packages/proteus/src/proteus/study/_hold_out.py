"""Asked again elsewhere: hypotheses on samples held out, which nothing sees before, once; findings in each cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.differential._measures import Q
from proteus.differential._missing import MissingModel
from proteus.differential._replication import Replication, replicate
from proteus.planning._templates import main_factors
from proteus.record._ledger import Ledger
from proteus.record._objects import DatasetProfile, Finding, Hypothesis, Step
from proteus.record._store import Store
from proteus.statistics._error_control import benjamini_hochberg
from proteus.study._grading import ALPHA
from proteus.tools._context import Context
from proteus.tools._prepare import Tested, prepared
from proteus.tools._registry import Input

if TYPE_CHECKING:
    from proteus.study._answer import Answer
    from proteus.study._engine import Engine

LEAST, ARTIFACT = 60, "hold_out"
_SHARES = (0.1, 0.5)
_COLUMNS = ("id", "artifact", "row", "effect", "p", "q", "n", "held")


def split(data: ProteomicsData, profile: DatasetProfile, share: float, seed: int) -> np.ndarray:
    """Samples held out, (N,) bool: the share of each stratum (main factor, and event where there is follow-up).

    Subjects measured more than once stay whole, in the stratum of their first sample.

    Raises:
        InputError: fewer than 60 samples, a table of cells, or a share outside 0.1 to 0.5.
    """
    if profile.kind == "cell" or data.shape[1] < LEAST:
        got = "a table of cells" if profile.kind == "cell" else f"{data.shape[1]} samples"
        raise InputError(
            "--hold-out", got=got, expected=f"{LEAST} samples or more, so that both parts can carry a test"
        )
    if not _SHARES[0] <= share <= _SHARES[1]:
        raise InputError("--hold-out", got=share, expected=f"a share from {_SHARES[0]} to {_SHARES[1]}")
    names = [one.name for one in main_factors(profile)[:1]] + list(profile.outcome[1:])
    stratum = data.samples[names].astype(str).agg("|".join, axis=1) if names else pd.Series("", data.samples.index)
    subjects = data.samples[profile.block] if profile.block else pd.Series(data.samples.index, data.samples.index)
    subject = subjects.astype(str).to_numpy()
    first = pd.Series(stratum.to_numpy(), subject).groupby(level=0, sort=True).first()
    generator, held = np.random.default_rng(seed), set()
    for _, part in first.groupby(first, sort=True):
        held.update(generator.permutation(part.index.to_numpy(object))[: round(share * len(part))])
    return np.isin(subject, list(held))


def confirm(engine: Engine, hypotheses: Sequence[Hypothesis], data: ProteomicsData) -> tuple[list[Hypothesis], Any]:
    """Each hypothesis' first finding tested once on samples that were held out, by the same steps.

    Args:
        engine: after its run; workflows are taken as they were in the end.
        data: the samples held out.
    Returns:
        Hypotheses with `held` set (None where there is no such test: descriptive findings, or a step that cannot run),
        and the table: id (of the hypothesis), artifact, row, effect, p (one-sided), q (BH over all), n, held.
    """
    whole = engine.context
    context = Context(
        data, whole.profile, whole.sets, whole.network, whole.markers, whole.rules, whole.seed, whole.literature
    )  # fmt: skip
    findings = {one.id: one for answer in engine.answers for one in answer.findings()}
    made: dict[tuple[str, str], dict[str, pd.DataFrame] | None] = {}
    rows = []
    for one in hypotheses:
        finding = findings[one.evidence[0]]
        if finding.descriptive or finding.sign == 0 or finding.kind == "module":
            continue  # modules are found in the samples that they are tested on: others would give other ones
        answer, step, table = _origin(engine, finding)
        key = answer.objective.id, step
        if key not in made:
            made[key] = _again(engine, answer, step, context)
        found = _row(made[key], table, finding)
        if found is not None:
            rows.append((one.id, finding.artifact, finding.row, *found, data.shape[1]))
    frame = pd.DataFrame(rows, columns=["id", "artifact", "row", "effect", "p", "n"])
    frame["q"] = benjamini_hochberg(frame["p"].to_numpy(float))
    frame["held"] = frame["q"] <= ALPHA
    held = dict(zip(frame["id"], frame["held"].astype(bool), strict=True))
    return [one.model_copy(update={"held": held.get(one.id)}) for one in hypotheses], frame[list(_COLUMNS)]


def _origin(engine: Engine, finding: Finding) -> tuple[Answer, str, str]:
    """(answer, step, table) that a finding is from."""
    for answer in engine.answers:
        for step, result in answer.results.items():
            for table, artifact in result.artifacts.items():
                if artifact == finding.artifact:
                    return answer, step, table
    raise KeyError(finding.artifact)


def _again(engine: Engine, answer: Answer, name: str, context: Context) -> dict[str, pd.DataFrame] | None:
    """Tables of a step, and of what it reads, run on other samples; None if one cannot run there."""
    outputs: dict[str, Any] = {}

    def run(one: str) -> Input:
        step = answer.workflows[-1].step(one)
        if one not in outputs:
            tool = engine.tools[step.tool]
            inputs = [run(other) for other in step.inputs]
            outputs[one] = tool.run(context, tool.params.model_validate(step.params), inputs)
        return Input(step, outputs[one].tables, outputs[one].metrics)

    try:
        return dict(run(name).tables)
    except InputError:
        return None


def _row(tables: dict[str, pd.DataFrame] | None, table: str, finding: Finding) -> tuple[float, float] | None:
    """(effect, one-sided p in the finding's direction) of the finding's row, if it was tested."""
    if tables is None:
        return None
    frame = tables[table]
    found = frame[frame["id"].astype(str) == finding.row]
    if len(found) != 1 or not np.isfinite(found["p"].iloc[0]):
        return None
    effect, p = float(found["effect"].iloc[0]), float(found["p"].iloc[0])
    return effect, p / 2 if np.sign(effect) == finding.sign else 1 - p / 2


def replicated(
    answers: Sequence[Answer], context: Context, cohort: str, store: Store, ledger: Ledger
) -> Mapping[str, bool]:
    """By the id of a finding, whether it replicates in its direction; findings of other tools are not in it.

    The table of each contrast is kept as the artifact `replication.O1.S2`. Where fewer than two cohorts can be asked
    for a contrast, that is noted, and none of its findings replicates.
    """
    found: dict[str, bool] = {}
    for answer in answers:
        for key, result in answer.results.items():
            step = answer.workflows[-1].step(key)
            if step.tool != "contrast" or "features" not in result.artifacts or key in answer.means:
                continue
            name, about = f"replication.{answer.objective.id}.{key}", {"objective": answer.objective.id, "step": key}
            try:
                made = _asked(step, context, cohort)
            except InputError as error:
                ledger.note("replication", **about, cohorts=[], replicated=0, notes=[str(error)], files={})
                continue
            table = made.table.rename_axis("id").reset_index().astype({"id": str})
            ledger.note(
                "replication", **about, cohorts=made.cohorts, replicated=len(made.replicated()), notes=made.notes,
                files=store.save(name, table),
            )  # fmt: skip
            rows = {str(row["id"]): row for row in table.to_dict("records")}
            for one in result.findings:
                found[one.id] = one.row in rows and _same(rows[one.row], one.sign)
    return found


def _asked(step: Step, context: Context, cohort: str) -> Replication:
    params = Tested.model_validate(step.params)
    model = MissingModel(kind=params.missing, slope=params.slope, curve_of=params.curve_of, floor=params.floor)
    return replicate(
        prepared(context, params), params.design, params.contrast, cohort, lfc=params.lfc, trend=params.trend,
        robust=params.robust, block=params.block, missing=model,
    )  # fmt: skip


def _same(row: Mapping[Any, Any], sign: int) -> bool:
    direction = row["effect"] if row["effect"] == row["effect"] else sign  # of one group alone: signs agree already
    return bool(row["q"] <= Q and row["same_sign"] and direction * sign > 0)
