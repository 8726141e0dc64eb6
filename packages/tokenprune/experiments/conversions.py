"""How the data files of tokenprune are made of what their sources hold (`ninefold data get tokenprune`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_PAIRS = 300  # of each paradigm of BLiMP


def questions(sources: Sequence[Path]) -> bytes:
    """JSON lines {id, question, choices, label} of a list of instructions that name their choices in their text."""
    return _lines(_question(number, one) for number, one in enumerate(json.loads(sources[0].read_bytes())))


def _question(number: int, one: dict[str, str]) -> dict[str, object]:
    head = "sentence: " if "to fill in the blank" in one["instruction"] else ": "
    text = re.sub(r"\s*Answer format:.*$", "", one["instruction"].split(head, 1)[1], flags=re.DOTALL)
    question, *choices = (part.strip() for part in re.split(r"\s*(?:Answer|Solution|Option)\d: ?", text))
    label = int(re.findall(r"\d+", one["answer"])[-1]) - 1
    return {"id": number, "question": question, "choices": choices, "label": label}


def blimp(sources: Sequence[Path]) -> bytes:
    """JSON lines {uid, field, pair, good, bad} of the first pairs of each paradigm."""
    names = {"uid": "UID", "field": "field", "pair": "pairID", "good": "sentence_good", "bad": "sentence_bad"}
    rows = (json.loads(line) for path in sources for line in path.read_text(encoding="utf-8").splitlines()[:_PAIRS])
    return _lines({ours: row[theirs] for ours, theirs in names.items()} for row in rows)


def _lines(rows: Iterable[dict[str, object]]) -> bytes:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
