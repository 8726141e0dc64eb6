"""Tools beyond single features: gene sets, networks, survival, panels, sites against their proteins."""
# ruff: noqa: RUF012  (pydantic copies defaults)

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import stats

from proteus.data._data import ProteomicsData
from proteus.data._rollup import roll_up
from proteus.differential._measures import Q, entity_names, measure_test, names_of_proteins
from proteus.differential._moderated_test import TestResult
from proteus.knowledge._box import paralogs
from proteus.knowledge._complexes import complexes
from proteus.knowledge._network import communities, connectivity
from proteus.knowledge._together import one_each
from proteus.outcomes._cox import cox
from proteus.outcomes._panel import biomarker_panel
from proteus.outcomes._survival import restricted_mean_difference
from proteus.record._objects import Finding
from proteus.tl._enrich import enrich
from proteus.tl._survival_table import survival as survival_table
from proteus.tools._context import Context
from proteus.tools._prepare import Prepared, Tested, prepared, tested
from proteus.tools._registry import Input, Output, Params, register_tool
from proteus.tools._tools_bulk import TEST, answer, findings_of, plain_id, test_table

_SETS = ("entity", "size", "effect", "p", "q", "fry_p", "correlation", "representative", "also", "members", "stable")


_CARRIES, _FEW, _SHOWN = 1.96, 3, 30  # members that carry a set: |z| at least, how many at least, shown at most


def _source(inputs: list[Input], tool: str) -> Input:
    return next(one for one in inputs if one.step.tool == tool)


class Enrichment(Params):
    """Gene sets against the contrast read."""


@register_tool(
    "enrichment", params=Enrichment, tables={"sets": _SETS}, reads=("contrast",), requires=("sets",), confirms=True
)
def enrichment(context: Context, _params: Enrichment, inputs: list[Input]) -> Output:
    """Test complexes and gene sets against a contrast (CAMERA, checked by FRY), each signal told once."""
    if context.sets is None:
        raise InputError("gene sets", got="none", expected="a GMT file")
    source = _source(inputs, "contrast")
    asked = Tested.model_validate(source.step.params)
    result = tested(context, asked)
    data = prepared(context, asked)
    entity = entity_names(data).to_numpy()
    result.table["gene"] = entity
    named = data.features.get("description", pd.Series("", data.features.index)).fillna("").astype(str)
    own = complexes(context.sets, dict(zip(entity, named, strict=True)))
    alike = paralogs(map(str, entity[(result.table["q"] <= Q).to_numpy()]), names_of_proteins(data))
    table, metrics = _set_table(result, {**context.sets, **own}, tier=own, alike=alike)
    chosen = (table["q"] <= Q).to_numpy()
    metrics["told_elsewhere"] = int((chosen & (table["representative"] != table["id"])).sum())
    chosen &= (table["representative"] == table["id"]).to_numpy()
    return Output({"sets": table}, metrics, _set_findings(table, "sets", asked.contrast, chosen, "set"), ("sets", "p"))


def _set_table(
    result: TestResult, sets: Mapping[str, Sequence[str]], *, tier: Collection[str] = (),
    alike: Sequence[Sequence[str]] = (), smallest: int = 5, largest: int = 500,
) -> tuple[pd.DataFrame, dict[str, Any]]:  # fmt: skip
    frame = enrich(result, sets, tier=tier, smallest=smallest, largest=largest)
    fry = enrich(result, sets, "fry", smallest=smallest, largest=largest).reindex(frame.index)
    frame["fry_p"] = fry["p"]
    agree = (fry["direction"] == frame["direction"]) & (fry["p"] <= Q)
    genes = result.table["gene"].astype(str)
    effects = dict(zip(genes, result.table["effect"], strict=True))
    moved = set(genes[np.abs(result.z) >= _CARRIES])
    members, mean, gone = [], [], _told_before(frame, sets)
    for name in frame.index:
        own = [gene for gene in dict.fromkeys(sets[name]) if gene not in gone.get(str(name), ())]
        present = [(effects[gene], gene) for gene in own if np.isfinite(effects.get(gene, np.nan))]
        values = np.array([value for value, _ in present], float)
        centre = float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
        mean.append(centre)
        ordered = [gene for _, gene in sorted(present, key=lambda one: (-one[0] * np.sign(centre), one[1]))]
        carriers = [gene for gene in ordered if gene in moved and effects[gene] * centre > 0]
        members.append(";".join(one_each(carriers if len(carriers) >= _FEW else ordered, alike)[:_SHOWN]))
    frame["effect"] = np.abs(mean) * np.where(frame["direction"] == "up", 1, -1)
    frame["entity"], frame["members"], frame["stable"] = frame.index.astype(str), members, agree
    clusters = frame.groupby("representative", sort=False).groups
    frame["also"] = [
        ";".join(str(other) for other in clusters[leader] if other != name)
        for name, leader in zip(frame.index, frame["representative"], strict=True)
    ]
    table = plain_id(frame)[["id", *_SETS]]
    return table, {"tested": len(table), "hits": int((table["q"] <= Q).sum())}


