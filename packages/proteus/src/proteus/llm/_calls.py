"""The calls of a run, one file each, written before anything is made of the answer: what was paid for is kept, and a
resumed or replayed run reads it instead of asking again."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError
from ninefold.files import write_text
from ninefold.report import Table

from proteus.record._documents import own_digest, read_document

_FORMAT = 1
_NAME = re.compile(r"^(\d{4,})-[a-z_]+-([0-9a-f]{16})\.json$")


def call_key(**parts: Any) -> str:
    """Digest of what was asked: equal questions have equal keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class Calls:
    """The folder `llm/` of a run."""

    def __init__(self, folder: str | Path) -> None:
        """Read what is there.

        Raises:
            ArtifactError: naming a file that is damaged or of a newer format.
        """
        self.folder = Path(folder)
        self.records: dict[str, dict[str, Any]] = {}
        self._next = 1
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []:
            found = _NAME.match(path.name)
            if found:
                record = read_document(path, "proteus.call", _FORMAT, sealed=True)
                if record["key"] != found.group(2):
                    raise ArtifactError(path, "is damaged: it is another call's record")
                self.records[record["key"]] = record
                self._next = int(found.group(1)) + 1

    def get(self, key: str) -> dict[str, Any] | None:
        """The record of a call that was answered, or None."""
        record = self.records.get(key)
        return record if record is not None and record["answer"] is not None else None

    def keep(self, key: str, **record: Any) -> dict[str, Any]:
        """Write a call's record. It takes the place of an unanswered one of the same key.

        Fields: task, asked, mode, style, answer (or None), finish, usage, estimated, usd, error (or None), and `lost`:
        what tries that came to nothing may have cost.
        """
        old = self.records.get(key)
        number = old["number"] if old else self._next
        body = {
            "format": "proteus.call",
            "format_version": _FORMAT,
            "number": number,
            "key": key,
            "error": None,
            **record,
        }
        if old:  # what a failed call may have cost stays counted
            body["lost"] = {name: old["lost"][name] + body["lost"][name] for name in body["lost"]}
        body["digest"] = own_digest(body).removeprefix("sha256:")
        write_text(self.folder / f"{number:04d}-{body['task']}-{key}.json", json.dumps(body, indent=1) + "\n")
        self.records[key] = body
        self._next = max(self._next, number + 1)
        return body

    def fail(self, key: str, kind: str, reason: str, **record: Any) -> None:
        """Write a call that got no answer, with the planner's error that it ended in; see `keep`."""
        lost = record["lost"]["prompt_tokens"] > 0
        self.keep(
            key, **record, answer=None, finish="", usage=_nothing(), estimated=lost, usd=0.0, error=[kind, reason]
        )

    def forget(self, key: str) -> None:
        """Mark a call as unanswered, its cost as lost."""
        record = self.records[key]
        kept = {name: record[name] for name in ("task", "asked", "mode", "style")}
        lost = {"tries": 1, "prompt_tokens": sum(record["usage"].values()), "usd": record["usd"]}
        self.fail(key, "refused", "not the form asked for", **kept, lost=lost)

    def ledger(self) -> Table:
        """Calls, tries, tokens and money by task, with a last row for all."""
        table = Table(["task", "calls", "failed tries", "prompt tokens", "answer tokens", "USD", "counted"])
        tasks = list(dict.fromkeys(one["task"] for one in self.records.values()))
        for task in [*tasks, None]:
            part = [one for one in self.records.values() if task in (None, one["task"])]
            prompt = sum(one["usage"]["prompt_tokens"] + one["lost"]["prompt_tokens"] for one in part)
            answer = sum(one["usage"]["completion_tokens"] for one in part)
            counted = "estimated" if any(one["estimated"] for one in part) else "by the server"
            usd = sum(one["usd"] + one["lost"]["usd"] for one in part)
            tries = sum(one["lost"]["tries"] for one in part)
            table.rows.append([task or "all", len(part), tries, prompt, answer, usd, counted])
        return table

    def spent(self) -> tuple[int, int, float, bool]:
        """(calls, tokens, USD, whether some of it is an estimate)."""
        row = self.ledger().rows[-1]
        return row[1], row[3] + row[4], row[5], row[6] == "estimated"


def _nothing() -> dict[str, int]:
    return {"prompt_tokens": 0, "completion_tokens": 0}
