"""Export: base + lambda * S_A * S_P as an ordinary checkpoint folder (paper, section 3), streamed shard by shard."""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ninefold.errors import InputError, version_of
from ninefold.files import digest_file, refuse_existing
from torch import Tensor

from tswitch.checkpoints._card import model_card
from tswitch.checkpoints._checkpoint import Checkpoint, TensorInfo
from tswitch.checkpoints._given import Model, opened
from tswitch.checkpoints._writer import KIND, CheckpointWriter, Written, parse_dtype, parse_size
from tswitch.models._models import LENGTH_KEY
from tswitch.switch._codec import CHUNK
from tswitch.switch._format import dtype_name
from tswitch.switch._plan import statistics_share
from tswitch.switch._switch import Switch


def export(
    base: Model,
    switch: Switch | str | Path | Sequence[Switch | str | Path],
    out: str | Path,
    *,
    weights: Sequence[float] | None = None,
    dtype: str | torch.dtype | None = None,
    max_shard_size: int | str = "5GB",
    force: bool = False,
    any_base: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Written:
    """Write base + sum of w_i * switch_i as a Hugging Face folder.

    Sums are made in float32. An interrupted run resumes after the last finished shard and ends with the same bytes.
    What a switch keeps dense is mixed in the same proportion; a task head only comes along with a single switch of
    weight 1, for heads of several tasks cannot be mixed.

    Args:
        base: the model that the switches were made against, in any form; its config and tokenizer are copied.
        switch: one or several, loaded or as folders.
        out: the folder to write.
        weights: w, one for each switch; default 1.
        dtype: dtype of floating tensors: "float16", "bfloat16" or "float32"; default: each tensor's own in the base.
        max_shard_size: most bytes of a shard, like "2GB".
        force: replace `out` if it exists, once the new folder is complete.
        any_base: apply to a base with other values than the one that the switch was made against.
        progress: called with the number of parameters just done.
    Returns: what was written, and how many additions rounded to no change.
    Raises:
        InputError: another base, weights that do not fit the switches, a shape that only one of several has.
        ArtifactError: a damaged checkpoint or switch; `out` exists.

    Examples:
        >>> import torch
        >>> from safetensors.torch import save_file
        >>> from tswitch import Checkpoint, compress, export

        >>> draw = torch.manual_seed(0)
        >>> base = {"layer.weight": torch.randn(20, 30, generator=draw), "layer.bias": torch.zeros(30)}
        >>> models = [
        ...     {name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.items()}
        ...     for _ in range(2)
        ... ]
        >>> for name, state in {"base": base, "first": models[0], "second": models[1]}.items():
        ...     save_file(state, f"{name}.safetensors")

        >>> for name in ("first", "second"):
        ...     switch = compress("base.safetensors", f"{name}.safetensors", f"{name}-switch")
        >>> written = export("base.safetensors", ["first-switch", "second-switch"], "mixed", weights=[0.5, 0.5])
        >>> Checkpoint.open("mixed").names
        ['layer.bias', 'layer.weight']
    """
    refuse_existing(Path(out), force, KIND)
    chosen = parse_dtype(dtype)
    parse_size(max_shard_size)  # now, not after the base has been read
    given = [switch] if isinstance(switch, Switch | str | Path) else list(switch)
    switches = [one if isinstance(one, Switch) else Switch.from_pretrained(one) for one in given]
    scales = [1.0] * len(switches) if weights is None else [float(weight) for weight in weights]
    if not switches or len(scales) != len(switches):
        got = f"{len(scales)} for {len(switches)} switches"
        raise InputError("weights", got=got, expected="one for each of at least one switch")
    if not all(map(math.isfinite, scales)):
        raise InputError("weights", got=", ".join(f"{one:g}" for one in scales), expected="finite numbers")
    checkpoint = opened(base)
    for one in switches:
        if "adapter" in one.config:
            raise InputError("switch", got="one of a LoRA adapter", expected="a full model's", hint="use save_adapter")
        one.check_base(checkpoint, force=any_base)
    parts = [_WeightedSwitch(one, weight, checkpoint) for one, weight in zip(switches, scales, strict=True)]
    alone = len(parts) == 1 and scales[0] == 1
    whole = parts[0].whole if alone else {}
    rows = parts[0].rows if alone else {}
    unfit = [] if alone else [name for part in parts for name in (*part.unfit, *part.rows)]
    if unfit:
        what = f"tensors that the base has not, or in another shape: {', '.join(dict.fromkeys(unfit))}"
        raise InputError("switches", got=what, expected="tensors that can be mixed", hint="export one switch, weight 1")
    named = parts[0].final_name if alone else str  # alone, it becomes a model of the fine-tuned one's class
    left_out = set(switches[0].config.get("left_out", ())) if alone else set()
    cut = switches[0].config.get("cut", {}) if alone else {}
    layout: dict[str, TensorInfo] = {}
    inner = dict.fromkeys(name for name in [*checkpoint.names, *whole] if name not in left_out)
    for name in inner:
        own = checkpoint.info(name).dtype if name in checkpoint else whole[name].dtype
        shape = tuple(whole[name].shape) if name in whole else checkpoint.info(name).shape
        if name in rows or name in cut:
            shape = (cut[name] if name in cut else shape[0] + len(rows[name]), *shape[1:])
        layout[named(name)] = TensorInfo(chosen or own if own.is_floating_point else own, shape)
    job = {
        "export": [part.stamp() for part in parts],
        "weights": scales,
        "base": checkpoint.stamp() or str(uuid.uuid4()),  # a model in memory has no stamp: no resuming
    }
    own_name = {named(name): name for name in inner}
    with CheckpointWriter(out, layout, max_shard_size=max_shard_size, job=job, force=force) as writer:
        for final in writer.pending():
            name = own_name[final]
            changing = [part for part in parts if part.changes(name)]
            if name in whole:
                writer.feed(whole[name].reshape(-1))
            elif changing:
                less = statistics_share(name, [part.weight for part in changing])
                room = layout[final].numel  # fewer than the base's where rows are cut
                for values, delta in _sums_with_base(checkpoint, changing, name):
                    writer.add(values[:room], (delta if less == 1 else delta * less)[:room])
                    room -= len(values[:room])
                    if not room:
                        break
            else:
                for _, chunk in checkpoint.chunks(name):
                    writer.feed(chunk)
            if name in rows:
                writer.feed(rows[name].reshape(-1))
            if progress is not None:
                progress(layout[final].numel)
        config = _config(switches[0], checkpoint, layout, rows) if alone else None
        writer.copy_files(checkpoint.folder, dtype=chosen, config=config)
        writer.write_text("README.md", _card(checkpoint, parts))
        return writer.written


class _WeightedSwitch:
    """A switch with its weight, its tensors under the names by which the base stores them.

    Attributes:
        whole: tensors that a single switch replaces: its dense ones and its head, read when asked for.
        rows: further rows of tensors, beyond those of the base.
        unfit: dense tensors that the base has not, or in another shape.
    """

    def __init__(self, switch: Switch, weight: float, base: Checkpoint) -> None:
        self.switch, self.weight, self._pairing = switch, weight, switch.pairing
        self._coded = {base.tied.get(name, name): name for name in switch.names}
        whole = {base.tied.get(n, n): (switch.dense, n) for n in switch.dense}
        # heads have the fine-tuned model's own names; where classes differ, these may mean another tensor of the base
        self._marked = not self._pairing.is_plain
        whole |= {f"head:{n}" if self._marked else base.tied.get(n, n): (switch.head, n) for n in switch.head}
        self.whole = _Renamed(whole)
        dense = {base.tied.get(name, name): name for name in switch.dense}
        self.rows = _Renamed({base.tied.get(n, n): (switch.rows, n) for n in switch.rows})
        self.unfit = [n for n in dense if n not in base or self.whole[n].shape != base.info(n).shape]
        self._mixed = [n for n in dense if n not in self.unfit and base.info(n).dtype.is_floating_point]

    def final_name(self, name: str) -> str:
        """The name that a tensor has in a model of the fine-tuned one's class."""
        return (
            name.removeprefix("head:")
            if self._marked and name.startswith("head:")
            else self._pairing.to_finetuned(name)
        )

    def changes(self, name: str) -> bool:
        """Whether it adds anything to that tensor."""
        return name in self._coded or name in self._mixed

    def deltas(self, name: str, base: Checkpoint) -> Iterator[Tensor]:
        """float32 values to add to that tensor, `CHUNK` at a time."""
        if name in self._coded:
            for _, values in self.switch.changes(self._coded[name]):
                yield values * self.weight
            return
        value = self.whole[name].reshape(-1)
        for part, before in base.chunks(name, CHUNK):
            yield (value[part].float() - before.float()) * self.weight

    def stamp(self) -> str:
        """Tells this switch from others; its configuration holds digests of its tensors."""
        return digest_file(self.switch.path / "switch_config.json") if self.switch.path else str(uuid.uuid4())


class _Renamed(Mapping[str, Tensor]):
    """Tensors of other mappings under new names, still read only when asked for."""

    def __init__(self, places: Mapping[str, tuple[Mapping[str, Tensor], str]]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Tensor:
        held, stored = self._places[name]
        return held[stored]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _sums_with_base(base: Checkpoint, parts: Sequence[_WeightedSwitch], name: str) -> Iterator[tuple[Tensor, Tensor]]:
    """(base, sum of what the switches add), float32, `CHUNK` entries at a time."""
    streams = [part.deltas(name, base) for part in parts]
    for (_, chunk), *deltas in zip(base.chunks(name, CHUNK), *streams, strict=True):
        total = deltas[0]
        for delta in deltas[1:]:
            total += delta
        yield chunk.float(), total


def _config(
    switch: Switch, base: Checkpoint, layout: Mapping[str, TensorInfo], rows: Mapping[str, Tensor]
) -> dict[str, Any] | None:
    """The config.json of an export of one switch: the fine-tuned model's, in the dtype of what is written.

    A switch that an earlier version wrote holds the classes of its head only; the base's configuration then gets these.
    """
    config = dict(switch.config.get("model_config") or {})
    if config:
        key = "dtype" if "dtype" in config else "torch_dtype"
        floating = Counter(info.dtype for info in layout.values() if info.dtype.is_floating_point)
        return config | ({key: dtype_name(floating.most_common(1)[0][0])} if key in config and floating else {})
    if base.config is None:
        return None
    labels = switch.config.get("labels") if switch.head else None
    config = base.config | _vocabulary(base, rows)
    if labels:
        config["id2label"] = dict(enumerate(labels))
        config["label2id"] = {label: index for index, label in enumerate(labels)}
        config["num_labels"] = len(labels)
        config |= {LENGTH_KEY: switch.config["max_length"]} if "max_length" in switch.config else {}
    return config


def _vocabulary(base: Checkpoint, rows: Mapping[str, Tensor]) -> dict[str, Any]:
    """The configuration's vocab_size, where the matrices that got further rows are those of the vocabulary."""
    size = (base.config or {}).get("vocab_size")
    grown = {base.info(name).shape[0] + len(rows[name]) for name in rows if base.info(name).shape[0] == size}
    return {"vocab_size": grown.pop()} if len(grown) == 1 else {}


def _card(base: Checkpoint, parts: Sequence[_WeightedSwitch]) -> str:
    facts = {"base": f"`{base.label}`"}
    for index, part in enumerate(parts):
        name = part.switch.path.resolve().name if part.switch.path else "memory"
        about = f"alpha {part.switch.config['alpha']:g}, density {part.switch.density:.4f}, weight {part.weight:g}"
        facts[f"switch {index}"] = f"`{name}`, {about}"
    if (len(parts) > 1 or parts[0].weight != 1) and any(part.switch.head for part in parts):
        facts["heads of the switches"] = "left out, since they cannot be mixed"
    made = f"Made by tswitch {version_of('tswitch')}: the base plus what its switches add."
    return model_card("Model with a task switch applied", made, facts, bases=[base.source] if base.is_from_hub else [])
