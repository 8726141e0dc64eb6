"""The parts of a link on disk: towers, denoiser, and a folder with all of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ninefold.artifacts import write_folder
from ninefold.errors import InputError

from semcom.models import built_in_path, load_jscc, read_model
from semcom.multimodal._text_features import ClipConfig, HubClip, SmallClip
from semcom.multimodal._unet import Unet, UnetConfig

KIND = "semcom.mm"
FILES = {"features": "features.safetensors", "clip": "clip.safetensors", "diffusion": "diffusion.safetensors"}
SHIPPED = ("mm-32",)  # names of folders that the package brings
_TRAIN = "take mm-32, which is built in, or train one: semcom train features, train clip, train diffusion, then mm pack"


def load_clip(path: str | Path) -> SmallClip | HubClip:
    """Text features: a file of `semcom train clip`, or a folder of a CLIP of `transformers`."""
    if Path(path).is_dir():
        return HubClip.from_folder(path)
    return read_model(path, SmallClip, ClipConfig)[0]


def load_unet(path: str | Path) -> Unet:
    """The denoiser of a file of `semcom train diffusion`."""
    return read_model(path, Unet, UnetConfig)[0]


def link_folder(name: str | Path) -> Path:
    """Folder of a link by path or by the name of one that the package brings.

    Raises:
        InputError: if it is not there; says how to make one.
    """
    path = Path(name)
    if str(name) in SHIPPED:
        path = built_in_path("mae-32p4").parent / str(name)
    if not path.is_dir():
        raise InputError("model", got=f"{name}, which is not there", expected="a folder of `mm pack`", hint=_TRAIN)
    return path


def pack_parts(parts: Mapping[str, Path], folder: str | Path, *, link: Mapping[str, Any], force: bool = False) -> None:
    """Put trained files together as the folder of a link, with the recipes they hold.

    Args:
        parts: `features`, `clip` and, if there is one, `diffusion`, to files of `semcom train`.
        folder: the link's.
        link: settings of the link.
    Raises:
        ArtifactError, InputError: if a file is none of its kind, or parts do not fit each other.
    """
    clip = read_model(parts["clip"], SmallClip, ClipConfig)[0]
    load_jscc(parts["features"])
    if "diffusion" in parts and load_unet(parts["diffusion"]).config.text_dim != clip.dim:
        raise InputError("diffusion", got="one for text vectors of another size", expected=f"{clip.dim} numbers")
    meta = {"link": dict(link)}
    with write_folder(folder, kind=KIND, format_version=1, package="semcom", meta=meta, force=force) as temporary:
        for name, path in parts.items():
            shutil.copyfile(path, temporary / FILES[name])