def _told_before(frame: pd.DataFrame, sets: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """By set that is reported: the members of those reported before it, of which it says nothing more."""
    gone: set[str] = set()
    made = {}
    for name in frame.index[frame["told"] > 0][np.argsort(frame.loc[frame["told"] > 0, "told"], kind="stable")]:
        made[str(name)] = set(gone)
        gone.update(sets[name])
    return made


def _set_findings(table: pd.DataFrame, name: str, target: str, chosen: np.ndarray, kind: str) -> list[Finding]:
    found = findings_of(table, name, "enriched_in", target, chosen=chosen, kind=kind)
    rows = table.set_index("id")
    return [
        one.model_copy(
            update={
                "members": str(rows.loc[one.row, "members"]).split(";"),
                "also": [name for name in str(rows.loc[one.row, "also"]).split(";") if name],
                "stable": bool(rows.loc[one.row, "stable"]),
            }
        )
        for one in found
    ]


class Neighbourhoods(Params):
    """Communities of the network against the contrast read."""

    resolution: float = 8.0
    smallest: int = 5
    largest: int = 60


@register_tool(
    "network_modules",
    params=Neighbourhoods,
    tables={"modules": _SETS, "connectivity": ("hits", "edges", "expected", "z", "p")},
    reads=("contrast",),
    requires=("network",),
    confirms=True,
)
def network_modules(context: Context, params: Neighbourhoods, inputs: list[Input]) -> Output:
    """Test communities of the interaction network against a contrast; connectivity of hits against rewired networks."""
    if context.network is None:
        raise InputError("network", got="none", expected="an edge list")
    source = _source(inputs, "contrast")
    asked = Tested.model_validate(source.step.params)
    result = tested(context, asked)
    entity = entity_names(prepared(context, asked)).to_numpy()
    result.table["gene"] = entity
    part = context.network.restrict(entity.tolist())
    if len(part.edges) < 20:
        raise InputError("network", got=f"{len(part.edges)} edges between measured proteins", expected="at least 20")
    label = communities(part, resolution=params.resolution, seed=context.seed)
    degree = pd.Series(np.bincount(part.edges.ravel(), minlength=len(part.nodes)), part.nodes)
    sets = {}
    for number, group in label.groupby(label):
        if params.smallest <= len(group) <= params.largest:
            top = degree[group.index].sort_values(ascending=False, kind="stable").index[0]
            sets[f"neighbourhood of {top} ({number})"] = group.index.tolist()
    # every measured protein of the network counts as mapped, in a module or not
    everything = {**sets, "all": part.nodes}
    table, metrics = _set_table(result, everything, smallest=params.smallest, largest=params.largest)
    chosen = (table["q"] <= Q).to_numpy()
    found = _set_findings(table, "modules", asked.contrast, chosen, "network")
    hits = set(result.table.loc[(result.table["q"] <= Q).to_numpy(), "gene"]) & set(part.nodes)
    rows = []
    if len(hits) >= 2:
        link = connectivity(part, sorted(hits), rewirings=200, seed=context.seed)
        rows = [["hits", link.hits, link.edges, round(link.expected, 2), round(link.z, 3), link.p]]
        metrics |= {"connectivity_z": round(link.z, 3), "connectivity_p": round(link.p, 4)}
    table_of_hits = pd.DataFrame(rows, columns=["id", "hits", "edges", "expected", "z", "p"])
    return Output({"modules": table, "connectivity": table_of_hits}, metrics, found, ("modules", "p"))


class Survival(Prepared):
    """Cox regression on the outcome."""

    time: str
    event: str
    adjust: list[str] = []


_COX = ("entity", "effect", "ci_low", "ci_high", "p", "q", "n", "events", "ph_p", "c_index")


@register_tool("survival", params=Survival, tables={"features": _COX}, requires=("bulk", "outcome"), confirms=True)
def survival(context: Context, params: Survival, _inputs: list[Input]) -> Output:
    """Cox regression of each feature on follow-up, with the proportional-hazards test and Harrell's C."""
    data = prepared(context, params)
    frame = survival_table(data, params.time, params.event, params.adjust)
    names = entity_names(data)
    table = plain_id(frame.rename(columns={"log_hr": "effect"}))
    table["entity"] = names[frame.index].to_numpy()
    table["ci_low"] = table["effect"] - 1.96 * table["error"]
    table["ci_high"] = table["effect"] + 1.96 * table["error"]
    table = table[["id", *_COX]]
    violated = int(((table["q"] <= Q) & (table["ph_p"] < 0.05)).sum())
    metrics = {"events": int(table["events"].max()), "ph_violated": violated}
    return answer(table, "predicts", f"{params.time}/{params.event}", metrics=metrics)


class SurvivalCheck(Params):
    """Refits of the survival hits read.

    Attributes:
        rmst: hits whose hazards are not proportional must also differ in restricted mean survival.
    """

    rmst: bool = False


@register_tool(
    "survival_check",
    params=SurvivalCheck,
    tables={"refits": ("entity", "rank_p", "rmst_difference", "rmst_p", "stable")},
    reads=("survival",),
    requires=("bulk", "outcome"),
)
def survival_check(context: Context, params: SurvivalCheck, inputs: list[Input]) -> Output:
    """Refit survival hits on ranks, and compare restricted mean survival above and below the median (no chosen cut)."""
    source = _source(inputs, "survival")
    asked = Survival.model_validate(source.step.params)
    data = prepared(context, asked)
    known = data.samples[[asked.time, asked.event]].notna().all(axis=1).to_numpy()
    data = data.take(samples=known)
    time, event = (data.samples[name].to_numpy(float) for name in (asked.time, asked.event))
    first = source.tables["features"].set_index("id")
    hits = first[first["q"] <= Q]
    rows = data.values[data.features.index.astype(str).get_indexer(hits.index)]
    rank = np.full(rows.shape, np.nan)
    for place, row in enumerate(rows):
        seen = ~np.isnan(row)
        rank[place, seen] = stats.norm.ppf((stats.rankdata(row[seen]) - 0.5) / seen.sum())
    refit = cox(rank, time, event) if len(rows) else pd.DataFrame({"log_hr": [], "p": []})
    table = pd.DataFrame({"entity": hits["entity"]}, index=hits.index)
    table["rank_p"] = refit["p"].to_numpy()
    differences = [_rmst(row, time, event) for row in rows]
    table["rmst_difference"] = [one[0] for one in differences]
    table["rmst_p"] = [one[1] for one in differences]
    same = np.sign(refit["log_hr"].to_numpy()) == np.sign(hits["effect"].to_numpy())
    against = np.sign(table["rmst_difference"].to_numpy()) != np.sign(
        hits["effect"].to_numpy()
    )  # longer life: less risk
    table["stable"] = same & (table["rank_p"] <= Q).to_numpy() & against
    if params.rmst:
        odd = hits["ph_p"].to_numpy() < 0.05
        table["stable"] &= ~odd | (table["rmst_p"].to_numpy() <= Q)
    return Output({"refits": plain_id(table)}, {"stable": int(table["stable"].sum()), "hits": len(hits)})


def _rmst(row: np.ndarray, time: np.ndarray, event: np.ndarray) -> tuple[float, float]:
    seen = ~np.isnan(row)
    high = row[seen] > np.median(row[seen])
    try:
        difference, _, p = restricted_mean_difference(time[seen], event[seen], high)
    except InputError:
        return float("nan"), float("nan")
    return difference, p


class PanelParams(Prepared):
    """A classifier of two levels of a factor."""

    factor: str
    positive: str
    negative: str


@register_tool(
    "panel", params=PanelParams, tables={"panel": ("entity", "effect", "stability", "auc", "p", "q", "n")},
    requires=("bulk", "groups", "many_samples"),
)  # fmt: skip
def panel(context: Context, params: PanelParams, _inputs: list[Input]) -> Output:
    """Elastic-net panel that tells two groups apart, judged by nested cross-validation and label permutation."""
    data = prepared(context, params)
    label = data.factor(params.factor).astype(str)
    data = data.take(samples=label.isin([params.positive, params.negative]).to_numpy())
    positive = (data.samples[params.factor].astype(str) == params.positive).to_numpy()
    made = biomarker_panel(data, positive, permutations=20, seed=context.seed)
    names = entity_names(data)
    table = pd.DataFrame({"entity": names[made.weights.index], "effect": made.weights}, index=made.weights.index)
    table["stability"] = made.stability.reindex(made.weights.index).fillna(0.0)
    table["auc"], table["p"], table["q"], table["n"] = made.auc, made.p, made.p, len(positive)
    frame = plain_id(table)
    strong = ((frame["stability"] >= 0.8) & (frame["p"] <= Q)).to_numpy(bool)
    target = f"{params.positive}-{params.negative}"
    found = findings_of(frame, "panel", "classifies", target, chosen=strong, kind="panel", descriptive=True)
    return Output({"panel": frame}, {"auc": round(made.auc, 4), "p": round(made.p, 4), "size": len(frame)}, found)


@register_tool(
    "site_contrast", params=Tested, tables={"features": TEST}, requires=("bulk", "groups", "sites"), confirms=True
)
def site_contrast(context: Context, params: Tested, _inputs: list[Input]) -> Output:
    """Test modified sites after their protein's own change is taken out."""
    data = prepared(context, params)
    protein = data.features["protein"].astype(str)
    levels = roll_up(ProteomicsData(data.values, data.features, data.samples, "peptide", data.scale), "median_polish")
    beside = levels.values[levels.features.index.get_indexer(pd.Index(protein))]
    alone = protein.map(protein.value_counts()).to_numpy() < 2
    values = np.where(alone[:, None], np.nan, data.values - beside)
    part = data.with_values(values).take(features=~np.isnan(values).all(1))
    inner = Context(part, context.profile, seed=context.seed)
    asked = params.model_copy(update={"normalise": "none"})
    result = tested(inner, asked)
    table = test_table(result.table, part)
    metrics = measure_test(result, part) | {"alone": int(alone.sum())}
    return answer(table, "changed_beyond_protein_in", params.contrast, metrics=metrics, notes=result.notes)
