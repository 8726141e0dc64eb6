"""The page over the demos of several systems: a card for each, then its pictures, with tables folded away."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence

from ninefold.demo import Shown
from ninefold.report import Table, cell_text, glossary, html_page
from ninefold.run import environment
from ninefold.systems import Installed

_WORDS = {
    "best rival": "the best other method in the same run, on the same data and with the same budget",
    "control": "what remains when the part that a claim is about is taken out",
    "real, simulated": "data that somebody measured, or that a generator in the package made",
    "seed": "the number that everything random starts from; the same seed gives the same numbers",
}


def demo_page(shown: Sequence[Shown], rows: Sequence[Installed]) -> str:
    """The page over all of `rows` whose demos have ended."""
    machine = environment()
    used = {row.distribution: row.version for row in rows} | machine.pop("libraries")
    facts = {key.replace("_gib", ", GiB"): cell_text(one) for key, one in machine.items() if one is not None}
    table = Table(["this run", ""], [*facts.items(), *used.items()])
    words = {word: text for one in shown for word, text in one.words.items()} | _WORDS
    so_far = "" if len(shown) == len(rows) else f" So far {len(shown)} of {len(rows)} systems."
    when = time.strftime("%d %B %Y, %H:%M")
    sections = [("Systems", [cards(shown)])]
    last = f"<details><summary>Show</summary>{glossary(words)}{table.to_html()}</details>"
    sections.append(("Words, machine and versions", [last]))
    intro = f"Each number on this page was computed on {when}, on {machine['processor']}."
    return html_page("Ninefold: demos", sections, intro + so_far)


def cards(shown: Sequence[Shown]) -> str:
    """One card a system: the headline, a picture of what it makes, how it compares, and the command for own data."""
    names = [html.escape(one.name) for one in shown]
    made = [f'<article class="card" id="{name}"><h3>{name}</h3>{"".join(one.section)}</article>'
            for name, one in zip(names, shown, strict=True)]  # fmt: skip
    return f'<div class="cards">{"".join(made)}</div>'
