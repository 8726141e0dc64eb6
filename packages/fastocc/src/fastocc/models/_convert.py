"""Checkpoints of FlashOcc and BEVDet-Occ, read as tensors alone: every number is placed, or the file is refused.

What the network is follows from the shapes: backbone, widths, depth bins, channels. Stereo and temporal forms have
arrays that have no place here, and are refused by their names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from ninefold.errors import ArtifactError, InputError
from torch import Tensor

from fastocc.geometry import GridSpec
from fastocc.models._config import FastOccConfig
from fastocc.models._model import FastOccModel

# (pattern of their name, name here); the first that matches counts
_IMAGES = [
    (r"img_backbone\.conv1\.(.*)", r"images.body.stem.0.\1"),
    (r"img_backbone\.bn1\.(.*)", r"images.body.stem.1.\1"),
    *((rf"img_backbone\.layer{level}\.(.*)", rf"images.body.stages.{level - 1}.\1") for level in range(1, 5)),
    (r"img_neck\.lateral_convs\.(\d)\.conv\.(.*)", r"images.lateral.\1.\2"),
    (r"img_neck\.fpn_convs\.0\.conv\.(.*)", r"images.out.\1"),
    (r"img_view_transformer\.depth_net\.(.*)", r"view.head.\1"),
]
_LAYERS = r"img_bev_encoder_backbone\.layers"
_RULES = {
    "flashocc": [
        *_IMAGES,
        (r"img_bev_encoder_backbone\.(layers\..*)", r"encoder.\1"),
        (r"img_bev_encoder_neck\.((?:conv|up2)\..*)", r"encoder.\1"),
        (r"(?:occ_head\.)?final_conv\.conv\.(.*)", r"head.conv.0.\1"),
        (r"(?:occ_head\.)?predicter\.(\d)\.(.*)", r"head.body.\1.\2"),
    ],
    "bevdet-occ": [
        *_IMAGES,
        *(
            (rf"{_LAYERS}\.(\d)\.(\d)\.{theirs}\.{part}\.(.*)", rf"head.stages.\1.\2.{ours}.{at}.\3")
            for theirs, ours in (("conv1", "first"), ("conv2", "second"), ("downsample", "short"))
            for at, part in enumerate(("conv", "bn"))
        ),
        (r"img_bev_encoder_neck\.conv\.conv\.(.*)", r"head.join.0.\1"),
        (r"img_bev_encoder_neck\.conv\.bn\.(.*)", r"head.join.1.\1"),
        (r"(?:occ_head\.)?final_conv\.conv\.(.*)", r"head.out.0.\1"),
        (r"(?:occ_head\.)?predicter\.(\d)\.(.*)", r"head.classify.\1.\2"),
    ],
}  # fmt: skip
SOURCES = tuple(_RULES)
_WRAPPERS = ("state_dict", "model")  # keys that files keep their arrays under, in any nesting
_DEPTH = 44.0  # metres that both cover with bins, from 1 to 45 m


def convert_checkpoint(
    path: str | Path, source: str | None = None, *, grid: str = "occ3d", image_size: tuple[int, int] = (256, 704)
) -> FastOccModel:
    """The network of a checkpoint, in evaluation mode.

    Args:
        path: their .pth file; it is read by torch's restricted unpickler, so code in it does not run.
        source: flashocc or bevdet-occ; default, by the file's arrays.
        grid: of the labels that it was trained on. image_size: (height, width) that it was trained on.
    Raises: ArtifactError if the file cannot be read as tensors; InputError that names the arrays which have no place,
        are missing, or have other shapes.
    """
    path = Path(path)
    arrays = _read(path)
    found = _source(arrays, path, source)
    placed, unknown = {}, []
    for name, value in arrays.items():
        here = _renamed(name, found)
        if here is None:
            unknown.append(name)
        else:
            placed[here] = value
    if unknown:
        hint = "stereo and temporal networks are not read" if len(unknown) > 3 else None
        raise InputError(
            f"checkpoint {path}", got=f"{len(unknown)} arrays without a place: {', '.join(unknown[:4])}",
            expected=f"those of {found}", hint=hint,
        )  # fmt: skip
    try:
        model = FastOccModel(_config(arrays, found, grid, image_size))
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise InputError(f"checkpoint {path}", got=f"no array {error.args[0]}", expected=f"those of {found}") from None
    own = model.state_dict()
    wrong = [name for name in placed if name not in own or own[name].shape != placed[name].shape]
    missing = [name for name in own if name not in placed and not name.endswith("num_batches_tracked")]
    if wrong or missing:
        parts = [f"{len(names)} {what}: {', '.join(names[:3])}" for what, names in
                 (("without a place or of another shape", wrong), ("missing", missing)) if names]  # fmt: skip
        raise InputError(f"checkpoint {path}", got="; ".join(parts), expected=f"the arrays of {found}")
    model.load_state_dict(placed, strict=False)
    return model.eval()


def _source(arrays: Mapping[str, Tensor], path: Path, source: str | None) -> str:
    if source is not None and source not in _RULES:
        raise InputError("source", got=repr(source), expected=f"one of {', '.join(_RULES)}")
    last = next((one for name, one in arrays.items() if name.endswith("final_conv.conv.weight")), None)
    found = {4: "flashocc", 5: "bevdet-occ"}.get(last.dim() if last is not None else 0)
    if found is None:
        got = f"{len(arrays)} arrays, none of them an occupancy head's final_conv"
        raise InputError(f"checkpoint {path}", got=got, expected=f"weights of {' or '.join(_RULES)}")
    if source not in (None, found):
        raise InputError(f"checkpoint {path}", got=f"weights of {found}", expected=f"of {source}")
    return found


def _config(
    arrays: Mapping[str, Tensor], source: str, grid: str, image_size: tuple[int, int]
) -> FastOccConfig:  # fmt: skip
    """What the shapes say."""
    deep = "img_backbone.layer1.0.conv3.weight" in arrays
    first = arrays[
        f"img_bev_encoder_backbone.layers.0.0.conv1{'' if source == 'flashocc' else '.conv'}.weight"
    ]  # fmt: skip
    width, bins = first.shape[1], arrays["img_view_transformer.depth_net.weight"].shape[0] - first.shape[1]
    changes: dict[str, object] = {
        "backbone": "resnet50" if deep else "resnet18", "grid": grid, "image_size": image_size,
        "image_channels": arrays["img_neck.fpn_convs.0.conv.weight"].shape[0], "view_channels": width,
        "depth_step": _DEPTH / bins,
    }  # fmt: skip
    head = {name.removeprefix("occ_head."): one for name, one in arrays.items()}
    outputs = head["predicter.2.weight"].shape[0]
    if source == "flashocc":
        stages = [arrays[f"img_bev_encoder_backbone.layers.{at}.0.conv1.weight"].shape[0] for at in range(3)]
        changes |= {"widths": tuple(stages), "bev_channels": head["final_conv.conv.weight"].shape[0]}
        outputs //= GridSpec.named(grid).shape[2]
    config = FastOccConfig.preset(f"{source}-r50", **changes)
    if outputs != config.num_classes:
        raise InputError("predicter", got=f"{outputs} classes", expected=f"{config.num_classes} of Occ3D")
    return config


def _renamed(name: str, source: str) -> str | None:
    for pattern, target in _RULES[source]:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, target, name)
    return None


def _read(path: Path) -> dict[str, Tensor]:
    content = read_tensors(path)
    while isinstance(content, Mapping) and (key := next((one for one in _WRAPPERS if one in content), None)):
        content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(one, Tensor) for one in content.values()):
        raise ArtifactError(path, "holds no state dict of tensors")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def read_tensors(path: Path) -> object:
    """What torch's restricted unpickler makes of a file; ArtifactError if it is missing, damaged or asks for code."""
    if not path.is_file():
        raise ArtifactError(path, "is not there")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)  # safe: weights_only refuses code
    except Exception as error:  # whatever torch raises for a file that is damaged or asks for code
        raise ArtifactError(path, f"cannot be read as plain tensors: {str(error).splitlines()[0]}") from None
