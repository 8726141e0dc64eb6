"""Knowledge that comes with the package: symbols and names of human proteins, Reactome, families and complexes.

Sources, dates and licences: `embedded/LICENSE-knowledge.txt`.
"""

import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import pandas as pd

from proteus.data._data import ProteomicsData

DATED = "Reactome of November 2020, symbols of HGNC of July 2024, complexes of FamPlex of 2024"
_KNOWN = 0.5  # share of a table's features that the box must know, or the table is of another organism
_FEWEST = 5  # genes of a set that are in the table
_TAIL = re.compile(
    r"(?i)[\s,/-]+(?:\d+[a-z]?|[a-z]\d*|[ivx]+|alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|"
    r"isoform|member \d+\w?|like|type)(?:[/-](?:\w+))?$"
)
_PART = re.compile(r"(?i)\b(?:subunit|component|complex|proteasome|ribosomal|histone)\b")


@dataclass(frozen=True)
class Box:
    """Tables of knowledge on human proteins.

    Attributes:
        symbols: approved gene symbol by UniProt accession.
        names: approved name by gene symbol.
        accessions: UniProt accession by gene symbol.
        sets: genes by name of a pathway or complex.
        identifiers: Reactome's identifier by name of a pathway.
        families: genes of each family of paralogs.
    """

    symbols: Mapping[str, str]
    names: Mapping[str, str]
    accessions: Mapping[str, str]
    sets: Mapping[str, list[str]]
    identifiers: Mapping[str, str]
    families: Sequence[frozenset[str]]


@functools.cache
def box() -> Box:
    """The shipped knowledge, read once.

    Examples:
        >>> box().symbols["P10636"], box().names["MAPT"]
        ('MAPT', 'microtubule associated protein tau')
    """
    genes, pathways, groups = (_read(name) for name in ("genes", "reactome", "groups"))
    sets = {name: list(members) for name, members in zip(pathways["name"], pathways["genes"], strict=True)}
    complexes = groups[groups["kind"] == "complex"]
    for name, members in zip(complexes["name"], complexes["genes"], strict=True):
        sets.setdefault(f"{name.removesuffix(' complex')} complex", list(members))
    first = genes.drop_duplicates("symbol")
    return Box(
        symbols=dict(zip(genes["accession"], genes["symbol"], strict=True)),
        names=dict(zip(genes["symbol"], genes["name"], strict=True)),
        accessions=dict(zip(first["symbol"], first["accession"], strict=True)),
        sets=sets,
        identifiers=dict(zip(pathways["name"], pathways["id"], strict=True)),
        families=[frozenset(members) for members in groups.loc[groups["kind"] == "family", "genes"]],
    )


def _read(name: str) -> pd.DataFrame:
    with (resources.files("proteus") / "embedded" / "knowledge" / f"{name}.parquet").open("rb") as file:
        return pd.read_parquet(file)


def accessions_of(group: str) -> list[str]:
    """Accessions of a protein group, isoform suffixes aside: `sp|P10636-2|TAU_HUMAN;P10637` has two."""
    parts = [part.split("|")[1] if part.count("|") == 2 else part for part in str(group).split(";")]
    return [part.split("-")[0].strip() for part in parts]


def symbol_of(group: str, symbols: Mapping[str, str]) -> str:
    """Symbol of the first accession of a protein group that is known, or ''."""
    return next((symbols[one] for one in accessions_of(group) if one in symbols), "")


def is_human(data: ProteomicsData) -> bool:
    """Whether the box knows most of a table's proteins by accession, or most of its gene symbols."""
    known = box()
    proteins = pd.Series([symbol_of(one, known.symbols) != "" for one in _proteins(data)])
    genes = data.genes.astype(str).str.split(";").str[0].str.strip().isin(known.names)
    return max(float(proteins.mean()), float(genes.mean())) >= _KNOWN


def _proteins(data: ProteomicsData) -> list[str]:
    return [str(one) for one in data.features.get("protein", data.features.index)]


