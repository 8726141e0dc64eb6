"""From two checkpoints straight to a switch folder, in memory that does not depend on the model's size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.files import refuse_existing
from torch import Tensor

from tswitch.checkpoints._given import Model, OnMismatch
from tswitch.switch._build import build
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


class Spool:
    """Keeps bytes in a file and gives them back mapped, so that they take no memory of this process."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def put(self, pieces: Iterable[np.ndarray]) -> Tensor:
        start = self._file.seek(0, 2)
        start = self._file.seek(start + -start % 64)  # any dtype may view the bytes
        for piece in pieces:
            self._file.write(piece.data)
        size = self._file.tell() - start
        self._file.flush()
        if not size:
            return torch.empty(0, dtype=torch.uint8)
        # Mode "c" (private): torch wants a writable array. Nothing writes to it.
        return torch.from_numpy(np.memmap(self._file, np.uint8, "c", offset=start, shape=(size,)))
