"""One self-contained HTML page, readable from a telephone to a wide screen; it loads nothing from anywhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from ninefold.files import mark

_CSS = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:68rem;padding:0 1rem;color:#1c2128;background:#fff}
h1{font-size:1.7rem}h2{font-size:1.25rem;margin-top:2.2rem;border-top:1px solid #d8dee4;padding-top:1rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0;font-size:.92rem}
caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{border-bottom:1px solid #d8dee4;padding:.3rem .7rem;text-align:left;vertical-align:top}th{background:#f6f8fa}
td.n{text-align:right;font-variant-numeric:tabular-nums}.note,figcaption{color:#57606a;font-size:.9rem}
figure{display:inline-block;margin:.5rem 1rem .5rem 0;vertical-align:top;max-width:100%}img{max-width:100%;height:auto}
.lead{font-size:1.1rem;font-weight:600}nav li{margin:.15rem 0}dt{font-weight:600;margin-top:.5rem}dd{margin-left:1.2rem}
p,dd,td,figcaption{overflow-wrap:break-word}a{color:#2f6db5}
@media(max-width:36rem){body{margin:1rem auto;font-size:15px}th,td{padding:.25rem .4rem}figure{margin-right:0}
.wide{overflow-x:auto}.wide img{max-width:none;width:48rem}}
"""


def html_page(title: str, sections: Iterable[tuple[str, Sequence[str]]], intro: str = "") -> str:
    """One self-contained page, with its contents where it has three sections or more.

    Args:
        title: the page's heading.
        sections: (heading, parts); a part is HTML made by `Table.to_html`, `figure_html`, `paragraph` or `glossary`.
        intro: plain text under the heading.
    """
    listed = list(sections)
    body = "".join(
        f'<h2 id="s{place}">{html.escape(heading)}</h2>{"".join(parts)}'
        for place, (heading, parts) in enumerate(listed)
    )
    links = (f'<li><a href="#s{place}">{html.escape(heading)}</a></li>' for place, (heading, _) in enumerate(listed))
    contents = f"<nav><ul>{''.join(links)}</ul></nav>" if len(listed) > 2 else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="generator" content="{mark("ninefold")}">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{paragraph(intro) if intro else ''}{contents}{body}</body></html>\n"
    )


def paragraph(text: str, kind: str = "") -> str:
    """Plain text as one HTML paragraph; `kind` may be "lead" (a headline) or "note" (small print)."""
    return f'<p class="{kind}">{html.escape(text)}</p>' if kind else f"<p>{html.escape(text)}</p>"


def glossary(words: Mapping[str, str]) -> str:
    """Words and what they mean, by the alphabet."""
    pairs = sorted(words.items(), key=lambda pair: pair[0].lower())
    return (
        "<dl>" + "".join(f"<dt>{html.escape(word)}</dt><dd>{html.escape(text)}</dd>" for word, text in pairs) + "</dl>"
    )
