"""Templates and words of the long-context tasks (`embedded/templates.json`), apart by role.

No template, and no word of a role, stands in another role.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ninefold.errors import ArtifactError

_DIGEST = "b87cb69ab01f22e7c4b2cda1626f67b1dafd6b6603dc8003d336e7ef658681a9"  # of the file: outcomes
# are keyed by source, and other templates are another experiment


@dataclass(frozen=True)
class Templates:
    """Of one role.

    Attributes:
        facts: (sentence, the same up to its value) of needles; slots {subject} and {value}.
        subjects, values: what fills them.
        stories: (introduction, sentence at the end up to the surname); slots {first}, {last}, {trade}, {town}.
        firsts, lasts, trades, towns: what fills them.
        pair: line of a key-value list up to its value; slot {key}.
        asks: line after the list up to the value; slot {key}.
        keys: words that keys are made of, two each.
        shot: a solved example up to its label, a space before it; slot {item}.
        kinds: label -> items.
        card: a person's paragraph; slots {first}, {last}, {trade}, {town}.
        questions: up to the answer; slots {first}, {last}; with the slot that is asked.
        constants: (line of code, the line at the end up to its value); slots {name}, {value}.
        parts: words that names of constants are made of, two each.
    """

    facts: tuple[tuple[str, str], ...]
    subjects: tuple[str, ...]
    values: tuple[str, ...]
    stories: tuple[tuple[str, str], ...]
    firsts: tuple[str, ...]
    lasts: tuple[str, ...]
    trades: tuple[str, ...]
    towns: tuple[str, ...]
    pair: str
    asks: str
    keys: tuple[str, ...]
    shot: str
    kinds: dict[str, tuple[str, ...]]
    card: str
    questions: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, str], ...]
    parts: tuple[str, ...]


def _words(value: Any) -> Any:
    """Words with spaces between as a tuple, lists as tuples."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(tuple(one) if isinstance(one, list) else one for one in value)


def _read() -> dict[str, Templates]:
    file = resources.files("tokenprune.datasets") / "embedded" / "templates.json"
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != _DIGEST:
        raise ArtifactError(str(file), "is damaged: it does not match its digest; install tokenprune again")
    plain = ("pair", "asks", "shot", "card")
    found: dict[str, Templates] = {}
    for role, held in json.loads(content).items():
        fields: dict[str, Any] = {
            name: value if name in plain
            else {kind: _words(items) for kind, items in value.items()} if name == "kinds" else _words(value)
            for name, value in held.items()}  # fmt: skip
        found[role] = Templates(**fields)
    return found


BY_ROLE = _read()
