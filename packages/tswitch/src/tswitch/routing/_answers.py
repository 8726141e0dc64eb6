"""Texts answered on one live model as a table, and the query set that is stored with a switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ninefold.errors import InputError
from ninefold.report import Table

from tswitch.datasets._text_data import TextTask
from tswitch.routing._live import TextBank
from tswitch.routing._query_set import FILE, QuerySet
from tswitch.switch._switch import Switch


def folder_of(switch: Switch) -> Path:
    """The folder that an opened switch lies in, whether it was given as one or came from the hub."""
    assert switch.path is not None
    return Path(switch.path)


def has_query_set(switch: Switch) -> bool:
    """Whether a query set is stored with an opened switch."""
    return (folder_of(switch) / FILE).is_file()


def keep_query_set(
    base: str, switch: Switch, task: TextTask, *, samples: int, device: str = "cpu", seed: int = 0, force: bool = False
) -> tuple[Path, QuerySet]:
    """Store features and hashed words of training texts with a switch, without labels; the file, and what is in it.

    Args:
        base: of the switch. switch: opened. task: whose texts. samples: most texts. device: of torch.
        seed: random seed. force: replace an earlier query set.
    """
    live = TextBank(base, {task.name: switch}, device=device)
    router = live.router(n_queries=samples, n_neighbors=1, seed=seed).fit({task.name: task.train.texts})
    kept, file = router.query_sets[task.name], folder_of(switch) / FILE
    kept.save(file, force=force)
    return file, kept


def answers_of_task(live: TextBank, task: str, texts: Sequence[str]) -> Table:
    """The label of each text for one task."""
    found = live.classify(task, texts)
    rows: list[Any] = [[each, task, live.labels[task][k]] for each, k in zip(texts, found, strict=True)]
    return Table(["text", "task", "label"], rows)


def routed_answers(live: TextBank, switches: Mapping[str, Switch], texts: Sequence[str], **how: Any) -> Table:
    """The task that each text is routed to, and its label there; notes say what it cost and how sure routing is.

    Args:
        live: bank of the switches. switches: by task, each with its query set. texts: to answer.
        how: of `TextBank.router`: n_neighbors, mode, method.
    Raises: InputError naming the switches without a query set.
    """
    lacking = [name for name, switch in switches.items() if not has_query_set(switch)]
    if lacking:
        hint = "write them with `tswitch query-set`, or choose the task of all texts with --task"
        raise InputError("switches", got=f"no query set of {', '.join(lacking)}", expected="one of each", hint=hint)
    router = live.router(**how)
    router.use_query_sets({name: folder_of(switch) for name, switch in switches.items()})
    table = Table(["text", "task", "label", "probability", "weights", "distance"])
    for row in live.answer(router, texts):
        shares = ", ".join(f"{name} {share:g}" for name, share in row["weights"].items())
        table.rows.append([row["text"], row["task"], row["label"], row["probability"], shares, row["distance"]])
    table.notes.append(live.cost)
    if router.method == "auto" and len(router.tasks) > 1:
        right = ", ".join(f"{name} {share:.1f} %" for name, share in router.left_out.items())
        table.notes.append(f"routed by {router.chosen}; of query texts left out are routed right: {right}")
    return table
