"""Findings tested again in each cohort; of one cohort alone what its halves predict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ninefold.errors import InputError

from proteus.differential._measures import Q
from proteus.differential._missing import MissingModel
from proteus.differential._replication import predict_replication, replicate
from proteus.record._ledger import Ledger
from proteus.record._objects import Ref
from proteus.record._store import Store
from proteus.study._answer import Answer
from proteus.tools._context import Context
from proteus.tools._prepare import Tested, prepared
from proteus.tools._tools_bulk import plain_id

_SPLITS = 10


@dataclass(frozen=True)
class Again:
    """Whether a finding replicates, and the cell of its q over cohorts (None where no cohort tested it)."""

    replicates: bool
    q: Ref | None = None


def replicated(
    answers: Sequence[Answer], context: Context, cohort: str, store: Store, ledger: Ledger
) -> Mapping[str, Again]:
    """By the id of a finding, whether it replicates in its direction; findings of other tools are not in it.

    The table of each contrast is kept as the artifact `replication.O1.S2`. Where fewer than two cohorts can be asked
    for a contrast, that is noted, and none of its findings replicates.
    """
    found: dict[str, Again] = {}
    for answer in answers:
        for key, result in answer.results.items():
            step = answer.workflows[-1].step(key)
            if step.tool != "contrast" or "features" not in result.artifacts or key in answer.means:
                continue
            name, about = f"replication.{answer.objective.id}.{key}", {"objective": answer.objective.id, "step": key}
            try:
                params = Tested.model_validate(step.params)
                data = prepared(context, params)
                made = replicate(data, params.design, params.contrast, cohort, **_options(params))
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
                again = one.row in rows and _same(rows[one.row], one.sign)
                found[one.id] = Again(again, Ref(artifact=name, row=one.row, column="q") if one.row in rows else None)
    return found


def predicted(answers: Sequence[Answer], context: Context, store: Store, ledger: Ledger) -> tuple[str, float] | None:
    """(contrast, rate) that halves of the one cohort predict for hits of the first contrast that has any.

    Its table is kept as the artifact `predicted.O1.S2`; None where there is nothing to ask, or too few samples.
    """
    tests = (
        (answer, step) for answer in answers for step in (answer.workflows[-1].steps if answer.workflows else [])
        if step.tool == "contrast" and step.id not in answer.means and step.id in answer.results
        and answer.results[step.id].findings
    )  # fmt: skip
    answer, step = next(tests, (None, None))
    if answer is None or step is None:
        return None
    params, about = Tested.model_validate(step.params), {"objective": answer.objective.id, "step": step.id}
    try:
        made = predict_replication(
            prepared(context, params), params.design, params.contrast, splits=_SPLITS, seed=context.seed,
            subject=context.profile.block, **_options(params),
        )  # fmt: skip
    except InputError as error:
        ledger.note("predicted", **about, contrast=params.contrast, rate=None, splits=0, notes=[str(error)], files={})
        return None
    ledger.note(
        "predicted", **about, contrast=params.contrast, rate=made.rate, splits=made.splits, notes=made.notes,
        files=store.save(f"predicted.{answer.objective.id}.{step.id}", plain_id(made.table)),
    )  # fmt: skip
    return params.contrast, made.rate


def _options(params: Tested) -> dict[str, Any]:
    model = MissingModel(kind=params.missing, slope=params.slope, curve_of=params.curve_of, floor=params.floor)
    return {
        "lfc": params.lfc,
        "trend": params.trend,
        "robust": params.robust,
        "block": params.block,
        "spread": params.spread,
        "missing": model,
    }


def _same(row: Mapping[Any, Any], sign: int) -> bool:
    return bool(row["q"] <= Q and row["direction"] == sign)
