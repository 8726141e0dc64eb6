"""Making switches, looking into them, and writing checkpoints from them or by merging."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, progress, verb
from typer import Argument, Option

from tswitch.cli._app import Base, Exclude, Mismatch, Shards, SwitchDir, app

_ALPHA = "Share of the changes to drop, in [0, 1); 0.6, of an adapter 0.4."
_MISMATCH = "Tensors that do not match: error (the default), skip or dense."
_TEXTS = "Fit the knobs on these inputs, labels not needed: .txt, .csv or .safetensors."


@verb(app, uses=("seed", "threads", "quiet", "force", "out"), out="folder")
def compress(
    base: Base,
    finetuned: Annotated[str, Argument(help="Fine-tuned model in any of these forms, or a LoRA adapter.")],
    *,
    alpha: Annotated[float | None, Option(help=_ALPHA)] = None,
    granularity: Annotated[str | None, Option(help="Thresholds by tensor (the default) or model.")] = None,
    scale: Annotated[str | None, Option(help="Knob: full (the default), l2 (paper) or mean.")] = None,
    exclude: Annotated[list[str] | None, Option(help="Pattern of head tensors, kept whole.")] = None,
    on_mismatch: Annotated[str | None, Option(help=_MISMATCH)] = None,
    texts: Annotated[Path | None, Option(help=_TEXTS)] = None,
    steps: Annotated[int | None, Option(help="Steps of the fit; 24 by default.")] = None,
    opts: Shared,
) -> dict[str, Any]:
    """Compress a fine-tuned model against BASE into a switch folder, in bounded memory.

    An adapter is coded by itself: BASE, which its own configuration names, is not read then. With --texts one number
    for each tensor is fitted on them, which pays from alpha .9 on; a killed run goes on when the command is repeated.
    """
    from tswitch.evaluation._facts import switch_facts
    from tswitch.fitting._given import compress_given

    switch, messages = compress_given(
        base, finetuned, opts.need_out(), alpha=alpha, granularity=granularity, scale=scale, exclude=exclude,
        on_mismatch=on_mismatch, texts=texts, steps=steps, seed=opts.seed, force=opts.force,
    )  # fmt: skip
    for message in messages:
        typer.echo(message, err=True)  # such as that the switch is empty; what is kept whole or left out
    return switch_facts(switch)


@verb(app, uses=())
def inspect(
    switch: SwitchDir, *, tensors: Annotated[bool, Option("--tensors", help="List every tensor.")] = False
) -> dict[str, Any] | list[Any]:
    """Show what a switch holds: density, bytes on disk, bits a parameter; with --tensors each tensor."""
    from tswitch.evaluation._facts import switch_facts, tensor_table
    from tswitch.switch._switch import Switch

    opened = Switch.from_pretrained(switch)
    return [switch_facts(opened), tensor_table(opened)] if tensors else switch_facts(opened)


@verb(app, uses=("threads", "quiet"))
def verify(
    switch: SwitchDir, *, base: Annotated[str | None, Option(help="Also check that this is its base.")] = None
) -> dict[str, Any]:
    """Read every byte of a switch against its digests; a flipped bit or a missing byte is an error that names it."""
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
    weight: Annotated[list[float] | None, Option(help="One for each switch; default 1.")] = None,
    dtype: Annotated[str | None, Option(help="float16, bfloat16 or float32; default: base's.")] = None,
    max_shard_size: Shards = "5GB",
    any_base: Annotated[bool, Option("--any-base", help="Apply to another base than the recorded one.")] = False,
    opts: Shared,
) -> dict[str, Any]:
    """Write BASE with the switches applied as an ordinary Hugging Face folder, shard by shard; resumes after a kill.

    A switch of a LoRA adapter is written back as an adapter folder; BASE is not read then.
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
    recipe: Annotated[Path, Argument(help="YAML: merge_method, base_model, models, parameters, dtype.")],
    *,
    max_shard_size: Shards = "5GB",
    on_mismatch: Mismatch = "error",
    exclude: Exclude = None,
    opts: Shared,
) -> dict[str, Any]:
    """Merge fine-tuned models as a mergekit-style YAML file says, in bounded memory; resumes after a kill."""
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
    repository: Annotated[str, Argument(help="Hub model repository, OWNER/NAME; made if it is not there.")],
    *,
    private: Annotated[bool, Option("--private", help="Make a new repository private.")] = False,
) -> dict[str, Any]:
    """Upload a switch, with its query set if it has one, to the hub, as whoever is logged in there."""
    from tswitch.switch._switch import Switch

    opened = Switch.from_pretrained(switch)
    opened.verify()
    return {"switch": switch, "bytes": opened.nbytes, "uploaded": opened.push_to_hub(repository, private=private)}
