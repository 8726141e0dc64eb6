"""From two checkpoints straight to a switch folder, in memory that does not depend on the model's size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ninefold.files import refuse_existing

from tswitch.checkpoints._given import Model, OnMismatch
from tswitch.switch._build import Spool, build
from tswitch.switch._plan import Settings
from tswitch.switch._switch import Switch
from tswitch.switch._ternary import Granularity, Scale


def compress(
    base: Model,
    finetuned: Model,
    out: str | Path,
    alpha: float | None = None,
    granularity: Granularity | None = None,
    scale: Scale | None = None,
    exclude: Sequence[str] | None = None,
    on_mismatch: OnMismatch = "error",
    force: bool = False,
    progress: Callable[[int], object] | None = None,
    size: str | float | None = None,
    seed: int = 0,
) -> Switch:
    """Compress a fine-tuned model straight to a switch folder, in memory that does not depend on the model's size.

    Arguments and errors as in `Switch.from_checkpoints`; also ArtifactError if `out` exists and `force` is off. The
    folder appears whole or not at all, and has the same bytes as `Switch.from_checkpoints(...).save_pretrained(out)`.

    Examples:
        >>> import torch
        >>> from safetensors.torch import save_file
        >>> from tswitch import compress

        >>> draw = torch.manual_seed(0)
        >>> base = {"layer.weight": torch.randn(20, 30, generator=draw), "layer.bias": torch.zeros(30)}
        >>> models = [
        ...     {name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.items()}
        ...     for _ in range(2)
        ... ]
        >>> for name, state in {"base": base, "first": models[0], "second": models[1]}.items():
        ...     save_file(state, f"{name}.safetensors")

        >>> switch = compress("base.safetensors", "first.safetensors", "switch", alpha=0.6)
        >>> round(switch.density, 2), switch.path.name
        (0.4, 'switch')
    """
    out = Path(out)
    settings = Settings.of(alpha, granularity, scale, exclude, on_mismatch, size, seed)
    refuse_existing(out, force, "tswitch")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out.parent) as spool:  # has no name, so even a kill leaves nothing behind
        made = build(base, finetuned, settings, store=Spool(spool), progress=progress)
        Switch.of(made).save_pretrained(out, force=force)
    return Switch.from_pretrained(out)
