"""What the columns of a sample sheet are: persons by structure, baselines, batches, and what may be shown outside.

A person is a level that few samples share and that crosses groups (each sample of it under another condition), or that
lies with its repeated runs inside one group. What the column is called only settles what structure leaves open:
replicate numbers, doses and treatments have the same structure.
"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from proteus.record._words import ID, named

BASE = named("base")
BATCH = named("batch", ID)
EITHER = named("either", ID)  # a batch where it goes with a group, else a time
SUBJECT = named("subject", ID)
NO_FACTOR = named("no_factor")
_STAFF = named("staff", ID)
_CONDITION = named("condition", r"(?:[_ .-].*)?$")  # has the structure of persons, too
_QUANTITY = named("quantity")
_NUMBERED = re.compile(r"^([A-Za-z_ .#-]{0,12})\d+[A-Za-z]?$")
LEVELS = 20  # of a factor, at most
_OPEN_LEVELS, _OPEN_SAMPLES = 8, 3
_RUNS_WITHOUT_ID, _RUNS = 2, 6


def named_staff(name: str) -> bool:
    """Whether a column's name says that its entries are people who handled samples, or plain names."""
    return _STAFF.match(name) is not None


def entries(column: pd.Series) -> pd.Series | None:
    """A column's filled entries as text, where it is text or whole numbers; None for measured numbers."""
    filled = column.dropna()
    if pd.api.types.is_numeric_dtype(filled) and not pd.api.types.is_bool_dtype(filled):
        return filled.astype(int).astype(str) if len(filled) and (filled % 1 == 0).all() else None
    text = filled.astype(str)
    return text[text.str.strip() != ""]


def same_partition(samples: pd.DataFrame, one: str, other: str) -> bool:
    """Whether two columns group the samples alike, whatever they call the groups."""
    known = (samples[one].notna() & samples[other].notna()).to_numpy()
    first, second = (pd.factorize(samples[name][known].astype(str))[0] for name in (one, other))
    if not len(first):
        return False
    groups = first.max() + 1
    pairs = len(np.unique(first * (second.max() + 1) + second))
    return bool(groups > 1 and pairs == groups == second.max() + 1)


def subject_column(samples: pd.DataFrame) -> str | None:
    """The column whose levels are persons (animals, donors) with several samples each; None if there is none.

    Args:
        samples: (samples, columns); of cells, one row for each sample.
    """
    best, found = (0, 0.0, 0), None
    for name in map(str, samples.columns):
        strength, share = _strength(samples, name)
        rank = strength, share, samples[name].nunique()
        if strength and rank > best:
            best, found = rank, name
    return found


def open_columns(samples: pd.DataFrame, subject: str | None) -> list[str]:
    """Text columns whose levels may be shown outside by name: few levels of several samples each, one of them a
    baseline, or all of them times or doses. Everything else could be a person, and goes under codes.

    Args:
        samples: as for `subject_column`.
        subject: what that finds.
    """
    found = []
    for name in map(str, samples.columns):
        column = samples[name].dropna()
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            continue
        sizes = column.astype(str).value_counts()
        told = any(BASE.match(one.strip()) for one in sizes.index) or all(map(_QUANTITY.match, sizes.index))
        several = len(sizes) == 2 or (len(sizes) <= _OPEN_LEVELS and bool((sizes >= _OPEN_SAMPLES).all()))
        person = subject is not None and (name == subject or same_partition(samples, name, subject))
        if len(sizes) > 1 and told and several and not person:
            found.append(name)
    return found


def _strength(samples: pd.DataFrame, name: str) -> tuple[int, float]:
    """(how sure it is that a column holds persons: 0 not at all, 1 nested in groups, 2 crossing them, 3 by name too;
    share of the samples that it fits)."""
    column = samples[name].dropna()
    known = entries(column)
    repeated = 2 <= column.nunique() < len(column) and column.duplicated(keep=False).mean() > 0.5
    if not repeated or (known is None and not SUBJECT.match(name)):
        return 0, 0.0
    if SUBJECT.match(name):
        return 3, len(column) / len(samples)
    if known is None or BATCH.match(name) or NO_FACTOR.match(name) or _CONDITION.match(name):
        return 0, 0.0
    levels = list(known.unique())
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if len(levels) < 3 or any(BASE.match(one.strip()) for one in levels) or all(map(_QUANTITY.match, levels)):
        return 0, 0.0
    ids = _identifies(levels)
    if number and not ids:
        return 0, 0.0
    table = samples.loc[known.index].assign(**{name: known})
    others = _groups(table, name)
    crossed = [one for one in others if _varies(table, name, one)]
    if not crossed:
        return int(_nested(table, name, others, ids)), len(known) / len(samples)
    cells = table.groupby([name, *crossed], observed=True).size()
    fits = cells.median() == 1 or (ids and cells.median() <= _RUNS_WITHOUT_ID + 1)
    return 2 * int(fits), float(cells[cells <= _RUNS_WITHOUT_ID + 1].sum() / len(samples))


def _identifies(levels: Sequence[str]) -> bool:
    """Whether levels are written as identifiers are: one stem and a number, or numbers that count or have digits."""
    if all(one.isdigit() for one in levels):
        numbers = sorted(map(int, levels))
        counted = numbers[0] in (0, 1) and numbers[-1] - numbers[0] <= 2 * len(numbers)
        return counted or min(numbers) >= 100
    found = [_NUMBERED.match(one) for one in levels]
    return all(found) and len({one[1].lower() for one in found if one}) <= 2


def _groups(table: pd.DataFrame, name: str) -> list[str]:
    """Columns that persons may cross or lie in: fewer levels, no replicate numbers, no measured values."""
    most, found = table[name].nunique(), []
    for other in map(str, table.columns):
        if other == name or NO_FACTOR.match(other):
            continue
        known = entries(table[other])
        if known is None:
            continue
        levels = known.nunique()
        bare = known.str.fullmatch(r"\d").all() and not _CONDITION.match(other)  # a replicate's number, for all we know
        if 2 <= levels <= LEVELS and not bare and levels <= most and not same_partition(table, name, other):
            found.append(other)
    return found


def _varies(table: pd.DataFrame, name: str, group: str) -> bool:
    """Whether most levels with two samples or more meet two levels of the group."""
    person, met = pd.factorize(table[name])[0], pd.factorize(table[group].astype(str))[0]
    counts = np.bincount(np.unique(person * (met.max() + 1) + met) // (met.max() + 1))
    several = np.bincount(person) >= 2
    return bool(several.any() and (counts[several] >= 2).mean() > 0.5)


def _nested(table: pd.DataFrame, name: str, groups: Sequence[str], ids: bool) -> bool:
    """Whether levels are the runs of one person inside a group, and no other columns together make them."""
    sizes = table[name].value_counts()
    if len(sizes) < 4 or sizes.median() > (_RUNS if ids else _RUNS_WITHOUT_ID):
        return False
    coarser = [one for one in groups if table[one].nunique() < len(sizes)]
    holds = [one for one in coarser if (table.groupby(one, observed=True)[name].nunique() >= 2).all()]
    if not holds:
        return False
    made = table[coarser].astype(str).agg("|".join, axis=1)
    pairs = pd.DataFrame({"made": made, "level": table[name]}).drop_duplicates()
    return len(pairs) != pairs["made"].nunique() or bool(np.any(pairs["level"].duplicated()))
