"""Which kind of assay a table is from: by what it measures, what its columns say, or what the user says."""

import re

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import ProteomicsData
from proteus.data._roles import BASE
from proteus.record._words import words

_SHARE = 0.6  # of an assay's marker proteins that must be in the table
_ABUNDANT = 0.9  # quantile of mean intensity that most of the markers found must reach
_STEM, _FOURFOLD, _LEVELS = 3, 2.0, 12  # letters of a level's name; log2; levels of a column that can be baits
_MOST = 6000  # proteins of a body fluid at most; tissues and cells have the same markers, and many others


def assays() -> list[str]:
    """Names of the assays that have a card."""
    return list(words("assays"))


def assay_of(data: ProteomicsData, said: str | None = None) -> str:
    """Name of the assay's card; `unknown` where nothing tells.

    Args:
        data: table with its sample sheet.
        said: the user's word, which is taken.
    Raises:
        InputError: if `said` has no card.
    """
    if said is not None:
        if said not in words("assays"):
            raise InputError("assay", got=repr(said), expected=", ".join(assays()))
        return said
    if data.level == "cell":
        return "single cells"
    text = " ".join([*map(str, data.samples.columns), *_levels(data)])
    for name, card in words("assays").items():
        if card["words"] and re.search(rf"(?i)(?<![a-z])(?:{card['words']})(?![a-z])", text):
            return name
    if _several_species(data):
        return "spike-in"
    if _bait(data):
        return "pull-down"
    genes = data.genes.astype(str).str.split(";").str[0].to_numpy()
    if len(data.features) > _MOST or data.scale != "log2":
        return "unknown"
    with np.errstate(invalid="ignore"):
        mean = pd.DataFrame(data.values).mean(axis=1).to_numpy()
    high = set(genes[mean >= np.nanquantile(mean, _ABUNDANT)])
    for name, card in words("assays").items():
        markers = card["markers"].split()
        found = set(markers) & set(genes)
        if markers and len(found) >= _SHARE * len(markers) and len(found & high) >= _SHARE * len(found):
            return name
    return "unknown"


def _bait(data: ProteomicsData) -> bool:
    """Whether a level is named like a protein that is four times higher there than in the control level."""
    genes = data.genes.astype(str).str.lower().to_numpy()
    named = data.features.get("description", pd.Series("", data.features.index)).fillna("").astype(str).str.lower()
    for name in data.samples:
        column = data.samples[name].astype(str)
        base = next((one for one in column.unique() if BASE.match(one)), None)
        if base is None or pd.api.types.is_numeric_dtype(data.samples[name]) or column.nunique() > _LEVELS:
            continue
        low = _means(data, column == base)
        for level in sorted(set(column) - {base}):
            stem = re.match(r"[a-z]*", level.lower())[0]  # pyright: ignore[reportOptionalSubscript]
            rows = np.flatnonzero(
                [one.startswith(stem) or two.startswith(stem) for one, two in zip(genes, named, strict=True)]
            )
            if len(stem) >= _STEM and bool((_means(data, column == level)[rows] - low[rows] >= _FOURFOLD).any()):
                return True
    return False


def _means(data: ProteomicsData, inside: pd.Series) -> np.ndarray:
    """(P,) means of the samples inside, NaN where one of them lacks the feature."""
    return data.values[:, inside.to_numpy()].mean(1)


def _levels(data: ProteomicsData) -> list[str]:
    text = [data.samples[name] for name in data.samples if not pd.api.types.is_numeric_dtype(data.samples[name])]
    return [str(one) for column in text for one in column.dropna().unique()[:40]]


def _several_species(data: ProteomicsData) -> bool:
    """Whether some of the table is of another species: its column, or the ends of UniProt's entry names, say so."""
    column = next((one for one in ("species", "organism") if one in data.features), None)
    names = data.features[column] if column else data.features.index.to_series().str.extract(r"_([A-Z]{5})\b")[0]
    shares = names.dropna().astype(str).value_counts(normalize=True)
    return len(shares) >= 2 and bool(shares.iloc[1] >= 0.01) and len(names.dropna()) >= 0.5 * len(names)
