"""Making switches, looking into them, and writing checkpoints from them or by merging."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, progress, verb

from tswitch.cli import _app
from tswitch.cli._app import Base, Exclude, Mismatch, Shards, SwitchDir, app, facts, open_base, refuse_unused


@verb(app, uses=("seed", "threads", "quiet", "force", "out"), out="folder")
def compress(
    base: Base,
    finetuned: Annotated[str, typer.Argument(help="Fine-tuned model in any of these forms, or a LoRA adapter.")],
    *,
    alpha: Annotated[
        float | None, typer.Option("--alpha", help="Share of the changes to drop, in [0, 1); 0.6, of an adapter 0.4.")
    ] = None,
    granularity: Annotated[
        str | None, typer.Option("--granularity", help="Thresholds by tensor (the default) or model.")
    ] = None,
    scale: Annotated[str | None, typer.Option("--scale", help="Knob: full (the default), l2 (paper) or mean.")] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Pattern of head tensors, kept whole.")] = None,
    on_mismatch: Annotated[
        str | None, typer.Option("--on-mismatch", help="Tensors that do not match: error (the default), skip or dense.")
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option("--texts", help="Fit the knobs on these inputs, labels not needed: .txt, .csv or .safetensors."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Steps of the fit; 24 by default.")] = None,
    opts: Shared,
) -> dict[str, Any]:
    """Compress a fine-tuned model against BASE into a switch folder, in bounded memory.

    An adapter is coded by itself: BASE, which its own configuration names, is not read then. With --texts one number
    for each tensor is fitted on them, which pays from alpha .9 on; a killed run goes on when the command is repeated.
    """
    from tswitch.fitting._compress import compress_fitted
    from tswitch.fitting._knobs import FitConfig
    from tswitch.switch._compress import compress
    from tswitch.switch._switch import Switch
    from tswitch.switch._ternary import DEFAULT_SCALE

    out = opts.need_out()
    if (Path(finetuned) / "adapter_config.json").is_file():
        unused = {"--granularity": granularity, "--exclude": exclude, "--on-mismatch": on_mismatch}
        unused |= {"--texts": texts, "--steps": steps}
        refuse_unused("an adapter's factors are coded by themselves", unused)
        given = 0.4 if alpha is None else alpha
        Switch.from_adapter(finetuned, given, scale or "l2").save_pretrained(out, force=opts.force)  # pyright: ignore[reportArgumentType]
        return facts(Switch.from_pretrained(out))
    if texts is None:
        refuse_unused("without --texts nothing is fitted", {"--steps": steps})
    else:
        unused = {"--scale": scale, "--granularity": granularity}
        refuse_unused("the knobs are fitted on --texts, one for each tensor", unused)
    before, after = open_base(base), open_base(finetuned)
    given = 0.6 if alpha is None else alpha
    shared: Any = {"exclude": exclude, "on_mismatch": on_mismatch or "error", "force": opts.force}
    total = sum(before.info(name).numel for name in before.names)
    label, share = ("compressing", 1) if texts is None else ("compressing and fitting", 2)
    with progress(share * total, label) as bar, warnings.catch_warnings(record=True, action="always") as caught:
        if texts is None:
            shared |= {"granularity": granularity or "tensor", "scale": scale or DEFAULT_SCALE}
            switch = compress(before, after, out, given, progress=bar.advance, **shared)
        else:
            config = FitConfig(steps=24 if steps is None else steps, seed=opts.seed)
            shared |= {"progress": bar.advance, "on_step": lambda done: bar.advance(done * total / config.steps)}
            switch = compress_fitted(before, after, out, texts, given, config, **shared)
    for message in dict.fromkeys([f"warning: {warning.message}" for warning in caught] + switch.notes):
        typer.echo(message, err=True)  # such as that the switch is empty; what is kept whole or left out
    return facts(switch)


@verb(app, uses=())
def inspect(
    switch: SwitchDir,
    *,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
) -> dict[str, Any] | list[Any]:
    """Show what a switch holds: density, bytes on disk, bits a parameter; with --tensors each tensor."""
    from ninefold.report import Table

    from tswitch.switch._switch import Switch

    opened = Switch.from_pretrained(switch)
    if not tensors:
        return facts(opened)
    table = Table(["tensor", "shape", "active", "density", "scale"])
    for name, about in opened.tensors.items():
        shape = "x".join(map(str, about.shape))
        table.rows.append([name, shape, about.active, about.active / max(about.numel, 1), about.scale])
    for kind, held in (("dense", opened.dense), ("head", opened.head)):
        table.rows += [[name, "x".join(map(str, held[name].shape)), None, kind, None] for name in held]
    return [facts(opened), table]


@verb(app, uses=("threads", "quiet"))
def verify(
    switch: SwitchDir,
    *,
    base: Annotated[str | None, typer.Option("--base", help="Also check that this is its base.")] = None,
) -> dict[str, Any]:
    """Read every byte of a switch against its digests; a flipped bit or a missing byte is an error that names it."""
    from tswitch.routing._query_set import FILE, QuerySet
    from tswitch.switch._switch import Switch

    opened = Switch.from_pretrained(switch)
    with progress(len(opened.tensors), "verifying") as bar:
        opened.verify(lambda _: bar.advance())
    if (_app.local_folder(opened) / FILE).is_file():
        QuerySet.load(_app.local_folder(opened))
    if base is not None:
        opened.check_base(open_base(base))
    tensors = len(opened.tensors) + len(opened.dense) + len(opened.head)
    checked = "not checked" if base is None else "the one it was made against"
    return {"switch": switch, "tensors": tensors, "bytes": opened.nbytes, "base": checked, "verdict": "whole"}


@verb(app, uses=("threads", "quiet", "force", "out"), out="folder")
def export(
    base: Base,
    switches: Annotated[list[str], typer.Argument(help="One or more switches: folders or hub ids.")],
    *,
    weight: Annotated[list[float] | None, typer.Option("--weight", help="One for each switch; default 1.")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="float16, bfloat16 or float32; default: base's.")] = None,
    max_shard_size: Shards = "5GB",
    any_base: Annotated[bool, typer.Option("--any-base", help="Apply to another base than the recorded one.")] = False,
    opts: Shared,
) -> dict[str, Any]:
    """Write BASE with the switches applied as an ordinary Hugging Face folder, shard by shard; resumes after a kill.

    A switch of a LoRA adapter is written back as an adapter folder; BASE is not read then.
    """
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
    return _app.written_facts(written, out)


@verb(app, uses=("threads", "quiet", "force", "out"), out="folder")
def merge(
    recipe: Annotated[Path, typer.Argument(help="YAML: merge_method, base_model, models, parameters, dtype.")],
    *,
    max_shard_size: Shards = "5GB",
    on_mismatch: Mismatch = "error",
    exclude: Exclude = None,
    opts: Shared,
) -> dict[str, Any]:
    """Merge fine-tuned models as a mergekit-style YAML file says, in bounded memory; resumes after a kill."""
    from tswitch.merging._recipe import merge_recipe

    out = opts.need_out()
    with progress(None, "merging") as bar:
        options: Any = {"max_shard_size": max_shard_size, "on_mismatch": on_mismatch, "exclude": tuple(exclude or ())}
        written = merge_recipe(recipe, out=out, force=opts.force, progress=bar.advance, **options)
    return _app.written_facts(written, out)


@verb(app, uses=("quiet",))
def push(
    switch: SwitchDir,
    repository: Annotated[str, typer.Argument(help="Hub model repository, OWNER/NAME; made if it is not there.")],
    *,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
) -> dict[str, Any]:
    """Upload a switch, with its query set if it has one, to the hub, as whoever is logged in there."""
    from tswitch.switch._switch import Switch

    opened = Switch.from_pretrained(switch)
    opened.verify()
    return {"switch": switch, "bytes": opened.nbytes, "uploaded": opened.push_to_hub(repository, private=private)}
