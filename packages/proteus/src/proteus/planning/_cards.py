"""What else a finding could be, and what to do next: from the card of the table's assay."""

from typing import Any

from proteus.record._objects import Finding
from proteus.record._words import words

_LIKE = {"network": "set", "module": "set", "panel": "feature", "sample_group": "set"}  # kinds that share a card's part


def _card(one: Finding, assay: str) -> dict[str, Any]:
    card = words("assays").get(assay, {})
    return card.get(one.kind) or card.get(_LIKE.get(one.kind, ""), {})


def alternatives_of(one: Finding, assay: str) -> list[str]:
    """Other explanations of a finding, those of its assay where the card has any.

    Args:
        one: first finding of a hypothesis.
        assay: name of a card; see `assay_of`.
    """
    return _card(one, assay).get("alternatives") or words("alternatives").get(one.kind, [])


def next_of(one: Finding, assay: str) -> str:
    """The next experiment, as the assay's card has it, or what could refute a finding of its kind."""
    return (_card(one, assay).get("experiment") or words("tests")[one.kind]).format(entity=one.entity)
