"""A small picture for each claim: 95 % intervals beside the bar at zero, as an inline SVG."""

from __future__ import annotations

import html
from collections.abc import Sequence

from ninefold_lab import HELD, MISSED, NOT_REPRODUCED, REPRODUCED, Comparison

_COLOUR = {REPRODUCED: "#2a7f3f", HELD: "#2a7f3f", NOT_REPRODUCED: "#b3261e", MISSED: "#b3261e"}  # else grey
_WIDTH, _LEFT, _RIGHT, _STEP = 420, 20, 400, 34


def svg(bars: Sequence[Comparison]) -> str:
    """One line a bar, each on its own scale: right of the vertical line the bar is passed, left of it it is missed."""
    middle = (_LEFT + _RIGHT) / 2
    height = _STEP * len(bars) + 20
    said = "; ".join(f"{bar.bar}: {bar.estimate:+.3g}, from {bar.low:+.3g} to {bar.high:+.3g}" for bar in bars)
    parts = [
        f'<svg class="interval" viewBox="0 0 {_WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{html.escape(said)}</title>",
        f'<text x="{middle - 6}" y="12" font-size="10" text-anchor="end" fill="currentColor">missed</text>',
        f'<text x="{middle + 6}" y="12" font-size="10" fill="currentColor">passed</text>',
    ]
    for place, bar in enumerate(bars):
        half = (_RIGHT - _LEFT) / 2 / max(abs(bar.low), abs(bar.high))
        low, point, high = (middle + half * value for value in (bar.low, bar.estimate, bar.high))
        colour, line = _COLOUR.get(bar.verdict, "#777"), _STEP * place + 40
        parts += [
            f'<text x="{_LEFT}" y="{line - 11}" font-size="11" fill="currentColor">{html.escape(bar.bar)}</text>',
            f'<line x1="{middle}" y1="{line - 8}" x2="{middle}" y2="{line + 8}" stroke="#888"/>',
            f'<line x1="{low:.1f}" y1="{line}" x2="{high:.1f}" y2="{line}" stroke="{colour}" stroke-width="3"/>',
            f'<circle cx="{point:.1f}" cy="{line}" r="4.5" fill="{colour}"/>',
        ]
    return "".join([*parts, "</svg>"])
