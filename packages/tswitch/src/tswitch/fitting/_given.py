"""A switch from what a user names: a fine-tuned model or an adapter, with or without inputs to fit knobs on."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ninefold.errors import InputError
from ninefold.progress import progress

from tswitch.checkpoints._opening import open_base
from tswitch.fitting._compress import compress_fitted
from tswitch.fitting._knobs import FitConfig
from tswitch.switch._compress import compress
from tswitch.switch._plan import AUTO
from tswitch.switch._switch import Switch


def refuse_unused(reason: str, given: dict[str, Any]) -> None:
    """Refuse options that were given and would do nothing: all that are not None."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise InputError(", ".join(names), expected=f"to be left out: {reason}")


def compress_given(
    base: str, finetuned: str, out: Path, *, alpha: float | None = None, granularity: str | None = None,
    scale: Any = None, exclude: list[str] | None = None, on_mismatch: str | None = None, texts: Path | None = None,
    steps: int | None = None, size: str | None = None, code: str | None = None, seed: int = 0, force: bool = False,
) -> tuple[Switch, list[str]]:  # fmt: skip
    """Compress a fine-tuned model against its base into a switch folder; None is the default of each option.

    Args:
        base, finetuned: see `open_base`; `finetuned` may be a folder of a LoRA adapter, which is coded by itself.
        out: the folder. code: seeded or ternary; ternary where alpha, granularity or scale is given, else seeded.
        alpha: share of the changes to drop; .6, of an adapter .4.
        granularity: thresholds by tensor or model. scale: knob: full, l2 or mean; of an adapter l2.
        exclude: patterns of head tensors. on_mismatch: error, skip or dense.
        texts: inputs on which one knob for each tensor is fitted. steps: of the fit, 24.
        size: bytes of the folder with the seeded code, "auto". seed: random seed.
        force: replace what an earlier run wrote.
    Returns: the switch, and messages: warnings, what is kept whole, what is left out.
    Raises: InputError for options that would do nothing.
    """
    if (Path(finetuned) / "adapter_config.json").is_file():
        unused = {"--granularity": granularity, "--exclude": exclude, "--on-mismatch": on_mismatch}
        unused |= {"--texts": texts, "--steps": steps, "--size": size, "--code": code}
        refuse_unused("an adapter's factors are coded by themselves", unused)
        adapter = Switch.from_adapter(finetuned, 0.4 if alpha is None else alpha, scale or "l2")
        adapter.save_pretrained(out, force=force)
        return Switch.from_pretrained(out), []
    ternary: dict[str, Any] = {"--alpha": alpha, "--scale": scale, "--granularity": granularity}
    if code not in (None, "seeded", "ternary"):
        raise InputError("--code", got=code, expected="seeded or ternary")
    if code is None:
        code = "seeded" if size is not None or not any(one is not None for one in ternary.values()) else "ternary"
    if code == "seeded":
        refuse_unused("--size chooses the seeded code" if size else "they are for --code ternary", ternary)
        size = size or AUTO
    else:
        refuse_unused("it is a setting of --code seeded", {"--size": size})
        alpha = 0.6 if alpha is None else alpha
    if texts is None:
        refuse_unused("without --texts nothing is fitted", {"--steps": steps})
    else:
        unused = {"--scale": scale, "--granularity": granularity}
        refuse_unused("the knobs are fitted on --texts, one for each tensor", unused)
    before, after = open_base(base), open_base(finetuned)
    shared: Any = {"exclude": exclude, "on_mismatch": on_mismatch or "error", "force": force}
    total = sum(before.info(name).numel for name in before.names)
    label, share = ("compressing", 1) if texts is None else ("compressing and fitting", 2)
    with progress(share * total, label) as bar, warnings.catch_warnings(record=True, action="always") as caught:
        if texts is None:
            shared |= {"granularity": granularity, "scale": scale, "size": size, "seed": seed}
            switch = compress(before, after, out, alpha, progress=bar.advance, **shared)
        else:
            config = FitConfig(steps=24 if steps is None else steps, seed=seed)
            shared |= {"progress": bar.advance, "on_step": lambda done: bar.advance(done * total / config.steps)}
            switch = compress_fitted(before, after, out, texts, alpha, config, size=size, **shared)
    return switch, list(dict.fromkeys([f"warning: {warning.message}" for warning in caught] + switch.notes))
