"""The first screen's two pictures, as SVG: joined hypotheses as trees of their members, and a volcano with names.

Both are 340 units wide, so that a text of 12 is 12 pixels on a telephone.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from proteus.record._objects import Finding, Hypothesis

WIDTH = 340
UP, DOWN, PLAIN, LINE = "#b8560f", "#2f6db5", "#6b7280", "#c3c9d1"
_ROW, _NAMES, _BARS = 22, 132, 196  # height of a member; where bars begin and how wide they are
_POINTS, _LABELS, _LETTER = 1500, 7, 6.8  # grey points, names on each side, width of a letter


def tree(one: Hypothesis, lead: Finding, members: Sequence[Finding], unit: str) -> str:
    """A hypothesis as a tree: what joins its members, and each member's change with its interval.

    Args:
        one: hypothesis. lead: its first finding. members: findings that are joined. unit: of their effects.
    """
    rows = [member for member in members if member.effect is not None or member.only_in]
    reach = max([abs(value) for member in rows for value in (member.effect, member.low, member.high) if value] or [1.0])
    middle = _NAMES + _BARS / 2
    height = 26 + _ROW * len(rows) + 34

    def x(value: float) -> float:
        return middle + value / reach * (_BARS / 2 - 8)

    parts = [
        _text(6, 16, f"{one.id}  {_short(lead.entity, 40)}", weight=600),
        f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="24" y2="{height - 32}" stroke="{LINE}"/>',
    ]
    for place, member in enumerate(rows):
        y = 26 + _ROW * place + _ROW / 2
        color = UP if member.sign > 0 else DOWN if member.sign < 0 else PLAIN
        parts.append(f'<path d="M12 22V{y:.1f}H24" fill="none" stroke="{PLAIN}"/>')
        parts.append(_text(28, y + 4, _short(member.entity, 14)))
        if member.effect is None:
            first, _, second = member.target.rpartition("-")
            parts.append(_text(middle + 6, y + 4, f"only in {first if member.only_in > 0 else second}", fill=color))
            continue
        left, right = sorted((x(0), x(member.effect)))
        size = f'width="{right - left:.1f}" height="12"'
        parts.append(f'<rect x="{left:.1f}" y="{y - 6:.1f}" {size} fill="{color}" opacity=".75"/>')
        if member.low is not None and member.high is not None:
            parts.append(f'<path d="M{x(member.low):.1f} {y:.1f}H{x(member.high):.1f}" stroke="#1c2128"/>')
    below = height - 14
    for value, anchor in ((-reach, "start"), (0.0, "middle"), (reach, "end")):
        parts.append(_text(x(value), below - 4, f"{value:.2g}", anchor=anchor, fill=PLAIN))
    parts.append(_text(middle, below + 12, unit, anchor="middle", fill=PLAIN))
    return _svg(height, f"{one.id}: {lead.entity} and its members", parts)


def volcano(rows: Sequence[Sequence[Any]], unit: str) -> str:
    """Effects against p of a contrast, with the names of its strongest features.

    Args:
        rows: [name, effect, p, q, ...] of each feature, smallest p first.
        unit: of the effects.
    """
    height, left, right, top, bottom = 320, 34, WIDTH - 8, 12, 272
    frame = pd.DataFrame([row[:4] for row in rows], columns=["name", "effect", "p", "q"])
    far = max(0.1, float(frame["effect"].abs().max())) * 1.05
    logs = [-math.log10(max(p, 1e-300)) for p in frame["p"]]
    high = max([1.0, *logs]) * 1.05

    def at(effect: float, log: float) -> tuple[float, float]:
        return left + (effect + far) / (2 * far) * (right - left), bottom - log / high * (bottom - top)

    parts = [f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="{PLAIN}"/>']
    quiet = [place for place in range(len(frame)) if frame["q"].iloc[place] > 0.05]
    step = max(1, len(quiet) // _POINTS)
    shown = [
        *reversed(quiet[::step]),
        *reversed([place for place in range(len(frame)) if frame["q"].iloc[place] <= 0.05]),
    ]
    for place in shown:
        _, effect, _, q = frame.iloc[place]
        x, y = at(effect, logs[place])
        color = LINE if q > 0.05 else UP if effect > 0 else DOWN
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 if q > 0.05 else 3}" fill="{color}"/>')
    taken: list[tuple[float, float, float]] = []
    for sign in (1, -1):
        chosen = [p for p in range(len(frame)) if frame["q"].iloc[p] <= 0.05 and frame["effect"].iloc[p] * sign > 0]
        for place in chosen[:_LABELS]:
            parts += _label(str(frame["name"].iloc[place]), at(frame["effect"].iloc[place], logs[place]), sign, taken)
    for value in (-far / 1.05, 0.0, far / 1.05):
        parts.append(_text(at(value, 0)[0], bottom + 16, f"{value:.2g}", anchor="middle", fill=PLAIN))
    for value in (0.0, high / 1.05):
        parts.append(_text(left - 5, at(0, value)[1] + 4, f"{value:.0f}", anchor="end", fill=PLAIN))
    parts.append(_text((left + right) / 2, bottom + 36, unit, anchor="middle", fill=PLAIN))
    parts.append(
        f'<text transform="translate(12 {(top + bottom) / 2}) rotate(-90)" text-anchor="middle" font-size="12" '
        f'fill="{PLAIN}">-log10 p</text>'
    )
    return _svg(height, f"{unit} against p of each feature; the strongest are named", parts)


def _label(name: str, point: tuple[float, float], sign: int, taken: list[tuple[float, float, float]]) -> list[str]:
    """A name next to its point where it covers no other, a little lower or higher if that helps; else none."""
    name = _short(name, 12)
    width = _LETTER * len(name)
    start = point[0] + 5 if sign > 0 else point[0] - 5 - width
    if start + width > WIDTH - 2:
        start = point[0] - 5 - width
    start = max(start, 36)
    for shift in (0, 10, -10, 20, -20, 30):
        y = point[1] + 4 + shift
        free = all(abs(y - other) >= 12 or start > end or start + width < begin for begin, end, other in taken)
        if free and 12 <= y <= 270:
            taken.append((start, start + width, y))
            end = start + (0 if sign > 0 else width)
            line = f'<path d="M{point[0]:.1f} {point[1]:.1f}L{end:.1f} {y - 4:.1f}" stroke="{LINE}"/>'
            return [line] * (shift != 0) + [_text(start, y, name)]
    return []


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(x: float, y: float, text: str, *, anchor: str = "start", fill: str = "#1c2128", weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" font-weight="{weight}" fill="{fill}" '
        f'stroke="#fff" stroke-width="3" paint-order="stroke">'
        f"{escape(text)}</text>"
    )


def _svg(height: float, label: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
