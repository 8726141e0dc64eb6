"""Tools on modules of co-expressed features: do they split samples, follow a number, predict the outcome?"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from scipy import stats

from proteus.data._crossed import full_model
from proteus.data._data import ProteomicsData
from proteus.data._design import make_design
from proteus.differential._measures import Q, entity_names
from proteus.outcomes._coexpression import Modules, find_modules, module_traits
from proteus.outcomes._cox import cox
from proteus.statistics._error_control import benjamini_hochberg
from proteus.statistics._linear_model import fit_linear_model
from proteus.tl._survival_table import follow_up
from proteus.tools._context import Context
from proteus.tools._prepare import Prepared, prepared
from proteus.tools._registry import Input, Output, register_tool
from proteus.tools._tools_bulk import answer, findings_of

_SHOWN = 30  # members that are named


class Coexpression(Prepared):
    """Modules of features that move together, after known factors are taken out.

    Attributes:
        remove: `sheet`: what the columns of the sample sheet and their crossings explain is subtracted first; or the
            formula of a design.
    """

    remove: str = "sheet"
    smallest: int = 15


_MODULE = ("entity", "size", "bimodality", "p", "q", "effect", "members", "high_samples", "explained_by")
_EXPLAINS = 0.01  # p at which a column of the sheet explains a split


@register_tool("coexpression", params=Coexpression, tables={"modules": _MODULE}, requires=("bulk", "many_samples"))
def coexpression(context: Context, params: Coexpression, _inputs: list[Input]) -> Output:
    """Find modules of co-expressed features, and whether they split the samples in two."""
    whole = prepared(context, params)
    left = _left(context, whole, params.remove)
    data, notes = left.data, left.notes
    if data is None:
        empty = pd.DataFrame({name: [] for name in ("id", *_MODULE)})
        return Output({"modules": empty}, {"modules": 0, "splitting": 0}, notes=notes)
    modules = find_modules(_widest(data), smallest=params.smallest)
    names = entity_names(data)
    rows = []
    for module in modules.eigengenes:
        values = modules.eigengenes[module].to_numpy()
        ratio, p, cut = bimodality(values, context.seed, removed=left.matrix)
        high = pd.Series(values > cut, modules.eigengenes.index)
        members, size = _members(modules, str(module), names), int((modules.label == int(str(module)[1:])).sum())
        column = explained_by(whole.samples.loc[high.index], high, context.profile.crossed)
        rows.append((module, module, size, ratio, p, ";".join(members), int(high.sum()), column))
    columns = ["id", "entity", "size", "bimodality", "p", "members", "high_samples", "explained_by"]
    table = pd.DataFrame(rows, columns=columns)
    table["q"] = benjamini_hochberg(table["p"].to_numpy(float)) if len(table) else []
    table["effect"] = table["bimodality"]
    table = table[["id", *_MODULE]]
    split = (table["q"] <= Q).to_numpy(bool) & (table["explained_by"] == "").to_numpy(bool)
    found = findings_of(table, "modules", "splits", "samples", chosen=split, kind="module", descriptive=True)
    members = table.set_index("id")["members"]
    found = [one.model_copy(update={"members": str(members[one.row]).split(";"), "sign": 0}) for one in found]
    return Output({"modules": table}, {"modules": len(table), "splitting": int(split.sum())}, found, notes=notes)


def explained_by(samples: pd.DataFrame, high: pd.Series, crossed: Sequence[Sequence[str]] = ()) -> str:
    """The column, or the crossing of two, whose levels or values differ between the halves of a split; empty: none.

    Args:
        samples: (N, columns) sample sheet. high: (N,) bool, which half. crossed: pairs of columns.
    """
    tested: dict[str, float] = {}
    for name in map(str, samples.columns):
        column = samples[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            first, second = (column[mask].dropna() for mask in (high, ~high))
            if min(len(first), len(second)) >= 2 and column.nunique() > 1:
                tested[name] = float(stats.mannwhitneyu(first, second).pvalue)
        else:
            tested[name] = _association(column.astype(str), high)
    for first, second in crossed:
        tested[f"{first}:{second}"] = _association(samples[first].astype(str) + "|" + samples[second].astype(str), high)
    best = min(tested, key=lambda name: tested[name], default="")
    return best if best and tested[best] <= _EXPLAINS else ""


def _association(levels: pd.Series, high: pd.Series) -> float:
    """P of the counts of levels in both halves; 1 where each sample has a level of its own."""
    counts = pd.crosstab(levels, high).to_numpy()
    if min(counts.shape) < 2 or counts.shape[0] > len(levels) / 2:
        return 1.0
    found: Any = stats.fisher_exact(counts) if counts.shape == (2, 2) else stats.chi2_contingency(counts)
    return float(found.pvalue)


class ModuleTrait(Coexpression):
    """Modules, found without the trait, against it.

    Attributes:
        trait: a number of the sample sheet.
        block: column of subjects met more than once: a module's mean in each subject is one observation.
    """

    trait: str
    block: str | None = None


_TRAIT = ("entity", "size", "effect", "ci_low", "ci_high", "p", "q", "n", "members")


@register_tool(
    "module_trait", params=ModuleTrait, tables={"modules": _TRAIT}, requires=("bulk", "many_samples", "numbers"),
    confirms=True,
)  # fmt: skip
def module_trait(context: Context, params: ModuleTrait, _inputs: list[Input]) -> Output:
    """Find modules of co-expressed features and test how their eigengenes correlate with a number of the sheet."""
    data = prepared(context, params)
    column = data.factor(params.trait)
    if params.block is not None:
        data.factor(params.block)  # said at once if it is not there
    if not pd.api.types.is_numeric_dtype(column) or column.nunique() < 3:
        raise InputError("trait", got=repr(params.trait), expected="a column of numbers, three different ones at least")
    left, notes, _ = _left(context, data, params.remove, [params.trait])
    if left is None:
        return _nothing(notes)
    modules, table = _named(left, params)
    sheet = left.samples
    if params.block is not None:
        modules, sheet = _by_subject(modules, sheet, params.trait, params.block)
    empty = pd.DataFrame(columns=["r", "p", "q", "n"])
    made = module_traits(modules, sheet, [params.trait]) if len(table) else empty
    r, n = made["r"].to_numpy(float), made["n"].to_numpy(float)
    reach = stats.norm.ppf(0.975) / np.sqrt(np.maximum(n - 3, 1))  # of Fisher's z
    table["effect"] = r
    table["ci_low"], table["ci_high"] = np.tanh(np.arctanh(r) - reach), np.tanh(np.arctanh(r) + reach)
    table["p"], table["q"], table["n"] = made["p"].to_numpy(float), made["q"].to_numpy(float), n.astype(int)
    found = _out(table, "moves_with", params.trait)
    found.notes.extend(notes)
    found.metrics.update({"subjects": len(sheet)} if params.block is not None else {})
    return found


class ModuleOutcome(Coexpression):
    """Modules, found without the outcome, against follow-up."""

    time: str
    event: str


@register_tool(
    "module_outcome", params=ModuleOutcome, tables={"modules": _TRAIT}, requires=("bulk", "many_samples", "outcome"),
    confirms=True,
)  # fmt: skip
def module_outcome(context: Context, params: ModuleOutcome, _inputs: list[Input]) -> Output:
    """Find modules of co-expressed features and test what their eigengenes say of follow-up (Cox regression)."""
    data = prepared(context, params)
    time, event = (one.to_numpy(float) for one in follow_up(data, params.time, params.event))
    left, notes, _ = _left(context, data, params.remove, [params.time, params.event])
    if left is None:
        return _nothing(notes)
    modules, table = _named(left, params)
    known = np.isfinite(time) & np.isfinite(event)
    values = modules.eigengenes.to_numpy().T[:, known]
    values = values / values.std(axis=1, keepdims=True)  # hazards are for one standard deviation
    empty = pd.DataFrame(columns=["log_hr", "error", "p", "q", "n"])
    made = cox(values, time[known], event[known]) if len(table) else empty
    table["effect"] = made["log_hr"].to_numpy(float)
    reach = stats.norm.ppf(0.975) * made["error"].to_numpy(float)
    table["ci_low"], table["ci_high"] = table["effect"] - reach, table["effect"] + reach
    for name in ("p", "q", "n"):
        table[name] = made[name].to_numpy()
    found = _out(table, "predicts", f"{params.time}/{params.event}")
    return replace(found, notes=[*notes, "hazards are for one standard deviation of a module's eigengene"])


def _nothing(notes: list[str]) -> Output:
    return Output({"modules": pd.DataFrame({name: [] for name in ("id", *_TRAIT)})}, {"tested": 0}, notes=notes)


def _named(data: ProteomicsData, params: ModuleTrait | ModuleOutcome) -> tuple[Modules, pd.DataFrame]:
    """Modules; by module its name, size and members."""
    modules, names = find_modules(_widest(data), smallest=params.smallest), entity_names(data)
    rows = []
    for module in modules.eigengenes:
        members = _members(modules, str(module), names)
        name, size = f"module of {members[0]} ({module})", int((modules.label == int(str(module)[1:])).sum())
        rows.append((name, name, size, ";".join(members)))
    return modules, pd.DataFrame(rows, columns=["id", "entity", "size", "members"])


def _out(table: pd.DataFrame, relation: str, target: str) -> Output:
    found = findings_of(table[["id", *_TRAIT]], "modules", relation, target, kind="module")
    members = table.set_index("id")["members"]
    found = [one.model_copy(update={"members": str(members[one.row]).split(";")}) for one in found]
    return answer(table[["id", *_TRAIT]], relation, target, name="modules", metrics={"tested": len(table)}, found=found)


def _by_subject(modules: Modules, sheet: pd.DataFrame, trait: str, block: str) -> tuple[Modules, pd.DataFrame]:
    """Means of eigengenes and of the trait in each subject: its runs are no independent observations.

    Raises:
        InputError: the trait's means hardly differ, as those of a dose that each subject was given do not.
    """
    means = sheet.groupby(block, observed=True)[[trait]].mean()
    if means[trait].round(9).nunique() < 3:
        raise InputError(
            f"trait {trait!r}", got=f"means over each {block} that hardly differ", expected="three different ones",
            hint="`trend` tests what varies within subjects",
        )  # fmt: skip
    return replace(modules, eigengenes=modules.eigengenes.groupby(sheet[block], observed=True).mean()), means


def _members(modules: Modules, module: str, names: pd.Series) -> list[str]:
    """Those that follow the module's eigengene most closely, first of all."""
    own = modules.membership[modules.label == int(module[1:])].sort_values(ascending=False, kind="stable")
    return list(dict.fromkeys(names[own.index]))[:_SHOWN]


