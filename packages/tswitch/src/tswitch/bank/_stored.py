"""A bank on disk: the tasks of one model in their resident form, in safetensors shards that stay mapped.

    model.safetensors, or model-0000i-of-0000n.safetensors and their index, as Hugging Face lays them out
    bank.json   of each task its scales, the digests of its base and those of its tensors

A tensor `<task>/codes/<name>` has two bits for each parameter; `dense` and `head` have what is kept whole. An opened
bank reads headers alone: a task's bytes are read, and their digests checked, when it is first used.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn

from tswitch.bank._resident import Term, invalid_codes
from tswitch.bank._slots import Slot
from tswitch.bank._task import ResidentTask, match, read_head
from tswitch.checkpoints._checkpoint import Checkpoint, TensorInfo
from tswitch.checkpoints._files import read_json
from tswitch.checkpoints._writer import CheckpointWriter, Written

ABOUT, _VERSION = "bank.json", 1


def save_tasks(
    tasks: Mapping[str, ResidentTask], folder: str | Path, max_shard_size: int | str, *, force: bool
) -> Written:
    """Write tasks, shard by shard; the folder appears whole or not at all."""
    held: dict[str, Tensor] = {}
    about: dict[str, Any] = {}
    for name, task in tasks.items():
        if callable(task.head):
            raise InputError(f"head of task {name!r}", got="a callable", expected="tensors, which can be stored")
        parts = {"codes": {key: term.codes for key, term in task.terms.items()}, "dense": task.dense}
        parts["head"] = {} if task.head is None else dict(task.head)
        for part, tensors in parts.items():
            held |= {f"{name}/{part}/{key}": value.detach() for key, value in tensors.items()}
        about[name] = {"scales": {key: term.scale for key, term in task.terms.items()}, "base": task.digests}
        about[name] |= {part: list(tensors) for part, tensors in parts.items()}
    stored = Checkpoint.of(held)
    layout = {key: TensorInfo(value.dtype, tuple(value.shape)) for key, value in held.items()}
    with CheckpointWriter(folder, layout, max_shard_size=max_shard_size, force=force) as writer:
        for key in writer.pending():
            writer.feed(held[key].cpu())
        digests = {key: stored.digest(key) for key in held}
        writer.write_text(ABOUT, json.dumps({"version": _VERSION, "tasks": about, "digests": digests}, indent=1) + "\n")
        return writer.written


def open_tasks(folder: str | Path, model: nn.Module, slots: Mapping[str, Slot]) -> dict[str, ResidentTask]:
    """The tasks of a folder, their tensors mapped.

    Raises:
        ArtifactError: a file that is missing, truncated or damaged. InputError: a model of other tensors.
    """
    file = Path(folder) / ABOUT
    if not file.is_file():
        raise ArtifactError(file, "is not there, so its folder is no bank; `SwitchBank.save` writes one")
    held, about = Checkpoint.open(folder), read_json(file)
    if about.get("version") != _VERSION:
        raise ArtifactError(file, f"has version {about.get('version')}, expected {_VERSION}")
    try:
        return {name: _opened(name, one, held, about["digests"], model, slots) for name, one in about["tasks"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(file, f"is damaged: it lacks or misstates {error}") from None


def _opened(
    name: str,
    about: Mapping[str, Any],
    held: Checkpoint,
    digests: Mapping[str, str],
    model: nn.Module,
    slots: Mapping[str, Slot],
) -> ResidentTask:
    find = match([*about["codes"], *about["dense"]], model, slots)
    task = ResidentTask({}, {}, {})
    for part in ("codes", "dense"):
        for key in about[part]:
            slot, value = find(key), held.read(f"{name}/{part}/{key}")
            live = None if slot is None else slot.live()
            fits = live is not None and (value.shape == live.shape if part == "dense" else
                                         len(value) == -(-live.numel() // 4))  # fmt: skip
            if slot is None or not fits:
                got = "none" if live is None else f"shape {tuple(live.shape)}"
                raise InputError(f"tensor {key!r} of the model", got=got, expected=f"the one of task {name!r}")
            if part == "codes":
                task.terms[slot.name] = Term(value, float(about["scales"][key]))
            else:
                task.dense[slot.name] = value
            if key in about["base"]:
                task.digests[slot.name] = about["base"][key]
    own = {key: held.read(f"{name}/head/{key}") for key in about["head"]}
    task.head = read_head(name, model, task, own, own=True, copy=False) if own else None
    keys = [f"{name}/{part}/{key}" for part in ("codes", "dense", "head") for key in about[part]]
    task.check = functools.partial(_check, held, {key: digests[key] for key in keys})
    return task


def _check(held: Checkpoint, digests: Mapping[str, str]) -> None:
    """Compare tensors with their digests."""
    for key, digest in digests.items():
        if held.digest(key) != digest or ("/codes/" in key and invalid_codes(held.read(key))):
            raise ArtifactError(held.place(key), f"is damaged: tensor {key!r} does not match its digest")
