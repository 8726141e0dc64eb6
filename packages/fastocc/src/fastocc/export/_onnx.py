"""ONNX by the dynamo exporter. Opset 19 or newer has DeformConv, so that no plug-in is needed."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path

import torch
from ninefold import artifacts
from ninefold.errors import InputError, require
from torch import Tensor, nn

from fastocc.export._opset import OLDEST, lower_opset
from fastocc.geometry import CameraRig
from fastocc.heads import HeadContext, OccHead
from fastocc.lifting import set_backend
from fastocc.models import FastOccModel
from fastocc.views import HistoryState

KIND = "fastocc.onnx"
OPSET, GRAPH, DATA = 20, "model.onnx", "model.onnx.data"
STATE, NEXT = ("state_bev", "state_motion"), ("next_bev", "next_motion")
_EXPORTED = ("native", "decomposed")
_LOWEST = 19  # that the exporter writes; older opsets are made from it


class _Fixed(nn.Module):
    """images -> labels or logits for one calibration."""

    lens: Tensor | None

    def __init__(self, model: FastOccModel, rig: CameraRig, logits: bool) -> None:
        super().__init__()
        self.model, self.logits = model, logits
        self.register_buffer("cam2img", torch.from_numpy(rig.cam2img)[None])
        self.register_buffer("cam2ego", torch.from_numpy(rig.cam2ego)[None])
        self.register_buffer("lens", None if rig.lens is None else torch.from_numpy(rig.lens)[None])

    def forward(self, images: Tensor, *state: Tensor) -> Tensor | tuple[Tensor, ...]:
        """`state` of networks with history: BEVs, their motions, and this ego frame to the last one's."""
        prev = (HistoryState(*state[:2]), state[2]) if state else None
        output = self.model(images, self.cam2img, self.cam2ego, prev=prev, lens=self.lens)
        made = output.logits if self.logits else output.semantics
        return (made, *output.state) if isinstance(output.state, HistoryState) else made


class _Looking(nn.Module):
    """A head that looks at images, for one calibration."""

    def __init__(self, head: OccHead, context: HeadContext) -> None:
        super().__init__()
        self.head, self.context = head, context

    def forward(self, bev: Tensor, features: Tensor) -> Tensor:
        return self.head(bev, self.context._replace(features=features))


def export_model(
    model: FastOccModel,
    rig: CameraRig,
    path: str | Path,
    *,
    opset: int = OPSET,
    backend: str = "native",
    logits: bool = False,
    force: bool = False,
) -> Path:
    """Write a folder with `model.onnx` (images (1, N, 3, H, W), 0..255 -> labels), `model.onnx.data` and `about.json`.

    Args:
        model: left as it is; the graph has no segmentation branch. rig: the calibration that is built in.
        opset: 17 or newer; below 19 for graphs without the operator DeformConv.
        backend: of deformable convolutions: native, or decomposed for runtimes without DeformConv.
        logits: return (1, X, Y, Z, K) float32 logits instead of (1, X, Y, Z) uint8 labels, which are 72 times as large.
    Returns: the folder. With `history`, the graph also takes state_bev, state_motion and motion (see `HistoryState`;
        zeros and unit matrices before the first frame) and gives next_bev and next_motion.
    Raises: MissingExtraError without the extra `onnx`; InputError for an older opset or a rig of other images.
    """
    if len(rig.cameras) != model.config.cameras or rig.image_size != model.config.image_size:
        got = f"{len(rig.cameras)} cameras of {rig.image_size}"
        raise InputError("rig", got=got, expected=f"{model.config.cameras} of {model.config.image_size}; see resized")
    bare = model.to_inference()
    fixed = _Fixed(bare, rig, logits)
    if hasattr(bare.view, "fix"):
        bare.fix_cameras(fixed.get_buffer("cam2img"), fixed.get_buffer("cam2ego"), fixed.lens)
    images = torch.zeros(1, len(rig.cameras), 3, *model.config.image_size)
    gives = "logits (1, X, Y, Z, K) float32" if logits else "labels (1, X, Y, Z) uint8"
    about = {"inputs": "images (1, N, 3, H, W) float32, 0..255", "outputs": gives}
    about |= {"cameras": rig.names, "config": model.config.to_dict()}
    examples = {"images": images}
    if bare.history is not None:
        width, (x, y, _) = bare.history.channels, model.config.spec.shape
        state = bare.history.empty(torch.zeros(1, width, y, x))
        examples |= {"state_bev": state.bev, "state_motion": state.motion.clone(), "motion": torch.eye(4)[None]}
        shapes = ", ".join(f"{name} {tuple(one.shape)}" for name, one in examples.items() if name != "images")
        about |= {
            "state": f"{shapes}; float32; next_bev and next_motion are state_bev and state_motion of the next frame"
        }
    return _write(fixed, examples, path, about, opset, backend, force)


def export_head(
    head: OccHead, bev: Tensor, path: str | Path, *, context: HeadContext | None = None, opset: int = OPSET,
    backend: str = "native", force: bool = False,
) -> Path:  # fmt: skip
    """The same for a head alone: bev (1, C, Y, X), and features (1, N, C', h, w) where it looks at images -> logits.

    Args:
        context: of a head that looks at images; its calibration is built in.
    """
    if head.needs_context and context is None:
        raise InputError("context", expected=f"image features and cameras: {head.name} looks at them")
    examples = {"bev": bev} | ({} if context is None else {"features": context.features})
    inputs = " and ".join(f"{name} {tuple(one.shape)}" for name, one in examples.items())
    about = {"inputs": inputs, "outputs": "logits (1, X, Y, Z, K)", "head": head.name}
    module = head.eval() if context is None else _Looking(head.eval(), context)
    return _write(module, examples, path, about, opset, backend, force)


def _write(
    module: nn.Module, examples: dict[str, Tensor], path: str | Path, about: dict, opset: int, backend: str, force: bool
) -> Path:
    require("onnxscript", "fastocc", "onnx")
    require("onnx", "fastocc", "onnx")
    require("torchvision.ops", "fastocc", "onnx")  # before the exporter lists the operators that it knows
    if opset < OLDEST:
        raise InputError("opset", got=opset, expected=f"{OLDEST} or newer")
    if backend not in _EXPORTED:
        raise InputError("backend", got=repr(backend), expected=f"one of {', '.join(_EXPORTED)}")
    set_backend(module, backend)
    outputs = [str(about["outputs"]).split()[0], *(NEXT if "motion" in examples else ())]
    path = Path(path)
    with artifacts.write_folder(path, kind=KIND, format_version=1, package="fastocc", force=force) as folder:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter's own remarks
            for logger in ("torch.onnx", "onnxscript"):
                logging.getLogger(logger).setLevel(logging.ERROR)
            torch.onnx.export(
                module, tuple(examples.values()), str(folder / GRAPH), dynamo=True, opset_version=max(opset, _LOWEST),
                external_data=True, input_names=list(examples), output_names=outputs, verbose=False,
            )  # fmt: skip
        if opset < _LOWEST:
            lower_opset(folder / GRAPH, opset)
        text = json.dumps({**about, "opset": opset, "deformable": backend, "weights": DATA}, indent=2)
        (folder / "about.json").write_text(text + "\n", encoding="utf-8")
    return path
