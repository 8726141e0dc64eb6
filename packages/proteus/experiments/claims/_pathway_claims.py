"""What we say of gene sets: a shift planted in one of them comes out once, under its name."""

import numpy as np
import pandas as pd
from ninefold.datasets import find
from ninefold_lab import Budget as ClaimBudget
from ninefold_lab import Claim, Scores, all_of, at_least
from proteus import ProteomicsData
from proteus.knowledge._describe import describe
from proteus.loaders import load_gmt
from proteus.record._objects import Finding, Step
from proteus.tools._context import Context
from proteus.tools._registry import Input, tools
from proteus_experiments import published

_SETS, _EFFECTS = 20, (0.1, 0.2, 0.4)
_SMALL, _LARGE, _STATEMENTS = 10, 100, 2


def found_sets(data: ProteomicsData, sets: dict[str, list[str]], design: str, contrast: str) -> list[Finding]:
    """What a study tells of gene sets in a contrast."""
    context, known = Context(data, describe(data, sets=True), sets), tools()
    step = Step(id="S1", tool="contrast", params={"design": design, "contrast": contrast})
    test = known["contrast"].run(context, known["contrast"].params.model_validate(step.params), [])
    enrichment = known["enrichment"]
    read = [Input(step, test.tables, test.metrics)]
    return enrichment.run(context, enrichment.params(), read).findings


def _plantings(budget: ClaimBudget, seed: int) -> Scores:
    """20 sets of CSF, each planted in a random half of the samples within sites, at three effects."""
    del budget
    sets = load_gmt(find("proteus", "knowledge/reactome_2020-11.symbols.gmt.gz"))
    data = published.csf()
    data = data.take(samples=data.samples["site"].notna().to_numpy())
    symbol = data.features["gene"].astype(str).str.split(";").str[0]
    rows = {gene: place for place, gene in reversed(list(enumerate(symbol)))}
    present = {name: frozenset(rows[gene] for gene in members if gene in rows) for name, members in sets.items()}
    fitting = sorted(name for name, members in present.items() if _SMALL <= len(members) <= _LARGE)
    rng = np.random.default_rng(seed)
    right: dict[float, list[float]] = {effect: [] for effect in _EFFECTS}
    passed = []
    for name in rng.choice(fitting, _SETS, replace=False):
        site = data.samples["site"].astype(str).to_numpy()
        case = np.zeros(len(site), bool)
        for one in np.unique(site):
            inside = rng.permutation(np.flatnonzero(site == one))
            case[inside[: len(inside) // 2]] = True
        sheet = pd.DataFrame({"site": site, "group": np.where(case, "case", "control")}, index=data.samples.index)
        for effect in _EFFECTS:
            values = data.values.copy()
            values[np.ix_(sorted(present[name]), case)] += effect
            told = found_sets(data.with_values(values, samples=sheet), sets, "~ site + group", "case-control")
            alike = any(present[one.entity] == present[name] and one.sign > 0 for one in told)
            right[effect].append(float(alike and len(told) <= _STATEMENTS))
            passed += [right[effect][-1]] if told else []
    ubi = found_sets(published.ubi_length(), sets, "~ condition", "Ubi6-Ctrl")
    return {  # shares of a seed: its sets are its own
        "right where anything passes": float(np.mean(passed)),
        "right of all at +0.4": float(np.mean(right[0.4])),
        "right of all at +0.2": float(np.mean(right[0.2])),
        "UbiLength's proteasome by name": float(any(one.entity == "proteasome complex" for one in ubi)),
    }  # fmt: skip


PATHWAY_CLAIMS = [
    Claim(
        id="proteus/tells-a-pathway-once",
        says="of shifts planted in one Reactome set each, where anything passes at least 0.9 come out under the set's "
        "name (or that of one with the same measured members) in at most two statements; of all at least 0.85 at "
        "+0.4 and 0.65 at +0.2; the proteasome of UbiLength is named",
        source="ours; CSF of Bader 2020, 197 samples in random halves within sites, sets of 10 to 100 measured "
        "members, +0.1, +0.2 and +0.4 log2; Zhang 2017",
        run=_plantings,
        verdict=all_of(
            at_least("right where anything passes", 0.9),
            at_least("right of all at +0.4", 0.85),
            at_least("right of all at +0.2", 0.65),
            at_least("UbiLength's proteasome by name", 1.0),
        ),
        quick=ClaimBudget(seeds=1, minutes=1),
        full=ClaimBudget(seeds=12, minutes=3, most=60),  # three leave the first bar open
    ),
]
