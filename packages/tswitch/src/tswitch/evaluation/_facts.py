"""What one reads of switches, of folders that were written, and of models on the rows of a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ninefold.report import Table

from tswitch.checkpoints._writer import Written
from tswitch.datasets._given import check_classes
from tswitch.datasets._text_data import TextTask
from tswitch.models._models import TextClassifier, predict
from tswitch.routing._answers import folder_of
from tswitch.routing._live import TextBank
from tswitch.routing._query_set import FILE, QuerySet
from tswitch.switch._switch import Switch


def switch_facts(switch: Switch) -> dict[str, Any]:
    """A switch's settings, density and size, and what knobs were fitted on."""
    config, fitted = switch.config, switch.config.get("fitted")
    about = {"switch": switch.path, **{key: config[key] for key in ("base", "alpha", "granularity", "scale")}}
    about |= {"parameters": switch.parameters, "density": switch.density, "bytes on disk": switch.nbytes}
    about |= {"bits a parameter": switch.bits_per_param, "share of float32": switch.bits_per_param / 32}
    about["ternary, dense, head tensors"] = f"{len(switch.tensors)}, {len(switch.dense)}, {len(switch.head)}"
    if fitted:
        before, after = fitted["divergence"]
        about["knobs fitted on"] = f"{fitted['inputs']} inputs, divergence {before:.4g} to {after:.4g}"
    return about


def tensor_table(switch: Switch) -> Table:
    """Each tensor of a switch: shape, active entries and scale; dense and head tensors by shape."""
    table = Table(["tensor", "shape", "active", "density", "scale"])
    for name, about in switch.tensors.items():
        shape = "x".join(map(str, about.shape))
        table.rows.append([name, shape, about.active, about.active / max(about.numel, 1), about.scale])
    for kind, held in (("dense", switch.dense), ("head", switch.head)):
        table.rows += [[name, "x".join(map(str, held[name].shape)), None, kind, None] for name in held]
    return table


def check_query_set(switch: Switch) -> None:
    """Read the query set of a switch, if there is one; ArtifactError if it is damaged."""
    file = folder_of(switch) / FILE
    if file.is_file():
        QuerySet.load(file)


def written_facts(written: Written, out: Path) -> dict[str, Any]:
    """What `export` and `merge` wrote into a folder."""
    made = {"folder": out, "tensors": written.tensors, "parameters": written.parameters, "bytes": written.nbytes}
    rounded = {"additions in 16 bits": written.additions, "of these rounded to no change": written.rounded_away}
    return {**made, "shards": written.shards, **rounded}


def accuracy_on_and_off(base: str, switch: str, task: TextTask, device: str = "cpu") -> dict[str, Any]:
    """Test accuracy of a task with its switch on, and of the same head on the plain base.

    Raises: InputError if the switch's head is of other classes.
    """
    live = TextBank(base, {task.name: switch}, device=device)
    labels = live.labels[task.name]
    if set(task.classes) < set(labels):  # rows need not show every class of the head
        task = task.over(labels)
    check_classes(f"head of switch {switch}", labels, task)
    scores = {on: live.classify(task.name, task.test.texts, switched=on) == task.test.labels for on in (True, False)}
    about = {"task": task.name, "test rows": len(task.test), "accuracy switched": float(scores[True].mean())}
    return {**about, "accuracy of the base with this head": float(scores[False].mean())}


def finetuned_facts(base: str, folder: Path, task: TextTask) -> dict[str, Any]:
    """Validation accuracy of a fine-tuned model, and of the plain base with the model's head."""
    held, model = task.validation, TextClassifier.from_pretrained(folder)
    right = predict(model, held.texts) == held.labels
    model.encoder = TextClassifier.from_base(base, 1).encoder
    by_head = predict(model, held.texts) == held.labels
    made = {"task": task.name, "classes": len(task.classes), "rows": len(task.train)}
    made |= {"validation accuracy": float(right.mean()), "of the base with this head": float(by_head.mean())}
    return {**made, "folder": folder}
