"""One self-contained HTML page, readable from a telephone to a wide screen; it loads nothing from anywhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from ninefold.files import mark

_CSS = """
:root{color-scheme:light dark;--text:#1c2128;--back:#fff;--soft:#57606a;--line:#d8dee4;--head:#f6f8fa;--link:#0b57a4}
@media(prefers-color-scheme:dark){:root{--text:#e6e9ed;--back:#15181d;--soft:#a9b1bb;--line:#3a414a;--head:#20252c;
--link:#8cc1ff}img{background:#fff;border-radius:4px}}
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:var(--text);
background:var(--back)}
h1{font-size:1.7rem}h2{font-size:1.25rem;margin:1.2rem 0 .5rem;border-top:1px solid var(--line);padding-top:.7rem}
p{margin:.5rem 0}h3{font-size:1.05rem;margin:.2rem 0}small{color:var(--soft);font-weight:400}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0;font-size:.92rem}
caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{border-bottom:1px solid var(--line);padding:.3rem .7rem;text-align:left;vertical-align:top}
th{background:var(--head)}td.n{text-align:right;font-variant-numeric:tabular-nums}
.note,figcaption{color:var(--soft);font-size:.9rem}
figure{display:inline-block;margin:.3rem 1rem .3rem 0;vertical-align:top;max-width:min(100%,33rem)}
img{max-width:100%;height:auto}.lead{font-size:1.1rem;font-weight:600}figure img{max-height:12rem;width:auto}
details figure img{max-height:none}nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0}
dt{font-weight:600;margin-top:.5rem}dd{margin-left:1.2rem}p,dd,td,figcaption,code{overflow-wrap:anywhere}a{color:var(--link)}summary{cursor:pointer;color:var(--link)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.8rem}
.card{border:1px solid var(--line);border-radius:8px;padding:.7rem .9rem;font-size:.92rem}
.card img{width:100%;height:7rem;object-fit:contain;background:#fff}.card p{margin:.4rem 0}
@media(max-width:36rem){body{margin:1rem auto;font-size:15px}th,td{padding:.25rem .4rem}figure{margin-right:0}
.wide{overflow-x:auto}.wide img{max-width:none;max-height:none;width:48rem}}
@media print{nav,summary{display:none}figure,.card{break-inside:avoid}}
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
