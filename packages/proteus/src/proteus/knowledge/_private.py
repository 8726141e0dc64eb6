"""Persons stay in the input: a study works on a table in which they, and samples named after them, have codes.

What a study writes, prints and sends is made from that table alone. `input/` of a run keeps the table as it was given,
with the names; the codes are counted in its order, so that they can be read back.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from proteus.data._data import ProteomicsData
from proteus.data._roles import BASE, LEVELS, SUBJECT, entries, named_staff, same_partition, subject_column
from proteus.knowledge._describe import columns_of_cells, one_row_each

_WORD = re.compile(r"[^\W\d_]{3,}")  # of sample names: what could be a name
_RARE = 1 / 3  # share of samples under which a word of their names could be a person's
_RUN = re.compile(
    r"(?i)^(?:ctrl|control|case|sample|rep|run|day|week|bio|tech|pool|blank|patient|donor|subject|raw|mzml)$"
)
_DATE = re.compile(r"(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{4,6})?")
_OF_PERSONS = 4  # digits from which whole numbers that go with persons could be theirs: age and height have fewer
_DIGITS = 3  # digits from which a number in a sample name could be a person's, unless numbers count


def private_columns(samples: pd.DataFrame) -> list[str]:
    """Columns whose entries may be persons: subjects by structure or name, other names of them, staff, and text that
    hardly repeats (names, remarks).

    Args:
        samples: one row a sample.
    """
    persons = subject_column(samples)
    found = []
    for name in map(str, samples.columns):
        column = samples[name].dropna()
        number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        subject = persons is not None and (name == persons or same_partition(samples, name, persons))
        if (subject and not (number and name != persons and _measured(column))) or (
            SUBJECT.match(name) and entries(column) is not None
        ):
            found.append(name)
        elif not number and len(column):
            sizes = column.astype(str).value_counts()
            alone = len(sizes) > 3 and (sizes == 1).mean() >= 0.5 and not any(BASE.match(one) for one in sizes.index)
            found += [name] * bool(named_staff(name) or len(sizes) > LEVELS or alone)
    return found


def _measured(column: pd.Series) -> bool:
    """Whether numbers that go with persons measure something of them, such as age, and are no number of theirs."""
    return bool((column % 1 != 0).any() or (column.abs() < 10 ** (_OF_PERSONS - 1)).any())


def without_names(data: ProteomicsData) -> ProteomicsData:
    """The table with codes for persons: `case_1` ... in their columns, `sample_1` ... for samples named after them, and
    notes without either."""
    sheet = one_row_each(data)
    of_cells = data.level == "cell" and "sample_id" in sheet
    aside = {"sample_id", *columns_of_cells(data)} if of_cells else set()
    columns = [one for one in private_columns(sheet) if one not in aside]
    code: dict[str, str] = {}
    changed = {}
    for name in columns:
        stem = re.sub(r"\W+", "_", name.lower()).strip("_") or "person"
        text = data.samples[name].map(_as_text, na_action="ignore")
        names = {one: f"{stem}_{place}" for place, one in enumerate(dict.fromkeys(text.dropna()), 1)}
        if set(names) == set(names.values()):
            continue
        changed[name] = text.map(names).astype(object)
        code |= {one: coded for one, coded in names.items() if one not in code}
    samples = data.samples.assign(**changed)
    own = [str(one) for one in (sheet["sample_id"] if of_cells else sheet.index)]
    shown = {level for name in samples if name not in (*columns, "sample_id") for level in _levels(samples[name])}
    if _named_after(own, code, shown):
        names = {one: f"sample_{place}" for place, one in enumerate(own, 1)}
        code = {**names, **code}
        if of_cells:
            samples = samples.assign(sample_id=samples["sample_id"].astype(str).map(names))
        elif data.level != "cell":
            samples = samples.set_axis(pd.Index([names[str(one)] for one in samples.index], name=samples.index.name))
    if not code:
        return data
    return replace(data, samples=samples, notes=[_hidden(one, code) for one in data.notes])


def _as_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and value % 1 == 0 else str(value)


def _levels(column: pd.Series) -> Iterable[str]:
    known = column.dropna()
    return [] if pd.api.types.is_float_dtype(known) else (one.lower() for one in known.astype(str).unique())


def _named_after(own: list[str], code: dict[str, str], shown: set[str]) -> bool:
    """Whether samples bear names of persons, as far as their words and numbers tell."""
    persons = [one.lower() for one in code if len(one) > 1]
    if any(re.search(rf"(?<![a-z0-9]){re.escape(one)}(?![a-z0-9])", name.lower()) for name in own for one in persons):
        return True
    levels = " ".join(shown)
    for name in own:
        for word in _WORD.findall(name.lower()):
            rare = sum(word in other.lower() for other in own) < max(_RARE * len(own), 2)
            if rare and not _RUN.match(word) and word not in levels:
                return True
    digits = [re.findall(rf"\d{{{_DIGITS},}}", name) for name in own]
    return all(digits) and len({one[-1] for one in digits}) > len(own) / 2 and not _counted([one[-1] for one in digits])


def _counted(numbers: list[str]) -> bool:
    """Whether numbers count runs one by one, or are dates."""
    values = sorted(map(int, set(numbers)))
    dates = all(
        re.fullmatch(r"(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{4,6})?", one) for one in numbers
    )
    return dates or values[-1] - values[0] < 3 * len(values)


def _hidden(text: str, code: dict[str, str]) -> str:
    """A note in which each name has its code; numbers of one or two digits stay."""
    names = sorted((one for one in code if not one.isdigit() or len(one) > 2), key=len, reverse=True)
    if not names:
        return text
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)")
    return pattern.sub(lambda found: code[found[0]], text)
