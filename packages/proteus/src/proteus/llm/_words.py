"""What a model writes in its own words: no typed number, no name that was not quoted to it.

The gate does this for hypotheses; questions, reasons and summaries are printed too.
"""

import functools
import re
from collections.abc import Iterator
from typing import Any

FREE = {"answer", "concerns", "purpose", "question", "rationale", "reason", "summary"}  # fields of prose
_TOKEN = re.compile(r"[^\s,;()\[\]{}\"“”']+")
_WORD = re.compile(r"\w+")
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]{2,}(?:-[A-Z0-9]+)*")
_COMMON = {"ANOVA", "ATP", "DNA", "FDR", "GSEA", "PCA", "PTM", "QC", "RNA"}


def quoted_words(payload: Any) -> set[str]:
    """Every text of a payload, and every word in one."""
    texts: set[str] = set()
    left = [payload]
    while left:
        one = left.pop()
        if isinstance(one, str):
            texts.add(one)
        elif isinstance(one, dict):
            texts.update(one)
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return texts.union(*map(_words_of, texts))


@functools.lru_cache(maxsize=8192)
def _words_of(text: str) -> tuple[str, ...]:
    """Tokens and words of a text; remembered, for the questions of a run repeat the profile and the tools."""
    return () if text.isalnum() else (*_TOKEN.findall(text), *_WORD.findall(text))


def made_up(answer: Any, known: set[str]) -> str | None:
    """What in an answer's prose is a typed number or a name of nothing that was quoted; None if nothing is."""
    for text in _prose(answer):
        for token in (one.strip(".:!?") for one in _TOKEN.findall(text)):
            parts = [part for part in re.split(r"[-/+:.]", token) if part]
            if token in known or all(part in known for part in parts):
                continue
            if any(letter.isnumeric() for letter in token):
                return f"a typed number in {text!r}: {token!r}"
            strange = next((part for part in (token, *parts) if _SYMBOL.fullmatch(part)), None)
            if strange is not None and strange not in known | _COMMON:
                return f"a name that was not quoted, in {text!r}: {strange!r}"
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _prose(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key in FREE:
                yield from _texts(part)
            else:
                yield from _prose(part)
    elif isinstance(value, list):
        for part in value:
            yield from _prose(part)
