"""Fetched sets are our files to the byte: sources are written back from our data, served on loopback, and fetched.

With NINEFOLD_SOURCES, a folder of bare clones named `owner+name`, the sources are the real ones, for every set.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import http.server
import io
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ninefold.systems import choose
from ninefold_lab.data import DataSet, get, listed
from ninefold_lab.experiments import claims_of
from workspace import ROOT

SETS = {f"{one.package} {one.name}": one for one in listed(ROOT / "packages")}
SIMULATED = {  # claims that read no real data, or none but what is in the wheel
    "proteus/a-good-model-equals-the-expert",
    "proteus/cells-hundred-thousand-in-a-minute",
    "proteus/cells-state-is-told-from-share",
    "proteus/faults-print-nothing-made-up",
    "proteus/finds-planted-truth",
    "proteus/fold-bar-cleans-chlamydomonas",
    "proteus/joins-regulators-with-targets",
    "proteus/peptides-hold-at-a-quarter-of-the-load",
    "proteus/rubric-separates-within-a-grade",
    "recsys/doubly-robust-intervals-hold",
    "recsys/interleaving-needs-fewer-sessions",
    "recsys/sequence-pays-when-there-is-one",
    "recsys/snips-corrects-exposure",
    "recsys/ties-help-those-without-a-past",
}


def test_four_claims_in_five_on_real_data_can_start_after_fetching():
    claims = {claim.id for row in choose(None) for claim in claims_of(row) if not claim.id.startswith("fastocc/")}
    sets: dict[str, list[DataSet]] = {}
    for one in SETS.values():
        for claim in one.claims:
            sets.setdefault(claim, []).append(one)
    assert claims == sets.keys() | SIMULATED, "each claim stands with its sets in a data.json, or among SIMULATED"
    can_start = [claim for claim, needed in sets.items() if all(one.files for one in needed)]
    assert len(can_start) / len(sets) >= 0.8, f"{len(can_start)} of {len(sets)}"


def served(answer: Callable[[str], bytes | None]) -> Any:
    """A context with the address of a server on loopback that answers paths."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer(self.path)
            if body is None:
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    @contextmanager
    def running() -> Iterator[str]:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()

    return running()


def ours(one: DataSet, file: dict[str, Any]) -> bytes:
    path = Path(os.environ.get("NINEFOLD_DATA", "")) / one.package / file["path"]
    if not path.is_file():
        pytest.skip(f"needs {one.package}/{file['path']} in NINEFOLD_DATA")
    return gzip.decompress(path.read_bytes()) if file.get("gzip") else path.read_bytes()


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def table(rows: list[dict[str, Any]]) -> bytes:
    made = io.StringIO(newline="")
    writer = csv.DictWriter(made, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return made.getvalue().encode()


def labelled(data: bytes, coding: str, *splits: str) -> list[bytes]:
    rows = rows_of(data)
    lines = [[f"{row['label']} {row['text']} " for row in rows if row["split"] == split] for split in splits]
    if not splits:
        lines = [[f"{row['label']} {row['text']} " for row in rows]]
    return ["\n".join([*part, ""]).encode(coding) for part in lines]


def banking(data: bytes) -> list[bytes]:
    rows = rows_of(data)
    parts = [[row for row in rows if row["split"] == split] for split in ("train", "test")]
    return [table([{"text": f"\n{row['text']}", "category": row["label"]} for row in part]) for part in parts]


def clinc(data: bytes) -> list[bytes]:
    rows, names = rows_of(data), {"validation": "val"}
    intents: dict[str, list[list[str]]] = {}
    domains: dict[str, list[str]] = {}
    for row in rows:
        intents.setdefault(names.get(row["split"], row["split"]), []).append([row["text"], row["label"]])
        if row["domain"] != "oos":
            domains.setdefault(row["domain"], []).append(row["label"])
    return [json.dumps(intents).encode(), json.dumps(domains).encode()]


def snips(data: bytes) -> list[bytes]:
    parts: dict[tuple[str, str], list[Any]] = {}
    for row in rows_of(data):
        spans = [{"text": row["text"][:3]}, {"text": f"{row['text'][3:]} "}]
        parts.setdefault((row["label"], row["split"]), []).append({"data": spans})
    return [json.dumps({intent: said}).encode() for (intent, _), said in parts.items()]


def stackoverflow(data: bytes) -> list[bytes]:
    rows = rows_of(data)
    names = {name: str(number) for number, name in enumerate(dict.fromkeys(row["label"] for row in rows), start=1)}
    readme = "20 different labels:\n" + "".join(f"　　{number}\t{name}  \n" for name, number in names.items())
    numbers = "\n".join(names[row["label"]] for row in rows)
    titles = []

    def split(title: str) -> str:
        number = int(hashlib.sha1(title.encode(), usedforsecurity=False).hexdigest(), 16)
        return "train" if number % 5 else "test"

    for row in rows:  # the split was drawn by the digest of the title with its spaces
        text = row["text"]
        while (int(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), 16) % 5 == 0) != (
            row["split"] == "test"
        ):
            text += " "
        titles.append(text)
    return ["\n".join([*titles, ""]).encode(), numbers.encode(), readme.encode()]


