"""Weights of BEVDet, FlashOcc and BEVFormer checkpoints, read as tensors alone, under this package's names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from ninefold.errors import ArtifactError, InputError
from torch import Tensor

from fastocc.models._model import FastOccModel

# (pattern of their name, name here); the first that matches counts
_COMMON = [
    (r"img_backbone\.conv1\.(.*)", r"images.body.stem.0.\1"),
    (r"img_backbone\.bn1\.(.*)", r"images.body.stem.1.\1"),
    *((rf"img_backbone\.layer{level}\.(.*)", rf"images.body.stages.{level - 1}.\1") for level in range(1, 5)),
]
_RULES = {
    "bevdet": [
        *_COMMON,
        (r"img_neck\.lateral_convs\.(\d)\.conv\.(.*)", r"images.lateral.\1.\2"),
        (r"img_neck\.fpn_convs\.0\.conv\.(.*)", r"images.out.\1"),
        (r"final_conv\.conv\.(.*)", r"head.conv.0.\1"),
        (r"predicter\.(\d)\.(.*)", r"head.classify.\1.\2"),
    ],
    "flashocc": [
        *_COMMON,
        (r"img_neck\.lateral_convs\.(\d)\.conv\.(.*)", r"images.lateral.\1.\2"),
        (r"img_neck\.fpn_convs\.0\.conv\.(.*)", r"images.out.\1"),
        (r"occ_head\.final_conv\.conv\.(.*)", r"head.conv.0.\1"),
        (r"occ_head\.predicter\.(\d)\.(.*)", r"head.body.\1.\2"),
    ],
    "bevformer": [
        *_COMMON,
        (r"img_neck\.lateral_convs\.0\.conv\.(.*)", r"images.lateral.0.\1"),
        (r"img_neck\.fpn_convs\.0\.conv\.(.*)", r"images.out.\1"),
        (r"pts_bbox_head\.bev_embedding\.weight", r"view.queries"),
    ],
}


def convert_checkpoint(path: str | Path, source: str, model: FastOccModel) -> dict[str, list[str]]:
    """Copy what fits from a checkpoint into `model`.

    Args:
        path: their .pth file; it is read by torch's restricted unpickler, so code in it does not run.
        source: bevdet, flashocc or bevformer.
        model: changed in place.
    Returns: names of arrays: `loaded` (here), `skipped` (theirs, without a counterpart), `left` (here).
    Raises: ArtifactError if the file cannot be read as tensors; InputError if nothing fits.
    """
    if source not in _RULES:
        raise InputError("source", got=repr(source), expected=f"one of {', '.join(_RULES)}")
    arrays = _read(Path(path))
    own = model.state_dict()
    loaded, skipped = {}, []
    for name, value in arrays.items():
        here = _renamed(name, source)
        if here is None or here not in own or own[here].shape != value.shape:
            skipped.append(name)
        else:
            loaded[here] = value
    if not loaded:
        raise InputError(
            f"checkpoint {path}", got=f"{len(arrays)} arrays, none of which fits", expected=f"weights of {source}",
            hint="is it the preset of the same backbone and widths?",
        )  # fmt: skip
    model.load_state_dict(loaded, strict=False)
    left = [name for name in own if name not in loaded and not name.endswith("num_batches_tracked")]
    return {"loaded": sorted(loaded), "skipped": sorted(skipped), "left": sorted(left)}


def _renamed(name: str, source: str) -> str | None:
    for pattern, target in _RULES[source]:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, target, name)
    return None


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ArtifactError(path, "is not there")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)  # safe: weights_only refuses code
    except Exception as error:  # whatever torch raises for a file that is damaged or asks for code
        raise ArtifactError(path, f"cannot be read as plain tensors: {str(error).splitlines()[0]}") from None
    while isinstance(content, Mapping) and "state_dict" in content:
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(one, Tensor) for one in content.values()):
        raise ArtifactError(path, "holds no state dict of tensors")
    return {str(name).removeprefix("module."): value for name, value in content.items()}
