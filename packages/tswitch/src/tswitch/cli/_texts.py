"""Answering texts on one live model, by Auto-Switch or by a task that is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ninefold.cli import Shared, verb
from typer import Argument, Option

from tswitch.cli._app import Csv, Encoder, SwitchDir, Task, app

if TYPE_CHECKING:
    from ninefold.report import Table

_METHOD = "Router: votes (nearest neighbours), closed form (ridge regression), or auto, the better on left-out texts."
_TASK = "Name of the switch folder that answers all texts. Default: each text is routed."
_MODE = "Weights of the switches: sample (a mixture for each text) or sample-argmax (its most likely task)."


@verb(app, uses=("seed", "device", "threads", "quiet", "force"))
def query_set(
    base: Encoder,
    switch: SwitchDir,
    *,
    task: Task = None,
    csv: Csv = None,
    samples: Annotated[int, Option(help="Maximum number of training texts to store features of.")] = 400,
    opts: Shared,
) -> dict[str, Any]:
    """Store features and hashed words of training texts with a switch, so that inputs can be routed to it.

    Labels are not used, and no text is stored.

    Example: `tswitch query-set minilm switches/snips --task snips`
    """
    from tswitch.datasets._given import rows_of
    from tswitch.routing._answers import keep_query_set
    from tswitch.switch._switch import Switch

    rows = rows_of(task, csv)
    file, kept = keep_query_set(
        base, Switch.from_pretrained(switch), rows, samples=samples, device=opts.device, seed=opts.seed,
        force=opts.force,
    )  # fmt: skip
    return {"file": file, "texts": len(kept.features), "features": kept.features.shape[1], "bytes": kept.nbytes}


@verb(app, uses=("device", "threads", "quiet"))
def predict(
    base: Encoder,
    switches: Annotated[list[str], Argument(help="Switches of text tasks; several need a query set each, or --task.")],
    *,
    text: Annotated[list[str], Option("--text", "-t", help="Text to classify. Repeatable.")],
    task: Annotated[str | None, Option(help=_TASK)] = None,
    method: Annotated[str, Option(help=_METHOD, rich_help_panel="Advanced")] = "auto",
    neighbors: Annotated[int, Option(help="Number of nearest query texts that vote.", rich_help_panel="Advanced")] = 10,
    mode: Annotated[str, Option(help=_MODE, rich_help_panel="Advanced")] = "sample",
    opts: Shared,
) -> Table:
    """Classify texts on one live model. Auto-Switch finds the task of each text; --task chooses one for all.

    Example: `tswitch predict minilm switches/snips switches/travel -t "play some jazz" -t "do i need a visa for japan"`
    """
    from ninefold.errors import InputError

    from tswitch.routing._answers import answers_of_task, has_query_set, routed_answers
    from tswitch.routing._live import TextBank
    from tswitch.switch._switch import Switch

    folders = {Path(where).resolve().name: where for where in switches}
    if len(folders) < len(switches):
        raise InputError("switches", got=", ".join(switches), expected="folders of different names")
    if not all(one.strip() for one in text):
        raise InputError("--text", got="an empty one", expected="at least one word in each")
    opened = {name: Switch.from_pretrained(where) for name, where in folders.items()}
    live = TextBank(base, opened, device=opts.device)
    if task is None and len(opened) == 1 and not has_query_set(*opened.values()):
        task = next(iter(opened))  # nothing to route
    if task is not None:
        return answers_of_task(live, task, text)
    return routed_answers(live, opened, text, n_neighbors=neighbors, mode=mode, method=method)


@verb(app, "eval", uses=("device", "threads", "quiet"))
def evaluate(base: Encoder, switch: SwitchDir, *, task: Task = None, csv: Csv = None, opts: Shared) -> dict[str, Any]:
    """Measure test accuracy of a text task with its switch on, and of the same head on the plain base.

    A CSV file without the column split counts as test rows.

    Example: `tswitch eval minilm switches/travel --task clinc150/travel`
    """
    from tswitch.datasets._given import rows_to_score
    from tswitch.evaluation._facts import accuracy_on_and_off

    return accuracy_on_and_off(base, switch, rows_to_score(task, csv), opts.device)
