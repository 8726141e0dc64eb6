"""200 questions as people write them, each with the query that it means or `refused`: half of them were looked at
while the vocabulary was made (even lines), the others only when it was finished."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus.data._data import ProteomicsData
from proteus.knowledge._describe import describe
from proteus.planning._query import typed_query
from proteus.planning._text import Names
from proteus.record._objects import Query

from .helpers import noise

PROTEINS = {
    "PSMD4": "26S proteasome non-ATPase regulatory subunit 4", "UBB": "Polyubiquitin-B", "HSPA8": "Heat shock protein",
    "UBA6": "Ubiquitin-like modifier-activating enzyme 6", "RBM47": "RNA-binding protein 47",
    "RPL3": "60S ribosomal protein L3", "USP14": "Ubiquitin carboxyl-terminal hydrolase 14, deubiquitinase",
    "ZNF460": "Zinc finger protein 460", "CDK1": "Cyclin-dependent kinase 1", "PKM": "Pyruvate kinase PKM",
    "MAPT": "Microtubule-associated protein tau", "YWHAZ": "14-3-3 protein zeta/delta", "APOE": "Apolipoprotein E",
    "IGHG1": "Immunoglobulin heavy constant gamma 1", "TP53": "Cellular tumor antigen p53", "ACTB": "Actin",
    "MDM2": "E3 ubiquitin-protein ligase Mdm2", "GAPDH": "Glyceraldehyde-3-phosphate dehydrogenase",
    "CDKN1A": "Cyclin-dependent kinase inhibitor 1", "STAT3": "Signal transducer 3",
    "EGFR": "Epidermal growth factor receptor", "H2BC1": "Histone H2B type 1-A",
}  # fmt: skip
SETS = ("Cell Cycle", "Glycolysis", "Complement cascade", "Extracellular matrix organization", "Apoptosis",
        "Oxidative phosphorylation")  # fmt: skip


def made(genes, samples, described=True, **columns):
    rows = len(next(iter(columns.values())))
    sheet = pd.DataFrame(columns, pd.Index(samples or [f"s{one:02d}" for one in range(rows)], name="sample"))
    features = pd.DataFrame({"gene": genes}, pd.Index([f"P{one}" for one in range(len(genes))], name="id"))
    data = ProteomicsData(noise(len(genes), rows), features, sheet)
    named = {gene: PROTEINS[gene] for gene in genes} if described else {}
    return describe(data, sets=described), Names(genes, list(sheet.index), SETS if described else (), named)


def tables():
    levels = np.repeat(["Ctrl", "Ubi1", "Ubi4", "Ubi6"], 3)
    rng = np.random.default_rng(0)
    csf = ["control", "AD"] * 20
    return {
        "ubi": made(["PSMD4", "UBB", "HSPA8", "UBA6", "RBM47", "RPL3", "USP14", "ZNF460", "CDK1"],
                    [f"{one}_{place % 3 + 1}" for place, one in enumerate(levels)], condition=levels),
        "csf": made(["MAPT", "YWHAZ", "PKM", "APOE", "IGHG1"], [f"S{one:03d}" for one in range(40)], group=csf,
                    site=np.repeat(["Berlin", "Kiel", "Magdeburg", "Sweden"], 10)),
        "dose": made([f"GENE{one}" for one in range(12)], [f"s{one}" for one in range(16)], described=False,
                     arm=np.repeat(["none", "low", "mid", "high"], 4), age=rng.uniform(20, 80, 16)),
        "acc": made(["TFRC", "G6PD", "IGFBP2", "ASNS"], None, described=False, time_days=rng.uniform(30, 3000, 48),
                    event=np.arange(48) % 2, stage=np.tile(["stage i", "stage ii", "stage iii", "stage iv"], 12),
                    mrna_class=np.repeat(["C1A", "C1B"], 24), COC=np.tile(["COC1", "COC2", "COC3"], 16),
                    purity=rng.uniform(0, 1, 48)),
        "ko": made(["TP53", "MDM2", "GAPDH", "ACTB", "CDKN1A", "STAT3", "EGFR", "H2BC1", "CDK1"], None,
                   genotype=np.repeat(["WT", "KO"], 12), treatment=np.tile(["DMSO", "bortezomib"], 12),
                   batch=np.tile(["b1", "b1", "b2", "b2"], 6), hours=rng.uniform(0, 24, 24)),
    }  # fmt: skip


TABLES = tables()
LINES = [[part.strip() for part in line.split("|")] for line in
         (Path(__file__).parent / "questions.txt").read_text(encoding="utf-8").splitlines()]  # fmt: skip
_FIELDS = {"class": "family", "set": "gene_set", "top": "top", "fold": "fold", "q": "q", "sample": "sample"}


def said(query: Query) -> str:
    """A query as the table of questions writes it."""
    way = query.direction
    about = {
        "trend": query.over, "modules": query.over, "groups": query.factor, "seen": query.level,
        "batch": f"{query.factor},{query.other}", "interaction": f"{query.factor},{query.other}",
        "cv": query.level, "detected": query.level, "correlation": "",
    }.get(query.kind, query.contrast or "")  # fmt: skip
    parts = [query.kind, about or "", way or ""]
    parts += [f"entities={','.join(query.entities)}"] * bool(query.entities)
    for name, key in _FIELDS.items():
        value = getattr(query, key)
        parts += [f"{name}={value:g}" if isinstance(value, (int, float)) else f"{name}={value}"] * (value is not None)
    parts += (
        ["count"] * query.count
        + ["order=effect"] * query.by_effect
        + [f"unknown={','.join(query.unknown)}"] * bool(query.unknown)
    )
    parts += [f"adjust={','.join(query.adjust)}"] * bool(query.adjust)
    return " ".join(one for one in parts if one)


def outcome(table: str, question: str) -> str:
    try:
        return said(typed_query(question, *TABLES[table]))
    except InputError:
        return "refused"


def same(got: str, expected: str) -> bool:
    """Whether two queries ask the same: `A-B up` is `B-A down`, and two columns are confounded either way."""
    return _plain(got) == _plain(expected)


def _plain(text: str) -> list[str]:
    kind, *parts = text.split()
    if kind in ("batch", "interaction"):
        return [kind, *sorted(parts[0].split(","))]
    a, _, b = parts[0].rpartition("-") if parts else ("", "", "")
    if kind in ("changed", "unchanged", "panel") and a > b:
        turned = {"up": "down", "down": "up"}
        parts = [f"{b}-{a}", *(turned.get(one, one) for one in parts[1:])]
    return [kind, *sorted(parts)]


def results(half: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"right": [], "refused": [], "wrong": []}
    for place, (table, question, expected) in enumerate(LINES):
        if place % 2 == half:
            got = outcome(table, question)
            kind = "right" if same(got, expected) else "refused" if got == "refused" else "wrong"
            found[kind].append(f"{question} -> {got}, not {expected}")
    return found


@pytest.mark.parametrize("half", [0, 1], ids=["looked at", "kept apart"])
def test_of_written_questions_four_fifths_are_right_and_none_is_answered_by_something_else(half):
    found = results(half)
    assert sum(map(len, found.values())) == 100
    assert found["wrong"] == []
    assert len(found["right"]) >= 80, found["refused"]
