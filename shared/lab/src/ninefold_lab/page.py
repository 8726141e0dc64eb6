"""The page over the demos of several systems: a card for each, then its pictures, with tables folded away."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ninefold.demo import Shown
from ninefold.report import Table, cell_text, glossary, html_page

_WORDS = {
    "arm": "one of the methods that are compared: ours, a rival, or a control",
    "best rival": "the best other method in the same run, on the same data and with the same budget",
    "control": "what remains when the part that a claim is about is taken out",
    "real, simulated": "data that somebody measured, or that a generator in the package made",
    "seed": "the number that everything random starts from; the same seed gives the same numbers",
}


def demo_page(
    shown: Sequence[Shown],
    total: int,
    environment: Mapping[str, Any],
    versions: Mapping[str, str],
    own: Mapping[str, str],
) -> str:
    """The page over all that have ended; `own` holds the command for the user's own data by system."""
    machine = {key: value for key, value in environment.items() if not isinstance(value, dict) and value is not None}
    rows = [[key.replace("_gib", ", GiB"), cell_text(value)] for key, value in machine.items()]
    facts = Table(["this run", ""], rows)
    used = Table(["package or library", "version"], [*versions.items(), *environment["libraries"].items()])
    words = {word: text for one in shown for word, text in one.words.items()} | _WORDS
    so_far = "" if len(shown) == total else f" So far {len(shown)} of {total} systems."
    when = time.strftime("%d %B %Y, %H:%M")
    intro = f"Each number on this page was computed on {when}, on {environment['processor']}."
    return html_page(
        "Ninefold: demos",
        [
            ("All systems", [cards(shown, own)]),
            *((one.name, one.section) for one in shown),
            ("Words, machine and versions", [_folded([glossary(words), facts.to_html(), used.to_html()])]),
        ],
        intro + so_far,
    )


def cards(shown: Sequence[Shown], own: Mapping[str, str]) -> str:
    """One card a system: a thumbnail, what was measured, the figure beside the best rival's, and the command."""
    made = (_card(place, one, own.get(one.name, "")) for place, one in enumerate(shown, start=1))
    return f'<div class="cards">{"".join(made)}</div>'


def _card(place: int, one: Shown, command: str) -> str:
    measured, ours, rival, word = map(html.escape, one.cells)
    picture = re.search(r'src="(data:image/png;base64,[^"]+)"', "".join(one.section))
    figure = f'<img alt="" src="{picture[1]}">' if picture else ""
    said = html.escape(one.reason) if one.reason else f"{measured}: <strong>{ours}</strong>; best rival {rival}"
    mine = f"<p>On your own data: <code>{html.escape(command)}</code></p>" if command else ""
    return (
        f'<article class="card"><h3><a href="#s{place}">{html.escape(one.name)}</a> <small>{word}</small></h3>'
        f"{figure}<p>{said}</p>{mine}</article>"
    )


def _folded(parts: Sequence[str]) -> str:
    return f"<details><summary>Show</summary>{''.join(parts)}</details>"