class Left(NamedTuple):
    """What a model leaves of a table: the table (None where too little is left to look at), notes, the model."""

    data: ProteomicsData | None
    notes: list[str]
    matrix: np.ndarray


def _left(context: Context, data: ProteomicsData, remove: str, tested: Sequence[str] = ()) -> Left:
    """What the sample sheet, or a formula, leaves of a table.

    Args:
        remove: see `Coexpression`.
        tested: columns that modules are tested against. With these, only factors are removed: numbers go along with
            what is tested, and each subject is an observation.
    """
    if remove != "sheet":
        made = make_design(data.samples, remove)
        kept, matrix, notes = data.take(samples=made.kept), made.matrix, [f"removed: {remove}"]
    else:
        profile, sheet = context.profile, data.samples
        columns = [one.name for one in profile.factors]
        columns += [] if tested else [*profile.numbers, *([profile.block] if profile.block else [])]
        columns = [one for one in columns if one in sheet and one not in tested]
        model = full_model(sheet, columns, profile.crossed)
        notes = [f"removed: what {', '.join(model.names)} explain"] * bool(model.names)
        if not model.enough:
            left = len(sheet) - model.matrix.shape[1]
            notes.append(f"not sought: the sample sheet leaves {left} degrees of freedom")
            return Left(None, notes, model.matrix)
        kept, matrix = data, model.matrix
    fit = fit_linear_model(kept.values, matrix)
    values = np.where(fit.observed, fit.residuals, np.nan) + fit.mean[:, None]
    return Left(kept.with_values(values.round(9)), notes, matrix)  # last bits depend on where numbers lie in memory


