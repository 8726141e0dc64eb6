"""Complexes where no list of them is given: genes that share most gene sets, titled by their proteins' names."""

import re
from collections.abc import Mapping, Sequence

from proteus.record._words import words

_SHARED, _FEWEST, _KNOWN_BY = 0.8, 4, 3
_PART = re.compile(r"(?i)\b(?:subunit|component|complex|proteasome|ribosomal)\b")
_GENERAL = frozenset(words("general"))  # words that name no complex


def complexes(sets: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> dict[str, list[str]]:
    """Groups of measured genes that share at least 0.8 of the sets that either of two is in, where most of their
    proteins are parts of something by their names.

    Args:
        sets: name to genes.
        names: protein name of each measured gene.
    Returns: title (the word that most of the names share) to genes.
    """
    inside: dict[str, set[str]] = {}
    for name, members in sets.items():
        for gene in names.keys() & members:
            inside.setdefault(gene, set()).add(name)
    profiles: dict[frozenset[str], list[str]] = {}
    for gene in sorted(gene for gene, where in inside.items() if len(where) >= _KNOWN_BY):
        profiles.setdefault(frozenset(inside[gene]), []).append(gene)
    groups: list[tuple[frozenset[str], list[str]]] = []
    for profile, same in sorted(profiles.items(), key=lambda one: (-len(one[1]), one[1])):
        near = next((one for one in groups if len(one[0] & profile) >= _SHARED * len(one[0] | profile)), None)
        if near is None:
            groups.append((profile, list(same)))
        else:
            near[1].extend(same)
    made: dict[str, list[str]] = {}
    for _, group in groups:
        parts = sum(bool(_PART.search(names[gene])) for gene in group)
        title = _title([names[gene].lower() for gene in group])
        if len(group) >= _FEWEST and 2 * parts > len(group) and title:
            title = title if title not in made and title not in sets else f"{title} of {min(group)}"
            made[title] = sorted(group)
    return made


def _title(names: Sequence[str]) -> str:
    """`proteasome complex`: the words that most names share, in their order; empty if most share none."""
    found = [[word for word in re.findall(r"[a-z]{4,}", name) if word not in _GENERAL] for name in names]
    places: dict[str, list[int]] = {}
    for said in found:
        for word in set(said):
            places.setdefault(word, []).append(said.index(word))
    most = max(map(len, places.values()), default=0)
    shared = sorted((sum(where), word) for word, where in places.items() if len(where) == most)
    return f"{' '.join(word for _, word in shared)} complex" if 2 * most > len(names) else ""
