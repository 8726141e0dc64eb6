"""Making switches, looking into them, and writing checkpoints from them or by merging."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, progress, verb
from typer import Argument, Option

from tswitch.cli._app import MISMATCH, Base, Exclude, Mismatch, Shards, SwitchDir, app

_ALPHA = "Share of the changes that the ternary code drops, from 0 to below 1. Default: 0.6; 0.4 for a LoRA adapter."
_GRANULARITY = "Thresholds and scale for each tensor (tensor, the default) or once for all (model)."
_SCALE = "Rule of each tensor's scale: full (default), l2 (as published) or mean."
_EXCLUDE = "Pattern of head tensors, which are stored whole. Default: heads of transformers' classes. Repeatable."
_CODE = "Code of the changes: seeded (default), or ternary as published. --alpha and --scale choose ternary."
_SIZE = "Size of the folder without its head, such as 0.1% of float32, or 2MB. Default: 0.5%; more for a small model."
_STEPS = "Gradient steps of the fit on --texts. Default: 24."
_WEIGHT = "Weight of each switch, in their order. Default: 1. Repeatable."
_DTYPE = "Data type of the weights: float16, bfloat16 or float32. Default: that of BASE."
_BASE_OF = "Base model that must be the one of the switch."
_ANY_BASE = "Apply the switches to another base than the one they were made from."
_TEXTS = "File of about 100 inputs without labels (.txt, .csv, .safetensors) on which the scales are fitted."


@verb(app, uses=("seed", "threads", "quiet", "force", "out"), out="folder")
def compress(
    base: Base,
    finetuned: Annotated[str, Argument(help="Fine-tuned model: folder, weight file, hub id, or a LoRA adapter.")],
    *,
    size: Annotated[str | None, Option(help=_SIZE)] = None,
    texts: Annotated[Path | None, Option(help=_TEXTS)] = None,
    code: Annotated[str | None, Option(help=_CODE)] = None,
    alpha: Annotated[float | None, Option(help=_ALPHA)] = None,
    granularity: Annotated[str | None, Option(help=_GRANULARITY, rich_help_panel="Advanced")] = None,
    scale: Annotated[str | None, Option(help=_SCALE, rich_help_panel="Advanced")] = None,
    exclude: Annotated[list[str] | None, Option(help=_EXCLUDE, rich_help_panel="Advanced")] = None,
    on_mismatch: Annotated[str | None, Option(help=MISMATCH, rich_help_panel="Advanced")] = None,
    steps: Annotated[int | None, Option(help=_STEPS, rich_help_panel="Advanced")] = None,
    opts: Shared,
) -> dict[str, Any]:
    """Compress a fine-tuned model against BASE into a switch folder, in bounded memory.

    The seeded code needs no texts. With --texts, one scale for each tensor is fitted on them, which pays at 0.1% and
    below, and for the ternary code from alpha 0.9 on. A LoRA adapter is compressed without reading BASE. Rerun the same
    command to resume after an interruption.

    Example: `tswitch compress minilm tuned -o switches/mine --size 0.2%`
    """
    from tswitch.evaluation._facts import switch_facts
    from tswitch.fitting._given import compress_given

    switch, messages = compress_given(
        base, finetuned, opts.need_out(), alpha=alpha, granularity=granularity, scale=scale, exclude=exclude,
        on_mismatch=on_mismatch, texts=texts, steps=steps, size=size, code=code, seed=opts.seed, force=opts.force,
    )  # fmt: skip
    for message in messages:
        typer.echo(message, err=True)  # such as that the switch is empty; what is kept whole or left out
    return switch_facts(switch)


@verb(app, uses=())
def inspect(
    switch: SwitchDir,
    *,
    tensors: Annotated[bool, Option("--tensors", help="List every tensor with its shape.")] = False,
) -> dict[str, Any] | list[Any]:
    """Show the density, the bytes on disk and the bits per parameter of a switch.

    Example: `tswitch inspect switches/mine`
    """
    from tswitch.evaluation._facts import switch_facts, tensor_table
    from tswitch.switch._switch import Switch

    opened = Switch.from_pretrained(switch)
    return [switch_facts(opened), tensor_table(opened)] if tensors else switch_facts(opened)


@verb(app, uses=("threads", "quiet"))
def verify(
    switch: SwitchDir,
    *,
    base: Annotated[str | None, Option(help=_BASE_OF)] = None,
) -> dict[str, Any]:
    """Check every byte of a switch against its digests. A damaged file ends in an error that names the tensor.

    Example: `tswitch verify switches/mine --base minilm`
    """
    from tswitch.checkpoints._opening import open_base
    from tswitch.evaluation._facts import check_query_set
    from tswitch.switch._switch import Switch

    opened = Switch.from_pretrained(switch)
    with progress(len(opened.tensors), "verifying") as bar:
        opened.verify(lambda _: bar.advance())
    check_query_set(opened)
    if base is not None:
        opened.check_base(open_base(base))
    tensors = len(opened.tensors) + len(opened.dense) + len(opened.head)
    checked = "not checked" if base is None else "the one it was made against"
    return {"switch": switch, "tensors": tensors, "bytes": opened.nbytes, "base": checked, "verdict": "whole"}


@verb(app, uses=("threads", "quiet", "force", "out"), out="folder")
def export(
    base: Base,
    switches: Annotated[list[str], Argument(help="One or more switches: folders or hub ids.")],
    *,
    weight: Annotated[list[float] | None, Option(help=_WEIGHT)] = None,
    dtype: Annotated[str | None, Option(help=_DTYPE)] = None,
    max_shard_size: Shards = "5GB",
    any_base: Annotated[bool, Option("--any-base", help=_ANY_BASE, rich_help_panel="Advanced")] = False,
    opts: Shared,
) -> dict[str, Any]:
    """Write BASE with the switches applied as an ordinary Hugging Face folder.

    The switch of a LoRA adapter becomes an adapter folder again. Rerun the same command to resume after an
    interruption.

    Example: `tswitch export minilm switches/mine -o exported`
    """
    from tswitch.checkpoints._opening import open_base
    from tswitch.evaluation._facts import written_facts
    from tswitch.fitting._given import refuse_unused
    from tswitch.switch._export import export
    from tswitch.switch._switch import Switch

    out = opts.need_out()
    first = Switch.from_pretrained(switches[0])
    if len(switches) == 1 and "adapter" in first.config:
        unused = {"--weight": weight, "--dtype": dtype, "--any-base": any_base or None}
        refuse_unused("an adapter is written as it was", unused)
        first.save_adapter(out, force=opts.force)
        return {"folder": out, "adapter of": first.config["base"], "tensors": len(first.tensors) + len(first.dense)}
    before = open_base(base)
    with progress(sum(before.info(name).numel for name in before.names), "exporting") as bar:
        options: Any = {"weights": weight, "dtype": dtype, "max_shard_size": max_shard_size, "any_base": any_base}
        written = export(before, switches, out, force=opts.force, progress=bar.advance, **options)
    if len(switches) > 1 or (weight or [1.0])[0] != 1:
        typer.echo("heads of the switches, if they have any, are left out: they cannot be mixed", err=True)
    return written_facts(written, out)


@verb(app, uses=("threads", "quiet", "force", "out"), out="folder")
def merge(
    recipe: Annotated[Path, Argument(help="YAML file with merge_method, base_model, models, parameters and dtype.")],
    *,
    max_shard_size: Shards = "5GB",
    on_mismatch: Mismatch = "error",
    exclude: Exclude = None,
    opts: Shared,
) -> dict[str, Any]:
    """Merge fine-tuned models by a mergekit-style YAML file, in bounded memory.

    Rerun the same command to resume after an interruption.

    Example: `tswitch merge merge.yml --on-mismatch skip -o merged`
    """
    from tswitch.evaluation._facts import written_facts
    from tswitch.merging._recipe import merge_recipe

    out = opts.need_out()
    with progress(None, "merging") as bar:
        options: Any = {"max_shard_size": max_shard_size, "on_mismatch": on_mismatch, "exclude": tuple(exclude or ())}
        written = merge_recipe(recipe, out=out, force=opts.force, progress=bar.advance, **options)
    return written_facts(written, out)


@verb(app, uses=("quiet",))
def push(
    switch: SwitchDir,
    repository: Annotated[str, Argument(help="Model repository on the hub, OWNER/NAME; created if it does not exist.")],
    *,
    private: Annotated[bool, Option("--private", help="Create the repository as a private one.")] = False,
) -> dict[str, Any]:
    """Upload a switch, and its query set if there is one, to the Hugging Face hub. Log in first: `hf auth login`.

    Example: `tswitch push switches/snips OWNER/snips`
    """
    from tswitch.switch._switch import Switch

    opened = Switch.from_pretrained(switch)
    opened.verify()
    return {"switch": switch, "bytes": opened.nbytes, "uploaded": opened.push_to_hub(repository, private=private)}
