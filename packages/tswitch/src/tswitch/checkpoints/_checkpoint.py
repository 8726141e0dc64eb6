"""Checkpoints of any common layout, read tensor by tensor and chunk by chunk from files that stay mapped.

Nothing is loaded ahead: a tensor is a view of the mapped file, so a pass over a model needs the memory of one chunk.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ninefold.errors import ArtifactError, InputError
from ninefold.files import recover
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from tswitch.checkpoints._files import first_line, from_hub, read_json

_SINGLE = ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin")
_INDEXED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_TORCH_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?(@[\w./-]+)?")
_QUANTISED = re.compile(r"\.(qweight|qzeros|g_idx|absmax|quant_map|nested_absmax|SCB|quant_state\..+)$")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "shared.weight", "word_embeddings.weight")
_TIED_HEADS = {  # output weight that a checkpoint may leave out -> its block, of which other tensors are there
    "lm_head.decoder.weight": "lm_head.",
    "cls.predictions.decoder.weight": "cls.predictions.",
    "lm_head.weight": None,  # stands alone; the architecture's name says whether the model has it
}
_GENERATES = re.compile(r"(ForCausalLM|LMHeadModel|ForConditionalGeneration)$")


@dataclass(frozen=True)
class TensorInfo:
    """What a tensor is and where it lives; `file` is None for a model in memory."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    file: Path | None = None

    @property
    def numel(self) -> int:
        """Number of elements."""
        return torch.Size(self.shape).numel()

    @property
    def nbytes(self) -> int:
        """Bytes of the dense tensor."""
        return self.numel * self.dtype.itemsize