def name_proteins(data: ProteomicsData) -> ProteomicsData:
    """Give features without one the gene symbol and the name of their protein; a table of another organism stays.

    Examples:
        >>> import pandas as pd
        >>> from proteus import ProteomicsData, name_proteins
        >>> data = ProteomicsData([[20.0]], pd.DataFrame(index=["P10636-2"]), pd.DataFrame(index=["run"]))
        >>> name_proteins(data).genes.tolist()
        ['MAPT']
    """
    if data.level == "cell" or not len(data.features) or not is_human(data):
        return data
    known, features = box(), data.features.copy()
    found = np.array([symbol_of(one, known.symbols) for one in _proteins(data)], object)
    for column, values in (("gene", found), ("description", None)):
        before = features[column].fillna("").astype(str) if column in features else pd.Series("", features.index)
        if values is None:
            first = features["gene"].astype(str).str.split(";").str[0].str.strip()
            values = np.array([known.names.get(str(one), "") for one in first], object)
        features[column] = before.where(before.str.strip() != "", values)
    named = float((features["gene"] != "").mean())
    notes = [*data.notes, f"knowledge that comes with proteus: {DATED}; {named:.0%} of the features have a gene symbol"]
    return ProteomicsData(data.values, features, data.samples, data.level, data.scale, data.source, notes)


def shipped_sets(
    data: ProteomicsData, more: Mapping[str, Sequence[str]] | None = None, *, reactome: bool = True
) -> dict[str, list[str]] | None:
    """Gene sets for a table: Reactome's pathways and complexes where it is human, and `more`; None if there are none.

    Args:
        data: table with gene symbols.
        more: sets of the user, which replace shipped ones of the same name.
        reactome: whether the shipped pathways are among them; complexes are.

    Examples:
        >>> import pandas as pd
        >>> from proteus import ProteomicsData, shipped_sets
        >>> about = pd.DataFrame({"gene": ["ENO1", "GAPDH", "PGK1", "TPI1", "ALDOA", "HK1"]}, index=list("abcdef"))
        >>> data = ProteomicsData([[20.0]] * 6, about, pd.DataFrame(index=["run"]))
        >>> "Glycolysis" in shipped_sets(data)
        True
    """
    genes = set(data.genes.astype(str).str.split(";").str[0].str.strip())
    shipped = box().sets if data.level != "cell" and is_human(data) else {}
    kept = shipped if reactome else {name: one for name, one in shipped.items() if name not in box().identifiers}
    given = {**kept, **(more or {})}
    found = {name: list(members) for name, members in given.items() if len(genes & set(members)) >= _FEWEST}
    return found or None


def stem(name: str) -> str:
    """A protein's name without what tells paralogs apart; '' for parts of a complex, whose names are alike, too.

    Examples:
        >>> stem("aldolase, fructose-bisphosphate A") == stem("aldolase, fructose-bisphosphate C")
        True
        >>> stem("proteasome 20S subunit alpha 1")
        ''
    """
    if _PART.search(name):
        return ""
    whole = re.sub(r"\s*\([^()]*\)$", "", name.strip().lower())
    before, now = "", whole
    while now != before:
        before, now = now, _TAIL.sub("", now)
    return now if now != whole or "/" in name else ""


def paralogs(genes: Iterable[str], names: Mapping[str, str]) -> list[list[str]]:
    """Groups of paralogs among genes: of one family, or with protein names that differ in their last word only.

    Args:
        genes: symbols.
        names: protein names by symbol; those of the box where a symbol has none.
    """
    wanted = list(dict.fromkeys(genes))
    made: list[list[str]] = [[one for one in wanted if one in family] for family in box().families]
    by_stem: dict[str, list[str]] = {}
    for one in wanted:
        known = stem(names.get(one) or box().names.get(one, ""))
        if known:
            by_stem.setdefault(known, []).append(one)
    return _apart([one for one in [*made, *by_stem.values()] if len(one) >= 2])


def _apart(groups: Collection[list[str]]) -> list[list[str]]:
    """Groups that share a gene as one."""
    joined: list[set[str]] = []
    for group in map(set, groups):
        touching = [one for one in joined if one & group]
        joined = [one for one in joined if not one & group]
        joined.append(group.union(*touching))
    return sorted(sorted(one) for one in joined)
