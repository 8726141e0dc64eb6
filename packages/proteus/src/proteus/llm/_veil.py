"""What of a table a model may see. Names that the data policy keeps back, and names that could be read as words, go out
as tokens (`sample~3`) and come back as names."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from proteus.data._data import ProteomicsData
from proteus.llm._endpoint import DataPolicy

_PLAIN = re.compile(r"[\w.;:|/+()\[\],'-]{1,64}")  # a name without spaces cannot hold a sentence
_TOKEN = re.compile(r"(?:sample|entity|level|column)~\d+")
_MEASURED = {
    "aliasing", "missing", "missing_by_intensity", "missing_by_group", "residual_sd", "variance_explained", "outliers",
    "markers",
}  # fmt: skip
_WORD = re.compile(r"[\w.-]+")
_PERSON = re.compile(r"(?i)subject|patient|donor|individual|participant|person|animal|mouse|sample|^id$|_id$")
_LEVELS = 20
_SAMPLE_KEYS = ("id", "sample")


class Veil:
    """Hides names on the way out and gives them back on the way in.

    Args:
        policy: `schema-only`, `aggregate`, `full`.
        data: the table. Columns of text with few levels are factors; where most entries differ, or the column's name
            speaks of persons, they are kept back like names of samples.
    """

    def __init__(self, policy: DataPolicy, data: ProteomicsData) -> None:
        self.policy = policy
        columns, levels, samples = [str(one) for one in data.samples.columns], [], []
        if data.level != "cell":
            samples += [str(one) for one in data.samples.index]
        for name in data.samples.columns:
            column = data.samples[name].dropna()
            if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
                entries = [str(one) for one in column.unique()]
                told = _PERSON.search(str(name)) or 2 * len(entries) > len(column) or len(entries) > _LEVELS
                (samples if told else levels).extend(entries)
        entities = dict.fromkeys(map(str, data.features.index))
        for name in ("gene", "protein"):
            if name in data.features:
                entities.update(dict.fromkeys(map(str, data.features[name].dropna())))
        self._samples = set(samples) - {*columns, *levels, *entities}
        self._tokens: dict[str, str] = {}
        self._add("column", columns, all_of_them=False)
        self._add("level", levels, all_of_them=policy == "schema-only")
        self._add("entity", entities, all_of_them=policy == "schema-only")
        self._add("sample", sorted(self._samples), all_of_them=policy != "full")
        self._names = {token: name for name, token in self._tokens.items()}
        inside = [
            name for name, token in self._tokens.items()
            if not name.isdigit() and (len(name) > 2 or not token.startswith("sample"))
            and not (token.startswith("entity") and _WORD.fullmatch(name))
        ]  # fmt: skip
        pattern = "|".join(map(re.escape, sorted(inside, key=len, reverse=True)))
        self._inside = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)") if inside else None

    def _add(self, kind: str, names: Iterable[str], *, all_of_them: bool) -> None:
        for number, name in enumerate(dict.fromkeys(names), 1):
            if name not in self._tokens and (all_of_them or not _PLAIN.fullmatch(name)):
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
