"""A question's text and the names that a table has for it: what is understood is taken away."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

_RISING = "none no zero control", "low small early i", "mid medium middle moderate ii", "high large late iii", "iv", "v"
_ORDER = {word: place for place, alike in enumerate(_RISING) for word in alike.split()}
_NOT_IT = r"(?![ -](?:inhibitor|activator|substrate|binding|anchor|interacting|associated|regulat))"


@dataclass(frozen=True)
class Names:
    """What a table calls its things: features, samples, gene sets, and the protein name of each feature."""

    entities: Collection[str] = ()
    samples: Collection[str] = ()
    sets: Collection[str] = ()
    described: Mapping[str, str] = field(default_factory=dict)

    def family(self, word: str) -> list[str]:
        """Features of a class by their names: `kinases` finds `Tyrosine-protein kinase`, and no inhibitor of it."""
        pattern = re.compile(rf"(?i)(?<!\w){re.escape(singular(word))}\w*{_NOT_IT}")
        return [entity for entity, name in self.described.items() if pattern.search(name)]


def singular(word: str) -> str:
    """Without the plural's `s`."""
    return word.removesuffix("s") if len(word) > 3 and not word.endswith("ss") else word


class Text:
    """A question, from which what is understood is taken away."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("’", "'")
        self.left = self.text.lower()

    def take(self, pattern: str | re.Pattern[str]) -> re.Match[str] | None:
        """The first match in what is left, which it leaves."""
        found = re.search(pattern, self.left)
        if found is not None:
            self.left = self.left[: found.start()] + "\x00" * len(found[0]) + self.left[found.end() :]
        return found

    def names(self, known: Iterable[str], *, exact: Collection[str] = (), end: str = "") -> list[tuple[int, str]]:
        """(place, name) of each that is said, longest first; words in `exact` only as they are written; `end` may
        follow a name."""
        made = []
        for name in sorted(known, key=len, reverse=True):
            pattern = rf"(?<!\w){re.escape(name.lower())}{end}(?!\w)"
            found = re.search(pattern, self.left)
            if found and (name.lower() not in exact or self.text[found.start() : found.end()] == name):
                self.take(pattern)
                made.append((found.start(), name))
        return sorted(made)


def ordered(levels: Iterable[str]) -> list[str] | None:
    """Levels in the order that their numbers or words say (none, low, mid, high; i, ii, iii, iv), or None."""
    places = {}
    for level in levels:
        number = re.search(r"\d+(?:\.\d+)?", level)
        known = [_ORDER[word] for word in re.findall(r"[a-z]+", level.lower()) if word in _ORDER]
        if number is None and len(known) != 1:
            return None
        places[level] = float(number[0]) if number else known[0]
    return sorted(places, key=lambda one: places[one]) if len(set(places.values())) == len(places) >= 3 else None
