"""What stands at a checkpoint's place after a kill, and what `--force` may replace."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ninefold.errors import ArtifactError
from ninefold.files import _atomic
from tswitch import Checkpoint, CheckpointWriter, Switch, export, merge
from tswitch.checkpoints._checkpoint import TensorInfo

from .checkpoints import contents, finetuned, random_state
from .models import pair

LAYOUT = {name: TensorInfo(torch.float32, (50,)) for name in "ab"}
COUNTED = ("rename", "replace", "unlink", "link", "mkdir", "rmdir", "fsync")


def write(out: Path, value: float) -> None:
    with CheckpointWriter(out, LAYOUT, max_shard_size=200, job={"value": value}, force=True) as writer:
        for _ in writer.pending():
            writer.feed(torch.full((50,), value))
        writer.write_text("README.md", f"all are {value}")


def value_at(out: Path) -> float:
    """The number of which a whole checkpoint is made."""
    opened = Checkpoint.open(out)
    assert sorted(opened.names) == list(LAYOUT)
    values = torch.cat([opened.read(name) for name in LAYOUT]).unique()
    assert len(values) == 1, "half old, half new"
    assert (out / "README.md").read_text() == f"all are {float(values)}"
    return float(values)


def after_each_call(patch: pytest.MonkeyPatch, see: Callable[[], object]) -> None:
    """From now on, `see` is called after each system call of those that change folders."""
    seeing = False

    def watched(original):
        def function(*args, **kwargs):
            nonlocal seeing
            result = original(*args, **kwargs)
            if not seeing:
                seeing = True
                see()
                seeing = False
            return result

        return function

    for name in COUNTED:
        patch.setattr(os, name, watched(getattr(os, name)))


@pytest.mark.parametrize("exchange", [True, False], ids=["one call", "two renames"])
def test_a_kill_between_any_two_calls_loses_neither_the_old_nor_the_new_checkpoint(tmp_path, monkeypatch, exchange):
    """A process that is killed leaves on the disk what lies there at that moment: a copy of it, which nobody locks."""
    if not exchange:  # as on file systems that cannot exchange two names at once
        monkeypatch.setattr(_atomic, "_exchange", lambda *_: False)
    write(tmp_path / "whole", 2.0)
    whole = contents(tmp_path / "whole")
    place, left = tmp_path / "place", itertools.count(1)
    place.mkdir()
    write(place / "out", 1.0)
    with monkeypatch.context() as patch:
        after_each_call(patch, lambda: shutil.copytree(place, tmp_path / f"place-{next(left)}", symlinks=True))
        write(place / "out", 2.0)
    calls, seen = next(left), set()
    for call in range(1, calls):
        place = tmp_path / f"place-{call}"
        seen.add(value_at(place / "out"))
        write(place / "out", 2.0)
        assert contents(place / "out") == whole
        assert [path.name for path in place.iterdir()] == ["out"], "what the killed run left is gone"
    assert calls > 15
    assert seen == {1.0, 2.0}


def outputs(tmp_path):
    """Everything that the package writes as a folder, by name: a function of (place, force)."""
    base, tuned = pair()
    switch = Switch.from_checkpoints(base, tuned, alpha=0.6)
    first = random_state(0)
    return {
        "switch": lambda out, force: switch.save_pretrained(out, force=force),
        "export": lambda out, force: export(base, switch, out, force=force),
        "merge": lambda out, force: merge(first, [finetuned(first, 1)], "averaging", out=out, force=force),
    }


@pytest.mark.parametrize("name", ["switch", "export", "merge"])
def test_force_replaces_only_a_folder_of_our_own_and_names_what_else_lies_in_it(tmp_path, name):
    write_it = outputs(tmp_path)[name]
    out = tmp_path / "out"
    write_it(out, False)
    before = contents(out)
    with pytest.raises(ArtifactError, match="exists already"):
        write_it(out, False)
    write_it(out, True)
    assert contents(out).keys() == before.keys()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"notes\.txt in it was not written"):
        write_it(out, True)
    assert (out / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtifactError, match="file"):
        write_it(tmp_path / "file", True)
    assert (tmp_path / "file").read_text() == "mine"