def _widest(data: ProteomicsData, most: int = 2500) -> ProteomicsData:
    """The most variable features seen in most samples: all pairs of more would not fit."""
    seen = (~np.isnan(data.values)).mean(1) >= 0.7
    spread = np.where(seen, np.nanstd(data.values, axis=1), -1.0)
    return data.take(features=np.sort(np.argsort(-spread, kind="stable")[: min(most, int(seen.sum()))]))


def bimodality(
    values: np.ndarray, seed: int, *, removed: np.ndarray | None = None, draws: int = 2000
) -> tuple[float, float, float]:
    """(share of variance between the halves of the best cut, p against normal samples of the same size, cut).

    Where a model was subtracted, with the columns `removed` (N, K), normal samples lose the
    same. Each half has a quarter of the samples at least, so that single outliers make no half.
    """

    def best(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ordered = np.sort(rows, axis=1)
        ordered = ordered - ordered.mean(1, keepdims=True)
        n = ordered.shape[1]
        sizes = np.arange(1, n)
        below = np.cumsum(ordered, axis=1)[:, :-1]
        between = below**2 / sizes + below**2 / (n - sizes)
        between[:, (sizes < n / 4) | (sizes > 3 * n / 4)] = -1
        place = between.argmax(1)
        return between.max(1) / np.maximum((ordered**2).sum(1), 1e-300), place

    share, place = best(values[None, :])
    normal = np.random.default_rng(seed).standard_normal((draws, len(values)))
    if removed is not None:
        basis = np.linalg.qr(removed)[0]
        normal -= normal @ basis @ basis.T
    null, _ = best(normal)
    ordered = np.sort(values)
    cut = float((ordered[place[0]] + ordered[place[0] + 1]) / 2)
    return float(share[0]), float((1 + (null >= share[0]).sum()) / (draws + 1)), cut
