"""`FastOccModel`: images and calibration in, voxel logits out."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from fastocc.baselines import BASELINES
from fastocc.geometry import GridSpec, check_cameras
from fastocc.heads import DeformableC2h, FastOccHead, HeadContext, OccHead, SegmentationBranch, decode
from fastocc.models._config import DEPTH_VIEWS, FastOccConfig
from fastocc.models._files import read_model, write_model
from fastocc.views import (
    VIEWS,
    BevDetEncoder,
    BevEncoder,
    BevHistory,
    CameraInputs,
    HistoryState,
    ImageEncoder,
    warp_previous,
)

Prev = tuple[Tensor | HistoryState, Tensor]
HEADS: dict[str, type[OccHead]] = {**{head.name: head for head in (DeformableC2h, FastOccHead)}, **BASELINES}


def shipped_weights() -> Path:
    """Folder of the small model that ships with the package (`mini`, trained on simulated streets; see RECIPE.md)."""
    return Path(__file__).parents[1] / "weights" / "demo"


class OccOutput(NamedTuple):
    """What the model returns.

    Attributes:
        logits: (B, X, Y, Z, K). semantics: (B, X, Y, Z) uint8 labels.
        seg: (B, N, K', h, w) scores of the segmentation branch in training, else None.
        depth: (B, N, D, h, w) depth logits of `lss`, else None.
        bev: (B, C, Y, X) BEV before the encoder.
        state: what the next frame looks back at, for `prev`: the BEV of `bevformer`, a `HistoryState` of networks with
            `history`, None of all others.

    Examples:
        >>> import torch
        >>> from fastocc import CameraRig, FastOccConfig, FastOccModel

        >>> config = FastOccConfig.preset("micro")
        >>> model = FastOccModel(config).eval()
        >>> rig = CameraRig.nominal(*config.image_size)
        >>> images = torch.randint(0, 256, (1, config.cameras, 3, *config.image_size))
        >>> with torch.no_grad():
        ...     output = model(images, torch.from_numpy(rig.cam2img)[None], torch.from_numpy(rig.cam2ego)[None])

        >>> output.logits.shape  # (batch, X, Y, Z, classes)
        torch.Size([1, 20, 20, 8, 18])
        >>> output.semantics.shape, output.seg is None  # the branch for images is of training alone
        (torch.Size([1, 20, 20, 8]), True)
    """

    logits: Tensor
    semantics: Tensor
    seg: Tensor | None
    depth: Tensor | None
    bev: Tensor
    state: Tensor | HistoryState | None = None


def build_head(name: str, config: FastOccConfig, grid: GridSpec | None = None) -> OccHead:
    """A head of a configuration by its name, on its grid or another; InputError lists the names."""
    if name not in HEADS:
        raise InputError("head", got=repr(name), expected=f"one of {', '.join(HEADS)}")
    grid = grid or config.spec
    if HEADS[name].needs_height:
        width = config.view_channels
        return HEADS[name](width * grid.shape[2], grid, config.num_classes, channels=width)
    if name == FastOccHead.name:
        return FastOccHead(
            config.bev_channels, grid, config.num_classes, channels=config.channels, lift=config.lift, fpn=config.fpn,
            reduce=config.reduce, sparse=config.activation == "sigmoid",
        )  # fmt: skip
    more: dict[str, int] = {"context_channels": config.image_channels} if HEADS[name].needs_context else {}
    if name == config.head and name in (DeformableC2h.name, "c2h"):
        more |= {"width": config.width, "hidden": config.hidden}
    return HEADS[name](config.bev_channels, grid, config.num_classes, channels=config.channels, **more)


class FastOccModel(nn.Module):
    """Image encoder, view transform, BEV encoder, head; and in training the segmentation branch.

    Args:
        config: what to build. backbone_weights: path of a torchvision state dict.

    Examples:
        >>> import torch
        >>> from fastocc import CameraRig, FastOccConfig, FastOccModel

        >>> config = FastOccConfig.preset("micro")
        >>> model = FastOccModel(config).eval()
        >>> rig = CameraRig.nominal(*config.image_size)
        >>> images = torch.randint(0, 256, (1, config.cameras, 3, *config.image_size))
        >>> with torch.no_grad():
        ...     output = model(images, torch.from_numpy(rig.cam2img)[None], torch.from_numpy(rig.cam2ego)[None])

        >>> output.semantics.shape, output.semantics.dtype
        (torch.Size([1, 20, 20, 8]), torch.uint8)
        >>> model.save_pretrained("model")
        >>> FastOccModel.from_pretrained("model").config == config
        True
    """

    def __init__(self, config: FastOccConfig, backbone_weights: str | None = None) -> None:
        super().__init__()
        self.config = config
        grid = config.spec
        self.images = ImageEncoder(config.backbone, config.image_channels, backbone_weights)
        high = config.head in HEADS and HEADS[config.head].needs_height
        more: dict[str, Any] = {}
        if config.view in DEPTH_VIEWS:
            more = {"depth": (1.0, 45.0, config.depth_step), "keep_z": high}
        elif high:
            expected = f"{' or '.join(DEPTH_VIEWS)}: {config.head} needs height"
            raise InputError("view", got=config.view, expected=expected)
        self.view = VIEWS[config.view](config.image_channels, config.view_channels, grid, self.images.stride, **more)
        self.history = (
            BevHistory(config.view_channels * (grid.shape[2] if high else 1), config.history, grid)
            if config.history > 1
            else None
        )
        encoder = BevDetEncoder if config.encoder == "bevdet" else BevEncoder
        widths = (config.view_channels, config.bev_channels, config.widths)
        self.encoder: nn.Module = nn.Identity() if high else encoder(*widths)
        self.head = build_head(config.head, config)
        occupied = len(config.labels.classes) - 1
        self.segmentation: SegmentationBranch | None = (
            SegmentationBranch(config.image_channels, occupied) if config.segmentation else None
        )

    def encode(
        self, images: Tensor, cameras: CameraInputs, prev: Prev | None = None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor], Tensor | HistoryState | None]:
        """Image features, BEV before the encoder, the view's extra outputs, and the state for the next frame."""
        features = self.images(images)
        if self.view.temporal:
            warped = None if prev is None else warp_previous(cast("Tensor", prev[0]), prev[1], self.config.spec)
            bev, extra = self.view(features, cameras, warped)
            return features, bev, extra, bev
        bev, extra = self.view(features, cameras, None)
        if self.history is None:
            return features, bev, extra, None
        bev, state = self.history(bev, prev)
        return features, bev, extra, state

    def forward(
        self,
        images: Tensor,
        cam2img: Tensor,
        cam2ego: Tensor,
        img_aug: Tensor | None = None,
        bev_aug: Tensor | None = None,
        prev: Prev | None = None,
        lens: Tensor | None = None,
    ) -> OccOutput:
        """Predict.

        Args:
            images: (B, N, 3, H, W), 0..255, any dtype.
            cam2img: (B, N, 3, 3). cam2ego: (B, N, 4, 4), into the grid's frame.
            img_aug: (B, N, 3, 3). bev_aug: (B, 4, 4).
            prev: the last output's `state` and (B, 4, 4) this frame's ego frame to the last one's; None starts anew.
                For `bevformer` and networks with `history` alone.
            lens: (B, N, 13) lenses, as `CameraRig.lens` gives them; None if all cameras are pinholes.
        Raises: InputError if shapes, number of cameras or calibration do not fit the configuration.
        """
        self._check(images, cam2img, cam2ego, prev)
        cameras = CameraInputs(cam2img, cam2ego, self.config.image_size, img_aug, bev_aug, lens)
        features, bev, extra, state = self.encode(images, cameras, prev)
        context = None
        if self.head.needs_context:
            context = HeadContext(features, *cameras)
        logits = self.head(self.encoder(bev), context)
        seg = self.segmentation(features) if self.training and self.segmentation is not None else None
        labels = decode(logits, self.config.activation, self.config.labels.free)
        return OccOutput(logits, labels, seg, extra.get("depth"), bev, state)

    def run_queue(self, frames: list[dict[str, Tensor]]) -> OccOutput:
        """The last frame's output after a queue of frames (arguments of `forward`, with `motion` from the second on).

        Gradients flow through the last frame alone, as BEVFormer is trained.
        """
        if not frames:
            raise InputError("frames", got="none", expected="at least one")
        state = self.state_after(frames[:-1])
        inputs = {key: value for key, value in frames[-1].items() if key != "motion"}
        return self(**inputs, prev=None if state is None else (state, frames[-1]["motion"]))

    @torch.no_grad()
    def state_after(self, frames: list[dict[str, Tensor]]) -> Tensor | HistoryState | None:
        """The state after a queue of frames, without encoder and head; None after none, or of a network without one."""
        state: Tensor | HistoryState | None = None
        for frame in frames:
            prev = None if state is None else (state, frame["motion"])
            self._check(frame["images"], frame["cam2img"], frame["cam2ego"], prev)
            matrices = (frame["cam2img"], frame["cam2ego"], self.config.image_size)
            cameras = CameraInputs(*matrices, frame.get("img_aug"), frame.get("bev_aug"), frame.get("lens"))
            state = self.encode(frame["images"], cameras, prev)[3]
        return state

    def _check(self, images: Tensor, cam2img: Tensor, cam2ego: Tensor, prev: object) -> None:
        config, shape = self.config, tuple(images.shape)
        expected = f"(B, {config.cameras}, 3, {config.image_size[0]}, {config.image_size[1]})"
        if len(shape) != 5 or shape[1:] != (config.cameras, 3, *config.image_size):
            raise InputError("images", got=f"shape {shape}", expected=expected, hint="config: cameras, image_size")
        for name, value, last in (("cam2img", cam2img, (3, 3)), ("cam2ego", cam2ego, (4, 4))):
            if tuple(value.shape) != (*shape[:2], *last):
                raise InputError(name, got=f"shape {tuple(value.shape)}", expected=f"{(*shape[:2], *last)}")
        if prev is not None and not self.view.temporal and self.history is None:
            expected = f"nothing: view {config.view!r} without history does not look back"
            raise InputError("prev", expected=expected)
        if not torch.compiler.is_compiling() and not torch.compiler.is_exporting():
            check_cameras(cam2img.detach().cpu().numpy(), cam2ego.detach().cpu().numpy())

    def to_inference(self) -> FastOccModel:
        """A copy in evaluation mode without the segmentation branch: the graph of a model trained without one."""
        bare = copy.deepcopy(self).eval()
        bare.segmentation = None
        return bare.requires_grad_(False)

    def fix_cameras(self, cam2img: Tensor, cam2ego: Tensor, lens: Tensor | None = None) -> None:
        """Keep the view transform's table of one calibration (1, N, ...), for export and steady rigs.

        Raises: InputError if the view has no table.
        """
        if not hasattr(self.view, "fix"):
            raise InputError("view", got=self.config.view, expected="lut or lss: it has no table to fix")
        height, width = (size // self.images.stride for size in self.config.image_size)
        cameras = CameraInputs(cam2img, cam2ego, self.config.image_size, lens=lens)
        self.view.fix(cameras, (height, width))  # type: ignore[operator]

    def save_pretrained(self, path: str | Path, *, half: bool = False, force: bool = False) -> None:
        """Write a folder of config.json and model.safetensors; ArtifactError if it exists and `force` is off."""
        write_model(Path(path), self.config.to_dict(), self.state_dict(), half=half, force=force)

    @classmethod
    def from_pretrained(
        cls, path: str | Path, *, grid: str | None = None, num_classes: int | None = None
    ) -> FastOccModel:
        """Read what `save_pretrained` wrote, on the CPU, in evaluation mode.

        Args:
            grid, num_classes: what the caller expects; InputError if the weights are of another grid or K.
        Raises: ArtifactError with path and reason if the folder is not whole.
        """
        values, arrays = read_model(Path(path))
        if values.get("head") == FastOccHead.name:
            values = {"form": "literal", **values}  # the only one there was before it was named
        config = FastOccConfig.from_dict(values)
        if grid is not None and grid != config.grid:
            raise InputError(f"weights {path}", got=f"grid {config.grid}", expected=f"grid {grid}")
        if num_classes is not None and num_classes != config.num_classes:
            raise InputError(f"weights {path}", got=f"{config.num_classes} classes", expected=f"{num_classes}")
        model = cls(config)
        found = model.load_state_dict(arrays, strict=False)
        optional = {key for key in found.missing_keys if key.startswith("segmentation.")}
        if set(found.missing_keys) - optional or found.unexpected_keys:
            names = sorted(set(found.missing_keys) - optional | set(found.unexpected_keys))
            raise InputError(
                f"weights {path}", got=f"other arrays: {', '.join(names[:3])}", expected="those of its config"
            )
        if optional:
            model.segmentation = None
        return model.eval()