def questions(data: bytes) -> list[bytes]:
    made = []
    for row in map(json.loads, data.decode().splitlines()):
        blank = "_" in row["question"] and len(row["choices"]) == 2
        head = "Please choose the correct answer to fill in the blank to complete the given sentence: "
        said = " ".join(f"Answer{place}: {text}" for place, text in enumerate(row["choices"], start=1))
        text = f"{head if blank else 'Please choose: '}{row['question']}\n\n{said}\n\nAnswer format: answer1/answer2"
        made.append({"instruction": text, "answer": f"answer{row['label'] + 1}"})
    return [json.dumps(made).encode()]


def blimp(data: bytes) -> list[bytes]:
    names = {"UID": "uid", "field": "field", "pairID": "pair", "sentence_good": "good", "sentence_bad": "bad"}
    parts: dict[str, list[str]] = {}
    for row in map(json.loads, data.decode().splitlines()):
        parts.setdefault(row["uid"], []).append(json.dumps({theirs: row[name] for theirs, name in names.items()}))
    return ["\n".join([*lines, lines[0], ""]).encode() for lines in parts.values()]  # 301 lines


def target(data: bytes) -> list[bytes]:
    head, *lines = data.decode().split("\n")
    rows = (line.split(",") for line in lines)
    return ["\n".join([head, *(",".join(["73", *row[1:]]) if len(row) > 1 else "" for row in rows)]).encode()]


def coupons(data: bytes) -> list[bytes]:
    back = {"passenger": "passanger", "coupon": "couponType", "accepted": "Y"}
    rows = rows_of(data)
    return [table([{**{back.get(key, key): row[key] for key in row if key != "respondent_id"},
                    "age": row["respondent_id"]} for row in rows])]  # fmt: skip


WRITTEN_BACK = {
    "labelled": labelled, "banking": banking, "clinc": clinc, "snips": snips, "stackoverflow": stackoverflow,
    "questions": questions, "blimp": blimp, "target": target, "coupons": coupons,
}  # fmt: skip
CASES = {
    name: kept
    for name, one in SETS.items()
    if (kept := [file for file in one.files if file.get("convert", "").split(":")[0] in ("", *WRITTEN_BACK)])
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_fetched_is_our_file(name, tmp_path, monkeypatch):
    one, changed, places = SETS[name], [], {}
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    for file in CASES[name]:
        function, *words = file.get("convert", "").split(":")
        data = ours(one, file)
        bodies = WRITTEN_BACK[function](data, *words) if function else [data]
        sources = []
        for source, body in zip(file.get("sources", [file]), bodies, strict=True):
            sources.append({**source, "sha256": hashlib.sha256(body).hexdigest()})
            places[f"/{source['repository']}/{source['commit']}/{source['source']}"] = body
        changed.append({**file, "sources": sources} if function else file)
    with served(places.get) as address:
        paths = get(replace(one, files=tuple(changed)), tmp_path / "data", host=address)
    for file, path in zip(changed, paths, strict=True):
        made = path.read_bytes()
        assert (gzip.decompress(made) if file.get("gzip") else made) == ours(one, file), file["path"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, one in SETS.items() if one.files])
def test_sources_as_published_give_our_files(name, tmp_path, monkeypatch):
    folder = os.environ.get("NINEFOLD_SOURCES")
    if not folder:
        pytest.skip("needs NINEFOLD_SOURCES: a folder of clones of the sources")
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NINEFOLD_DATA", raising=False)

    def answer(path: str) -> bytes | None:
        owner, repository, *place = path.strip("/").split("/")
        words = ["show", f"{place[0]}:{'/'.join(place[1:])}"]
        if place[0] == "tar.gz":
            words = ["archive", "--format=tar.gz", f"--prefix={repository}-{place[1]}/", place[1]]
        done = subprocess.run(
            ["git", "--git-dir", f"{folder}/{owner}+{repository}", *words], capture_output=True, check=False
        )
        return None if done.returncode else done.stdout

    one = SETS[name]
    with served(answer) as address:
        assert len(get(one, tmp_path / "data", host=address)) == len(one.files)
