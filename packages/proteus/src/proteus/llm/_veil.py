"""What of a table a model may see. Names that the data policy keeps back, and names that could be read as words, go out
as tokens (`sample~3`) and come back as names."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from proteus.data._data import ProteomicsData
from proteus.data._roles import LEVELS, entries, open_columns, subject_column
from proteus.knowledge._describe import one_row_each
from proteus.llm._endpoint import DataPolicy
from proteus.record._objects import Record

_PLAIN = re.compile(r"[\w.;:|/+()\[\],'-]{1,64}")  # a name without spaces cannot hold a sentence
_TOKEN = re.compile(r"(?:sample|entity|level|column)~\d+")
_MEASURED = {
    "aliasing", "missing", "missing_by_intensity", "missing_by_group", "residual_sd", "variance_explained", "outliers",
    "markers",
}  # fmt: skip
_WORD = re.compile(r"[\w.-]+")
_LONG_NUMBER = 4  # digits from which a number in words may be a person's
_SAMPLE_KEYS = ("id", "sample")


def _records(kind: type[Record]) -> list[type[Record]]:
    return [kind, *(one for below in kind.__subclasses__() for one in _records(below))]


class Veil:
    """Hides names on the way out and gives them back on the way in.

    Args:
        policy: `schema-only`, `aggregate`, `full`.
        data: the table. Levels go out by name only where their column has a baseline or holds times or doses
            (`open_columns`); all others, which may be persons, go out as codes.
        others: tables whose names are hidden, too: that of the input, where `data` has codes for persons.
    """

    def __init__(self, policy: DataPolicy, data: ProteomicsData, *others: ProteomicsData) -> None:
        self.policy = policy
        self._samples: set[str] = set()
        self._tokens: dict[str, str] = {}
        self._fields = {field for one in _records(Record) for field in one.model_fields}  # keys of every question
        for table in (data, *others):
            self._hide_names_of(table)
        self._names = {token: name for name, token in self._tokens.items()}
        inside = [
            name for name, token in self._tokens.items()
            if (not name.isdigit() or len(name) >= _LONG_NUMBER) and (len(name) > 1 or not token.startswith("sample"))
            and not (token.startswith("entity") and _WORD.fullmatch(name))
        ]  # fmt: skip
        pattern = "|".join(map(re.escape, sorted(inside, key=len, reverse=True)))
        self._inside = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)") if inside else None

    def _hide_names_of(self, data: ProteomicsData) -> None:
        policy, sheet = self.policy, one_row_each(data)
        columns, shown, levels = [str(one) for one in sheet.columns], [], []
        samples = [] if data.level == "cell" else [str(one) for one in sheet.index]
        persons = subject_column(sheet)
        may = open_columns(sheet, persons)
        for name in columns:
            known = entries(sheet[name])
            if known is None or (pd.api.types.is_numeric_dtype(sheet[name]) and name != persons):
                continue
            found, factor = list(known.unique()), name != persons and known.nunique() <= LEVELS
            (shown if name in may else levels if factor else samples).extend(found)
        entities = dict.fromkeys(map(str, data.features.index))
        for name in ("gene", "protein"):
            if name in data.features:
                entities.update(dict.fromkeys(map(str, data.features[name].dropna())))
        hidden = set(samples) - {*columns, *shown}
        self._samples |= hidden
        levels = [one for one in levels if one not in shown and one not in hidden]
        self._add("column", columns, all_of_them=False)
        self._add("level", [*shown, *levels] if policy == "schema-only" else levels, all_of_them=policy != "full")
        self._add("level", shown, all_of_them=False)
        self._add("entity", entities, all_of_them=policy == "schema-only")
        self._add("sample", sorted(hidden), all_of_them=policy != "full")

    def _add(self, kind: str, names: Iterable[str], *, all_of_them: bool) -> None:
        used = sum(one.startswith(f"{kind}~") for one in self._tokens.values())
        for number, name in enumerate(dict.fromkeys(names), used + 1):
            if name not in self._tokens and name not in self._fields and (all_of_them or not _PLAIN.fullmatch(name)):
                self._tokens[name] = f"{kind}~{number}"

    def hide(self, value: Any) -> Any:
        """A JSON value as the model may see it."""
        if isinstance(value, str):
            if value in self._tokens:
                return self._tokens[value]
            if self._inside:
                value = self._inside.sub(lambda one: self._tokens[one[0]], value)
            return _WORD.sub(lambda one: self._entity(one[0]), value) if self.policy == "schema-only" else value
        if isinstance(value, list):
            return [self.hide(one) for one in value if not self._of_a_sample(one)]
        if isinstance(value, Mapping):
            return {self.hide(key): self.hide(part) for key, part in value.items()}
        return value

    def _entity(self, word: str) -> str:
        token = self._tokens.get(word, word)
        return token if token.startswith("entity") else word

    def _of_a_sample(self, value: Any) -> bool:
        """Whether a value is a table's row about one sample, which only the policy `full` lets out."""
        if self.policy == "full" or not isinstance(value, Mapping):
            return False
        return any(isinstance(value.get(key), str) and value[key] in self._samples for key in _SAMPLE_KEYS)

    def show(self, value: Any) -> Any:
        """A model's answer with names for tokens."""
        if isinstance(value, str):
            return _TOKEN.sub(lambda one: self._names.get(one[0], one[0]), value)
        if isinstance(value, list):
            return [self.show(one) for one in value]
        return {self.show(key): self.show(part) for key, part in value.items()} if isinstance(value, dict) else value

    def profile(self, value: dict[str, Any]) -> dict[str, Any]:
        """A profile's JSON without warnings, which quote the table; under `schema-only` without what was measured."""
        left_out = {"warnings", *(_MEASURED if self.policy == "schema-only" else ())}
        return {key: part for key, part in value.items() if key not in left_out}
