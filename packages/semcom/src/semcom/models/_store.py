"""Models on disk: one safetensors file with its config and recipe, or a folder of a `transformers` ViTMAE."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError

from semcom.models._checkpoint import SUFFIXES, read_checkpoint
from semcom.models._hub import HubMae
from semcom.models._jscc import JsccCoder, JsccConfig
from semcom.models._judge import Judge, JudgeConfig
from semcom.models._mae import MaeConfig, SmallMae
from semcom.models._picture import PictureCoder, PictureConfig

FORMAT = 1
_WEIGHTS = Path(__file__).parent / "weights"
BUILT_IN = {name: f"{name}.safetensors" for name in ("mae-32p4", "adjscc-c8", "deepjscc-c8", "judge", "picture-c16")}
_PAIRS = ((SmallMae, MaeConfig), (JsccCoder, JsccConfig), (Judge, JudgeConfig), (PictureCoder, PictureConfig))
_CLASSES: dict[str, tuple[Any, Any]] = {one.kind: (one, config) for one, config in _PAIRS}


def save_model(
    model: Any, path: str | Path, *, recipe: Mapping[str, Any], half: bool = False, force: bool = False
) -> None:
    """Write a model with its config and the recipe that made it.

    Args:
        model: one of ours, with `kind` and `config`.
        path: a .safetensors file; refused if it exists, unless `force`.
        recipe: whatever is to be known of its training, as JSON values.
        half: store float16, half the size.
    """
    state = {name: one.half() if half else one for name, one in model.state_dict().items()}
    meta = {"config": model.config.to_meta(), "recipe": dict(recipe)}
    artifacts.save(path, state, kind=model.kind, format_version=FORMAT, package="semcom", meta=meta, force=force)


def load_model(path: str | Path, kind: str) -> tuple[Any, dict[str, Any]]:
    """A model of `save_model`, in evaluation mode, and its recipe.

    Args:
        kind: `semcom.mae`, `semcom.jscc`, `semcom.judge` or `semcom.picture`.
    Raises:
        ArtifactError: if the file is missing, damaged, foreign, newer, or of another shape than its config.
    """
    return read_model(path, *_CLASSES[kind])


def read_model(path: str | Path, model_class: Any, config_class: Any) -> tuple[Any, dict[str, Any]]:
    """The same for a model of a given class: made of its config, with `kind` as the file's kind."""
    kept = artifacts.Artifact(path, kind=model_class.kind, format_version=FORMAT)
    try:
        model = model_class(config_class.from_meta(kept.meta["config"]))
        recipe = dict(kept.meta["recipe"])
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise ArtifactError(path, f"has a config that makes no sense ({error})") from None
    wanted = {name: tuple(one.shape) for name, one in model.state_dict().items()}
    if set(kept.names) != set(wanted):
        raise ArtifactError(path, "holds other tensors than its config asks for")
    state = {name: kept.torch(name).float() for name in kept.names}
    for name, one in state.items():
        if tuple(one.shape) != wanted[name] or not torch.isfinite(one).all():
            raise ArtifactError(path, f"has a tensor {name!r} of another shape than its config says, or not finite")
    model.load_state_dict(state)
    return model.eval(), recipe


def built_in_path(name: str) -> Path:
    """File of a built-in model."""
    return _WEIGHTS / BUILT_IN[name]


def load_mae(name: str | Path) -> SmallMae | HubMae:
    """A masked autoencoder: `mae-32p4` (built in), a file of `semcom train mae`, or a folder of a ViTMAE.

    Raises:
        InputError: for a hub id that is not on this machine, and for a checkpoint that cannot work; says why.
        ArtifactError: for a damaged or foreign file.

    Examples:
        >>> import torch
        >>> from semcom import load_mae

        >>> model = load_mae("mae-32p4")
        >>> model.num_patches, model.image_size
        (64, 32)
        >>> kept = torch.arange(16)[None]  # the receiver has the first 16 of 64 patches
        >>> tokens = model.encode(torch.rand(1, 3, 32, 32), kept)
        >>> model.decode(model.embed(tokens), kept).shape
        torch.Size([1, 3, 32, 32])
    """
    if str(name) in BUILT_IN:
        return load_model(built_in_path(str(name)), SmallMae.kind)[0]
    path = Path(name)
    if path.is_dir():
        if (path / "model.safetensors").exists() and not (path / "config.json").exists():
            return load_model(path / "model.safetensors", SmallMae.kind)[0]
        return HubMae.from_folder(path)
    if path.suffix in (".pth", ".pt", ".bin"):
        return HubMae.from_original(path)
    if path.exists() or path.suffix == ".safetensors":
        return load_model(path, SmallMae.kind)[0]
    return HubMae.from_hub(str(name))


def described(name: str | Path) -> dict[str, Any]:
    """Kind, config, recipe, bytes and tensors of a model file of this package, or of a built-in one."""
    file = built_in_path(str(name)) if str(name) in BUILT_IN else Path(name)
    for kind in ("mae", "picture", "jscc", "clip", "diffusion", "judge"):
        try:
            kept = artifacts.Artifact(file, kind=f"semcom.{kind}", format_version=FORMAT)
        except ArtifactError as error:
            if "not a semcom." not in str(error):
                raise
            continue
        kept.verify()
        size = sum(kept.bytes_of(one).size for one in kept.names)
        return {**kept.meta, "kind": f"semcom.{kind}", "bytes": size, "tensors": len(kept.names)}
    raise InputError("path", got=str(name), expected="a model, a link, a run or symbols of semcom")


def _named(name: str | Path, kind: str) -> Any:
    """A built-in model by name, or the model of a file."""
    return load_model(built_in_path(str(name)) if str(name) in BUILT_IN else name, kind)[0]


def load_jscc(name: str | Path) -> JsccCoder:
    """A joint source-channel coder: `adjscc-c8`, `deepjscc-c8` (of 5 dB), a file of `train jscc`, or a public one.

    A file ending in .pkl, .pth or .pt is a DeepJSCC checkpoint as the repository Deep-JSCC-PyTorch writes it.

    Examples:
        >>> from semcom import load_jscc
        >>> from semcom.whole import CoderLink

        >>> link = CoderLink(load_jscc("adjscc-c8"))
        >>> link.symbols(32, 32), round(link.symbols(32, 32) / 3072, 3)
        (256, 0.083)
    """
    return read_checkpoint(name) if Path(name).suffix in SUFFIXES else _named(name, JsccCoder.kind)


def load_picture_coder(name: str | Path = "picture-c16") -> PictureCoder:
    """The coder of whole pictures: `picture-c16` (built in) or a file of `train picture`."""
    return _named(name, PictureCoder.kind)


def load_coder(name: str | Path) -> PictureCoder | JsccCoder:
    """Whatever `load_picture_coder` and `load_jscc` know."""
    try:
        if Path(name).suffix not in SUFFIXES:
            return load_picture_coder(name)
    except ArtifactError as error:
        if "not a semcom.picture" not in str(error):
            raise
    return load_jscc(name)


def load_judge(name: str | Path) -> Judge:
    """The judge: `judge` (built in), or a model file of one."""
    return _named(name, Judge.kind)


def model_hash(model: torch.nn.Module) -> str:
    """SHA-256 over names, shapes and float32 values of all weights: both sides of a link compare it."""
    digest = hashlib.sha256()
    for name, one in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(one.shape)}".encode())
        digest.update(one.detach().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
