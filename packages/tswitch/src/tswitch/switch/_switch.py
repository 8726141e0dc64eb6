"""`Switch`: one fine-tuned model as a ternary difference from its base, in memory or on disk."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.artifacts import write_folder
from ninefold.errors import ArtifactError, InputError
from safetensors.torch import save_file
from torch import Tensor

from tswitch import coding
from tswitch.checkpoints._given import Model, OnMismatch, fingerprint, opened
from tswitch.checkpoints._pairing import Pairing
from tswitch.coding import CodedTensor
from tswitch.switch import _codec, _format
from tswitch.switch._build import Parts, build, build_adapter
from tswitch.switch._plan import Settings
from tswitch.switch._ternary import Granularity, Scale


class Switch:
    """A fine-tuned model as scale * {-1, 0, 1} for each tensor, with what cannot be so coded kept dense.

    Make one with `from_checkpoints`, `from_adapter` or `from_pretrained`; `compress` makes one on disk.

    Attributes:
        path: the folder it was loaded from, or None.
        config: what `switch_config.json` holds.
        tensors: name -> CodedTensor, for each coded tensor, sorted by name.
        dense: name -> value in the fine-tuned model, for scalars, float buffers and the like; read when asked for.
        rows: name -> (n, ...) rows of the fine-tuned tensor beyond those of the base (an enlarged vocabulary).
        head: name -> value, for the excluded tensors (the task's own head); read when asked for.
        tied: other name -> stored name, for tensors that share their values; apply to the stored name only.
        seeded: seed of the seeded code, or None for the ternary one.
        base_digests: name -> digest of the base's values, for each tensor that was compared.

    Examples:
        >>> import torch
        >>> from tswitch import Switch

        >>> draw = torch.manual_seed(0)
        >>> base = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
        >>> tuned = {
        ...     name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.state_dict().items()
        ... }

        >>> switch = Switch.from_checkpoints(base, tuned, alpha=0.6)
        >>> round(switch.density, 2), switch.names
        (0.4, ['0.bias', '0.weight', '2.bias', '2.weight'])
        >>> switch.save_pretrained("switch")
        >>> again = Switch.from_pretrained("switch")
        >>> torch.equal(again.dequantise("0.weight"), switch.dequantise("0.weight"))
        True
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        scales: Tensor,
        codes: Mapping[str, Tensor],
        dense: Mapping[str, Tensor],
        head: Mapping[str, Tensor],
        *,
        rows: Mapping[str, Tensor] | None = None,
        path: Path | None = None,
    ) -> None:
        self.config, self.dense, self.head, self.path = dict(config), dense, head, path
        self.rows: Mapping[str, Tensor] = {} if rows is None else rows
        self._codes, self._scales = codes, scales
        try:
            self.tied: dict[str, str] = dict(config["tied"])
            self.base_digests: dict[str, str] = dict(config["base_digests"])
            table = config["tensors"]
            self.tensors = {
                name: CodedTensor(tuple(about["shape"]), getattr(torch, about["dtype"]), about["active"], scale)
                for (name, about), scale in zip(table.items(), scales.tolist(), strict=True)
            }
            self.seeded = coding.seed_of(config)
            complete = set(self.tensors) == set(codes) and set(config["dense"]) == set(dense)
            complete &= set(config.get("rows", ())) == set(self.rows)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ArtifactError(path or "switch", f"is damaged: its configuration lacks or misstates {error}") from None
        if not complete:
            raise ArtifactError(path or "switch", "is damaged: its configuration lists other tensors than it holds")

    # Making one

    @classmethod
    def of(cls, parts: Parts) -> Switch:
        """A switch in memory from what `build` made."""
        return cls(parts.config, parts.scales, parts.codes, parts.dense, parts.head, rows=parts.rows)

    @classmethod
    def from_checkpoints(
        cls,
        base: Model,
        finetuned: Model,
        alpha: float | None = None,
        granularity: Granularity | None = None,
        scale: Scale | None = None,
        exclude: Sequence[str] | None = None,
        on_mismatch: OnMismatch = "error",
        progress: Callable[[int], object] | None = None,
        size: str | float | None = None,
        seed: int = 0,
    ) -> Switch:
        """Compress a fine-tuned model against its base; the codes stay in memory.

        By default the code is seeded, in 0.5 % of the model's float32 bytes. `alpha`, `granularity` or `scale` choose
        the ternary code.

        Args:
            base, finetuned: folder, weight file, hub id, module or state dict.
            alpha: share of the non-zero entries of the difference that the ternary code drops, in [0, 1); 0.6.
            granularity: thresholds and knob of the ternary code "tensor" by tensor (authors' code, the default), or
                once for the "model" (paper's text).
            scale: "full" (the default), "l2" (paper) or "mean", see `switch_knob`.
            exclude: patterns of tensor names that make up the task's head and are kept as they are. None: the heads of
                transformers' classes by their names, and, if the fine-tuned model is of another class than its base,
                each part that the base lacks; parts that only the base has are then left out of exports. What is so
                kept or left out stands in `notes`.
            on_mismatch: for tensors that only one model has, or in other shapes: "error" lists them, "skip" leaves them
                as in the base, "dense" keeps the fine-tuned values; of a matrix
                that only got further rows, such as an embedding, only these.
            progress: called with the number of parameters just done.
            size: of the folder with the seeded code, without its head: a share of the model's float32 bytes such as
                "0.2%", bytes such as "2MB", or "auto" (the default) for 0.5% (more where the model is small); alpha,
                granularity and scale must be left out.
            seed: random seed of the seeded code.
        Raises:
            InputError: naming tensor and file: bad argument, mismatch, NaN or infinity in the difference.
            ArtifactError: a checkpoint that is damaged, quantised or of an unknown layout.
        """
        settings = Settings.of(alpha, granularity, scale, exclude, on_mismatch, size, seed)
        return cls.of(build(base, finetuned, settings, progress=progress))

    @classmethod
    def from_adapter(cls, adapter: str | Path, alpha: float = 0.4, scale: Scale = "l2") -> Switch:
        """Compress a LoRA adapter folder: each factor A and B is thresholded and ternarised itself (authors' code).

        Everything else in the adapter (`modules_to_save`, magnitudes, biases) is kept as it is.
        """
        return cls.of(build_adapter(adapter, alpha, scale))

    @classmethod
    def from_pretrained(cls, where: str | Path) -> Switch:
        """Open a switch folder, or one on the hub. Each tensor is read, and its digest checked, when it is used.

        Raises:
            ArtifactError: naming the file that is missing, truncated, damaged, foreign or of a newer format.
            DownloadError: if it is neither here nor on the hub.
        """
        path = Path(where)
        if not path.exists() and isinstance(where, str) and where.count("/") == 1 and where[0] not in "./~":
            path = _format.download(where)
        config, switch, head = _format.read_folder(path)
        return cls(
            config,
            switch.torch(_format.SCALES),
            _format.codes_of(config, switch),
            _format.StoredTensors(switch, _format.DENSE),
            _format.StoredTensors(head),
            rows=_format.StoredTensors(switch, _format.ROWS),
            path=path,
        )

    def with_dense(self, values: Mapping[str, Tensor]) -> Switch:
        """The same switch with further dense tensors, or other values for those it has; in memory.

        Raises:
            InputError: naming a tensor that is coded here, or is dense in another shape.
        """
        for name, value in values.items():
            if name in self.tensors or (name in self.dense and self.dense[name].shape != value.shape):
                raise InputError(f"tensor {name!r}", got=tuple(value.shape), expected="a dense tensor of the switch")
        dense = dict(self.dense.items()) | dict(values)
        return Switch(
            self.config | {"dense": sorted(dense)}, self._scales, self._codes, dense, self.head, rows=self.rows
        )

    def with_scales(self, scales: Mapping[str, float], fitted: Mapping[str, Any]) -> Switch:
        """The same switch with other knobs, by tensor, in memory; `fitted` says in its configuration where from."""
        values = torch.tensor([scales[name] for name in self.tensors], dtype=torch.float32)
        config = self.config | {"scale": "fitted", "fitted": dict(fitted)}
        return Switch(config, values, self._codes, self.dense, self.head, rows=self.rows)

    # Keeping it

    def save_pretrained(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the switch to a folder, which appears whole or not at all.

        Raises:
            ArtifactError: if the folder exists and `force` is off.
        """
        _format.write_folder(
            Path(folder),
            {key: value for key, value in self.config.items() if key not in ("format_version", "package", "files")},
            scales=self._scales,
            codes=self._codes,
            dense=self.dense,
            head=self.head,
            rows=self.rows,
            card=_format.card_of(self.config, len(self.head)),
            force=force,
        )

    def push_to_hub(self, repository: str, *, private: bool | None = None, token: str | None = None) -> str:
        """Upload the folder to a hub model repository, made if need be; returns the address of the commit.

        Raises:
            DownloadError: if the hub cannot be reached, or refuses.
        """
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "switch"
            self.save_pretrained(folder)
            queries = self.path / _format.QUERIES if self.path else None
            if queries is not None and queries.is_file():  # without it nothing can be routed to the task
                shutil.copyfile(queries, folder / queries.name)
            return _format.upload(folder, repository, private=private, token=token)

    def save_adapter(self, folder: str | Path, *, force: bool = False) -> None:
        """Write a switch made from a LoRA adapter as an ordinary adapter folder, its factors dequantised."""
        if "adapter" not in self.config:
            raise InputError("switch", got="one of a full model", expected="one made by Switch.from_adapter")
        tensors = {name: self.dequantise(name, about.dtype) for name, about in self.tensors.items()}
        tensors |= dict(self.dense.items())
        for name, about in self.config.get("zero", {}).items():
            tensors[name] = torch.zeros(about["shape"], dtype=getattr(torch, about["dtype"]))
        with write_folder(
            folder, kind="tswitch.adapter", format_version=1, package="tswitch", force=force
        ) as temporary:
            save_file(tensors, temporary / "adapter_model.safetensors", metadata={"format": "pt"})
            text = json.dumps(self.config["adapter"], indent=2)
            (temporary / "adapter_config.json").write_text(text + "\n", encoding="utf-8")

    # Reading it

    @property
    def names(self) -> list[str]:
        """Names of the coded tensors, sorted."""
        return list(self.tensors)

    def ternary(self, name: str) -> Iterator[tuple[slice, Tensor]]:
        """Yield (slice of the flat tensor, int8 values in {-1, 0, 1}), a million at a time; ArtifactError on damage."""
        about, active = self._about(name), 0
        with self._decoding(name):
            for part, values in self._decoded(name, about):
                active += int(np.count_nonzero(values))
                yield part, torch.from_numpy(values)
            self._check_active(about, active)

    def packed(self, name: str) -> Tensor:
        """The tensor's codes, four to a byte: uint8 (ceil(n / 4),), entry i in bits 2 (i mod 4) and up of byte i // 4;
        0 is zero, 1 plus, 2 minus.

        Raises:
            ArtifactError: naming the tensor, if its code is damaged.
        """
        about = self._about(name)
        with self._decoding(name):
            if self.seeded is None:
                out = _codec.decode_packed(self._codes[name].numpy(), about.numel)
            else:
                parts = [_codec.two_bits(values) for _, values in self._decoded(name, about)]
                out = np.concatenate([np.empty(0, np.uint8), *parts])
            self._check_active(about, _codec.active_in(out))
        return torch.from_numpy(out)

    def _decoded(self, name: str, about: CodedTensor) -> Iterator[tuple[slice, np.ndarray]]:
        code = self._codes[name].numpy()
        if self.seeded is None:
            return _codec.decode(code, about.numel)
        return coding.decode(code, coding.matrix_shape(about.shape), self.seeded, name)

    @contextlib.contextmanager
    def _decoding(self, name: str) -> Iterator[None]:
        try:
            yield
        except (_codec.CodecError, coding.SeededError) as error:
            raise ArtifactError(self.path or "switch", f"is damaged: the code of tensor {name!r} {error}") from None

    @staticmethod
    def _check_active(about: CodedTensor, active: int) -> None:
        if active != about.active:
            raise _codec.CodecError(f"has {active} active entries, its configuration says {about.active}")

    def dequantise(self, name: str, dtype: torch.dtype = torch.float32) -> Tensor:
        """The difference from the base that the switch stands for: scale * {-1, 0, 1}, in the tensor's shape."""
        about = self._about(name)
        out = torch.empty(about.numel, dtype=dtype)
        for part, values in self.changes(name):
            out[part] = values.to(dtype)
        return out.reshape(about.shape)

    def changes(self, name: str) -> Iterator[tuple[slice, Tensor]]:
        """Yield (slice of the flat tensor, float32 difference from the base); ArtifactError if a code is damaged."""
        about = self._about(name)
        yield from ((part, values.to(torch.float32) * about.scale) for part, values in self.ternary(name))

    def check_base(self, base: Model, *, force: bool = False) -> None:
        """Make sure that a model is the base this switch was made against, by the digests of its float32 values.

        Raises:
            InputError: listing tensors that are missing, have another shape, or (unless `force`) other values.
        """
        checkpoint = opened(base)
        missing = [name for name in self.tensors if name not in checkpoint]
        shapes = [
            f"{name} {tuple(checkpoint.info(name).shape)}, expected {about.shape}"
            for name, about in self.tensors.items()
            if name in checkpoint and tuple(checkpoint.info(name).shape) != about.shape
        ]
        if missing or shapes:
            what = "; ".join(
                f"{label}: {_listed(wrong)}" for label, wrong in (("missing", missing), ("shape", shapes)) if wrong
            )
            raise InputError("base model", where=checkpoint.source, got=what, expected="the tensors of the switch")
        if force:
            return
        other = [
            name
            for name, digest in self.base_digests.items()
            if name in checkpoint and fingerprint(checkpoint, name) != digest
        ]
        if other:
            raise InputError(
                "base model",
                where=checkpoint.source,
                got=f"other values in {len(other)} of {len(self.base_digests)} tensors: {_listed(other)}",
                expected=f"the base of this switch, {self.config['base']}",
                hint="a base loaded in another precision differs too; `export --any-base` (force=True) applies it",
            )

    def verify(self, progress: Callable[[str], object] | None = None) -> None:
        """Read and decode everything; raises ArtifactError at the first thing that is damaged, by its name."""
        for name in self.tensors:
            for _ in self.changes(name):
                pass
            if progress is not None:
                progress(name)
        for tensors in (self.dense, self.head, self.rows):
            for name in tensors:
                _ = tensors[name]

    # Figures

    @property
    def notes(self) -> list[str]:
        """A line for each kind of tensor that is kept whole or left out: which, and how many parameters."""
        return list(self.config.get("notes", ()))

    @property
    def pairing(self) -> Pairing:
        """How the fine-tuned model's names follow from those of the base, which this switch uses."""
        return Pairing(*self.config.get("prefixes", ("", "")))

    @property
    def parameters(self) -> int:
        """Number of parameters compared: all floating tensors of the model but the head."""
        return int(self.config["parameters"])

    @property
    def active(self) -> int:
        """Number of entries that the switch changes."""
        return sum(about.active for about in self.tensors.values())

    @property
    def density(self) -> float:
        """Share of the parameters that the switch changes."""
        return self.active / max(self.parameters, 1)

    @functools.cached_property
    def nbytes(self) -> int:
        """Bytes on disk of the whole folder, measured; a switch in memory is written to a temporary one for this."""
        if self.path is not None:
            return _format.folder_bytes(self.path)
        with tempfile.TemporaryDirectory() as temporary:
            self.save_pretrained(Path(temporary) / "switch")
            return _format.folder_bytes(Path(temporary))

    @property
    def bits_per_param(self) -> float:
        """Bits on disk, of everything in the folder, for each parameter compared."""
        return 8 * self.nbytes / max(self.parameters, 1)

    def __repr__(self) -> str:
        where = self.path or "memory"
        return f"Switch({where}: {len(self.tensors)} tensors, density {self.density:.4f}, alpha {self.config['alpha']})"

    def _about(self, name: str) -> CodedTensor:
        if name not in self.tensors:
            raise InputError(f"tensor {name!r}", where=self.path or "switch", expected="one of switch.names")
        return self.tensors[name]


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
