"""One self-contained HTML page, readable from a telephone to a wide screen; it loads nothing from anywhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ninefold.files import mark


def html_page(title: str, sections: Iterable[tuple[str, Sequence[str]]], intro: str = "") -> str:
    """One self-contained page, with its contents where it has three sections or more.

    Args:
        title: the page's heading.
        sections: (heading, parts); a part is HTML made by `Table.to_html`, `figure_html`, `paragraph` or `glossary`.
        intro: plain text under the heading.

    Examples:
        >>> from ninefold.report import Table, html_page, paragraph

        >>> table = Table(["model", "ndcg@10"], [["EASE", 0.41]])
        >>> page = html_page("Shop", [("Models", [paragraph("Two models.", "lead"), table.to_html()])])
        >>> page[:15], '<p class="lead">Two models.</p>' in page
        ('<!doctype html>', True)
    """
    listed = list(sections)
    body = "".join(
        f'<h2 id="s{place}">{html.escape(heading)}</h2>{"".join(parts)}'
        for place, (heading, parts) in enumerate(listed)
    )
    links = (f'<li><a href="#s{place}">{html.escape(heading)}</a></li>' for place, (heading, _) in enumerate(listed))
    contents = f"<nav><ul>{''.join(links)}</ul></nav>" if len(listed) > 2 else ""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="generator" content="{mark("ninefold")}">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{paragraph(intro) if intro else ''}{contents}{body}</body></html>\n"
    )


def paragraph(text: str, kind: str = "") -> str:
    """Plain text as one HTML paragraph; `kind` may be "lead" (a headline) or "note" (small print).

    Examples:
        >>> from ninefold.report import paragraph

        >>> paragraph("5 < 7"), paragraph("small print", "note")
        ('<p>5 &lt; 7</p>', '<p class="note">small print</p>')
    """
    return f'<p class="{kind}">{html.escape(text)}</p>' if kind else f"<p>{html.escape(text)}</p>"


def glossary(words: Mapping[str, str]) -> str:
    """Words and what they mean, by the alphabet.

    Examples:
        >>> from ninefold.report import glossary

        >>> glossary({"NDCG": "gain of a list, discounted by rank"})
        '<dl><dt>NDCG</dt><dd>gain of a list, discounted by rank</dd></dl>'
    """
    pairs = sorted(words.items(), key=lambda pair: pair[0].lower())
    return (
        "<dl>" + "".join(f"<dt>{html.escape(word)}</dt><dd>{html.escape(text)}</dd>" for word, text in pairs) + "</dl>"
    )
