"""Runs of single objectives written as one unfinished run, which is then resumed."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError, InputError
from ninefold.files import atomic_folder

from proteus.record._journal import Event, Journal, read_journal
from proteus.record._run_folder import Folder
from proteus.study._hold_out import ARTIFACT
from proteus.study._out import need_free


def gather(runs: Sequence[str | Path], out: str | Path) -> dict[str, Any]:
    """Write the events, tables and calls of runs of single objectives to one unfinished run; returns its settings.

    Raises:
        InputError: if the runs are of different tables or settings, do the same objective, or leave one out.
        ArtifactError: if a run is damaged, or something is at `out`.
    """
    need_free(Path(out))
    folders = [Folder(Path(one)) for one in runs]
    journals = [read_journal(one.events) for one in folders]
    config = one_config(folders)
    first, segments = [], {}
    for folder, events in zip(folders, journals, strict=True):
        head, parts = _segments(events)
        if first and [_said(one) for one in head] != [_said(one) for one in first]:
            raise InputError("runs", got=f"{folder.root.name} has other objectives than {folders[0].root.name}")
        first = head
        for name, part in parts.items():
            if name in segments:
                raise InputError("runs", got=f"objective {name} twice, also in {folder.root.name}")
            segments[name] = part
    wanted = [one.data["objective"]["id"] for one in first if one.kind == "objective" and one.data["accepted"]]
    absent = [name for name in wanted if name not in segments]
    if absent:
        raise InputError("runs", got=f"none that did {', '.join(absent)}", expected="each objective in one of them")
    branches = sorted((name for name in segments if name not in wanted), key=_by_parent)
    with atomic_folder(out) as place:
        whole = Folder(place)
        shutil.copytree(folders[0].input, whole.input)
        for folder in folders:
            for name in ("artifacts", "llm"):
                if (folder.root / name).is_dir():
                    left_out = shutil.ignore_patterns(
                        f"{ARTIFACT}.*", "replication.*"
                    )  # each part's own; made again over all
                    shutil.copytree(folder.root / name, place / name, dirs_exist_ok=True, ignore=left_out)
        shutil.copy(folders[0].root / "environment.json", place / "environment.json")
        (place / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (place / ".lock").touch()
        journal = Journal(whole.events)
        number = 0
        for event in [*first, *(one for name in (*wanted, *branches) for one in segments[name])]:
            number += event.kind == "question"
            data = event.data | ({"n": number} if "n" in event.data else {})
            if event.kind == "answer" and config["planner"] == "expert":  # who has answered each question so far
                data["spent"] = {**data["spent"], "calls": number}
            journal.append(event.kind, **data)
    return config


def one_config(folders: Sequence[Folder]) -> dict[str, Any]:
    """The settings that all runs share, `objective` aside; InputError names what differs."""
    if len(folders) < 2:
        raise InputError("runs", got=len(folders), expected="two or more to merge")
    configs = []
    for folder in folders:
        path = folder.root / "config.json"
        if not path.is_file():
            raise ArtifactError(path, "is missing")
        configs.append({key: value for key, value in json.loads(path.read_bytes()).items() if key != "objective"})
        if configs[-1] != configs[0]:
            differ = sorted(key for key in {*configs[0], *configs[-1]} if configs[0].get(key) != configs[-1].get(key))
            raise InputError("runs", got=f"{folder.root.name} with another {', '.join(differ)}", expected="the same")
        if (folder.input / "knowledge.json").read_bytes() != (folders[0].input / "knowledge.json").read_bytes():
            raise InputError("runs", got=f"{folder.root.name} with other knowledge", expected="the same")
    return configs[0]


def _segments(events: Sequence[Event]) -> tuple[list[Event], dict[str, list[Event]]]:
    """(events up to the accepted objectives, events of each objective's pursuit by its id)."""
    head: list[Event] = []
    parts: dict[str, list[Event]] = {}
    current: list[Event] | None = None
    named = True
    for event in events:
        if (
            event.kind in ("family", "budget", "replication", "held_out", "finish")
            or event.data.get("role") == "propose_hypotheses"
        ):
            break
        if event.kind == "question" and event.data["role"] == "plan_workflow" and named:
            current, named = [], False
        if current is None:
            head.append(event)
            continue
        current.append(event)
        if event.kind == "workflow" and not named:
            parts[event.data["workflow"]["objective"]] = current
            named = True
        if event.kind == "objective" and not named:  # refused, as no planner has a workflow for it
            parts[event.data["objective"]["id"]] = current
            named = True
    return head, parts


def _said(event: Event) -> tuple[str, str]:
    return event.kind, json.dumps({key: value for key, value in event.data.items() if key != "spent"}, sort_keys=True)


def _by_parent(name: str) -> tuple[int, list[int]]:
    places = [int(one) for one in name[1:].split(".")]
    return len(places), places
