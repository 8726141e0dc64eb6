"""Figures to the digits of their interval: for `2.53 [-3.41, 7.32]` 2.5 [-3.4, 7.3], for `0.123 ± 0.05` 0.12 ± 0.05.

An interval has two digits of its half-width, as a standard deviation has two, and the figure no more decimals than it.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator

_NUMBER = r"(?<![\w.])[-+−]?(?:\d[\d,]*)?\.?\d+"
_INTERVAL = re.compile(
    rf"(?P<figure>{_NUMBER})(?P<unit>\s*(?:%|\w+)?\s*\[)(?P<low>{_NUMBER})(?P<comma>,\s*)(?P<high>{_NUMBER})(?=\])"
)
_SPREAD = re.compile(rf"(?P<figure>{_NUMBER})(?P<sign>\s*±\s*)(?P<spread>{_NUMBER})")
_FLOAT = re.compile(r"(?<![\w./-])0*\.?0*[1-9](?:\.?\d){9,}(?![\w.])")  # ten digits: a float as it is stored
_CODE = re.compile(r"^ *(```|~~~).*?^ *\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def decimals(width: float) -> int:
    """How many decimals show two digits of a half-width or standard deviation."""
    return max(0, 1 - math.floor(math.log10(width)))


def in_digits(markdown: str) -> str:
    """A Markdown text with its figures to the digits of their intervals; code stays as it is."""
    parts, start = [], 0
    for code in [*_CODE.finditer(markdown), None]:
        end = code.start() if code else len(markdown)
        parts.append(_SPREAD.sub(_shorter, _INTERVAL.sub(_shorter, markdown[start:end])))
        if code:
            parts.append(code[0])
            start = code.end()
    return "".join(parts)


def too_long(page: str) -> list[str]:
    """Figures of an HTML page with more digits than their intervals have; code and pictures left out."""
    text = re.sub(r"<(pre|code|svg|script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"</t[dh]>|<br>", "\n", text)))
    patterns = [pattern for sign, pattern in (("[", _INTERVAL), ("±", _SPREAD)) if sign in text]
    found = [one[0] for pattern in patterns for one in pattern.finditer(text) if _excess(one)]
    return found + [one for one in _FLOAT.findall(text) if "." in one]


def _excess(found: re.Match[str]) -> bool:
    return any(_after_point(text) > _allowed(found) for text in _numbers(found))


def _numbers(found: re.Match[str]) -> Iterator[str]:
    yield from (text for name, text in found.groupdict().items() if name in ("figure", "low", "high", "spread"))


def _allowed(found: re.Match[str]) -> int:
    """Decimals that the width admits; what is shown of it may have been rounded up over a power of ten."""
    words = found.groupdict()
    width = _value(words["spread"]) if "spread" in words else (_value(words["high"]) - _value(words["low"])) / 2
    shown = max(map(_after_point, _numbers(found)))
    width = abs(width) - 0.5 * 10.0**-shown
    return decimals(width) if width > 0 else shown


def _shorter(found: re.Match[str]) -> str:
    if not _excess(found):
        return found[0]
    places, start, text = _allowed(found), found.start(), found[0]
    for name in reversed([name for name in found.groupdict() if name in ("figure", "low", "high", "spread")]):
        at, to = found.start(name) - start, found.end(name) - start
        text = text[:at] + _rounded(found[name], places) + text[to:]
    return text


def _rounded(text: str, places: int) -> str:
    """A number as it is written, with no more decimals than `places`; its sign, commas and bare point are kept."""
    if _after_point(text) <= places:
        return text
    made = f"{abs(_value(text)):,.{places}f}" if "," in text else f"{abs(_value(text)):.{places}f}"
    bare = text.lstrip("-+−").startswith(".")
    sign = text[0] if text[0] in "-+−" and float(made.replace(",", "")) else ""
    return sign + (made.removeprefix("0") if bare and places else made)


def _after_point(text: str) -> int:
    return len(text.partition(".")[2])


def _value(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))