class Checkpoint:
    """Named tensors of a model: on disk (mapped) or in memory, behind one interface.

    Attributes:
        source: path or hub id as given, for provenance; "memory" for a model in memory.
        folder: the checkpoint's folder, or None (single file, memory).
        config: its config.json (or adapter_config.json), or None.
        tied: other name -> stored name, for tensors that share their values (such as an `lm_head.weight` that repeats
            the embedding, whether the checkpoint stores it or leaves it out). Every method accepts both names;
            `names` lists only stored ones.

    Examples:
        >>> import torch
        >>> from safetensors.torch import save_file
        >>> from tswitch import Checkpoint

        >>> draw = torch.manual_seed(0)
        >>> base = {"layer.weight": torch.randn(20, 30, generator=draw), "layer.bias": torch.zeros(30)}
        >>> models = [
        ...     {name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.items()}
        ...     for _ in range(2)
        ... ]
        >>> for name, state in {"base": base, "first": models[0], "second": models[1]}.items():
        ...     save_file(state, f"{name}.safetensors")

        >>> checkpoint = Checkpoint.open("base.safetensors")  # or a folder, a hub id
        >>> checkpoint.names
        ['layer.bias', 'layer.weight']
        >>> checkpoint.info("layer.weight").shape, checkpoint.read("layer.bias")[:3].tolist()
        ((20, 30), [0.0, 0.0, 0.0])
        >>> Checkpoint.of(base).source  # a state dict or a module, behind the same interface
        'memory'
    """

    def __init__(
        self,
        tensors: Mapping[str, _Source],
        tied: Mapping[str, str],
        *,
        source: str,
        folder: Path | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.source, self.folder, self.config = source, folder, config
        self._tensors = dict(tensors)
        self.tied = dict(tied)
        _refuse_quantised(self)
        self.tied = _left_out_heads(self._tensors, config) | self.tied

    @classmethod
    def open(cls, where: str | Path | Checkpoint) -> Checkpoint:
        """Open a Hugging Face folder, a weight file, a PEFT adapter folder, or a hub id (`owner/name[@revision]`).

        Args:
            where: folder with `model.safetensors`, `pytorch_model.bin`, their sharded forms, or `adapter_model.*`;
                a `.safetensors`, `.bin`, `.pt` or `.pth` file; or a hub id. An open checkpoint is passed through.
        Raises:
            ArtifactError: missing shard, truncated or damaged file, unknown layout, or quantised weights.
            DownloadError: a hub id that is not in the cache and cannot be fetched.
        """
        if isinstance(where, Checkpoint):
            return where
        path = Path(where)
        recover(path)
        if path.is_dir():
            return cls._open_folder(path, str(where))
        if path.is_file():
            return cls(*_read_files({}, [path]), source=str(where))
        if (
            isinstance(where, str)
            and _HUB_ID.fullmatch(where)
            and path.suffix not in (".safetensors", *_TORCH_SUFFIXES)
        ):
            return cls._open_folder(from_hub(where), where)
        raise ArtifactError(path, "is not there")

    @classmethod
    def of(cls, model: nn.Module | Mapping[str, Tensor], *, source: str = "memory") -> Checkpoint:
        """A module (parameters and persistent buffers) or a state dict in memory, its tensors not copied.

        What a class of transformers fuses in memory (experts of a mixture) has the names of its files, and is copied.
        """
        state = _as_in_files(model) if isinstance(model, nn.Module) else model
        for name, value in state.items():
            if not isinstance(value, Tensor):
                raise InputError(f"entry {name!r} of the state dict", got=type(value).__name__, expected="a tensor")
            if value.device.type == "meta":
                hint = "load the model without offloading, or give its folder"
                raise InputError(f"tensor {name!r}", got="a meta tensor", expected="values in memory", hint=hint)
        config = getattr(model, "config", None)
        as_dict = config.to_dict() if config is not None and hasattr(config, "to_dict") else None
        if as_dict is not None and hasattr(model, "base_model_prefix"):
            as_dict["architectures"] = [type(model).__name__]  # a model that was not saved yet has none in its config
        tensors, tied = _share({name: (value.detach(), None) for name, value in state.items()})
        return cls(tensors, tied, source=source, config=as_dict)

    def renamed(self, names: Mapping[str, str]) -> Checkpoint:
        """The same tensors under other names: own name -> new name, for every stored and every tied name."""
        tensors = {
            names[name]: (value if isinstance(value, Tensor) else _Alias(value, name), file)
            for name, (value, file) in self._tensors.items()
        }
        tied = {names[name]: names[stored] for name, stored in self.tied.items()}
        made = Checkpoint(tensors, tied, source=self.source, folder=self.folder, config=self.config)
        made.tied = tied
        return made

    @classmethod
    def _open_folder(cls, folder: Path, source: str) -> Checkpoint:
        config = next(
            (read_json(folder / name) for name in ("config.json", "adapter_config.json") if (folder / name).is_file()),
            None,
        )
        about: dict[str, Any] = {"source": source, "folder": folder, "config": config}
        for single, index in zip(_SINGLE, (*_INDEXED, None, None), strict=True):
            if (folder / single).is_file():
                return cls(*_read_files({}, [folder / single]), **about)
            if index and (folder / index).is_file():
                weight_map = read_json(folder / index).get("weight_map")
                if not isinstance(weight_map, dict) or not weight_map:
                    raise ArtifactError(folder / index, "has no weight_map")
                for name, file in weight_map.items():
                    if not (folder / str(file)).is_file():
                        raise ArtifactError(
                            folder / str(file), f"is missing: a shard with tensor {name!r}, see {index}"
                        )
                files = [folder / file for file in dict.fromkeys(weight_map.values())]
                return cls(*_read_files({name: folder / file for name, file in weight_map.items()}, files), **about)
        lone = sorted(folder.glob("*.safetensors"))
        if len(lone) == 1:
            return cls(*_read_files({}, lone), **about)
        raise ArtifactError(folder, f"holds no checkpoint of a known layout ({', '.join((*_SINGLE, *_INDEXED))})")

    @property
    def names(self) -> list[str]:
        """Names of the stored tensors, in the order in which they lie on disk."""
        return list(self._tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors or name in self.tied

    def info(self, name: str) -> TensorInfo:
        """Dtype, shape and file of a tensor, read from the file's header."""
        tensor, file = self._get(name)
        return TensorInfo(tensor.dtype, tuple(tensor.shape), file)

    def read(self, name: str) -> Tensor:
        """The whole tensor in its own dtype and shape. It may be a view of the mapped file: do not write to it."""
        return self._get(name)[0]

    def chunks(self, name: str, elements: int = 1 << 22) -> Iterator[tuple[slice, Tensor]]:
        """Walk a tensor in row-major order: (flat slice, 1-d CPU tensor in its own dtype), at most `elements` each.

        A 0-dim tensor gives one chunk of one element, an empty tensor none. Memory is that of one chunk, also for a
        tensor that is not contiguous.
        """
        tensor = self._get(name)[0].reshape(-1)
        for begin in range(0, tensor.numel(), elements):
            end = min(begin + elements, tensor.numel())
            yield slice(begin, end), tensor[begin:end].cpu()

    def span(self, name: str, part: slice) -> Tensor:
        """The flat elements [part.start, part.stop) of a tensor, as `chunks` gives them."""
        return self._get(name)[0].reshape(-1)[part].cpu()

    def digest(self, name: str) -> str:
        """SHA-256 of the tensor's bytes in its own dtype, as `sha256:<hex>`."""
        sha = hashlib.sha256()
        for _, chunk in self.chunks(name):
            sha.update(chunk.contiguous().view(torch.uint8).numpy().data)
        return "sha256:" + sha.hexdigest()

    @property
    def is_from_hub(self) -> bool:
        """Whether `source` is a hub id."""
        return self.folder is not None and Path(self.source) != self.folder

    @property
    def label(self) -> str:
        """Its name for cards: a hub id as it is; of a path only the last part, the rest being nobody's business."""
        return self.source if self.is_from_hub else Path(self.source).resolve().name

    def stamp(self) -> list[tuple[str, int, int]] | None:
        """Path, size and time of change of every file, to tell whether inputs changed; None for a model in memory."""
        files = sorted({file.resolve() for _, file in self._tensors.values() if file is not None})
        return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files] or None

    def place(self, name: str) -> str:
        """Where a tensor lives, for messages: its file, or the checkpoint's source."""
        return str(self._get(name)[1] or self.source)

    def _get(self, name: str) -> tuple[Tensor, Path | None]:
        stored = self._tensors.get(self.tied.get(name, name))
        if stored is None:
            raise InputError(f"tensor {name!r}", where=self.source, expected="one that the checkpoint holds")
        tensor, file = stored
        if isinstance(tensor, Tensor):
            return tensor, file
        try:
            return tensor.get_tensor(self.tied.get(name, name)), file
        except (SafetensorError, ValueError, RuntimeError) as error:
            raise ArtifactError(file or self.source, f"tensor {name!r} cannot be read: {error}") from None


@dataclass(frozen=True)
class _Alias:
    """A tensor of an open safetensors file, whatever name it is asked for by."""

    opened: Any
    name: str

    def get_tensor(self, _: str) -> Tensor:
        return self.opened.get_tensor(self.name)


_Source = tuple[Any, Path | None]  # a tensor, or the open safetensors file that holds it; and the file's path


def _read_files(wanted: Mapping[str, Path], files: list[Path]) -> tuple[dict[str, _Source], dict[str, str]]:
    """Tensors of weight files in disk order (all if `wanted` is empty), and which names share one storage."""
    found: dict[str, _Source] = {}
    for file in files:
        held = _read_torch(file) if file.suffix in _TORCH_SUFFIXES else _read_safetensors(file)
        found |= {name: (value, file) for name, value in held.items() if not wanted or wanted.get(name) == file}
    for name, file in wanted.items():
        if name not in found:
            raise ArtifactError(file, f"has no tensor {name!r}, which the index places there")
    if not found:
        raise ArtifactError(files[0], "holds no tensors")
    return _share(found)


def _read_safetensors(file: Path) -> dict[str, Any]:
    try:
        opened: Any = safe_open(file, "pt")
        return dict.fromkeys(opened.offset_keys(), opened)
    except (SafetensorError, OSError) as error:
        raise ArtifactError(file, f"is truncated, damaged or no safetensors file ({error})") from None


def _read_torch(file: Path) -> dict[str, Tensor]:
    try:
        held = torch.load(file, map_location="cpu", weights_only=True, mmap=_is_zip(file))
    except pickle.UnpicklingError:
        raise ArtifactError(file, "holds objects other than tensors, or is damaged; it is not unpickled") from None
    except Exception as error:  # a damaged archive makes torch raise almost anything
        raise ArtifactError(file, f"is truncated or damaged ({first_line(error)})") from None
    for key in ("state_dict", "model"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping):
        raise ArtifactError(file, f"has an unknown layout: a {type(held).__name__}, not a state dict")
    for name, value in held.items():
        if not isinstance(value, Tensor):
            raise ArtifactError(
                file, f"has an unknown layout: entry {name!r} is a {type(value).__name__}, not a tensor"
            )
    return {str(name): value.detach() for name, value in held.items()}


def _is_zip(file: Path) -> bool:
    with file.open("rb") as opened:  # files of torch < 1.6 are no zip archives and cannot be mapped
        return opened.read(4) == b"PK\x03\x04"


def _share(tensors: Mapping[str, _Source]) -> tuple[dict[str, _Source], dict[str, str]]:
    """Keep the first of names that view the same memory; (kept tensors, other name -> kept name)."""
    first: dict[tuple[Any, ...], str] = {}
    kept: dict[str, _Source] = {}
    tied: dict[str, str] = {}
    for name, (value, file) in tensors.items():
        if isinstance(value, Tensor) and value.numel() and value.device.type != "meta":
            key = (value.device, value.data_ptr(), value.dtype, value.shape, value.stride())
            if first.setdefault(key, name) != name:
                tied[name] = first[key]
                continue
        kept[name] = (value, file)
    return kept, tied


def _left_out_heads(tensors: Mapping[str, Any], config: dict[str, Any] | None) -> dict[str, str]:
    """Output weight that the configuration ties to an embedding, so that files leave it out: {head: embedding}."""
    config = config or {}
    embedding = next((name for name in tensors if f".{name}".endswith(tuple(f".{end}" for end in _EMBEDDINGS))), None)
    text = config.get("text_config") or {}
    if embedding is None or not config.get("tie_word_embeddings", text.get("tie_word_embeddings", True)):
        return {}
    generates = any(_GENERATES.search(name) for name in config.get("architectures") or ())
    for head, block in _TIED_HEADS.items():
        has_block = any(name.startswith(block or "lm_head.") for name in tensors)
        if head not in tensors and (has_block if block else generates and not has_block):
            return {head: embedding}
    return {}


def _as_in_files(model: nn.Module) -> Mapping[str, Tensor]:
    """A module's state dict under the names that its class gives tensors in files."""
    state = model.state_dict(keep_vars=True)
    if not hasattr(model, "base_model_prefix") or all(value.dim() < 3 for value in state.values()):
        return state
    try:
        from transformers.core_model_loading import revert_weight_conversion
    except ImportError:  # a module that is not of transformers 5
        return state
    with torch.no_grad():
        values = {name: value.detach() for name, value in state.items()}
        made = revert_weight_conversion(model, values)  # pyright: ignore[reportArgumentType]  (a model of transformers)
    return made if set(made) != set(state) else state


def _refuse_quantised(checkpoint: Checkpoint) -> None:
    quantisation = (checkpoint.config or {}).get("quantization_config")
    if quantisation:
        method = quantisation.get("quant_method") if isinstance(quantisation, dict) else quantisation
        raise ArtifactError(
            checkpoint.source, f"is quantised ({method}, see its config.json); give the full-precision weights"
        )
    for name in checkpoint.names:
        if _QUANTISED.search(name):
            raise ArtifactError(
                checkpoint.place(name), f"is quantised: it holds {name!r}; give the full-precision weights"
            )
