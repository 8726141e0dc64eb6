"""How the data files of tswitch are made of what their sources hold (`ninefold data get tswitch`)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def labelled(sources: Sequence[Path], coding: str, *splits: str) -> bytes:
    """Lines `label text`, one file a split; without splits the digest of a text says which it is in."""
    rows = []
    for path, split in zip(sources, splits or ("",), strict=True):
        for line in path.read_bytes().decode(coding).split("\n"):
            label, _, text = line.partition(" ")
            if text.strip():
                rows.append([split or _split(text.strip()), label, text.strip()])
    return _table(["split", "label", "text"], rows)


def banking(sources: Sequence[Path]) -> bytes:
    """Two CSV files of text and category."""
    rows = []
    for path, split in zip(sources, ("train", "test"), strict=True):
        with path.open(encoding="utf-8", newline="") as file:
            rows += [[split, row["category"], _plain(row["text"])] for row in csv.DictReader(file)]
    return _table(["split", "label", "text"], rows)


def clinc(sources: Sequence[Path]) -> bytes:
    """Intents by split, with the domain of each."""
    intents, domains = (json.loads(path.read_bytes()) for path in sources)
    home = {intent: domain for domain, listed in domains.items() for intent in listed}
    names = {"train": "train", "val": "validation", "test": "test", **{f"oos_{key}": f"oos_{key}" for key in _OOS}}
    rows = [[ours, label, home.get(label, "oos"), text] for key, ours in names.items() for text, label in intents[key]]
    return _table(["split", "label", "domain", "text"], rows)


_OOS = ("train", "val", "test")


def snips(sources: Sequence[Path]) -> bytes:
    """Utterances in spans, two files an intent: training, then validation, which is our test."""
    rows = []
    for path, split in zip(sources, ["train", "test"] * (len(sources) // 2), strict=True):
        for intent, utterances in json.loads(_text(path)).items():
            rows += [[split, intent, _plain("".join(span["text"] for span in one["data"]))] for one in utterances]
    return _table(["split", "label", "text"], rows)


def stackoverflow(sources: Sequence[Path]) -> bytes:
    """Titles and numbers of labels, a line each; the README names the labels."""
    titles, numbers, readme = (path.read_text(encoding="utf-8", errors="replace") for path in sources)
    names = dict(re.findall(r"^\s*(\d+)\s+([\w-]+)\s*$", readme.split("20 different labels")[1], re.MULTILINE))
    pairs = zip(titles.split("\n"), numbers.split(), strict=False)  # the last line is empty
    return _table(["split", "label", "text"], ([_split(t), names[n], _plain(t)] for t, n in pairs))


def _table(columns: list[str], rows: Iterable[list[str]]) -> bytes:
    made = io.StringIO(newline="")
    csv.writer(made, lineterminator="\n").writerows([columns, *rows])
    return made.getvalue().encode()


def _split(text: str) -> str:
    return "train" if int(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), 16) % 5 else "test"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
