"""README of a folder that is written: front matter that the hub reads, what it is, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def model_card(
    title: str,
    about: str,
    facts: Mapping[str, Any],
    *,
    bases: Sequence[str] = (),
    tags: Sequence[str] = (),
    end: str = "",
) -> str:
    """The text of the card.

    Args:
        title: of the page.
        about: a sentence or two below it.
        facts: a line for each.
        bases: hub ids of the models that it was made of.
        tags: in addition to "tswitch".
        end: text below the facts.
    """
    front = ["---", f"tags: [{', '.join(['tswitch', *tags])}]"]
    if bases:
        front += [f"base_model: {bases[0]}"] if len(bases) == 1 else ["base_model:", *(f"- {name}" for name in bases)]
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    return "\n".join([*front, "---", "", f"# {title}", "", about, "", *lines, "", *([end, ""] if end else [])])
