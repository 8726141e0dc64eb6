"""Which findings of contrasts replicate: each is asked in every cohort by itself, by the step that it came from."""

from collections.abc import Mapping, Sequence
from typing import Any

from ninefold.errors import InputError

from proteus.differential._measures import Q
from proteus.differential._missing import MissingModel
from proteus.differential._replication import Replication, replicate
from proteus.record._ledger import Ledger
from proteus.record._objects import Step
from proteus.record._store import Store
from proteus.study._answer import Answer
from proteus.tools._context import Context
from proteus.tools._prepare import Tested, prepared


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
