"""Merge fine-tuned models into one checkpoint folder, in memory that depends on neither their size nor their number."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from ninefold.errors import InputError, version_of
from ninefold.files import refuse_existing

from tswitch.baselines import METHODS
from tswitch.baselines._base import Merger, Method
from tswitch.checkpoints._card import model_card
from tswitch.checkpoints._checkpoint import TensorInfo
from tswitch.checkpoints._given import Model, OnMismatch
from tswitch.checkpoints._writer import KIND, CheckpointWriter, Written, parse_dtype, parse_size
from tswitch.switch._tasks import TaskVectors

Progress = Callable[[int], object]


def merge(
    base: Model,
    models: Sequence[Model],
    method: str | Method = "iso_cts",
    *,
    out: str | Path,
    task: int | None = None,
    dtype: str | torch.dtype | None = None,
    max_shard_size: int | str = "5GB",
    on_mismatch: OnMismatch = "error",
    exclude: Sequence[str] = (),
    force: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Written:
    """Merge models that were fine-tuned from one base into a checkpoint folder, tensor by tensor.

    Sums are made in float32. An interrupted run resumes after the last finished shard and ends with the same bytes.

    Args:
        base: what the models were fine-tuned from: folder, weight file, hub id, module or state dict. Its other files
            (config, tokenizer) are copied.
        models: the fine-tuned models, in any of these forms.
        method: a key of `tswitch.baselines.METHODS` with `options` as its settings, or a method object. The default,
            Iso-CTS, is the most accurate of them on the twelve tasks of the results page.
        out: the folder to write.
        task: which task's model to write, for methods that keep one for each (such as "emr"); not for the others.
        dtype: dtype of floating tensors: "float16", "bfloat16" or "float32"; default: each tensor's own in the base.
        max_shard_size: most bytes of a shard, like "2GB".
        on_mismatch, exclude: see `TaskVectors`.
        force: replace `out` if it exists, once the new folder is complete.
        progress: called with the number of parameters just done.
    Returns: what was written, and how many additions rounded to no change.
    Raises:
        InputError: unknown method or setting, models that do not match, NaN or infinity in a task vector.
        ArtifactError: a checkpoint that is damaged, quantised or of an unknown layout; `out` exists.

    Examples:
        >>> import torch
        >>> from safetensors.torch import save_file
        >>> from tswitch import Checkpoint, merge

        >>> draw = torch.manual_seed(0)
        >>> base = {"layer.weight": torch.randn(20, 30, generator=draw), "layer.bias": torch.zeros(30)}
        >>> models = [
        ...     {name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.items()}
        ...     for _ in range(2)
        ... ]
        >>> for name, state in {"base": base, "first": models[0], "second": models[1]}.items():
        ...     save_file(state, f"{name}.safetensors")

        >>> tuned = ["first.safetensors", "second.safetensors"]
        >>> written = merge("base.safetensors", tuned, out="merged")
        >>> Checkpoint.open("merged").names
        ['layer.bias', 'layer.weight']
    """
    refuse_existing(Path(out), force, KIND)
    chosen = parse_dtype(dtype)
    parse_size(max_shard_size)  # now, not after the models have been compared
    rule = method if isinstance(method, Method) else make_method(method, options)
    if isinstance(method, Method) and options:
        raise InputError("options", got=", ".join(options), expected="none beside a method object")
    tasks = TaskVectors(base, models, on_mismatch=on_mismatch, exclude=exclude)
    _check_task(rule, task, len(tasks))
    rule.check(len(tasks))
    job = {
        "merge": rule.name,
        "settings": {field.name: repr(getattr(rule, field.name)) for field in fields(rule)},
        "task": task,
        "on_mismatch": on_mismatch,
        "exclude": list(exclude),
        "inputs": [model.stamp() or str(uuid.uuid4()) for model in (tasks.base, *tasks.models)],  # memory: no resuming
    }
    layout = _layout(tasks, chosen)
    with CheckpointWriter(out, layout, max_shard_size=max_shard_size, job=job, force=force) as writer:
        prepared = rule.prepare(tasks)
        merged = set(tasks.names)
        for name in writer.pending():
            if name in merged:
                for piece, delta in rule.stream(tasks, name, prepared, task or 0):
                    writer.add(piece.base, delta)
            else:
                for _, chunk in tasks.dense.get(name, tasks.base).chunks(name):
                    writer.feed(chunk)
            if progress is not None:
                progress(layout[name].numel)
        writer.copy_files(tasks.base.folder, dtype=chosen)
        writer.write_text("README.md", _card(rule, tasks, task, chosen))
        return writer.written


def make_method(name: str, options: dict[str, Any]) -> Method:
    """A method of `METHODS` by name, with settings.

    Raises:
        InputError: naming what is unknown, and what there is.
    """
    if name not in METHODS:
        raise InputError("merge method", got=repr(name), expected=f"one of {', '.join(METHODS)}")
    known = [field.name for field in fields(METHODS[name])]
    unknown = [option for option in options if option not in known]
    if unknown:
        settings = f"one of {', '.join(known)}" if known else "none, it has no settings"
        raise InputError(f"setting of {name}", got=", ".join(map(repr, unknown)), expected=settings)
    for field in fields(METHODS[name]):
        value = options.get(field.name, 0.0)
        plain = isinstance(field.default, int | float) and not isinstance(field.default, bool)
        if plain and isinstance(value, str | bool | dict | None):
            raise InputError(f"setting {field.name} of {name}", got=repr(value), expected="a number")
    return METHODS[name](**options)


def _check_task(rule: Method, task: int | None, count: int) -> None:
    if isinstance(rule, Merger):
        if task is not None:
            raise InputError("task", got=task, expected=f"none: {rule.name} makes one model for all tasks")
    elif task is None or not 0 <= task < count:
        raise InputError("task", got=task, expected=f"0 to {count - 1}: {rule.name} keeps a model for each task")


def _layout(tasks: TaskVectors, dtype: torch.dtype | None) -> dict[str, TensorInfo]:
    """What to write, in the base's order; tensors taken from a model that the base lacks come last."""
    layout = {}
    for name in dict.fromkeys([*tasks.base.names, *tasks.dense]):
        info = tasks.dense.get(name, tasks.base).info(name)
        layout[name] = TensorInfo(dtype or info.dtype, info.shape) if info.dtype.is_floating_point else info
    return layout


def _card(rule: Method, tasks: TaskVectors, task: int | None, dtype: torch.dtype | None) -> str:
    """README of the output folder: what was merged and how."""
    hub_ids = list(dict.fromkeys(model.source for model in (tasks.base, *tasks.models) if model.is_from_hub))
    settings = {field.name: getattr(rule, field.name) for field in fields(rule)}
    facts = {"base": f"`{tasks.base.label}`"}
    facts |= {f"model {index}": f"`{model.label}`" for index, model in enumerate(tasks.models)}
    facts |= {"dtype": str(dtype).removeprefix("torch.") if dtype else "as in the base", **settings}
    facts |= {"task": task} if task is not None else {}
    facts |= {"tensors that differ in shape or name": len(tasks.absent)} if tasks.absent else {}
    made = f"Made by tswitch {version_of('tswitch')} with the method `{rule.name}` ({rule.source})."
    end = f"Limits: {rule.limits}." if rule.limits else ""
    return model_card("Merged model", made, facts, bases=hub_ids, tags=("merge",), end=end)
