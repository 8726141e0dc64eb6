"""The page over the demos of several systems: a card for each, then its pictures, with tables folded away."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Mapping, Sequence

from ninefold.demo import Shown
from ninefold.report import Table, cell_text, glossary, html_page
from ninefold.run import environment
from ninefold.systems import Installed

_WORDS = {
    "arm": "one of the methods that are compared: ours, a rival, or a control",
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
    own = {row.name: row.system.own for row in rows if row.system}
    sections = [("All systems", [cards(shown, own)]), *((one.name, one.section) for one in shown)]
    last = f"<details><summary>Show</summary>{glossary(words)}{table.to_html()}</details>"
    sections.append(("Words, machine and versions", [last]))
    intro = f"Each number on this page was computed on {when}, on {machine['processor']}."
    return html_page("Ninefold: demos", sections, intro + so_far)


def cards(shown: Sequence[Shown], own: Mapping[str, str]) -> str:
    """One card a system: a thumbnail, what was measured, the figure and the best rival's, and the command."""
    made = (_card(place, one, own.get(one.name, "")) for place, one in enumerate(shown, start=1))
    return f'<div class="cards">{"".join(made)}</div>'


def _card(place: int, one: Shown, command: str) -> str:
    measured, ours, rival, word = map(html.escape, one.cells)
    picture = re.search(r'src="(data:image/[^"]+)"', "".join(one.section))
    figure = f'<img alt="" src="{picture[1]}">' if picture else ""
    said = html.escape(one.reason) if one.reason else f"{measured}: <strong>{ours}</strong>; best rival {rival}"
    mine = f"<p>On your own data: <code>{html.escape(command)}</code></p>" if command else ""
    return (
        f'<article class="card"><h3><a href="#s{place}">{html.escape(one.name)}</a> <small>{word}</small></h3>'
        f"{figure}<p>{said}</p>{mine}</article>"
    )
