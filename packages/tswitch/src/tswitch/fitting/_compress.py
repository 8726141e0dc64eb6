"""From two checkpoints and a file of inputs to a switch folder with fitted knobs; an interrupted run can be resumed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from ninefold.errors import InputError
from ninefold.files import digest_file, refuse_existing

from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.checkpoints._given import OnMismatch, opened
from tswitch.fitting._inputs import cut, live_model, read_arrays, read_texts, text_batches
from tswitch.fitting._knobs import FitConfig, fit_knobs
from tswitch.switch._compress import compress
from tswitch.switch._switch import Switch


def compress_fitted(
    base: str | Path | Checkpoint,
    finetuned: str | Path | Checkpoint,
    out: str | Path,
    texts: str | Path,
    alpha: float | None = None,
    config: FitConfig | None = None,
    *,
    size: str | float | None = None,
    exclude: Sequence[str] | None = None,
    on_mismatch: OnMismatch = "error",
    batch_size: int = 32,
    max_length: int | None = None,
    force: bool = False,
    progress: Callable[[int], object] | None = None,
    on_step: Callable[[int], object] | None = None,
) -> Switch:
    r"""Compress a fine-tuned model and fit one knob for each tensor on inputs without labels.

    An interrupted run leaves `.<out>.fitting` next to `out`; the same call resumes there and gives the same bytes.

    Args:
        base, finetuned: folders or hub ids of transformers models, or open checkpoints of them.
        out: folder to write.
        texts: inputs of the task, see `read_texts`; or a safetensors file of the arguments of the model (pixel_values).
        alpha: share of the non-zero changes to drop, in [0, 1), with the ternary code.
        config: settings of the fit; its seed is that of the seeded code too.
        size: of the seeded code, which is the default; see `Switch.from_checkpoints`.
        exclude, on_mismatch, force: as for `compress`.
        batch_size: most inputs in one step.
        max_length: tokens kept of each text; None: what the model's folder says, else 128.
        progress: called with the number of parameters just compressed.
        on_step: called with the number of steps just done.
    Returns: the switch, opened from `out`; `config["fitted"]` holds the divergence before and after.
    Raises:
        InputError, ArtifactError: as for `compress`, `read_texts` and `fit_knobs`; a model without a folder.

    Examples:
        >>> import torch
        >>> from pathlib import Path
        >>> from transformers import AutoModel, AutoTokenizer, BertConfig
        >>> from tswitch import FinetuneConfig, FitConfig, compress_fitted, finetune, minilm_folder
        >>> from tswitch.datasets import text_task

        >>> seed = torch.manual_seed(0)  # a small encoder of random weights, in place of a pretrained one
        >>> config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
        >>> AutoModel.from_config(config).save_pretrained("base")
        >>> files = AutoTokenizer.from_pretrained(minilm_folder()).save_pretrained("base")
        >>> task = text_task("snips", source="embedded").limited(train=64)

        >>> tuned = finetune("base", task, "tuned", FinetuneConfig(steps=4, batch=8))
        >>> written = Path("texts.txt").write_text("\n".join(task.train.texts[:16]))
        >>> switch = compress_fitted("base", "tuned", "switch", "texts.txt", alpha=0.9, config=FitConfig(steps=2))
        >>> before, after = switch.config["fitted"]["divergence"]
        >>> after <= before
        True
    """
    out, texts, config = Path(out), Path(texts), config or FitConfig()
    if alpha is not None and size is not None:
        raise InputError("alpha", got=alpha, expected="to be left out: size chooses the seeded code")
    refuse_existing(out, force, "tswitch")
    after = opened(finetuned)
    if after.folder is None:
        raise InputError("fine-tuned model", where=after.source, got="no folder", expected="a folder with config.json")
    arrays = read_arrays(texts) if texts.suffix == ".safetensors" else None
    lines = [] if arrays is not None else read_texts(texts)
    work = out.with_name(f".{out.name}.fitting")
    work.mkdir(parents=True, exist_ok=True)
    switch = compress(
        base,
        after,
        work / "switch",
        alpha=alpha,
        size=size,
        seed=config.seed,
        exclude=exclude,
        on_mismatch=on_mismatch,
        force=(work / "switch").exists(),
        progress=progress,
    )
    model, encode = live_model(after.folder, max_length)
    if arrays is not None:
        batches = cut(arrays, batch_size)
    elif encode is not None:
        batches = text_batches(lines, encode, batch_size)
    else:
        raise InputError("fine-tuned model", where=after.source, got="no tokenizer", expected="its own",
                         hint="give a safetensors file of the model's inputs")  # fmt: skip
    parts = [
        digest_file(work / "switch" / "switch_config.json"),
        digest_file(texts),
        asdict(config),
        batch_size,
        max_length,
    ]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    state = work / f"{key}.safetensors"
    fitted = fit_knobs(switch, base, model, batches, config, state=state, key=key, progress=on_step)
    fitted.save_pretrained(out, force=force)
    shutil.rmtree(work)
    return Switch.from_pretrained(out)
