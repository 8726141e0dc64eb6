"""Answering texts on one live model, by Auto-Switch or by a task that is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb

from tswitch.cli._app import Csv, Encoder, SwitchDir, Task, app, check_classes, local_folder, rows_of

if TYPE_CHECKING:
    from ninefold.report import Table


@verb(app, uses=("seed", "device", "threads", "quiet", "force"))
def query_set(
    base: Encoder,
    switch: SwitchDir,
    *,
    task: Task = None,
    csv: Csv = None,
    samples: Annotated[int, typer.Option("--samples", help="Most training texts to keep features of.")] = 400,
    opts: Shared,
) -> dict[str, Any]:
    """Store features and hashed words of training texts beside a switch, to route inputs to it; no labels are used."""
    from tswitch.routing._live import TextBank
    from tswitch.routing._query_set import FILE
    from tswitch.switch._switch import Switch

    rows = rows_of(task, csv)
    opened = Switch.from_pretrained(switch)
    live = TextBank(base, {rows.name: opened}, device=opts.device)
    router = live.router(n_queries=samples, n_neighbors=1, seed=opts.seed).fit({rows.name: rows.train.texts})
    held = router.query_sets[rows.name]
    file = local_folder(opened) / FILE
    held.save(file, force=opts.force)
    return {"file": file, "texts": len(held.features), "features": held.features.shape[1], "bytes": held.nbytes}


@verb(app, uses=("device", "threads", "quiet"))
def predict(
    base: Encoder,
    switches: Annotated[list[str], typer.Argument(help="Switches of text tasks, each with its query set.")],
    *,
    text: Annotated[list[str], typer.Option("--text", "-t", help="A text; may be given several times.")],
    task: Annotated[str | None, typer.Option("--task", help="Answer for this switch (its folder's name).")] = None,
    method: Annotated[
        str, typer.Option("--method", help="votes, closed form, or auto: the better one on query texts left out.")
    ] = "auto",
    neighbors: Annotated[int, typer.Option("--neighbors", help="Nearest query texts that vote.")] = 10,
    mode: Annotated[
        str, typer.Option("--mode", help="sample (a mixture for each text), or sample-argmax (its likeliest task).")
    ] = "sample",
    opts: Shared,
) -> Table:
    """Classify texts on one live model: each text finds its task by Auto-Switch, or --task chooses for all."""
    from ninefold.errors import InputError
    from ninefold.report import Table

    from tswitch.routing._live import TextBank
    from tswitch.switch._switch import Switch

    folders = {Path(where).resolve().name: where for where in switches}
    if len(folders) < len(switches):
        raise InputError("switches", got=", ".join(switches), expected="folders of different names")
    if not all(one.strip() for one in text):
        raise InputError("--text", got="an empty one", expected="at least one word in each")
    opened = {name: Switch.from_pretrained(where) for name, where in folders.items()}
    live = TextBank(base, opened, device=opts.device)
    if task is not None:
        found = live.classify(task, text)
        rows = [[each, task, live.labels[task][k]] for each, k in zip(text, found, strict=True)]
        return Table(["text", "task", "label"], rows)
    router = live.router(n_neighbors=neighbors, mode=mode, method=method)
    router.use_query_sets({name: local_folder(switch) for name, switch in opened.items()})
    table = Table(["text", "task", "label", "probability", "weights", "distance"])
    for row in live.answer(router, text):
        shares = ", ".join(f"{name} {share:g}" for name, share in row["weights"].items())
        table.rows.append([row["text"], row["task"], row["label"], row["probability"], shares, row["distance"]])
    table.notes.append(live.cost)
    if router.method == "auto" and len(router.tasks) > 1:
        right = ", ".join(f"{name} {share:.1f} %" for name, share in router.left_out.items())
        table.notes.append(f"routed by {router.chosen}; of query texts left out are routed right: {right}")
    return table


@verb(app, "eval", uses=("device", "threads", "quiet"))
def evaluate(
    base: Encoder,
    switch: SwitchDir,
    *,
    task: Task = None,
    csv: Csv = None,
    opts: Shared,
) -> dict[str, Any]:
    """Test accuracy of a text task with its switch on, and of the same head on the plain base."""
    from tswitch.routing._live import TextBank

    rows = rows_of(task, csv)
    live = TextBank(base, {rows.name: switch}, device=opts.device)
    check_classes(f"head of switch {switch}", live.labels[rows.name], rows)
    scores = {on: live.classify(rows.name, rows.test.texts, switched=on) == rows.test.labels for on in (True, False)}
    about = {"task": rows.name, "test rows": len(rows.test), "accuracy switched": float(scores[True].mean())}
    return {**about, "accuracy of the base with this head": float(scores[False].mean())}
